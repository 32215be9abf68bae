// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/file.hpp"
#include "config/config.hpp"
#include "model/message.hpp"

namespace fieldpost {

// Asks plugins by running throw-away hosts, one at a time, and waiting for them: a plugin that
// crashes or hangs while it is asked costs its answer and at most the patience. For start-up,
// reload and the command line; plugins open no device for it.
class Probe : public PluginProbe {
 public:
  static constexpr nanoseconds kPatience = std::chrono::seconds(5);

  Probe(std::string plugin_host, std::string plugin_dir, nanoseconds patience = kPatience);

  std::vector<std::string> types() override;
  // Remembered until the file changes.
  Result<PluginInfo> describe(const std::string& type) override;
  Result<Verdict> declare(const std::string& type, const InstanceConfig& config) override;

 private:
  struct Remembered {
    FileStamp stamp;
    Result<PluginInfo> info;
  };
  Result<FileStamp> stamp_of(const std::string& type) const;
  Result<std::vector<message::Any>> ask(const std::string& verb, const std::string& type,
                                        const InstanceConfig* config) const;
  Result<PluginInfo> describe_now(const std::string& type) const;

  std::string plugin_host_, plugin_dir_;
  nanoseconds patience_;
  std::map<std::string, Remembered> remembered_;  // by type
};

}  // namespace fieldpost
