// SPDX-License-Identifier: Apache-2.0
//
// What the daemon answers on its control sockets (docs/control-protocol.md).
#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>

#include "base/text.hpp"
#include "main/daemon.hpp"

namespace fieldpost {
namespace {

double seconds(nanoseconds duration) { return static_cast<double>(duration.count()) / 1e9; }

int64_t utc_ms(BootTime time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch() +
                                                               wall_offset())
      .count();
}

std::string rfc3339(int64_t ms) {
  const std::time_t s = ms / 1000;
  std::tm tm{};
  ::gmtime_r(&s, &tm);
  std::array<char, 40> out{};
  const size_t n = std::strftime(out.data(), out.size(), "%Y-%m-%dT%H:%M:%S", &tm);
  (void)std::snprintf(out.data() + n, out.size() - n, ".%03dZ", static_cast<int>(ms % 1000));
  return out.data();
}

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

Json refusal(std::string_view why) { return Json{{"ok", false}, {"error", why}}; }

}  // namespace

Json Daemon::handle(const Json& request, ControlRight right, bool* watch) {
  const Json what = request.value("do", Json());
  if (what == "status") return Json{{"ok", true}, {"status", status_json()}};
  if (what == "watch") {
    *watch = true;
    supervisor_.watch(true);
    return Json{{"ok", true}};
  }
  const bool acts = what == "send" || what == "reload" || what == "reconnect";
  if (!acts) {
    return refusal("unknown request; known are status, watch, send, reload, reconnect");
  }
  if (right != ControlRight::Act) {
    return refusal("this socket only reads; use control.sock (sudo adduser $USER " +
                   std::string(kActGroup) + ")");
  }
  if (what == "reload") {
    reload();
    return Json{{"ok", true}, {"loads", loads_}};
  }
  if (what == "reconnect") {
    uplink_->reconnect();
    return Json{{"ok", true}};
  }
  const BootTime now = BootClock::now();
  auto sample = local_state_.parse(request, now, utc_ms(now));
  if (!sample) return refusal(sample.error().message);
  std::vector<DeviceSample> samples;
  samples.push_back(*std::move(sample));
  store_->append(std::move(samples));
  return Json{{"ok", true}};
}

void Daemon::on_reading(const Instance& instance, const Sample& sample) {
  const std::string time = rfc3339(utc_ms(sample.time));
  for (const Reading& r : sample.readings) {
    if (r.attribute >= instance.attributes().size()) continue;
    const Instance::Attribute& a = instance.attributes()[r.attribute];
    Json line{{"time", time},
              {"plugin", instance.config().name},
              {"device", instance.devices()[a.device].name},
              {"attribute", a.spec.name},
              {"quality", name_of(r.quality)}};
    if (r.quality == Quality::Good) {
      line["value"] = std::visit([](const auto& v) { return Json(v); }, r.value);
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
      {"config", config_json()},
      {"uplink", uplink_json(now)},
      {"outbox", outbox_json(now)},
      {"commands", commands_json()},
      {"plugins", std::move(plugins)}};
}

Json Daemon::config_json() const {
  return Json{{"path", paths_.config}, {"loads", loads_}, {"trouble", config_trouble_}};
}

Json Daemon::uplink_json(BootTime now) const {
  const UplinkStatus& u = uplink_status_;
  Json json{{"state", name_of(u.state)},
            {"url", config_.uplink.url},
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
            {"slowed", u.slowed}};
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
            {"acknowledged", s.acknowledged},
            {"lost", s.lost},
            {"trouble", s.trouble}};
  if (s.totals.oldest_utc_ms > 0) {
    json["oldest_s"] = static_cast<double>(utc_ms(now) - s.totals.oldest_utc_ms) / 1e3;
  }
  // Only what lasts is worth a word: a healthy fsync on an SD card takes some 10 ms.
  const nanoseconds since(s.busy_since_ns);
  const nanoseconds busy = now.time_since_epoch() - since;
  if (since.count() > 0 && busy > std::chrono::seconds(1)) {
    json["trouble"] = "the disk has been stalled for " + about(busy);
  }
  return json;
}

Json Daemon::commands_json() const {
  const CommandCounts& c = router_.counts();
  Json json{
      {"received", c.received}, {"done", c.done}, {"rejected", c.rejected}, {"failed", c.failed}};
  if (last_command_) json["last"] = to_json(*last_command_);
  return json;
}

// One line for `systemctl status`.
std::string Daemon::status_line() const {
  std::string line(name_of(uplink_status_.state));
  const std::string& why =
      uplink_status_.reason.empty() ? uplink_status_.step : uplink_status_.reason;
  if (uplink_status_.state != UplinkStatus::State::Connected && !why.empty())
    line += " (" + why + ")";
  const StoreStatus store = store_->status();
  line += "; " + std::to_string(store.waiting()) + " readings waiting; " +
          std::to_string(supervisor_.up()) + " of " + std::to_string(config_.plugins.size()) +
          " plugins up";
  if (!store.trouble.empty()) line += "; outbox: " + store.trouble;
  if (!config_trouble_.empty()) line += "; " + config_trouble_;
  return printable(line);
}

}  // namespace fieldpost
