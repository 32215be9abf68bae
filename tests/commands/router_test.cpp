// SPDX-License-Identifier: Apache-2.0
#include "commands/router.hpp"

#include <gtest/gtest.h>

#include <random>

#include "fakes/test_env.hpp"

namespace fieldpost {
namespace {

using namespace std::chrono_literals;

constexpr const char* kBoiler = "575ecf887ae143cd83dc4aa3";

class RouterTest : public testing::Test {
 protected:
  RouterTest() {
    CommandRoute route{kBoiler, "boiler", "plc", 3, {.name = "set-point", .help = "h"}};
    route.spec.args.push_back({.name = "value",
                               .type = OptionType::Number,
                               .required = true,
                               .unit = "degC",
                               .min = 0,
                               .max = 90});
    route.spec.args.push_back({.name = "ramp", .type = OptionType::Duration, .fallback = "2s"});
    route.spec.args.push_back({.name = "mode", .type = OptionType::Choice, .choices = {"a", "b"}});
    router_.set_routes({route});
  }

  IncomingCommand command(const std::string& payload, uint64_t number = 0) const {
    return {.device_id = kBoiler, .payload = payload, .received = BootTime(now_), .number = number};
  }
  void send(const std::string& payload, uint64_t number = 0) {
    router_.on_command(command(payload, number), BootTime(now_));
  }
  // The only report so far.
  CommandReport only() {
    EXPECT_EQ(reports_.size(), 1u);
    return reports_.empty() ? CommandReport{} : reports_.front();
  }

