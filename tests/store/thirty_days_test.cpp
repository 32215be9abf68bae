// SPDX-License-Identifier: Apache-2.0
//
// Thinning, retention and the codec together, as the store uses them but without a disk: thirty
// days of readings in a tenth of the space they need.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>

#include "fakes/test_env.hpp"
#include "store/chunk.hpp"
#include "store/retention.hpp"

namespace fieldpost {
namespace {

constexpr int64_t kBoot = 1;
constexpr int64_t kRowBytes = 32;  // of a row's cell beside its body
constexpr int64_t kDays = 30;
constexpr int64_t kHours = kDays * 24;
constexpr int64_t kFlushMs = 60'000;
constexpr int64_t kBegin = 12'345;  // on the clock of the boot, no full hour of UTC
constexpr int64_t kUtcOffset = 1'700'000'123'456;

int64_t step_ms() { return test::is_long() ? 1'000 : 10'000; }

// 20 attributes of two devices, by what moves them; [a] is the attribute's number.
class Plant {
 public:
  static constexpr size_t kAttributes = 20;
  static constexpr size_t kNumbers = 17;  // the first
  explicit Plant(uint64_t seed) : random_(seed) {
    for (size_t a = 0; a < kAttributes; ++a) names_[a] = table_.intern("a" + std::to_string(a));
  }
  static int64_t device_of(size_t a) { return a < 12 ? 1 : 2; }
  Symbol name(size_t a) const { return names_[a]; }
  size_t index(Symbol name) const {
    return static_cast<size_t>(std::ranges::find(names_, name) - names_.begin());
  }
  static Keep keep(size_t a) { return a == 18 ? Keep::All : a == 19 ? Keep::Newest : Keep::Thin; }

  // Whether there is a reading of `a` now, and which.
  std::optional<Value> read(size_t a, int64_t ms) {
    if (a == 17) {  // a door
      if (draw(2000) == 0) door_ = !door_;
      return door_;
    }
    if (a == 18) {  // a batch's number, to be kept
      if (draw(200) != 0) return std::nullopt;
      return ++batch_;
    }
    if (a == 19) return std::to_string(ms / kThinHourMs);  // a text of state
    double& v = levels_[a];
    const double day = static_cast<double>(ms) / (24. * kThinHourMs);
    switch (a % 6) {
      case 0:  // temperature, a tenth of a degree
        v += static_cast<double>(draw(3)) - 1;
        return std::round(v + 80 * std::sin(6.28 * day)) / 10;
      case 1:  // noise of three digits
        return static_cast<double>(draw(1000)) / 10;
      case 2:  // a meter
        return v += static_cast<double>(draw(5));
      case 3:  // rarely changes
        if (draw(1000) == 0) v = static_cast<double>(draw(100));
        return v;
      case 4:  // a float of full length
        v = 0.99F * static_cast<float>(v) + static_cast<float>(draw(1000)) / 997.F;
        return static_cast<double>(static_cast<float>(v));
      default:  // quiet but for peaks
        return draw(500) == 0 ? 1e3 + static_cast<double>(draw(1000)) : 20.;
    }
  }

 private:
  uint64_t draw(uint64_t below) { return random_() % below; }
  std::minstd_rand random_;
  SymbolTable table_;
  std::array<Symbol, kAttributes> names_{};
  std::array<double, kAttributes> levels_{};
  bool door_ = false;
  double batch_ = 0;
};

// What was true, to hold the rest against.
struct Truth {
  struct Extremes {
    double least = 1e300, greatest = -1e300;
    void add(double v) {
      least = std::min(least, v);
      greatest = std::max(greatest, v);
    }
    bool operator==(const Extremes&) const = default;
  };
  std::map<int64_t, std::array<Extremes, Plant::kNumbers>> hours;
  std::vector<Value> door, batches;
  std::vector<int64_t> door_ms;
  Value state;
  int64_t readings = 0;

