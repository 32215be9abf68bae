// SPDX-License-Identifier: Apache-2.0
#include "uplink/lanes.hpp"

#include <algorithm>

#include "model/custom_device.hpp"
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
constexpr int64_t kLivePart = 4;  // what is live may have one of so many parts of the window

// Readings for custom topics that are asked for at a time. Each is a message, so they last.
constexpr size_t kCustomPoints = 2'000;
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
      backlog_(options.max_payload),
      custom_(options.max_payload),
      topics_(options.publishes) {
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
  custom_.set_max_payload(options.max_payload);
  topics_ = CustomTopics(options.publishes);
  custom_empty_ = false;
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
  custom_.on_connected();
  custom_empty_ = false;
}

void Lanes::on_disconnected(BootTime now) {
  live_.on_disconnected();
  live_.forget();
  backlog_.on_disconnected();
  // Also what was passed over, and is not acknowledged, is to be found again.
  if (options_.live_first) backlog_.forget();
  custom_.on_disconnected();
  asking_.reset();
  ahead_.clear();
  in_flight_.clear();
  in_flight_bytes_ = live_bytes_ = backlog_in_flight_ = custom_in_flight_ = 0;
  limiter_.all_arrived(now);
  window_.on_disconnected();
  held_until_ = Limiter::kUnknown;
  held_back_ = false;
}

void Lanes::on_committed(int64_t newest) {
  main().on_committed(newest);
  custom_.on_committed(newest);
}

void Lanes::on_stored(int64_t newest_row) {
  if (options_.live_first) backlog_.on_committed(newest_row);
}

void Lanes::on_backlog() {
  backlog_.on_backlog();
  custom_.on_backlog();
  custom_empty_ = false;
}

void Lanes::on_tick() {
  main().on_tick();
  if (options_.live_first) backlog_.on_tick();
  custom_.on_tick();
}

// Without entries, only until what others have left is dropped.
bool Lanes::wants_custom() const { return options_.custom && (!topics_.empty() || !custom_empty_); }

std::optional<Lanes::Request> Lanes::take_fetch() {
  if (options_.live_first) {
    if (const auto after = live_.take_fetch(kLivePoints)) return Request{Lane::Live, *after};
    backlog_.skip_to(ahead_.end_of_rows(backlog_.cursor()));
  }
  if (const auto after = backlog_.take_fetch(Sender::kFetchPoints / 2)) {
    return Request{options_.live_first ? Lane::Backlog : Lane::All, *after};
  }
  if (!wants_custom()) return std::nullopt;
  const auto after = custom_.take_fetch(kCustomPoints / 2);
  if (!after) return std::nullopt;
  return Request{Lane::Custom, *after, kCustomPoints};
}

void Lanes::on_fetched(Fetched fetched) {
  if (fetched.lane == Lane::Live) return hand_to_live(std::move(fetched));
  if (fetched.lane == Lane::Custom) {
    if (!custom_.on_chunks(std::move(fetched.chunks), fetched.up_to, fetched.end)) return;
    custom_empty_ = custom_.caught_up();
    return;
  }
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
    if (!quarantine_.is_idle()) return std::nullopt;
    if (auto message = take_of_suspect(now)) return message;
    quarantine_.pass_turn();
  }
  auto message = take_next(now);
  if (message || !quarantine_.is_idle()) return message;
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
  if (auto state = take_state(now)) return state;
  // Not ahead of one that the line has no room for.
  const bool waits = live_.has_waiting() || backlog_.has_waiting();
  if (waits && !held_back_ && !passed_over_) return std::nullopt;
  return take_custom(now);
}

std::optional<Lanes::Message> Lanes::take_state(BootTime now) {
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
  auto state = sender(lane).take_message(
      in_flight() > 0 ? std::min(room, whole) : whole,
      [&](Symbol device) { return may_leave(state_topic(*device), traffic, now); });
  if (!state) return std::nullopt;
  std::string topic = state_topic(*state->device);
  return Message{lane, *std::move(state), std::move(topic)};
}

// In what states leave of the window, so that they find some of it free. A topic that the broker
// has not taken anything on begins with one message and nothing of this lane behind it: who closes
// at it with more unread resets the connection, and that would not look like an answer.
std::optional<Lanes::Message> Lanes::take_custom(BootTime now) {
  if (asking_) return std::nullopt;
  const int most = std::max(1, options_.window_messages * kBacklogPercent / 100);
  if (backlog_in_flight_ + custom_in_flight_ >= most) return std::nullopt;
  if (in_flight() > 0 && in_flight_bytes_ >= window_.bytes() / 2) return std::nullopt;
  const auto may = [&](Symbol device, Symbol attribute) {
    const auto topic = topics_.topic_of(*device, *attribute);
    return !topic || may_leave(*topic, Traffic::Custom, now);
  };
  while (const auto reading = custom_.take_reading(may)) {
    if (auto message = message_of(*reading)) return message;
    custom_.drop(*reading);
  }
  return std::nullopt;
}

