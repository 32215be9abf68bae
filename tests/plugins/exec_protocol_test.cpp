// SPDX-License-Identifier: Apache-2.0
//
// exec without a program: lines and what they mean, the words of a command, files that cannot run.
#include <fcntl.h>
#include <fieldpost/plugin.hpp>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/temp_folder.hpp"
#include "command_line.hpp"
#include "executable.hpp"
#include "lines.hpp"
#include "protocol.hpp"

namespace exec {
namespace {

namespace sdk = fieldpost::sdk;
using sdk::Value;

template <class T>
T as(std::string_view line) {
  Line parsed = parse_line(line);
  if (const auto* nonsense = std::get_if<Nonsense>(&parsed)) {
    ADD_FAILURE() << line << ": " << nonsense->why;
    return {};
  }
  if (!std::holds_alternative<T>(parsed)) {
    ADD_FAILURE() << line << " is a line of another kind";
    return {};
  }
  return std::get<T>(std::move(parsed));
}

std::string why_not(std::string_view line) {
  const Line parsed = parse_line(line);
  const auto* nonsense = std::get_if<Nonsense>(&parsed);
  return nonsense == nullptr ? "it was taken" : nonsense->why;
}

Outcome outcome(std::string_view json) {
  const Sample sample = as<Sample>(R"({"a": )" + std::string(json) + "}");
  return sample.readings.size() == 1 ? sample.readings[0].second : Missing{};
}

const Declared kNumber{"n", FP_NUMBER, 0}, kBoolean{"b", FP_BOOLEAN, 1}, kString{"s", FP_STRING, 2};

// ---- Lines.

TEST(ExecProtocol, AnObjectIsReadingsOfNow) {
  const Sample sample = as<Sample>(R"({"t": 21.5, "on": true, "name": "pump"})");
  EXPECT_EQ(sample.boottime_ns, 0);
  ASSERT_EQ(sample.readings.size(), 3U);
  for (const auto& [name, got] : sample.readings) {
    const Value expected = name == "t"    ? Value(21.5)
                           : name == "on" ? Value(true)
                                          : Value(std::string("pump"));
    EXPECT_EQ(std::get<Value>(got), expected) << name;
  }
  EXPECT_TRUE(as<Sample>("{}").readings.empty());
}

TEST(ExecProtocol, TheFullFormHasATimeSinceTheBoot) {
  const Sample sample = as<Sample>(R"({"readings": {"log": 1}, "boottime": 12.25})");
  EXPECT_EQ(sample.boottime_ns, 12'250'000'000);
  ASSERT_EQ(sample.readings.size(), 1U);
  EXPECT_EQ(sample.readings[0].first, "log");
  EXPECT_EQ(as<Sample>(R"({"readings": {}, "boottime": 1e-10})").boottime_ns, 1)
      << "0 would be now";
  for (const char* time : {"1795817944", "0", "-1", "\"12\"", "null", "1e300"}) {
    const std::string line = R"({"readings": {}, "boottime": )" + std::string(time) + "}";
    EXPECT_NE(why_not(line).find("/proc/uptime"), std::string::npos) << line;
  }
  EXPECT_NE(why_not(R"({"readings": {}, "time": 1795817944})").find("clock may be wrong"),
            std::string::npos);
  EXPECT_NE(why_not(R"({"readings": {}, "speed": 1})").find("not speed"), std::string::npos);
  EXPECT_EQ(why_not(R"({"readings": 3})"), "readings is no object");
}

TEST(ExecProtocol, WhatHasNoValueSaysWhy) {
  const auto missing = [](std::string_view json) { return std::get<Missing>(outcome(json)); };
  EXPECT_EQ(missing("null").quality, FP_COMM_ERROR);
  EXPECT_EQ(missing("null").detail, "the program printed null");
  const Missing stuck = missing(R"({"quality": "stuck", "detail": "same for an hour"})");
  EXPECT_EQ(stuck.quality, FP_STUCK);
  EXPECT_EQ(stuck.detail, "same for an hour");
  EXPECT_EQ(missing(R"({"quality": "stale"})").quality, FP_STALE);
  EXPECT_EQ(missing(R"({"quality": "comm-error"})").quality, FP_COMM_ERROR);
  EXPECT_EQ(missing(R"({"quality": "out-of-range"})").quality, FP_OUT_OF_RANGE);
  for (const char* odd : {R"({"quality": "good"})", R"({"value": 3})", "{}", "[1]"}) {
    EXPECT_EQ(missing(odd).quality, FP_OUT_OF_RANGE) << odd;
    EXPECT_NE(missing(odd).detail, "") << odd;
  }
}

TEST(ExecProtocol, AValueOfAnotherTypeIsNotGood) {
  const auto reading = [](const Declared& attribute, std::string_view json) {
    return reading_of(attribute, outcome(json));
  };
  EXPECT_EQ(reading(kNumber, "3").value, Value(3.0));
  EXPECT_EQ(reading(kNumber, "3").quality, FP_GOOD);
  EXPECT_EQ(reading(kString, "\"x\"").value, Value(std::string("x")));
  EXPECT_EQ(reading(kBoolean, "true").value, Value(true));
  EXPECT_EQ(reading(kBoolean, "1").quality, FP_OUT_OF_RANGE);
  EXPECT_EQ(reading(kBoolean, "1").detail,
            "the program printed a number, but it is declared as boolean");
  EXPECT_EQ(reading(kNumber, "\"3\"").quality, FP_OUT_OF_RANGE);
  // A double has no such number: never the one beside it.
  EXPECT_EQ(reading(kNumber, "9007199254740993").quality, FP_OUT_OF_RANGE);
  EXPECT_EQ(reading(kString, "false").quality, FP_OUT_OF_RANGE);
  const sdk::Reading nothing = reading(kString, R"({"quality": "stuck", "detail": "why"})");
  EXPECT_EQ(nothing.quality, FP_STUCK);
  EXPECT_EQ(nothing.detail, "why");
  EXPECT_EQ(nothing.attribute, 2U);
}

TEST(ExecProtocol, LogLinesHaveALevel) {
  EXPECT_EQ(as<Note>(R"({"log": "hello"})").priority, 6);
  EXPECT_EQ(as<Note>(R"({"log": "hello"})").text, "hello");
  EXPECT_EQ(as<Note>(R"({"log": "", "level": "error"})").priority, 3);
  EXPECT_EQ(as<Note>(R"({"log": "", "level": "debug"})").priority, 7);
  EXPECT_EQ(why_not(R"({"log": 3})"), "log is no text");
  EXPECT_NE(why_not(R"({"log": "", "level": "fatal"})"), "it was taken");
  EXPECT_NE(why_not(R"({"log": "", "level": 3})"), "it was taken");
}

TEST(ExecProtocol, AnswersHaveTheIdOfTheirCommand) {
  const Answer done = as<Answer>(R"({"done": 7, "value": 21.5})");
  EXPECT_EQ(done.id, 7);
  EXPECT_TRUE(done.is_done);
  EXPECT_EQ(done.value, Value(21.5));
  EXPECT_FALSE(as<Answer>(R"({"done": 7})").value);
  EXPECT_FALSE(as<Answer>(R"({"done": 7, "value": [1]})").value);
  const Answer failed = as<Answer>(R"({"failed": 8, "reason": "the valve is stuck"})");
  EXPECT_EQ(failed.id, 8);
  EXPECT_FALSE(failed.is_done);
  EXPECT_EQ(failed.reason, "the valve is stuck");
  EXPECT_EQ(why_not(R"({"done": "7"})"), "done is not the id of a command");
  EXPECT_EQ(why_not(R"({"failed": 7.5})"), "failed is not the id of a command");
}

TEST(ExecProtocol, WhatIsNoJsonIsRefused) {
  for (const char* line : {"temperature=21.5", "{", R"({"a": 1} {"b": 2})", R"({"a": 1,})", "\xFF",
                           "{\"a\": \"\xC3\x28\"}", "{'a': 1}", "{\"a\": 1e999}", "{\"a\": .5}"}) {
    EXPECT_EQ(why_not(line), "it is not JSON") << line;
  }
  for (const char* line : {"3", "[1, 2]", "null", "\"text\""}) {
    EXPECT_EQ(why_not(line), "it is JSON, but no object") << line;
  }
  EXPECT_NE(why_not(R"({"a": NaN})").find("print null"), std::string::npos);
  EXPECT_NE(why_not(R"({"a": -Infinity})").find("print null"), std::string::npos);
  const std::string deep(60'000, '[');
  EXPECT_EQ(why_not(deep), "it is not JSON");
  const Outcome list = outcome(deep + std::string(deep.size(), ']'));
  EXPECT_EQ(std::get<Missing>(list).quality, FP_OUT_OF_RANGE);
}

TEST(ExecProtocol, ACommandIsOneLine) {
  EXPECT_EQ(command_line_of(1, "start", {}), "{\"command\":\"start\",\"id\":1,\"args\":{}}\n");
  EXPECT_EQ(command_line_of(2, "set", Value(21.0)),
            "{\"command\":\"set\",\"id\":2,\"args\":{\"value\":21}}\n");
  EXPECT_EQ(command_line_of(3, "set", Value(-0.5)),
            "{\"command\":\"set\",\"id\":3,\"args\":{\"value\":-0.5}}\n");
  EXPECT_EQ(command_line_of(4, "set", Value(1e300)),
            "{\"command\":\"set\",\"id\":4,\"args\":{\"value\":1e+300}}\n");
  EXPECT_EQ(command_line_of(5, "say \"x\"", Value(std::string("a\nb"))),
            "{\"command\":\"say \\\"x\\\"\",\"id\":5,\"args\":{\"value\":\"a\\nb\"}}\n");
  EXPECT_EQ(command_line_of(6, "on", Value(true)),
            "{\"command\":\"on\",\"id\":6,\"args\":{\"value\":true}}\n");
}

TEST(ExecProtocol, ANameThatIsNearIsFound) {
  const std::vector<Declared> names{{"temperature", FP_NUMBER, 0}, {"humidity", FP_NUMBER, 1}};
  EXPECT_EQ(nearest("temprature", names), "temperature");
  EXPECT_EQ(nearest("Humidity", names), "humidity");
  EXPECT_EQ(nearest("pressure", names), "");
  EXPECT_EQ(nearest(std::string(60'000, 't'), names), "");
}

// ---- The words of a command.

using Words = std::vector<std::string>;

std::string refusal(const std::string& text) {
  try {
    (void)split_command(text);
  } catch (const sdk::ConfigError& e) {
    return e.what();
  }
  return "";
}

TEST(ExecCommandLine, BlanksSeparateAndQuotesDoNot) {
  EXPECT_EQ(split_command("  /bin/a   b\tc "), (Words{"/bin/a", "b", "c"}));
  EXPECT_EQ(split_command(R"(a 'b c' "d e" f\ g)"), (Words{"a", "b c", "d e", "f g"}));
  EXPECT_EQ(split_command(R"(a 'x\y' "x\y \" \\" x\\y)"),
            (Words{"a", R"(x\y)", R"(x\y " \)", R"(x\y)"}));
  EXPECT_EQ(split_command(R"(a '' "" b"c"'d')"), (Words{"a", "", "", "bcd"}));
  EXPECT_EQ(split_command("a $HOME *.txt ~ #b"), (Words{"a", "$HOME", "*.txt", "~", "#b"}));
  EXPECT_EQ(split_command("sh -c 'a | b > c'"), (Words{"sh", "-c", "a | b > c"}));
}

TEST(ExecCommandLine, WhatOnlyAShellUnderstandsIsRefused) {
  for (const char* text : {"a | b", "a > b", "a && b", "a 2>&1", "a ; b", "a &"}) {
    EXPECT_NE(refusal(text).find("sh -c"), std::string::npos) << text;
  }
  EXPECT_EQ(refusal("a '|' \\> \"&&\" a|b"), "");
}

TEST(ExecCommandLine, WhatIsNoCommandIsRefused) {
  for (const char* text : {"", "   ", "''", "a 'b", "a \"b", "a \"b\\\"", "a \\"}) {
    EXPECT_NE(refusal(text), "") << text;
  }
}

// ---- Files.

class ExecExecutable : public testing::Test {
 protected:
  std::string file(const std::string& name, const std::string& content, mode_t mode = 0755) {
    const std::string path = folder_.path() + "/" + name;
    std::ofstream(path, std::ios::binary) << content;
    (void)chmod(path.c_str(), mode);
    return path;
  }
  static std::string refusal(const std::string& name) {
    try {
      (void)find_executable(name);
    } catch (const sdk::ConfigError& e) {
      return e.what();
    }
    return "";
  }
  static bool says(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  }
  fieldpost::TempFolder folder_ = *fieldpost::TempFolder::make();
};

TEST_F(ExecExecutable, ProgramsAndScriptsAreFound) {
  EXPECT_TRUE(find_executable("sh").ends_with("/sh"));
  EXPECT_EQ(find_executable("/bin/sh"), "/bin/sh");
  EXPECT_EQ(refusal(file("good", "#!/bin/sh\necho\n")), "");
  EXPECT_EQ(refusal(file("spaced", "#! /usr/bin/env python3\n")), "");
}

TEST_F(ExecExecutable, WhatCannotRunSaysWhatToDo) {
  EXPECT_TRUE(says(refusal("no-such-program-anywhere"), "is its package installed?"));
  EXPECT_TRUE(says(refusal("bin/relative"), "expected a path that starts with /"));
  EXPECT_TRUE(says(refusal("/nowhere/x"), "/nowhere/x: No such file or directory"));
  EXPECT_TRUE(says(refusal("/bin"), "is no file"));
  EXPECT_TRUE(says(refusal(file("plain", "#!/bin/sh\n", 0644)), "is not executable: chmod 755 "));
  EXPECT_TRUE(says(refusal(file("text", "echo hello\n")), "#!/usr/bin/python3"));
  EXPECT_TRUE(says(refusal(file("empty", "")), "is empty"));
  EXPECT_TRUE(says(refusal(file("dos", "#!/bin/sh\r\necho\r\n")), "line ends of Windows"));
  EXPECT_TRUE(says(refusal(file("nothing", "#!\n")), "names no program"));
  EXPECT_TRUE(says(refusal(file("lost", "#!/opt/none/python\n")), "asks in its #! line for"));
  std::string other(64, '\0');
  std::ifstream("/proc/self/exe", std::ios::binary).read(other.data(), 64);
  other[18] = static_cast<char>(other[18] ^ 0x55);
  EXPECT_TRUE(says(refusal(file("foreign", other)), "is for another processor"));
}

TEST_F(ExecExecutable, WhereTheServiceSeesNothingIsNamed) {
  EXPECT_TRUE(says(unseen_note("/tmp/x"), "sees nothing of what is below /tmp:"));
  EXPECT_EQ(unseen_note("/opt/x"), "");
  EXPECT_EQ(unseen_note("/tmpfs/x"), "");
}

// ---- A pipe, line by line.

class ExecLines : public testing::Test {
 protected:
  static constexpr int64_t kSecond = 1'000'000'000;
  ExecLines() {
    int fds[2];
    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) != 0) ADD_FAILURE();
    lines_.emplace(Fd(fds[0]), Limits{10, 3, 1'000});
    in_ = Fd(fds[1]);
  }
  void put(std::string_view text) {
    ASSERT_EQ(write(in_.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  // What came of it; a line that was too long ends in "…".
  Words read(int64_t now = kSecond) {
    Words got;
    lines_->read(now, sink(got));
    return got;
  }
  static Lines::Sink sink(Words& got) {
    return [&got](std::string_view line, bool whole) {
      got.push_back(std::string(line.substr(0, 10)) + (whole ? "" : "…"));
    };
  }
  std::optional<Lines> lines_;
  Fd in_;
};

TEST_F(ExecLines, ALineComesWhenItsEndDoes) {
  put("a\nb");
  EXPECT_EQ(read(), Words{"a"});
  EXPECT_EQ(read(), Words{});
  put("c\r\n\n");
  EXPECT_EQ(read(), (Words{"bc", ""}));
  put("last");
  in_.reset();
  EXPECT_EQ(read(2 * kSecond), Words{"last"});
  EXPECT_FALSE(lines_->is_open());
  EXPECT_EQ(read(2 * kSecond), Words{});
}

TEST_F(ExecLines, OfALongLineTheBeginningComesOnce) {
  put("1234567890\n");
  EXPECT_EQ(read(), Words{"1234567890"}) << "it is no longer than allowed";
  put(std::string(400, 'x'));
  EXPECT_EQ(read(), Words{"xxxxxxxxxx…"});
  put(std::string(100, 'y') + "\nz\n");
  EXPECT_EQ(read(), Words{"z"});
  put("1234567890A\n");
  EXPECT_EQ(read(2 * kSecond), Words{"1234567890…"});
}

TEST_F(ExecLines, BeyondTheLimitsItWaitsInThePipe) {
  put("1\n2\n3\n4\n5\n");
  EXPECT_EQ(read(), (Words{"1", "2", "3"}));
  EXPECT_EQ(lines_->resume_at(), 2 * kSecond);
  EXPECT_EQ(read(), Words{}) << "its second is not over";
  EXPECT_EQ(read(2 * kSecond), (Words{"4", "5"}));
  EXPECT_FALSE(lines_->resume_at());
  put(std::string(1'000, 'x'));
  put("\n");
  EXPECT_EQ(read(3 * kSecond), Words{});
  EXPECT_EQ(lines_->resume_at(), 4 * kSecond) << "so many bytes are as good as lines";
  EXPECT_EQ(read(4 * kSecond), Words{"xxxxxxxxxx…"});
}

TEST_F(ExecLines, AtTheEndAllOfItCounts) {
  put("1\n2\n3\n4\n5\n6");
  EXPECT_EQ(read().size(), 3U);
  Words got;
  lines_->read_rest(sink(got));
  EXPECT_EQ(got, (Words{"4", "5", "6"}));
  EXPECT_FALSE(lines_->is_open());
}

}  // namespace
}  // namespace exec