  void add(size_t a, int64_t ms, const Value& value) {
    ++readings;
    if (a < Plant::kNumbers) {
      hours[(ms + kUtcOffset) / kThinHourMs].at(a).add(std::get<double>(value));
    } else if (a == 17 && (door.empty() || door.back() != value)) {
      door.push_back(value);
      door_ms.push_back(ms);
    } else if (a == 18) {
      batches.push_back(value);
    } else if (a == 19) {
      state = value;
    }
  }
};

// The outbox as far as it matters: rows by their id, in memory.
class Rows {
 public:
  explicit Rows(const Plant& plant) : plant_(&plant) {
    for (ChunkWriter& writer : writers_) {
      for (size_t a = 0; a < Plant::kAttributes; ++a) {
        writer.learn(plant.name(a), static_cast<uint32_t>(a));
      }
    }
  }
  void append(int64_t device, const std::vector<State>& states) {
    put(next_id_++, device, states, 0);
  }
  // As the store does when it gets close to its limit.
  void make_room(int64_t limit) {
    if (stored_ <= limit / 100 * 97) return;
    for (;;) {
      auto step = retention_.next_step(
          stored_ - limit / 100 * 90, stored_,
          [&](int64_t after) -> Result<std::optional<RowSummary>> {
            const auto it = rows_.upper_bound(after);
            return it == rows_.end() ? std::nullopt : std::optional(it->second.summary);
          });
      ASSERT_TRUE(step);
      if (std::holds_alternative<Retention::Nothing>(*step)) return;
      if (const auto* drop = std::get_if<Retention::Drop>(&*step)) {
        for (const int64_t id : drop->rows) {
          lost += rows_.at(id).summary.readings;
          erase(id);
        }
      }
      if (const auto* replace = std::get_if<Retention::Replace>(&*step)) carry_out(*replace);
    }
  }
  // Calls `each` with device and states of every row.
  template <class F>
  void for_each(F each) const {
    for (const auto& [id, row] : rows_) each(row.summary.device, load(row));
  }
  int64_t stored() const { return stored_; }

  int64_t lost = 0;
  int64_t thinned = 0;

 private:
  struct Row {
    RowSummary summary;
    std::string body;
  };

  void put(int64_t id, int64_t device, const std::vector<State>& states, uint8_t round) {
    ChunkWriter& writer = writers_.at(static_cast<size_t>(device));
    for (const State& state : states) {
      for (const Point& point : state.points) {
        ASSERT_EQ(writer.add(state.time_ms, point), ChunkWriter::Added::Yes);
      }
    }
    Row row{{.id = id,
             .device = device,
             .boot = kBoot,
             .round = round,
             .readings = writer.points(),
             .t0_ms = writer.t0(),
             .span_ms = states.back().time_ms - writer.t0()},
            {}};
    row.body = writer.encode(device, kBoot);
    row.summary.bytes = static_cast<int64_t>(row.body.size()) + kRowBytes;
    stored_ += row.summary.bytes;
    rows_.emplace(id, std::move(row));
  }
  std::vector<State> load(const Row& row) const {
    const RowSummary& s = row.summary;
    auto states = decode_chunk(row.body, {s.device, s.boot, s.t0_ms, s.readings},
                               [&](uint32_t id) { return plant_->name(id); });
    EXPECT_TRUE(states);
    return states ? *std::move(states) : std::vector<State>();
  }
  void carry_out(const Retention::Replace& replace) {
    const int64_t device = rows_.at(replace.rows.front()).summary.device;
    std::vector<State> states;
    for (const int64_t id : replace.rows) {
      for (State& state : load(rows_.at(id))) states.push_back(std::move(state));
      erase(id);
    }
    const Thinned result = thin(
        std::move(states), [&](Symbol s) { return Plant::keep(plant_->index(s)); }, kUtcOffset);
    thinned += result.before - result.after;
    put(replace.rows.front(), device, result.states, round_after(replace.round, result));
  }
  void erase(int64_t id) {
    stored_ -= rows_.at(id).summary.bytes;
    rows_.erase(id);
  }

