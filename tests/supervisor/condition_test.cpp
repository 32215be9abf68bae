// SPDX-License-Identifier: Apache-2.0
#include "supervisor/condition.hpp"

#include <gtest/gtest.h>

namespace fieldpost {
namespace {

using namespace std::chrono_literals;
using State = Condition::State;

// One line with two meters: attribute a of either, and b of the first.
class ConditionTest : public testing::Test {
 protected:
  ConditionTest() {
    devices_ = {{"gateway", "aaaaaaaaaaaaaaaaaaaaaaaa", {}},
                {"north", "bbbbbbbbbbbbbbbbbbbbbbbb", {}},
                {"south", "cccccccccccccccccccccccc", {}},
                {"nobody's", "dddddddddddddddddddddddd", {}}};
    config_.name = "line";
    config_.unit_names = {"unit-1", "unit-2"};
    config_.instance.units = {1, 2};
    config_.section_device = {0, 1, 2};
    config_.declaration.attributes = {
        {{.name = "a"}, 0, 1}, {{.name = "b"}, 0, 1}, {{.name = "a"}, 1, 2}};
    instance_.emplace(config_, devices_, symbols_);
    host_ = HostProcess::Status{.state = HostState::Up, .since = now_};
  }
  void unit(uint32_t index, bool good, const std::string& reason = "") {
    instance_->on_unit_state({index, good, reason}, now_);
  }
  void reading(uint32_t attribute, Quality quality, const std::string& detail = "") {
    (void)instance_->on_samples({{Sample{now_, {{attribute, quality, 1.0, detail}}}}}, now_);
  }
  std::vector<Service> services() const { return {{&*instance_, host_}}; }
  std::vector<Condition> all() const { return device_conditions(services(), 4, now_); }
  int bad() const { return count_bad(services(), now_); }

