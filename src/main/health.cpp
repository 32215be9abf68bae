// SPDX-License-Identifier: Apache-2.0
//
// What the daemon says of itself upstream, and what it can be told from there (docs/health.md).
#include <algorithm>

#include "base/file.hpp"
#include "base/log.hpp"
#include "config/own_names.hpp"
#include "main/daemon.hpp"
#include "uplink/setup.hpp"

namespace fieldpost {
namespace {

using namespace std::chrono_literals;

constexpr auto kTrafficPeriod = 5s;  // what a crash may cost of the counts
constexpr size_t kMaxTraffic = size_t{4} << 20;
constexpr size_t kMaxKeptFile = size_t{64} << 20;  // more than all instances may keep
constexpr size_t kTrafficNote = 0, kKeptNote = 1;  // of the store's

}  // namespace

OwnCommands::Actions Daemon::own_actions() {
  return {.report = [this]() -> Result<> {
            if (!health_.enabled())
              return Error{Errc::Unavailable, "it is switched off: [health] enabled = false"};
            health_.ask(BootClock::now());
            report_health();
            return {};
          },
          .restart = [this](const std::string& plugin) { return supervisor_.restart(plugin); },
          .reload = [this]() -> Result<> {
            reload();
            return {};
          }};
}

void Daemon::configure_custom() {
  copies_.configure(config_);
  custom_commands_.configure(config_.subscribes);
}

void Daemon::configure_health() {
  health_.configure(config_);
  own_commands_.configure(config_.commands);
}

GatewayFacts Daemon::gateway_facts(std::span<const Service> services, BootTime now) const {
  const StoreStatus store = store_->status();
  GatewayFacts facts{.version = kVersion, .uptime = now - started_};
  if (store.totals.oldest_utc_ms > 0) {
    const int64_t age_ms = std::max<int64_t>(0, utc_ms(now) - store.totals.oldest_utc_ms);
    facts.outbox_age = std::chrono::milliseconds(age_ms);
  }
  facts.outbox_bytes = store.totals.file_bytes;
  facts.lost = store.lost + store.dropped + store.too_old + store.too_new + uplink_status_.refused;
  if (store.wear) facts.disk_day = store.wear->recent_bytes;
  facts.clock = time_sync_->state().synchronised ? "synchronised"
                : clock_->view().estimated       ? "estimated"
                                                 : "not synchronised";
  facts.plugins_bad = count_bad(services, now);
  return facts;
}

void Daemon::report_health() {
  if (!health_.enabled() || stopping_) return;
  note_troubles();
  const BootTime now = BootClock::now();
  const std::vector<Service> services = services_of(supervisor_);
  const auto conditions = device_conditions(services, config_.devices.size(), now);
  Health::Reach reach{.online = uplink_status_.state == UplinkStatus::State::Connected};
  for (const auto& [topic, retry] : uplink_status_.set_aside) {
    if (const auto device = stating_device(topic)) reach.aside.emplace(*device);
  }
  auto samples = health_.report(gateway_facts(services, now), conditions, reach, now);
  if (samples.empty()) return;
  supervisor_.add_meta(samples);
  store_->append(std::move(samples));
}

// What is wrong with the configuration is told without a word of it.
void Daemon::note_troubles() {
  const auto about = [](std::string_view what, const std::string& trouble) {
    return trouble.empty() ? "" : std::string(what) + trouble;
  };
  std::vector<std::string> troubles{
      about("uplink: ", uplink_status_.reason), about("outbox: ", store_->status().trouble),
      about("clock: ", clock_->view().trouble), run_trouble_,
      config_trouble_.empty() ? ""
      : trial_view_.refused   ? "the applied configuration was rolled back; see `fieldpost status`"
                              : "the configuration has errors; see `fieldpost check`"};
  for (const auto& [topic, retry] : uplink_status_.set_aside) {
    troubles.push_back("uplink: the broker closes the connection when we publish to " + topic);
  }
  for (const std::string& topic : uplink_status_.refused_topics) {
    troubles.push_back("uplink: the broker refuses the subscription to " + topic);
  }
  health_.note_troubles(std::move(troubles));
}

// Refusals of what was for the agent itself: whoever sent it may see nothing but attributes.
void Daemon::note_refusal(const CommandReport& report) {
  // The broker may deliver twice: that is no mistake of anybody's.
  if (report.status == CommandStatus::Done || report.status == CommandStatus::Duplicate) return;
  if (!report.name.starts_with(kOwnCommands)) return;
  if (report.device_id != config_.gateway.device_id) return;
  health_.note_error(report.name + " " + std::string(name_of(report.status)) + ": " +
                     report.reason);
}

// ---- What went over the line.

void Daemon::load_traffic() {
  for (const bool newest : {true, false}) {
    const std::string path = newest ? paths_.traffic() : paths_.stored_traffic();
    const auto text = read_file(path, kMaxTraffic);
    if (!text && text.error().code == Errc::NotFound) continue;
    const auto restored =
        text ? traffic_.restore(*text, newest, utc_ms(BootClock::now())) : Result<>(text.error());
    if (restored) break;
    log::warning("the counts of traffic cannot be read",
                 {{"FP_PATH", path}, {"FP_REASON", restored.error().message}});
  }
  save_traffic();  // from here on what is on the disk is not complete
}

void Daemon::save_traffic() {
  const BootTime now = BootClock::now();
  if (!stopped_ && now < traffic_saved_at_ + kTrafficPeriod) return;
  traffic_saved_at_ = now;
  std::string text = traffic_.text(stopped_);
  if (text == saved_traffic_) return;
  store_->keep_note(kTrafficNote, text);
  if (const auto saved = replace_file(paths_.traffic(), text); !saved) {
    log::debug("the counts of traffic are not saved", {{"FP_REASON", saved.error().message}});
  }
  saved_traffic_ = std::move(text);
}

// From the run directory if what is there is of this boot, else what the disk has.
void Daemon::load_kept(const std::string& boot) {
  boot_ = boot;
  for (const std::string& path : {paths_.kept(), paths_.stored_kept()}) {
    const auto text = read_file(path, kMaxKeptFile);
    if (!text && text.error().code == Errc::NotFound) continue;
    if (text && path == paths_.kept() && KeptValues::boot_of(*text) != boot) continue;
    const auto restored = text ? supervisor_.kept().restore(*text) : Result<>(text.error());
    if (restored) break;
    // Of one that cannot be read nobody knows what is in it: it stays.
    const bool is_damaged = restored.error().code == Errc::Invalid;
    const std::string aside = is_damaged ? path + ".damaged" : path;
    if (is_damaged) (void)std::rename(path.c_str(), aside.c_str());
    log::error(path == paths_.kept() ? "kept values are damaged; those of the disk are used, which "
                                       "may be as old as outbox.persist_interval"
                                     : "kept values are damaged; totals may start at 0",
               {{"FP_PATH", aside}, {"FP_REASON", restored.error().message}});
  }
}

void Daemon::save_kept() {
  const uint64_t changes = supervisor_.kept().changes();
  if (changes == kept_saved_) return;
  std::string text = supervisor_.kept().text(boot_);
  const auto saved = replace_file(paths_.kept(), text);
  if (!saved && !kept_in_trouble_) {
    log::warning("kept values would not survive a crash of the agent",
                 {{"FP_REASON", saved.error().message}});
  }
  if (saved) kept_saved_ = changes;
  if (!saved) (void)::unlink(paths_.kept().c_str());  // or the next start would take the older one
  kept_in_trouble_ = !saved;
  store_->keep_note(kKeptNote, std::move(text));
}

}  // namespace fieldpost