  const Plant* plant_;
  std::array<ChunkWriter, 3> writers_;  // by device
  std::map<int64_t, Row> rows_;
  int64_t next_id_ = 1;
  int64_t stored_ = 0;
  Retention retention_;
};

class ThirtyDays : public ::testing::Test {
 protected:
  // One flush; returns what it needs, unthinned.
  int64_t flush(int64_t begin) {
    std::array<std::vector<State>, 3> states;
    for (int64_t ms = begin; ms < begin + kFlushMs; ms += step_ms()) {
      for (const int64_t device : {1, 2})
        states.at(static_cast<size_t>(device)).push_back({ms, {}});
      for (size_t a = 0; a < Plant::kAttributes; ++a) {
        auto value = plant_.read(a, ms);
        if (!value) continue;
        truth_.add(a, ms, *value);
        auto& device = states.at(static_cast<size_t>(Plant::device_of(a)));
        device.back().points.push_back({plant_.name(a), *std::move(value)});
      }
    }
    const int64_t before = rows_.stored();
    rows_.append(1, states[1]);
    rows_.append(2, states[2]);
    return rows_.stored() - before;
  }
  // The thirty days, in this part of the space that they need.
  void pass_in(int64_t part) {
    int64_t needed = 0;
    int64_t limit = 0;  // known after a day
    for (int64_t ms = kBegin; ms < kBegin + kHours * kThinHourMs; ms += kFlushMs) {
      needed += flush(ms);
      if (limit == 0 && ms >= kBegin + 24 * kThinHourMs) limit = needed * kDays / part;
      if (limit == 0) continue;
      rows_.make_room(limit);
      ASSERT_LE(rows_.stored(), limit);
    }
    EXPECT_GE(needed, limit * part / 100 * 95);
  }
  // Everything that is left, as the truth of a plant that had measured no more.
  Truth what_is_left() {
    Truth left;
    std::array<int64_t, 3> newest{};
    rows_.for_each([&](int64_t device, const std::vector<State>& states) {
      int64_t& last = newest.at(static_cast<size_t>(device));
      for (const State& state : states) {
        EXPECT_GT(state.time_ms, last);  // sent in the order of time
        last = state.time_ms;
        for (const Point& p : state.points) left.add(plant_.index(p.attribute), last, p.value);
      }
    });
    return left;
  }

  const uint64_t seed_ = test::seed();
  Plant plant_{seed_};
  Rows rows_{plant_};
  Truth truth_;
};

TEST_F(ThirtyDays, InATenthOfTheSpaceEveryHourHasItsExtremes) {
  SCOPED_TRACE("FIELDPOST_SEED=" + std::to_string(seed_));
  pass_in(10);
  const Truth left = what_is_left();
  EXPECT_EQ(rows_.lost, 0);
  EXPECT_EQ(left.readings + rows_.thinned, truth_.readings);
  EXPECT_GE(left.hours.size(), static_cast<size_t>(kHours));
  EXPECT_TRUE(left.hours == truth_.hours);
  EXPECT_EQ(left.door, truth_.door);
  EXPECT_EQ(left.door_ms, truth_.door_ms);
  EXPECT_EQ(left.batches, truth_.batches);
  EXPECT_EQ(left.state, truth_.state);
}

// Not even the extremes have room: the oldest go, and what is left is whole.
TEST_F(ThirtyDays, InFarLessTheOldestAreDropped) {
  SCOPED_TRACE("FIELDPOST_SEED=" + std::to_string(seed_));
  pass_in(200);
  const Truth left = what_is_left();
  EXPECT_GT(rows_.lost, 0);
  EXPECT_EQ(left.readings + rows_.thinned + rows_.lost, truth_.readings);
  EXPECT_GT(left.hours.size(), 48u);
  EXPECT_EQ(left.hours.rbegin()->first, truth_.hours.rbegin()->first);
  // What goes is rows, and those of the two devices do not end together.
  const int64_t first = left.hours.begin()->first;
  for (int64_t hour = first + 2 * kMaxRowSpanMs / kThinHourMs; truth_.hours.contains(hour);
       ++hour) {
    ASSERT_TRUE(left.hours.contains(hour)) << hour - first;
    EXPECT_TRUE(left.hours.at(hour) == truth_.hours.at(hour)) << hour - first;
  }
}

}  // namespace
}  // namespace fieldpost
