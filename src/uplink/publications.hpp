// SPDX-License-Identifier: Apache-2.0
//
// What is published besides states: answers. Those that wait to be sent, for a connection too, and
// those on the line, unacknowledged, which are not sent again; both limited. Pure: no I/O, no
// clock; the uplink carries out what it answers.
#pragma once

#include <atomic>
#include <deque>
#include <optional>
#include <unordered_map>
#include <vector>

#include "model/command.hpp"

namespace fieldpost {

class Publications {
 public:
  // Answers are rare and small; more than this only come up while the line is too slow for them.
  static constexpr size_t kMaxWaiting = 100;
  static constexpr size_t kMaxInFlight = 10;

  // Any thread. Takes a place in the queue, which add() fills and cancel() gives back; false: all
  // places are taken. The rest is for the one thread that owns this.
  bool reserve();
  void cancel() { --reserved_; }

  void add(Publication publication);  // in the place reserved for it
  // What take() would give; null: nothing.
  const Publication* next() const;
  // The next, if there is room on the line; its place in the queue is free. sent() follows, unless
  // it cannot be sent.
  std::optional<Publication> take();
  void sent(Publication publication, int mid);
  // Nothing if `mid` is not one of ours.
  std::optional<Publication> acknowledged(int mid);

  // To be given up, oldest first.
  std::vector<Publication> take_waiting();
  // The same, in no order: whether they arrived is unknown.
  std::vector<Publication> take_in_flight();

  size_t in_flight() const { return in_flight_.size(); }
  bool idle() const { return waiting_.empty() && in_flight_.empty(); }

 private:
  std::atomic<size_t> reserved_ = 0;  // waiting_, and those on their way to it
  std::deque<Publication> waiting_;
  std::unordered_map<int, Publication> in_flight_;
};

}  // namespace fieldpost
