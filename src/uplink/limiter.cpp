// SPDX-License-Identifier: Apache-2.0
#include "uplink/limiter.hpp"

#include <algorithm>

#include "base/checksum.hpp"

namespace fieldpost {
namespace {

// What answers to commands always find free, in percent of the connection's limit.
constexpr int kAnswerPercent = 10;

constexpr uint64_t kNoTopic = 0;  // what came in

uint64_t name_of(std::string_view topic) {
  const uint64_t hash = fnv1a(topic);
  return hash == kNoTopic ? 1 : hash;
}

size_t index(Traffic traffic) { return static_cast<size_t>(traffic); }

}  // namespace

// ---- One scope.

void Limiter::Scope::add(BootTime at, Traffic traffic) {
  arrived.push_back({at, traffic});
  ++arrived_of[index(traffic)];
}

void Limiter::Scope::drop_oldest() {
  --arrived_of[index(arrived.front().traffic)];
  arrived.pop_front();
}

bool Limiter::Scope::empty() const {
  return arrived.empty() && std::ranges::all_of(on_their_way, [](int n) { return n == 0; });
}

int Limiter::Scope::count(Traffic from) const {
  int n = 0;
  for (size_t i = index(from); i < kTraffics; ++i) n += on_their_way[i] + arrived_of[i];
  return n;
}

BootTime Limiter::Scope::free_at(Traffic from, int limit, nanoseconds window, BootTime now) const {
  int too_many = count(from) - limit + 1;  // must expire first
  if (too_many <= 0) return now;
  if (limit <= 0) return kUnknown;
  for (const Arrived& a : arrived) {
    if (a.traffic >= from && --too_many == 0) return a.at + window;
  }
  return kUnknown;
}

// ---- The log.

Limiter::Limiter(RateLimits limits, Records records, BootTime now)
    : limits_(limits), records_(records) {
  std::vector<size_t> used;
  for (size_t i = kRecords; i-- > 0;) {
    Record& r = records_[i];
    const bool sound = r.state >= Record::State::OnItsWay && r.state <= Record::State::Everything &&
                       index(r.traffic) < kTraffics;
    if (!sound) {
      r = Record{};
      free_.push_back(i);
      continue;
    }
    // No time of this boot is yet to come.
    const int64_t now_ns = now.time_since_epoch().count();
    if (r.state == Record::State::OnItsWay || r.at_ns > now_ns) r.at_ns = now_ns;
    if (r.state == Record::State::OnItsWay) r.state = Record::State::Arrived;
    used.push_back(i);
  }
  std::ranges::sort(used, {}, [&](size_t i) { return records_[i].at_ns; });
  for (const size_t i : used) {
    const BootTime at{nanoseconds(records_[i].at_ns)};
    if (records_[i].state == Record::State::Everything) closed_until_ = at + limits_.window;
    add_arrived(i, at);
  }
  expire(now);
}

void Limiter::set_reserve(int per_topic, int per_connection) {
  topic_reserve_ = per_topic;
  connection_reserve_ = per_connection;
}

void Limiter::assume_full(BootTime now) {
  expire(now);
  closed_until_ = now + limits_.window;
  if (free_.empty()) return;
  const size_t record = free_.back();
  free_.pop_back();
  records_[record] = {.topic = kNoTopic,
                      .at_ns = now.time_since_epoch().count(),
                      .state = Record::State::Everything};
  add_arrived(record, now);
}

void Limiter::add_arrived(size_t record, BootTime at) {
  const Record& r = records_[record];
  arrived_.push_back({at, r.topic, record});
  connection_.add(at, r.traffic);
  if (r.topic != kNoTopic) topics_[r.topic].add(at, r.traffic);
}

void Limiter::expire(BootTime now) {
  while (!arrived_.empty() && arrived_.front().at + limits_.window <= now) {
    const Arrived& oldest = arrived_.front();
    connection_.drop_oldest();
    if (const auto topic = topics_.find(oldest.topic); topic != topics_.end()) {
      topic->second.drop_oldest();
      if (topic->second.empty()) topics_.erase(topic);
    }
    records_[oldest.record].state = Record::State::Free;
    free_.push_back(oldest.record);
    arrived_.pop_front();
  }
}

int Limiter::scaled(int limit, BootTime now) const { return slowed(now) ? (limit + 1) / 2 : limit; }

RateLimits Limiter::limits_at(BootTime now) const {
  RateLimits limits = limits_;
  if (limits.per_topic > 0) limits.per_topic = scaled(limits.per_topic, now);
  if (limits.per_connection > 0) limits.per_connection = scaled(limits.per_connection, now);
  return limits;
}

BootTime Limiter::free_at(std::string_view topic, Traffic traffic, BootTime now) {
  if (!limits_.any()) return now;
  expire(now);
  // More is on its way than anybody allows, or ever counted.
  if (free_.empty()) return arrived_.empty() ? kUnknown : arrived_.front().at + limits_.window;
  BootTime at = std::max(now, closed_until_);
  const bool behind_live = traffic > Traffic::Live;
  if (const int all = scaled(limits_.per_connection, now); limits_.per_connection > 0) {
    const int others = all - all * kAnswerPercent / 100;
    const auto check = [&](Traffic from, int limit) {
      at = std::max(at, connection_.free_at(from, limit, limits_.window, now));
    };
    check(Traffic::Answer, all);
    if (traffic > Traffic::Answer) check(Traffic::Live, others);
    const int rest = others - scaled(connection_reserve_, now);
    if (behind_live) check(Traffic::Backlog, std::max(1, rest));
  }
  const auto known = topics_.find(name_of(topic));
  if (const int all = scaled(limits_.per_topic, now);
      limits_.per_topic > 0 && known != topics_.end()) {
    at = std::max(at, known->second.free_at(Traffic::Answer, all, limits_.window, now));
    if (behind_live) {
      const int rest = std::max(1, all - scaled(topic_reserve_, now));
      at = std::max(at, known->second.free_at(Traffic::Backlog, rest, limits_.window, now));
    }
  }
  return at;
}

size_t Limiter::sent(std::string_view topic, Traffic traffic, BootTime now) {
  expire(now);
  if (free_.empty()) return kRecords;
  const size_t record = free_.back();
  free_.pop_back();
  records_[record] = {.topic = name_of(topic),
                      .at_ns = now.time_since_epoch().count(),
                      .state = Record::State::OnItsWay,
                      .traffic = traffic};
  ++connection_.on_their_way[index(traffic)];
  ++topics_[records_[record].topic].on_their_way[index(traffic)];
  return record;
}

void Limiter::arrived(size_t message, BootTime now) {
  if (message >= kRecords || records_[message].state != Record::State::OnItsWay) return;
  Record& r = records_[message];
  r.at_ns = now.time_since_epoch().count();
  r.state = Record::State::Arrived;
  --connection_.on_their_way[index(r.traffic)];
  --topics_[r.topic].on_their_way[index(r.traffic)];
  add_arrived(message, now);
}

void Limiter::all_arrived(BootTime now) {
  for (size_t i = 0; i < kRecords; ++i) arrived(i, now);
}

void Limiter::received(BootTime now) {
  expire(now);
  if (free_.empty()) return;
  const size_t record = free_.back();
  free_.pop_back();
  records_[record] = {
      .topic = kNoTopic, .at_ns = now.time_since_epoch().count(), .state = Record::State::Arrived};
  add_arrived(record, now);
}

// ---- Looking.

int64_t Limiter::live_topics(BootTime now) {
  expire(now);
  return std::ranges::count_if(topics_, [](const auto& topic) {
    const Scope& scope = topic.second;
    return scope.on_their_way[index(Traffic::Live)] + scope.arrived_of[index(Traffic::Live)] > 0;
  });
}

int Limiter::used_percent(BootTime now) {
  expire(now);
  int percent = 0;
  if (limits_.per_connection > 0) {
    percent = connection_.count(Traffic::Answer) * 100 / limits_.per_connection;
  }
  if (limits_.per_topic == 0) return percent;
  for (const auto& [name, scope] : topics_) {
    percent = std::max(percent, scope.count(Traffic::Answer) * 100 / limits_.per_topic);
  }
  return percent;
}

}  // namespace fieldpost
