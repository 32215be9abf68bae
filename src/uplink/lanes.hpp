// SPDX-License-Identifier: Apache-2.0
//
// Which state leaves next. Live first: what is new has a lane of its own beside the backlog, which
// gets what that leaves of the rate limits and the window; so after an outage the newest state of
// each device is out at once. Or all in one lane, strictly the oldest first. Behind either comes
// the lane of custom topics, a message for each reading. Pure: no I/O, no clock; the uplink carries
// out what it answers.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "uplink/custom_topics.hpp"
#include "uplink/limiter.hpp"
#include "uplink/line_window.hpp"
#include "uplink/quarantine.hpp"
#include "uplink/sender.hpp"

namespace fieldpost {

// What was handed out as live, and is passed over where the backlog comes to it.
class Ahead {
 public:
  // All ids in (from, to] of one kind: samples, or rows.
  void add(int64_t from, int64_t to, bool samples);
  bool contains(int64_t id) const;
  // The end of the run of rows that holds what comes next after `id`; `id` if there is none.
  int64_t end_of_rows(int64_t id) const;
  void forget_up_to(int64_t id);
  void clear();

 private:
  using Runs = std::vector<std::pair<int64_t, int64_t>>;  // (from, to], ascending
  Runs samples_, rows_;
};

class Lanes {
 public:
  struct Options {
    bool live_first = false;
    int window_messages = 20;  // unacknowledged states
    int64_t window_bytes = int64_t{1} << 20;
    int64_t max_payload = 240'000;
    nanoseconds batch_max_age{};
    int64_t devices = 1;                                    // that may have something live
    std::map<std::string, std::string> flow_versions = {};  // by device
    bool custom = false;  // there may be something for custom topics, also of entries that are gone
    std::vector<PublishConfig> publishes = {};
  };
  struct Request {
    Lane lane = Lane::All;
    int64_t after = 0;
    size_t max_points = Sender::kFetchPoints;
  };
  struct Message {
    Lane lane = Lane::All;
    StateMessage state;  // or, in the custom lane, what goes by the name of one
    std::string topic;
    int qos = 1;
  };
  // Of the custom lane.
  struct CustomCounts {
    int64_t published = 0;          // messages that were acknowledged
    int64_t dropped = 0;            // readings of entries that are gone
    int64_t refused = 0;            // whose message would be larger than one may be
    Symbol last_dropped = nullptr;  // device
    Symbol last_refused = nullptr;  // attribute
  };

  // Limiter and quarantine outlive it; its limits are others' business, its reserve is set here.
  Lanes(const Options& options, Limiter& limiter, Quarantine& quarantine);
  // A change of order counts from the next connection on: one that is up must go.
  void set_options(const Options& options);

  void on_connected();
  void on_disconnected(BootTime now);
  void on_committed(int64_t newest);
  void on_stored(int64_t newest_row);
  void on_backlog();  // as of Sender
  void on_fetched(Fetched fetched);
  void on_tick();

  // What the store is to be asked for, if that is due.
  std::optional<Request> take_fetch();
  // The next message, if window and limits have room. sent() must follow, or on_disconnected().
  std::optional<Message> take_message(BootTime now);
  void sent(const Message& message, int mid, BootTime now);
  // Nothing if `mid` is not one of ours.
  std::optional<Sender::Acknowledged> acknowledged(int mid, BootTime now);
  // Whether this one is sent with QoS 0, which nobody acknowledges.
  bool is_unacknowledged(int mid) const;
  // Rows that need no message.
  std::vector<int64_t> take_done();

  // When the next may leave of what the limits have held back in the last take_message(); kUnknown
  // if they have held back nothing, or it depends on an acknowledgement.
  BootTime held_until() const { return held_until_; }
  bool is_held_back() const { return held_back_; }
  // How long what is new waits for others at present.
  nanoseconds batch_age(BootTime now);
  // The first item at which what is new comes to a full message for each device: then it waits for
  // no others. Samples alone count; rows are on the disk.
  int64_t full_at() const;
  bool fills_messages(int64_t newest) const {
    return item_id::is_sample(newest) && newest >= full_at();
  }
  // Whether what is new is to wait for others at all: in one lane not while that is behind.
  bool batches() const { return options_.live_first || main().caught_up(); }
  int64_t newest() const { return main().newest(); }
  int64_t in_flight() const { return static_cast<int64_t>(in_flight_.size()); }
  int64_t refused() const {
    return live_.refused() + backlog_.refused() + custom_.refused() + custom_counts_.refused;
  }
  const CustomCounts& custom() const { return custom_counts_; }
  // The devices, which are none, whose readings went to this topic.
  DeviceIds copies_on(const std::string& topic) const;
  // The attribute of one of the last; nullptr: none yet.
  Symbol refused_attribute() const {
    for (const Sender* lane : {&live_, &backlog_, &custom_}) {
      if (lane->refused_attribute() != nullptr) return lane->refused_attribute();
    }
    return custom_counts_.last_refused;
  }

 private:
  struct InFlight {
    Lane lane;
    std::string topic;
    int qos;
    int64_t bytes;
    int64_t queued;  // on their way when it was sent, with it
    int64_t used;    // of the window: more, if it may have only a part of it
    BootTime sent;
    size_t record;  // of the limiter
  };
  // That takes what is new.
  Sender& main() { return options_.live_first ? live_ : backlog_; }
  const Sender& main() const { return options_.live_first ? live_ : backlog_; }
  int64_t array_bytes() const;  // of what is new
  Sender& sender(Lane lane) {
    return lane == Lane::Custom ? custom_ : lane == Lane::Live ? live_ : backlog_;
  }
  std::optional<Message> take_next(BootTime now);
  std::optional<Message> take_of_suspect(BootTime now);
  std::optional<Message> take(Lane lane, Traffic traffic, int64_t array, int64_t room,
                              BootTime now);
  std::optional<Message> take_state(BootTime now);
  std::optional<Message> take_custom(BootTime now);
  std::optional<Message> message_of(const ReadingToSend& reading);
  bool may_leave(const std::string& topic, Traffic traffic, BootTime now);
  bool wants_custom() const;
  void hand_to_live(Fetched fetched);
  void set_reserve();
  void set_flow_versions();

  Options options_;
  bool next_order_;  // live_first of the next connection
  Limiter& limiter_;
  Quarantine& quarantine_;
  LineWindow window_;
  Sender live_, backlog_;  // in one lane all is backlog
  Sender custom_;
  CustomTopics topics_;
  CustomCounts custom_counts_;
  std::optional<int> asking_;  // the message that is the first on its topic, unanswered
  bool custom_empty_ = false;  // there was nothing more, in this connection
  std::map<std::string, std::set<Symbol>> copies_;  // that went to a topic
  Ahead ahead_;
  std::unordered_map<int, InFlight> in_flight_;
  int64_t in_flight_bytes_ = 0, live_bytes_ = 0;
  int64_t backlog_in_flight_ = 0, custom_in_flight_ = 0;
  int64_t done_bytes_ = 0, done_samples_ = 0;  // of what was new, and acknowledged
  BootTime held_until_ = Limiter::kUnknown;
  bool held_back_ = false;
  bool passed_over_ = false;  // something, in the last take_message(): it is a suspect's
  const std::string* suspect_ = nullptr;  // whose turn it is; nullptr: all others'
};

}  // namespace fieldpost
