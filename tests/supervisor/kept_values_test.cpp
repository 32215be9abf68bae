// SPDX-License-Identifier: Apache-2.0
#include "supervisor/kept_values.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "fakes/test_env.hpp"

namespace fieldpost {
namespace {

using Id = KeptValues::Id;
using Values = std::vector<KeptValue>;

const Id kMeter{"meter", "gpio"};
constexpr char kBoot[] = "9f1c2a70-0000-4000-8000-123456789abc";

KeptValues with(const Id& id, const Values& values) {
  KeptValues kept;
  kept.configure({id});
  EXPECT_TRUE(kept.keep(id, values));
  return kept;
}

TEST(KeptValues, AProcessIsToldWhatTheOneBeforeHasKept) {
  KeptValues kept = with(kMeter, {{"pulses", 7}, {"missed", 0}});
  EXPECT_TRUE(kept.keep(kMeter, {{"pulses", 9}}));
  EXPECT_EQ(kept.begin(kMeter), (Values{{"missed", 0}, {"pulses", 9}}));
  EXPECT_EQ(kept.begin({"meter", "sim"}), Values{}) << "another type is another instance";
}

TEST(KeptValues, TheFileBringsAllBack) {
  KeptValues kept = with(kMeter, {{"a", INT64_MIN}, {"b", INT64_MAX}, {"c-_9", 0}});
  EXPECT_TRUE(kept.keep({"a.b", "sim"}, {{"n", -1}}));
  const std::string text = kept.text(kBoot);
  EXPECT_EQ(KeptValues::boot_of(text), kBoot);
  KeptValues back;
  ASSERT_TRUE(back.restore(text));
  EXPECT_EQ(back.text(kBoot), text);
  EXPECT_EQ(back.begin(kMeter), kept.begin(kMeter));
}

// What the documentation says it looks like: files of this version are read by later ones.
TEST(KeptValues, TheFormOfTheFileStays) {
  EXPECT_EQ(with(kMeter, {{"pulses", 42}}).text("boot"),
            "fieldpost-kept 1 boot\n"
            "instance meter gpio 0\n"
            "value pulses 42\n"
            "sum cf29a4b894950aa9\n");
}

TEST(KeptValues, BeyondTheLimitKeysOfEarlierProcessesGoFirst) {
  KeptValues kept;
  kept.configure({kMeter});
  for (size_t i = 0; i < kMaxKept; ++i) {
    EXPECT_TRUE(kept.keep(kMeter, {{"old" + std::to_string(i), 1}}));
  }
  EXPECT_FALSE(kept.keep(kMeter, {{"one-more", 1}})) << "all are its own";
  EXPECT_EQ(kept.begin(kMeter).size(), kMaxKept);
  EXPECT_TRUE(kept.keep(kMeter, {{"old7", 2}, {"new", 3}}));
  const Values now = kept.begin(kMeter);
  EXPECT_EQ(now.size(), kMaxKept);
  EXPECT_EQ(std::ranges::count(now, KeptValue{"old7", 2}), 1);
  EXPECT_EQ(std::ranges::count(now, KeptValue{"new", 3}), 1);
}

TEST(KeptValues, AnInstanceThatWentIsRememberedUntilManyHaveGone) {
  KeptValues kept = with(kMeter, {{"pulses", 7}});
  kept.configure({});
  for (size_t i = 0; i < KeptValues::kMaxGone - 1; ++i) {
    const Id other{"other" + std::to_string(i), "gpio"};
    kept.configure({other});
    EXPECT_TRUE(kept.keep(other, {{"n", 1}}));
    KeptValues back;
    ASSERT_TRUE(back.restore(kept.text(kBoot)));  // the order survives a restart
    kept = back;
    kept.configure({});
  }
  EXPECT_EQ(kept.begin(kMeter), (Values{{"pulses", 7}}));
  KeptValues returned = kept;
  returned.configure({kMeter});
  kept.configure({{"last", "gpio"}});
  EXPECT_TRUE(kept.keep({"last", "gpio"}, {{"n", 1}}));
  kept.configure({});
  EXPECT_EQ(kept.begin(kMeter), Values{}) << "the oldest goes first";
  EXPECT_EQ(kept.begin({"other0", "gpio"}), (Values{{"n", 1}}));
  EXPECT_EQ(returned.begin(kMeter), (Values{{"pulses", 7}}));
}

// Whatever a disk makes of the file: it is refused whole, or it is what was written.
TEST(KeptValues, AMutatedFileIsRefusedAndChangesNothing) {
  std::mt19937 random(test::seed());
  KeptValues kept = with(kMeter, {{"pulses", 123'456'789}, {"missed", 3}});
  EXPECT_TRUE(kept.keep({"other", "sim"}, {{"n", 77}}));
  const std::string good = kept.text(kBoot);
  const auto any = [&](size_t below) { return random() % below; };
  for (int i = 0; i < 20'000; ++i) {
    std::string text = good;
    for (size_t n = any(3) + 1; n > 0 && !text.empty(); --n) {
      const size_t at = any(text.size());
      switch (any(4)) {
        case 0:
          text[at] = static_cast<char>(any(256));
          break;
        case 1:
          text.resize(at);
          break;
        case 2:
          text.insert(at, good.substr(any(good.size()), any(40)));
          break;
        default:
          text.erase(at, any(40));
      }
    }
    KeptValues read = with(kMeter, {{"pulses", 1}});
    const std::string before = read.text(kBoot);
    if (read.restore(text)) {
      EXPECT_EQ(text, good);
    } else {
      EXPECT_EQ(read.text(kBoot), before);
    }
    (void)KeptValues::boot_of(text);
  }
}

// A body with a checksum that fits, as no version writes it.
TEST(KeptValues, ALineThatMakesNoSenseIsRefused) {
  for (const char* line :
       {"value pulses 1", "instance meter gpio", "instance meter gpio x", "instance meter gpio -1",
        "instance meter gpio 0\nvalue pulses", "instance meter gpio 0\nvalue pulses 1.5",
        "instance meter gpio 0\nvalue pul ses 1", "instance m g 0\nvalue p 9223372036854775808", "",
        "hello"}) {
    KeptValues read;
    EXPECT_FALSE(
        read.restore(KeptValues::sealed(std::string("fieldpost-kept 1 b\n") + line + "\n")))
        << line;
  }
}

}  // namespace
}  // namespace fieldpost
