// SPDX-License-Identifier: Apache-2.0
#include "supervisor/host_conversation.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace fieldpost {
namespace {

using Turn = HostConversation::Turn;

class HostConversationTest : public testing::Test {
 protected:
  HostConversationTest() {
    config_.units.emplace_back();
    config_.sections.emplace_back();
  }

  // What came of it: a turn, or what the host did wrong.
  testing::AssertionResult is(message::Any message, HostState state, Turn expected) {
    const auto turn = said_.hear(std::move(message), state, now_);
    if (!turn) return testing::AssertionFailure() << turn.error().message;
    return *turn == expected ? testing::AssertionSuccess() : testing::AssertionFailure();
  }
  std::string fault(message::Any message, HostState state) {
    const auto turn = said_.hear(std::move(message), state, now_);
    return turn ? "" : turn.error().message;
  }
  void come_up() {
    ASSERT_TRUE(is(declared(), HostState::Starting, Turn::Declared));
    ASSERT_TRUE(is(message::Ready{}, HostState::Starting, Turn::Ready));
  }
  static message::Declared declared() {
    Declaration declaration;
    declaration.attributes.push_back({{"level", DataType::Number, "m", "help"}, 0, 0});
    return {declaration};
  }
  message::Samples samples() const { return {{{now_, {{0, Quality::Good, 1.0, ""}}}}}; }

