// SPDX-License-Identifier: Apache-2.0
#include "uplink/sender.hpp"

#include <algorithm>
#include <utility>

namespace fieldpost {

Sender::Sender(Limits limits)
    : limits_(limits), batcher_(static_cast<size_t>(limits.max_payload)) {}

void Sender::set_limits(Limits limits) {
  limits_ = limits;
  batcher_.set_max_payload(static_cast<size_t>(limits.max_payload));
}

void Sender::on_connected() {
  connected_ = true;
  caught_up_ = false;
}

void Sender::on_disconnected() {
  connected_ = false;
  in_flight_.clear();
  in_flight_bytes_ = 0;
  batcher_.rewind();
  cursor_ = batcher_.resume_after();
  discard_ = fetching_;
  restart_if_idle();
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
  if (!restart_ || !in_flight_.empty()) return;
  restart_ = false;
  batcher_.restart();
  cursor_ = item_id::kBeforeAll;
  discard_ = fetching_;
  caught_up_ = false;
}

void Sender::on_chunks(std::vector<Chunk> chunks) {
  fetching_ = false;
  if (std::exchange(discard_, false) || !connected_) return;
  const bool empty = chunks.empty();
  for (Chunk& chunk : chunks) {
    cursor_ = std::max(cursor_, chunk.row);
    batcher_.add(std::move(chunk));
  }
  // Until the store has told of its newest row, only an empty answer is the end.
  caught_up_ = empty || (newest_ > item_id::kBeforeAll && cursor_ >= newest_);
}

void Sender::on_tick() {
  if (newest_ > cursor_) caught_up_ = false;
}

std::optional<int64_t> Sender::take_fetch() {
  // Half of it may still wait when the next is asked for, so that the line does not run dry.
  if (!connected_ || fetching_ || caught_up_) return std::nullopt;
  if (batcher_.waiting_points() > kFetchPoints / 2) return std::nullopt;
  fetching_ = true;
  return cursor_;
}

std::optional<StateMessage> Sender::take_message() {
  if (!connected_ || restart_ || in_flight() >= limits_.window_messages) return std::nullopt;
  const int64_t room = limits_.window_bytes - in_flight_bytes_;
  if (room <= 0) return std::nullopt;
  // More of the same device may be about to come, and would make one message of several. Live
  // data does not wait for that: then nothing is on its way.
  if (fetching_ && !in_flight_.empty() && batcher_.waiting_points() <= kFetchPoints / 2) {
    return std::nullopt;
  }
  return batcher_.next(static_cast<size_t>(std::min(room, limits_.max_payload)));
}

void Sender::sent(const StateMessage& message, int mid) {
  const auto bytes = static_cast<int64_t>(message.payload.size());
  in_flight_[mid] = {.ticket = message.ticket, .bytes = bytes};
  in_flight_bytes_ += bytes;
}

std::optional<Sender::Acknowledged> Sender::acknowledged(int mid) {
  const auto found = in_flight_.find(mid);
  if (found == in_flight_.end()) return std::nullopt;
  const InFlight message = found->second;
  in_flight_.erase(found);
  in_flight_bytes_ -= message.bytes;
  const int64_t readings = batcher_.acknowledged(message.ticket);
  Acknowledged result{.readings = readings, .bytes = message.bytes, .rows = batcher_.take_done()};
  restart_if_idle();
  return result;
}

}  // namespace fieldpost
