// SPDX-License-Identifier: Apache-2.0
#include "host/runner.hpp"

#include <gtest/gtest.h>

#include "host/host_driver.hpp"

namespace fieldpost {
namespace {

using namespace std::chrono_literals;
using message::Call;
using message::Declared;
using message::Keep;
using message::Outcome;
using message::Problem;
using message::Ready;
using message::Refused;
using message::Samples;
using message::UnitState;
using test::HostDriver;
using test::puppet;

// A host that runs the puppet, up to Ready.
struct Running {
  explicit Running(const InstanceConfig& config) : host("run", "puppet") {
    host.send(message::Configure{config});
    declared = host.await<Declared>();
    ready = host.await<Ready>().has_value();
  }
  HostDriver host;
  std::optional<Declared> declared;
  bool ready = false;
};

double number(const Reading& reading) { return std::get<double>(reading.value); }

TEST(Runner, DeclaresOpensAndPollsEveryUnitAtItsRate) {
  Running r(puppet("good", 3, 50ms));
  ASSERT_TRUE(r.ready);
  ASSERT_EQ(r.declared->declaration.attributes.size(), 4u);
  EXPECT_EQ(r.declared->declaration.attributes[2].unit, 2u);
  EXPECT_EQ(r.declared->declaration.attributes[2].section, 3u);
  EXPECT_EQ(r.declared->declaration.commands.size(), 5u);
  std::vector<BootTime> times[3];
  while (times[2].size() < 11) {
    const auto samples = r.host.await<Samples>();
    ASSERT_TRUE(samples);
    for (const Sample& s : samples->samples) {
      times[s.readings[0].attribute].push_back(s.time);
      EXPECT_EQ(number(s.readings[0]), static_cast<double>(times[s.readings[0].attribute].size()));
    }
  }
  for (const auto& t : times) {
    ASSERT_GE(t.size(), 11u);
    EXPECT_GE(t[10] - t[0], nanoseconds(450ms));  // ten slots, give or take the first's delay
    EXPECT_LE(t[10] - t[0], nanoseconds(1500ms));
  }
}

// As an agent of another version would have it.
TEST(Runner, AlignedPollsAreAtWholeMultiplesByTheWallClock) {
  InstanceConfig config = puppet("good", 1, 1s);
  config.align = true;
  Running r(config);
  ASSERT_TRUE(r.ready);
  nanoseconds nearest = 1s;  // to a whole second, of the three after the one at the start
  for (int i = 0; i < 4; ++i) {
    const auto samples = r.host.await<Samples>();
    ASSERT_TRUE(samples);
    const nanoseconds wall = samples->samples.at(0).time.time_since_epoch() + wall_offset();
    if (i > 0) nearest = std::min(nearest, (wall + 1ms) % nanoseconds(1s));
  }
  EXPECT_LT(nearest, nanoseconds(100ms));
}

TEST(Runner, SaysWhyItCannotFollowItsSupervisor) {
  const auto last_words = [](HostDriver& host) {
    EXPECT_EQ(host.exit_status(), static_cast<int>(HostExit::Protocol));
    std::string log = host.log();
    EXPECT_NE(log.find("<3>cannot follow the agent: "), std::string::npos) << log;
    return log;
  };
  HostDriver no_configuration("run", "puppet");
  no_configuration.send(message::Ping{});
  EXPECT_NE(last_words(no_configuration).find("no configuration"), std::string::npos);

  InstanceConfig config = puppet("good");
  config.units = {77};
  HostDriver nowhere("run", "puppet");
  nowhere.send(message::Configure{config});
  EXPECT_NE(last_words(nowhere).find("a row that is not there"), std::string::npos);

  HostDriver other_version("run", "puppet");
  const std::vector<std::byte> frame(32, std::byte{9});
  ASSERT_TRUE(send_datagram(other_version.socket(), frame, true));
  last_words(other_version);

  Running out_of_turn(puppet("good"));
  ASSERT_TRUE(out_of_turn.ready);
  out_of_turn.host.send(message::Ready{});
  EXPECT_NE(last_words(out_of_turn.host).find("out of turn"), std::string::npos);
  Running other_frame(puppet("good"));
  ASSERT_TRUE(other_frame.ready);
  ASSERT_TRUE(send_datagram(other_frame.host.socket(), frame, true));
  last_words(other_frame.host);
}

TEST(Runner, AUnitsStateIsToldOnceAndOnChange) {
  Running r(puppet("good", 1, 10ms));
  int states = 0;
  for (int polls = 0; polls < 10;) {
    const auto message = r.host.receive();
    ASSERT_TRUE(message);
    if (std::holds_alternative<Samples>(*message)) ++polls;
    if (const auto* state = std::get_if<UnitState>(&*message)) {
      ++states;
      EXPECT_TRUE(state->good);
    }
  }
  EXPECT_EQ(states, 1);
}

TEST(Runner, ASilentUnitDoesNotSlowItsNeighbour) {
  auto config = puppet("good", 2, 50ms);
  config.sections[1].values["silent"] = true;
  Running r(config);
  const auto state = r.host.await<UnitState>([](const UnitState& s) { return s.unit == 0; });
  ASSERT_TRUE(state);
  EXPECT_FALSE(state->good);
  EXPECT_EQ(state->reason, "no answer");
  const BootTime start = BootClock::now();
  int neighbour = 0;
  while (BootClock::now() - start < 1s) {
    const auto samples = r.host.await<Samples>({[](const Samples&) { return true; }}, 200ms);
    if (samples) neighbour += static_cast<int>(samples->samples.size());
  }
  EXPECT_GE(neighbour, 15);  // of 20; a machine that builds at the same time may cost some
}

TEST(Runner, AWaitingCallGoesBeforeThePollsThatAreDue) {
  auto config = puppet("good", 20, 20ms);
  config.sections[0].values["nap"] = 0.02;  // twenty units keep it busy without end
  Running r(config);
  ASSERT_TRUE(r.host.await<Samples>());
  for (uint64_t id = 1; id <= 5; ++id) {
    const BootTime asked = BootClock::now();
    r.host.send(Call{id, 0, {Value(7.5), std::nullopt}});
    const auto outcome = r.host.await<Outcome>();
    ASSERT_TRUE(outcome);
    EXPECT_EQ(outcome->id, id);
    EXPECT_EQ(outcome->status, Outcome::Status::Done);
    EXPECT_EQ(outcome->readback, Value(7.5));
    EXPECT_LT(BootClock::now() - asked, nanoseconds(300ms));  // one poll of 20 ms, not twenty
  }
}

TEST(Runner, CallsEndInTheOutcomeThatFits) {
  Running r(puppet("good", 0, 0ms));
  const auto outcome = [&](const Call& call) {
    r.host.send(call);
    return r.host.await<Outcome>().value_or(Outcome{0, {}, {}, "(none)"});
  };
  using Status = Outcome::Status;
  EXPECT_EQ(outcome({1, 1, {}}).readback, Value(std::string("read back")));
  EXPECT_EQ(outcome({2, 2, {}}).status, Status::Failed);
  EXPECT_EQ(outcome({3, 2, {}}).reason, "no answer to the command");
  EXPECT_EQ(outcome({4, 99, {}}).reason, "no such command");
  EXPECT_EQ(outcome({5, 0, {}}).reason, "expected 2 arguments, got 0");
  EXPECT_EQ(outcome({6, 0, {std::nullopt, std::nullopt}}).reason, "argument 'value' is missing");
  const Outcome wrong = outcome({7, 0, {Value(true), std::nullopt}});
  EXPECT_EQ(wrong.status, Status::Rejected);
  EXPECT_EQ(wrong.reason, "argument 'value': expected a number");
  EXPECT_EQ(outcome({8, 0, {Value(1.0), std::nullopt}}).status, Status::Done);  // still alive
}

// The tally writes down each value that it is set to.
struct Tallying {
  explicit Tallying(const GuardRule& rule) : file(folder / "tally") {
    config.name = "tally";
    config.deadline = 10s;
    config.sections.push_back({0, "", {{"file", file}, {"gate", std::string("/")}, {"work", 0.0}}});
    config.guards = {rule};
  }
  void start() {
    host.emplace("run", "tally");
    host->send(message::Configure{config});
    EXPECT_TRUE(host->await<Ready>());
  }
  Outcome set(double value) {
    host->send(Call{++calls, 0, {Value(value)}});
    return host->await<Outcome>().value_or(Outcome{0, {}, {}, "(none)"});
  }
  std::string written() const { return read_file(file, 4096).value_or(""); }

