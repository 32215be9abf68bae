// SPDX-License-Identifier: Apache-2.0
#include "main/await_config.hpp"

#include <signal.h>

#include <chrono>
#include <filesystem>
#include <vector>

#include "base/event_loop.hpp"
#include "base/log.hpp"
#include "base/notify.hpp"
#include "config/read.hpp"
#include "main/sockets.hpp"

namespace fieldpost {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kLookEvery(1);
constexpr std::chrono::minutes kTryEvery(10);  // each says again what is wrong
constexpr std::chrono::milliseconds kForTheAnswer(100);

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
  for (const std::string& folder : paths.profile_folders()) {
    for (fs::directory_iterator it(folder, ignored), end; !ignored && it != end;
         it.increment(ignored)) {
      add_files(it->path(), ".toml", stamps);
    }
  }
  return stamps;
}

Result<Woken> await_config(const Paths& paths, const ConfigStamps& seen,
                           const std::string& status) {
  EventLoop loop = FP_TRY(EventLoop::create());
  Woken woken = Woken::End;
  std::vector<Source> sources;
  sources.push_back(FP_TRY(loop.on_signal(SIGTERM, [&] { loop.exit(0); })));
  sources.push_back(FP_TRY(loop.on_signal(SIGINT, [&] { loop.exit(0); })));
  const auto wake = [&](Woken why) {
    woken = why;
    loop.exit(0);
  };
  sources.push_back(FP_TRY(loop.on_signal(SIGHUP, [&] { wake(Woken::Asked); })));
  bool told = false;
  sources.push_back(FP_TRY(loop.every(kLookEvery, [&] {
    (void)notify("WATCHDOG=1");  // again in a second
    told = told || notify("READY=1\nSTATUS=" + status);
    if (config_stamps(paths) != seen) wake(Woken::Changed);
  })));
  sources.push_back(FP_TRY(loop.after(kTryEvery, [&] { wake(Woken::Changed); })));
  Source asked;
  ControlServer control(loop, [&](const Json& request, ControlRight right, bool*, const UniqueFd&) {
    std::string why = status;
    if (right == ControlRight::Act && request.value("do", Json()) == "reload") {
      auto soon = loop.after(kForTheAnswer, [&] { wake(Woken::Asked); });
      if (soon) asked = *std::move(soon);
      why += "; it looks again now";
    }
    return Json{{"ok", false}, {"error", why}, {"waiting", true}};
  });
  if (const auto opened = open_control(control, paths); !opened) {
    log::warning("nobody can ask for the status", {{"FP_REASON", opened.error().message}});
  }
  told = notify("READY=1\nSTATUS=" + status);
  (void)FP_TRY(loop.run());
  return woken;
}

}  // namespace fieldpost
