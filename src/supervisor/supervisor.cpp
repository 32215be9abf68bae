// SPDX-License-Identifier: Apache-2.0
#include "supervisor/supervisor.hpp"

#include <algorithm>

#include "base/file.hpp"
#include "base/log.hpp"
#include "base/message_ids.hpp"
#include "base/text.hpp"
#include "config/across.hpp"
#include "config/diff.hpp"
#include "model/value_json.hpp"

namespace fieldpost {
namespace {

KeptValues::Id id_of(const PluginConfig& plugin) { return {plugin.name, plugin.type}; }

bool is_down(const Supervisor::Entry& entry) {
  return !entry.host || entry.host->status().state == HostState::Down;
}

bool goes_by_broker(const PluginConfig& config) {
  return std::ranges::any_of(config.instance.guards,
                             [](const GuardRule& rule) { return rule.uplink_silent.count() > 0; });
}

}  // namespace

Supervisor::Supervisor(EventLoop& loop, Options options, Sinks sinks, SymbolTable& symbols)
    : loop_(&loop),
      options_(std::move(options)),
      sinks_(std::move(sinks)),
      symbols_(&symbols),
      notes_(symbols) {}

Supervisor::~Supervisor() = default;

std::string Supervisor::path_of(const std::string& type) const {
  return options_.plugin_dir + "/" + type + ".so";
}

std::unique_ptr<Supervisor::Entry> Supervisor::make(const PluginConfig& plugin) {
  auto config = std::make_unique<PluginConfig>(plugin);
  Instance instance(*config, config_.devices, *symbols_);
  auto entry = std::make_unique<Entry>(Entry{std::move(config), std::move(instance), nullptr});
  if (!plugin.failed.empty()) {
    log::error(
        "the plugin cannot run",
        {message_id::kPluginCannotRun, {"FP_PLUGIN", plugin.name}, {"FP_REASON", plugin.failed}});
    return entry;
  }
  entry->host =
      std::make_unique<HostProcess>(*loop_,
                                    HostProcess::Options{.plugin_host = options_.plugin_host,
                                                         .plugin = path_of(plugin.type),
                                                         .config = plugin.instance,
                                                         .socket = plugin.socket},
                                    sinks_of(*entry));
  return entry;
}

HostProcess::Sinks Supervisor::sinks_of(Entry& entry) {
  return {.declared =
              [&entry](const Declaration& declaration) { return entry.instance.vet(declaration); },
          .samples =
              [this, &entry](message::Samples&& samples) {
                if (watching_) {
                  for (const Sample& s : samples.samples) sinks_.readings(entry.instance, s);
                }
                auto taken = entry.instance.on_samples(std::move(samples));
                if (config_.uplink.meta) notes_.add_to(taken, entry.instance);
                if (!taken.empty()) sinks_.samples(std::move(taken));
              },
          .unit_state =
              [&entry](const message::UnitState& state) {
                entry.instance.on_unit_state(state, BootClock::now());
              },
          .held = [&entry](const message::Held& held) { entry.instance.on_held(held); },
          .outcome = [this](const message::Outcome& outcome) { sinks_.outcome(outcome); },
          .state = [this, &entry] { on_state(entry); },
          .keep = [this, &entry](const message::Keep& keep) { on_keep(entry, keep); },
          .kept = [this, &entry] { return kept_.begin(id_of(*entry.config)); },
          .remark = [&entry](const message::Remark& r) { entry.instance.on_remark(r); },
          .guest = [this](message::GuestReading&& r) { sinks_.guest(std::move(r)); }};
}

void Supervisor::on_state(Entry& entry) {
  const HostProcess::Status& status = entry.host->status();
  if (status.state != HostState::Up && status.state != HostState::Starting) {
    entry.instance.on_host_down(BootClock::now());
    sinks_.down(entry.config->name, status.reason);
  }
  if (status.state == HostState::Up) {
    entry.instance.on_host_up();
    if (goes_by_broker(*entry.config)) entry.host->tell({broker_heard_});
  }
  sinks_.changed();
  if (status.state != HostState::Down) return;
  auto settler = loop_->after(std::chrono::microseconds(0), [this] { settle(); });
  if (settler) settler_ = *std::move(settler);
}

void Supervisor::on_broker_heard(BootTime time) {
  if (time <= broker_heard_) return;
  broker_heard_ = time;
  for (const auto& entry : entries_) {
    if (entry->host && goes_by_broker(*entry->config)) entry->host->tell({time});
  }
}

void Supervisor::on_keep(const Entry& entry, const message::Keep& keep) {
  if (kept_.keep(id_of(*entry.config), keep.values)) return;
  log::error("the plugin keeps more values than it may; they will not survive its end",
             {{"FP_PLUGIN", entry.config->name}, {"FP_LIMIT", std::to_string(kMaxKept)}});
}

// Why a host has to give way to a new one though its configuration is the same; empty: it has not.
std::string Supervisor::why_anew(const Entry& entry, const PluginConfig& wanted) const {
  const HostProcess::Status& status = entry.host->status();
  // What runs is what was loaded; a package may have brought another since.
  if (status.starts > 0 && status.plugin != file_stamp(path_of(wanted.type))) {
    return "its file has changed";
  }
  // A host cannot be told of another secret; one on a kernel without Landlock could not hide it.
  const bool confines = !status.confinement || status.confinement->files;
  const Sandbox& sandbox = wanted.instance.sandbox;
  return sandbox.on && confines && leaves_open(entry.config->instance.sandbox, sandbox)
             ? "it could read a file that is a secret now"
             : "";
}

void Supervisor::apply(const Config& config) {
  const ConfigDiff changes = diff(config_, config);
  config_ = config;
  std::set<KeptValues::Id> configured;
  for (const PluginConfig& plugin : config.plugins) configured.insert(id_of(plugin));
  kept_.configure(configured);
  std::vector<std::unique_ptr<Entry>> before = std::exchange(entries_, {});
  entries_.resize(config.plugins.size());
  const auto keep = [&](const ConfigDiff::Pair& pair) {
    auto kept = std::make_unique<PluginConfig>(config.plugins[pair.after]);
    before[pair.before]->instance.rebind(*kept, config.devices);
    before[pair.before]->config = std::move(kept);
    entries_[pair.after] = std::move(before[pair.before]);
  };
  const auto keep_if_current = [&](const ConfigDiff::Pair& pair) {
    const PluginConfig& wanted = config.plugins[pair.after];
    const Entry& entry = *before[pair.before];
    const std::string why = entry.host ? why_anew(entry, wanted) : "";
    if (why.empty()) return keep(pair);
    log::notice("the plugin is started anew", {{"FP_PLUGIN", wanted.name}, {"FP_REASON", why}});
    entries_[pair.after] = make(wanted);
  };
  std::ranges::for_each(changes.unchanged, keep_if_current);
  for (const auto& pair : changes.remapped) {
    keep_if_current(pair);
    // A value that stands still would reach its new device late, or never.
    const auto& entry = entries_[pair.after];
    if (entry->host) entry->host->renew();
  }
  for (const size_t i : changes.added) entries_[i] = make(config.plugins[i]);
  for (const auto& pair : changes.changed) entries_[pair.after] = make(config.plugins[pair.after]);
  // Last: a host that stops calls back, and what it calls looks at all entries.
  for (auto& entry : before) {
    if (entry) retire(std::move(entry));
  }
  settle();
  sinks_.changed();
}

void Supervisor::retire(std::unique_ptr<Entry> entry) {
  if (is_down(*entry)) return;
  entry->host->stop();
  retired_.push_back(std::move(entry));
}

void Supervisor::settle() {
  std::erase_if(retired_, [](const auto& entry) { return is_down(*entry); });
  if (stopped_) {
    const bool all_down = retired_.empty() && std::ranges::all_of(entries_, [](const auto& entry) {
                            return is_down(*entry);
                          });
    if (all_down) std::exchange(stopped_, nullptr)();
    return;
  }
  if (!retired_.empty()) return;
  for (const auto& entry : entries_) {
    if (entry->host && is_down(*entry)) entry->host->start();
  }
}

void Supervisor::stop(std::function<void()> done) {
  stopped_ = std::move(done);
  for (const auto& entry : entries_) {
    if (entry->host) entry->host->stop();
  }
  settle();
}

Result<Supervisor::Entry*> Supervisor::find(std::string_view instance) {
  std::vector<std::string_view> names;
  for (const auto& entry : entries_) {
    names.emplace_back(entry->config->name);
    if (entry->config->name != instance) continue;
    if (!entry->host)
      return Error{Errc::Unavailable, "the plugin has failed: " + entry->config->failed};
    return entry.get();
  }
  const std::string_view near = nearest(instance, names);
  return Error{Errc::NotFound,
               "there is no plugin '" + printable(instance, 80) + "'" +
                   (near.empty() ? "" : "; did you mean '" + std::string(near) + "'?")};
}

Result<> Supervisor::call(std::string_view instance, message::Call call) {
  return FP_TRY(find(instance))->host->call(std::move(call));
}

Result<> Supervisor::read_once(std::string_view type, const std::string& option,
                               const std::string& line, message::ReadOnce guest) {
  const auto has_line = [&](const ConfigSection& section) {
    const auto it = section.values.find(option);
    return it != section.values.end() && bus_of(it->second) == line;
  };
  for (const auto& entry : entries_) {
    if (entry->config->type != type) continue;
    if (std::ranges::none_of(entry->config->instance.sections, has_line)) continue;
    const std::string whose = "the agent has this line, for '" + entry->config->name + "'";
    if (!entry->host) return Error{Errc::NotFound, whose + ", which cannot run"};
    return entry->host->read_once(std::move(guest)).context(whose);
  }
  return Error{Errc::NotFound, "no instance has this line"};
}

bool Supervisor::is_starting(std::string_view instance) const {
  return std::ranges::any_of(entries_, [&](const auto& entry) {
    if (entry->config->name != instance || !entry->host || stopped_) return false;
    // Down: it waits for the end of its predecessor.
    return is_down(*entry) || entry->host->status().state == HostState::Starting;
  });
}

Result<> Supervisor::restart(std::string_view instance) {
  Entry* const entry = FP_TRY(find(instance));
  if (stopped_ || !retired_.empty()) {  // another host may still be on its bus
    return Error{Errc::Unavailable, "the plugins are being changed"};
  }
  entry->host->stop();
  entry->host->start();
  return {};
}

void Supervisor::add_meta(std::vector<DeviceSample>& samples) {
  if (!config_.uplink.meta) return;
  std::vector<const Instance*> instances;
  for (const auto& entry : entries_) instances.push_back(&entry->instance);
  notes_.add_to(samples, instances);
}

int Supervisor::up() const {
  return static_cast<int>(std::ranges::count_if(entries_, [](const auto& entry) {
    return entry->host && entry->host->status().state == HostState::Up;
  }));
}

namespace {

double seconds(nanoseconds duration) { return static_cast<double>(duration.count()) / 1e9; }

Json to_json(const Instance::Unit& unit, BootTime now) {
  Json json{{"name", unit.name},
            {"state", !unit.known ? "unknown"
                      : unit.good ? "good"
                                  : "silent"}};
  if (unit.known) json["since_s"] = seconds(now - unit.since);
  if (unit.good_time != BootTime{}) json["good_s"] = seconds(now - unit.good_time);
  if (!unit.reason.empty()) json["reason"] = unit.reason;
  return json;
}

Json to_json(const Instance& instance, const Instance::Attribute& a, BootTime now) {
  Json json{{"name", a.spec.name},
            {"device", instance.devices()[a.device].name},
            {"type", name_of(a.spec.type)}};
  if (!a.spec.unit.empty()) json["unit"] = a.spec.unit;
  if (a.latest_time == BootTime{}) return json;
  const Instance::Verdict verdict = instance.verdict(a, now);
  json["quality"] = name_of(verdict.quality);
  json["age_s"] = seconds(now - a.latest_time);
  if (verdict.quality == Quality::Good) {
    json["value"] = fieldpost::to_json(a.latest.value);
    if (!a.remark.empty()) json["remark"] = a.remark;
  } else {
    json["detail"] = verdict.detail;
  }
  if (a.good_time != BootTime{}) json["good_s"] = seconds(now - a.good_time);
  return json;
}

Json to_json(const Sandbox& sandbox, const Confinement& in_force) {
  const bool calls = sandbox.on && in_force.calls;
  return {{"text", describe(sandbox, in_force)},
          {"on", sandbox.on},
          {"sockets", !calls                                 ? "any"
                      : (sandbox.needs & kNeedsNetwork) != 0 ? "network"
                                                             : "none"},
          {"programs", !calls || (sandbox.needs & kNeedsExec) != 0 ? "any" : "none"},
          {"files_confined", sandbox.on && in_force.files}};
}

Json to_json(const message::Punctuality& polls) {
  return {{"count", polls.polls},
          {"skipped", polls.skipped},
          {"late_s", seconds(polls.late)},
          {"worst_late_s", seconds(polls.worst)},
          {"longest_s", seconds(polls.longest)}};
}

}  // namespace

Json to_json(const Supervisor::Entry& entry, BootTime now) {
  Json json{{"name", entry.config->name}, {"type", entry.config->type}};
  if (!entry.config->socket.empty()) json["socket"] = entry.config->socket;
  if (entry.host) {
    const HostProcess::Status& s = entry.host->status();
    json["state"] = name_of(s.state);
    if (!s.reason.empty()) json["reason"] = s.reason;
    if (s.pid > 0) json["pid"] = s.pid;
    if (s.confinement) {
      json["sandbox"] = to_json(entry.config->instance.sandbox, *s.confinement);
    }
    if (s.punctuality) json["polls"] = to_json(*s.punctuality);
    json["since_s"] = seconds(now - s.since);
    if (s.retry > now) json["retry_s"] = seconds(s.retry - now);
    json["restarts"] = std::max<int64_t>(0, s.starts - 1);
  } else {
    json["state"] = "failed";
    json["reason"] = entry.config->failed;
    json["restarts"] = 0;
  }
  const Instance::Counts& c = entry.instance.counts();
  json["samples"] = c.samples;
  json["readings"] = c.readings;
  json["held"] = c.held;
  json["bad"] = c.bad;
  json["refused"] = c.refused;
  json["units"] = Json::array();
  for (const auto& unit : entry.instance.units()) json["units"].push_back(to_json(unit, now));
  json["attributes"] = Json::array();
  for (const auto& a : entry.instance.attributes()) {
    json["attributes"].push_back(to_json(entry.instance, a, now));
  }
  return json;
}

}  // namespace fieldpost
