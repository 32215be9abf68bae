// SPDX-License-Identifier: Apache-2.0
#include "store/chunk.hpp"

#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <random>

namespace fieldpost {
namespace {

constexpr int64_t kDevice = 3;
constexpr int64_t kBoot = 7;
const bool kLong = std::getenv("FIELDPOST_LONG") != nullptr;

// Names, and the dictionary that a database would keep.
class Names {
 public:
  Symbol operator[](const std::string& name) { return table_.intern(name); }
  uint32_t id_of(Symbol symbol) {
    for (size_t i = 0; i < known_.size(); ++i) {
      if (known_[i] == symbol) return first_ + static_cast<uint32_t>(i);
    }
    known_.push_back(symbol);
    return first_ + static_cast<uint32_t>(known_.size() - 1);
  }
  Symbol of(uint32_t id) const {
    return id >= first_ && id - first_ < known_.size() ? known_[id - first_] : nullptr;
  }

 private:
  static constexpr uint32_t first_ = 5;
  SymbolTable table_;
  std::vector<Symbol> known_;
};

struct Stored {
  ChunkKey key;
  std::string bytes;
};

// Every chunk that `states` need.
std::vector<Stored> store(Names& names, ChunkWriter& writer, const std::vector<State>& states) {
  std::vector<Stored> stored;
  const auto cut = [&] {
    const ChunkKey key{kDevice, kBoot, writer.t0(), writer.points()};
    stored.push_back({key, std::string(writer.encode(kDevice, kBoot))});
  };
  for (const State& state : states) {
    for (const Point& point : state.points) {
      for (;;) {
        const auto added = writer.add(state.time_ms, point);
        if (added == ChunkWriter::Added::Yes || added == ChunkWriter::Added::Refused) break;
        if (added == ChunkWriter::Added::Full) cut();
        if (added == ChunkWriter::Added::Unknown) {
          writer.learn(point.attribute, names.id_of(point.attribute));
        }
      }
    }
  }
  if (!writer.empty()) cut();
  return stored;
}

Result<std::vector<State>> load(const Names& names, const Stored& stored) {
  return decode_chunk(stored.bytes, stored.key, [&](uint32_t id) { return names.of(id); });
}

bool identical(const Value& a, const Value& b) {
  const auto* x = std::get_if<double>(&a);
  const auto* y = std::get_if<double>(&b);
  if (x != nullptr && y != nullptr) {
    return std::bit_cast<uint64_t>(*x) == std::bit_cast<uint64_t>(*y);
  }
  return a == b;
}

// Within one millisecond, the order of attributes is not kept.
void expect_same(std::vector<State> expected, std::vector<State> found) {
  ASSERT_EQ(expected.size(), found.size());
  const auto by_name = [](const Point& a, const Point& b) { return *a.attribute < *b.attribute; };
  for (size_t i = 0; i < expected.size(); ++i) {
    ASSERT_EQ(expected[i].time_ms, found[i].time_ms);
    ASSERT_EQ(expected[i].points.size(), found[i].points.size()) << i;
    std::ranges::sort(expected[i].points, by_name);
    std::ranges::sort(found[i].points, by_name);
    for (size_t j = 0; j < expected[i].points.size(); ++j) {
      ASSERT_EQ(expected[i].points[j].attribute, found[i].points[j].attribute);
      ASSERT_TRUE(identical(expected[i].points[j].value, found[i].points[j].value))
          << to_text(expected[i].points[j].value) << " came back as "
          << to_text(found[i].points[j].value);
    }
  }
}

// Stores in one chunk, and loads.
void expect_round_trip(const std::vector<State>& states, Names& names) {
  ChunkWriter writer;
  const auto stored = store(names, writer, states);
  ASSERT_EQ(stored.size(), 1U);
  const auto loaded = load(names, stored[0]);
  ASSERT_TRUE(loaded) << loaded.error().message;
  expect_same(states, *loaded);
}

std::vector<State> column(Names& names, const std::vector<Value>& values) {
  std::vector<State> states;
  for (size_t i = 0; i < values.size(); ++i) {
    states.push_back({1000 + 1000 * static_cast<int64_t>(i), {{names["a"], values[i]}}});
  }
  return states;
}

TEST(Chunk, NumbersComeBackToTheBit) {
  constexpr double kMax = std::numeric_limits<double>::max();
  constexpr double kTiny = std::numeric_limits<double>::denorm_min();
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const std::vector<std::vector<Value>> cases = {
      {1.0},
      {21.5, 21.6, 21.6, 21.6, 21.7, 21.6, 21.6},
      {0.0, -0.0, 0.0},
      {-0.0},
      {1.0, 0.1, 0.12, 0.123, 0.1234, 0.12345},
      {0.1234, 1e12, -1e12},
      {9007199254740991.0, 9007199254740992.0, 9007199254740993.0, -9007199254740992.0},
      {900719925474099.1, 0.0001},
      {kMax, -kMax, kTiny, -kTiny},
      {kInfinity, -kInfinity, std::bit_cast<double>(uint64_t{0x7ff8000000000123})},
      {static_cast<double>(21.3F), static_cast<double>(21.4F), static_cast<double>(1e-40F)},
      {std::bit_cast<double>(uint64_t{0xfff0000000000001})},
      {1.0 / 3, 1.0 / 3, 1.0 / 3},
      {M_PI, 4.0},
  };
  for (const auto& values : cases) {
    Names names;
    SCOPED_TRACE(to_text(values[0]));
    expect_round_trip(column(names, values), names);
  }
}

TEST(Chunk, FlagsAndTextsComeBack) {
  const std::string long_text(kMaxText, 'x');
  const std::vector<std::vector<Value>> cases = {
      {true},
      {true, false, true, true, true, false, false, true, true, false},
      {false, false, false},
      {std::string()},
      {std::string("on"), std::string("off"), std::string("on"), std::string("on"),
       std::string("on"), std::string("off"), std::string(1, '\0')},
      {long_text, long_text, std::string("x"), long_text},
  };
  for (const auto& values : cases) {
    Names names;
    expect_round_trip(column(names, values), names);
  }
}

TEST(Chunk, AnAttributeMayChangeItsType) {
  Names names;
  expect_round_trip(column(names, {1.0, true, std::string("one"), 2.5, 2.5, false}), names);
}

TEST(Chunk, AttributesMayBeMissingNowAndThen) {
  Names names;
  std::vector<State> states;
  for (int64_t i = 0; i < 500; ++i) {
    State& state = states.emplace_back();
    state.time_ms = 1'000'000 + i * 1000 + i * 7 % 5;
    state.points.push_back({names["always"], 0.1 * static_cast<double>(i)});
    if (i % 3 == 0) state.points.push_back({names["third"], static_cast<double>(i)});
    if (i % 3 == 0) state.points.push_back({names["third too"], i % 2 == 0});
    if (i == 250) state.points.push_back({names["once"], 4.0});
  }
  expect_round_trip(states, names);
}

TEST(Chunk, TheSensorWorkloadIsSmall) {
  // 20 attributes once a second for 30 s: what the layout is for. 0.92 bytes were measured for one
  // chunk of 200; ten chunks of 20 cost a little more.
  Names names;
  std::mt19937 random(1);
  std::uniform_int_distribution<int> step(-3, 3);
  std::vector<int> at(20, 200);
  std::vector<State> states;
  for (int64_t second = 0; second < 30; ++second) {
    State& state = states.emplace_back();
    state.time_ms = second * 1000;
    for (size_t i = 0; i < at.size(); ++i) {
      at[i] += step(random);
      state.points.push_back({names["a" + std::to_string(i)], at[i] / 10.0});
    }
  }
  ChunkWriter writer;
  const auto stored = store(names, writer, states);
  ASSERT_EQ(stored.size(), 1U);
  EXPECT_LT(static_cast<double>(stored[0].bytes.size()) / 600, 1.3);
}

TEST(Chunk, ASecondValueInTheSameMillisecondStartsAnotherChunk) {
  Names names;
  ChunkWriter writer;
  const std::vector<State> states = {{5, {{names["a"], 1.0}, {names["b"], 1.0}}},
                                     {5, {{names["a"], 2.0}}},
                                     {6, {{names["b"], 2.0}}}};
  const auto stored = store(names, writer, states);
  ASSERT_EQ(stored.size(), 2U);
  expect_same({states[0]}, load(names, stored[0]).value());
  expect_same({states[1], states[2]}, load(names, stored[1]).value());
}

TEST(Chunk, ABoundReachedStartsAnotherChunk) {
  Names names;
  ChunkWriter writer;
  std::vector<State> states;
  for (int64_t i = 0; i < static_cast<int64_t>(kMaxChunkPoints) + 10; ++i) {
    states.push_back({i, {{names["a"], 1.0}}});
  }
  auto stored = store(names, writer, states);
  ASSERT_EQ(stored.size(), 2U);
  EXPECT_EQ(stored[0].key.points, static_cast<int64_t>(kMaxChunkPoints));
  EXPECT_EQ(load(names, stored[1]).value().size(), 10U);

  states.clear();
  for (int64_t i = 0; i < 40; ++i)
    states.push_back({i, {{names["t"], std::string(kMaxText, 'x')}}});
  stored = store(names, writer, states);
  ASSERT_EQ(stored.size(), 3U);
  for (const Stored& s : stored) EXPECT_TRUE(load(names, s));
}

TEST(Chunk, WhatNoChunkCanHoldIsRefusedAlone) {
  Names names;
  ChunkWriter writer;
  const std::vector<State> states = {
      {kMaxChunkTime + 1, {{names["a"], 1.0}}},
      {1, {{names["a"], std::string(kMaxText + 1, 'x')}, {names["b"], 1.0}}}};
  // In the order of time, which the writer asks for.
  const auto stored = store(names, writer, {states[1], states[0]});
  ASSERT_EQ(stored.size(), 1U);
  expect_same({{1, {{names["b"], 1.0}}}}, load(names, stored[0]).value());
}

// One chunk of everything, by a generator.
std::vector<State> random_states(Names& names, std::mt19937_64& random) {
  const auto below = [&](uint64_t n) { return random() % n; };
  const size_t attributes = 1 + below(12);
  const size_t times = 1 + below(below(4) == 0 ? 300 : 12);
  const uint64_t density = 1 + below(8);
  int64_t now = static_cast<int64_t>(below(uint64_t{1} << 50)) - (int64_t{1} << 49);
  std::vector<uint64_t> kinds(attributes);
  for (auto& kind : kinds) kind = below(9);
  std::vector<State> states;
  for (size_t t = 0; t < times; ++t) {
    now += 1 + static_cast<int64_t>(below(3) == 0 ? below(100'000'000'000) : below(1000));
    State state{now, {}};
    for (size_t a = 0; a < attributes; ++a) {
      if (density < 8 && below(8) >= density) continue;
      const double small = static_cast<double>(below(2001)) - 1000;
      Value value;
      switch (below(20) == 0 ? below(9) : kinds[a]) {
        case 0:
          value = small;
          break;
        case 1:
          value = small / 10;
          break;
        case 2:
          value = small / 1000;
          break;
        case 3:
          value = 42.0;
          break;
        case 4:
          value = std::bit_cast<double>(random());
          break;
        case 5:
          value = static_cast<double>(static_cast<float>(small) / 3.0F);
          break;
        case 6:
          value = below(2) == 0;
          break;
        case 7:
          value = std::string(below(4), static_cast<char>('a' + below(3)));
          break;
        default:
          value = std::ldexp(small, static_cast<int>(below(80)) - 20);
          break;
      }
      state.points.push_back({names["attribute " + std::to_string(a)], std::move(value)});
    }
    if (!state.points.empty()) states.push_back(std::move(state));
  }
  if (states.empty()) states.push_back({now, {{names["a"], 1.0}}});
  return states;
}

TEST(Chunk, WhateverIsGeneratedComesBack) {
  const uint64_t seed = kLong ? std::random_device{}() : 1;
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  Names names;
  ChunkWriter writer;  // one for all: it must not remember what it should not
  for (int round = 0; round < (kLong ? 100'000 : 3000); ++round) {
    const auto states = random_states(names, random);
    const auto stored = store(names, writer, states);
    ASSERT_EQ(stored.size(), 1U);
    const auto loaded = load(names, stored[0]);
    ASSERT_TRUE(loaded) << loaded.error().message << " in round " << round;
    ASSERT_NO_FATAL_FAILURE(expect_same(states, *loaded)) << round;
  }
}

TEST(Chunk, AnyFlippedBitIsNoticed) {
  std::mt19937_64 random(2);
  Names names;
  ChunkWriter writer;
  const auto stored = store(names, writer, random_states(names, random)).at(0);
  for (size_t bit = 0; bit < stored.bytes.size() * 8; ++bit) {
    Stored broken = stored;
    broken.bytes[bit / 8] = static_cast<char>(broken.bytes[bit / 8] ^ (1 << bit % 8));
    const auto loaded = load(names, broken);
    ASSERT_FALSE(loaded) << bit;
    EXPECT_EQ(loaded.error().code, Errc::Corrupt);
  }
  for (int i = 0; i < 4; ++i) {  // the other columns of its row
    Stored broken = stored;
    (i == 0   ? broken.key.device
     : i == 1 ? broken.key.boot
     : i == 2 ? broken.key.t0
              : broken.key.points)++;
    EXPECT_FALSE(load(names, broken)) << i;
  }
  for (size_t size = 0; size < stored.bytes.size(); ++size) {
    EXPECT_FALSE(load(names, {stored.key, stored.bytes.substr(0, size)}));
  }
}

// Puts a right checksum under wrong bytes, so that the decoder has to find out for itself.
void sign(Stored& stored) {
  const std::string body = stored.bytes.substr(0, stored.bytes.size() - 4);
  std::string columns;
  for (const int64_t v : {stored.key.device, stored.key.boot, stored.key.t0, stored.key.points}) {
    columns.append(reinterpret_cast<const char*>(&v), sizeof v);
  }
  uLong crc = crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()));
  crc =
      crc32(crc, reinterpret_cast<const Bytef*>(columns.data()), static_cast<uInt>(columns.size()));
  const auto value = static_cast<uint32_t>(crc);
  stored.bytes = body;
  stored.bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

TEST(Chunk, ANewerFormatIsToldFromADamagedOne) {
  Names names;
  ChunkWriter writer;
  Stored stored = store(names, writer, column(names, {1.0})).at(0);
  stored.bytes[0] = 2;
  sign(stored);
  EXPECT_EQ(load(names, stored).error().code, Errc::Invalid);
}

TEST(Chunk, HostileCountsCostNothing) {
  Names names;
  ChunkWriter writer;
  std::vector<State> states;
  for (int64_t i = 0; i < 8192; ++i) states.push_back({i, {{names["t"], std::string("x")}}});
  Stored stored = store(names, writer, states).at(0);
  ASSERT_TRUE(load(names, stored));
  for (const int64_t points : {int64_t{0}, int64_t{-1}, int64_t{8193}, int64_t{1} << 62}) {
    stored.key.points = points;
    sign(stored);
    EXPECT_FALSE(load(names, stored)) << points;
  }
  // One text of 64 KiB, said to be repeated 8191 times: half a gigabyte, if it were believed.
  for (State& state : states) state.points[0].value = std::string("x");
  stored = store(names, writer, states).at(0);
  std::string& bytes = stored.bytes;
  const size_t text = bytes.size() - 4 - 2;  // "x" of length 1, at the end of the body
  ASSERT_EQ(bytes[text], 1);
  ASSERT_EQ(bytes[text + 1], 'x');
  std::string big = bytes.substr(0, text);
  big += std::string("\x80\x80\x04", 3) + std::string(65536, 'x') + "sign";
  stored.bytes = big;
  sign(stored);
  const auto loaded = load(names, stored);
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().message, "chunk: too much text");
}

TEST(Chunk, MutationsNeverBreakTheDecoder) {
  const uint64_t seed = kLong ? std::random_device{}() : 3;
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  Names names;
  ChunkWriter writer;
  int accepted = 0;
  Stored stored;
  for (int round = 0; round < (kLong ? 1'000'000 : 30'000); ++round) {
    if (round % 50 == 0) stored = store(names, writer, random_states(names, random)).at(0);
    Stored broken = stored;
    for (uint64_t i = 0; i <= random() % 4; ++i) {
      const size_t at = random() % broken.bytes.size();
      switch (random() % 5) {
        case 0:
          broken.bytes[at] = static_cast<char>(random());
          break;
        case 1:
          broken.bytes.erase(at, random() % 8);
          break;
        case 2:
          broken.bytes.insert(at, 1 + random() % 8, static_cast<char>(random()));
          break;
        case 3:
          broken.bytes[at] = static_cast<char>(0xff);
          break;
        default:
          broken.key.points += static_cast<int64_t>(random() % 5) - 2;
          break;
      }
      if (broken.bytes.size() < 8) broken.bytes.resize(8);
    }
    sign(broken);
    const auto loaded = load(names, broken);
    if (!loaded) continue;
    // Whatever is accepted must be a chunk: as many points as said, times ascending, and the same
    // states when it is written and read again.
    ++accepted;
    int64_t points = 0;
    for (size_t i = 0; i < loaded->size(); ++i) {
      points += static_cast<int64_t>((*loaded)[i].points.size());
      if (i > 0) {
        ASSERT_LT((*loaded)[i - 1].time_ms, (*loaded)[i].time_ms);
      }
    }
    ASSERT_EQ(points, broken.key.points);
  }
  EXPECT_GT(accepted, 100) << "mutations are too coarse to test anything";
}

}  // namespace
}  // namespace fieldpost
