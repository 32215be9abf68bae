// SPDX-License-Identifier: Apache-2.0
//
// `report`: what somebody elsewhere needs to understand a gateway, in one file and without secrets.
#include <sys/statvfs.h>
#include <sys/utsname.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "base/clock.hpp"
#include "base/file.hpp"
#include "base/secrets.hpp"
#include "base/text.hpp"
#include "cli/archive.hpp"
#include "cli/cli.hpp"
#include "cli/client.hpp"
#include "cli/mask.hpp"
#include "cli/masked_config.hpp"
#include "cli/program_output.hpp"
#include "config/load.hpp"
#include "config/read.hpp"
#include "store/medium.hpp"
#include "supervisor/probe.hpp"

namespace fieldpost::cli {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr size_t kMaxJournal = size_t{8} << 20;
constexpr const char* kJournalLines = "5000";
constexpr size_t kMaxBlackBox = size_t{1} << 20;
constexpr const char* kFolder = "fieldpost-report/";

// What the packages are called whose versions matter; Debian's releases differ.
const std::vector<std::string> kPackages = {"fieldpost*",
                                            "libfieldpost*",
                                            "libmosquitto1",
                                            "libsqlite3-0",
                                            "libssl3*",
                                            "libsystemd0",
                                            "libboost-program-options*",
                                            "libmodbus5",
                                            "libgpiod*",
                                            "libstdc++6",
                                            "libc6",
                                            "systemd",
                                            "systemd-timesyncd",
                                            "chrony"};

class Report {
 public:
  explicit Report(const Call& call)
      : paths_(call.paths), unit_(call.given["unit"].as<std::string>()) {
    paths_.state_dir = call.given["state-dir"].as<std::string>();
  }

  void collect(const Call& call) {
    add_config();  // first: from it the mask learns
    add_versions();
    add_system();
    add_files();
    add_status();
    add("outbox.json", text_of(outbox_status(call)));
    add("black-box.log", read_file(paths_.black_box(), kMaxBlackBox));
    add("journal.txt", program_output({"journalctl", "--unit", unit_, "--lines", kJournalLines,
                                       "--output=short-iso-precise", "--no-pager", "--quiet"},
                                      kMaxJournal, 20s));
  }

  Result<std::string> packed() const {
    const int64_t now = utc_ms(BootClock::now()) / 1000;
    Archive archive;
    std::string readme = "Made by `fieldpost report` " + std::string(kVersion) + " at " +
                         format_utc(now * 1000) + ". " + std::string(kMasked) +
                         " stands for what is, or may be, a secret.\n";
    for (const std::string& line : missing_) readme += "missing: " + mask_.text(line) + "\n";
    archive.add(std::string(kFolder) + "README.txt", readme, now);
    for (const auto& [name, text] : files_) {
      archive.add(kFolder + name, mask_.text(text), now);
    }
    return archive.compressed();
  }

  const std::vector<std::string>& missing() const { return missing_; }

 private:
  void add(const std::string& name, Result<std::string> text) {
    if (text) {
      files_.emplace_back(name, *std::move(text));
    } else {
      missing_.push_back(name + ": " + text.error().message);
    }
  }

  // Of a folder as the daemon would read it, or of a file; with the secrets that belong to it.
  void add_config() {
    for (const std::string& folder : {paths_.config + "/credentials", credentials()}) {
      learn_folder(folder);
    }
    Probe probe(paths_.plugin_host, paths_.plugin_dir);
    const Loaded loaded = load_config(paths_.config, probe, paths_.profile_folders());
    std::string text;
    for (const auto& [path, content] : loaded.files) {
      text += "== " + path + "\n" + masked_config(path, content, mask_);
    }
    for (const auto& [path, content] : loaded.profiles) {
      text += "== profiles/" + path + "\n" + masked_config(path, content, mask_);
    }
    add("config.txt", text);
    std::string problems;
    for (const Problem& p : loaded.problems) problems += to_string(p) + "\n";
    add("check.txt", problems.empty() ? "no problems\n" : problems);
    add_last_good();
    add_plugins(probe);
  }

  void add_last_good() {
    const std::string folder = paths_.last_good_config();
    Problems ignored;  // it worked once
    const std::string origin = kept_from(folder);
    std::string text = origin.empty() ? "" : "of " + origin + "\n";
    for (const auto& [path, content] : read_sources(folder, ignored).files) {
      text += "== " + path + "\n" + masked_config(path, content, mask_);
    }
    add("last-good-config.txt", text.empty() ? "none\n" : text);
  }

  static std::string credentials() {
    const char* const folder = ::secure_getenv("CREDENTIALS_DIRECTORY");
    return folder == nullptr ? "" : folder;
  }

