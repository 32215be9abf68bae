// SPDX-License-Identifier: Apache-2.0
#include "uplink/batcher.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "model/state_meta.hpp"
#include "uplink/payload.hpp"

namespace fieldpost {
namespace {

// Ascending by time, each millisecond once. Where one names the same attribute twice in a
// millisecond, the later report stands: what the platform would make of two messages.
std::vector<State> merge(std::vector<State> states) {
  std::ranges::stable_sort(states, {}, &State::time_ms);
  std::vector<State> merged;
  for (State& state : states) {
    if (merged.empty() || merged.back().time_ms != state.time_ms) {
      merged.push_back(std::move(state));
      continue;
    }
    merged.back().estimated |= state.estimated;
    std::vector<Point>& points = merged.back().points;
    for (Point& point : state.points) {
      const auto same = std::ranges::find(points, point.attribute, &Point::attribute);
      if (same == points.end()) {
        points.push_back(std::move(point));
      } else {
        same->value = std::move(point.value);
      }
    }
  }
  return merged;
}

// Closes "[a,b," or unwraps "[a,".
std::string finish(std::string payload, size_t states) {
  if (states == 1) return payload.substr(1, payload.size() - 2);
  payload.back() = ']';
  return payload;
}

std::string to_payload(const std::vector<State>& states, const std::string& member) {
  std::string payload = "[";
  for (const State& state : states) {
    payload::append_state(payload, state.time_ms, state.points, state.estimated);
    payload::add_member(payload, member);
    payload += ',';
  }
  return finish(std::move(payload), states.size());
}

}  // namespace

void Batcher::set_flow_versions(const std::map<std::string, std::string>& versions) {
  members_.clear();
  for (const auto& [device, version] : versions) {
    if (!version.empty()) members_[device] = payload::flow_version_member(version);
  }
}

const std::string& Batcher::member_of(Symbol device) const {
  static const std::string none;
  const auto member = members_.find(*device);
  return member == members_.end() ? none : member->second;
}

bool Batcher::carries(const Point& point, size_t overhead) const {
  return is_legal(point.value) && payload::max_size(point) + overhead <= max_payload_;
}

size_t Batcher::refuse_points(Chunk& chunk) {
  size_t refused = 0;
  const size_t overhead = payload::kStateOverhead + member_of(chunk.device).size();
  for (State& state : chunk.states) {
    refused += std::erase_if(state.points, [&](const Point& point) {
      const bool refuse = !carries(point, overhead);
      if (refuse) refused_attribute_ = point.attribute;
      return refuse;
    });
  }
  const auto is_meta = [](const Point& point) { return state_meta::is_meta(point.attribute); };
  // Also where thinning has left a meta and no reading.
  std::erase_if(chunk.states,
                [&](const State& s) { return std::ranges::all_of(s.points, is_meta); });
  return refused;
}

void Batcher::add(Chunk chunk) {
  if (chunk.row <= newest_added_) return;
  newest_added_ = chunk.row;
  if (done_ahead_.contains(chunk.row)) return;
  const size_t refused = refuse_points(chunk);
  if (chunk.row > newest_counted_) {
    newest_counted_ = chunk.row;
    refused_ += static_cast<int64_t>(refused);
  }
  Row& row = rows_[chunk.row];
  if (chunk.states.empty()) {
    row.all_taken = true;
    settle(chunk.row);
    return;
  }
  for (const State& state : chunk.states) waiting_points_ += state.points.size();
  auto queue = std::ranges::find(queues_, chunk.device, &Queue::device);
  if (queue == queues_.end()) {
    queues_.emplace_back().device = chunk.device;
    queue = std::prev(queues_.end());
  }
  queue->chunks.push_back(std::move(chunk));
}

// The first state that waits, out of its queue.
Batcher::Taken Batcher::take_front(Queue& queue) {
  Chunk& chunk = queue.chunks.front();
  Taken taken{.row = chunk.row, .state = std::move(chunk.states[queue.state])};
  waiting_points_ -= taken.state.points.size();
  queue.splitting = false;
  if (++queue.state == chunk.states.size()) {
    rows_[chunk.row].all_taken = true;
    queue.state = 0;
    queue.chunks.pop_front();
  }
  return taken;
}

// As many states as fit, or none if not even the first does.
std::string Batcher::take_array(Queue& queue, size_t array_bytes, bool one_row,
                                std::vector<Taken>& ret_taken) {
  std::string payload = "[";
  const std::string& member = member_of(queue.device);
  bool ascending = true;
  while (!queue.chunks.empty() && (!one_row || ret_taken.empty() || queue.begun())) {
    const State& state = queue.chunks.front().states[queue.state];
    const size_t before = payload.size();
    payload::append_state(payload, state.time_ms, state.points, state.estimated);
    payload::add_member(payload, member);
    payload += ',';
    const size_t limit = ret_taken.empty() ? max_payload_ + 2 : array_bytes;
    if (payload.size() > limit) {
      payload.resize(before);
      break;
    }
    ascending = ascending && (ret_taken.empty() || state.time_ms > ret_taken.back().state.time_ms);
    ret_taken.push_back(take_front(queue));
  }
  if (ascending) return finish(std::move(payload), ret_taken.size());
  // Two plugins serve one device, or a program stamps for itself. Merging only makes it shorter.
  std::vector<State> states;
  states.reserve(ret_taken.size());
  for (const Taken& taken : ret_taken) states.push_back(taken.state);
  return to_payload(merge(std::move(states)), member);
}

// The first attributes of a state that is larger than a payload may be.
std::string Batcher::take_part(Queue& queue, std::vector<Taken>& ret_taken) {
  Chunk& chunk = queue.chunks.front();
  std::vector<Point>& points = chunk.states[queue.state].points;
  // The meta stays behind: it is of the whole state.
  waiting_points_ -= std::erase_if(
      points, [](const Point& point) { return state_meta::is_meta(point.attribute); });
  const std::string& member = member_of(queue.device);
  size_t bytes = payload::kStateOverhead + member.size();
  const auto end = std::ranges::find_if(points, [&](const Point& point) {
    bytes += payload::max_size(point);
    return bytes > max_payload_;
  });
  ret_taken.push_back(take_points(queue, static_cast<size_t>(end - points.begin())));
  return to_payload({ret_taken.front().state}, member);
}

// The first so many points of the first state that waits.
Batcher::Taken Batcher::take_points(Queue& queue, size_t count) {
  Chunk& chunk = queue.chunks.front();
  State& state = chunk.states[queue.state];
  if (count >= state.points.size()) return take_front(queue);
  const auto end = state.points.begin() + static_cast<ptrdiff_t>(count);
  Taken part{.row = chunk.row,
             .state = {.time_ms = state.time_ms, .points = {}, .estimated = state.estimated}};
  part.state.points.assign(std::move_iterator(state.points.begin()), std::move_iterator(end));
  state.points.erase(state.points.begin(), end);
  waiting_points_ -= count;
  queue.splitting = true;
  return part;
}

std::vector<Batcher::Queue>::iterator Batcher::oldest(const MayQueue& may, bool begun) {
  auto oldest = queues_.end();
  for (auto queue = queues_.begin(); queue != queues_.end(); ++queue) {
    const bool older =
        oldest == queues_.end() || queue->chunks.front().row < oldest->chunks.front().row;
    if (begun && !queue->begun()) continue;
    if (older && may(*queue)) oldest = queue;
  }
  return oldest;
}

std::optional<StateMessage> Batcher::next(size_t array_bytes, const May& may) {
  return next(array_bytes, may, false);
}

std::optional<StateMessage> Batcher::next_of_begun(size_t array_bytes, const May& may) {
  return next(array_bytes, may, true);
}

bool Batcher::has_begun() const { return std::ranges::any_of(queues_, &Queue::begun); }

std::optional<StateMessage> Batcher::next(size_t array_bytes, const May& may, bool begun) {
  const auto queue = oldest([&may](const Queue& q) { return !may || may(q.device); }, begun);
  if (queue == queues_.end()) return std::nullopt;
  const Symbol device = queue->device;
  std::vector<Taken> taken;
  std::string payload;
  if (!queue->splitting) {
    payload = take_array(*queue, std::min(array_bytes, max_payload_), begun, taken);
  }
  if (taken.empty()) payload = take_part(*queue, taken);
  if (queue->chunks.empty()) queues_.erase(queue);
  return book(device, std::move(payload), taken);
}

std::optional<ReadingToSend> Batcher::next_reading(const MayReading& may) {
  return next_reading(may, false);
}

std::optional<ReadingToSend> Batcher::next_reading_of_begun(const MayReading& may) {
  return next_reading(may, true);
}

std::optional<ReadingToSend> Batcher::next_reading(const MayReading& may, bool begun) {
  const auto may_queue = [&may](const Queue& q) {
    return may(q.device, q.chunks.front().states[q.state].points.front().attribute);
  };
  const auto queue = oldest(may_queue, begun);
  if (queue == queues_.end()) return std::nullopt;
  const Symbol device = queue->device;
  Taken taken = take_points(*queue, 1);
  if (queue->chunks.empty()) queues_.erase(queue);
  const StateMessage booked = book(device, "", {&taken, 1});
  return ReadingToSend{.ticket = booked.ticket,
                       .device = device,
                       .time_ms = taken.state.time_ms,
                       .point = std::move(taken.state.points.front())};
}

StateMessage Batcher::book(Symbol device, std::string payload, std::span<const Taken> taken) {
  Message message;
  for (const Taken& one : taken) {
    message.readings += static_cast<int64_t>(one.state.points.size());
    if (!message.rows.empty() && message.rows.back() == one.row) continue;
    message.rows.push_back(one.row);
    ++rows_[one.row].messages;
  }
  StateMessage result{.ticket = ++last_ticket_,
                      .device = device,
                      .payload = std::move(payload),
                      .readings = message.readings};
  messages_.emplace(result.ticket, std::move(message));
  return result;
}

int64_t Batcher::acknowledged(uint64_t ticket) {
  const auto found = messages_.find(ticket);
  if (found == messages_.end()) return 0;
  const Message message = std::move(found->second);
  messages_.erase(found);
  for (const int64_t row : message.rows) {
    --rows_[row].messages;
    settle(row);
  }
  return message.readings;
}

void Batcher::settle(int64_t row) {
  const auto found = rows_.find(row);
  if (found->second.messages > 0 || !found->second.all_taken) return;
  rows_.erase(found);
  done_.push_back(row);
  done_ahead_.insert(row);
  done_ahead_.erase(done_ahead_.begin(), done_ahead_.upper_bound(resume_after()));
}

std::vector<int64_t> Batcher::take_done() { return std::exchange(done_, {}); }

int64_t Batcher::resume_after() const {
  return rows_.empty() ? newest_added_ : rows_.begin()->first - 1;
}

void Batcher::restart() {
  rewind();
  newest_added_ = item_id::kBeforeAll;
  done_ahead_.clear();
}

void Batcher::rewind() {
  newest_added_ = resume_after();
  rows_.clear();
  messages_.clear();
  queues_.clear();
  waiting_points_ = 0;
}

}  // namespace fieldpost
