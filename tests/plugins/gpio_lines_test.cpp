// SPDX-License-Identifier: Apache-2.0
//
// The parts of the gpio plugin that need no kernel: what edges mean, which chip and line a person
// means, what the configuration may ask for, and what only a fake can provoke.
#include <gtest/gtest.h>

#include <cerrno>

#include "edges.hpp"
#include "fakes/fake_host.hpp"
#include "gpio_rig.hpp"
#include "lines.hpp"

namespace {

using fieldpost::fakes::FakeHost;
using fieldpost::fakes::Row;
using gpio::Change;
using gpio::Edge;
using gpio::EdgeFilter;

constexpr std::optional<Change> kNothing;

std::string thrown(auto&& body) {
  try {
    body();
  } catch (const gpio::LineError& e) {
    return e.what();
  }
  return "nothing was thrown";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(EdgeFilter, WithoutDebounceEveryEdgeCounts) {
  EdgeFilter f(Edge::Both, 0);
  f.start(false);
  EXPECT_EQ(f.on_edge(true, 10), (Change{true, 10}));
  EXPECT_EQ(f.on_edge(true, 11), (Change{true, 11}));  // the one between was lost
  EXPECT_EQ(f.on_edge(false, 12), (Change{false, 12}));
  EXPECT_EQ(f.deadline(), std::nullopt);
  EXPECT_EQ(f.needed(), Edge::Both);
  EXPECT_EQ(EdgeFilter(Edge::Rising, 0).needed(), Edge::Rising);
}

TEST(EdgeFilter, ALevelCountsOnceItHasStoodAndSinceItsEdge) {
  EdgeFilter f(Edge::Both, 100);
  f.start(false);
  EXPECT_EQ(f.on_edge(true, 1000), kNothing);
  EXPECT_EQ(f.deadline(), 1100);
  EXPECT_EQ(f.on_time(1099), kNothing);
  EXPECT_FALSE(f.level());
  EXPECT_EQ(f.on_time(1100), (Change{true, 1000}));
  EXPECT_TRUE(f.level());
  EXPECT_EQ(f.on_time(5000), kNothing);
  EXPECT_EQ(f.deadline(), std::nullopt);
}

TEST(EdgeFilter, ASpikeIsForgotten) {
  EdgeFilter f(Edge::Both, 100);
  f.start(false);
  EXPECT_EQ(f.on_edge(true, 1000), kNothing);
  EXPECT_EQ(f.on_edge(false, 1050), kNothing);
  EXPECT_EQ(f.deadline(), std::nullopt);
  EXPECT_EQ(f.on_time(9000), kNothing);
}

TEST(EdgeFilter, EachBounceStartsTheTimeAnew) {
  EdgeFilter f(Edge::Both, 100);
  f.start(false);
  (void)f.on_edge(true, 1000);
  (void)f.on_edge(false, 1090);
  EXPECT_EQ(f.on_edge(true, 1095), kNothing);
  EXPECT_EQ(f.on_time(1194), kNothing);
  EXPECT_EQ(f.on_time(1195), (Change{true, 1095}));
}

// The process was held up: both edges are read at once, long after.
TEST(EdgeFilter, AnEdgeThatComesAfterTheTimeSettlesTheLevelBeforeIt) {
  EdgeFilter f(Edge::Both, 100);
  f.start(false);
  EXPECT_EQ(f.on_edge(true, 1000), kNothing);
  EXPECT_EQ(f.on_edge(false, 1100), (Change{true, 1000}));
  EXPECT_EQ(f.on_time(1200), (Change{false, 1100}));
}

TEST(EdgeFilter, OneDirectionWithDebounceNeedsBothAndReportsOne) {
  EdgeFilter f(Edge::Rising, 100);
  EXPECT_EQ(f.needed(), Edge::Both);
  f.start(false);
  (void)f.on_edge(true, 1000);
  EXPECT_EQ(f.on_time(1100), (Change{true, 1000}));
  (void)f.on_edge(false, 2000);
  EXPECT_EQ(f.on_time(2100), kNothing);
  EXPECT_FALSE(f.level());
  (void)f.on_edge(true, 3000);
  EXPECT_EQ(f.on_time(3100), (Change{true, 3000}));
}

TEST(EdgeFilter, ALevelThatNoEdgeToldIsTakenFromNow) {
  EdgeFilter f(Edge::Both, 100);
  f.start(false);
  EXPECT_EQ(f.on_level(false, 500), kNothing);
  EXPECT_EQ(f.on_level(true, 600), kNothing);
  EXPECT_EQ(f.on_level(true, 650), kNothing);  // the same level, still waiting
  EXPECT_EQ(f.on_level(true, 700), (Change{true, 600}));
}

TEST(EdgeTime, IsNeverLaterThanNowAndMovesWithTheTimeSuspended) {
  const gpio::Clocks now{.monotonic = 1'000, .boottime = 51'000};
  EXPECT_EQ(gpio::edge_time(900, now.monotonic), 900);
  EXPECT_EQ(gpio::edge_time(1'700'000'000'000'000'000, now.monotonic),
            1'000);  // Linux < 5.7: wall clock
  EXPECT_EQ(gpio::edge_time(0, now.monotonic), 1'000);
  EXPECT_EQ(gpio::to_boottime(900, now), 50'900);
}

const std::vector<gpio::ChipInfo> kChips = {
    {"/dev/gpiochip90", "gpiochip90", "pinctrl-rp1"},
    {"/dev/gpiochip91", "gpiochip91", "brcmvirt-gpio"},
    {"/dev/gpiochip92", "gpiochip92", "twin"},
    {"/dev/gpiochip93", "gpiochip93", "twin"},
};

TEST(FindChip, ByLabelNameNumberOrPath) {
  EXPECT_EQ(gpio::find_chip("pinctrl-rp1", kChips), "/dev/gpiochip90");
  EXPECT_EQ(gpio::find_chip("gpiochip91", kChips), "/dev/gpiochip91");
  EXPECT_EQ(gpio::find_chip("91", kChips), "/dev/gpiochip91");
  EXPECT_EQ(gpio::find_chip("/dev/gpio-relays", kChips), "/dev/gpio-relays");
}

TEST(FindChip, SaysWhatThereIs) {
  const std::string none = thrown([] { (void)gpio::find_chip("pinctrl", kChips); });
  EXPECT_TRUE(contains(none, "no GPIO chip \"pinctrl\"")) << none;
  EXPECT_TRUE(contains(none, "gpiochip90 \"pinctrl-rp1\"")) << none;
  const std::string two = thrown([] { (void)gpio::find_chip("twin", kChips); });
  EXPECT_TRUE(contains(two, "more than one")) << two;
}

TEST(FindLine, ByNameUnlessItIsNotUnique) {
  const std::vector<std::string> names = {"", "ID_SDA", "GPIO17", "LED", "LED"};
  EXPECT_EQ(gpio::find_line("GPIO17", names, kChips[0]), 2u);
  EXPECT_TRUE(contains(thrown([&] { (void)gpio::find_line("LED", names, kChips[0]); }),
                       "more than one line"));
  const std::string none = thrown([&] { (void)gpio::find_line("GPIO18", names, kChips[0]); });
  EXPECT_TRUE(contains(none, "it has \"ID_SDA\", \"GPIO17\"")) << none;
  EXPECT_TRUE(contains(thrown([&] {
                         (void)gpio::find_line("x", {"", ""}, kChips[0]);
                       }),
                       "use offset"));
}

TEST(LineWords, SayWhatToDo) {
  EXPECT_TRUE(contains(gpio::open_error("/nowhere/gpiochip0", EACCES).what(), "group gpio"));
  EXPECT_TRUE(contains(gpio::open_error("/dev/null", ENOTTY).what(), "not a GPIO chip"));
  EXPECT_TRUE(contains(gpio::request_error(kChips[0], 4, "w1", EBUSY).what(),
                       "line 4 of gpiochip90 is in use by \"w1\""));
  EXPECT_TRUE(contains(gpio::request_error(kChips[0], 4, "", ENXIO).what(), "no interrupts"));
}

// ---- The plugin on the fake. ----

class GpioFake : public testing::Test {
 protected:
  void SetUp() override { gpio_rig::reset(); }
};

Row output(const char* initial) {
  return Row{
      {"attribute", "relay"}, {"line", "relay"}, {"command", "set-relay"}, {"initial", initial}};
}

TEST_F(GpioFake, KeepingAnOutputDrivesWhatItShowsAndNothingElse) {
  gpio_rig::leave_driven(gpio_rig::kRelay, true);
  FakeHost host({{"chip", "plant"}}, {{"output", {output("keep")}}});
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  EXPECT_EQ(gpio_rig::driven(gpio_rig::kRelay), std::vector<std::string>{"output high"});
  EXPECT_EQ(host.boolean("relay"), true);
}

TEST_F(GpioFake, AnOutputThatDoesNotFollowFailsTheCommand) {
  FakeHost host({{"chip", "plant"}}, {{"output", {output("off")}}});
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  gpio_rig::short_circuit(gpio_rig::kRelay, false);
  const auto outcome = host.command("set-relay", {{"value", true}});
  EXPECT_EQ(outcome.status, FP_E_IO);
  EXPECT_TRUE(contains(outcome.error, "reads false")) << outcome.error;
  EXPECT_EQ(host.boolean("relay"), false);
}

TEST_F(GpioFake, PollRepairsWhatLostEdgesLeftBehind) {
  FakeHost host({{"chip", "plant"}},
                {{"input", {Row{{"attribute", "door"}, {"line", "door"}, {"edge", "both"}}}}});
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  gpio_rig::pull(gpio_rig::kDoor, true);
  gpio_rig::lose_edges();
  ASSERT_EQ(host.poll(), FP_OK);
  EXPECT_EQ(host.boolean("door"), true);
}

TEST_F(GpioFake, AReturningChipIsSaidOnceAndSoIsAMissingOne) {
  gpio_rig::unplug();
  FakeHost host({{"chip", "plant"}}, {{"input", {Row{{"attribute", "door"}, {"line", "door"}}}}});
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  for (int i = 0; i < 5; ++i) EXPECT_EQ(host.poll(), FP_E_IO);
  EXPECT_EQ(host.logs.size(), 1u) << host.trouble();
}

struct BadRows {
  const char* name;
  Row::Tables rows;
  std::string option, text;
};

class GpioDeclare : public testing::TestWithParam<BadRows> {};

TEST_P(GpioDeclare, NamesTheProblem) {
  FakeHost host({{"chip", "plant"}}, GetParam().rows);
  EXPECT_EQ(host.declare(), FP_E_INVALID);
  ASSERT_EQ(host.problems.size(), 1u) << host.trouble();
  EXPECT_EQ(host.problems[0].option, GetParam().option);
  EXPECT_TRUE(contains(host.problems[0].text, GetParam().text)) << host.trouble();
}

INSTANTIATE_TEST_SUITE_P(
    Rows, GpioDeclare,
    testing::Values(
        BadRows{"NothingToDo", {}, "", "at least one"},
        BadRows{"NoLine", {{"input", {Row{{"attribute", "a"}}}}}, "", "either line"},
        BadRows{"LineAndOffset",
                {{"input", {Row{{"attribute", "a"}, {"line", "door"}, {"offset", 1}}}}},
                "offset",
                "either line"},
        BadRows{"SameLineTwice",
                {{"input", {Row{{"attribute", "a"}, {"offset", 1}}}},
                 {"output", {Row{{"attribute", "b"}, {"offset", 1}, {"command", "c"}}}}},
                "offset",
                "line 1 is used by a row above"},
        BadRows{"DebounceWithoutEdge",
                {{"input", {Row{{"attribute", "a"}, {"line", "door"}, {"debounce", "10ms"}}}}},
                "debounce",
                "needs edge"}),
    [](const auto& param_info) { return param_info.param.name; });

}  // namespace
