// SPDX-License-Identifier: Apache-2.0
//
// What is subscribed to: which requests the broker has not answered yet, which topics it does not
// grant, and when to ask for those again. Pure but for the log: no I/O, no clock, times ascend.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

namespace fieldpost {

struct Subscription {
  std::string topic;
  int qos = 1;
  bool operator==(const Subscription&) const = default;
};

class Subscriptions {
 public:
  using Time = std::chrono::steady_clock::time_point;
  // Before what was refused is asked for again; doubled each time.
  static constexpr std::chrono::minutes kFirstPause{15};
  static constexpr std::chrono::minutes kLongestPause = std::chrono::hours(24);

  struct Request {
    std::vector<std::string> topics;
    int qos = 1;
  };
  struct Change {
    std::vector<Subscription> gone, come;
  };

  // An answer that takes longer than `limit` counts as a refusal, until it comes.
  Subscriptions(std::vector<Subscription> wanted, std::chrono::nanoseconds limit)
      : wanted_(std::move(wanted)), limit_(limit) {}

  const std::vector<Subscription>& wanted() const { return wanted_; }
  Change set_wanted(std::vector<Subscription> wanted);

  void asked(int mid, Request request, Time now);
  // The answer, with a code for each topic: 0 to 2 grant it, anything else and a missing one do
  // not. Returns what is to be asked for again at QoS 0.
  std::vector<std::string> answered(int mid, const std::vector<int>& codes, Time now);
  // Once a second: what is to be asked for again.
  std::vector<Subscription> due(Time now);

  std::vector<std::string> refused() const;
  void ask_again_now();  // with the next due()

 private:
  struct Asked {
    Request request;
    Time deadline;
    bool late = false;
  };
  struct Refused {
    std::chrono::minutes pause = kFirstPause;
    Time retry = {};
  };
  void grant(const std::string& topic);
  void refuse(const std::string& topic, const char* words, Time now);

  std::vector<Subscription> wanted_;
  std::chrono::nanoseconds limit_;
  std::map<int, Asked> asked_;  // by message id
  std::map<std::string, Refused> refused_;
};

}  // namespace fieldpost
