// SPDX-License-Identifier: Apache-2.0
//
// exec with real programs: scripts that behave, and such that do not.
#include <fieldpost/plugin.hpp>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include "exec_script.hpp"

namespace exec {
namespace {

constexpr int kWarning = 4;

class Exec : public ExecTest {};

// ---- Mode stream.

TEST_F(Exec, EachLineIsASample) {
  FakeHost host({{"command", script("echo '{\"n\": 1, \"b\": true, \"s\": \"x\"}'\n"
                                    "echo '{\"n\": 2}'; exec sleep 60")}},
                tables());
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  ASSERT_EVENTUALLY(host, host.number("n") == 2.0);
  EXPECT_EQ(host.boolean("b"), true);
  EXPECT_EQ(host.text("s"), "x");
  EXPECT_EQ(host.samples.size(), 2U);
  EXPECT_EQ(host.poll(), FP_OK) << host.trouble();
  EXPECT_TRUE(host.refusals.empty()) << host.trouble();
}

TEST_F(Exec, TheTimeOfASampleMayBeTold) {
  FakeHost host({{"command", script("read up rest < /proc/uptime; echo $up > " + path_of("up") +
                                    "\necho '{\"readings\": {\"n\": 1}, \"boottime\": '$up'}'; "
                                    "exec sleep 60")}},
                tables());
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  ASSERT_EVENTUALLY(host, host.number("n") == 1.0);
  EXPECT_NEAR(static_cast<double>(host.samples.back().boottime_ns) / 1e9, std::stod(content("up")),
              1e-6);
}

TEST_F(Exec, WhatFitsNoDeclarationIsNeverAValue) {
  FakeHost host({{"command", script("echo '{\"n\": \"3\", \"b\": 1, \"sss\": \"x\"}'\n"
                                    "echo '{\"n\": \"3\", \"sss\": \"x\", \"s\": null}'\n"
                                    "exec sleep 60")}},
                tables());
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  ASSERT_EVENTUALLY(host, host.samples.size() == 2);
  EXPECT_EQ(host.latest("n")->quality, FP_OUT_OF_RANGE);
  EXPECT_EQ(detail(host, "n"), "the program printed a string, but it is declared as number");
  EXPECT_EQ(detail(host, "b"), "the program printed a number, but it is declared as boolean");
  EXPECT_EQ(detail(host, "s"), "the program printed null");
  EXPECT_EQ(count_logged(host, "prints 'sss', which no [[plugin.reading]] declares"), 1U)
      << host.trouble();
  EXPECT_EQ(host.poll(), FP_OK) << "it does answer";
}

TEST_F(Exec, NonsenseIsLeftOutAndNamedAndInTheEndAFault) {
  FakeHost host({{"command", script("echo '{\"n\": 1}'\n"
                                    "for i in 1 2 3 4 5 6 7 8 9; do echo warming up; done\n"
                                    "echo '{\"n\": 2}'; cat > /dev/null")}},
                tables());
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  ASSERT_EVENTUALLY(host, host.number("n") == 2.0);
  EXPECT_EQ(host.poll(), FP_OK) << "nine are not enough";
  EXPECT_EQ(count_logged(host, "a line was left out: it is not JSON: warming up"), 1U)
      << host.trouble();
  host.close();

  FakeHost worse({{"command", script("for i in 1 2 3 4 5 6 7 8 9 0; do echo warming up; done\n"
                                     "read go; echo '{\"n\": 2}'; exec sleep 60")}},
                 tables({Row{{"command", "go"}}}));
  ASSERT_EQ(worse.open(), FP_OK) << worse.trouble();
  ASSERT_EVENTUALLY(worse, worse.poll() == FP_E_IO);
  EXPECT_EQ(worse.error, "10 lines in a row were left out; it is not JSON: warming up");
  EXPECT_EQ(detail(worse, "n"), worse.error);
  EXPECT_NE(detail(worse, "b"), "none");
}

TEST_F(Exec, AReadingMendsAFault) {
  FakeHost host(
      {{"command", script("[ -e " + path_of("again") + " ] || { touch " + path_of("again") +
                          "; exit 3; }\n"
                          "echo '{\"n\": 2}'; exec sleep 60")}},
      tables());
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  ASSERT_EVENTUALLY(host, host.poll() == FP_E_IO);
  EXPECT_EQ(host.error, "the program ended with status 3");
  EXPECT_EQ(detail(host, "n"), "the program ended with status 3");
  EXPECT_TRUE(logged(host, "status 3; it is started again in 1 s")) << host.trouble();
  ASSERT_EVENTUALLY(host, host.number("n") == 2.0);
  EXPECT_EQ(host.poll(), FP_OK);
}

TEST_F(Exec, OneThatEndsAtOnceIsStartedWithGrowingPauses) {
  FakeHost host({{"command", script("echo x >> " + path_of("starts") + "; kill -SEGV $$")}},
                tables());
  const auto began = steady_clock::now();
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  ASSERT_EVENTUALLY(host, logged(host, "it is started again in 4 s"));
  EXPECT_GE(steady_clock::now() - began, 3s) << "1 and 2 seconds lie between three starts";
  EXPECT_EQ(content("starts"), "x\nx\nx\n");
  EXPECT_EQ(host.poll(), FP_E_IO);
  EXPECT_EQ(host.error, "the program ended with signal 11 (Segmentation fault)");
}

TEST_F(Exec, OneThatIsSilentIsStartedAnew) {
  FakeHost host({{"command", script("echo '{\"n\": '$$'}'; exec sleep 60")}, {"silence", "200ms"}},
                tables());
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  ASSERT_EVENTUALLY(host, host.number("n").has_value());
  const double first = *host.number("n");
  ASSERT_EVENTUALLY(host, host.number("n") && host.number("n") != first);
  EXPECT_TRUE(logged(host, "the program printed nothing for 0.2 s")) << host.trouble();
  EXPECT_FALSE(is_alive(static_cast<pid_t>(first)));
}

TEST_F(ExecTest, OneThatClosesItsStdoutAndLivesOnIsStartedAnew) {
  FakeHost host({{"command", script("echo '{\"n\": '$$'}'; exec >&-; exec sleep 300")}}, tables());
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  ASSERT_EVENTUALLY(host, host.number("n").has_value());
  const double first = *host.number("n");
  ASSERT_EVENTUALLY(host,
                    detail(host, "n") == "the program has closed its stdout, and did not end");
  ASSERT_EVENTUALLY(host, host.number("n") && host.number("n") != first);
  EXPECT_TRUE(logged(host, "did not end; it is started again in 1 s")) << host.trouble();
  EXPECT_FALSE(is_alive(static_cast<pid_t>(first)));
}

TEST_F(Exec, OneThatFloodsWaitsAndTheHostIsFreeMeanwhile) {
  FakeHost host({{"command", script("exec yes '{\"n\": 1}'")}}, tables());
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  const auto began = steady_clock::now();
  ASSERT_EVENTUALLY(host, host.samples.size() >= 1'500);
  EXPECT_GE(steady_clock::now() - began, 2s) << "500 lines a second";
  EXPECT_EQ(count_logged(host, "it is made to wait"), 1U) << host.trouble();
  pollfd event{host.event_fd(), POLLIN, 0};
  EXPECT_EQ(::poll(&event, 1, 0), 0) << "what may not be read must not wake anybody";
  EXPECT_EQ(host.poll(), FP_OK);
}

TEST_F(Exec, ALineThatIsTooLongIsLeftOut) {
  FakeHost host({{"command", script("head -c 300000 /dev/zero | tr '\\0' x; echo\n"
                                    "echo '{\"n\": 2}'; exec sleep 60")}},
                tables());
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  ASSERT_EVENTUALLY(host, host.number("n") == 2.0);
  EXPECT_EQ(count_logged(host, "longer than 65536 bytes: xxxx"), 1U) << host.trouble();
}

TEST_F(Exec, WhatItSaysIsLogged) {
  FakeHost host({{"command", script("echo 'no such sensor' >&2\n"
                                    "echo '{\"log\": \"calibrated\", \"level\": \"warning\"}'\n"
                                    "exec sleep 60")}},
                tables());
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  ASSERT_EVENTUALLY(host, logged(host, "no such sensor") && logged(host, "calibrated"));
  EXPECT_TRUE(std::ranges::count(host.logs, std::pair(kWarning, std::string("calibrated"))));
}

// ---- What it is given.

TEST_F(Exec, ACommandRunsToItsAnswer) {
  FakeHost host({{"command", script("while read -r line; do echo \"$line\" >> " + path_of("got") +
                                    "\ncase $line in *stuck*) echo '{\"failed\": 2, \"reason\": "
                                    "\"the valve is stuck\"}';;\n"
                                    "*) echo '{\"done\": 1, \"value\": 21.5}';; esac; done")}},
                tables({Row{{"command", "set"}, {"type", "number"}, {"readback", "n"}},
                        Row{{"command", "stuck"}}}));
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  const auto done = host.command("set", {{"value", 21.5}});
  ASSERT_EQ(done.status, FP_OK) << done.error << host.trouble();
  EXPECT_EQ(done.readback, fieldpost::Value(21.5));
  EXPECT_EQ(host.number("n"), 21.5) << "what was read back is a reading";
  const auto failed = host.command("stuck", {});
  EXPECT_EQ(failed.status, FP_E_IO);
  EXPECT_EQ(failed.error, "the valve is stuck");
  EXPECT_EQ(content("got"),
            "{\"command\":\"set\",\"id\":1,\"args\":{\"value\":21.5}}\n"
            "{\"command\":\"stuck\",\"id\":2,\"args\":{}}\n");
}

TEST_F(Exec, ACommandWithoutAnAnswerFails) {
  const std::vector<Row> go{Row{{"command", "go"}, {"readback", "n"}}};
  const auto outcome = [&](const std::string& text) {
    FakeHost host({{"command", script(text)}, {"command_timeout", "300ms"}}, tables(go));
    EXPECT_EQ(host.open(), FP_OK) << host.trouble();
    const auto got = host.command("go", {});
    return std::pair(got.status, got.status == FP_OK ? std::string("done") : got.error);
  };
  EXPECT_EQ(outcome("exec sleep 60"),
            std::pair(FP_E_IO, std::string("the program did not answer within 0.3 s")));
  EXPECT_EQ(outcome("read line; echo '{\"done\": 9}'; exec sleep 60").first, FP_E_IO);
  EXPECT_EQ(outcome("read line; exit 4"),
            std::pair(FP_E_IO, std::string("the program does not run: the program ended with "
                                           "status 4")));
  EXPECT_EQ(outcome("read line; echo '{\"done\": 1, \"value\": \"x\"}'; exec sleep 60").second,
            "done");
}

TEST_F(Exec, AClosedStdinEndsNobody) {
  FakeHost host({{"command", script("exec <&-; echo '{\"n\": 1}'; exec sleep 60")}},
                tables({Row{{"command", "go"}}}));
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  ASSERT_EVENTUALLY(host, host.number("n") == 1.0);
  const auto outcome = host.command("go", {});
  EXPECT_EQ(outcome.status, FP_E_IO);
  EXPECT_EQ(outcome.error, "the program has closed its stdin");
}

TEST_F(Exec, AnAnswerGetsThroughAFlood) {
  FakeHost host({{"command", script("exec /usr/bin/python3 -c '\n"
                                    "import select, sys\n"
                                    "while True:\n"
                                    "  print(\"\"\"{\"n\": 1}\\n\"\"\" * 50, end=\"\")\n"
                                    "  if select.select([sys.stdin], [], [], 0)[0]:\n"
                                    "    sys.stdin.readline()\n"
                                    "    print(\"\"\"{\"done\": 1}\"\"\")\n'")},
                 {"command_timeout", "20s"}},
                tables({Row{{"command", "go"}}}));
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  ASSERT_EVENTUALLY(host, host.samples.size() >= 1'500);
  const size_t before = host.samples.size();
  EXPECT_EQ(host.command("go", {}).status, FP_OK) << host.trouble();
  EXPECT_LT(host.samples.size() - before, 2'000U) << "what waits before the answer is a page";
}

// ---- Mode poll.

TEST_F(Exec, APollRunsTheProgramOnce) {
  FakeHost host({{"command", script("echo x >> " + path_of("runs") +
                                    "\nread line && exit 9\n"
                                    "echo '{\"n\": 1}'; printf '{\"s\": \"no line end\"}'")},
                 {"mode", "poll"}},
                tables());
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  EXPECT_EQ(content("runs"), "");
  ASSERT_EQ(host.poll(), FP_OK);
  ASSERT_EVENTUALLY(host, host.text("s") == "no line end");
  EXPECT_EQ(host.number("n"), 1.0);
  ASSERT_EVENTUALLY(host, is_childless());
  EXPECT_EQ(content("runs"), "x\n");
  EXPECT_EQ(host.poll(), FP_OK) << host.error;
  ASSERT_EVENTUALLY(host, content("runs") == "x\nx\n");
}

TEST_F(Exec, ARunThatFailsTakesNoReadingThatItPrinted) {
  FakeHost host({{"command", script("echo '{\"n\": 1}'; exit 2")}, {"mode", "poll"}}, tables());
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  ASSERT_EQ(host.poll(), FP_OK);
  ASSERT_EVENTUALLY(host, host.latest("s").has_value());
  EXPECT_EQ(host.number("n"), 1.0);
  EXPECT_EQ(detail(host, "s"), "the program ended with status 2");
  EXPECT_EQ(host.poll(), FP_E_IO);
  EXPECT_EQ(host.error, "the program ended with status 2");
}

TEST_F(Exec, ARunWithoutAReadingSaysWhatItPrinted) {
  FakeHost host({{"command", script("[ -e " + path_of("sign") + " ] && echo sensor: 3; exit 0")},
                 {"mode", "poll"}},
                tables());
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  ASSERT_EQ(host.poll(), FP_OK);
  ASSERT_EVENTUALLY(host, detail(host, "n") == "the program printed no reading");
  std::ofstream(path_of("sign")) << "";
  ASSERT_EQ(host.poll(), FP_E_IO);
  ASSERT_EVENTUALLY(
      host, detail(host, "n") == "the program printed no reading: it is not JSON: sensor: 3");
}

TEST_F(Exec, ARunThatTakesTooLongIsEnded) {
  FakeHost host({{"command", script("echo $$ > " + path_of("pid") + "; sleep 60")},
                 {"mode", "poll"},
                 {"timeout", "200ms"}},
                tables());
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  ASSERT_EQ(host.poll(), FP_OK);
  EXPECT_EQ(host.poll(), FP_OK) << "it still runs: nothing is known";
  ASSERT_EVENTUALLY(host, detail(host, "n") == "the program did not end within 0.2 s");
  ASSERT_EVENTUALLY(host, is_childless());
  EXPECT_FALSE(is_alive(pid_in("pid")));
}

// ---- Configuration.

TEST_F(Exec, WhatCannotWorkIsAProblem) {
  const auto problem = [](const Row::Values& options, const Row::Tables& rows) {
    FakeHost host(options, rows);
    return host.declare() == FP_OK ? "none"
           : host.problems.empty() ? "unsaid"
                                   : host.problems[0].text;
  };
  const auto with = [](const char* table, Row row) {
    Row::Tables rows = tables();
    rows[table].push_back(std::move(row));
    return rows;
  };
  using Values = Row::Values;
  const Values good{{"command", std::string("cat")}};
  const auto plus = [&](const char* name, const char* value) {
    Values values = good;
    values[name] = std::string(value);
    return values;
  };
  EXPECT_EQ(problem(good, tables()), "none");
  EXPECT_NE(problem(plus("command", "/nowhere/x"), tables()).find("No such file"),
            std::string::npos);
  EXPECT_NE(problem(plus("command", "cat | sort"), tables()).find("sh -c"), std::string::npos);
  EXPECT_EQ(problem(plus("cwd", "data"), tables()), "expected a path from / on");
  EXPECT_NE(problem(good, {}), "none");
  EXPECT_NE(problem(good, with("reading", Row{{"attribute", "done"}})), "none");
  EXPECT_NE(problem(good, with("env", Row{{"name", "A=B"}, {"value", ""}})), "none");
  EXPECT_NE(problem(plus("mode", "poll"), with("command", Row{{"command", "go"}})), "none");
  Values silent = plus("mode", "poll");
  silent["silence"] = std::string("5s");
  EXPECT_NE(problem(silent, tables()), "none");
  const auto command = [&](Row row) { return problem(good, with("command", std::move(row))); };
  EXPECT_EQ(command({{"command", "go"}, {"readback", "m"}}),
            "expected the attribute of a [[plugin.reading]]; is 'n' meant?");
  EXPECT_NE(command({{"command", "go"}, {"type", "number"}, {"min", 1}}), "none");
  EXPECT_NE(command({{"command", "go"}, {"type", "number"}, {"min", 2}, {"max", 1}}), "none");
  EXPECT_NE(command({{"command", "go"}, {"type", "boolean"}, {"min", 1}, {"max", 2}}), "none");
  EXPECT_EQ(command({{"command", "go"}, {"type", "integer"}, {"min", 1}, {"max", 2}}), "none");
  auto slow = good;
  slow["command_timeout"] = std::string("1min");
  EXPECT_EQ(problem(slow, tables()), "none") << "there is no command";
  EXPECT_EQ(problem(slow, with("command", Row{{"command", "go"}})),
            "expected less than the instance's deadline, at which the program is killed");
}

TEST_F(Exec, ACommandIsDeclaredAsItsRowSays) {
  FakeHost host({{"command", "cat"}}, tables({Row{{"command", "set"},
                                                  {"type", "integer"},
                                                  {"min", 1},
                                                  {"max", 9},
                                                  {"readback", "n"},
                                                  {"idempotent", true}},
                                              Row{{"command", "stop"}}}));
  ASSERT_EQ(host.declare(), FP_OK) << host.trouble();
  ASSERT_EQ(host.commands.size(), 2U);
  EXPECT_EQ(host.commands[0].readback, "n");
  EXPECT_EQ(host.commands[0].flags, FP_COMMAND_IDEMPOTENT);
  ASSERT_EQ(host.commands[0].args.size(), 1U);
  EXPECT_EQ(host.commands[0].args[0].type, fieldpost::OptionType::Integer);
  EXPECT_EQ(host.commands[0].args[0].max, 9);
  EXPECT_TRUE(host.commands[1].args.empty());
  EXPECT_EQ(host.commands[1].flags, 0U);
}

TEST_F(Exec, AFolderThatIsNotThereIsTriedAgain) {
  FakeHost host({{"command", "cat"}, {"cwd", path_of("later")}}, tables());
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  ASSERT_EQ(host.poll(), FP_E_IO);
  EXPECT_NE(host.error.find("cwd " + path_of("later") + ": No such file"), std::string::npos);
  ASSERT_EQ(mkdir(path_of("later").c_str(), 0700), 0);
  ASSERT_EVENTUALLY(host, logged(host, "started "));
}

}  // namespace
}  // namespace exec
