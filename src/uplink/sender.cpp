// SPDX-License-Identifier: Apache-2.0
#include "uplink/sender.hpp"

#include <algorithm>
#include <utility>

namespace fieldpost {

Sender::Sender(int64_t max_payload)
    : max_payload_(max_payload), batcher_(static_cast<size_t>(max_payload)) {}

void Sender::set_max_payload(int64_t bytes) {
  max_payload_ = bytes;
  batcher_.set_max_payload(static_cast<size_t>(bytes));
}

void Sender::on_connected() {
  connected_ = true;
  caught_up_ = false;
}

void Sender::on_disconnected() {
  connected_ = false;
  in_flight_.clear();
  batcher_.rewind();
  cursor_ = batcher_.resume_after();
  discard_ = fetching_;
  restart_if_idle();
}

void Sender::forget() {
  batcher_.restart();
  cursor_ = item_id::kBeforeAll;
}

void Sender::on_committed(int64_t newest_row) {
  if (newest_row > newest_) caught_up_ = false;
  newest_ = std::max(newest_, newest_row);
}

void Sender::on_backlog() {
  restart_ = true;
  restart_if_idle();
}

void Sender::restart_if_idle() {
  if (!restart_ || !in_flight_.empty() || batcher_.has_begun()) return;
  restart_ = false;
  batcher_.restart();
  cursor_ = item_id::kBeforeAll;
  discard_ = fetching_;
  caught_up_ = false;
}

bool Sender::on_chunks(std::vector<Chunk> chunks, int64_t up_to, bool end) {
  fetching_ = false;
  if (std::exchange(discard_, false) || !connected_) return false;
  for (Chunk& chunk : chunks) batcher_.add(std::move(chunk));
  cursor_ = std::max(cursor_, up_to);
  // Until the store has told of its newest row, only an empty answer is the end.
  caught_up_ = end || (newest_ > item_id::kBeforeAll && cursor_ >= newest_);
  return true;
}

void Sender::skip_to(int64_t up_to) {
  if (fetching_ || up_to <= cursor_) return;
  cursor_ = up_to;
  if (cursor_ >= newest_) caught_up_ = true;
}

void Sender::on_tick() {
  if (newest_ > cursor_) caught_up_ = false;
}

std::optional<int64_t> Sender::take_fetch(size_t most_waiting) {
  // Some may still wait when the next is asked for, so that the line does not run dry.
  if (!connected_ || fetching_ || caught_up_) return std::nullopt;
  if (batcher_.waiting_points() > most_waiting) return std::nullopt;
  fetching_ = true;
  return cursor_;
}

std::optional<StateMessage> Sender::take_message(int64_t array_bytes, const Batcher::May& may) {
  if (!connected_) return std::nullopt;
  const auto bytes = static_cast<size_t>(std::min(array_bytes, max_payload_));
  // Of a row that is begun the rest leaves first, or what has left would leave again.
  if (restart_) return batcher_.next_of_begun(bytes, may);
  // More of the same device may be about to come, and would make one message of several. Live
  // data does not wait for that: then nothing is on its way.
  if (fetching_ && !in_flight_.empty() && batcher_.waiting_points() <= kFetchPoints / 2) {
    return std::nullopt;
  }
  return batcher_.next(bytes, may);
}

std::optional<ReadingToSend> Sender::take_reading(const Batcher::MayReading& may) {
  if (!connected_) return std::nullopt;
  return restart_ ? batcher_.next_reading_of_begun(may) : batcher_.next_reading(may);
}

void Sender::sent(const StateMessage& message, int mid) {
  const auto bytes = static_cast<int64_t>(message.payload.size());
  in_flight_[mid] = {.ticket = message.ticket, .bytes = bytes};
}

std::optional<Sender::Acknowledged> Sender::acknowledged(int mid) {
  const auto found = in_flight_.find(mid);
  if (found == in_flight_.end()) return std::nullopt;
  const InFlight message = found->second;
  in_flight_.erase(found);
  const int64_t readings = batcher_.acknowledged(message.ticket);
  Acknowledged result{.readings = readings, .bytes = message.bytes, .rows = batcher_.take_done()};
  restart_if_idle();
  return result;
}

}  // namespace fieldpost
