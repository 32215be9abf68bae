// SPDX-License-Identifier: Apache-2.0
#include "cli/check_live.hpp"

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "base/temp_folder.hpp"
#include "base/text.hpp"
#include "base/time_sync.hpp"
#include "cli/instance_answer.hpp"
#include "cli/json_words.hpp"
#include "cli/scan.hpp"
#include "cli/uplink_options.hpp"
#include "uplink/try_login.hpp"

namespace fieldpost::cli {
namespace {

namespace fs = std::filesystem;
using Grade = Finding::Grade;
using std::chrono::seconds;

constexpr nanoseconds kReading = seconds(10);
constexpr std::chrono::milliseconds kLogin = seconds(60);
constexpr const char* kService = "fieldpost";  // the user that the service runs as

class Look {
 public:
  Look(const Paths& paths, const Config& config) : paths_(paths), config_(config) {
    auto status = agent_status(paths);
    if (status) {
      agent_ = *std::move(status);
    } else {
      deaf_ = status.error().message;
    }
  }

  std::vector<Finding> all() {
    if (!deaf_.empty()) say(Grade::Warning, "agent", deaf_);
    for (const PluginConfig& plugin : config_.plugins) {
      look_at_files(plugin);
      look_at(plugin);
    }
    look_at_broker();
    look_at_clock();
    look_at_disk();
    return std::move(found_);
  }

 private:
  void say(Grade grade, const std::string& about, const std::string& text) {
    found_.push_back({grade, about, text});
  }

  void look_at_files(const PluginConfig& plugin);
  void look_at_file(const std::string& about, const std::string& path);
  void look_at(const PluginConfig& plugin);
  void judge(const std::string& name, const InstanceAnswer& answer);
  void look_at_broker();
  void try_broker();
  void look_at_clock();
  void look_at_disk();

