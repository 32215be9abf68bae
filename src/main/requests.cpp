// SPDX-License-Identifier: Apache-2.0
//
// What the daemon answers on its control sockets (docs/control-protocol.md).
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/text.hpp"
#include "main/daemon.hpp"
#include "model/value_json.hpp"
#include "supervisor/guest_json.hpp"

namespace fieldpost {
namespace {

double seconds(nanoseconds duration) { return static_cast<double>(duration.count()) / 1e9; }

std::string_view name_of(UplinkStatus::State state) {
  using enum UplinkStatus::State;
  switch (state) {
    case Stopped:
      return "stopped";
    case Waiting:
      return "waiting";
    case Connecting:
      return "connecting";
    case Connected:
      return "connected";
  }
  return "unknown";
}

// By attribute, those that lost most first.
Json given_up_json(const StoreStatus& status) {
  Json lines = Json::array();
  for (const Toll::Line& line : status.given_up) {
    lines.push_back({{"device_id", line.device},
                     {"attribute", line.attribute},
                     {"thinned", line.thinned},
                     {"dropped", line.dropped}});
  }
  return lines;
}

Json refusal(std::string_view why) { return Json{{"ok", false}, {"error", why}}; }

}  // namespace

Json Daemon::handle(const Json& request, ControlRight right, bool* watch, UniqueFd passed) {
  const Json what = request.value("do", Json());
  if (what == "status") return Json{{"ok", true}, {"status", status_json()}};
  if (what == "watch") {
    *watch = true;
    supervisor_.watch(true);
    return Json{{"ok", true}};
  }
  if (what == "export") return start_export(request, std::move(passed));
  if (what == "export-outcome") return export_outcome(request);
  if (what == "commands") return list_commands();
  constexpr std::array kActs{"send",      "command", "read-once", "reload",
                             "reconnect", "apply",   "apply-end", "apply-earlier"};
  if (!what.is_string() || std::ranges::find(kActs, what.get<std::string>()) == kActs.end()) {
    return refusal(
        "unknown request; known are status, watch, export, export-outcome, commands, send, "
        "command, read-once, reload, reconnect, apply, apply-end, apply-earlier");
  }
  if (right != ControlRight::Act) {
    return refusal("this socket only reads; use control.sock (sudo adduser $USER " +
                   std::string(kActGroup) + ")");
  }
  if (what == "command") return run_local(request);
  if (what == "read-once") return read_once(request);
  if (what == "reload") {
    reload();
    return begun();
  }
  if (what == "reconnect") {
    uplink_->reconnect();
    return Json{{"ok", true}};
  }
  if (what == "apply") return begin_trial(request);
  if (what == "apply-end") {
    load(EndTrial{request.value("keep", Json()) == true});
    return begun();
  }
  if (what == "apply-earlier") return earlier_files();
  const BootTime now = BootClock::now();
  auto sample = local_state_.parse(request, now, utc_ms(now));
  if (!sample) return refusal(sample.error().message);
  std::vector<DeviceSample> samples;
  samples.push_back(*std::move(sample));
  keep(std::move(samples));
  return Json{{"ok", true}};
}

// For somebody at the command line, over a line that an instance has.
Json Daemon::read_once(const Json& request) {
  auto config = guest_from_json(request);
  if (!config) return refusal(config.error().message);
  const Json type = request.value("plugin", Json());
  const Json option = request.value("option", Json());
  const Json line = request.value("line", Json());
  if (!type.is_string() || !option.is_string() || !line.is_string()) {
    return refusal("expected plugin, option and line as text");
  }
  std::erase_if(guests_, [this](const auto& guest) { return !control_.awaits(guest.second); });
  const auto asked =
      supervisor_.read_once(type.get<std::string>(), option.get<std::string>(),
                            line.get<std::string>(), {++last_guest_, *std::move(config)});
  if (!asked && asked.error().code == Errc::NotFound) return Json{{"ok", true}};
  if (!asked) return refusal(asked.error().message);
  guests_[last_guest_] = control_.defer();
  return {};  // what the host has read is the answer
}

void Daemon::on(message::GuestReading&& reading) {
  const auto guest = guests_.extract(reading.id);
  if (guest.empty()) return;
  control_.answer(guest.mapped(), reading.refused.empty()
                                      ? Json{{"ok", true}, {"unit", reading_to_json(reading)}}
                                      : refusal(reading.refused));
}

// Of what the loader does: by these one sees in the status that it is done, or that the agent was
// started anew.
Json Daemon::begun() const {
  return Json{{"ok", true},
              {"loads", loads_},
              {"applies", applies_},
              {"uptime_s", seconds(BootClock::now() - started_)}};
}

// Reading what was read is what `watch` does too, so the right to read is enough.
Json Daemon::start_export(const Json& request, UniqueFd pipe) {
  ExportRequest wanted{.pipe = std::move(pipe)};
  const Json format = request.value("format", Json());
  if (format == "csv") {
    wanted.format = ExportFormat::Csv;
  } else if (format == "jsonl") {
    wanted.format = ExportFormat::Jsonl;
  } else if (format != "counts") {
    return refusal("format: expected csv, jsonl or counts");
  }
  for (const DeviceConfig& d : config_.devices) wanted.names[d.id] = d.name;
  const Json device = request.value("device", Json());
  if (device.is_string()) wanted.device = device_id_of(wanted.names, device.get<std::string>());
  const auto number = store_->start_export(std::move(wanted));
  return number ? Json{{"ok", true}, {"export", *number}} : refusal(number.error().message);
}

Json Daemon::export_outcome(const Json& request) const {
  const Json number = request.value("export", Json());
  if (!number.is_number_integer()) return refusal("export: expected the number of an export");
  const auto outcome = store_->export_outcome(number.get<int64_t>());
  if (!outcome) return refusal(outcome.error().message);
  return Json{{"ok", true},
              {"ended", outcome->ended},
              {"readings", outcome->readings},
              {"damaged_rows", outcome->damaged_rows},
              {"trouble", outcome->trouble}};
}

void Daemon::on_reading(const Instance& instance, const Sample& sample) {
  const std::string time = format_utc(utc_ms(sample.time));
  for (const Reading& r : sample.readings) {
    if (r.attribute >= instance.attributes().size()) continue;
    const Instance::Attribute& a = instance.attributes()[r.attribute];
    Json line{{"time", time},
              {"plugin", instance.config().name},
              {"device", instance.devices()[a.device].name},
              {"attribute", a.spec.name},
              {"quality", name_of(r.quality)}};
    if (r.quality == Quality::Good) {
      line["value"] = to_json(r.value);
    } else {
      line["detail"] = r.detail;
    }
    control_.broadcast(dump_json(line));
  }
}

Json Daemon::status_json() const {
  const BootTime now = BootClock::now();
  Json plugins = Json::array();
  for (const auto& entry : supervisor_.entries()) plugins.push_back(to_json(*entry, now));
  return Json{
      {"version", kVersion},
      {"gateway", {{"device_id", config_.gateway.device_id}, {"name", config_.gateway.name}}},
      {"uptime_s", seconds(now - started_)},
      {"last_run", last_run_json()},
      {"config", config_json()},
      {"uplink", uplink_json(now)},
      {"outbox", outbox_json(now)},
      {"clock", clock_json(now)},
      {"commands", commands_json()},
      {"custom", custom_json()},
      {"traffic", traffic_json()},
      {"plugins", std::move(plugins)}};
}

Json Daemon::config_json() const {
  return Json{{"path", paths_.config},
              {"loads", loads_},
              {"trouble", config_trouble_},
              {"reader_group", ::getegid()},
              {"apply", trial_json()}};
}

Json Daemon::last_run_json() const {
  const BlackBox::View view = black_box_->view();
  return Json{{"ended", name_of(view.last_run.ended)},
              {"last_word", view.last_run.last_word},
              {"seen_as", view.last_run.seen_as},
              {"boot_reason", view.boot_reason},
              {"trouble", view.trouble}};
}

Json Daemon::uplink_json(BootTime now) const {
  const UplinkStatus& u = uplink_status_;
  Json json{{"state", name_of(u.state)},
            {"url", u.url},
            {"since_s", seconds(now.time_since_epoch() - nanoseconds(u.since_ns))},
            {"step", u.step},
            {"reason", u.reason},
            {"connections", u.connections},
            {"published", u.published},
            {"published_bytes", u.published_bytes},
            {"readings", u.readings},
            {"in_flight", u.in_flight},
            {"refused", u.refused},
            {"batch_age_s", seconds(nanoseconds(u.batch_age_ns))},
            {"live_devices", u.live_devices},
            {"held_back", u.held_back},
            {"slowed", u.slowed},
            {"refused_topics", u.refused_topics}};
  for (const auto& [topic, retry] : u.set_aside) {
    const nanoseconds left = std::max<nanoseconds>(retry - now, nanoseconds(0));
    json["set_aside"].push_back({{"topic", topic}, {"retry_s", seconds(left)}});
  }
  const nanoseconds wait = nanoseconds(u.retry_ns) - now.time_since_epoch();
  if (u.state == UplinkStatus::State::Waiting && wait.count() > 0) json["retry_s"] = seconds(wait);
  return json;
}

Json Daemon::outbox_json(BootTime now) const {
  const StoreStatus s = store_->status();
  Json json{{"waiting", s.waiting()},
            {"staged", s.staged},
            {"stored", s.totals.readings},
            {"rows", s.totals.rows},
            {"file_bytes", s.totals.file_bytes},
            {"appended", s.appended},
            {"acknowledged", s.totals.acknowledged},
            {"lost", s.lost},
            {"thinned", s.thinned},
            {"dropped", s.dropped},
            {"given_up", given_up_json(s)},
            {"trouble", s.trouble},
            {"warning", s.warning}};
  if (s.totals.oldest_utc_ms > 0) {
    // The system's clock may not have been set yet.
    const int64_t age_ms = std::max<int64_t>(0, utc_ms(now) - s.totals.oldest_utc_ms);
    json["oldest_s"] = static_cast<double>(age_ms) / 1e3;
  }
  const bool connected = uplink_status_.state == UplinkStatus::State::Connected;
  if (const auto left = drain_.time_left(s.totals.readings); connected && left)
    json["drained_in_s"] = seconds(*left);
  if (s.wear) {
    json["disk"] = {{"written", s.wear->bytes},
                    {"recent_written", s.wear->recent_bytes},
                    {"recent_s", seconds(s.wear->recent)}};
    if (s.appended > 0) {
      json["disk"]["per_reading"] =
          static_cast<double>(s.wear->bytes) / static_cast<double>(s.appended);
    }
  }
  // Only what lasts is worth a word: a healthy fsync on an SD card takes some 10 ms.
  const nanoseconds since(s.busy_since_ns);
  const nanoseconds busy = now.time_since_epoch() - since;
  if (since.count() > 0 && busy > std::chrono::seconds(1)) {
    json["trouble"] = "the disk has been stalled for " + about(busy);
  }
  return json;
}

Json Daemon::clock_json(BootTime now) const {
  const TimeSyncState& sync = time_sync_->state();
  const ClockKeeper::View& view = clock_->view();
  const StoreStatus store = store_->status();
  Json json{{"synchronised", sync.synchronised},
            {"source", name_of(sync.source)},
            {"since_s", seconds(now - sync.since)},
            {"reason", sync.reason},
            {"stamps", !view.may_send   ? "none"
                       : view.estimated ? "estimated"
                                        : "right"},
            {"waiting", store.unstamped},
            {"too_old", store.too_old},
            {"too_new", store.too_new},
            {"repeated", store.repeated},
            {"trouble", view.trouble}};
  if (view.held_until_ms) {
    const int64_t left_ms = std::max<int64_t>(0, *view.held_until_ms - in_ms(now));
    json["held_s"] = static_cast<double>(left_ms) / 1e3;
  }
  if (view.ignored_step_ms != 0) {
    json["ignored_step_s"] = static_cast<double>(view.ignored_step_ms) / 1e3;
  }
  return json;
}

Json Daemon::commands_json() const {
  const CommandCounts& c = router_.counts();
  Json json{
      {"received", c.received},   {"done", c.done},         {"rejected", c.rejected},
      {"failed", c.failed},       {"expired", c.expired},   {"unknown", c.unknown},
      {"duplicate", c.duplicate}, {"open", router_.open()}, {"trouble", command_log_->trouble()}};
  if (const auto newest = router_.history().newest(1); !newest.empty()) {
    json["last"] = newest.back().outcome;
    json["last"]["time"] = utc_ms(newest.back().came);
  }
  return json;
}

Json Daemon::custom_json() const {
  const UplinkStatus& u = uplink_status_;
  const CustomCommands::Counts s = custom_commands_.counts();
  return Json{{"published", u.custom_published},
              {"dropped", u.custom_dropped},
              {"received", s.received},
              {"misfits", s.misfits},
              {"retained", u.retained}};
}

Json Daemon::traffic_json() const {
  const auto put = [](Json& json, const TrafficCounts::Count& count) {
    json["payloads"] = count.payloads;
    json["bytes"] = count.bytes;
  };
  Json months = Json::array();
  for (const TrafficCounts::Month& month : traffic_.months(utc_ms(BootClock::now()))) {
    Json devices = Json::array();
    for (const auto& [id, count] : month.devices) {
      const auto it = std::ranges::find(config_.devices, id, &DeviceConfig::id);
      Json device{{"device_id", id}};
      if (it != config_.devices.end()) device["name"] = it->name;
      put(device, count);
      devices.push_back(std::move(device));
    }
    Json json{{"month", month.name}, {"at_least", month.at_least}};
    put(json, month.all());
    json["devices"] = std::move(devices);
    months.push_back(std::move(json));
  }
  return months;
}

// One line for `systemctl status`.
std::string Daemon::status_line() const {
  std::string line(name_of(uplink_status_.state));
  const std::string& why =
      uplink_status_.reason.empty() ? uplink_status_.step : uplink_status_.reason;
  if (uplink_status_.state != UplinkStatus::State::Connected && !why.empty())
    line += " (" + why + ")";
  const StoreStatus store = store_->status();
  line += "; " + std::to_string(store.waiting()) + " readings waiting";
  if (clock_->view().known && store.unstamped > 0) {
    line += ", " + std::to_string(store.unstamped) + " of them for the time";
    if (!time_sync_->state().reason.empty()) line += " (" + time_sync_->state().reason + ")";
  }
  line += "; " + std::to_string(supervisor_.up()) + " of " +
          std::to_string(config_.plugins.size()) + " plugins up";
  if (!store.trouble.empty()) line += "; outbox: " + store.trouble;
  if (!run_trouble_.empty()) line += "; " + run_trouble_;
  if (!config_trouble_.empty()) line += "; " + config_trouble_;
  if (trial_view_.running) line += "; a configuration is on trial (see fieldpost status)";
  return printable(line);
}

}  // namespace fieldpost
