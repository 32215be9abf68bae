// SPDX-License-Identifier: Apache-2.0
#include "main/await_config.hpp"

#include <signal.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include <filesystem>
#include <map>

namespace fieldpost {
namespace {

namespace fs = std::filesystem;

constexpr timespec kLookEvery{.tv_sec = 1, .tv_nsec = 0};

// When each file was written. A file of the configuration has others in the conf.d beside it.
std::map<fs::path, fs::file_time_type> look_at(const fs::path& path) {
  std::map<fs::path, fs::file_time_type> times;
  std::error_code error;  // what cannot be read has not changed
  const auto look = [&](const fs::path& folder) {
    for (const auto& entry : fs::directory_iterator(folder, error)) {
      if (entry.path().extension() == ".toml") times[entry.path()] = entry.last_write_time(error);
    }
  };
  const bool is_folder = fs::is_directory(path, error);
  if (!is_folder) times[path] = fs::last_write_time(path, error);
  if (is_folder) look(path);
  look((is_folder ? path : path.parent_path()) / "conf.d");
  return times;
}

}  // namespace

bool await_config(const std::string& path, const std::string& why) {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGHUP, SIGTERM, SIGINT}) sigaddset(&signals, signal);
  sd_notifyf(0, "READY=1\nSTATUS=waits for a usable configuration (see fieldpost check): %s",
             why.c_str());
  for (const auto before = look_at(path); look_at(path) == before; sd_notify(0, "WATCHDOG=1")) {
    const int signal = sigtimedwait(&signals, nullptr, &kLookEvery);
    if (signal > 0) return signal == SIGHUP;
  }
  return true;
}

}  // namespace fieldpost