  void learn_folder(const std::string& folder) {
    std::error_code error;
    if (folder.empty() || !fs::exists(folder, error)) return;
    for (fs::directory_iterator it(folder, error); !error && it != fs::directory_iterator();
         it.increment(error)) {
      if (!learn_file(it->path(), mask_))
        error = std::make_error_code(std::errc::permission_denied);
    }
    if (error) {
      missing_.emplace_back(
          "the credentials may not be read, so they are masked by their form alone; "
          "better as root");
    }
  }

  void add_plugins(Probe& probe) {
    std::string text;
    for (const std::string& type : probe.types()) {
      const auto info = probe.describe(type);
      text += type + " " +
              (info ? info->version + ", ABI " + std::to_string(info->abi_major) + "." +
                          std::to_string(info->abi_minor) + ": " + info->summary
                    : "cannot be used: " + info.error().message) +
              "\n";
    }
    add("plugins.txt", text.empty() ? "none in '" + paths_.plugin_dir + "'\n" : text);
  }

  void add_versions() {
    utsname kernel{};
    (void)::uname(&kernel);  // empty then
    std::string text = std::string("fieldpost ") + kVersion + "\nkernel " + kernel.release + " " +
                       kernel.version + " " + kernel.machine + "\n";
    if (auto model = read_file("/proc/device-tree/model", 1000)) {
      text += "model " + printable(model->substr(0, model->find('\0'))) + "\n";
    }
    if (const auto os = read_file("/etc/os-release", 10'000)) text += *os;
    std::vector<std::string> query{
        "dpkg-query", "--show",
        "--showformat=${Package} ${Version} ${Architecture} ${db:Status-Abbrev}\n"};
    query.insert(query.end(), kPackages.begin(), kPackages.end());
    const auto packages = program_output(query, 100'000, 10s);
    text += packages ? *packages : packages.error().message + "\n";
    add("versions.txt", text);
  }

  void add_system() {
    std::string text = "now " + format_utc(utc_ms(BootClock::now())) + ", up " +
                       about(BootClock::now().time_since_epoch()) + ", boot " +
                       boot_id().value_or("?") + "\n";
    if (const std::string warning = why_not_lasting(paths_.state_dir); !warning.empty()) {
      text += warning + "\n";
    }
    for (const char* file :
         {"/proc/loadavg", "/proc/meminfo", "/proc/mounts", "/proc/cmdline",
          "/sys/class/watchdog/watchdog0/bootstatus",
          // Of a Raspberry Pi: whether the voltage was too low since it was switched on.
          "/sys/devices/platform/soc/soc:firmware/get_throttled"}) {
      if (const auto content = read_file(file, 100'000))
        text += std::string("== ") + file + "\n" + *content;
    }
    add("system.txt", text);
  }

  // What there is, not what is in it.
  void add_files() {
    std::string text;
    for (const std::string& folder :
         {paths_.state_dir, paths_.run_dir, paths_.config, paths_.plugin_dir}) {
      struct statvfs space {};
      if (::statvfs(folder.c_str(), &space) == 0) {
        text += "== " + folder + ": " +
                format_size(static_cast<int64_t>(space.f_bavail * space.f_frsize)) + " free of " +
                format_size(static_cast<int64_t>(space.f_blocks * space.f_frsize)) + "\n";
      }
      std::error_code error;
      for (fs::recursive_directory_iterator it(folder, error);
           !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
        const FileStamp stamp = file_stamp(it->path());
        text += format_utc(stamp.mtime_ns / 1'000'000) + " " + std::to_string(stamp.size) + " " +
                printable(it->path().string()) + "\n";
      }
      if (error) text += folder + ": " + error.message() + "\n";
    }
    add("files.txt", text);
  }

  void add_status() {
    auto client = ControlClient::connect(paths_, false);
    auto answer = client ? client->ask(Json{{"do", "status"}}) : Result<Json>(client.error());
    add("status.json", text_of(answer ? Result<Json>((*answer)["status"]) : answer));
  }

  Result<std::string> text_of(const Result<Json>& json) const {
    if (!json) return json.error();
    return mask_.json(*json).dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  }

  Paths paths_;
  const std::string unit_;
  Mask mask_;
  std::vector<std::pair<std::string, std::string>> files_;
  std::vector<std::string> missing_;
};

}  // namespace

int report(const Call& call) {
  Report report(call);
  report.collect(call);
  const auto packed = report.packed();
  const auto written =
      packed ? write_file_atomically(call.words[0], *packed, 0600) : Result<>(packed.error());
  if (!written) return fail(written.error().message);
  for (const std::string& line : report.missing()) std::cerr << "missing: " << line << "\n";
  std::cout << "'" << call.words[0] << "' has " << format_size(static_cast<int64_t>(packed->size()))
            << ". Known secrets are masked; look through it before it leaves your hands.\n";
  return 0;
}

}  // namespace fieldpost::cli