// Nothing, and counted: there is none to be made.
std::optional<Lanes::Message> Lanes::message_of(const ReadingToSend& reading) {
  auto topic = topics_.topic_of(*reading.device, *reading.point.attribute);
  if (!topic) {
    ++custom_counts_.dropped;
    custom_counts_.last_dropped = reading.device;
    return std::nullopt;
  }
  auto [payload, qos] = topics_.body_of(*reading.device, reading.point, reading.time_ms);
  if (static_cast<int64_t>(payload.size()) > options_.max_payload) {
    ++custom_counts_.refused;
    custom_counts_.last_refused = reading.point.attribute;
    return std::nullopt;
  }
  // Only an acknowledgement tells whether the broker lets us publish there.
  if (!quarantine_.is_let_in(*topic)) qos = 1;
  return Message{.lane = Lane::Custom,
                 .state = {.ticket = reading.ticket,
                           .device = reading.device,
                           .payload = std::move(payload),
                           .readings = 1},
                 .topic = *std::move(topic),
                 .qos = qos};
}

bool Lanes::may_leave(const std::string& topic, Traffic traffic, BootTime now) {
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
  const Traffic traffic = message.lane == Lane::Custom    ? Traffic::Custom
                          : message.lane == Lane::Backlog ? Traffic::Backlog
                                                          : Traffic::Live;
  in_flight_bytes_ += bytes;
  int64_t used = in_flight_bytes_;
  if (message.lane == Lane::Live) {
    live_bytes_ += bytes;
    used = std::max(used, kLivePart * live_bytes_);
  }
  if (message.lane == Lane::Backlog) ++backlog_in_flight_;
  if (message.lane == Lane::Custom) {
    ++custom_in_flight_;
    copies_[message.topic].insert(message.state.device);
    if (!quarantine_.is_let_in(message.topic)) asking_ = mid;
  }
  in_flight_[mid] = {.lane = message.lane,
                     .topic = message.topic,
                     .qos = message.qos,
                     .bytes = bytes,
                     .queued = in_flight_bytes_,
                     .used = used,
                     .sent = now,
                     .record = limiter_.sent(message.topic, traffic, now)};
  quarantine_.sent(message.topic);
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
  if (message.lane == Lane::Custom) {
    --custom_in_flight_;
    ++custom_counts_.published;
    if (asking_ == mid) asking_.reset();
  }
  limiter_.arrived(message.record, now);
  quarantine_.acknowledged(message.topic);
  if (message.qos > 0) {
    window_.on_acknowledged(now - message.sent, message.queued, message.bytes, message.used);
  }
  auto done = sender(message.lane).acknowledged(mid);
  if (done && (message.lane == Lane::All || message.lane == Lane::Live)) {
    done_bytes_ += done->bytes;
    done_samples_ += static_cast<int64_t>(done->rows.size());
  }
  return done;
}

bool Lanes::is_unacknowledged(int mid) const {
  const auto found = in_flight_.find(mid);
  return found != in_flight_.end() && found->second.qos == 0;
}

std::vector<int64_t> Lanes::take_done() {
  std::vector<int64_t> done = live_.take_done();
  for (Sender* const other : {&backlog_, &custom_}) {
    const std::vector<int64_t> more = other->take_done();
    done.insert(done.end(), more.begin(), more.end());
  }
  return done;
}

DeviceIds Lanes::copies_on(const std::string& topic) const {
  DeviceIds devices;
  const auto found = copies_.find(topic);
  if (found == copies_.end()) return devices;
  for (const Symbol device : found->second) {
    // Its entry may have another topic since.
    const auto custom = parse_custom_device(*device);
    if (custom && topics_.topic_of(*device, custom->attribute) == topic) devices.insert(*device);
  }
  return devices;
}

nanoseconds Lanes::batch_age(BootTime now) {
  return stretched_age(options_.batch_max_age, limiter_.limits_at(now), limiter_.live_topics(now));
}

int64_t Lanes::array_bytes() const {
  if (!options_.live_first) return window_.array_bytes();
  return std::max(kLiveBytes, window_.bytes() / kLivePart);
}

int64_t Lanes::full_at() const {
  const int64_t before = std::max<int64_t>(0, item_id::number_of(main().newest()));
  const int64_t each = done_samples_ > 0 ? done_bytes_ / done_samples_ : kSampleBytes;
  const int64_t devices = std::max<int64_t>(1, options_.devices);
  const int64_t whole = std::min(array_bytes(), options_.max_payload);
  return item_id::of_sample(before + (whole * devices + each - 1) / each);
}

}  // namespace fieldpost