  nanoseconds now_ = 100s;
  std::vector<message::Call> calls_;
  std::vector<CommandReport> reports_;
  bool starting_ = false;
  std::vector<uint64_t> accepted_;
  Result<> accepted_result_;
  Result<> call_result_;
  std::vector<std::vector<std::optional<Value>>> own_;
  message::Outcome own_outcome_;
  std::optional<int64_t> utc_ms_;  // none: nobody vouches for the clock
  static CommandsConfig rules() {
    return {.answer_topic = "",
            .timeout = 10s,
            .id_pointer = "/id",
            .time_to_live = 60s,
            .untrusted_clock = "run"};
  }
  CommandRouter router_{rules(),
                        {.starting = [this](const CommandRoute&) { return starting_; },
                         .accepted =
                             [this](uint64_t number) {
                               accepted_.push_back(number);
                               return accepted_result_;
                             },
                         .call =
                             [this](const CommandRoute& route, message::Call call) {
                               EXPECT_FALSE(accepted_.empty()) << "noted before it runs";
                               EXPECT_EQ(route.instance, "plc");
                               calls_.push_back(std::move(call));
                               return call_result_;
                             },
                         .own =
                             [this](const CommandRoute& route, const auto& arguments) {
                               EXPECT_EQ(route.instance, "");
                               own_.push_back(arguments);
                               return own_outcome_;
                             },
                         .report = [this](const CommandReport& r) { reports_.push_back(r); },
                         .utc = [this](BootTime) { return utc_ms_; }}};
};

TEST_F(RouterTest, ArgumentsArriveInTheOrderOfTheTableWithFallbacks) {
  send(R"({"name":"set-point","payload":{"id":"x1","mode":"b","value":21.5}})");
  ASSERT_EQ(calls_.size(), 1u);
  EXPECT_EQ(calls_[0].command, 3u);
  const std::vector<std::optional<Value>> expected{21.5, 2.0, std::string("b")};
  EXPECT_EQ(calls_[0].args, expected);
  EXPECT_TRUE(reports_.empty());

  router_.on_outcome({calls_[0].id, message::Outcome::Status::Done, Value(21.0), ""});
  EXPECT_EQ(dump_json(to_json(only())),
            R"({"id":"x1","device":"boiler","command":"set-point","status":"done","value":21.0})");
  router_.on_outcome({calls_[0].id, message::Outcome::Status::Done, Value(21.0), ""});
  EXPECT_EQ(reports_.size(), 1u) << "an outcome is reported once";
}

TEST_F(RouterTest, ABareValueIsTheOnlyRequiredArgument) {
  send(R"({"name":"set-point","payload":5})");
  ASSERT_EQ(calls_.size(), 1u);
  EXPECT_EQ(calls_[0].args[0], Value(5.0));
}

TEST_F(RouterTest, WhatCannotBeRunIsRejectedWithTheReason) {
  const std::pair<const char*, const char*> cases[] = {
      {"{", "the payload: not valid JSON"},
      {"", "the payload: not valid JSON"},
      {"\xff", "the payload: not valid JSON"},
      {"[]", "the payload is not a JSON object"},
      {"{}", "the payload has no \"name\""},
      {R"({"name":7})", "the payload has no \"name\""},
      {R"({"name":""})", "\"name\" is not 1 to 255 bytes of text"},
      {R"({"name":"a\u0000b"})", "\"name\" is not 1 to 255 bytes of text"},
      {R"({"name":"set-pint"})",
       "this device has no command 'set-pint'; did you mean 'set-point'?"},
      {R"({"name":"set-point"})",
       "argument 'value' is missing: expected a number from 0 degC to 90 degC"},
      {R"({"name":"set-point","payload":{"value":91}})",
       "argument 'value': expected a number from 0 degC to 90 degC, got 91"},
      {R"({"name":"set-point","payload":{"value":null}})",
       "argument 'value': expected a number from 0 degC to 90 degC, got null"},
      {R"({"name":"set-point","payload":{"value":1,"mode":"c"}})",
       "argument 'mode': expected one of \"a\", \"b\", got \"c\""},
      {R"({"name":"set-point","payload":{"valeu":1}})",
       "unknown argument 'valeu'; did you mean 'value'?"},
      {R"({"name":"set-point","payload":{"value":1,"ramp":"soon"}})",
       "argument 'ramp': expected a duration such as \"5s\", got \"soon\""},
  };
  for (const auto& [payload, reason] : cases) {
    reports_.clear();
    send(payload);
    EXPECT_EQ(only().status, CommandStatus::Rejected) << payload;
    EXPECT_EQ(only().reason, reason);
  }
  EXPECT_TRUE(calls_.empty());
  EXPECT_EQ(router_.counts().rejected, static_cast<int64_t>(std::size(cases)));
}

TEST_F(RouterTest, DeepNestingIsRefusedNotFollowed) {
  send(R"({"name":"set-point","payload":)" + std::string(100'000, '['));
  EXPECT_EQ(only().reason, "the payload: nested more than 32 deep");
}

// What a sender chooses goes into the log and back to the broker: it must not be a megabyte.
TEST_F(RouterTest, WhatIsTooLongIsRefusedAndNotRepeated) {
  const std::string megabyte(900'000, 'x');
  const std::string long_text(5'000, 'x');
  for (const std::string& payload :
       {R"({"name":")" + megabyte + R"("})", R"({"name":")" + long_text + R"("})",
        R"({"name":"set-point","payload":{"value":1,"id":")" + long_text + R"("}})"}) {
    reports_.clear();
    send(payload);
    const CommandReport report = only();
    EXPECT_EQ(report.status, CommandStatus::Rejected);
    EXPECT_LT(dump_json(to_json(report)).size(), 1'000u);
  }
  EXPECT_TRUE(calls_.empty());
}

TEST_F(RouterTest, WhatIsTheAgentsOwnIsDoneAtOnceAndOnce) {
  CommandSpec spec{.name = "fp-do", .args = {{.name = "what", .required = true}}};
  router_.set_routes({{kBoiler, "boiler", "", 2, spec}});
  send(R"({"name":"fp-do","payload":"x"})");
  EXPECT_EQ(only().status, CommandStatus::Done);
  EXPECT_EQ(own_, (std::vector<std::vector<std::optional<Value>>>{{std::string("x")}}));
  EXPECT_EQ(router_.open(), 0u);

  for (const char* payload : {R"({"name":"fp-do","payload":{"what":"x","id":1}})",
                              R"({"name":"fp-do","payload":"x","time":5})"}) {
    const size_t before = own_.size();
    for (int i = 0; i < 2; ++i) send(payload);
    EXPECT_EQ(own_.size(), before + 1) << payload;
    EXPECT_EQ(reports_.back().status, CommandStatus::Duplicate);
    EXPECT_EQ(reports_.back().reason, "it came before: done");
  }
  send(R"({"name":"fp-do","payload":"x","time":6})");
  EXPECT_EQ(own_.size(), 4u);
  EXPECT_TRUE(calls_.empty());
}

TEST_F(RouterTest, WhatTheAgentRefusedMayBeSentAgain) {
  router_.set_routes({{kBoiler, "boiler", "", 2, {.name = "fp-do"}}});
  const std::string payload = R"({"name":"fp-do","payload":{"id":1}})";
  own_outcome_ = {.status = message::Outcome::Status::Rejected, .reason = "not now"};
  send(payload);
  EXPECT_EQ(only().reason, "not now");
  own_outcome_ = {};
  send(payload);
  EXPECT_EQ(reports_.back().status, CommandStatus::Done);
  send(payload);
  EXPECT_EQ(reports_.back().reason, "it came before: done");
  EXPECT_EQ(own_.size(), 2u);
}

TEST_F(RouterTest, AnotherDeviceHasNoCommands) {
  IncomingCommand foreign = command(R"({"name":"set-point","payload":1})");
  foreign.device_id = "575ecf887ae143cd83dc4aa9";
  router_.on_command(foreign, BootTime(now_));
  EXPECT_EQ(only().reason, "this device has no commands");
}

TEST_F(RouterTest, AHostThatIsDownFailsTheCommand) {
  call_result_ = Error{Errc::Unavailable, "the host is starting"};
  send(R"({"name":"set-point","payload":1})");
  EXPECT_EQ(only().status, CommandStatus::Failed);
  EXPECT_EQ(only().reason, "the host is starting");
  EXPECT_EQ(router_.open(), 0u);
}

TEST_F(RouterTest, OfAHostThatGoesDownNobodyKnowsWhatRan) {
  send(R"({"name":"set-point","payload":1})");
  router_.on_instance_down("another", "x");
  EXPECT_TRUE(reports_.empty());
  router_.on_instance_down("plc", "killed by signal 9");
  EXPECT_EQ(only().status, CommandStatus::Unknown);
  EXPECT_NE(only().reason.find("killed by signal 9"), std::string::npos);
  EXPECT_NE(only().reason.find("not known"), std::string::npos);
}

TEST_F(RouterTest, WhatAPluginIsNotCertainOfIsUnknown) {
  send(R"({"name":"set-point","payload":1})");
  router_.on_outcome({calls_[0].id, message::Outcome::Status::Uncertain, std::nullopt,
                      "no answer; it may have been written"});
  EXPECT_EQ(only().status, CommandStatus::Unknown);
  EXPECT_EQ(only().reason, "no answer; it may have been written");
}

TEST_F(RouterTest, ACommandWithoutAnOutcomeIsUnknownAtItsTimeout) {
  send(R"({"name":"set-point","payload":1})");
  router_.expire(BootTime(now_ + 10s - 1ns));
  EXPECT_TRUE(reports_.empty());
  router_.expire(BootTime(now_ + 10s));
  EXPECT_EQ(only().status, CommandStatus::Unknown);
  router_.on_outcome({calls_[0].id, message::Outcome::Status::Done, std::nullopt, ""});
  EXPECT_EQ(reports_.size(), 1u) << "too late counts as never";
}

TEST_F(RouterTest, AFloodIsRefusedNotPiledUp) {
  for (int i = 0; i < 1000; ++i) send(R"({"name":"set-point","payload":1})");
  EXPECT_EQ(calls_.size(), 256u);
  EXPECT_EQ(reports_.size(), 1000u - 256u);
  EXPECT_EQ(reports_.back().reason, "too many commands are running");
}

// Any bytes: one report or one call each, nothing else.
constexpr const char* kSetPoint = R"({"name":"set-point","payload":{"id":"x1","value":5}})";

TEST_F(RouterTest, WhatRunsIsNotedBeforeAndReportedUnderItsNumber) {
  send(kSetPoint, 7);
  ASSERT_EQ(calls_.size(), 1u);
  EXPECT_EQ(accepted_, std::vector<uint64_t>{7});
  router_.on_outcome({calls_[0].id, message::Outcome::Status::Done, std::nullopt, ""});
  EXPECT_EQ(only().number, 7u);
  send(R"({"name":"set-pint"})", 8);
  EXPECT_EQ(reports_.back().number, 8u);
  EXPECT_EQ(accepted_.size(), 1u) << "it is not about to run";
}

TEST_F(RouterTest, WhatCouldRunTwiceDoesNotRun) {
  accepted_result_ = Error{Errc::Unavailable, "it cannot be noted"};
  send(kSetPoint, 7);
  EXPECT_TRUE(calls_.empty());
  EXPECT_EQ(only().status, CommandStatus::Rejected);
  EXPECT_EQ(only().reason, "it cannot be noted");
}

TEST_F(RouterTest, ACommandWaitsForItsPluginInOrderUntilItsTimeHasPassed) {
  starting_ = true;
  send(R"({"name":"set-point","payload":1})", 1);
  now_ += 10s;
  send(R"({"name":"set-point","payload":2})", 2);
  router_.retry(BootTime(now_));
  EXPECT_TRUE(calls_.empty() && reports_.empty() && accepted_.empty());
  EXPECT_EQ(router_.open(), 2u);

  now_ += 55s;
  router_.retry(BootTime(now_));
  EXPECT_EQ(only().number, 1u);
  EXPECT_EQ(only().status, CommandStatus::Expired);
  EXPECT_EQ(only().reason, "it came 1 min 5 s ago and could not be run within 1 min 0 s");
  send(R"({"name":"set-point","payload":3})", 3);
  starting_ = false;
  router_.retry(BootTime(now_));
  EXPECT_EQ(accepted_, (std::vector<uint64_t>{2, 3}));
  EXPECT_EQ(router_.counts().expired, 1);
  EXPECT_EQ(router_.counts().received, 3) << "each is counted once";
}

TEST_F(RouterTest, WaitingIsBounded) {
  starting_ = true;
  for (int i = 0; i < 300; ++i) send(R"({"name":"set-point","payload":5})");
  EXPECT_EQ(router_.open(), 256u);
  EXPECT_EQ(reports_.size(), 44u);
  EXPECT_EQ(reports_.back().reason, "too many commands are running");
}

TEST_F(RouterTest, WaitingIsBoundedInBytesToo) {
  starting_ = true;
  const std::string large = R"({"name":"set-point","payload":5})" + std::string(200'000, ' ');
  for (int i = 0; i < 6; ++i) send(large);
  EXPECT_EQ(router_.open(), 5u);
  EXPECT_EQ(only().reason, "too many large commands wait for their plugins to start");
  starting_ = false;
  router_.retry(BootTime(now_));
  EXPECT_EQ(calls_.size(), 5u);
}

TEST_F(RouterTest, WhatAnEarlierProcessHasLeftRunsOrIsReported) {
  const IncomingCommand left = command(kSetPoint, 4);
  now_ += 59s;
  router_.resume(left, CommandStatus::Received, BootTime(now_));
  ASSERT_EQ(calls_.size(), 1u);
  EXPECT_TRUE(reports_.empty());
  router_.resume(left, CommandStatus::Accepted, BootTime(now_));
  EXPECT_EQ(
      dump_json(to_json(only())),
      R"({"id":"x1","device":"boiler","command":"set-point","status":"unknown",)"
      R"("reason":"the agent ended while it was running: whether it took effect is not known"})");
  EXPECT_EQ(only().number, 4u);
  router_.resume(left, CommandStatus::Expired, BootTime(now_));
  EXPECT_EQ(reports_.back().status, CommandStatus::Expired);
  EXPECT_EQ(reports_.back().reason, "the machine was started anew before it could be run");
  now_ += 2s;
  IncomingCommand other = left;
  other.payload = R"({"name":"set-point","payload":{"id":"x2","value":5}})";
  router_.resume(other, CommandStatus::Received, BootTime(now_));
  EXPECT_EQ(reports_.back().status, CommandStatus::Expired);
  EXPECT_EQ(calls_.size(), 1u);
  EXPECT_EQ(router_.counts().unknown, 1);
  EXPECT_EQ(router_.counts().expired, 2);
  EXPECT_EQ(router_.counts().received, 4);
}

TEST_F(RouterTest, WhatIsRefusedOnItsWayIsAnsweredLikeAnyOther) {
  router_.refuse(router_.refusal(command(kSetPoint, 9), "too fast"));
  EXPECT_EQ(dump_json(to_json(only())),
            R"({"id":"x1","device":"boiler","command":"set-point","status":"rejected",)"
            R"("reason":"too fast"})");
  EXPECT_EQ(only().number, 9u);
  EXPECT_EQ(router_.counts().rejected, 1);
  const auto large = router_.refusal(command(std::string(300'000, 'x')), "");
  EXPECT_EQ(large.reason, "the payload has 300000 bytes; at most 262144 are taken");
  EXPECT_EQ(router_.refusal(command("{"), "too fast").reason, "the payload: not valid JSON");
}

// ---- Once, and in time.

TEST_F(RouterTest, WhatMayHaveRunDoesNotRunAgainAndSaysWhatBecameOfIt) {
  send(kSetPoint);
  ASSERT_EQ(calls_.size(), 1u);
  send(kSetPoint);
  EXPECT_EQ(only().status, CommandStatus::Duplicate);
  EXPECT_EQ(only().reason, "it came before, and is running");
  router_.on_outcome({calls_[0].id, message::Outcome::Status::Done, Value(5.0), ""});
  now_ += 23h;
  send(R"({"name":"set-point","payload":{"value":7,"id":"x1"},"time":3})");
  EXPECT_EQ(dump_json(to_json(reports_.back())),
            R"({"id":"x1","device":"boiler","command":"set-point","status":"duplicate",)"
            R"("value":5.0,"reason":"it came before: done"})");
  EXPECT_EQ(calls_.size(), 1u);
  EXPECT_EQ(router_.counts().duplicate, 2);
  now_ += 1h;
  send(kSetPoint);
  EXPECT_EQ(calls_.size(), 2u) << "after a day it is another";
}

TEST_F(RouterTest, OneThatMayHaveRunIsNotRunAgain) {
  send(kSetPoint);
  router_.on_instance_down("plc", "killed by signal 9");
  send(kSetPoint);
  EXPECT_EQ(reports_.back().status, CommandStatus::Duplicate);
  EXPECT_EQ(reports_.back().reason, "it came before: unknown");
  router_.resume(command(R"({"name":"set-point","payload":{"id":"x2","value":5}})"),
                 CommandStatus::Accepted, BootTime(now_));
  send(R"({"name":"set-point","payload":{"id":"x2","value":5}})");
  EXPECT_EQ(reports_.back().reason, "it came before: unknown");
  EXPECT_EQ(calls_.size(), 1u);
}

TEST_F(RouterTest, WhatDidNotRunMayComeAgain) {
  call_result_ = Error{Errc::Unavailable, "the plugin is paused"};
  send(R"({"name":"set-point","payload":{"id":"x0","value":5}})");
  EXPECT_EQ(only().status, CommandStatus::Failed);
  call_result_ = {};
  reports_.clear();
  send(R"({"name":"set-point","payload":{"id":"x0","value":5}})");
  EXPECT_TRUE(reports_.empty());
  calls_.clear();
  send(R"({"name":"set-point","payload":{"id":"x1","value":91}})");
  EXPECT_EQ(only().status, CommandStatus::Rejected);
  send(kSetPoint);
  EXPECT_EQ(calls_.size(), 1u);
}

TEST_F(RouterTest, WithoutIdAndTimeNoneIsADuplicateAndTheSameTimeMakesOne) {
  for (int i = 0; i < 2; ++i) send(R"({"name":"set-point","payload":5})");
  EXPECT_EQ(calls_.size(), 2u);
  for (int i = 0; i < 2; ++i) send(R"({"name":"set-point","payload":5,"time":1000})");
  EXPECT_EQ(calls_.size(), 3u);
  EXPECT_EQ(only().status, CommandStatus::Duplicate);
  send(R"({"name":"set-point","payload":5,"time":1001})");
  send(R"({"name":"set-point","payload":6,"time":1001})");
  EXPECT_EQ(calls_.size(), 5u);
}

TEST_F(RouterTest, AnIdIsTheDevicesOwn) {
  CommandSpec spec{.name = "on"};
  router_.set_routes({{"d1", "one", "plc", 0, spec}, {"d2", "two", "plc", 1, spec}});
  for (const char* device : {"d1", "d2", "d1"}) {
    IncomingCommand incoming = command(R"({"name":"on","payload":{"id":1}})");
    incoming.device_id = device;
    router_.on_command(incoming, BootTime(now_));
  }
  EXPECT_EQ(calls_.size(), 2u);
  EXPECT_EQ(only().status, CommandStatus::Duplicate);
}

TEST_F(RouterTest, AnIdIsTextOrANumberAndNoArgument) {
  for (const char* id : {R"("")", "null", "true", "[1]", "{}"}) {
    calls_.clear();
    const std::string payload = std::string(R"({"name":"set-point","payload":{"value":5,"id":)");
    for (int i = 0; i < 2; ++i) send(payload + id + "}}");
    EXPECT_EQ(calls_.size(), 2u) << id;
  }
  router_.set_routes({{kBoiler, "boiler", "plc", 0, {.name = "play", .args = {{.name = "id"}}}}});
  calls_.clear();
  for (int i = 0; i < 2; ++i) send(R"({"name":"play","payload":{"id":"3"}})");
  EXPECT_EQ(calls_.size(), 2u);
  EXPECT_EQ(calls_[1].args[0], Value(std::string("3")));
}

// Pointers that lead nowhere in what is there: nlohmann throws at some of them.
TEST_F(RouterTest, AnyPointerMayMeetAnyPayload) {
  for (const char* pointer : {"/id/", "/id/99999999999999999999", "/id/-", "/id/0/x", "/"}) {
    CommandsConfig odd = rules();
    odd.id_pointer = pointer;
    router_.set_rules(odd);
    for (const char* payload :
         {R"({"id":[1],"value":5})", R"({"id":{"":1},"value":5})", "[5]", "5"}) {
      reports_.clear();
      calls_.clear();
      send(std::string(R"({"name":"set-point","payload":)") + payload + "}");
      EXPECT_EQ(calls_.size() + reports_.size(), 1u) << pointer << " " << payload;
    }
  }
}

TEST_F(RouterTest, ADateFarAwayIsNotAnOldOne) {
  utc_ms_ = 1'000'000;
  send(R"({"name":"set-point","payload":5,"time":"9999-12-31T23:59:59Z"})");
  EXPECT_EQ(calls_.size(), 1u);
}

TEST_F(RouterTest, WhatAnEarlierProcessHasLeftIsNotRefusedForAClockThatIsNotHeardYet) {
  CommandsConfig strict = rules();
  strict.untrusted_clock = "refuse";
  router_.set_rules(strict);
  router_.resume(command(R"({"name":"set-point","payload":5,"time":1000})"),
                 CommandStatus::Received, BootTime(now_));
  EXPECT_EQ(calls_.size(), 1u);
}

TEST_F(RouterTest, TheIdIsWhereTheConfigurationSays) {
  CommandsConfig deep = rules();
  deep.id_pointer = "/meta/id";
  router_.set_rules(deep);
  for (int i = 0; i < 2; ++i) {
    send(R"({"name":"set-point","payload":{"value":5,"meta":{"id":"y","who":"me"}}})");
  }
  EXPECT_EQ(calls_.size(), 1u);
  EXPECT_EQ(only().id, Json("y"));
  send(R"({"name":"set-point","payload":{"value":5,"id":"y"}})");
  EXPECT_EQ(reports_.back().reason, "unknown argument 'id'");
}

TEST_F(RouterTest, OneThatWaitsForItsPluginIsNoDuplicateOfItself) {
  starting_ = true;
  send(kSetPoint, 1);
  send(kSetPoint, 2);
  EXPECT_EQ(only().reason, "it came before, and is about to run");
  starting_ = false;
  router_.retry(BootTime(now_));
  EXPECT_EQ(calls_.size(), 1u);
  EXPECT_EQ(reports_.size(), 1u);
}

TEST_F(RouterTest, WhatWasSentTooLongAgoIsExpiredWhereTheClockIsVouchedFor) {
  const std::string sent =
      R"({"name":"set-point","payload":5,"time":{"$date":"1970-01-01T00:00:01Z"}})";
  utc_ms_ = 61'001;
  send(sent);
  EXPECT_EQ(only().status, CommandStatus::Expired);
  EXPECT_EQ(only().reason,
            "it was sent 1 min 0 s before it came; those older than 1 min 0 s are not run "
            "(commands.time_to_live)");
  utc_ms_ = 61'000;
  send(sent);
  EXPECT_EQ(calls_.size(), 1u);
  utc_ms_ = 500;  // the sender's clock is ahead of ours
  send(R"({"name":"set-point","payload":5,"time":2000})");
  EXPECT_EQ(calls_.size(), 2u);
}

TEST_F(RouterTest, WithAClockThatNobodyVouchesForItRunsUnlessToldOtherwise) {
  utc_ms_ = std::nullopt;
  send(R"({"name":"set-point","payload":5,"time":1000})");
  EXPECT_EQ(calls_.size(), 1u);
  CommandsConfig strict = rules();
  strict.untrusted_clock = "refuse";
  router_.set_rules(strict);
  send(R"({"name":"set-point","payload":6,"time":1000})");
  EXPECT_EQ(only().status, CommandStatus::Rejected);
  EXPECT_EQ(only().reason,
            "how old it is cannot be told: this machine's clock is not synchronised "
            "(commands.untrusted_clock)");
  send(R"({"name":"set-point","payload":6})");
  EXPECT_EQ(calls_.size(), 2u);
}

TEST_F(RouterTest, ATimeThatIsNoneIsRefused) {
  send(R"({"name":"set-point","payload":5,"time":"yesterday"})");
  EXPECT_EQ(only().reason,
            "\"time\": expected milliseconds since 1970, or a date such as "
            "\"2026-11-28T08:40:26.125Z\", got \"yesterday\"");
  send(R"({"name":"set-point","payload":5,"time":null})");
  EXPECT_EQ(calls_.size(), 1u);
}

TEST(SentTime, IsReadInEveryFormAndNothingElse) {
  const std::pair<const char*, int64_t> right[] = {
      {"0", 0},
      {"1795855226125", 1795855226125},
      {R"("2026-11-28T08:40:26.125Z")", 1795855226125},
      {R"("2026-11-28T09:40:26.125+01:00")", 1795855226125},
      {R"("2026-11-28T03:10:26.125-0530")", 1795855226125},
      {R"("2026-11-28T08:40:26Z")", 1795855226000},
      {R"({"$date":"2026-11-28T08:40:26.125Z"})", 1795855226125},
      {R"({"$date":1795855226125})", 1795855226125},
      {R"({"$date":{"$numberLong":"1795855226125"}})", 1795855226125}};
  for (const auto& [text, ms] : right) {
    EXPECT_EQ(sent_time(parse_json(text).value()), ms) << text;
  }
  for (const char* text : {"-1",
                           "1e300",
                           "true",
                           "[]",
                           "{}",
                           R"("")",
                           R"("1795855226125")",
                           R"("2026-11-28")",
                           R"("2026-11-28T08:40:26")",
                           R"("2026-11-28T08:40:26.125")",
                           R"("2026-02-30T00:00:00Z")",
                           R"("2026-11-28T25:00:00Z")",
                           R"("2026-11-28T08:40:26.Z")",
                           R"("2026-11-28T08:40:26Zx")",
                           R"("2026-11-28T08:40:26+1")",
                           R"("2026-11-28T08:40:26+01:0x")",
                           R"({"$date":[]})",
                           R"({"$date":{"$date":1}})",
                           R"({"$date":1,"x":2})",
                           R"({"$numberLong":1})",
                           R"({"$date":{"$numberLong":"x"}})"}) {
    EXPECT_EQ(sent_time(parse_json(text).value()), std::nullopt) << text;
  }
}

TEST(CommandHistoryTest, KnowsTheNewestThatRanWhateverIsRefused) {
  CommandHistory history;
  const auto entry = [](int i, CommandStatus status) {
    return CommandHistory::Entry{.identity = std::to_string(i),
                                 .came = BootTime(std::chrono::seconds(i)),
                                 .status = status,
                                 .value = Value(1.5),
                                 .outcome = Json{{"n", i}}};
  };
  const auto now = BootTime(5000s);
  for (int i = 0; i < 1001; ++i) history.add(entry(i, CommandStatus::Done));
  for (int i = 2000; i < 3000; ++i) history.add(entry(i, CommandStatus::Rejected));
  EXPECT_EQ(history.find("0", now), nullptr);
  ASSERT_NE(history.find("1", now), nullptr);
  EXPECT_EQ(history.find("1", now)->outcome, (Json{{"n", 1}}));
  EXPECT_EQ(history.find("2999", now), nullptr) << "it did not run";
  EXPECT_EQ(history.find("", now), nullptr);
  EXPECT_EQ(history.newest(2).back().outcome, (Json{{"n", 2999}}));
  EXPECT_EQ(history.newest(5000).size(), CommandHistory::kRan + CommandHistory::kRefused);

  const auto again = entry_of(to_text(*history.find("1", now)));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->identity, "1");
  EXPECT_EQ(again->came, BootTime(1s));
  EXPECT_EQ(again->status, CommandStatus::Done);
  EXPECT_EQ(again->value, Value(1.5));
  for (const char* text :
       {"", "{}", "[1]", R"({"identity":1,"came_ns":1,"status":2,"outcome":{}})"}) {
    EXPECT_FALSE(entry_of(text)) << text;
  }
}

TEST_F(RouterTest, MutationsNeverEscape) {
  const uint64_t seed = test::seed();
  SCOPED_TRACE("FIELDPOST_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  const std::string valid = R"({"name":"set-point","payload":{"id":1,"value":2.5e1,"mode":"a"}})";
  const int rounds = test::is_long() ? 1'000'000 : 20'000;
  for (int i = 0; i < rounds; ++i) {
    std::string payload = valid;
    for (uint64_t n = random() % 5 + 1; n > 0; --n) {
      const size_t at = random() % payload.size();
      if (random() % 3 == 0) {
        payload.erase(at, random() % 4);
      } else if (random() % 2 == 0) {
        payload[at] = static_cast<char>(random());
      } else {
        payload.insert(at, payload.substr(random() % payload.size(), random() % 8));
      }
      if (payload.empty()) payload = "{";
    }
    const size_t before = calls_.size() + reports_.size();
    send(payload);
    ASSERT_EQ(calls_.size() + reports_.size(), before + 1) << payload;
    if (i % 200 == 0) router_.on_instance_down("plc", "x"), calls_.clear(), reports_.clear();
  }
}

TEST(AnswerTopic, IsFilledIn) {
  const CommandReport report{.device_id = kBoiler, .device_name = "boiler"};
  EXPECT_EQ(fill_topic("a/${device}/b/${device_id}/${other}", report),
            std::string("a/boiler/b/") + kBoiler + "/${other}");
}

}  // namespace
}  // namespace fieldpost
