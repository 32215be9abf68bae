// SPDX-License-Identifier: Apache-2.0
#include "supervisor/condition.hpp"

#include <algorithm>
#include <set>

namespace fieldpost {
namespace {

using State = Condition::State;

// Why is not for everybody: it may quote the configuration.
Condition failure() { return {State::Bad, "cannot run: see `fieldpost check`"}; }

// A unit or a reading that fails is tried again after the interval, and a second at least: one
// missed poll is none.
nanoseconds patience(const Instance& instance) {
  return std::max<nanoseconds>(instance.config().instance.interval, std::chrono::seconds(1)) * 3 /
         2;
}

// The first of a unit of which all attributes are known to fail; nullptr: that cannot be said.
const Instance::Attribute* first_of_failed(const Instance& instance, uint32_t unit) {
  const Instance::Attribute* first = nullptr;
  for (const Instance::Attribute& a : instance.attributes()) {
    if (a.unit != unit || a.symbol == nullptr) continue;
    if (!a.fresh || a.latest.quality == Quality::Good) return nullptr;
    if (first == nullptr) first = &a;
  }
  return first;
}

// It has just started, or lives from events: then only its readings say how it is.
Condition unpolled_condition(const Instance& instance, uint32_t unit) {
  if (const auto* failed = first_of_failed(instance, unit)) {
    const std::string& detail = failed->latest.detail;
    return {State::Bad, detail.empty() ? std::string(name_of(failed->latest.quality)) : detail};
  }
  return {instance.units()[unit].read ? State::Good : State::Unknown, ""};
}

Condition unit_condition(uint32_t index, const Service& service, BootTime now) {
  if (!service.host) return failure();
  const Instance::Unit& unit = service.instance->units()[index];
  const HostProcess::Status& host = *service.host;
  switch (host.state) {
    case HostState::Up:
      if (!host.reason.empty()) return {State::Bad, host.reason};  // it was killed, but lives on
      if (!unit.known) return unpolled_condition(*service.instance, index);
      if (unit.good) return {State::Good, ""};
      if (unit.answered && now - unit.since < patience(*service.instance)) return {};
      return {State::Bad, unit.reason};
    case HostState::Starting:
    case HostState::Stopping:
      return {};
    default:
      return {State::Bad, host.reason.empty() ? "does not run" : host.reason};
  }
}

// With the names that logs and status use, as a device may be served by several plugins.
Condition named(Condition condition, const Instance& instance, const std::string& unit) {
  if (condition.error.empty()) return condition;
  const std::string& plugin = instance.config().name;
  condition.error = (unit.empty() || unit == plugin ? plugin : plugin + ", " + unit) + ": " +
                    std::move(condition.error);
  return condition;
}

Condition attribute_condition(const Instance::Attribute& attribute, const Condition& unit,
                              const Instance& instance, BootTime now) {
  if (unit.state != State::Good || attribute.latest_time == BootTime{}) return unit;
  const Instance::Verdict verdict = instance.verdict(attribute, now);
  if (verdict.quality == Quality::Good) return unit;
  // Since the first that failed, not since the last good one: those that say nothing new are not
  // sent by the host.
  const bool was_good = attribute.good_time != BootTime{};
  const bool just_failed = attribute.latest.quality != Quality::Good && was_good &&
                           now - attribute.bad_since < patience(instance);
  if (just_failed) return {};
  std::string error = attribute.spec.name + ": " + std::string(name_of(verdict.quality));
  if (!verdict.detail.empty()) error += " (" + verdict.detail + ")";
  return {State::Bad, std::move(error)};
}

// Of one device: one part that is good makes it good.
struct Parts {
  bool good = false, bad = false, unknown = false;
  std::string error;  // the first

  void add(const Condition& part) {
    good |= part.state == State::Good;
    bad |= part.state == State::Bad;
    unknown |= part.state == State::Unknown;
    if (error.empty()) error = part.error;
  }
  Condition whole() const {
    if (good) return {State::Good, error};
    return {bad && !unknown ? State::Bad : State::Unknown, error};
  }
};

std::vector<Condition> unit_conditions(const Service& service, BootTime now) {
  std::vector<Condition> units;
  for (uint32_t i = 0; i < service.instance->units().size(); ++i) {
    units.push_back(unit_condition(i, service, now));
  }
  return units;
}

void add_service(const Service& service, BootTime now, std::vector<Parts>& devices) {
  const Instance& instance = *service.instance;
  const auto& sections = instance.config().section_device;
  if (!service.host) {  // nor is it known what it would have declared
    const Condition failed = named(failure(), instance, "");
    for (const size_t device : sections) devices[device].add(failed);
    return;
  }
  const std::vector<Condition> units = unit_conditions(service, now);
  const HostProcess::Status& host = *service.host;
  const bool up = host.state == HostState::Up && host.reason.empty();  // else it is of no unit
  const auto add = [&](size_t device, uint32_t unit, Condition condition) {
    const std::string name = up ? instance.units()[unit].name : "";
    devices[device].add(named(std::move(condition), instance, name));
  };
  std::set<size_t> read;  // that it was told a command does not make up for that it cannot be
  for (const Instance::Attribute& a : instance.attributes()) {
    read.insert(a.device);
    add(a.device, a.unit, attribute_condition(a, units[a.unit], instance, now));
  }
  for (const Declaration::Command& c : instance.commands()) {
    if (!read.contains(sections[c.section])) add(sections[c.section], c.unit, units[c.unit]);
  }
}

}  // namespace

std::vector<Service> services_of(const Supervisor& supervisor) {
  std::vector<Service> services;
  for (const auto& entry : supervisor.entries()) {
    services.push_back({.instance = &entry->instance});
    if (entry->host) services.back().host = entry->host->status();
  }
  return services;
}

std::vector<Condition> device_conditions(std::span<const Service> services, size_t devices,
                                         BootTime now) {
  std::vector<Parts> parts(devices);
  for (const Service& service : services) add_service(service, now, parts);
  std::vector<Condition> conditions;
  conditions.reserve(devices);
  for (const Parts& p : parts) conditions.push_back(p.whole());
  return conditions;
}

int count_bad(std::span<const Service> services, BootTime now) {
  return static_cast<int>(std::ranges::count_if(services, [now](const Service& service) {
    // One that ends again and again is not well while it starts once more.
    const auto& host = service.host;
    if (host && host->state == HostState::Starting && !host->reason.empty()) return true;
    const auto units = unit_conditions(service, now);
    return std::ranges::any_of(units,
                               [](const auto& u) { return u.state == Condition::State::Bad; });
  }));
}

}  // namespace fieldpost
