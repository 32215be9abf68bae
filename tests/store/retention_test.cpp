// SPDX-License-Identifier: Apache-2.0
#include "store/retention.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "fakes/test_env.hpp"

namespace fieldpost {
namespace {

constexpr int64_t kMuch = int64_t{1} << 40;
using Ids = std::vector<int64_t>;

// Rows as a table would have them; what a step says is done to the numbers alone: a round leaves
// half of the readings and bytes, down to `floor` readings.
class RetentionTest : public ::testing::Test {
 protected:
  RowSummary& add(int64_t device, int64_t readings = 100, int64_t bytes = 200) {
    const int64_t id = next_id_++;
    RowSummary& row = rows_[id];
    row = {.id = id,
           .device = device,
           .boot = 1,
           .readings = readings,
           .bytes = bytes,
           .t0_ms = id * 1000,
           .span_ms = 999};
    return row;
  }
  Retention::Step step(int64_t wanted = kMuch) {
    auto made = retention_.next_step(wanted, stored(), [&](int64_t after) { return next(after); });
    EXPECT_TRUE(made);
    return *made;
  }
  // The rows of the next step, which must be a Replace.
  Ids replaced(int64_t wanted = kMuch) {
    const auto made = step(wanted);
    const auto* replace = std::get_if<Retention::Replace>(&made);
    return replace == nullptr ? Ids{} : replace->rows;
  }
  Ids dropped(int64_t wanted = kMuch) {
    const auto made = step(wanted);
    const auto* drop = std::get_if<Retention::Drop>(&made);
    return drop == nullptr ? Ids{} : drop->rows;
  }
  Ids stripped(int64_t wanted = kMuch) {
    const auto made = step(wanted);
    const auto* strip = std::get_if<Retention::Strip>(&made);
    return strip == nullptr ? Ids{} : strip->rows;
  }
  Result<std::optional<RowSummary>> next(int64_t after) {
    ++looks_;
    const auto it = rows_.upper_bound(after);
    return it == rows_.end() ? std::nullopt : std::optional(it->second);
  }
  int64_t stored() const {
    int64_t sum = 0;
    for (const auto& [id, row] : rows_) sum += row.bytes;
    return sum;
  }
  void carry_out(const Retention::Replace& replace, int64_t floor) {
    RowSummary joined = rows_.at(replace.rows.front());
    joined.readings = joined.bytes = 0;
    for (const int64_t id : replace.rows) {
      const RowSummary& row = rows_.at(id);
      joined.readings += row.readings;
      joined.bytes += row.bytes;
      joined.span_ms = row.t0_ms + row.span_ms - joined.t0_ms;
    }
    const int64_t before = joined.readings;
    joined.readings = std::max(before / 2, std::min(before, floor));
    joined.bytes = joined.bytes * joined.readings / before;
    joined.round = round_after(replace.round, {{}, before, joined.readings, {}});
    for (const int64_t id : replace.rows) rows_.erase(id);
    rows_[joined.id] = joined;
  }