  const BootTime now_{std::chrono::seconds(100)};
  InstanceConfig config_;
  Result<> verdict_;
  size_t samples_ = 0;
  std::vector<message::Outcome> outcomes_;
  std::vector<message::Keep> kept_;
  std::vector<message::Remark> remarks_;
  const HostProcess::Sinks sinks_{
      .declared = [this](const Declaration&) { return verdict_; },
      .samples = [this](message::Samples&& s) { samples_ += s.samples.size(); },
      .unit_state = [](const message::UnitState&) {},
      .outcome = [this](const message::Outcome& o) { outcomes_.push_back(o); },
      .state = {},
      .keep = [this](const message::Keep& keep) { kept_.push_back(keep); },
      .remark = [this](const message::Remark& remark) { remarks_.push_back(remark); }};
  HostConversation said_{config_, sinks_};
};

TEST_F(HostConversationTest, DeclaresIsReadyAndBringsSamples) {
  come_up();
  EXPECT_TRUE(is(samples(), HostState::Up, Turn::None));
  EXPECT_TRUE(is(samples(), HostState::Stopping, Turn::None));  // its last words
  EXPECT_EQ(samples_, 2U);
}

TEST_F(HostConversationTest, KeepsToTheOrder) {
  EXPECT_EQ(fault(message::Ready{}, HostState::Starting), "said it was ready when it could not be");
  EXPECT_EQ(fault(samples(), HostState::Starting), "sent samples before it was ready");
  come_up();
  EXPECT_EQ(fault(message::Ready{}, HostState::Up), "said it was ready when it could not be");
  EXPECT_EQ(fault(declared(), HostState::Up), "declared twice");
  EXPECT_EQ(samples_, 0U);
}

TEST_F(HostConversationTest, KeepsValuesFromItsOpeningOn) {
  const message::Keep keep{{{"total", 7}}};
  EXPECT_EQ(fault(keep, HostState::Starting), "kept values before it had declared");
  ASSERT_TRUE(is(declared(), HostState::Starting, Turn::Declared));
  EXPECT_TRUE(is(keep, HostState::Starting, Turn::None));
  EXPECT_TRUE(is(keep, HostState::Stopping, Turn::None));
  EXPECT_EQ(kept_, (std::vector{keep, keep}));
  EXPECT_EQ(fault(message::Keep{{{"a b", 7}}}, HostState::Up), "kept a value with a bad key");
}

TEST_F(HostConversationTest, RemarksOnWhatItHasDeclared) {
  EXPECT_EQ(fault(message::Remark{0, "a"}, HostState::Starting),
            "made a remark before it was ready");
  come_up();
  EXPECT_TRUE(is(message::Remark{0, "lower\nbound"}, HostState::Up, Turn::None));
  EXPECT_EQ(remarks_, (std::vector{message::Remark{0, "lower\\x0abound"}}));
  EXPECT_EQ(fault(message::Remark{1, "a"}, HostState::Up),
            "made a remark on an attribute that it did not declare");
}

TEST_F(HostConversationTest, AHostThatIsToStopCannotBecomeReady) {
  ASSERT_TRUE(is(declared(), HostState::Stopping, Turn::Declared));
  EXPECT_TRUE(is(message::Ready{}, HostState::Stopping, Turn::None));
}

TEST_F(HostConversationTest, WhatMayNotBeDeclaredIsNot) {
  verdict_ = Error{Errc::Invalid, "other things"};
  EXPECT_EQ(fault(declared(), HostState::Starting), "declared other things");
  EXPECT_FALSE(said_.declaration());
}

TEST_F(HostConversationTest, ACallIsAnsweredOnce) {
  come_up();
  said_.sent(7);
  EXPECT_TRUE(is(message::Outcome{7, {}, {}, "a\nb"}, HostState::Up, Turn::None));
  EXPECT_EQ(fault(message::Outcome{7, {}, {}, ""}, HostState::Up),
            "answered a call that was not made");
  ASSERT_EQ(outcomes_.size(), 1U);
  EXPECT_EQ(outcomes_[0].reason.find('\n'), std::string::npos);
}

TEST_F(HostConversationTest, CallsEndWithTheProcess) {
  for (uint64_t id = 0; id < HostConversation::kMaxCalls; ++id) {
    EXPECT_TRUE(said_.admit_call());
    said_.sent(id);
  }
  EXPECT_EQ(said_.admit_call().error().code, Errc::Full);
  said_.fail_calls("exit status 7");
  ASSERT_EQ(outcomes_.size(), HostConversation::kMaxCalls);
  EXPECT_EQ(outcomes_[0].status, message::Outcome::Status::Uncertain);
  EXPECT_EQ(
      outcomes_[0].reason,
      "the plugin ended before it answered: exit status 7; whether it took effect is not known");
  EXPECT_TRUE(said_.admit_call());
}

// The plugin shares the connection: it must not be able to say that it is confined.
TEST_F(HostConversationTest, ItsSandboxIsToldOnceAndFirst) {
  EXPECT_FALSE(said_.confinement());
  ASSERT_TRUE(is(message::Confined{{.files = true}}, HostState::Starting, Turn::None));
  EXPECT_EQ(said_.confinement(), Confinement{.files = true});
  EXPECT_EQ(fault(message::Confined{{.calls = true}}, HostState::Starting),
            "spoke twice of its sandbox");
  EXPECT_EQ(said_.confinement(), Confinement{.files = true});
}

// Each goes to the agent's log, which is everybody's.
TEST_F(HostConversationTest, ObjectsBeforeItDeclaresAndNotForEver) {
  const message::Problem problem{0, "mode", "this cannot work"};
  ::testing::internal::CaptureStderr();
  for (int i = 0; i < 256; ++i) ASSERT_TRUE(is(problem, HostState::Starting, Turn::None));
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::ranges::count(log, '\n'), 8) << log;
  EXPECT_EQ(fault(problem, HostState::Starting), "does not stop objecting");
}

TEST_F(HostConversationTest, ObjectsNoMoreOnceItHasDeclaredOrRefused) {
  come_up();
  EXPECT_EQ(fault(message::Problem{}, HostState::Up), "objected when it was too late");
  HostConversation other(config_, sinks_);
  ASSERT_TRUE(other.hear(message::Refused{}, HostState::Starting, now_));
  EXPECT_FALSE(other.hear(message::Problem{}, HostState::Starting, now_));
  EXPECT_FALSE(other.hear(message::Refused{}, HostState::Starting, now_));
}

TEST_F(HostConversationTest, KeepsWhyItWasRefused) {
  EXPECT_TRUE(is(message::Refused{message::Refused::Kind::Lasting, "no bus"}, HostState::Starting,
                 Turn::Refused));
  ASSERT_TRUE(said_.refused());
  EXPECT_EQ(said_.refused()->reason, "no bus");
}

}  // namespace
}  // namespace fieldpost
