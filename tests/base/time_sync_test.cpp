// SPDX-License-Identifier: Apache-2.0
#include "base/time_sync.hpp"

#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <vector>

#include "fakes/timedate_bus.hpp"

namespace fieldpost {
namespace {

using namespace std::chrono_literals;
using test::TimedateBus;

constexpr const char* kTimesyncdWaits =
    "systemd-timesyncd is running but does not reach a server: no network yet, NTP (UDP port 123) "
    "is blocked, or no server is configured";

class TimeSyncTest : public testing::Test {
 protected:
  TimeSyncTest() {
    block_signals({});
    options_.run_dir = folder_ / "run";
    options_.bus_address = "unix:path=" + folder_ / "bus";  // there is none
    options_.kernel = [this] { return kernel_; };
    options_.poll = 5ms;
    options_.bus_poll = 20ms;
  }
  void start() {
    UniqueFd timer(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    clock_ = timer.get();
    auto sync = TimeSync::start(loop_, std::move(timer), options_,
                                [this](const TimeSyncState& state) { told_.push_back(state); });
    ASSERT_TRUE(sync) << sync.error().message;
    sync_ = *std::move(sync);
  }
  void set_clock() const { ::eventfd_write(clock_, 1); }
  void make_file() const { std::ofstream(options_.run_dir + "/timesync/synchronized"); }
  void make_folder() const { std::filesystem::create_directories(options_.run_dir + "/timesync"); }
  // Below the 10 s at which a synchronised clock is looked at anyway.
  template <class F>
  bool turn_until(F condition, std::chrono::milliseconds limit = 8s) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    while (!condition() && std::chrono::steady_clock::now() < deadline) (void)loop_.run_once(10ms);
    return condition();
  }
  // The next thing that is told.
  TimeSyncState next() {
    const size_t before = seen_;
    EXPECT_TRUE(turn_until([&] { return told_.size() > before; }));
    return told_.size() > before ? told_[seen_++] : TimeSyncState{};
  }
  test::TempDir folder_;
  EventLoop loop_ = *EventLoop::create();
  TimeSync::Options options_;
  std::optional<bool> kernel_;
  int clock_ = -1;
  std::vector<TimeSyncState> told_;
  size_t seen_ = 0;
  std::unique_ptr<TimeSync> sync_;
};

TEST_F(TimeSyncTest, TheFileOfTimesyncdAppears) {
  start();
  const TimeSyncState first = next();
  EXPECT_FALSE(first.synchronised);
  EXPECT_EQ(first.source, TimeSource::None);
  EXPECT_EQ(first.reason,
            "no time service can be seen (ask timedated on the system bus: No such file or "
            "directory)");
  make_folder();
  EXPECT_EQ(next().reason, kTimesyncdWaits);
  make_file();
  const TimeSyncState synchronised = next();
  EXPECT_TRUE(synchronised.synchronised);
  EXPECT_EQ(synchronised.source, TimeSource::Timesyncd);
  EXPECT_EQ(synchronised.reason, "");
  EXPECT_GT(synchronised.since, first.since);
  EXPECT_EQ(sync_->state().source, TimeSource::Timesyncd);
}

TEST_F(TimeSyncTest, TheKernelIsBelieved) {
  kernel_ = false;
  start();
  EXPECT_FALSE(next().synchronised);
  kernel_ = true;
  const TimeSyncState state = next();
  EXPECT_TRUE(state.synchronised);
  EXPECT_EQ(state.source, TimeSource::Kernel);
}

TEST_F(TimeSyncTest, TheConfigurationIsBelievedAsLongAsItSaysSo) {
  options_.trusted = true;
  start();
  EXPECT_EQ(next().source, TimeSource::Configuration);
  sync_->set_trusted(false);
  EXPECT_EQ(told_.size(), 1u) << "only from the loop";
  EXPECT_FALSE(next().synchronised);
  sync_->set_trusted(true);
  EXPECT_TRUE(next().synchronised);
}

TEST_F(TimeSyncTest, TimedatedIsAskedUntilItSaysYes) {
  TimedateBus bus(loop_);
  bus.serve();
  bus.answer = {.can_ntp = true, .ntp = true};
  options_.bus_address = bus.address();
  start();
  EXPECT_FALSE(next().synchronised);
  ASSERT_TRUE(turn_until([&] { return bus.asked >= 3; }));
  bus.answer.synchronised = true;
  const TimeSyncState state = next();
  EXPECT_TRUE(state.synchronised);
  EXPECT_EQ(state.source, TimeSource::Timedated);
  EXPECT_EQ(told_.size(), 2u) << "what does not change is not told";
}

TEST_F(TimeSyncTest, TheBusIsLeftAloneWhenItIsNotNeeded) {
  TimedateBus bus(loop_);
  bus.serve();
  options_.bus_address = bus.address();
  make_folder();
  make_file();
  start();
  EXPECT_TRUE(next().synchronised);
  for (int i = 0; i < 3; ++i) {
    set_clock();
    EXPECT_TRUE(next().synchronised);
  }
  EXPECT_EQ(bus.asked, 0);
}

TEST_F(TimeSyncTest, SaysWhatIsLikelyWrong) {
  struct Case {
    TimedateAnswer answer;
    const char* reason;
  };
  TimedateBus bus(loop_);
  bus.serve();
  options_.bus_address = bus.address();
  start();
  (void)next();
  for (const Case& c :
       {Case{{.can_ntp = true},
             "the time service is switched off; 'timedatectl set-ntp true' "
             "switches it on"},
        Case{{.can_ntp = true, .ntp = true},
             "a time service is running but does not reach a server: no network "
             "yet, NTP (UDP port 123) is blocked, or no server is configured"},
        Case{{}, "no time service is installed; install systemd-timesyncd or chrony"}}) {
    bus.answer = c.answer;
    EXPECT_EQ(next().reason, c.reason);
  }
  bus.manner = TimedateBus::Manner::Refuse;
  EXPECT_EQ(next().reason,
            "no time service can be seen (ask timedated on the system bus: not for you)");
  make_folder();
  EXPECT_EQ(next().reason, kTimesyncdWaits);
}

// A bus that answered yes is not asked again for an hour; but whoever sets the clock ends that.
TEST_F(TimeSyncTest, AfterTheClockWasSetTheSourcesAreHeardAgain) {
  TimedateBus bus(loop_);
  bus.serve();
  bus.answer.synchronised = true;
  options_.bus_address = bus.address();
  start();
  const TimeSyncState first = next();
  EXPECT_TRUE(first.synchronised);
  EXPECT_EQ(bus.asked, 1);

  set_clock();
  const TimeSyncState same = next();
  EXPECT_TRUE(same.synchronised) << "told although nothing has changed";
  EXPECT_EQ(same.since, first.since);
  EXPECT_EQ(bus.asked, 2);

  bus.answer.synchronised = false;
  set_clock();
  EXPECT_FALSE(next().synchronised);
  EXPECT_EQ(bus.asked, 3);
}

// What was asked before the clock was set says nothing about it.
TEST_F(TimeSyncTest, AnAnswerThatTheClockOvertookIsDropped) {
  TimedateBus bus(loop_);
  bus.serve();
  bus.manner = TimedateBus::Manner::Silence;
  options_.bus_address = bus.address();
  options_.bus_limit = 20s;
  start();
  ASSERT_TRUE(turn_until([&] { return bus.asked == 1; }));
  bus.manner = TimedateBus::Manner::Answer;
  bus.answer.synchronised = true;
  set_clock();
  EXPECT_TRUE(next().synchronised);
  EXPECT_EQ(bus.asked, 2);
}

TEST_F(TimeSyncTest, ABusThatHangsHoldsNothingUp) {
  TimedateBus bus(loop_);
  bus.serve();
  bus.manner = TimedateBus::Manner::Silence;
  options_.bus_address = bus.address();
  options_.bus_limit = 1s;
  start();
  const BootTime asked = BootClock::now();
  ASSERT_TRUE(turn_until([&] { return bus.asked == 1; }));
  EXPECT_EQ(told_.size(), 0u);
  EXPECT_EQ(sync_->state().reason, "not known yet");
  make_folder();
  make_file();
  EXPECT_TRUE(next().synchronised);
  // Nor does it count any more when its time is up.
  ASSERT_TRUE(turn_until([&] { return BootClock::now() - asked > 1200ms; }));
  EXPECT_EQ(told_.size(), 1u);
}

}  // namespace
}  // namespace fieldpost
