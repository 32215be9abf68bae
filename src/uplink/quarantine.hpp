// SPDX-License-Identifier: Apache-2.0
//
// Topics that the broker does not let us publish to. Losant does not say so: it closes the whole
// connection, in order. So a topic that was unanswered when that happened is a suspect, and a
// suspect's message leaves alone, with nothing else on its way. If the broker closes again in
// answer to it, it is set aside: its data waits, the others flow. It is tried again later, and
// later each time. Pure: no I/O, no clock.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.hpp"

namespace fieldpost {

class Quarantine {
 public:
  static constexpr int kCloses = 2;  // each in answer to the topic, until it is set aside
  static constexpr nanoseconds kFirstPause = std::chrono::minutes(15);  // doubled each time
  static constexpr nanoseconds kLongestPause = std::chrono::hours(24);
  static constexpr int kOthersFirst = 20;  // messages that may leave before a suspect has its turn

  struct SetAside {
    std::string topic;
    BootTime retry;  // when it is tried again
  };
  enum class Standing : uint8_t { Fine, Suspect, SetAside };

  // The gateway's own topic is never suspected: who may log in may publish to it.
  explicit Quarantine(std::string own_topic) : own_topic_(std::move(own_topic)) {}

  // Somebody has changed something: all are tried again.
  void clear();
  void set_own_topic(std::string topic) { own_topic_ = std::move(topic); }

  void sent(const std::string& topic);
  void acknowledged(const std::string& topic);
  // The broker has taken something on this topic in this connection.
  bool is_let_in(const std::string& topic) const { return acknowledged_.contains(topic); }
  // The connection is over. `in_order`: the broker closed it, and nothing else is known to be why.
  // Returns whether a topic may be why.
  bool on_disconnected(bool in_order, BootTime now);
  // Makes suspects of those whose time has come; false: of none.
  bool release(BootTime now);

  Standing standing_of(const std::string& topic) const;
  std::vector<std::string> suspects() const;           // in the order in which they should be tried
  bool is_idle() const { return in_flight_.empty(); }  // nothing is on its way
  // A suspect is on its way: nothing else leaves before the answer to it.
  bool is_trying() const { return trying_; }
  // A suspect goes before others, as soon as nothing is on its way.
  bool is_suspects_turn() const;
  void pass_turn() { others_ = 0; }  // none of them has anything to send
  std::vector<SetAside> set_aside() const;

 private:
  struct Topic {
    int closes = 0;                 // that answered it
    int times = 0;                  // that it was set aside
    int tries = 0;                  // as a suspect
    std::optional<BootTime> retry;  // while it is set aside
  };
  std::vector<std::string> unanswered() const;
  bool is_alone(const std::string& suspect) const;
  void blame(const std::string& name, BootTime now);

  std::string own_topic_;
  std::map<std::string, Topic> topics_;  // suspects, and what is set aside
  // Of this connection:
  std::map<std::string, int> in_flight_;  // messages
  std::set<std::string> acknowledged_;
  bool trying_ = false;
  int others_ = 0;  // messages since a suspect had its turn
};

}  // namespace fieldpost
