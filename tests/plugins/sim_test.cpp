// SPDX-License-Identifier: Apache-2.0
#include <fieldpost/plugin.hpp>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "csv.hpp"
#include "fakes/fake_host.hpp"
#include "fakes/sanitizer.hpp"
#include "signal.hpp"

namespace fieldpost::sim {
namespace {

using fakes::FakeHost;
using fakes::Row;

// ---- Signals.

double number(Signal& signal, double seconds) { return std::get<double>(signal.next(seconds)); }

TEST(SimSignal, ShapesFollowTheClock) {
  Signal sine({.shape = Shape::Sine, .amplitude = 2, .offset = 10, .period_s = 60});
  EXPECT_EQ(number(sine, 0), 10);
  EXPECT_EQ(number(sine, 15), 12);
  EXPECT_EQ(number(sine, 6000 + 45), 8);
  Signal ramp({.shape = Shape::Ramp, .amplitude = 100, .offset = -50, .period_s = 10});
  EXPECT_EQ(number(ramp, 2.5), -25);
  Signal square({.shape = Shape::Square, .period_s = 10});
  EXPECT_EQ(square.next(4), sdk::Value(true));
  EXPECT_EQ(square.next(6), sdk::Value(false));
  Signal text({.shape = Shape::Text, .period_s = 30, .texts = {"a", "b", "c"}});
  EXPECT_EQ(text.next(29), sdk::Value(std::string("c")));
  EXPECT_EQ(text.next(31), sdk::Value(std::string("a")));
}

TEST(SimSignal, TheSameSeedGivesTheSameWalkAndItStaysInBounds) {
  const SignalSpec spec{.shape = Shape::RandomWalk, .amplitude = 3, .offset = 20, .seed = 42};
  SignalSpec other = spec;
  other.seed = 43;
  Signal a(spec), b(spec), c(other);
  int different = 0;
  for (int i = 0; i < 1000; ++i) {
    const double value = number(a, i);
    EXPECT_EQ(value, number(b, i));
    different += value != number(c, i) ? 1 : 0;
    EXPECT_GE(value, 17);
    EXPECT_LE(value, 23);
  }
  EXPECT_GT(different, 900);
}

TEST(SimSignal, ACounterCountsOnFromWhereItWasSet) {
  Signal counter({.shape = Shape::Counter, .offset = 5, .step = 2});
  EXPECT_EQ(number(counter, 0), 5);
  EXPECT_EQ(number(counter, 0), 7);
  counter.set(100.0);
  EXPECT_EQ(number(counter, 0), 100);
  EXPECT_EQ(number(counter, 0), 102);
}

// ---- The plugin.

TEST(Sim, WithoutRowsItHasAFewSignals) {
  FakeHost host(Row::Values{});
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  ASSERT_EQ(host.poll(), FP_OK) << host.trouble();
  EXPECT_TRUE(host.number("temperature"));
  EXPECT_TRUE(host.boolean("running"));
  EXPECT_EQ(host.number("count"), 0);
  ASSERT_EQ(host.poll(), FP_OK);
  EXPECT_EQ(host.number("count"), 1);
  EXPECT_TRUE(host.refusals.empty()) << host.trouble();
}

TEST(Sim, UnitsHaveTheirOwnSignalsAndFaults) {
  const auto unit = [](const char* fault) {
    return Row({{"fault", fault}, {"fault_after_polls", 1}},
               {{"signal", {Row{{"attribute", "n"}, {"shape", "counter"}}}}});
  };
  FakeHost host(Row::Values{}, {{"unit", {unit("none"), unit("error")}}});
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  EXPECT_EQ(host.poll(0), FP_OK);
  EXPECT_EQ(host.poll(1), FP_OK);
  EXPECT_EQ(host.poll(0), FP_OK);
  EXPECT_EQ(host.poll(1), FP_E_IO);
  EXPECT_EQ(host.number("n", 0), 1);
  EXPECT_EQ(host.number("n", 1), 0);
}

TEST(Sim, ACommandSetsASignalAndReadsItBack) {
  const auto row = [](const char* attribute, const char* shape) {
    return Row{
        {"attribute", attribute}, {"shape", shape}, {"command", std::string("set-") + attribute}};
  };
  FakeHost host(Row::Values{},
                {{"signal", {row("level", "constant"), row("on", "square"), row("mode", "text")}}});
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  EXPECT_EQ(host.command("set-level", {{"value", 4.5}}).readback, Value(4.5));
  EXPECT_EQ(host.command("set-on", {{"value", true}}).readback, Value(true));
  EXPECT_EQ(host.command("set-mode", {{"value", std::string("off")}}).readback,
            Value(std::string("off")));
  ASSERT_EQ(host.poll(), FP_OK);
  EXPECT_EQ(host.number("level"), 4.5);
  EXPECT_EQ(host.boolean("on"), true);
  EXPECT_EQ(host.text("mode"), "off");
}

TEST(Sim, EventsComeByThemselves) {
  FakeHost host({{"events", "5ms"}});
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  pollfd p{host.event_fd(), POLLIN, 0};
  ASSERT_EQ(poll(&p, 1, 10'000), 1);
  ASSERT_EQ(host.on_event(), FP_OK);
  EXPECT_TRUE(host.number("temperature"));
}

// ---- Recordings.

class SimCsv : public testing::Test {
 protected:
  SimCsv() { std::filesystem::create_directories(directory); }
  ~SimCsv() override { std::filesystem::remove_all(directory); }
  void record(const std::string& text) const { std::ofstream(path) << text; }
  // The problem that declaring has with this recording.
  std::string problem(const std::string& text) const {
    record(text);
    FakeHost host({{"csv", path}});
    EXPECT_EQ(host.declare(), FP_E_INVALID);
    return host.problems.empty() ? "" : host.problems[0].text;
  }
  std::string directory = testing::TempDir() + "sim_csv_" + std::to_string(getpid());
  std::string path = directory + "/week.csv";
};

TEST_F(SimCsv, ReplaysWithTheRecordedDistances) {
  record(
      "time,attribute,value\n"
      "2026-05-04T10:00:00.000Z,t,21.5\n"
      "2026-05-04T10:00:00.000Z,on,true\n"
      "2026-05-04T10:00:10.500Z,t,22\n"
      "2026-05-04T10:00:20Z,note,\"a, \"\"b\"\"\nc\"\n");
  FakeHost host({{"csv", path}, {"csv_speed", 10'000}, {"csv_repeat", false}});
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!host.text("note") && std::chrono::steady_clock::now() < deadline) {
    ASSERT_EQ(host.poll(), FP_OK) << host.trouble();
  }
  ASSERT_EQ(host.samples.size(), 3U) << host.trouble();
  EXPECT_EQ(host.samples[0].readings.size(), 2U);
  EXPECT_EQ(host.samples[1].boottime_ns - host.samples[0].boottime_ns, 1'050'000);
  EXPECT_EQ(host.samples[2].boottime_ns - host.samples[0].boottime_ns, 2'000'000);
  EXPECT_EQ(host.number("t"), 22);
  EXPECT_EQ(host.boolean("on"), true);
  EXPECT_EQ(host.text("note"), "a, \"b\"\nc");
  for (int i = 0; i < 100; ++i) host.poll();
  EXPECT_EQ(host.samples.size(), 3U);
}

TEST_F(SimCsv, RepeatsAndKeepsToOneDevice) {
  record(
      "device,time,attribute,value\n"
      "boiler,1000,t,1\nmeter,1000,t,9\nboiler,2000,t,2\n");
  FakeHost host({{"csv", path}, {"csv_speed", 100'000}, {"csv_device", "boiler"}});
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (host.samples.size() < 6 && std::chrono::steady_clock::now() < deadline) host.poll();
  ASSERT_GE(host.samples.size(), 6U);
  for (size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(host.samples[i].readings.at(0).value, Value(i % 2 == 0 ? 1.0 : 2.0));
    EXPECT_GT(host.samples[i].boottime_ns, i == 0 ? 0 : host.samples[i - 1].boottime_ns);
  }
}

TEST_F(SimCsv, AnAttributeWithMixedValuesIsText) {
  record("time,attribute,value\n1,a,1\n2,a,off\n3,b,true\n4,b,false\n");
  FakeHost host({{"csv", path}});
  ASSERT_EQ(host.declare(), FP_OK) << host.trouble();
  ASSERT_EQ(host.attributes.size(), 2U);
  EXPECT_EQ(host.attributes[0].type, FP_STRING);
  EXPECT_EQ(host.attributes[1].type, FP_BOOLEAN);
}

TEST_F(SimCsv, ABadRecordingIsAProblemWithItsLine) {
  EXPECT_EQ(problem("time,name,value\n"), path + ":1: the header has no column 'attribute'");
  EXPECT_EQ(problem("time,attribute,value\n1,a,1\n2,a\n"), path + ":3: expected 3 fields");
  EXPECT_EQ(problem("time,attribute,value\nnoon,a,1\n"), path + ":2: expected a time, got 'noon'");
  EXPECT_EQ(problem("time,attribute,value\n1,a,\"x\n"), path + ":2: a quote is not closed");
  EXPECT_EQ(problem("time,attribute,value\n"), path + ": has no rows to replay");
  EXPECT_EQ(problem(""), path + ":0: is empty");
  FakeHost host({{"csv", directory + "/none.csv"}});
  EXPECT_EQ(host.declare(), FP_E_INVALID);
  EXPECT_EQ(host.problems.at(0).option, "csv");
  EXPECT_EQ(host.problems.at(0).text, directory + "/none.csv: No such file or directory");
}

TEST_F(SimCsv, TakesWhatTheOutboxExports) {
  record(
      "time,boot_ms,device,name,attribute,type,value\r\n"
      "2026-05-04T10:00:01.000Z,,575e,boiler,t,number,21.5\r\n"
      "2026-05-04T10:00:01.000Z,,575e,boiler,code,string,007\r\n"
      "2026-05-04T10:00:01.500Z,,575e,boiler,fp_online,boolean,true\r\n"
      "2026-05-04T10:00:01.000Z,,publish:bus:boiler,boiler,t,number,99\r\n"
      "2026-05-04T10:00:00.500Z,,575f,meter,t,number,1e-300\r\n"
      ",1234,575e,boiler,t,number,5\r\n"
      "2026-05-04T10:00:02.000Z,,575e,boiler,note,string,\"a,\r\nb\"\r\n");
  for (const char* device : {"575e", "boiler"}) {
    FakeHost host(
        {{"csv", path}, {"csv_device", device}, {"csv_speed", 10'000}, {"csv_repeat", false}});
    ASSERT_EQ(host.open(), FP_OK) << host.trouble();
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!host.text("note") && std::chrono::steady_clock::now() < deadline) host.poll();
    EXPECT_EQ(host.samples.size(), 2U)
        << "what the agent said of the device is not one, nor a copy";
    EXPECT_EQ(host.number("t"), 21.5);
    EXPECT_EQ(host.text("code"), "007");
    EXPECT_EQ(host.text("note"), "a,\r\nb");
  }
  FakeHost all({{"csv", path}});
  EXPECT_EQ(all.declare(), FP_E_INVALID);
  EXPECT_EQ(all.problems.at(0).text,
            path + ":6: 't' is of more than one device: name one with csv_device");
  const std::string head = "time,attribute,type,value\n";
  EXPECT_EQ(problem(head + "1,a,number,x\n"), path + ":2: expected a number, got 'x'");
  EXPECT_EQ(problem(head + "1,a,boolean,1\n"), path + ":2: expected true or false, got '1'");
  EXPECT_EQ(problem(head + "1,a,blob,1\n"),
            path + ":2: expected number, boolean or string as type, got 'blob'");
  EXPECT_EQ(problem(head + ",a,number,1\n"), path + ":2: expected a time, got ''");
}

// Rows of several devices, or from before the clock was set, need not ascend.
TEST_F(SimCsv, TheEarliestRowBeginsIt) {
  record("time,attribute,value\n1000,a,1\n900,b,2\n");
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  FakeHost host({{"csv", path}, {"csv_repeat", false}});
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!host.number("b") && std::chrono::steady_clock::now() < deadline) host.poll();
  ASSERT_EQ(host.samples.size(), 2U);
  EXPECT_EQ(host.samples[0].boottime_ns - host.samples[1].boottime_ns, 100'000'000);
  EXPECT_GE(host.samples[1].boottime_ns, now.tv_sec * 1'000'000'000 + now.tv_nsec);
}

TEST(SimTime, FormsAndRefusals) {
  EXPECT_EQ(parse_time("1970-01-01T00:00:01.5Z"), 1500);
  EXPECT_EQ(parse_time("1970-01-02 00:00:00"), 86'400'000);
  EXPECT_EQ(parse_time("1767225600123"), 1'767'225'600'123);
  for (const char* wrong : {"", "noon", "1970-13-01T00:00:00Z", "1970-01-01T00:00:00.Z",
                            "1970-01-01T00:00", "1970-01-01T00:00:00+02:00"}) {
    EXPECT_FALSE(parse_time(wrong)) << wrong;
  }
}

// ---- Faults.

TEST(SimFault, NothingHappensBeforeItsTime) {
  FakeHost late({{"fault", "error"}, {"fault_after", "1h"}});
  ASSERT_EQ(late.open(), FP_OK);
  EXPECT_EQ(late.poll(), FP_OK);
  FakeHost counted({{"fault", "error"}, {"fault_after_polls", 2}});
  ASSERT_EQ(counted.open(), FP_OK);
  EXPECT_EQ(counted.poll(), FP_OK);
  EXPECT_EQ(counted.poll(), FP_OK);
  EXPECT_EQ(counted.poll(), FP_E_IO);
  EXPECT_EQ(counted.error, "no answer, as the configuration asks");
}

TEST(SimFault, RefuseFailsToOpen) {
  FakeHost host({{"fault", "refuse"}});
  EXPECT_EQ(host.open(), FP_E_INVALID);
  EXPECT_TRUE(host.refusals.empty()) << host.trouble();
}

TEST(SimFault, GarbageIsAllRefusedAndTheGoodStillComes) {
  FakeHost host({{"fault", "garbage"}});
  ASSERT_EQ(host.open(), FP_OK);
  EXPECT_EQ(host.poll(), FP_OK) << host.error;
  EXPECT_EQ(host.refusals.size(), 9U) << host.trouble();
  EXPECT_EQ(host.samples.size(), 1U);
  EXPECT_TRUE(host.number("temperature"));
}

TEST(SimFault, FloodIsMoreThanAnyHostCanWant) {
  FakeHost host({{"fault", "flood"}});
  ASSERT_EQ(host.open(), FP_OK);
  EXPECT_EQ(host.poll(), FP_OK) << host.error;
  EXPECT_GE(host.samples.size(), 100'000U);
}

// In a child, which it costs.
TEST(SimFaultDeathTest, CrashEndsTheProcess) {
  FakeHost host({{"fault", "crash"}});
  ASSERT_EQ(host.open(), FP_OK);
  EXPECT_EXIT(host.poll(), testing::KilledBySignal(SIGABRT), "");
}

TEST(SimFaultDeathTest, HangNeverReturns) {
  FakeHost host({{"fault", "hang"}});
  ASSERT_EQ(host.open(), FP_OK);
  EXPECT_EXIT(
      {
        alarm(1);
        host.poll();
        _exit(0);
      },
      testing::KilledBySignal(SIGALRM), "");
}

TEST(SimFaultDeathTest, LeakGrowsUntilTheLimit) {
  if (fieldpost::test::is_sanitized()) GTEST_SKIP() << "a sanitizer's memory cannot be limited";
  FakeHost host({{"fault", "leak"}});
  ASSERT_EQ(host.open(), FP_OK);
  const auto grow = [&] {
    const rlimit limit{256U << 20, 256U << 20};
    setrlimit(RLIMIT_AS, &limit);
    for (int i = 0; i < 100; ++i) {
      if (host.poll() == FP_E_INTERNAL) _exit(i > 3 ? 42 : 1);
    }
    _exit(0);
  };
  EXPECT_EXIT(grow(), testing::ExitedWithCode(42), "");
}

TEST(SimFault, ScribbleWritesOnItsSockets) {
  std::array<int, 2> ends{};
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()), 0);
  FakeHost host({{"fault", "scribble"}});
  ASSERT_EQ(host.open(), FP_OK);
  EXPECT_EQ(host.poll(), FP_OK);
  std::array<char, 8192> bytes{};
  EXPECT_GT(recv(ends[1], bytes.data(), bytes.size(), MSG_DONTWAIT), 0);
  close(ends[0]);
  close(ends[1]);
}

}  // namespace
}  // namespace fieldpost::sim
