// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>
#include <thread>

namespace fieldpost::test {

// Full counts of the torture tests (scripts/test --long).
inline bool is_long() { return std::getenv("FIELDPOST_LONG") != nullptr; }

// FIELDPOST_SEED, or a new one; print it with a failure.
inline uint64_t seed() {
  const char* const given = std::getenv("FIELDPOST_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
}

// build/<preset>, where programs and plugins are.
inline std::string build_dir() {
  const char* const given = std::getenv("FIELDPOST_BUILD_DIR");
  return given != nullptr ? given : ".";
}
inline std::string source_dir() {
  const char* const given = std::getenv("FIELDPOST_SOURCE_DIR");
  return given != nullptr ? given : ".";
}

// A folder of its own for each test, gone afterwards.
class TempDir {
 public:
  explicit TempDir(const std::filesystem::path& in = std::filesystem::temp_directory_path()) {
    std::string pattern = (in / "fieldpost-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// Where stage 1 lives: on a tmpfs, if there is one that everybody may write to.
inline std::filesystem::path tmpfs() {
  const std::filesystem::path usual = "/dev/shm";
  return ::access(usual.c_str(), W_OK) == 0 ? usual : std::filesystem::temp_directory_path();
}

// Waits until `condition` holds, looking every 2 ms; false when `limit` has passed.
template <class F>
bool eventually(F condition, std::chrono::milliseconds limit = std::chrono::seconds(10)) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

}  // namespace fieldpost::test
