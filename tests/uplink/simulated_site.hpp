// SPDX-License-Identifier: Apache-2.0
//
// Devices, the two stages of the store and a broker that counts, in simulated time: what a day is
// outside passes here in a second.
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "model/symbol.hpp"
#include "uplink/lanes.hpp"
#include "uplink/redial.hpp"
#include "uplink/setup.hpp"

namespace fieldpost::test {

// As the store behaves: store/store.hpp.
class SimulatedStore {
 public:
  struct Sample {
    int64_t number;
    Symbol device;
    BootTime time;
  };
  int64_t append(Symbol device, BootTime time) {
    stage_.push_back({++newest_, device, time});
    return newest_;
  }
  int64_t newest() const { return newest_; }
  bool is_due(BootTime now) const {
    return !stage_.empty() && now - stage_.front().time >= std::chrono::seconds(5);
  }
  // Everything goes to the disk, one row for each device.
  int64_t flush() {
    std::map<Symbol, Row> rows;
    for (const Sample& s : stage_) rows[s.device].samples.push_back(s);
    for (auto& [device, row] : rows) {
      const bool held = !aside.contains(*device);
      for (const Sample& s : row.samples) {
        row.by_sample = row.by_sample || (held && s.number <= held_);
      }
      newest_row_ = std::max(newest_row_, item_id::of_sample(row.samples.back().number) + 1);
      rows_.emplace(item_id::of_sample(row.samples.back().number) + 1, std::move(row));
    }
    if (!stage_.empty()) flushed_ = stage_.back().number;
    stage_.clear();
    return newest_row_;
  }
  Fetched fetch(Lane lane, int64_t after) {
    Fetched answer{.lane = lane, .chunks = {}, .from = after, .up_to = after};
    if (lane == Lane::Live && after == item_id::kBeforeAll) {
      std::map<Symbol, int64_t> newest;
      for (auto row = rows_.rbegin(); row != rows_.rend() && newest.size() < 100; ++row) {
        newest.emplace(row->second.samples.front().device, row->first);
        if (row->first < newest_row_ - (10'000 << item_id::kBits)) break;
      }
      for (const auto& [device, id] : newest) {
        if (!aside.contains(*device)) hand_out(id, rows_.at(id), after, answer.chunks);
      }
      answer.from = answer.up_to = item_id::of_sample(flushed_);
    } else if (lane == Lane::Live) {
      answer.from = std::max(after, item_id::of_sample(flushed_));
      take_staged(answer);
    } else {
      auto row = rows_.upper_bound(after);
      for (size_t n = 0; row != rows_.end() && n < Sender::kFetchPoints; ++row) {
        n += row->second.samples.size();
        if (aside.contains(*row->second.samples.front().device)) {
          answer.has_gaps = true;
          answer.up_to = row->first;
          continue;
        }
        hand_out(row->first, row->second, after, answer.chunks);
      }
      const bool any = !answer.chunks.empty() || answer.has_gaps;
      if (!any && lane == Lane::All) take_staged(answer);
    }
    std::ranges::sort(answer.chunks, {}, &Chunk::row);
    answer.end = answer.chunks.empty() && !answer.has_gaps;
    if (!answer.chunks.empty()) answer.up_to = std::max(answer.up_to, answer.chunks.back().row);
    return answer;
  }
  void acknowledge(int64_t id) {
    if (!item_id::is_sample(id)) {
      rows_.erase(id);
      return;
    }
    const int64_t number = item_id::number_of(id);
    std::erase_if(stage_, [&](const Sample& s) { return s.number == number; });
    for (auto row = rows_.lower_bound(id); row != rows_.end(); ++row) {
      auto& samples = row->second.samples;
      if (std::erase_if(samples, [&](const Sample& s) { return s.number == number; }) == 0)
        continue;
      if (samples.empty()) rows_.erase(row);
      return;
    }
  }
  bool empty() const { return rows_.empty() && stage_.empty(); }
  size_t rows() const { return rows_.size(); }
  size_t rows_by_sample() const {
    return static_cast<size_t>(
        std::ranges::count_if(rows_, [](const auto& row) { return row.second.by_sample; }));
  }
  DeviceIds aside;

 private:
  struct Row {
    std::vector<Sample> samples;
    bool by_sample = false;
  };
  static Chunk chunk(int64_t id, std::span<const Sample> samples) {
    Chunk chunk{.row = id, .device = samples.front().device, .states = {}};
    for (const Sample& s : samples) {
      chunk.states.push_back({.time_ms = s.time.time_since_epoch().count() / 1'000'000,
                              .points = {{.attribute = s.device, .value = double(s.number)}}});
    }
    return chunk;
  }
  static void hand_out(int64_t id, const Row& row, int64_t after, std::vector<Chunk>& ret_chunks) {
    if (!row.by_sample) return ret_chunks.push_back(chunk(id, row.samples));
    for (const Sample& s : row.samples) {
      const int64_t sample = item_id::of_sample(s.number);
      if (sample > after) ret_chunks.push_back(chunk(sample, {&s, 1}));
    }
  }
  void take_staged(Fetched& answer) {
    held_ = item_id::number_of(answer.from);
    for (const Sample& s : stage_) {
      if (item_id::of_sample(s.number) <= answer.from) continue;
      held_ = s.number;
      if (aside.contains(*s.device)) {
        answer.has_gaps = true;
        continue;
      }
      answer.chunks.push_back(chunk(item_id::of_sample(s.number), {&s, 1}));
    }
    answer.up_to = std::max(answer.from, item_id::of_sample(held_));
  }

  int64_t newest_ = 0, flushed_ = 0, held_ = 0;
  int64_t newest_row_ = item_id::kBeforeAll;
  std::deque<Sample> stage_;
  std::map<int64_t, Row> rows_;
};

// A gateway with devices that sample once each second, and its broker.
class SimulatedSite {
 public:
  struct Line {
    double delay = 0.03;  // seconds, one way
    double bytes_per_second = 1e6;
  };
  SimulatedSite(int devices, bool live_first, RateLimits limits = kLosantLimits)
      : options_{.live_first = live_first,
                 .batch_max_age = std::chrono::seconds(1),
                 .devices = devices},
        limiter_(limits, records_, now_),
        lanes_(options_, limiter_, quarantine_) {
    for (int d = 0; d < devices; ++d) devices_.push_back(names_.intern("d" + std::to_string(d)));
    next_.resize(devices_.size());
    for (size_t d = 0; d < devices_.size(); ++d) {
      next_[d] = now_ + std::chrono::milliseconds(1000 * d / devices_.size());
    }
  }

  void connect() {
    connected_ = true;
    connected_at_ = now_;
    lanes_.on_connected();
    lanes_.on_committed(item_id::of_sample(store_.newest()));
  }
  // Returns whether a topic may be why.
  bool disconnect(bool in_order = false) {
    connected_ = false;
    const bool by_topic = quarantine_.on_disconnected(in_order, now_);
    tell_of_quarantine();
    lanes_.on_disconnected(now_);
    on_their_way_.clear();
    line_free_ = now_;
    return by_topic;
  }
  // `fast`: nothing happens but sampling, as during an outage.
  void run(nanoseconds time, nanoseconds step = std::chrono::milliseconds(10)) {
    for (const BootTime end = now_ + time; now_ < end; now_ += step) turn();
  }
  template <class Condition>
  bool run_until(Condition condition, nanoseconds limit) {
    for (const BootTime end = now_ + limit; now_ < end; now_ += std::chrono::milliseconds(10)) {
      turn();
      if (condition()) return true;
    }
    return false;
  }

  struct Seen {
    int64_t readings = 0, twice = 0, messages = 0;
    nanoseconds oldest_live{};  // age at arrival of what was sampled since watch_live()
    int most_on_topic = 0, most_on_connection = 0;
  };
  const Seen& seen() const { return seen_; }
  void watch_live() {
    live_since_ = now_;
    seen_.oldest_live = {};
  }
  // The newest sample of each device that the broker has is not older than that.
  nanoseconds stalest() const {
    nanoseconds most{};
    for (const Symbol d : devices_) {
      const auto found = newest_.find(d);
      most = std::max(most, found == newest_.end() ? nanoseconds::max() : now_ - found->second);
    }
    return most;
  }
  int64_t appended() const { return store_.newest(); }
  size_t backlog_rows() const { return store_.rows(); }
  Lanes& lanes() { return lanes_; }
  Limiter& limiter() { return limiter_; }
  BootTime now() const { return now_; }
  SimulatedStore& store() { return store_; }
  Quarantine& quarantine() { return quarantine_; }
  // The order in which numbers of a device arrived.
  const std::vector<int64_t>& order(int device) { return order_[devices_.at(size_t(device))]; }
  Line line;
  bool sampling = true;
  // The broker closes when one of these publishes; the site connects again at once, or when this
  // says.
  std::set<std::string> forbidden;
  Redial* redial = nullptr;
  int closes = 0;

 private:
  struct OnItsWay {
    int mid;
    BootTime arrives, acknowledged;
    bool arrived = false;
    Lanes::Message message;
  };

  void turn() {
    for (size_t d = 0; sampling && d < devices_.size(); ++d) {
      for (; next_[d] <= now_; next_[d] += std::chrono::seconds(1)) {
        times_.push_back(next_[d]);
        store_.append(devices_[d], next_[d]);
      }
    }
    if (store_.is_due(now_)) lanes_.on_stored(store_.flush());
    const int64_t newest = item_id::of_sample(store_.newest());
    if (!batch_at_ && newest > lanes_.newest()) {
      batch_at_ = lanes_.batches() ? now_ + lanes_.batch_age(now_) : now_;
    }
    if (batch_at_ && *batch_at_ <= now_) {
      batch_at_.reset();
      lanes_.on_committed(newest);
    }
    deliver();
    if (connect_at_ <= now_) {
      connect_at_ = BootTime::max();
      connect();
    }
    if (connected_ && quarantine_.release(now_)) {
      tell_of_quarantine();
      lanes_.on_backlog();
    }
    if (connected_) pump();
  }
  void tell_of_quarantine() {
    store_.aside.clear();
    for (const auto& s : quarantine_.set_aside()) store_.aside.emplace(*stating_device(s.topic));
  }
  void pump() {
    for (bool more = true; more;) {
      more = false;
      while (auto message = lanes_.take_message(now_)) {
        send(*std::move(message));
        more = true;
      }
      while (const auto request = lanes_.take_fetch()) {
        lanes_.on_fetched(store_.fetch(request->lane, request->after));
        for (const int64_t id : lanes_.take_done()) store_.acknowledge(id);
        more = true;
      }
    }
  }
  void send(Lanes::Message message) {
    const auto s = [](double seconds) { return nanoseconds(static_cast<int64_t>(seconds * 1e9)); };
    lanes_.sent(message, ++mid_, now_);
    const double bytes = static_cast<double>(message.state.payload.size());
    line_free_ = std::max(line_free_, now_) + s(bytes / line.bytes_per_second);
    const BootTime arrives = line_free_ + s(line.delay);
    on_their_way_.push_back({.mid = mid_,
                             .arrives = arrives,
                             .acknowledged = arrives + s(line.delay),
                             .message = std::move(message)});
  }
  void deliver() {
    for (OnItsWay& o : on_their_way_) {
      if (o.arrived || o.arrives > now_) continue;
      o.arrived = true;
      if (forbidden.contains(*o.message.state.device)) {
        ++closes;
        const bool by_topic = disconnect(true);
        if (redial == nullptr) return connect();
        const Drop drop{.by = Drop::By::Broker,
                        .accepted = true,
                        .lasted = now_ - connected_at_,
                        .unanswered = by_topic};
        connect_at_ = now_ + redial->on_drop(drop).pause;
        return;
      }
      at_broker(o.message, o.arrives);
    }
    while (!on_their_way_.empty() && on_their_way_.front().acknowledged <= now_) {
      const auto done = lanes_.acknowledged(on_their_way_.front().mid, now_);
      for (const int64_t id : done->rows) store_.acknowledge(id);
      on_their_way_.pop_front();
    }
  }
  void at_broker(const Lanes::Message& message, BootTime at) {
    ++seen_.messages;
    const std::string& text = message.state.payload;
    const std::string key = "\"" + *message.state.device + "\":";
    for (size_t p = text.find(key); p != std::string::npos; p = text.find(key, p + 1)) {
      const int64_t number = std::stoll(text.substr(p + key.size(), 20));
      ++seen_.readings;
      if (!numbers_.insert(number).second) ++seen_.twice;
      order_[message.state.device].push_back(number);
      const BootTime taken = times_.at(size_t(number - 1));
      BootTime& newest = newest_[message.state.device];
      newest = std::max(newest, taken);
      if (taken >= live_since_) seen_.oldest_live = std::max(seen_.oldest_live, at - taken);
    }
    count(counts_[message.state.device], at, seen_.most_on_topic);
    count(counts_[nullptr], at, seen_.most_on_connection);
  }
  static void count(std::deque<BootTime>& window, BootTime at, int& ret_most) {
    window.push_back(at);
    while (window.front() + std::chrono::seconds(15) <= at) window.pop_front();
    ret_most = std::max(ret_most, static_cast<int>(window.size()));
  }

  SymbolTable names_;
  Lanes::Options options_;
  BootTime now_{std::chrono::hours(1)};
  std::unique_ptr<std::array<Limiter::Record, Limiter::kRecords>> memory_ =
      std::make_unique<std::array<Limiter::Record, Limiter::kRecords>>();
  Limiter::Records records_{*memory_};
  Limiter limiter_;
  Quarantine quarantine_{"losant/gateway/state"};
  Lanes lanes_;
  SimulatedStore store_;
  std::vector<Symbol> devices_;
  std::vector<BootTime> next_, times_;
  bool connected_ = false;
  BootTime connected_at_{}, connect_at_ = BootTime::max();
  std::optional<BootTime> batch_at_;
  int mid_ = 0;
  BootTime line_free_{}, live_since_ = BootTime::max();
  std::deque<OnItsWay> on_their_way_;
  std::set<int64_t> numbers_;
  std::map<Symbol, std::vector<int64_t>> order_;
  std::map<Symbol, BootTime> newest_;
  std::map<Symbol, std::deque<BootTime>> counts_;
  Seen seen_;
};

}  // namespace fieldpost::test
