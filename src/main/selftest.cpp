// SPDX-License-Identifier: Apache-2.0
#include "main/selftest.hpp"

#include <dlfcn.h>
#include <systemd/sd-daemon.h>

#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <optional>
#include <ostream>
#include <string>

#include "base/temp_folder.hpp"
#include "store/database.hpp"
#include "store/store.hpp"
#include "supervisor/probe.hpp"
#include "uplink/session.hpp"
#include "uplink/tls_words.hpp"

namespace fieldpost {
namespace {

using namespace std::chrono_literals;

constexpr auto kPatience = 20s;  // for a slow card, or an emulated processor
constexpr double kValue = 21.5;

// A store, and what an uplink would hear of it.
class Listened {
 public:
  // Two stores with the same `folder` share the disk, but each has a stage of its own.
  Listened(const std::string& folder, const std::string& stage, const std::string& boot)
      : store_({.folder = folder, .run_folder = stage, .boot_id = boot, .flush_interval = 1h},
               sinks(), symbols_) {
    store_.start();
  }

  Result<> open() {
    if (wait([this] { return store_.clock().complete; })) return {};
    return Error{Errc::Timeout, "the outbox does not open: " + store_.status().trouble};
  }
  // Sends nothing without a time; by an estimated one nothing is too old.
  Result<> keep_time() {
    const Epoch now{
        .since_ms = in_ms(BootClock::now()), .offset_ms = in_ms(wall_offset()), .estimated = true};
    return store_.keep_clock({.now_ms = now.since_ms, .offset_ms = now.offset_ms},
                             {.append = now, .may_send = true});
  }
  void append() {
    store_.append({{symbols_.intern("device"),
                    {in_ms(BootClock::now()), CaptureTime::Base::ThisBoot},
                    {{symbols_.intern("temperature"), kValue}}}});
  }
  // The id of what holds the one reading.
  Result<int64_t> fetch() {
    store_.fetch(Lane::All, item_id::kBeforeAll, 10);
    if (!wait([this] { return fetched_.has_value(); }))
      return Error{Errc::Timeout, "the outbox does not answer"};
    const auto& chunks = fetched_->chunks;
    const bool came_back = chunks.size() == 1 && chunks[0].states.size() == 1 &&
                           chunks[0].states[0].points.size() == 1 &&
                           chunks[0].states[0].points[0].value == Value(kValue);
    if (!came_back) return Error{Errc::Corrupt, "the reading did not come back as it was"};
    return chunks[0].row;
  }
  void acknowledge(int64_t item) { store_.acknowledge({item}); }
  // What is left waiting on the disk.
  Result<int64_t> stop() {
    if (store_.stop(kPatience)) return store_.status().waiting();
    return Error{Errc::Timeout, "the disk does not take it: " + store_.status().trouble};
  }

 private:
  Store::Sinks sinks() {
    return {.committed = [](int64_t) {},
            .stored = [](int64_t) {},
            .chunks =
                [this](Fetched fetched) {
                  const std::scoped_lock lock(mutex_);
                  fetched_ = std::move(fetched);
                  heard_.notify_all();
                },
            .backlog = [] {},
            .status = [](const StoreStatus&) {},
            .clock =
                [this] {
                  const std::scoped_lock lock(mutex_);
                  heard_.notify_all();
                }};
  }
  template <class Condition>
  bool wait(Condition condition) {
    std::unique_lock lock(mutex_);
    return heard_.wait_for(lock, kPatience, condition);
  }

  std::mutex mutex_;
  std::condition_variable heard_;
  std::optional<Fetched> fetched_;
  SymbolTable symbols_;
  Store store_;
};

// A reading through memory and disk, as over a power cut while the broker is away.
Result<> try_outbox() {
  const TempFolder folder = FP_TRY(TempFolder::make());
  const TempFolder memory = FP_TRY(TempFolder::make());
  const TempFolder later = FP_TRY(TempFolder::make());
  const std::string boot = FP_TRY(boot_id());
  Listened before(folder.path(), memory.path(), boot);
  FP_CHECK_OK(before.open());
  FP_CHECK_OK(before.keep_time());
  before.append();
  (void)FP_TRY(before.fetch());
  if (FP_TRY(before.stop()) != 1) return Error{Errc::Corrupt, "the reading is not on the disk"};

  Listened after(folder.path(), later.path(), boot);
  FP_CHECK_OK(after.open());
  after.acknowledge(FP_TRY(after.fetch()));
  if (FP_TRY(after.stop()) != 0)
    return Error{Errc::Corrupt, "what was acknowledged is still there"};
  return {};
}

// libsystemd does not say its version, but its file's name does.
std::string systemd_library() {
  Dl_info info{};
  std::error_code error;
  if (::dladdr(reinterpret_cast<const void*>(&sd_notify), &info) == 0) return "libsystemd";
  return std::filesystem::canonical(info.dli_fname, error).filename().string();
}

bool say(std::ostream& out, const std::string& what, const Result<>& result) {
  out << (result ? "ok      " : "FAILED  ") << what;
  if (!result) out << ": " << result.error().message;
  out << '\n' << std::flush;  // at once: what comes next may hang
  return static_cast<bool>(result);
}

bool try_plugins(const Paths& paths, std::ostream& out) {
  Probe probe(paths.plugin_host, paths.plugin_dir, kPatience);
  const auto types = probe.types();
  if (types.empty()) {
    return say(out, "plugins",
               Error{Errc::NotFound, "there is none in '" + paths.plugin_dir + "'"});
  }
  bool good = true;
  for (const std::string& type : types) {
    const auto info = probe.describe(type);
    if (info) {
      say(out,
          "plugin " + type + " " + info->version + " (ABI " + std::to_string(info->abi_major) +
              "." + std::to_string(info->abi_minor) + ")",
          {});
    } else {
      good = say(out, "plugin " + type, info.error());
    }
  }
  return good;
}

}  // namespace

bool selftest(const Paths& paths, std::ostream& out) {
  for (const std::string& library :
       {"libmosquitto " + mosquitto_version(), "SQLite " + sqlite_version(),
        "OpenSSL " + openssl_version(), systemd_library()}) {
    say(out, library, {});
  }
  const BootTime start = BootClock::now();
  const auto kept = try_outbox();
  const bool stored = say(out,
                          "outbox: a reading through memory and disk, in " +
                              std::to_string(in_ms(BootClock::now() - start)) + " ms",
                          kept);
  return try_plugins(paths, out) && stored;
}

}  // namespace fieldpost
