// SPDX-License-Identifier: Apache-2.0
#include "store/thin.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "fakes/test_env.hpp"
#include "store/store_fixture.hpp"

namespace fieldpost {
namespace {

using testing::symbol;

constexpr int64_t kMinute = 60'000;

Keep thin_all(Symbol /*attribute*/) { return Keep::Thin; }

// One reading of "x" each second from `ms` on.
std::vector<State> series(int64_t ms, const std::vector<Value>& values) {
  std::vector<State> states;
  for (const Value& value : values) {
    states.push_back({ms, {{symbol("x"), value}}});
    ms += 1000;
  }
  return states;
}

// "0s 1, 3s 8.5": what is left of `attribute`.
std::string left(const Thinned& thinned, const std::string& attribute = "x") {
  std::string text;
  for (const State& state : thinned.states) {
    for (const Point& point : state.points) {
      if (*point.attribute != attribute) continue;
      if (!text.empty()) text += ", ";
      text += std::to_string(state.time_ms / 1000) + "s " + to_text(point.value);
    }
  }
  return text;
}

std::string after_one_round(const std::vector<Value>& values, int64_t ms = 0, int64_t offset = 0) {
  return left(thin(series(ms, values), thin_all, offset));
}

TEST(Thin, KeepsLeastAndGreatestOfFourWithTheirTimes) {
  EXPECT_EQ(after_one_round({2., 1., 3., 2., 4., 9., 5., 8.}), "1s 1, 2s 3, 4s 4, 5s 9");
  EXPECT_EQ(after_one_round({5., 4., 3., 2.}), "0s 5, 3s 2");
}

TEST(Thin, KeepsTheExtremesOfARest) {
  EXPECT_EQ(after_one_round({1.}), "0s 1");
  EXPECT_EQ(after_one_round({1., 2.}), "0s 1, 1s 2");
  EXPECT_EQ(after_one_round({1., 3., 2.}), "0s 1, 1s 3");
  EXPECT_EQ(after_one_round({1., 2., 3., 4., 5.}), "0s 1, 3s 4, 4s 5");
}

TEST(Thin, KeepsFirstAndLastOfAConstantStretch) {
  EXPECT_EQ(after_one_round(std::vector<Value>(100, 7.)), "0s 7, 99s 7");
  EXPECT_EQ(after_one_round({7., 7., 7., 7., 7., 7., 9., 7., 7., 7.}), "0s 7, 6s 9, 9s 7");
}

TEST(Thin, KeepsChangesOfBooleansAndTexts) {
  EXPECT_EQ(after_one_round({true, true, true, false, false, true, true, true}),
            "0s true, 3s false, 5s true, 7s true");
  EXPECT_EQ(after_one_round({"a", "a", "b", "b", "b", "a"}), "0s \"a\", 2s \"b\", 5s \"a\"");
}

TEST(Thin, AChangeOfTypeIsAChange) {
  EXPECT_EQ(after_one_round({1., 2., 3., true, true, true, 4., 5., 6.}),
            "0s 1, 2s 3, 3s true, 5s true, 6s 4, 8s 6");
}

// What is left of a half hour that rises and one that falls: without the border at the full hour
// the first would lose its greatest.
TEST(Thin, DoesNotCrossTheHourOfUtc) {
  const int64_t offset = 1'700'000'000'123;
  const int64_t full_hour = 3'600'000 - offset % 3'600'000;  // on the row's clock
  EXPECT_EQ(after_one_round({1., 2., 8., 9.}, full_hour - 2000, offset),
            left(thin(
                series(full_hour - 2000, {1., 2., 8., 9.}), [](Symbol) { return Keep::All; }, 0)));
  EXPECT_EQ(thin(series(full_hour, {1., 2., 8., 9.}), thin_all, offset).after, 2);
  // Before 1970, too, an hour is an hour.
  EXPECT_EQ(after_one_round({1., 2., 8., 9.}, -2000), "-2s 1, -1s 2, 0s 8, 1s 9");
}

TEST(Thin, KeepAllAndNewest) {
  std::vector<State> states;
  for (int i = 0; i < 8; ++i) {
    states.push_back({i * 1000, {{symbol("x"), 1. * i}, {symbol("y"), 1. * i}, {symbol("z"), 0.}}});
  }
  const auto keep = [](Symbol s) {
    return *s == "x" ? Keep::All : *s == "y" ? Keep::Newest : Keep::Thin;
  };
  const Thinned out = thin(states, keep, 0);
  EXPECT_EQ(left(out, "x"), "0s 0, 1s 1, 2s 2, 3s 3, 4s 4, 5s 5, 6s 6, 7s 7");
  EXPECT_EQ(left(out, "y"), "7s 7");
  EXPECT_EQ(left(out, "z"), "0s 0, 7s 0");
  EXPECT_EQ(out.before, 24);
  EXPECT_EQ(out.after, 11);
  using Gone = std::vector<std::pair<Symbol, int64_t>>;
  EXPECT_EQ(out.gone, (Gone{{symbol("y"), 7}, {symbol("z"), 6}}));
}

// Two rows may have a value of one attribute in the same millisecond: that is why they are two.
TEST(Thin, OfTwoInOneMillisecondTheLaterMovesOn) {
  const auto keep = [](Symbol) { return Keep::All; };
  const std::vector<State> states = {{5, {{symbol("x"), 1.}, {symbol("y"), 1.}}},
                                     {6, {{symbol("x"), 3.}}},
                                     {5, {{symbol("x"), 2.}}}};
  const Thinned out = thin(states, keep, 0);
  std::vector<std::string> all;
  for (const State& state : out.states) {
    for (const Point& p : state.points) {
      all.push_back(std::to_string(state.time_ms) + *p.attribute + to_text(p.value));
    }
  }
  EXPECT_EQ(all, (std::vector<std::string>{"5x1", "5y1", "6x2", "7x3"}));
}

TEST(Thin, NothingOfNothing) {
  const Thinned out = thin({}, thin_all, 0);
  EXPECT_TRUE(out.states.empty());
  EXPECT_EQ(out.before, 0);
}

TEST(Thin, ARoundThatTakesLittleIsTheLast) {
  const auto round = [](uint8_t before_round, int64_t before, int64_t after) {
    return round_after(before_round, {{}, before, after, {}});
  };
  EXPECT_EQ(round(0, 800, 400), 1);
  EXPECT_EQ(round(3, 800, 700), 4);
  EXPECT_EQ(round(3, 800, 701), kFullyThinned);
  EXPECT_EQ(round(254, 800, 400), kFullyThinned);
}

// ---- Random series.

struct Key {
  Symbol attribute;
  int64_t hour;
  auto operator<=>(const Key&) const = default;
};
struct Extremes {
  double least, greatest;
  bool operator==(const Extremes&) const = default;
};

std::map<Key, Extremes> extremes_of(const std::vector<State>& states, int64_t offset) {
  std::map<Key, Extremes> found;
  for (const State& state : states) {
    for (const Point& point : state.points) {
      const auto* n = std::get_if<double>(&point.value);
      if (n == nullptr) continue;
      // All times and offsets of these tests are above zero.
      const Key key{point.attribute, (state.time_ms + offset) / kThinHourMs};
      const auto [it, is_new] = found.try_emplace(key, Extremes{*n, *n});
      it->second = {std::min(it->second.least, *n), std::max(it->second.greatest, *n)};
    }
  }
  return found;
}

// The values one after the other, without repeats.
std::vector<Value> changes_of(const std::vector<State>& states, Symbol attribute) {
  std::vector<Value> values;
  for (const State& state : states) {
    for (const Point& point : state.points) {
      if (point.attribute != attribute) continue;
      if (values.empty() || values.back() != point.value) values.push_back(point.value);
    }
  }
  return values;
}

std::map<Symbol, int64_t> counts_of(const std::vector<State>& states) {
  std::map<Symbol, int64_t> counts;
  for (const State& state : states) {
    for (const Point& point : state.points) ++counts[point.attribute];
  }
  return counts;
}

class ThinRandom : public ::testing::Test {
 protected:
  // Hours of readings that come and go: some attributes rarely, some in long constant stretches.
  std::vector<State> random_states() {
    std::vector<State> states;
    int64_t ms = draw(1, 10 * kMinute);
    const int64_t step = draw(1, 3 * kMinute);
    double walk = 0;
    for (int64_t n = draw(1, 400); n > 0; --n) {
      ms += draw(1, step);
      State state{ms, {}};
      walk += static_cast<double>(draw(-5, 5)) / 10;
      if (draw(0, 9) > 0) state.points.push_back({symbol("walk"), walk});
      if (draw(0, 3) == 0)
        state.points.push_back({symbol("step"), static_cast<double>(ms / step / 50)});
      if (draw(0, 1) == 0) state.points.push_back({symbol("flag"), draw(0, 5) == 0});
      if (draw(0, 4) == 0) state.points.push_back({symbol("text"), std::to_string(draw(0, 2))});
      if (draw(0, 4) == 0) state.points.push_back({symbol("all"), walk});
      if (draw(0, 4) == 0) state.points.push_back({symbol("newest"), walk});
      if (!state.points.empty()) states.push_back(std::move(state));
    }
    return states;
  }
  int64_t draw(int64_t min, int64_t max) {
    return std::uniform_int_distribution<int64_t>(min, max)(random_);
  }
  static Keep keep(Symbol s) {
    return *s == "all" ? Keep::All : *s == "newest" ? Keep::Newest : Keep::Thin;
  }

