// SPDX-License-Identifier: Apache-2.0
//
// Thinning, retention and the codec together, as the store uses them but without a disk: thirty
// days of readings in a tenth of the space they need.
#include <gtest/gtest.h>

#include <map>

#include "fakes/test_env.hpp"
#include "plant.hpp"
#include "store/chunk.hpp"
#include "store/retention.hpp"

namespace fieldpost {
namespace {

using testing::kUtcOffset;
using testing::Plant;
using testing::Truth;

constexpr int64_t kBoot = 1;
constexpr int64_t kRowBytes = 32;  // of a row's cell beside its body
constexpr int64_t kDays = 30;
constexpr int64_t kHours = kDays * 24;
constexpr int64_t kFlushMs = 60'000;
constexpr int64_t kBegin = 12'345;  // on the clock of the boot, no full hour of UTC

int64_t step_ms() { return test::is_long() ? 1'000 : 10'000; }

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
      if (const auto* strip = std::get_if<Retention::Strip>(&*step)) {
        for (const int64_t id : strip->rows) carry_out_strip(id);
      }
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
  void carry_out_strip(int64_t id) {
    const Row& row = rows_.at(id);
    std::vector<State> states = load(row);
    const int64_t device = row.summary.device;
    const int64_t before = row.summary.readings;
    int64_t after = 0;
    for (State& state : states) {
      std::erase_if(state.points, [&](const Point& p) {
        return Plant::keep(plant_->index(p.attribute)) != Keep::All;
      });
      after += static_cast<int64_t>(state.points.size());
    }
    std::erase_if(states, [](const State& state) { return state.points.empty(); });
    lost += before - after;
    erase(id);
    if (after > 0) put(id, device, states, kNothingButAll);
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
