// SPDX-License-Identifier: Apache-2.0
#include "uplink/lanes.hpp"

#include <algorithm>

#include "uplink/setup.hpp"

namespace fieldpost {
namespace {

// Of the window, in messages, that the backlog may take: what is live finds the rest free.
constexpr int kBacklogPercent = 75;

// Readings that may wait in the lane of what is live, some 4 KB, before more is fetched, and bytes
// of it that may be on their way on the slowest line: what a line cannot carry in time goes to the
// disk, and live stays what is new.
constexpr size_t kLivePoints = 100;
constexpr int64_t kLiveBytes = 4'000;

constexpr int64_t kSampleBytes = 60;  // of a message: until it is known what they are here

}  // namespace

// ---- What has left ahead of its turn.

void Ahead::add(int64_t from, int64_t to, bool samples) {
  if (from >= to) return;
  Runs& runs = samples ? samples_ : rows_;
  const auto next =
      std::ranges::lower_bound(runs, from, {}, [](const auto& run) { return run.second; });
  if (next != runs.end() && next->second == from) {
    next->second = to;
  } else {
    runs.emplace(next, from, to);
  }
}

bool Ahead::contains(int64_t id) const {
  const Runs& runs = item_id::is_sample(id) ? samples_ : rows_;
  const auto run = std::ranges::lower_bound(runs, id, {}, [](const auto& r) { return r.second; });
  return run != runs.end() && run->first < id;
}

int64_t Ahead::end_of_rows(int64_t id) const {
  const auto run = std::ranges::upper_bound(rows_, id, {}, [](const auto& r) { return r.second; });
  return run != rows_.end() && run->first <= id ? run->second : id;
}

void Ahead::forget_up_to(int64_t id) {
  for (Runs* runs : {&samples_, &rows_}) {
    std::erase_if(*runs, [id](const auto& run) { return run.second <= id; });
  }
}

void Ahead::clear() {
  samples_.clear();
  rows_.clear();
}

// ---- Lanes.

Lanes::Lanes(const Options& options, Limiter& limiter, Quarantine& quarantine)
    : options_(options),
      next_order_(options.live_first),
      limiter_(limiter),
      quarantine_(quarantine),
      window_(options.window_bytes),
      live_(options.max_payload),
      backlog_(options.max_payload) {
  set_reserve();
  set_flow_versions();
}

void Lanes::set_options(const Options& options) {
  const bool live_first = options_.live_first;
  options_ = options;
  next_order_ = std::exchange(options_.live_first, live_first);
  window_.set_most(options.window_bytes);
  live_.set_max_payload(options.max_payload);
  backlog_.set_max_payload(options.max_payload);
  set_reserve();
  set_flow_versions();
}

void Lanes::set_flow_versions() {
  live_.set_flow_versions(options_.flow_versions);
  backlog_.set_flow_versions(options_.flow_versions);
}

void Lanes::set_reserve() {
  const RateLimits& limits = limiter_.limits();
  if (!options_.live_first) return limiter_.set_reserve(0, 0);
  const nanoseconds age = stretched_age(options_.batch_max_age, limits, options_.devices);
  const auto most = [](int limit) { return limit * kLivePercent / 100; };
  // One more than fit into a window: messages do not leave at even intervals.
  const int64_t each = age.count() == 0 ? INT32_MAX : limits.window / age + 1;
  limiter_.set_reserve(
      static_cast<int>(std::min<int64_t>(each, most(limits.per_topic))),
      static_cast<int>(std::min<int64_t>(each * options_.devices, most(limits.per_connection))));
}

void Lanes::on_connected() {
  if (options_.live_first != next_order_) {
    options_.live_first = next_order_;
    backlog_.forget();
    set_reserve();
  }
  live_.on_connected();
  backlog_.on_connected();
}

void Lanes::on_disconnected(BootTime now) {
  live_.on_disconnected();
  live_.forget();
  backlog_.on_disconnected();
  // Also what was passed over, and is not acknowledged, is to be found again.
  if (options_.live_first) backlog_.forget();
  ahead_.clear();
  in_flight_.clear();
  in_flight_bytes_ = live_bytes_ = backlog_in_flight_ = 0;
  limiter_.all_arrived(now);
  window_.on_disconnected();
  held_until_ = Limiter::kUnknown;
  held_back_ = false;
}

void Lanes::on_committed(int64_t newest) { main().on_committed(newest); }

void Lanes::on_stored(int64_t newest_row) {
  if (options_.live_first) backlog_.on_committed(newest_row);
}

void Lanes::on_backlog() { backlog_.on_backlog(); }

void Lanes::on_tick() {
  main().on_tick();
  if (options_.live_first) backlog_.on_tick();
}

std::optional<Lanes::Request> Lanes::take_fetch() {
  if (options_.live_first) {
    if (const auto after = live_.take_fetch(kLivePoints)) return Request{Lane::Live, *after};
    backlog_.skip_to(ahead_.end_of_rows(backlog_.cursor()));
  }
  const auto after = backlog_.take_fetch(Sender::kFetchPoints / 2);
  if (!after) return std::nullopt;
  return Request{options_.live_first ? Lane::Backlog : Lane::All, *after};
}

void Lanes::on_fetched(Fetched fetched) {
  if (fetched.lane == Lane::Live) return hand_to_live(std::move(fetched));
  const bool end = fetched.end;
  std::erase_if(fetched.chunks, [this](const Chunk& chunk) { return ahead_.contains(chunk.row); });
  if (!backlog_.on_chunks(std::move(fetched.chunks), fetched.up_to, end)) return;
  // The backlog may begin anew: what live has not done yet stays known.
  ahead_.forget_up_to(std::min(backlog_.cursor(), live_.done_up_to()));
}

void Lanes::hand_to_live(Fetched fetched) {
  const bool begins = live_.cursor() == item_id::kBeforeAll;
  const bool end = fetched.end && !begins;
  // The backlog may have been there first: it too comes to what is new when it is drained.
  std::erase_if(fetched.chunks,
                [this](const Chunk& chunk) { return chunk.row <= backlog_.cursor(); });
  std::vector<int64_t> ids;
  for (const Chunk& chunk : fetched.chunks) ids.push_back(chunk.row);
  if (!live_.on_chunks(std::move(fetched.chunks), fetched.up_to, end)) return;
  if (ids.empty()) return;
  if (!begins && !fetched.has_gaps)
    return ahead_.add(fetched.from, fetched.up_to, item_id::is_sample(ids.back()));
  for (const int64_t id : ids) ahead_.add(id - 1, id, item_id::is_sample(id));
}

std::optional<Lanes::Message> Lanes::take_message(BootTime now) {
  held_until_ = Limiter::kUnknown;
  held_back_ = false;
  if (in_flight() >= options_.window_messages || quarantine_.is_trying()) return std::nullopt;
  if (quarantine_.is_suspects_turn()) {
    if (in_flight() > 0) return std::nullopt;
    if (auto message = take_of_suspect(now)) return message;
    quarantine_.pass_turn();
  }
  auto message = take_next(now);
  if (message || in_flight() > 0) return message;
  return take_of_suspect(now);
}

// With nothing else on its way.
std::optional<Lanes::Message> Lanes::take_of_suspect(BootTime now) {
  for (const std::string& topic : quarantine_.suspects()) {
    suspect_ = &topic;
    auto message = take_next(now);
    suspect_ = nullptr;
    if (message) return message;
  }
  return std::nullopt;
}

std::optional<Lanes::Message> Lanes::take_next(BootTime now) {
  passed_over_ = false;
  if (options_.live_first) {
    // Not behind what the backlog has on its way, but no more than the line carries.
    const int64_t part = array_bytes();
    if (auto live = take(Lane::Live, Traffic::Live, part, part - live_bytes_, now)) return live;
    // What the line has no room for goes before the backlog; what a limit holds back does not.
    if (live_.has_waiting() && !held_back_ && !passed_over_) return std::nullopt;
    const int most = std::max(1, options_.window_messages * kBacklogPercent / 100);
    if (backlog_in_flight_ >= most) return std::nullopt;
  }
  return take(options_.live_first ? Lane::Backlog : Lane::All,
              options_.live_first ? Traffic::Backlog : Traffic::Live, window_.array_bytes(),
              window_.bytes() - in_flight_bytes_, now);
}

std::optional<Lanes::Message> Lanes::take(Lane lane, Traffic traffic, int64_t array, int64_t room,
                                          BootTime now) {
  // Half an array, at least: a message is what the limits count.
  const int64_t whole = std::min(array, options_.max_payload);
  if (in_flight() > 0 && room < whole / 2) return std::nullopt;
  auto state =
      sender(lane).take_message(in_flight() > 0 ? std::min(room, whole) : whole,
                                [&](Symbol device) { return may_leave(device, traffic, now); });
  if (!state) return std::nullopt;
  return Message{lane, *std::move(state)};
}

bool Lanes::may_leave(Symbol device, Traffic traffic, BootTime now) {
  const std::string topic = state_topic(*device);
  const bool fine = quarantine_.standing_of(topic) == Quarantine::Standing::Fine;
  if (suspect_ == nullptr ? !fine : topic != *suspect_) {
    passed_over_ = true;
    return false;
  }
  const BootTime at = limiter_.free_at(topic, traffic, now);
  if (at <= now) return true;
  held_until_ = std::min(held_until_, at);
  held_back_ = true;
  return false;
}

void Lanes::sent(const Message& message, int mid, BootTime now) {
  const auto bytes = static_cast<int64_t>(message.state.payload.size());
  const Traffic traffic = message.lane == Lane::Backlog ? Traffic::Backlog : Traffic::Live;
  in_flight_bytes_ += bytes;
  if (message.lane == Lane::Live) live_bytes_ += bytes;
  if (message.lane == Lane::Backlog) ++backlog_in_flight_;
  const std::string topic = state_topic(*message.state.device);
  in_flight_[mid] = {.lane = message.lane,
                     .device = message.state.device,
                     .bytes = bytes,
                     .queued = in_flight_bytes_,
                     .sent = now,
                     .record = limiter_.sent(topic, traffic, now)};
  quarantine_.sent(topic);
  sender(message.lane).sent(message.state, mid);
}

std::optional<Sender::Acknowledged> Lanes::acknowledged(int mid, BootTime now) {
  const auto found = in_flight_.find(mid);
  if (found == in_flight_.end()) return std::nullopt;
  const InFlight message = found->second;
  in_flight_.erase(found);
  in_flight_bytes_ -= message.bytes;
  if (message.lane == Lane::Live) live_bytes_ -= message.bytes;
  if (message.lane == Lane::Backlog) --backlog_in_flight_;
  limiter_.arrived(message.record, now);
  quarantine_.acknowledged(state_topic(*message.device));
  window_.on_acknowledged(now - message.sent, message.queued, message.bytes);
  auto done = sender(message.lane).acknowledged(mid);
  if (done && message.lane != Lane::Backlog) {
    done_bytes_ += done->bytes;
    done_samples_ += static_cast<int64_t>(done->rows.size());
  }
  return done;
}

std::vector<int64_t> Lanes::take_done() {
  std::vector<int64_t> done = live_.take_done();
  const std::vector<int64_t> others = backlog_.take_done();
  done.insert(done.end(), others.begin(), others.end());
  return done;
}

nanoseconds Lanes::batch_age(BootTime now) {
  return stretched_age(options_.batch_max_age, limiter_.limits_at(now), limiter_.live_topics(now));
}

int64_t Lanes::array_bytes() const {
  if (!options_.live_first) return window_.array_bytes();
  return std::max(kLiveBytes, window_.bytes() / 4);
}

bool Lanes::fills_messages(int64_t newest) const {
  if (!item_id::is_sample(newest)) return false;
  const int64_t before = std::max<int64_t>(0, item_id::number_of(main().newest()));
  const int64_t each = done_samples_ > 0 ? done_bytes_ / done_samples_ : kSampleBytes;
  const int64_t devices = std::max<int64_t>(1, options_.devices);
  const int64_t whole = std::min(array_bytes(), options_.max_payload);
  return (item_id::number_of(newest) - before) * each >= whole * devices;
}

}  // namespace fieldpost