  test::TempDir folder;
  std::string file;
  InstanceConfig config;
  std::optional<HostDriver> host;
  uint64_t calls = 0;
};

TEST(RunnerGuard, DrivesSafeFirstAndLast) {
  Tallying t({.command = "tally", .safe = Value(0.0)});
  t.start();
  EXPECT_EQ(t.set(7).status, Outcome::Status::Done);
  t.host->terminate();
  EXPECT_EQ(t.host->exit_status(), 0);
  EXPECT_EQ(t.written(), "0\n7\n0\n");
}

TEST(RunnerGuard, DrivesSafeWhenTheAgentIsGone) {
  Tallying t({.command = "tally", .safe = Value(0.0)});
  t.start();
  EXPECT_EQ(t.set(7).status, Outcome::Status::Done);
  t.host->hang_up();
  EXPECT_EQ(t.host->exit_status(), 0);
  EXPECT_EQ(t.written(), "0\n7\n0\n");
}

TEST(RunnerGuard, AProcessAfterAKillDrivesSafeBeforeAnythingElse) {
  Tallying t({.command = "tally", .safe = Value(0.0)});
  t.start();
  EXPECT_EQ(t.set(7).status, Outcome::Status::Done);
  t.host.reset();
  t.start();
  EXPECT_EQ(t.set(8).status, Outcome::Status::Done);
  EXPECT_EQ(t.written(), "0\n7\n0\n8\n");
}

TEST(RunnerGuard, HoldsWhereItIsTold) {
  Tallying t({.command = "tally", .safe = Value(0.0), .hold_at_stop = true});
  t.start();
  EXPECT_EQ(t.set(7).status, Outcome::Status::Done);
  t.host->terminate();
  EXPECT_EQ(t.host->exit_status(), 0);
  EXPECT_EQ(t.written(), "7\n");
}

TEST(RunnerGuard, RefusesAndSaysWhichRule) {
  Tallying t({.command = "tally", .safe = Value(0.0), .min_off = 1h});
  t.start();
  const Outcome refused = t.set(7);
  EXPECT_EQ(refused.status, Outcome::Status::Rejected);
  EXPECT_TRUE(refused.reason.starts_with("min_off: 'tally' has been off for ")) << refused.reason;
  EXPECT_EQ(t.written(), "0\n");
}

TEST(RunnerGuard, SwitchesOffWhatIsOnForTooLong) {
  Tallying t({.command = "tally", .safe = Value(0.0), .max_on = 50ms});
  t.start();
  EXPECT_EQ(t.set(7).status, Outcome::Status::Done);
  EXPECT_TRUE(test::eventually([&] { return t.written() == "0\n7\n0\n"; })) << t.written();
  const std::string said = "set 'tally' to its safe value 0, because it has been on for 50 ms";
  EXPECT_TRUE(test::eventually([&] { return t.host->log().find(said) != std::string::npos; }));
}

TEST(RunnerGuard, DrivesSafeWhenTheBrokerIsNotHeardOf) {
  Tallying t({.command = "tally", .safe = Value(0.0), .uplink_silent = 300ms});
  t.start();
  t.host->send(message::BrokerHeard{BootClock::now() + 1h});  // keeps it until then
  EXPECT_EQ(t.set(7).status, Outcome::Status::Done);
  t.host.reset();
  t.start();
  EXPECT_EQ(t.set(8).status, Outcome::Status::Done);
  EXPECT_TRUE(test::eventually([&] { return t.written() == "0\n7\n0\n8\n0\n"; })) << t.written();
}

TEST(Runner, ABugInACallEndsTheHost) {
  Running r(puppet("good", 0, 0ms));
  r.host.send(Call{1, 3, {}});
  const auto refused = r.host.await<Refused>();
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->kind, Refused::Kind::Fault);
  EXPECT_EQ(refused->reason, "command: a bug in command");
  EXPECT_EQ(r.host.exit_status(), 1);
}

TEST(Runner, OpenFailsInTheKindThatFits) {
  const std::tuple<const char*, Refused::Kind, const char*> expected[] = {
      {"throw", Refused::Kind::Fault, "thrown in the constructor"},
      {"absent", Refused::Kind::Passing, "no such device"},
      {"invalid", Refused::Kind::Lasting, "this cannot work"},
      {"fickle", Refused::Kind::Fault, "less was declared"},
  };
  for (const auto& [mode, kind, words] : expected) {
    HostDriver host("run", "puppet");
    host.send(message::Configure{puppet(mode)});
    const auto refused = host.await<Refused>();
    ASSERT_TRUE(refused) << mode;
    EXPECT_EQ(refused->kind, kind) << mode;
    EXPECT_NE(refused->reason.find(words), std::string::npos) << refused->reason;
    EXPECT_EQ(host.exit_status(), 1) << mode;
  }
}

TEST(Runner, CheckDeclaresWithoutOpening) {
  HostDriver host("check", "puppet");
  host.send(message::Configure{puppet("throw")});  // would throw in open
  EXPECT_TRUE(host.await<Declared>());
  EXPECT_EQ(host.exit_status(), 0);
}

TEST(Runner, CheckTellsAllProblems) {
  for (const auto& [mode, words] : {std::pair{"complain", "this mode is a complaint"},
                                    std::pair{"bad-name", "attribute 'not a name': expected"}}) {
    HostDriver host("check", "puppet");
    host.send(message::Configure{puppet(mode)});
    const auto problem = host.await<Problem>();
    ASSERT_TRUE(problem) << mode;
    EXPECT_NE(problem->text.find(words), std::string::npos) << problem->text;
    EXPECT_TRUE(host.await<Declared>());
    EXPECT_EQ(host.exit_status(), 0);
  }
}

TEST(Runner, RunRefusesWhatThePluginComplainsAbout) {
  HostDriver host("run", "puppet");
  host.send(message::Configure{puppet("complain")});
  const auto refused = host.await<Refused>();
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->kind, Refused::Kind::Lasting);
  EXPECT_EQ(refused->reason, "this mode is a complaint");
}

