// SPDX-License-Identifier: Apache-2.0
//
// What both publishers of bench/uplink are told and tell.
#pragma once

#include <sys/resource.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

// "--name value" pairs.
class Arguments {
 public:
  Arguments(int argc, char** argv) {
    for (int i = 1; i + 1 < argc; i += 2) given_[argv[i]] = argv[i + 1];
  }
  std::string text(const std::string& name, const std::string& otherwise = "") const {
    const auto found = given_.find("--" + name);
    return found == given_.end() ? otherwise : found->second;
  }
  int number(const std::string& name, int otherwise) const {
    return std::atoi(text(name, std::to_string(otherwise)).c_str());
  }

 private:
  std::map<std::string, std::string> given_;
};

// Since it was made.
class Meter {
 public:
  explicit Meter(int64_t messages, int64_t bytes) : messages_(messages), bytes_(bytes) {}

  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  }
  void print(int64_t messages, int64_t bytes) const {
    const double s = seconds();
    const auto count = static_cast<double>(messages - messages_);
    std::printf("{\"messages_per_s\": %.1f, \"bytes\": %.1f, \"cpu_ns\": %.0f}\n", count / s,
                static_cast<double>(bytes - bytes_) / count, (cpu_ns() - cpu_) / count);
  }

 private:
  static double cpu_ns() {
    rusage used{};
    ::getrusage(RUSAGE_SELF, &used);
    const auto us = [](const timeval& t) {
      return 1e6 * static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec);
    };
    return 1e3 * (us(used.ru_utime) + us(used.ru_stime));
  }
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  double cpu_ = cpu_ns();
  int64_t messages_, bytes_;
};
