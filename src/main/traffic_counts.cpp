// SPDX-License-Identifier: Apache-2.0
#include "main/traffic_counts.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/json.hpp"
#include "base/text.hpp"

namespace fieldpost {
namespace {

constexpr size_t kMonthText = 7;  // "2026-11"

Error invalid(std::string_view what) {
  return {Errc::Invalid, "not a record of traffic: " + std::string(what)};
}

std::string name_of_month(int64_t utc_ms) { return format_utc(utc_ms).substr(0, kMonthText); }

Result<TrafficCounts::Count> count_of(const Json& json) {
  if (!json.is_array() || json.size() != 2) return invalid("a count is not two numbers");
  for (const Json& number : json) {
    if (!number.is_number_integer() || number.get<int64_t>() < 0)
      return invalid("a count is no whole number");
  }
  return TrafficCounts::Count{json[0].get<int64_t>(), json[1].get<int64_t>()};
}

Result<TrafficCounts::Month> month_of(const std::string& name, const Json& json) {
  TrafficCounts::Month month{.name = name};
  const Json devices = json.is_object() ? json.value("devices", Json()) : Json();
  if (name.size() != kMonthText || !devices.is_object()) return invalid("a month has no devices");
  month.at_least = json.value("at_least", Json()) == true;
  for (const auto& [device, count] : devices.items()) {
    month.devices[device] = FP_TRY(count_of(count));
  }
  return month;
}

}  // namespace

TrafficCounts::Count TrafficCounts::Month::all() const {
  Count sum;
  for (const auto& [device, count] : devices) {
    sum.payloads += count.payloads;
    sum.bytes += count.bytes;
  }
  return sum;
}

void TrafficCounts::count(std::string_view device, size_t bytes, int64_t utc_ms) {
  const std::scoped_lock lock(mutex_);
  auto& devices = month(utc_ms).devices;
  auto it = devices.find(device);
  if (it == devices.end()) it = devices.emplace(device, Count{}).first;
  ++it->second.payloads;
  it->second.bytes += static_cast<int64_t>(bytes);
}

TrafficCounts::Month& TrafficCounts::month(int64_t utc_ms) {
  constexpr int64_t kHour = 3'600'000;
  if (utc_ms / kHour != std::exchange(hour_, utc_ms / kHour)) name_ = name_of_month(utc_ms);
  const auto it = months_.try_emplace(name_, Month{.name = name_}).first;
  // What was lost may have been of this month, or of the newest before it.
  it->second.at_least |= std::exchange(torn_, false);
  if (months_.size() <= kMonths) return it->second;
  // First goes what is yet to come, then the oldest. A clock that is far behind takes neither for
  // right: to it all are yet to come.
  const auto last = std::prev(months_.end());
  months_.erase(it == months_.begin() ? std::next(it) : it == last ? months_.begin() : last);
  return it->second;
}

std::vector<TrafficCounts::Month> TrafficCounts::months(int64_t utc_ms) const {
  const std::string now = name_of_month(utc_ms);
  const std::scoped_lock lock(mutex_);
  std::vector<Month> months;
  for (auto it = months_.rbegin(); it != months_.rend(); ++it) months.push_back(it->second);
  std::ranges::stable_partition(months, [&](const Month& month) { return month.name <= now; });
  return months;
}

std::string TrafficCounts::text(bool complete) const {
  Json months = Json::object();
  for (const Month& month : this->months(0)) {
    Json devices = Json::object();
    for (const auto& [device, count] : month.devices)
      devices[device] = {count.payloads, count.bytes};
    months[month.name] = {{"at_least", month.at_least}, {"devices", std::move(devices)}};
  }
  return dump_json({{"complete", complete}, {"months", std::move(months)}}) + "\n";
}

Result<> TrafficCounts::restore(std::string_view text, bool newest, int64_t utc_ms) {
  const Json json = FP_TRY(parse_json(text));
  const Json listed = json.is_object() ? json.value("months", Json()) : Json();
  if (!listed.is_object()) return invalid("it has no months");
  std::map<std::string, Month> months;
  for (const auto& [name, month] : listed.items()) months[name] = FP_TRY(month_of(name, month));
  const bool torn = !newest && json.value("complete", Json()) != true;
  if (torn && !months.empty()) {
    const auto later = months.upper_bound(name_of_month(utc_ms));
    (later == months.begin() ? std::prev(months.end()) : std::prev(later))->second.at_least = true;
  }
  const std::scoped_lock lock(mutex_);
  months_ = std::move(months);
  torn_ = torn;
  return {};
}

}  // namespace fieldpost
