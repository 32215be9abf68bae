// SPDX-License-Identifier: Apache-2.0
//
// Which requests the Modbus plugin makes, against a unit that is a function.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <new>
#include <random>
#include <set>
#include <stdexcept>
#include <string>

#include "blocks.hpp"
#include "fakes/test_env.hpp"

namespace {
size_t allocations = 0;
}  // namespace

// Counted, for the test that there are none.
[[gnu::noinline]] void* operator new(size_t size) {
  ++allocations;
  if (void* p = std::malloc(size)) return p;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(size_t size, const std::nothrow_t& /*tag*/) noexcept {
  ++allocations;
  return std::malloc(size);
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, size_t /*size*/) noexcept { std::free(p); }

namespace fieldpost::modbus {
namespace {

using std::chrono::seconds;

constexpr Table kHolding = Table::Holding;

// Answers each register with its own address, unless it is told otherwise.
struct FakeUnit {
  std::map<uint32_t, uint8_t> refuses;  // address → exception
  uint32_t limit = 125;
  std::set<uint32_t> silent{};
  std::set<uint32_t> fatal{};  // the connection is closed
  bool off = false;
  std::vector<Extent> asked{};
  std::vector<uint16_t> words{};

  Answer operator()(const Extent& what) {
    asked.push_back(what);
    if (off) return {kNoAnswer};
    if (what.count > limit) return {3};
    for (uint32_t a = what.address; a < what.end(); ++a) {
      if (silent.contains(a)) return {kNoAnswer};
      if (fatal.contains(a)) throw std::runtime_error("the connection was closed");
      if (const auto it = refuses.find(a); it != refuses.end()) return {it->second};
    }
    words.clear();
    for (uint32_t a = what.address; a < what.end(); ++a) words.push_back(static_cast<uint16_t>(a));
    return {0, words};
  }
};

struct Result {
  std::map<size_t, std::vector<uint16_t>> words;
  std::map<size_t, uint8_t> exceptions;
  size_t requests = 0;
};

class ModbusBlocks : public testing::Test {
 protected:
  // One cycle. Fails the test when a wanted place is delivered twice.
  Result cycle(ReadPlan& plan, seconds at = seconds(0)) {
    Result result;
    const size_t before = unit.asked.size();
    plan.run(
        Time() + seconds(1000) + at, [this](const Extent& e) { return unit(e); },
        [&](size_t i, std::span<const uint16_t> words, uint8_t exception) {
          EXPECT_FALSE(result.words.contains(i) || result.exceptions.contains(i)) << i;
          if (exception == 0) {
            result.words[i] = {words.begin(), words.end()};
          } else {
            result.exceptions[i] = exception;
          }
        });
    result.requests = unit.asked.size() - before;
    return result;
  }
  static std::vector<Extent> row_of(uint16_t first, size_t n, uint16_t width = 1) {
    std::vector<Extent> all;
    for (size_t i = 0; i < n; ++i) {
      all.push_back({kHolding, static_cast<uint16_t>(first + i * width), width});
    }
    return all;
  }
  FakeUnit unit;
};

TEST_F(ModbusBlocks, NeighboursAndOverlapsShareARequest) {
  ReadPlan plan({{kHolding, 12, 2},
                 {kHolding, 10, 2},
                 {kHolding, 11, 2},
                 {kHolding, 15, 1},  // 14 is not wanted, so not read
                 {Table::Input, 16, 1},
                 {kHolding, 10, 1}});
  EXPECT_EQ(plan.requests(Time()),
            (std::vector<Extent>{{Table::Input, 16, 1}, {kHolding, 10, 4}, {kHolding, 15, 1}}));
  const Result r = cycle(plan);
  EXPECT_EQ(r.words.at(0), (std::vector<uint16_t>{12, 13}));
  EXPECT_EQ(r.words.at(2), (std::vector<uint16_t>{11, 12}));
  EXPECT_EQ(r.words.at(5), (std::vector<uint16_t>{10}));
  EXPECT_EQ(r.words.size(), 6U);
}

TEST_F(ModbusBlocks, TheProtocolsLimitsHoldAndNoValueIsCut) {
  // 124 registers are 62 values of two; the 125th register stays out.
  EXPECT_EQ(ReadPlan(row_of(0, 63, 2)).requests(Time()),
            (std::vector<Extent>{{kHolding, 0, 124}, {kHolding, 124, 2}}));
  EXPECT_EQ(ReadPlan(row_of(65500, 36)).requests(Time()),
            (std::vector<Extent>{{kHolding, 65500, 36}}));
  std::vector<Extent> coils;
  for (uint16_t i = 0; i < 2001; ++i) coils.push_back({Table::Coil, i, 1});
  EXPECT_EQ(ReadPlan(coils).requests(Time()),
            (std::vector<Extent>{{Table::Coil, 0, 2000}, {Table::Coil, 2000, 1}}));
}

TEST_F(ModbusBlocks, ARefusedPlaceIsFoundAndItsNeighboursStayGood) {
  for (uint32_t bad = 100; bad < 200; ++bad) {
    unit = FakeUnit{.refuses = {{bad, 2}}};
    ReadPlan plan(row_of(100, 100));
    const Result first = cycle(plan);
    EXPECT_EQ(first.exceptions, (std::map<size_t, uint8_t>{{bad - 100, 2}}));
    EXPECT_EQ(first.words.size(), 99U);
    EXPECT_LE(first.requests, 15U);  // 1 + 2 log2(100)
    // Not found again and again: one request on each side of it.
    const Result second = cycle(plan, seconds(1));
    EXPECT_EQ(second.exceptions, first.exceptions);
    EXPECT_EQ(second.words, first.words);
    EXPECT_LE(second.requests, 2U);
  }
}

TEST_F(ModbusBlocks, ARefusedPlaceIsTriedAgainAndJoinsItsNeighbours) {
  unit.refuses[120] = 2;
  ReadPlan plan(row_of(100, 40));
  cycle(plan);
  unit.refuses.clear();
  EXPECT_EQ(cycle(plan, seconds(59)).exceptions.size(), 1U);  // not asked yet
  EXPECT_EQ(cycle(plan, seconds(60)).exceptions.size(), 0U);
  const Result joined = cycle(plan, seconds(61));
  EXPECT_EQ(joined.words.size(), 40U);
  EXPECT_EQ(joined.requests, 1U);
}

TEST_F(ModbusBlocks, AFailureThatMayPassIsTriedAgainAtOnceThenWithPauses) {
  unit.refuses[101] = 4;
  ReadPlan plan(row_of(100, 4));
  cycle(plan);
  size_t tried = 0;
  for (int s = 1; s <= 300; ++s) {
    unit.asked.clear();
    EXPECT_EQ(cycle(plan, seconds(s)).exceptions.size(), 1U);
    tried += static_cast<size_t>(std::ranges::count(unit.asked, Extent{kHolding, 101, 1}));
  }
  EXPECT_GE(tried, 6U);
  EXPECT_LE(tried, 12U);
  unit.refuses.clear();
  EXPECT_EQ(cycle(plan, seconds(400)).exceptions.size(), 0U);
}

TEST_F(ModbusBlocks, AUnitThatTakesOnlyShortRequestsIsReadInParts) {
  unit.limit = 32;
  ReadPlan plan(row_of(0, 100));
  EXPECT_EQ(cycle(plan).words.size(), 100U);
  const Result later = cycle(plan, seconds(1));
  EXPECT_EQ(later.words.size(), 100U);
  EXPECT_EQ(later.requests, 4U);  // 25 each, and none is refused
}

TEST_F(ModbusBlocks, ShortRequestsAndARefusedPlaceTogether) {
  unit.limit = 32;
  unit.refuses[40] = 2;
  ReadPlan plan(row_of(0, 100));
  for (int s = 0; s < 5; ++s) {
    const Result r = cycle(plan, seconds(s));
    EXPECT_EQ(r.words.size(), 99U);
    EXPECT_EQ(r.exceptions, (std::map<size_t, uint8_t>{{40, 2}}));
    EXPECT_LE(r.requests, s < 4 ? 30U : 6U);
  }
}

TEST_F(ModbusBlocks, AFunctionThatIsNotThereIsNotSearchedFor) {
  for (uint32_t a = 0; a < 100; ++a) unit.refuses[a] = 1;
  ReadPlan plan(row_of(0, 100));
  EXPECT_EQ(cycle(plan).requests, 1U);
  EXPECT_EQ(cycle(plan, seconds(1)).requests, 0U);
  EXPECT_LE(cycle(plan, seconds(60)).requests, 4U);
}

TEST_F(ModbusBlocks, WhenTheDeviceRecoversAllItsPlacesComeBackTogether) {
  for (uint32_t a = 0; a < 100; ++a) unit.refuses[a] = 4;
  ReadPlan plan(row_of(0, 100));
  EXPECT_EQ(cycle(plan).exceptions.size(), 100U);
  unit.refuses.clear();
  cycle(plan, seconds(1));
  const Result back = cycle(plan, seconds(2));
  EXPECT_EQ(back.words.size(), 100U);
  EXPECT_EQ(back.requests, 1U);
}

TEST_F(ModbusBlocks, ABusyUnitIsNotSearchedAndForgetsNothing) {
  unit.refuses[50] = 6;
  ReadPlan plan(row_of(0, 100));
  const Result busy = cycle(plan);
  EXPECT_EQ(busy.requests, 1U);
  EXPECT_EQ(busy.exceptions.size(), 100U);
  unit.refuses.clear();
  EXPECT_EQ(cycle(plan, seconds(1)).words.size(), 100U);
}

// ---- Holes.

// Four registers, a hole of `hole`, four more, and so on: n times.
std::vector<Extent> with_holes(size_t n, uint16_t hole) {
  std::vector<Extent> all;
  for (size_t i = 0; i < 4 * n; ++i) {
    all.push_back({kHolding, static_cast<uint16_t>(i + i / 4 * hole), 1});
  }
  return all;
}

TEST_F(ModbusBlocks, SmallHolesAreReadAlong) {
  EXPECT_EQ(ReadPlan(with_holes(3, 8), {.gap = 8}).requests(Time()),
            (std::vector<Extent>{{kHolding, 0, 28}}));
  EXPECT_EQ(ReadPlan(with_holes(3, 9), {.gap = 8}).requests(Time()).size(), 3U);
  EXPECT_EQ(ReadPlan(with_holes(3, 1), {.gap = 0}).requests(Time()).size(), 3U);
  // The limit holds with the holes.
  EXPECT_EQ(ReadPlan(with_holes(3, 8), {.registers = 16, .gap = 8}).requests(Time()),
            (std::vector<Extent>{{kHolding, 0, 16}, {kHolding, 24, 4}}));
  // Coils are a sixteenth of the size.
  const std::vector<Extent> coils{{Table::Coil, 0, 1}, {Table::Coil, 33, 1}, {Table::Coil, 67, 1}};
  EXPECT_EQ(ReadPlan(coils, {.gap = 2}).requests(Time()),
            (std::vector<Extent>{{Table::Coil, 0, 34}, {Table::Coil, 67, 1}}));
  ReadPlan plan(with_holes(3, 8), {.gap = 8});
  const Result r = cycle(plan);
  EXPECT_EQ(r.requests, 1U);
  EXPECT_EQ(r.words.at(4), std::vector<uint16_t>{12});
  EXPECT_EQ(r.words.at(11), std::vector<uint16_t>{27});
}

TEST_F(ModbusBlocks, AHoleThatIsRefusedIsLeftOutAndTheOthersAreNot) {
  for (uint32_t bad = 0; bad < 9; ++bad) {
    unit = FakeUnit{.refuses = {{4 + bad * 6, 2}}};
    ReadPlan plan(with_holes(10, 2), {.gap = 8});
    for (int s = 0; s < 3; ++s) {
      const Result r = cycle(plan, seconds(s * 3600));
      EXPECT_EQ(r.words.size(), 40U);  // from the first cycle on
      EXPECT_LE(r.requests, s == 0 ? 9U : 2U) << bad;
    }
  }
}

TEST_F(ModbusBlocks, ManyRefusedHoles) {
  for (uint32_t i = 0; i < 9; ++i) unit.refuses[4 + i * 6] = 2;
  ReadPlan plan(with_holes(10, 2), {.gap = 8});
  for (int s = 0; s < 5; ++s) EXPECT_EQ(cycle(plan, seconds(s)).words.size(), 40U);
  const Result later = cycle(plan, seconds(3600));
  EXPECT_EQ(later.words.size(), 40U);
  EXPECT_EQ(later.requests, 10U);
}

TEST_F(ModbusBlocks, ARefusedHoleAndARefusedPlaceTogether) {
  unit.refuses = {{16, 2}, {26, 2}};  // a hole, and one that is wanted
  ReadPlan plan(with_holes(10, 2), {.gap = 8});
  for (int s = 0; s < 6; ++s) {
    const Result r = cycle(plan, seconds(s));
    EXPECT_EQ(r.words.size(), 39U);
    EXPECT_EQ(r.exceptions, (std::map<size_t, uint8_t>{{18, 2}}));
    EXPECT_LE(r.requests, s < 3 ? 20U : 3U) << s;
  }
}

TEST_F(ModbusBlocks, HolesAndShortRequestsTogether) {
  unit.limit = 16;
  ReadPlan plan(with_holes(10, 2), {.gap = 8});
  for (int s = 0; s < 6; ++s) {
    EXPECT_EQ(cycle(plan, seconds(s)).words.size(), 40U) << s;
  }
  EXPECT_LE(cycle(plan, seconds(7)).requests, 8U);
}

// Some devices are silent where they should refuse.
TEST_F(ModbusBlocks, AHoleWithoutAnAnswerCostsTwoCycles) {
  unit.silent = {5};
  ReadPlan plan(with_holes(3, 2), {.gap = 8});
  size_t whole = 0;
  for (int s = 0; s < 10; ++s) whole += cycle(plan, seconds(s)).words.size() == 12 ? 1 : 0;
  EXPECT_EQ(whole, 8U);
  EXPECT_EQ(cycle(plan, seconds(36000)).words.size(), 12U);
}

// Nor do they answer where they have nothing, though it is wanted.
TEST_F(ModbusBlocks, ASilentPlaceIsFoundByOneHalvingACycle) {
  for (const uint32_t silent : {0U, 37U, 63U}) {
    unit = FakeUnit{.silent = {silent}};
    std::vector<Extent> all = row_of(0, 64);
    all.push_back({kHolding, 1000, 1});
    ReadPlan plan(all);
    for (size_t s = 0, before = 1; s < 9; ++s) {
      const size_t requests = cycle(plan, seconds(s)).requests;
      EXPECT_LE(requests, before + 1) << "cycle " << s;
      before = std::max(before, requests);
    }
    const Result found = cycle(plan, seconds(9));
    EXPECT_EQ(found.words.size(), 64U) << silent;
    for (int s = 10; s < 80; ++s) cycle(plan, seconds(s));
    const Result known = cycle(plan, seconds(80));
    EXPECT_EQ(known.words.size(), 64U);
    EXPECT_EQ(known.exceptions.at(silent), kSilentPlace);
    EXPECT_LE(known.requests, 4U);  // both sides of it, and the one at 1000
    unit.silent.clear();
    EXPECT_EQ(cycle(plan, seconds(200)).words.size(), 65U) << "it is asked again, and back";
    EXPECT_EQ(cycle(plan, seconds(201)).requests, 2U);
  }
}

TEST_F(ModbusBlocks, ASilentPlaceIsFoundAlsoInTheOnlyBlock) {
  unit.silent = {37};
  ReadPlan plan(row_of(0, 64));
  for (int s = 0; s < 24; ++s) cycle(plan, seconds(s));
  const Result found = cycle(plan, seconds(24));
  EXPECT_EQ(found.words.size(), 63U);
}

TEST_F(ModbusBlocks, AnAnswerThatIsLostForOnceChangesNothing) {
  std::vector<Extent> all = row_of(0, 64);
  all.push_back({kHolding, 1000, 1});
  ReadPlan plan(all);
  for (int s = 0; s < 20; ++s) {
    unit.silent = s % 2 == 0 ? std::set<uint32_t>{} : std::set<uint32_t>{37};
    EXPECT_EQ(cycle(plan, seconds(s)).requests, 2U) << s;
  }
}

// A line that loses answers must not lose a register for good.
TEST_F(ModbusBlocks, APlaceThatWasSilentForAWhileIsBackAtOnce) {
  ReadPlan plan({{kHolding, 10, 1}, {kHolding, 1000, 1}});
  unit.silent = {10};
  for (int s = 0; s < 2; ++s) cycle(plan, seconds(s));
  unit.silent.clear();
  EXPECT_EQ(cycle(plan, seconds(2)).words.size(), 2U);
}

// Or they close the connection.
TEST_F(ModbusBlocks, AHoleThatEndsTheConnectionCostsTwoCycles) {
  unit.fatal = {5};
  ReadPlan plan(with_holes(3, 2), {.gap = 8});
  size_t whole = 0;
  for (int s = 0; s < 10; ++s) {
    try {
      whole += cycle(plan, seconds(s)).words.size() == 12 ? 1 : 0;
    } catch (const std::runtime_error&) {
      EXPECT_LT(s, 3);
    }
  }
  EXPECT_EQ(whole, 8U);
}

TEST_F(ModbusBlocks, AUnitThatWasOffIsReadOverItsHolesOnceItIsBack) {
  for (const int off : {0, 1, 2, 3}) {
    unit = FakeUnit{.off = true};
    ReadPlan plan(with_holes(3, 2), {.gap = 8});
    for (int s = 0; s < off; ++s) EXPECT_EQ(cycle(plan, seconds(s)).exceptions.size(), 12U);
    unit.off = false;
    EXPECT_EQ(cycle(plan, seconds(10)).words.size(), 12U) << off;
    EXPECT_EQ(cycle(plan, seconds(11)).words.size(), 12U) << off;
    EXPECT_EQ(cycle(plan, seconds(12)).requests, 1U) << off;
    // It has proven that it can: silence is silence now.
    unit.off = true;
    for (int s = 20; s < 20 + off; ++s) cycle(plan, seconds(s));
    unit.off = false;
    EXPECT_EQ(cycle(plan, seconds(30)).requests, 1U) << off;
  }
}

// A cycle must end in time: what it does not get to is left for the next ones.
TEST_F(ModbusBlocks, ASearchOfManyIsSpreadOverCycles) {
  for (uint32_t a = 0; a < 200; a += 2) unit.refuses[a] = 2;
  ReadPlan plan(row_of(0, 200));
  size_t cycles = 0;
  for (Result r; r.words.size() < 100; ++cycles) {
    ASSERT_LT(cycles, 20U);
    r = cycle(plan, seconds(cycles));
    EXPECT_LE(r.requests, 200U);
    EXPECT_EQ(r.words.size() + r.exceptions.size(), 200U);
  }
  EXPECT_GT(cycles, 1U);
}

TEST_F(ModbusBlocks, ValuesThatOverlapAreReadWhole) {
  // All starts and widths in a row of eight, twice each.
  std::vector<Extent> all;
  for (uint16_t start = 0; start < 8; ++start) {
    for (uint16_t width = 1; start + width <= 8; ++width) {
      all.push_back({kHolding, start, width});
      all.push_back({kHolding, start, width});
    }
  }
  const auto good = [&](const Result& r) {
    for (const auto& [i, words] : r.words) {
      ASSERT_EQ(words.size(), all[i].count);
      for (size_t k = 0; k < words.size(); ++k) EXPECT_EQ(words[k], all[i].address + k);
    }
  };
  ReadPlan plan(all);
  Result r = cycle(plan);
  EXPECT_EQ(r.requests, 1U);
  EXPECT_EQ(r.words.size(), all.size());
  good(r);
  // One bad register takes those with it that contain it, and no other.
  unit.refuses[3] = 2;
  for (int s = 1; s < 20; ++s) r = cycle(plan, seconds(s));
  good(r);
  for (size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(r.exceptions.contains(i), all[i].address <= 3 && all[i].end() > 3) << i;
  }
}

// Whatever a unit refuses, and however short its requests: after a while all that it has is read,
// and what it has not is refused.
TEST_F(ModbusBlocks, FindsWhatAnyUnitHas) {
  const auto seed = test::seed();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  const auto below = [&](uint64_t n) { return static_cast<uint16_t>(random() % n); };
  for (int round = 0; round < 300; ++round) {
    unit = FakeUnit{.limit = 4U + below(122)};
    for (int i = below(12); i > 0; --i)
      unit.refuses[below(300)] = static_cast<uint8_t>(2 + below(3));
    std::vector<Extent> all;
    for (int i = 1 + below(80); i > 0; --i) {
      all.push_back({kHolding, below(296), static_cast<uint16_t>(1 + below(4))});
    }
    ReadPlan plan(all, {.registers = static_cast<uint16_t>(4 + below(122)), .gap = below(20)});
    Result r;
    for (int s = 0; s < 40; ++s) r = cycle(plan, seconds(s));
    for (size_t i = 0; i < all.size(); ++i) {
      const auto bad = unit.refuses.lower_bound(all[i].address);
      const bool has = bad == unit.refuses.end() || bad->first >= all[i].end();
      ASSERT_EQ(r.words.contains(i), has) << "round " << round << " address " << all[i].address;
      if (has) {
        EXPECT_EQ(r.words[i].front(), all[i].address);
      }
    }
  }
}

TEST_F(ModbusBlocks, NothingIsAllocatedOnceAllIsKnown) {
  unit.refuses = {{16, 2}, {26, 2}};
  ReadPlan plan(with_holes(10, 2), {.gap = 8});
  for (int s = 0; s < 6; ++s) cycle(plan, seconds(s));
  const ReadPlan::Ask ask = [this](const Extent& e) { return unit(e); };
  size_t delivered = 0;
  const ReadPlan::Deliver deliver = [&delivered](size_t, std::span<const uint16_t>, uint8_t) {
    ++delivered;
  };
  unit.asked.reserve(1000);
  const size_t before = allocations;
  for (int i = 0; i < 20; ++i) plan.run(Time() + seconds(1006), ask, deliver);
  EXPECT_EQ(allocations, before);
  EXPECT_EQ(delivered, 800U);
}

// ----

TEST_F(ModbusBlocks, BeginsWithWhatWasAnsweredLastTime) {
  unit.silent = {10};
  ReadPlan plan({{kHolding, 10, 1}, {kHolding, 20, 1}, {kHolding, 30, 1}});
  EXPECT_EQ(cycle(plan).exceptions.at(0), kNoAnswer);
  unit.asked.clear();
  cycle(plan, seconds(1));
  EXPECT_EQ(unit.asked.front(), (Extent{kHolding, 20, 1}));
  EXPECT_EQ(unit.asked.back(), (Extent{kHolding, 10, 1}));  // asked whole, every time
}

}  // namespace
}  // namespace fieldpost::modbus
