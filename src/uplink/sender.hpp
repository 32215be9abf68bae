// SPDX-License-Identifier: Apache-2.0
//
// One lane of the uplink: the cursor over what the store has, what was fetched and waits, and what
// is on its way. Pure: no I/O, no clock; uplink/lanes.hpp decides when which lane may send.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "uplink/batcher.hpp"

namespace fieldpost {

class Sender {
 public:
  // Readings that are asked for at a time: enough for two full messages, 1 MB as points.
  static constexpr size_t kFetchPoints = 20'000;

  explicit Sender(int64_t max_payload);
  void set_max_payload(int64_t bytes);
  void set_flow_versions(const std::map<std::string, std::string>& versions) {
    batcher_.set_flow_versions(versions);
  }

  // The line is up: sending starts at the oldest row that is not done.
  void on_connected();
  // What is unacknowledged will be fetched again.
  void on_disconnected();
  // Nothing is to be fetched again: the next fetch is from kBeforeAll. After on_disconnected().
  void forget();
  void on_committed(int64_t newest);
  // Something older than what was fetched can be fetched: begins at the beginning once nothing is
  // on its way, nor a row begun. What was acknowledged is not handed out again.
  void on_backlog();
  // The answer to a fetch; false: of no use, since the line has been down in between. The next goes
  // on after `up_to`. `end`: there was nothing more.
  bool on_chunks(std::vector<Chunk> chunks, int64_t up_to, bool end);
  // What there is up to here needs no fetching.
  void skip_to(int64_t up_to);
  // Time has passed; asks again where an answer was empty although it should not have been.
  void on_tick();

  // The row after which the store is to be asked for kFetchPoints, if no more than `most_waiting`
  // wait. The answer must come before this gives another.
  std::optional<int64_t> take_fetch(size_t most_waiting = kFetchPoints / 2);
  // The next message, an array of at most `array_bytes`, of a device that may send. sent() must
  // follow, or on_disconnected().
  std::optional<StateMessage> take_message(int64_t array_bytes, const Batcher::May& may);
  void sent(const StateMessage& message, int mid);
  // The same of single readings. Either sent() follows, with a message that has the ticket, or
  // drop(): it is done with.
  std::optional<ReadingToSend> take_reading(const Batcher::MayReading& may);
  void drop(const ReadingToSend& reading) { batcher_.acknowledged(reading.ticket); }

  struct Acknowledged {
    int64_t readings = 0;
    int64_t bytes = 0;
    std::vector<int64_t> rows;  // that may go
  };
  // Nothing if `mid` is not one of ours.
  std::optional<Acknowledged> acknowledged(int mid);
  // Rows that need no message.
  std::vector<int64_t> take_done() { return batcher_.take_done(); }

  bool caught_up() const { return caught_up_; }
  int64_t newest() const { return newest_; }
  int64_t cursor() const { return cursor_; }
  int64_t done_up_to() const { return batcher_.resume_after(); }
  bool has_waiting() const { return batcher_.waiting_points() > 0; }
  int64_t in_flight() const { return static_cast<int64_t>(in_flight_.size()); }
  int64_t refused() const { return batcher_.refused(); }
  Symbol refused_attribute() const { return batcher_.refused_attribute(); }

 private:
  void restart_if_idle();
  struct InFlight {
    uint64_t ticket;
    int64_t bytes;
  };
  int64_t max_payload_;
  Batcher batcher_;
  std::unordered_map<int, InFlight> in_flight_;
  bool connected_ = false;
  int64_t cursor_ = item_id::kBeforeAll;  // items up to here were added
  int64_t newest_ = item_id::kBeforeAll;  // that the store has told of
  bool fetching_ = false;                 // an answer is due
  bool discard_ = false;    // and is of no use, because the cursor has moved back since
  bool restart_ = false;    // at the beginning, when nothing is on its way
  bool caught_up_ = false;  // there is nothing more to fetch, as far as we know
};

}  // namespace fieldpost