TEST(Runner, APluginWithoutDeclareHasItsTablesForEveryUnit) {
  HostDriver host("run", "plain");
  auto config = puppet("good", 2);
  host.send(message::Configure{config});
  const auto declared = host.await<Declared>();
  ASSERT_TRUE(declared);
  ASSERT_EQ(declared->declaration.attributes.size(), 2u);
  EXPECT_EQ(declared->declaration.attributes[1].spec.name, "level");
  EXPECT_EQ(declared->declaration.attributes[1].unit, 1u);
  EXPECT_TRUE(host.await<Ready>());
}

TEST(Runner, NothingOutOfBoundsLeavesTheHost) {
  Running r(puppet("bad-values"));
  const auto samples = r.host.await<Samples>();
  ASSERT_TRUE(samples);
  std::vector<std::string> why;
  for (const Sample& sample : samples->samples) {
    ASSERT_EQ(sample.readings.size(), 1u);
    if (sample.readings[0].quality == Quality::OutOfRange) why.push_back(sample.readings[0].detail);
    EXPECT_LE(sample.time, BootClock::now());
  }
  EXPECT_EQ(why,
            (std::vector<std::string>{
                "a number that is not finite", "a number that is not finite",
                "a boolean, but it was declared a number", "a string, but it was declared a number",
                "text that is not UTF-8", "text of 65537 bytes; at most 65536 are allowed",
                "its time is negative: is it CLOCK_BOOTTIME?", why.back()}));
  EXPECT_NE(why.back().find(" ahead: is it CLOCK_BOOTTIME?"), std::string::npos);
  EXPECT_EQ(samples->samples.back().readings[0].value, Value(std::string("2 refused")));
  EXPECT_NE(r.host.log().find("a sample was refused: 'counter': unknown quality"),
            std::string::npos);
}

