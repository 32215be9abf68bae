// SPDX-License-Identifier: Apache-2.0
//
// From rows of the outbox to messages, and back from acknowledged messages to rows that may go.
// Pure: no I/O, no clock.
//
// A message holds the states of one device: one state, or an array of them, ascending by time and
// each millisecond once. Rows of one device that wait together leave together, whatever rows of
// others lie between, so a backlog is few messages; the order within a device is kept. A row is
// done when every message that carries a part of it has been acknowledged.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "store/outbox.hpp"

namespace fieldpost {

struct StateMessage {
  uint64_t ticket = 0;  // names it in acknowledged()
  Symbol device = nullptr;
  std::string payload;
  int64_t readings = 0;
};

// One reading, for whoever makes a message of each.
struct ReadingToSend {
  uint64_t ticket = 0;  // as of StateMessage
  Symbol device = nullptr;
  int64_t time_ms = 0;
  Point point;
};

class Batcher {
 public:
  // `max_payload`: bytes of one message.
  explicit Batcher(size_t max_payload) : max_payload_(max_payload) {}

  // For what is added and built from now on.
  void set_max_payload(size_t bytes) { max_payload_ = bytes; }
  // The flow version of states, by the Losant id of their device.
  void set_flow_versions(const std::map<std::string, std::string>& versions);

  // Rows must come in ascending order; after rewind() again from resume_after(). A row that is
  // done already is passed over. A reading that no message can carry, because it is larger than a
  // payload may be or not legal, is refused and counted; the rest of its row goes on.
  void add(Chunk chunk);

  // Whether a message of this device may leave now.
  using May = std::function<bool(Symbol device)>;

  // The message with the oldest waiting row of those that may leave. An array ends before it
  // exceeds `array_bytes`; a single state may, up to max_payload. One that exceeds even that is
  // split by attributes under one stamp. Nothing if nothing waits.
  std::optional<StateMessage> next(size_t array_bytes, const May& may = {});
  // The same, but only what is left of rows of which a part has left already.
  std::optional<StateMessage> next_of_begun(size_t array_bytes, const May& may);
  bool has_begun() const;

  // The oldest reading that waits, of those that may leave.
  using MayReading = std::function<bool(Symbol device, Symbol attribute)>;
  std::optional<ReadingToSend> next_reading(const MayReading& may);
  std::optional<ReadingToSend> next_reading_of_begun(const MayReading& may);

  // The readings of a message, or 0 if the ticket is unknown (it was rewound).
  int64_t acknowledged(uint64_t ticket);

  // Rows that became done since the last call.
  std::vector<int64_t> take_done();

  // Forgets what waits and what is on its way: the line is down. Rows after resume_after() must
  // be added again.
  void rewind();
  // Forgets all: the next row that is added may be any.
  void restart();
  // The row before the oldest that is not done.
  int64_t resume_after() const;

  size_t waiting_points() const { return waiting_points_; }
  // Since the start; each reading once, however often its row is added.
  int64_t refused() const { return refused_; }
  // The attribute of the last one; nullptr: none yet.
  Symbol refused_attribute() const { return refused_attribute_; }

 private:
  // What is left to send of one device.
  struct Queue {
    Symbol device = nullptr;
    std::deque<Chunk> chunks;
    size_t state = 0;        // of the first chunk
    bool splitting = false;  // a part of that state has left
    bool begun() const { return state > 0 || splitting; }
  };
  struct Row {
    int messages = 0;        // on their way
    bool all_taken = false;  // nothing of it waits
  };
  struct Message {
    std::vector<int64_t> rows;
    int64_t readings = 0;
  };
  // A state that goes into the message being built.
  struct Taken {
    int64_t row;
    State state;
  };

  const std::string& member_of(Symbol device) const;
  bool carries(const Point& point, size_t overhead) const;
  size_t refuse_points(Chunk& chunk);
  using MayQueue = std::function<bool(const Queue& queue)>;
  std::vector<Queue>::iterator oldest(const MayQueue& may, bool begun);
  std::optional<ReadingToSend> next_reading(const MayReading& may, bool begun);
  Taken take_points(Queue& queue, size_t count);
  std::optional<StateMessage> next(size_t array_bytes, const May& may, bool begun);
  std::string take_array(Queue& queue, size_t array_bytes, bool one_row,
                         std::vector<Taken>& ret_taken);
  std::string take_part(Queue& queue, std::vector<Taken>& ret_taken);
  Taken take_front(Queue& queue);
  StateMessage book(Symbol device, std::string payload, std::span<const Taken> taken);
  void settle(int64_t row);

  size_t max_payload_;
  std::map<std::string, std::string> members_;  // payload::flow_version_member, by device
  std::vector<Queue> queues_;                   // those with something waiting
  size_t waiting_points_ = 0;
  std::map<int64_t, Row> rows_;  // not done
  std::unordered_map<uint64_t, Message> messages_;
  uint64_t last_ticket_ = 0;
  int64_t newest_added_ = item_id::kBeforeAll;
  int64_t newest_counted_ = item_id::kBeforeAll;  // rows up to here have had their refusals counted
  int64_t refused_ = 0;
  Symbol refused_attribute_ = nullptr;
  std::set<int64_t> done_ahead_;  // done, but newer than a row that is not
  std::vector<int64_t> done_;     // for take_done()
};

}  // namespace fieldpost
