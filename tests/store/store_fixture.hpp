// SPDX-License-Identifier: Apache-2.0
//
// What the tests of the store share: a folder of their own, samples, and ways to look at what
// comes back.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "model/reading.hpp"
#include "store/outbox.hpp"

namespace fieldpost::testing {

// Removed at the end of the test.
class TempDir {
 public:
  TempDir() {
    std::string name = (std::filesystem::temp_directory_path() / "fieldpost-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

inline bool long_tests() { return std::getenv("FIELDPOST_LONG") != nullptr; }

inline std::string content_of(const std::string& path) {
  std::ostringstream content;
  content << std::ifstream(path, std::ios::binary).rdbuf();
  return content.str();
}
inline void put(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
}

// The main thread's names.
inline Symbol symbol(const std::string& name) {
  static SymbolTable table;
  return table.intern(name);
}

inline DeviceSample sample(const std::string& device, int64_t ms,
                           std::vector<std::pair<std::string, Value>> values,
                           CaptureTime::Base base = CaptureTime::Base::ThisBoot) {
  DeviceSample made{symbol(device), {ms, base}, {}};
  for (auto& [name, value] : values) made.points.push_back({symbol(name), std::move(value)});
  return made;
}

inline SymbolTable& symbols() {
  static SymbolTable table;
  return table;
}

inline Outbox::Options outbox_options(const std::string& folder, const std::string& boot) {
  return {.folder = folder, .boot_id = boot};
}

// As the daemon does it: an epoch that says what the last one says is no news.
inline Result<Outbox> open_outbox(const std::string& folder, const std::string& boot, Epoch now) {
  Outbox outbox = FP_TRY(Outbox::open(outbox_options(folder, boot), symbols()));
  const auto& known = outbox.epochs();
  if (known.empty() || std::abs(known.back().offset_ms - now.offset_ms) > 1000) {
    outbox.add_epoch(now);
  }
  FP_CHECK_OK(outbox.store_epochs());
  return outbox;
}

// Samples without numbers: their rows are counted from 1.
inline Result<> append(Outbox& outbox, const std::vector<DeviceSample>& samples) {
  std::vector<Staged> staged;
  for (const DeviceSample& s : samples) staged.push_back({.sample = s});
  return outbox.append(staged, 0);
}

// One reading as text that differs whenever a bit does: "device@ms attribute=value".
inline std::string describe(const std::string& device, int64_t ms, const Point& point) {
  std::string text = device + "@" + std::to_string(ms) + " " + *point.attribute + "=";
  if (const auto* number = std::get_if<double>(&point.value)) {
    return text + std::to_string(std::bit_cast<uint64_t>(*number));
  }
  return text + to_text(point.value);
}

// Readings of the chunks, in their order.
inline std::vector<std::string> describe(const std::vector<Chunk>& chunks) {
  std::vector<std::string> readings;
  for (const Chunk& chunk : chunks) {
    for (const State& state : chunk.states) {
      for (const Point& point : state.points) {
        readings.push_back(describe(*chunk.device, state.time_ms, point));
      }
    }
  }
  return readings;
}

inline std::vector<int64_t> rows_of(const std::vector<Chunk>& chunks) {
  std::vector<int64_t> rows;
  for (const Chunk& chunk : chunks) rows.push_back(chunk.row);
  return rows;
}

}  // namespace fieldpost::testing
