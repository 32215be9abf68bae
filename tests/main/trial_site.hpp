// SPDX-License-Identifier: Apache-2.0
//
// A gateway's files while a configuration is on trial, and an agent that can be killed at each
// step.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "base/file.hpp"
#include "config/scratch.hpp"
#include "fakes/fake_probe.hpp"
#include "main/choose_config.hpp"
#include "main/config_trial.hpp"

namespace fieldpost::testing {

using namespace std::chrono_literals;
inline const std::string kOld = "[uplink]\nwindow_messages = 1\n";
inline const std::string kNew = "[uplink]\nwindow_messages = 2\n";
// In several files, so that there is something to be cut in halves.
inline const std::string kLine =
    "[[plugin]]\nname = \"line\"\ntype = \"modbus\"\noptions.url = \"tcp://h\"\n"
    "[[plugin.unit]]\naddress = 3\nprofile = \"meter\"\n";
inline const std::string kOldToo = kHead + "[commands]\ntimeout = \"1s\"\n" + kLine;
inline const std::string kNewToo = kHead + "[commands]\ntimeout = \"2s\"\n" + kLine;
inline const std::string kProfile = "profiles/modbus/meter.toml";
inline const std::string kOldProfile =
    "[[register]]\nattribute = \"old\"\ntable = \"holding\"\naddress = 1\n";
inline const std::string kNewProfile =
    "[[register]]\nattribute = \"new\"\ntable = \"holding\"\naddress = 2\n";

struct Killed {};

// A gateway's files, and the agent on it: start() is a new process.
class Site {
 public:
  Site() {
    paths.config = scratch / "etc";
    paths.state_dir = scratch / "state";
    std::filesystem::create_directories(paths.state_dir);
    write_earlier();
    start();
    killed_at = -1;
    steps = 0;
  }

  void write(const std::string& name, const std::string& content) {
    step([&] { scratch.write("etc/" + name, content); });
  }
  ConfigFiles earlier() const {
    return {{"fieldpost.toml", kOldToo}, {"conf.d/10.toml", kOld}, {kProfile, kOldProfile}};
  }
  ConfigFiles fresh() const {
    return {{"fieldpost.toml", kNewToo}, {"conf.d/10.toml", kNew}, {kProfile, kNewProfile}};
  }
  ConfigFiles last_good() const { return kept_files(paths.last_good_config()); }
  void write_earlier() {
    for (const auto& [name, content] : earlier()) write(name, content);
  }

  void start() {
    trial = std::make_unique<ConfigTrial>(ConfigTrial::Options{
        .path = paths.trial(),
        .last_good = paths.last_good_config(),
        .boot_id = boot,
        .save = [this](const std::string& path, std::string_view content) -> Result<> {
          if (disk_full) return Error{Errc::Full, "no space left"};
          Result<> saved;
          step([&] { saved = write_file_atomically(path, content); });
          return saved;
        }});
    read();
  }
  void read() {
    chosen = choose_config(paths, *trial, probe, now);
    if (!chosen.config) chosen = fall_back(paths, std::move(chosen), probe);
  }
  void restart_machine() {
    boot += "+";
    now = BootTime(20s);
    start();
  }
  Result<> begin(std::optional<nanoseconds> confirm = 10min) {
    return trial->begin(fresh(), confirm, now);
  }
  void put_in_place() {
    for (const auto& [name, content] : fresh()) write(name, content);
    read();
  }
  void apply() {
    ASSERT_TRUE(begin());
    put_in_place();
  }

  // The attribute that is of the profile which runs.
  std::string attribute() const {
    return chosen.config->plugins.at(0).declaration.attributes.at(0).spec.name;
  }
  // "old", "new"; anything else must not run.
  std::string runs() const {
    if (!chosen.config) return "nothing";
    if (chosen.config->plugins.empty()) return "half";
    const int window = chosen.config->uplink.window_messages;
    const nanoseconds timeout = chosen.config->commands.timeout;
    if (window == 1 && timeout == 1s && attribute() == "old") return "old";
    if (window == 2 && timeout == 2s && attribute() == "new") return "new";
    return "a mixture";
  }

  Scratch scratch;
  Paths paths;
  FakeProbe probe;
  std::string boot = "boot";
  BootTime now{100s};
  std::unique_ptr<ConfigTrial> trial;
  Chosen chosen;
  bool disk_full = false;
  int steps = 0;
  int killed_at = -1;  // twice the number of a step: before it; one more: after it

 private:
  template <class Do>
  void step(Do what) {
    const int number = 2 * steps++;
    if (number == killed_at) throw Killed();
    what();
    if (number + 1 == killed_at) throw Killed();
  }
};

class Trial : public ::testing::Test {
 protected:
  ConfigTrial::State state() const { return site.trial->view().state; }
  Site site;
};

}  // namespace fieldpost::testing
