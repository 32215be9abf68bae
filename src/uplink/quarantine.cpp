// SPDX-License-Identifier: Apache-2.0
#include "uplink/quarantine.hpp"

#include <algorithm>

namespace fieldpost {

void Quarantine::clear() {
  topics_.clear();
  trying_ = false;
}

void Quarantine::sent(const std::string& topic) {
  ++in_flight_[topic];
  if (standing_of(topic) == Standing::Suspect) {
    ++topics_[topic].tries;
    trying_ = true;
    others_ = 0;
  } else {
    ++others_;
  }
}

void Quarantine::acknowledged(const std::string& topic) {
  const auto sent = in_flight_.find(topic);
  if (sent != in_flight_.end() && --sent->second == 0) in_flight_.erase(sent);
  acknowledged_.insert(topic);
  if (topics_.erase(topic) > 0) trying_ = false;
}

// What was acknowledged in this connection is let in.
std::vector<std::string> Quarantine::unanswered() const {
  std::vector<std::string> found;
  for (const auto& [topic, messages] : in_flight_) {
    if (topic != own_topic_ && !acknowledged_.contains(topic)) found.push_back(topic);
  }
  return found;
}

// Nothing but this topic explains it that the broker closes: others were taken in this connection,
// or there are none. Else it may be that no connection lives long enough for an answer.
bool Quarantine::is_alone(const std::string& suspect) const {
  const auto others = suspects();
  return !acknowledged_.empty() ||
         std::ranges::all_of(others, [&](const std::string& s) { return s == suspect; });
}

bool Quarantine::on_disconnected(bool in_order, BootTime now) {
  const std::vector<std::string> candidates = unanswered();
  const bool by_one = candidates.size() == 1 && is_alone(candidates.front());
  in_flight_.clear();
  acknowledged_.clear();
  trying_ = false;
  others_ = 0;
  if (!in_order || candidates.empty()) return false;
  const bool was_sought = candidates.size() == 1 && !by_one;
  for (const std::string& topic : candidates) topics_.try_emplace(topic);
  if (by_one) blame(candidates.front(), now);
  return !was_sought;
}

void Quarantine::blame(const std::string& name, BootTime now) {
  Topic& topic = topics_[name];
  // What was set aside before has had its chance.
  if (++topic.closes < kCloses && topic.times == 0) return;
  const int doublings = std::min(topic.times++, 10);
  topic.retry = now + std::min(kFirstPause * (1 << doublings), kLongestPause);
  topic.closes = topic.tries = 0;
}

bool Quarantine::release(BootTime now) {
  bool any = false;
  for (auto& [name, topic] : topics_) {
    if (!topic.retry || *topic.retry > now) continue;
    topic.retry.reset();
    any = true;
  }
  return any;
}

Quarantine::Standing Quarantine::standing_of(const std::string& topic) const {
  const auto found = topics_.find(topic);
  if (found == topics_.end()) return Standing::Fine;
  return found->second.retry ? Standing::SetAside : Standing::Suspect;
}

std::vector<std::string> Quarantine::suspects() const {
  std::vector<std::pair<int, std::string>> found;
  for (const auto& [name, topic] : topics_) {
    if (!topic.retry) found.emplace_back(topic.tries, name);
  }
  std::ranges::sort(found);
  std::vector<std::string> names;
  for (auto& [tries, name] : found) names.push_back(std::move(name));
  return names;
}

bool Quarantine::is_suspects_turn() const {
  return others_ >= kOthersFirst &&
         std::ranges::any_of(topics_, [](const auto& t) { return !t.second.retry; });
}

std::vector<Quarantine::SetAside> Quarantine::set_aside() const {
  std::vector<SetAside> found;
  for (const auto& [name, topic] : topics_) {
    if (topic.retry) found.push_back({name, *topic.retry});
  }
  return found;
}

}  // namespace fieldpost