  std::map<int64_t, RowSummary> rows_;
  int64_t next_id_ = 1;
  int64_t looks_ = 0;
  Retention retention_;
};

TEST_F(RetentionTest, DoesNothingWhileSpaceIsNotShort) {
  for (int i = 0; i < 10; ++i) add(1);
  EXPECT_TRUE(std::holds_alternative<Retention::Nothing>(step(0)));
  EXPECT_TRUE(std::holds_alternative<Retention::Nothing>(step(-5)));
  EXPECT_EQ(looks_, 0);
}

TEST_F(RetentionTest, NothingOfNothing) {
  EXPECT_TRUE(std::holds_alternative<Retention::Nothing>(step()));
}

TEST_F(RetentionTest, JoinsNeighboursOfOneDeviceAcrossRowsOfOthers) {
  for (int i = 0; i < 4; ++i) {
    add(1);
    add(2);
  }
  EXPECT_EQ(replaced(), (Ids{1, 3, 5, 7}));
  EXPECT_EQ(replaced(), (Ids{2, 4, 6, 8}));
}

TEST_F(RetentionTest, ThreeSmallRowsAreNotWorthIt) {
  for (int i = 0; i < 3; ++i) add(1);
  EXPECT_EQ(replaced(), Ids{});
  add(1);
  retention_ = {};
  EXPECT_EQ(replaced(), (Ids{1, 2, 3, 4}));
}

TEST_F(RetentionTest, ARowOfManyPagesIsWorthItAlone) {
  add(1, 3000, kMinStepBytes);
  EXPECT_EQ(replaced(), Ids{1});
}

TEST_F(RetentionTest, ARunEndsWithTheBootTheRoundAndARowThatIsHeldOrThinned) {
  const auto differs_at_the_fifth = [&](auto change) {
    rows_.clear();
    retention_ = {};
    next_id_ = 1;
    for (int i = 0; i < 9; ++i) add(1);
    change(rows_.at(5));
    EXPECT_EQ(replaced(), (Ids{1, 2, 3, 4}));
    EXPECT_EQ(replaced(), (Ids{6, 7, 8, 9}));
  };
  differs_at_the_fifth([](RowSummary& row) { row.boot = 2; });
  differs_at_the_fifth([](RowSummary& row) { row.round = 1; });
  differs_at_the_fifth([](RowSummary& row) { row.round = kFullyThinned; });
  differs_at_the_fifth([](RowSummary& row) { row.held = true; });
  differs_at_the_fifth([](RowSummary& row) { row.bytes = kMaxStepBytes + 1; });
}

TEST_F(RetentionTest, AStepIsBounded) {
  for (int i = 0; i < 1000; ++i) add(1, 5, 50);
  EXPECT_EQ(replaced().size(), kMaxStepRows);
  rows_.clear();
  retention_ = {};
  for (int i = 0; i < 1000; ++i) add(1, 1000, 900);
  EXPECT_EQ(replaced().size(), kMaxStepReadings / 1000);
  rows_.clear();
  retention_ = {};
  for (int i = 0; i < 1000; ++i) add(1, 100, 5000);
  EXPECT_EQ(replaced().size(), kMaxStepBytes / 5000);
  rows_.clear();
  retention_ = {};
  for (int i = 0; i < 20; ++i) add(1).t0_ms = i * 5 * kThinHourMs;
  EXPECT_EQ(replaced().size(), 5u);
}

TEST_F(RetentionTest, ManyFullyThinnedRowsDoNotStallTheThread) {
  for (int i = 0; i < 3 * kMaxLooks; ++i) add(1).round = kFullyThinned;
  for (int i = 0; i < 4; ++i) add(1);
  EXPECT_TRUE(std::holds_alternative<Retention::Look>(step()));
  EXPECT_LE(looks_, kMaxLooks);
  Ids rows;
  while (rows.empty() && looks_ < 5 * kMaxLooks) rows = replaced();
  EXPECT_EQ(rows.size(), 4u);
  // They are not looked at again in the next search.
  step(0);
  looks_ = 0;
  EXPECT_EQ(replaced().size(), 4u);
  EXPECT_LE(looks_, 10);
}

// What is read in one tenth of the space, in rounds: the oldest tenth until it gives no more, and
// only then the next.
TEST_F(RetentionTest, TheOldestTenthFirst) {
  for (int i = 0; i < 10'000; ++i) add(i % 3);
  const int64_t tenth = 1000;  // rows
  bool finished = false;
  for (int steps = 0; steps < 2000 && !finished; ++steps) {
    const auto made = step();
    if (const auto* replace = std::get_if<Retention::Replace>(&made)) {
      if (replace->rows.back() > tenth + 3) {
        // Younger than the oldest tenth was in the beginning: by now that has given a half.
        int64_t bytes = 0;
        for (const auto& [id, row] : rows_) bytes += id <= tenth ? row.bytes : 0;
        EXPECT_LE(bytes, tenth * 200 / 2 + 3 * 4 * 200);
        finished = true;
      } else {
        carry_out(*replace, 10);
      }
    }
  }
  EXPECT_TRUE(finished);
}

// In one search, too: to strip comes after the last round.
TEST_F(RetentionTest, ThinsRoundAfterRoundBeforeItStrips) {
  for (int i = 0; i < 2000; ++i) add(i % 3);
  for (;;) {
    const auto made = step();
    if (const auto* replace = std::get_if<Retention::Replace>(&made)) {
      carry_out(*replace, 10);
      continue;
    }
    if (std::holds_alternative<Retention::Look>(made)) continue;
    EXPECT_TRUE(std::holds_alternative<Retention::Strip>(made));
    break;
  }
  // Of 2000 rows of 200 bytes; what is left is too little to be joined.
  EXPECT_LE(stored(), 2000 * 200 / 16);
}

// A device that is flushed rarely has few rows in a tenth, but no less of its age.
TEST_F(RetentionTest, RareRowsAreThinnedTogetherWithFrequentOnes) {
  for (int i = 0; i < 10'000; ++i) add(i % 100 == 50 ? 7 : 1);
  bool rare = false;
  for (int steps = 0; steps < 200 && !rare; ++steps) {
    const auto made = step();
    const auto* replace = std::get_if<Retention::Replace>(&made);
    ASSERT_NE(replace, nullptr);
    rare = rows_.at(replace->rows.front()).device == 7;
    EXPECT_LE(replace->rows.back(), 1010);
    carry_out(*replace, 10);
  }
  EXPECT_TRUE(rare);
}

TEST_F(RetentionTest, DropsTheOldestWhenNothingIsLeftToThin) {
  for (int i = 0; i < 100; ++i) add(i % 2, 100, 1000).round = kNothingButAll;
  rows_.at(2).held = true;
  EXPECT_EQ(dropped(2500), (Ids{1, 3, 4}));
  EXPECT_EQ(dropped().size(), kMaxStepRows);
  for (auto& [id, row] : rows_) row.held = true;
  EXPECT_EQ(dropped(2500), (Ids{1, 2, 3})) << "when there are no others";
  rows_.clear();
  EXPECT_TRUE(std::holds_alternative<Retention::Nothing>(step()));
}

TEST_F(RetentionTest, AllAreStrippedBeforeAnyIsDropped) {
  for (int i = 0; i < 100; ++i) add(i % 2, 100, 1000).round = kFullyThinned;
  rows_.at(2).held = true;
  EXPECT_EQ(stripped(2500), (Ids{1, 3, 4}));
  for (const int64_t id : {1, 3, 4}) rows_.at(id).round = kNothingButAll;
  for (Ids rows = stripped(); !rows.empty(); rows = stripped()) {
    EXPECT_LE(rows.size(), kMaxStepRows);
    for (const int64_t id : rows) rows_.at(id).round = kNothingButAll;
  }
  for (const auto& [id, row] : rows_) EXPECT_TRUE(row.held || row.round == kNothingButAll) << id;
  EXPECT_EQ(dropped(1500), (Ids{1, 3}));
}

TEST_F(RetentionTest, NewRowsAreThinnedBeforeMoreIsDropped) {
  for (int i = 0; i < 10; ++i) add(1, 100, 1000).round = kNothingButAll;
  EXPECT_EQ(dropped(500), Ids{1});
  rows_.erase(1);
  for (int i = 0; i < 5; ++i) add(1);
  EXPECT_EQ(replaced(), (Ids{11, 12, 13, 14, 15}));
}

// Rows that were seen and are gone since are in no later step.
TEST_F(RetentionTest, AStrippedRowIsNotJoined) {
  for (int i = 0; i < 3; ++i) add(1);
  EXPECT_EQ(stripped(300), (Ids{1, 2}));
  rows_.erase(1);
  rows_.erase(2);
  for (int i = 0; i < 6; ++i) add(1);
  const auto rows = replaced();
  EXPECT_GE(rows.size(), 4u);
  for (const int64_t id : rows) EXPECT_TRUE(rows_.contains(id)) << id;
}

TEST_F(RetentionTest, PassesErrorsOn) {
  const auto made = retention_.next_step(1, 1000, [](int64_t) -> Result<std::optional<RowSummary>> {
    return Error{Errc::Io, "disk I/O error"};
  });
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Errc::Io);
}

// ---- Any rows.

void expect_lawful(const Retention::Replace& step, const std::map<int64_t, RowSummary>& rows) {
  const RowSummary& first = rows.at(step.rows.front());
  EXPECT_EQ(step.round, first.round);
  int64_t readings = 0;
  int64_t bytes = 0;
  size_t between = 0;  // rows of the device from the first to the last
  for (auto it = rows.find(step.rows.front()); it != rows.end(); ++it) {
    if (it->first > step.rows.back()) break;
    if (it->second.device == first.device) ++between;
  }
  EXPECT_EQ(between, step.rows.size());
  EXPECT_TRUE(std::ranges::is_sorted(step.rows));
  for (const int64_t id : step.rows) {
    const RowSummary& row = rows.at(id);
    EXPECT_FALSE(row.held);
    EXPECT_LT(row.round, kFullyThinned);
    EXPECT_EQ(std::tuple(row.device, row.boot, row.round),
              std::tuple(first.device, first.boot, first.round));
    readings += row.readings;
    bytes += row.bytes;
  }
  EXPECT_LE(readings, kMaxStepReadings);
  EXPECT_LE(bytes, kMaxStepBytes);
  EXPECT_TRUE(step.rows.size() >= kMinStepRows || bytes >= kMinStepBytes);
}

// Whatever the rows: it ends, every step is lawful, and nothing is dropped before all else is gone,
// nor what is held before all that is not.
TEST_F(RetentionTest, AnyRowsEndInNothing) {
  const uint64_t seed = test::seed();
  std::mt19937_64 random(seed);
  const auto draw = [&](int64_t min, int64_t max) {
    return std::uniform_int_distribution<int64_t>(min, max)(random);
  };
  for (int i = 0; i < (test::is_long() ? 500 : 30); ++i) {
    SCOPED_TRACE("FIELDPOST_SEED=" + std::to_string(seed) + ", table " + std::to_string(i));
    rows_.clear();
    retention_ = {};
    int64_t boot = 1;
    const auto append = [&] {
      RowSummary& row = add(draw(1, 5), draw(1, 3000), draw(40, 9000));
      if (draw(0, 200) == 0) ++boot;
      row.boot = boot;
      if (draw(0, 30) == 0) row.round = kFullyThinned;
      if (draw(0, 30) == 0) row.held = true;
    };
    for (int64_t n = draw(0, 3000); n > 0; --n) append();
    const int64_t floor = draw(1, 500);
    bool ended = false;
    for (int steps = 0; steps < 100'000 && !ended; ++steps) {
      if (draw(0, 20) == 0 && steps < 1000) append();
      const auto made = step(draw(0, 300) == 0 ? 0 : kMuch);
      if (const auto* replace = std::get_if<Retention::Replace>(&made)) {
        expect_lawful(*replace, rows_);
        carry_out(*replace, floor);
      } else if (const auto* strip = std::get_if<Retention::Strip>(&made)) {
        for (const int64_t id : strip->rows) {
          EXPECT_FALSE(rows_.at(id).held);
          rows_.at(id).round = kNothingButAll;
        }
      } else if (const auto* drop = std::get_if<Retention::Drop>(&made)) {
        const bool held = rows_.at(drop->rows.front()).held;
        for (const auto& [id, row] : rows_) {
          ASSERT_TRUE(row.held || (!held && row.round == kNothingButAll)) << id;
        }
        for (const int64_t id : drop->rows) rows_.erase(id);
      }
      ended = rows_.empty();
    }
    EXPECT_TRUE(ended);
  }
}

}  // namespace
}  // namespace fieldpost
