// SPDX-License-Identifier: Apache-2.0
//
// Counting: what edges come to, and the gpio plugin's counters on the fake of its lines, whose
// buffer may be as small as a kernel's.
#include <gtest/gtest.h>
#include <poll.h>

#include <chrono>
#include <memory>
#include <random>

#include "counter.hpp"
#include "fakes/fake_host.hpp"
#include "gpio_rig.hpp"

namespace {

using fieldpost::Value;
using fieldpost::fakes::FakeHost;
using fieldpost::fakes::Row;
using gpio::Edge;
using gpio::PulseCounter;

constexpr int64_t kMs = 1'000'000, kSecond = 1'000'000'000;

PulseCounter::Config config(Edge edge, int64_t hold_ns = 0, bool width = false) {
  return {.edge = edge,
          .hold_ns = hold_ns,
          .width = width,
          .window_ns = 60 * kSecond,
          .idle_ns = 10 * kSecond};
}

// A counter and the edges of its line, of which some do not reach it.
struct Line {
  explicit Line(const PulseCounter::Config& c, bool numbered = true)
      : counter(c, numbered), numbers(numbered) {
    counter.start(false, 0);
  }
  void edge(bool rising, int64_t at, bool lost = false) {
    const Edge needed = counter.needed();
    if (needed != Edge::Both && (needed == Edge::Rising) != rising) return;
    ++sequence;
    if (!lost) counter.on_edge({rising, at, numbers ? sequence : 0}, at);
  }
  void pulse(int64_t at, int64_t width, bool lost = false) {
    edge(true, at, lost);
    edge(false, at + width, lost);
  }
  PulseCounter counter;
  bool numbers;
  uint32_t sequence = 0;
};

TEST(PulseCounter, CountsTheEdgesThatAreAskedFor) {
  for (const bool numbered : {true, false}) {
    Line up(config(Edge::Rising), numbered);
    Line down(config(Edge::Falling), numbered);
    Line both(config(Edge::Both), numbered);
    for (Line* line : {&up, &down, &both}) {
      for (int i = 0; i < 5; ++i) line->pulse(i * kMs, kMs / 2);
      line->edge(true, 10 * kMs);
      EXPECT_EQ(line->counter.missed(), 0);
      EXPECT_TRUE(line->counter.exact());
    }
    EXPECT_EQ(up.counter.total(), 6);
    EXPECT_EQ(down.counter.total(), 5);
    EXPECT_EQ(both.counter.total(), 11);
  }
}

TEST(PulseCounter, WithNumbersWhatWasLostIsCountedToThePulse) {
  for (const Edge edge : {Edge::Rising, Edge::Falling, Edge::Both}) {
    for (const bool width : {false, true}) {  // which needs both edges of the chip
      for (int first = 0; first < 6; ++first) {
        for (int n = 1; n < 12; ++n) {
          Line line(config(edge, 0, width));
          Line whole(config(edge, 0, width));
          for (int i = 0; i < 40; ++i) {
            line.edge(i % 2 == 0, i * kMs, i >= first && i < first + n);
            whole.edge(i % 2 == 0, i * kMs);
          }
          EXPECT_EQ(line.counter.total(), whole.counter.total()) << first << " " << n;
          EXPECT_TRUE(line.counter.exact());
          EXPECT_GT(line.counter.missed() + (width ? 0 : 1), 0);
        }
      }
    }
  }
}

TEST(PulseCounter, WithoutNumbersTwoEdgesOfOneDirectionMakeALowerBound) {
  Line line(config(Edge::Rising), false);
  EXPECT_EQ(line.counter.needed(), Edge::Both);
  line.pulse(0, kMs);
  line.edge(true, 2 * kMs, true);
  line.edge(false, 3 * kMs);  // it has risen, or this is a rising one that was taken for a falling
  EXPECT_EQ(line.counter.total(), 1);
  EXPECT_EQ(line.counter.missed(), 1);
  EXPECT_FALSE(line.counter.exact());
}

// Linux tells the direction by the level that it finds after the interrupt: of the edges of short
// pulses each may have either. Seen in a virtual machine at 159 edges a second.
TEST(PulseCounter, WithoutNumbersWhateverDirectionsComeNothingIsCountedThatWasNot) {
  std::mt19937 random(7);  // NOLINT(cert-msc51-cpp): the same each time
  for (int round = 0; round < 200; ++round) {
    PulseCounter counter(config(Edge::Rising), false);
    counter.start(false, 0);
    const int pulses = static_cast<int>(random() % 40);
    for (int i = 0; i < 2 * pulses; ++i) {
      const bool rising = random() % 4 == 0 ? random() % 2 == 0 : i % 2 == 0;
      counter.on_edge({rising, i * kMs, 0}, i * kMs);
    }
    ASSERT_LE(counter.total(), pulses);
  }
}

// As the kernel does it: an edge has an event, or is lost in the one before; and what it is taken
// for is the level a moment later, by when the next one may have come.
TEST(PulseCounter, WithoutNumbersOfShortPulsesNoneIsCountedTwiceAndOfTwoEdgesOne) {
  std::mt19937 random(11);  // NOLINT(cert-msc51-cpp): the same each time
  for (const Edge edge : {Edge::Rising, Edge::Falling, Edge::Both}) {
    for (int round = 0; round < 300; ++round) {
      PulseCounter counter(config(edge), false);
      bool level = round % 2 == 0;
      counter.start(level, 0);
      int64_t edges = 0, events = 0;
      const int64_t least = edge == Edge::Both ? 1 : 2;
      const bool counts_high = edge != Edge::Falling;
      int64_t pulses = 0;  // so far, those of the edge whose event is still to come among them
      const auto happen = [&] {
        level = !level;
        ++edges;
        pulses += edge == Edge::Both || level == counts_high ? 1 : 0;
      };
      for (bool waits = false; events < 60;) {
        if (!waits) happen();
        while (random() % 8 == 0) happen();  // without an event of their own
        waits = random() % 3 == 0;
        if (waits) happen();
        counter.on_edge({level, ++events * kMs, 0}, events * kMs);
        ASSERT_LE(counter.total(), pulses);
        ASSERT_GE(counter.total(), events / least);
      }
    }
  }
}

// The first event may be one that came before the level was read.
TEST(PulseCounter, TheFirstEdgeAfterTheLineWasTakenProvesNothing) {
  PulseCounter counter(config(Edge::Rising), false);
  counter.start(true, 0);
  counter.on_edge({true, kMs, 0}, kMs);
  EXPECT_EQ(counter.total(), 1);
  EXPECT_TRUE(counter.exact());
}

TEST(PulseCounter, ABounceDoesNotCount) {
  for (const bool numbered : {true, false}) {
    Line line(config(Edge::Rising, 5 * kMs), numbered);
    for (int i = 0; i < 4; ++i) line.pulse(i * kMs, kMs / 2);
    line.edge(true, 4 * kMs);
    line.counter.on_time(8 * kMs);
    EXPECT_EQ(line.counter.total(), 0);
    EXPECT_EQ(line.counter.deadline(), 9 * kMs);
    line.counter.on_time(9 * kMs);
    EXPECT_EQ(line.counter.total(), 1);
    line.edge(false, 20 * kMs);
    line.counter.on_time(30 * kMs);
    EXPECT_EQ(line.counter.total(), 1);
    EXPECT_TRUE(line.counter.exact());
  }
}

TEST(PulseCounter, LostBouncesMakeTheTotalALowerBound) {
  Line line(config(Edge::Rising, 5 * kMs));
  line.pulse(0, kMs, true);
  line.edge(true, 100 * kMs);
  line.counter.on_time(200 * kMs);
  EXPECT_EQ(line.counter.total(), 1);
  EXPECT_EQ(line.counter.missed(), 2);
  EXPECT_FALSE(line.counter.exact());
}

TEST(PulseCounter, TheTotalStopsWhereAReadingIsNoLongerExact) {
  Line line(config(Edge::Rising));
  line.counter.set(gpio::kMostPulses - 1, 0);
  for (int i = 0; i < 3; ++i) line.pulse(i * kMs, kMs / 2);
  EXPECT_EQ(line.counter.total(), int64_t{1} << 53);
  line.counter.set(-5, -5);
  EXPECT_EQ(line.counter.total(), 0);
}

TEST(PulseCounter, TheRateIsThatOfTheWindowAndOfTheTimeSinceTheStartBefore) {
  Line line(config(Edge::Rising));
  EXPECT_EQ(line.counter.rate(0), 0);
  int64_t at = 0;
  for (; at < 10 * kSecond; at += 500 * kMs) line.pulse(at, kMs);
  EXPECT_DOUBLE_EQ(line.counter.rate(10 * kSecond), 2);
  line.counter.set(1'000'000, 0);  // is no pulse
  EXPECT_DOUBLE_EQ(line.counter.rate(10 * kSecond), 2);
  for (; at < 300 * kSecond; at += 100 * kMs) {
    line.pulse(at, kMs);
    if (at % kSecond == 0) {
      EXPECT_LE(line.counter.rate(at), 10.2);
    }
  }
  EXPECT_NEAR(line.counter.rate(300 * kSecond), 10, 0.2);
  EXPECT_EQ(line.counter.rate(400 * kSecond), 0);
}

TEST(PulseCounter, TheFrequencyIsThatOfTheEdgesAndZeroAfterTheirTime) {
  for (const Edge edge : {Edge::Rising, Edge::Falling, Edge::Both}) {
    Line line(config(edge));
    EXPECT_EQ(line.counter.frequency(0), 0);
    line.pulse(kSecond, kMs);
    EXPECT_EQ(line.counter.frequency(kSecond + 2 * kMs), 0) << "one pulse has no period";
    for (int i = 1; i <= 50; ++i) line.pulse(kSecond + i * 20 * kMs, kMs);
    EXPECT_NEAR(line.counter.frequency(2 * kSecond + 2 * kMs), 50, 1e-9);
    line.pulse(2 * kSecond + 40 * kMs, kMs);  // one in 40 ms since
    EXPECT_NEAR(line.counter.frequency(2 * kSecond + 42 * kMs), 25, 1e-9);
    EXPECT_NEAR(line.counter.frequency(4 * kSecond + 40 * kMs), 0.5, 0.01) << "at most, now";
    EXPECT_EQ(line.counter.frequency(13 * kSecond), 0);
    line.pulse(20 * kSecond, kMs);
    EXPECT_EQ(line.counter.frequency(20 * kSecond + kMs), 0) << "not over the pause";
    line.pulse(21 * kSecond, kMs);
    EXPECT_NEAR(line.counter.frequency(21 * kSecond + kMs), 1, 1e-9);
  }
}

TEST(PulseCounter, TheWidthIsTheMeanOfThePulsesThatEnded) {
  Line line(config(Edge::Rising, 0, true));
  EXPECT_EQ(line.counter.take_width(), std::nullopt);
  line.pulse(kSecond, 10 * kMs);
  line.pulse(2 * kSecond, 30 * kMs);
  line.edge(true, 3 * kSecond);
  EXPECT_NEAR(*line.counter.take_width(), 0.020, 1e-12);
  EXPECT_EQ(line.counter.take_width(), std::nullopt) << "it goes on";
  line.edge(false, 3 * kSecond + kMs, true);
  line.edge(true, 4 * kSecond, true);
  line.edge(false, 4 * kSecond + kMs);
  EXPECT_EQ(line.counter.take_width(), std::nullopt) << "nobody knows when it began";
}

// ---- The plugin.

class GpioCounterTest : public testing::Test {
 protected:
  void SetUp() override {
    gpio_rig::buffer_edges(true, 1024);
    gpio_rig::reset();
  }
  void start(std::vector<Row> rows, std::map<std::string, int64_t> kept = {}) {
    host_ = std::make_unique<FakeHost>(Row::Values{{"chip", gpio_rig::chip()}},
                                       Row::Tables{{"counter", std::move(rows)}});
    host_->kept = std::move(kept);
    ASSERT_EQ(host_->open(), FP_OK) << host_->trouble();
  }
  static void pulse(int n, unsigned line = gpio_rig::kDoor) {
    for (int i = 0; i < n; ++i) {
      gpio_rig::pull(line, true);
      gpio_rig::pull(line, false);
    }
  }
  bool readable() {
    pollfd fd{host_->event_fd(), POLLIN, 0};
    return ::poll(&fd, 1, 0) == 1;
  }
  void serve() {
    for (int i = 0; i < 100 && readable(); ++i) EXPECT_EQ(host_->on_event(), FP_OK);
  }
  void poll() { ASSERT_EQ(host_->poll(), FP_OK) << host_->trouble(); }
  void TearDown() override {
    if (host_) {
      EXPECT_TRUE(host_->refusals.empty()) << host_->trouble();
    }
    host_.reset();
  }
  std::unique_ptr<FakeHost> host_;
};

const Row kPlain{{"attribute", "pulses"}, {"line", "door"}};

TEST_F(GpioCounterTest, CountsAndGoesOnWhereTheProcessBeforeStopped) {
  start({kPlain}, {{"pulses", 1000}});
  EXPECT_EQ(host_->number("pulses"), 1000) << "at once";
  pulse(37);
  poll();
  EXPECT_EQ(host_->number("pulses"), 1037);
  EXPECT_EQ(host_->kept["pulses"], 1037);
  pulse(5);
  serve();  // between polls: kept, though no reading tells of it yet
  EXPECT_EQ(host_->kept["pulses"], 1042);
  EXPECT_EQ(host_->number("pulses"), 1037);
  const auto kept = host_->kept;
  start({kPlain}, kept);
  pulse(1);
  poll();
  EXPECT_EQ(host_->number("pulses"), 1043);
}

TEST_F(GpioCounterTest, EveryMeasureThatIsAskedForIsRead) {
  start({Row{{"attribute", "pulses"},
             {"offset", 5},
             {"active_low", true},
             {"edge", "both"},
             {"rate", "rate"},
             {"frequency", "hz"},
             {"width", "width"},
             {"missed", "missed"}}});
  pulse(10, 5);
  poll();
  EXPECT_EQ(host_->number("pulses"), 20);
  EXPECT_GT(host_->number("rate").value_or(0), 0);
  EXPECT_GT(host_->number("hz").value_or(0), 0);
  EXPECT_GT(host_->number("width").value_or(0), 0);
  EXPECT_EQ(host_->number("missed"), 0);
  const auto readings = host_->samples.size();
  poll();
  for (const auto& r : host_->samples.at(readings).readings) EXPECT_NE(r.attribute, "width");
}

TEST_F(GpioCounterTest, ACommandSetsTheTotalAndIsAnsweredWithIt) {
  start({Row{{"attribute", "pulses"}, {"line", "door"}, {"command", "set-total"}},
         Row{{"attribute", "other"}, {"line", "pump"}, {"command", "set-other"}}},
        {{"pulses", 7}, {"other", 8}});
  pulse(3);  // before the command: not to be added to its value
  const auto outcome = host_->command("set-total", {{"value", 500.0}});
  EXPECT_EQ(outcome.status, FP_OK) << outcome.error;
  EXPECT_EQ(outcome.readback, Value(500.0));
  EXPECT_EQ(host_->number("pulses"), 500);
  EXPECT_EQ(host_->kept["pulses"], 500);
  pulse(2);
  poll();
  EXPECT_EQ(host_->number("pulses"), 502);
  EXPECT_EQ(host_->number("other"), 8);
  EXPECT_THROW(host_->command("set-total", {{"value", 0.5}}), std::invalid_argument);
  EXPECT_THROW(host_->command("set-total", {{"value", -1.0}}), std::invalid_argument);
  EXPECT_EQ(host_->command("set-other", {{"value", 9'007'199'254'740'992.0}}).readback,
            Value(9'007'199'254'740'992.0));
}

// 300 pulses wait while nobody reads; the kernel of libgpiod 2 keeps the newest and their numbers.
TEST_F(GpioCounterTest, ABufferThatRanOverIsMadeUpForByItsNumbers) {
  gpio_rig::buffer_edges(true, 64);
  gpio_rig::reset();
  start({Row{{"attribute", "pulses"}, {"line", "door"}, {"missed", "missed"}}});
  pulse(300);
  poll();
  EXPECT_EQ(host_->number("pulses"), 300);
  EXPECT_EQ(host_->number("missed"), 236);
  EXPECT_NE(host_->trouble().find("236 are known to be missed"), std::string::npos);
  EXPECT_NE(host_->trouble().find("the total has them all the same"), std::string::npos);
  EXPECT_EQ(host_->remarks["pulses"], "") << "it is exact";
}

// That of libgpiod 1.6 drops the newest of what finds no room, and numbers nothing.
TEST_F(GpioCounterTest, WithoutNumbersAFullBufferMakesTheTotalALowerBound) {
  gpio_rig::buffer_edges(false, 16);
  gpio_rig::reset();
  start({Row{{"attribute", "pulses"}, {"line", "door"}, {"missed", "missed"}}});
  for (int i = 0; i < 50; ++i) {
    pulse(7);
    serve();
  }
  poll();
  EXPECT_EQ(host_->number("pulses"), 350) << "14 edges fit";
  EXPECT_EQ(host_->trouble().find("lower bound"), std::string::npos) << host_->trouble();
  pulse(20);
  poll();
  EXPECT_EQ(host_->number("pulses"), 358);
  EXPECT_NE(host_->trouble().find("the total is a lower bound"), std::string::npos)
      << host_->trouble();
}

// What is known by order alone, and what full buffers have lost: both backends' totals may be.
TEST_F(GpioCounterTest, ATotalThatIsALowerBoundSaysSoUntilItIsSet) {
  gpio_rig::buffer_edges(false, 16);
  gpio_rig::reset();
  const Row row{{"attribute", "pulses"}, {"line", "door"}, {"command", "set-total"}};
  start({row}, {{"pulses", 100}});
  pulse(3);
  poll();
  EXPECT_EQ(host_->remarks["pulses"], "");
  pulse(20);
  serve();
  EXPECT_EQ(host_->remarks["pulses"], "lower bound") << "at once, not with the next poll";
  const auto kept = host_->kept;
  start({row}, kept);
  EXPECT_EQ(host_->remarks["pulses"], "lower bound") << "of the process before";
  EXPECT_EQ(host_->number("pulses"), 111);
  EXPECT_TRUE(host_->logs.empty() || host_->trouble().find("lower bound") == std::string::npos);
  pulse(1);
  poll();
  EXPECT_EQ(host_->number("pulses"), 112);
  EXPECT_EQ(host_->command("set-total", {{"value", 500.0}}).status, FP_OK);
  EXPECT_EQ(host_->remarks["pulses"], "") << "somebody has read the meter";
  EXPECT_EQ(host_->kept["pulses"], 500);
}

TEST_F(GpioCounterTest, WithNumbersLostBouncesMakeItALowerBoundToo) {
  gpio_rig::buffer_edges(true, 16);
  gpio_rig::reset();
  start({Row{{"attribute", "pulses"}, {"line", "door"}, {"debounce", "1ms"}}}, {{"pulses", 0}});
  pulse(20);
  poll();
  EXPECT_EQ(host_->remarks["pulses"], "lower bound");
  EXPECT_LT(host_->kept["pulses"], 0) << "a total of 0 as well";
  const auto kept = host_->kept;
  start({kPlain}, kept);
  EXPECT_EQ(host_->remarks["pulses"], "lower bound");
}

// Each row that is read takes its time; here none, but the edges are taken in between all the same.
TEST_F(GpioCounterTest, EdgesAreTakenBetweenTheRowsOfAPoll) {
  host_ = std::make_unique<FakeHost>(
      Row::Values{{"chip", gpio_rig::chip()}},
      Row::Tables{{"input", {Row{{"attribute", "pump"}, {"line", "pump"}}}},
                  {"counter", {kPlain}}});
  ASSERT_EQ(host_->open(), FP_OK) << host_->trouble();
  gpio_rig::on_read(gpio_rig::kPump, [] { pulse(3); });
  poll();
  EXPECT_EQ(host_->number("pulses"), 3);
}

TEST_F(GpioCounterTest, AnUnpluggedChipTakesNothingFromTheTotal) {
  start({Row{{"attribute", "pulses"}, {"line", "door"}, {"rate", "rate"}}});
  pulse(4);
  poll();
  gpio_rig::unplug();
  const auto lost = [&] { return host_->latest("pulses")->quality == FP_COMM_ERROR; };
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!lost() && std::chrono::steady_clock::now() < deadline) {
    pollfd fd{host_->event_fd(), POLLIN, 0};
    if (::poll(&fd, 1, 100) > 0) {
      EXPECT_EQ(host_->on_event(), FP_OK);
    }
  }
  ASSERT_TRUE(lost());
  EXPECT_EQ(host_->latest("rate")->quality, FP_COMM_ERROR);
  EXPECT_EQ(host_->poll(), FP_E_IO);
  gpio_rig::plug();
  while (lost() && std::chrono::steady_clock::now() < deadline) {
    pollfd fd{host_->event_fd(), POLLIN, 0};
    if (::poll(&fd, 1, 100) > 0) {
      EXPECT_EQ(host_->on_event(), FP_OK);
    }
  }
  EXPECT_EQ(host_->number("pulses"), 4);
  pulse(1);
  poll();
  EXPECT_EQ(host_->number("pulses"), 5);
}

// Rows of two devices may: what is kept would be one total.
TEST_F(GpioCounterTest, NoTwoCountersAreKeptUnderOneName) {
  host_ = std::make_unique<FakeHost>(
      Row::Values{{"chip", gpio_rig::chip()}},
      Row::Tables{{"counter", {kPlain, Row{{"attribute", "pulses"}, {"line", "pump"}}}}});
  EXPECT_EQ(host_->declare(), FP_E_INVALID);
  EXPECT_NE(host_->trouble().find("counter[1].attribute: \"pulses\" is kept for a counter above"),
            std::string::npos)
      << host_->trouble();
  host_->refusals.clear();  // the fake knows no devices
}

TEST_F(GpioCounterTest, NoMoreCountersThanTotalsThatAreKept) {
  std::vector<Row> rows;
  for (int i = 0; i < 200; ++i) {
    rows.push_back(Row{{"attribute", "p" + std::to_string(i)},
                       {"offset", i},
                       {"missed", "m" + std::to_string(i)}});
  }
  host_ = std::make_unique<FakeHost>(Row::Values{{"chip", gpio_rig::chip()}},
                                     Row::Tables{{"counter", rows}});
  EXPECT_EQ(host_->declare(), FP_E_INVALID);
  EXPECT_NE(host_->trouble().find("at most 256 totals"), std::string::npos) << host_->trouble();
}

}  // namespace