TEST(Runner, ABadReadingCarriesItsQualityAndNoZero) {
  Running r(puppet("bad-quality", 1));
  const auto samples = r.host.await<Samples>();
  ASSERT_TRUE(samples);
  const Reading& reading = samples->samples[0].readings[0];
  EXPECT_EQ(reading.quality, Quality::CommError);
  EXPECT_EQ(reading.detail, "exception 2");
}

TEST(Runner, WhatIsKeptComesBeforeTheReadingsThatTellOfIt) {
  HostDriver host("run", "puppet");
  host.send(message::Configure{puppet("keep", 0, 5ms), {{"n", 41}, {"other", -1}}});
  int64_t kept = 41;
  for (int readings = 0; readings < 20;) {
    const auto message = host.receive();
    ASSERT_TRUE(message);
    if (const auto* keep = std::get_if<Keep>(&*message)) {
      ASSERT_EQ(keep->values.size(), 1u);
      EXPECT_EQ(keep->values[0], (KeptValue{"n", ++kept}));
    } else if (const auto* samples = std::get_if<Samples>(&*message)) {
      EXPECT_EQ(number(samples->samples.back().readings[0]), static_cast<double>(kept));
      ++readings;
    }
  }
}

TEST(Runner, WhatNoReadingTellsOfIsKeptOnceASecondAndAtTheEnd) {
  Running r(puppet("keep-quietly", 0, 5ms));
  const BootTime began = BootClock::now();
  int64_t last = 0;
  for (int i = 0; i < 2; ++i) {
    const auto keep = r.host.await<Keep>();
    ASSERT_TRUE(keep);
    EXPECT_GT(keep->values[0].value, last);
    last = keep->values[0].value;
  }
  EXPECT_GE(BootClock::now() - began, nanoseconds(1500ms));
  r.host.terminate();
  const auto end = r.host.await<Keep>([](const Keep& keep) { return keep.values[0].key == "end"; });
  ASSERT_TRUE(end);
  EXPECT_EQ(end->values[0].value, 7);
}

