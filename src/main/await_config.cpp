// SPDX-License-Identifier: Apache-2.0
#include "main/await_config.hpp"

#include <signal.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include <filesystem>

#include "config/read.hpp"

namespace fieldpost {
namespace {

namespace fs = std::filesystem;

constexpr timespec kLookEvery{.tv_sec = 1, .tv_nsec = 0};

// What cannot be read has not changed.
void add_files(const fs::path& folder, std::string_view extension, ConfigStamps& stamps) {
  std::error_code error;
  fs::directory_iterator it(folder, error);
  for (; !error && it != fs::directory_iterator(); it.increment(error)) {
    if (it->path().extension() == extension) stamps[it->path()] = file_stamp(it->path());
  }
}

}  // namespace

ConfigStamps config_stamps(const Paths& paths) {
  std::error_code ignored;  // then it is none
  const fs::path given = paths.config;
  const bool is_folder = fs::is_directory(given, ignored);
  const fs::path main_file = is_folder ? given / kMainFile : given;
  ConfigStamps stamps{{main_file, file_stamp(main_file)}};
  add_files(main_file.parent_path() / kDropInFolder, ".toml", stamps);
  add_files(paths.plugin_dir, ".so", stamps);
  return stamps;
}

bool await_config(const Paths& paths, const ConfigStamps& seen, const std::string& why) {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGHUP, SIGTERM, SIGINT}) sigaddset(&signals, signal);
  sd_notifyf(0, "READY=1\nSTATUS=waits for a usable configuration (see fieldpost check): %s",
             why.c_str());
  for (; config_stamps(paths) == seen; sd_notify(0, "WATCHDOG=1")) {
    const int signal = sigtimedwait(&signals, nullptr, &kLookEvery);
    if (signal > 0) return signal == SIGHUP;
  }
  return true;
}

}  // namespace fieldpost