  const Paths& paths_;
  const Config& config_;
  std::optional<Json> agent_;  // its status; none: no agent runs, or it is deaf
  std::string deaf_;           // an agent runs that may not be asked: why
  std::vector<Finding> found_;
};

// The device file that an option names: "/dev/ttyUSB0" in "rtu:///dev/ttyUSB0?baud=9600".
std::string device_in(const std::string& option) {
  const size_t begin = option.find("/dev/");
  if (begin == std::string::npos) return "";
  return option.substr(begin, option.find_first_of("?, ", begin) - begin);
}

bool is_member(const std::string& user, gid_t group) {
  const passwd* entry = ::getpwnam(user.c_str());  // NOLINT(concurrency-mt-unsafe): one thread
  if (entry == nullptr) return true;               // not installed here: nothing to say
  std::vector<gid_t> groups(64);
  int n = static_cast<int>(groups.size());
  if (::getgrouplist(user.c_str(), entry->pw_gid, groups.data(), &n) < 0) return true;
  groups.resize(static_cast<size_t>(n));
  return std::ranges::find(groups, group) != groups.end();
}

void Look::look_at_files(const PluginConfig& plugin) {
  for (const ConfigSection& section : plugin.instance.sections) {
    for (const auto& [key, value] : section.values) {
      const auto* text = std::get_if<std::string>(&value);
      const std::string path = text == nullptr ? "" : device_in(*text);
      if (!path.empty()) look_at_file(plugin.name, path);
    }
  }
}

void Look::look_at_file(const std::string& about, const std::string& path) {
  if (path.starts_with("/dev/ttyUSB") || path.starts_with("/dev/ttyACM")) {
    say(Grade::Warning, about,
        path +
            " may be another adapter after the next boot: take its name below "
            "/dev/serial/by-id (fieldpost scan serial)");
  }
  struct stat file {};
  if (::stat(path.c_str(), &file) != 0) return;  // the plugin says so, with what to do
  const bool for_group = (file.st_mode & S_IRGRP) != 0 && (file.st_mode & S_IWGRP) != 0;
  const bool for_all = (file.st_mode & S_IROTH) != 0 && (file.st_mode & S_IWOTH) != 0;
  if (for_all || !for_group || is_member(kService, file.st_gid)) return;
  const std::string name = name_of_group(file.st_gid);
  say(Grade::Error, about,
      path + " is for the group " + name + ", which the service's user is not in:  sudo adduser " +
          kService + " " + name + "  and restart the service");
}

void Look::look_at(const PluginConfig& plugin) {
  if (!deaf_.empty()) return;  // it may have the line
  if (agent_) {
    const auto had = answer_in(*agent_, plugin.name);
    if (!had) return say(Grade::Error, plugin.name, had.error().message);
    if (*had) return judge(plugin.name, **had);
  }
  if (!plugin.declaration.commands.empty()) {
    return say(Grade::Warning, plugin.name,
               "was not opened: it has outputs, which that may drive; start the agent and ask "
               "again");
  }
  const auto answer = read_here(paths_, config_, plugin, kReading, Outputs::Spared);
  if (!answer) return say(Grade::Error, plugin.name, answer.error().message);
  judge(plugin.name, *answer);
}

void Look::judge(const std::string& name, const InstanceAnswer& answer) {
  size_t silent = 0;
  for (const Json& unit : answer.units) {
    if (text_of(unit, "state") != "silent") continue;
    ++silent;
    const std::string unit_name = text_of(unit, "name");
    say(Grade::Error, name, (unit_name == name ? "" : unit_name + ": ") + text_of(unit, "reason"));
  }
  size_t good = 0;
  for (const Json& a : answer.attributes) {
    if (a.contains("value")) {
      ++good;
    } else if (a.contains("quality") || silent == 0) {
      say(Grade::Warning, name, text_of(a, "name") + ": " + words_of(a));
    }
  }
  if (silent > 0 && silent == answer.units.size()) return;  // what it has is old
  say(Grade::Fine, name,
      std::to_string(good) + " of " + std::to_string(answer.attributes.size()) +
          " attributes have a good value");
}

void Look::look_at_broker() {
  if (!deaf_.empty()) return;
  if (!agent_) return try_broker();
  const Json& uplink = (*agent_)["uplink"];
  const std::string state = text_of(uplink, "state");
  if (text_of((*agent_)["gateway"], "device_id") != config_.gateway.device_id) {
    return say(Grade::Warning, "broker",
               "was not tried: the agent runs as another gateway; read this configuration first "
               "(fieldpost reload)");
  }
  if (state == "connected") {
    return say(Grade::Fine, "broker", "the agent is connected to " + text_of(uplink, "url"));
  }
  const std::string reason = text_of(uplink, "reason");
  say(Grade::Error, "broker",
      text_of(uplink, "url") + ": " + state + (reason.empty() ? "" : ": " + reason));
}

// The credentials that systemd hands to the service are root's.
void Look::try_broker() {
  const auto folder = TempFolder::make();
  if (!folder) return say(Grade::Warning, "broker", "was not tried: " + folder.error().message);
  Uplink::Options options = uplink_options(config_, folder->path());
  const std::string kept = (fs::path(Paths().config) / "credentials").string();
  std::error_code error;
  for (auto [file, name] : {std::pair{&options.access_key_file, "access_key"},
                            std::pair{&options.access_secret_file, "access_secret"}}) {
    if (file->empty() && fs::exists(kept + "/" + name, error)) *file = kept + "/" + name;
    if (!file->empty() && ::access(file->c_str(), R_OK) != 0) {
      return say(Grade::Warning, "broker",
                 "was not tried: '" + *file + "' is not for everybody: ask again with sudo");
    }
  }
  for (const BrokerAddress& broker : options.brokers) {
    const auto done = try_login(options, broker, kLogin);
    if (done) {
      say(Grade::Fine, "broker", broker.url + " accepts our login");
    } else {
      say(Grade::Error, "broker", broker.url + ": " + done.error().message);
    }
  }
}

void Look::look_at_clock() {
  std::error_code error;
  if (config_.clock.trust == "always") {
    return say(Grade::Fine, "clock", "is trusted, as configured");
  }
  if (kernel_synchronised().value_or(false) ||
      fs::exists("/run/systemd/timesync/synchronized", error)) {
    return say(Grade::Fine, "clock", "is synchronised");
  }
  say(Grade::Warning, "clock",
      "is not synchronised: readings are kept and not sent until it is; look at  timedatectl");
}

void Look::look_at_disk() {
  std::error_code error;
  fs::path at = paths_.state_dir;
  while (!fs::exists(at, error) && at.has_relative_path()) at = at.parent_path();
  struct statvfs disk {};
  if (::statvfs(at.c_str(), &disk) != 0) return;
  if ((disk.f_flag & ST_RDONLY) != 0) {
    return say(Grade::Warning, "disk",
               at.string() + " is read-only: readings wait in memory, and a power cut loses them");
  }
  const auto left = static_cast<int64_t>(disk.f_bavail) * static_cast<int64_t>(disk.f_frsize);
  uintmax_t used = 0;
  if (const auto size = fs::file_size(paths_.state_dir + "/outbox.db", error); !error) used = size;
  const int64_t room = left + static_cast<int64_t>(used);
  const std::string words = format_size(left) + " are free at " + at.string();
  if (room < config_.outbox.max_size) {
    return say(Grade::Warning, "disk",
               words + ", and outbox.max_size may take " + format_size(config_.outbox.max_size) +
                   ": make room, or lower it");
  }
  say(Grade::Fine, "disk", words);
}

}  // namespace

std::vector<Finding> look_live(const Paths& paths, const Config& config) {
  return Look(paths, config).all();
}

}  // namespace fieldpost::cli