  const uint64_t seed_ = test::seed();
  std::mt19937_64 random_{seed_};
};

void expect_strict_order(const std::vector<State>& states) {
  for (size_t i = 0; i < states.size(); ++i) {
    if (i > 0) {
      EXPECT_LT(states[i - 1].time_ms, states[i].time_ms);
    }
    std::set<Symbol> attributes;
    for (const Point& p : states[i].points) EXPECT_TRUE(attributes.insert(p.attribute).second);
    EXPECT_FALSE(states[i].points.empty());
  }
}

void expect_counts_add_up(const std::vector<State>& before, const Thinned& thinned) {
  auto counts = counts_of(before);
  int64_t gone = 0;
  for (const auto& [attribute, n] : thinned.gone) {
    EXPECT_GT(n, 0);
    counts[attribute] -= n;
    gone += n;
  }
  EXPECT_EQ(counts, counts_of(thinned.states));
  EXPECT_EQ(thinned.before, thinned.after + gone);
}

TEST_F(ThinRandom, RoundAfterRoundKeepsWhatItPromises) {
  for (int i = 0; i < (test::is_long() ? 5000 : 200); ++i) {
    SCOPED_TRACE("FIELDPOST_SEED=" + std::to_string(seed_) + ", series " + std::to_string(i));
    const int64_t offset = draw(0, 10 * kThinHourMs);
    const auto original = random_states();
    auto states = original;
    auto extremes = extremes_of(original, offset);
    std::erase_if(extremes, [](const auto& e) { return *e.first.attribute == "newest"; });
    int rounds = 0;
    for (;; ++rounds) {
      Thinned thinned = thin(states, keep, offset);
      expect_strict_order(thinned.states);
      expect_counts_add_up(states, thinned);
      const bool still = thinned.after == thinned.before;
      states = std::move(thinned.states);
      if (still) break;
      ASSERT_LT(rounds, 12);  // from 400 readings on
    }
    auto now = extremes_of(states, offset);
    std::erase_if(now, [](const auto& e) { return *e.first.attribute == "newest"; });
    EXPECT_EQ(now, extremes);
    for (const char* name : {"flag", "text", "all"}) {
      EXPECT_EQ(changes_of(states, symbol(name)), changes_of(original, symbol(name))) << name;
    }
    auto counts = counts_of(states);
    EXPECT_EQ(counts[symbol("all")], counts_of(original)[symbol("all")]);
    EXPECT_LE(counts[symbol("newest")], 1);
    const auto newest = changes_of(original, symbol("newest"));
    if (!newest.empty()) {
      EXPECT_EQ(changes_of(states, symbol("newest")), std::vector{newest.back()});
    }
    for (const char* name : {"walk", "step"}) {
      const auto hours = std::ranges::count_if(
          extremes, [&](const auto& e) { return *e.first.attribute == name; });
      EXPECT_LE(counts[symbol(name)], 2 * hours) << name;
    }
  }
}

// Of those that are kept, each is a reading that was there, at its own time.
TEST_F(ThinRandom, InventsNothing) {
  for (int i = 0; i < 50; ++i) {
    SCOPED_TRACE("FIELDPOST_SEED=" + std::to_string(seed_) + ", series " + std::to_string(i));
    const auto original = random_states();
    std::multiset<std::string> were;
    for (const State& state : original) {
      for (const Point& p : state.points) were.insert(testing::describe("d", state.time_ms, p));
    }
    for (const State& state : thin(original, keep, 0).states) {
      for (const Point& p : state.points) {
        EXPECT_EQ(were.erase(testing::describe("d", state.time_ms, p)), 1u);
      }
    }
  }
}

}  // namespace
}  // namespace fieldpost
