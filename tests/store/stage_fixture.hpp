// SPDX-License-Identifier: Apache-2.0
//
// What the tests of stage 1 share: logs on a tmpfs, samples that are made from their number alone,
// and samples as text that differs whenever a bit does.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "fakes/test_env.hpp"
#include "store/stage_log.hpp"
#include "store_fixture.hpp"

namespace fieldpost::testing {

inline const std::string kBoot(36, 'a');
constexpr int64_t kReserved = int64_t{32} << 10;  // of each file, for acknowledgements

// A log with so many bytes for samples in each of its files.
inline StageLog::Options stage_options(const std::string& folder, int64_t bytes = 8192) {
  return {.folder = folder, .bytes = 2 * (kReserved + bytes), .boot_id = kBoot};
}

inline std::unique_ptr<StageLog> open_stage(const StageLog::Options& options) {
  static SymbolTable symbols;
  auto log = StageLog::open(options, symbols);
  EXPECT_TRUE(log) << log.error().message;
  return log ? std::move(*log) : nullptr;
}

inline std::string text(const DeviceSample& sample) {
  std::string text = *sample.device + "@" + std::to_string(sample.time.ms);
  text += sample.time.base == CaptureTime::Base::Utc ? "utc" : "";
  for (const Point& point : sample.points) text += describe("", 0, point);
  return text;
}

inline std::vector<std::string> texts(const std::vector<Staged>& staged) {
  std::vector<std::string> all;
  for (const Staged& s : staged) all.push_back(std::to_string(s.number) + ":" + text(s.sample));
  return all;
}

inline std::vector<int64_t> numbers(const std::vector<Staged>& staged) {
  std::vector<int64_t> all;
  for (const Staged& s : staged) all.push_back(s.number);
  return all;
}

// Everything pending after `after`.
inline std::vector<Staged> read_all(StageLog& log, int64_t after = 0) {
  auto staged = log.read(after, SIZE_MAX);
  EXPECT_TRUE(staged) << staged.error().message;
  return staged ? std::move(*staged) : std::vector<Staged>{};
}

inline int64_t readings_of(int64_t n) { return std::max<int64_t>(0, n * 7 % 11 - 4); }

// Sample number `n`: 0 to 6 readings, of all types; its names come and go.
inline DeviceSample numbered(int64_t n) {
  DeviceSample made{
      symbol("d" + std::to_string(n % 3)),
      {1000 * n - 5, n % 4 == 0 ? CaptureTime::Base::Utc : CaptureTime::Base::ThisBoot},
      {}};
  for (int64_t k = 0; k < readings_of(n); ++k) {
    const std::string name = "a" + std::to_string(n / 50 % 20 + k);
    Value value = std::sin(static_cast<double>(n * 31 + k));
    if ((n + k) % 5 == 1) value = n % 2 == 0;
    if ((n + k) % 5 == 2) value = std::string(static_cast<size_t>((n + k) % 40), 'x') + name;
    made.points.push_back({symbol(name), std::move(value)});
  }
  return made;
}

inline std::vector<DeviceSample> numbered(int64_t first, int64_t count) {
  std::vector<DeviceSample> samples;
  for (int64_t n = first; n < first + count; ++n) samples.push_back(numbered(n));
  return samples;
}

// That each is what its number says.
inline void expect_numbered(const std::vector<Staged>& staged) {
  for (const Staged& s : staged) ASSERT_EQ(text(s.sample), text(numbered(s.number))) << s.number;
}

}  // namespace fieldpost::testing