TEST(Runner, ARemarkComesOnceAndBeforeTheReadingsItIsOn) {
  Running r(puppet("remark", 0, 2ms));
  std::vector<std::string> remarks;
  for (int readings = 0; readings < 30;) {
    const auto message = r.host.receive();
    ASSERT_TRUE(message);
    if (const auto* remark = std::get_if<message::Remark>(&*message)) {
      EXPECT_EQ(readings % 5, 0);
      remarks.push_back(remark->text);
    } else if (std::holds_alternative<Samples>(*message)) {
      EXPECT_EQ(remarks.size(), static_cast<size_t>(readings++ / 5));
    }
  }
  EXPECT_EQ(remarks,
            (std::vector<std::string>{"doubt\\x0aful", "", "doubt\\x0aful", "", "doubt\\x0aful"}));
}

TEST(Runner, ARemarkOnWhatIsNotThereIsABugOfThePluginAndSaid) {
  Running r(puppet("remark-badly", 0, 5ms));
  const auto refused = r.host.await<Refused>();
  ASSERT_TRUE(refused);
  EXPECT_NE(refused->reason.find("the host takes no remark on attribute 4000000000"),
            std::string::npos)
      << refused->reason;
}

TEST(Runner, WhatCannotBeKeptIsABugOfThePluginAndSaid) {
  for (const auto& [mode, why] :
       {std::pair("keep-badly", "'not a key' is not kept: a key has 1 to 255 letters"),
        std::pair("keep-too-many", "'key256' is not kept: this process has kept 256 others")}) {
    Running r(puppet(mode, 0, 5ms));
    const auto refused = r.host.await<Refused>();
    ASSERT_TRUE(refused) << mode;
    EXPECT_EQ(refused->kind, Refused::Kind::Fault);
    EXPECT_NE(r.host.log().find(why), std::string::npos) << r.host.log();
  }
}

