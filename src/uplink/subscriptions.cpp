// SPDX-License-Identifier: Apache-2.0
#include "uplink/subscriptions.hpp"

#include <algorithm>
#include <utility>

#include "base/log.hpp"

namespace fieldpost {
namespace {

constexpr int kMaxQos = 2;

std::vector<Subscription> without(const std::vector<Subscription>& from,
                                  const std::vector<Subscription>& what) {
  std::vector<Subscription> rest;
  for (const Subscription& one : from) {
    if (std::ranges::find(what, one) == what.end()) rest.push_back(one);
  }
  return rest;
}

}  // namespace

Subscriptions::Change Subscriptions::set_wanted(std::vector<Subscription> wanted) {
  const std::vector<Subscription> before = std::exchange(wanted_, std::move(wanted));
  Change change{.gone = without(before, wanted_), .come = without(wanted_, before)};
  for (const Subscription& gone : change.gone) refused_.erase(gone.topic);
  return change;
}

void Subscriptions::asked(int mid, Request request, Time now) {
  const auto limit = std::chrono::duration_cast<Time::duration>(limit_);
  asked_[mid] = {.request = std::move(request), .deadline = now + limit};
}

std::vector<std::string> Subscriptions::answered(int mid, const std::vector<int>& codes, Time now) {
  const auto asked = asked_.extract(mid);
  if (asked.empty()) return {};
  const Request& request = asked.mapped().request;
  std::vector<std::string> again;
  for (size_t i = 0; i < request.topics.size(); ++i) {
    const std::string& topic = request.topics[i];
    if (i < codes.size() && codes[i] >= 0 && codes[i] <= kMaxQos) {
      grant(topic);
    } else if (request.qos > 0) {
      again.push_back(topic);
    } else {
      refuse(topic, "the broker refuses a subscription; commands on this topic will not arrive",
             now);
    }
  }
  return again;
}

std::vector<Subscription> Subscriptions::due(Time now) {
  for (auto& [mid, asked] : asked_) {
    if (asked.deadline > now || std::exchange(asked.late, true)) continue;
    for (const std::string& topic : asked.request.topics) {
      refuse(topic,
             "the broker does not answer a subscription; commands on this topic may not arrive",
             now);
    }
  }
  std::vector<Subscription> due;
  for (const Subscription& wanted : wanted_) {
    const auto refused = refused_.find(wanted.topic);
    if (refused == refused_.end() || refused->second.retry > now) continue;
    due.push_back(wanted);
    refused->second.retry = now + refused->second.pause;  // not again before there is an answer
  }
  return due;
}

std::vector<std::string> Subscriptions::refused() const {
  std::vector<std::string> topics;
  for (const auto& [topic, refused] : refused_) topics.push_back(topic);
  return topics;
}

void Subscriptions::ask_again_now() {
  for (auto& [topic, refused] : refused_) refused = {};
}

void Subscriptions::grant(const std::string& topic) {
  if (refused_.erase(topic) > 0) {
    log::notice("the broker grants a subscription that it had refused", {{"FP_TOPIC", topic}});
  }
}

void Subscriptions::refuse(const std::string& topic, const char* words, Time now) {
  if (std::ranges::find(wanted_, topic, &Subscription::topic) == wanted_.end())
    return;  // not since
  const auto [refused, is_new] = refused_.try_emplace(topic);
  if (is_new) log::warning(words, {{"FP_TOPIC", topic}});
  auto& [pause, retry] = refused->second;
  retry = now + pause;
  pause = std::min(2 * pause, kLongestPause);
}

}  // namespace fieldpost