  SymbolTable symbols_;
  std::vector<DeviceConfig> devices_;
  PluginConfig config_;
  std::optional<Instance> instance_;
  std::optional<HostProcess::Status> host_;
  BootTime now_{1h};
};

const Condition kUnknown{};
const Condition kGood{State::Good, ""};

TEST_F(ConditionTest, AUnitThatIsSilentIsOneDeviceAndNotItsNeighbour) {
  unit(0, true);
  unit(1, false, "no answer");
  EXPECT_EQ(all(), (std::vector<Condition>{
                       kUnknown, kGood, {State::Bad, "line, unit-2: no answer"}, kUnknown}));
  EXPECT_EQ(bad(), 1);
  unit(1, true);
  EXPECT_EQ(all()[2], kGood);
  EXPECT_EQ(bad(), 0);
}

TEST_F(ConditionTest, AnAttributeThatFailsIsAnErrorOfADeviceThatAnswers) {
  unit(0, true);
  unit(1, true);
  reading(1, Quality::CommError, "exception 2");
  EXPECT_EQ(all()[1], (Condition{State::Good, "line, unit-1: b: comm-error (exception 2)"}));
  reading(0, Quality::Stuck);
  EXPECT_EQ(all()[1], (Condition{State::Bad, "line, unit-1: a: stuck"})) << "nothing is left";
  reading(0, Quality::Good);
  reading(1, Quality::Good);
  EXPECT_EQ(all()[1], kGood);
}

TEST_F(ConditionTest, OneMissedPollIsNone) {
  config_.instance.interval = 60s;
  unit(0, true);
  now_ += 60s;
  unit(0, false, "no answer");
  now_ += 61s;  // and the next is answered
  EXPECT_EQ(all()[1], kUnknown) << "as it was";
  EXPECT_EQ(bad(), 0);
  unit(0, true);
  unit(0, false, "no answer");
  now_ += 90s;
  unit(0, false, "no answer yet");
  EXPECT_EQ(all()[1], (Condition{State::Bad, "line, unit-1: no answer yet"}));
  EXPECT_EQ(bad(), 1);
}

TEST_F(ConditionTest, OneReadingThatFailedIsNone) {
  config_.instance.interval = 60s;
  unit(0, true);
  reading(0, Quality::Good);
  reading(1, Quality::Good);
  now_ += 60s;
  reading(1, Quality::CommError);
  now_ += 61s;
  EXPECT_EQ(all()[1], kGood);
  now_ += 29s;
  EXPECT_EQ(all()[1], (Condition{State::Good, "line, unit-1: b: comm-error"}));
}

TEST_F(ConditionTest, ACommandMakesNoDeviceGoodOfWhichNothingCanBeRead) {
  const Declaration::Command start{{.name = "start"}, 0, 1};
  config_.declaration.commands = {start};
  unit(0, true);
  reading(0, Quality::CommError);
  reading(1, Quality::CommError);
  EXPECT_EQ(all()[1].state, State::Bad);
  config_.declaration.attributes.clear();
  instance_->rebind(config_, devices_);
  EXPECT_EQ(all()[1], kGood) << "it has nothing else";
}

TEST_F(ConditionTest, APluginThatNeverRanIsBadAlsoWhileItStarts) {
  host_->state = HostState::Starting;
  host_->reason = "exited with 1";
  EXPECT_EQ(all()[1], kUnknown);
  EXPECT_EQ(bad(), 1);
}

TEST_F(ConditionTest, AHostThatCannotBeKilledIsBad) {
  unit(0, true);
  host_->reason = "hung: no answer for 5 s";
  EXPECT_EQ(all()[1], (Condition{State::Bad, "line: hung: no answer for 5 s"}));
  EXPECT_EQ(bad(), 1);
}

TEST_F(ConditionTest, APluginThatDoesNotRunTakesItsDevicesAlong) {
  unit(0, true);
  unit(1, true);
  for (const HostState state : {HostState::Backoff, HostState::Degraded, HostState::Failed}) {
    host_->state = state;
    host_->reason = "killed by signal 11";
    EXPECT_EQ(all()[1], (Condition{State::Bad, "line: killed by signal 11"})) << name_of(state);
    EXPECT_EQ(bad(), 1);
  }
  host_.reset();
  config_.failed = "'line' is not installed";
  EXPECT_EQ(all()[1], (Condition{State::Bad, "line: cannot run: see `fieldpost check`"}));
  EXPECT_EQ(bad(), 1);
}

TEST_F(ConditionTest, NothingIsKnownOfWhatIsJustStarting) {
  host_->state = HostState::Starting;
  EXPECT_EQ(all()[1], kUnknown);
  EXPECT_EQ(bad(), 0);
  host_->state = HostState::Up;
  EXPECT_EQ(all()[1], kUnknown);
}

TEST_F(ConditionTest, AUnitThatIsNeverPolledIsGoodOnceItWasRead) {
  now_ += 1h;
  EXPECT_EQ(all()[1], kUnknown) << "of a dead one that lives from events nothing is claimed";
  reading(0, Quality::Good);
  EXPECT_EQ(all()[1], kGood);
  instance_->on_host_down(now_);
  EXPECT_EQ(all()[1], kUnknown) << "that was with the host before";
}

TEST_F(ConditionTest, AnAttributeThatItsUnitsPollsNoLongerBringIsStale) {
  unit(0, true);
  reading(0, Quality::Good);
  reading(1, Quality::Good);
  instance_->on_held({now_, {}, {0, 1}});
  now_ += 4s;
  reading(1, Quality::Good);
  EXPECT_EQ(all()[1], (Condition{State::Good, "line, unit-1: a: stale (no good reading for 4s)"}));
}

// Its chip was never there, say: it has no poll to fail.
TEST_F(ConditionTest, AUnitThatIsNeverPolledIsBadWhenAllThatItSaysIs) {
  reading(0, Quality::CommError, "no chip");
  EXPECT_EQ(all()[1], kUnknown) << "of b nothing was heard";
  EXPECT_EQ(bad(), 0);
  reading(1, Quality::CommError);
  EXPECT_EQ(all()[1], (Condition{State::Bad, "line, unit-1: no chip"}));
  EXPECT_EQ(all()[2], kUnknown);
  EXPECT_EQ(bad(), 1);
  reading(1, Quality::Good);
  EXPECT_EQ(all()[1], (Condition{State::Good, "line, unit-1: a: comm-error (no chip)"}));
  reading(1, Quality::CommError);
  instance_->on_host_down(now_);
  EXPECT_EQ(all()[1], kUnknown) << "the host that said so is gone";
}

TEST_F(ConditionTest, OneOfTwoPluginsIsEnoughToBeOnline) {
  Instance other(config_, devices_, symbols_);
  unit(0, true);
  std::vector<Service> both = services();
  both.push_back({&other, HostProcess::Status{.state = HostState::Degraded, .reason = "gone"}});
  EXPECT_EQ(device_conditions(both, 4, now_)[1], (Condition{State::Good, "line: gone"}));
  EXPECT_EQ(count_bad(both, now_), 1);
}

}  // namespace
}  // namespace fieldpost