TEST(Runner, ACallMayBringMoreThanFitsAMessage) {
  Running r(puppet("bulk", 0, 10s));
  size_t readings = 0;
  int messages = 0;
  while (readings < 200'000) {
    const auto samples = r.host.await<Samples>();
    ASSERT_TRUE(samples) << readings;
    ++messages;
    for (const Sample& s : samples->samples) readings += s.readings.size();
  }
  EXPECT_GE(messages, 4);
}

TEST(Runner, EventsAreServedWithoutPolling) {
  Running r(puppet("event", 0, 0ms));
  for (int i = 0; i < 3; ++i) {
    const auto samples = r.host.await<Samples>();
    ASSERT_TRUE(samples);
    EXPECT_EQ(samples->samples[0].readings[0].value, Value(std::string("event")));
  }
}

TEST(Runner, PingsAreAnsweredBetweenCalls) {
  Running r(puppet("good", 1, 20ms));
  r.host.send(message::Ping{});
  EXPECT_TRUE(r.host.await<message::Pong>());
}

TEST(Runner, InheritsNothingButItsSocketAndTheLog) {
  Running r(puppet("descriptors"));
  const auto samples = r.host.await<Samples>();
  ASSERT_TRUE(samples);
  // 4 is the host's own event descriptor; all but the standard ones are closed on exec.
  EXPECT_EQ(samples->samples[0].readings[0].value, Value(std::string("0 1 2 3x 4x ")));
}

TEST(Runner, APluginThatClosesTheHostsDescriptorsIsToldSo) {
  Running r(puppet("closes"));
  const auto refused = r.host.await<Refused>();
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->kind, Refused::Kind::Fault);
  EXPECT_NE(refused->reason.find("closed a descriptor"), std::string::npos) << refused->reason;
  EXPECT_EQ(r.host.exit_status(), 1);
}

TEST(Runner, ChattingIsBounded) {
  Running r(puppet("chatter", 0, 10s));
  ASSERT_TRUE(r.host.await<Samples>());
  const std::string log = r.host.log();
  EXPECT_LE(std::ranges::count(log, '\n'), 60);
  EXPECT_NE(log.find("<5>line\\x1b[31m 0\n"), std::string::npos);
}

TEST(Runner, AnExceptionThatEscapesThePluginEndsTheHost) {
  Running r(puppet("bug"));
  const auto refused = r.host.await<Refused>();
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->reason, "poll: a bug in poll");
  Running foreign(puppet("foreign"));
  EXPECT_EQ(foreign.host.await<Refused>()->kind, Refused::Kind::Fault);
}

// ---- The end.

constexpr nanoseconds kEnd = 2s;  // a second, and one for a busy machine

void end_by_hanging_up(HostDriver& host) { host.hang_up(); }
void end_by_signal(HostDriver& host) { host.terminate(); }
constexpr decltype(&end_by_signal) kEnds[] = {end_by_hanging_up, end_by_signal};

TEST(RunnerEnd, ClosesThePluginOnEndOfFileAndOnSigterm) {
  for (const auto end : kEnds) {
    Running r(puppet("good", 1, 20ms));
    ASSERT_TRUE(r.host.await<Samples>());
    end(r.host);
    EXPECT_EQ(r.host.exit_status(kEnd), 0);
    EXPECT_NE(r.host.log().find("closed\n"), std::string::npos);
  }
}

