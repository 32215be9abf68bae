// SPDX-License-Identifier: Apache-2.0
//
// The lines that a program prints and is given; docs/exec-protocol.md specifies them. Pure.
#pragma once

#include <fieldpost/plugin.hpp>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace exec {

inline constexpr int kProtocol = 1;

// What tells the kinds of lines from each other, so no attribute may be called so.
inline constexpr std::array<std::string_view, 4> kReserved{"readings", "log", "done", "failed"};

// Why an attribute has no value.
struct Missing {
  uint32_t quality = FP_COMM_ERROR;
  std::string detail;
};
using Outcome = std::variant<fieldpost::sdk::Value, Missing>;

struct Sample {
  std::vector<std::pair<std::string, Outcome>> readings;  // by the names that were printed
  int64_t boottime_ns = 0;                                // 0: now
};
struct Note {
  int priority = 6;  // syslog(3)
  std::string text;
};
struct Answer {
  int64_t id = 0;
  bool is_done = false;
  std::optional<fieldpost::sdk::Value> value;  // of what is done, where it was told
  std::string reason;                          // of what failed
};
struct Nonsense {
  std::string why;
};
using Line = std::variant<Sample, Note, Answer, Nonsense>;

Line parse_line(std::string_view line);

// A command for the program, with the end of the line. `value`: of its argument, if it has one.
std::string command_line_of(int64_t id, const std::string& command,
                            const std::optional<fieldpost::sdk::Value>& value);

struct Declared {
  std::string name;
  uint32_t type = FP_NUMBER;
  uint32_t index = 0;  // that readings carry
};

// As an attribute wants it: a value of another type is FP_OUT_OF_RANGE, with a detail.
fieldpost::sdk::Reading reading_of(const Declared& attribute, Outcome outcome);

// "" if none is near.
std::string nearest(std::string_view name, const std::vector<Declared>& attributes);

}  // namespace exec