TEST(RunnerEnd, ACloseThatHangsIsCutShort) {
  for (const auto end : kEnds) {
    Running r(puppet("hang-close", 1, 20ms));
    ASSERT_TRUE(r.host.await<Samples>());
    end(r.host);
    EXPECT_EQ(r.host.exit_status(kEnd), -SIGALRM);
  }
}

TEST(RunnerEnd, ACallThatHangsIsCutShortBySigterm) {
  Running r(puppet("hang", 1));
  ASSERT_TRUE(test::eventually([&] { return test::is_hanging(r.host.pid()); }));
  r.host.terminate();
  EXPECT_EQ(r.host.exit_status(kEnd), -SIGALRM);
}

TEST(RunnerEnd, ARunningCallMayEndAndItsReadingsArrive) {
  auto config = puppet("good", 1, 10s);
  config.sections[0].values["nap"] = 0.4;
  Running r(config);
  ASSERT_TRUE(r.ready);
  ASSERT_TRUE(test::eventually([&] { return test::is_named(r.host.pid(), "napping"); }));
  r.host.terminate();
  const auto samples = r.host.await<Samples>();
  ASSERT_TRUE(samples);
  EXPECT_EQ(number(samples->samples[0].readings[0]), 1);
  EXPECT_EQ(r.host.exit_status(kEnd), 0);
}

// The parent of a host dies while the host is inside a call that never ends and so cannot see the
// end of file.
TEST(RunnerEnd, TheDeathOfTheParentReachesAHangingCall) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd out(ends[0]);
  UniqueFd in(ends[1]);
  const pid_t parent = ::fork();
  ASSERT_GE(parent, 0);
  if (parent == 0) {
    Running r(puppet("hang", 1));
    const pid_t pid = r.host.pid();
    (void)test::eventually([&] { return test::is_hanging(pid); });
    (void)!::write(in.get(), &pid, sizeof pid);
    ::raise(SIGKILL);
  }
  in = UniqueFd();
  pid_t host = -1;
  ASSERT_EQ(::read(out.get(), &host, sizeof host), ssize_t{sizeof host});
  const auto ended = open_pidfd(host);
  ::waitpid(parent, nullptr, 0);
  if (!ended) return;  // gone before we could look
  pollfd watched{ended->get(), POLLIN, 0};
  EXPECT_EQ(::poll(&watched, 1, 2000), 1);
}

TEST(RunnerEnd, ASupervisorThatDoesNotReadCostsNoMemoryAndTheEndIsStillSeen) {
  for (const auto end : kEnds) {
    Running r(puppet("flood", 1));
    ASSERT_TRUE(r.ready);
    pollfd full{r.host.socket(), POLLIN, 0};
    ASSERT_EQ(::poll(&full, 1, 5000), 1);  // it is sending, and we do not read
    end(r.host);
    EXPECT_EQ(r.host.exit_status(kEnd), -SIGALRM);  // its poll never ends
  }
}

TEST(RunnerEnd, NonsenseFromTheSupervisorEndsIt) {
  HostDriver host("run", "puppet");
  const std::byte nonsense[] = {std::byte{1}, std::byte{2}};
  ASSERT_TRUE(send_datagram(host.socket(), nonsense, true));
  EXPECT_EQ(host.exit_status(), 3);
}

TEST(RunnerEnd, StartedByHandItExplainsItself) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd out(ends[0]);
  UniqueFd in(ends[1]);
  const auto pid = spawn({.program = test::plugin_host(),
                          .args = {"run", test::plugin_path("puppet")},
                          .descriptors = {-1, -1, in.get()}});
  ASSERT_TRUE(pid);
  in = UniqueFd();
  int status = 0;
  ::waitpid(*pid, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 2);
  char text[512] = {};
  ASSERT_GT(::read(out.get(), text, sizeof text - 1), 0);
  EXPECT_NE(std::string(text).find("started by fieldpostd"), std::string::npos);
}

}  // namespace
}  // namespace fieldpost
