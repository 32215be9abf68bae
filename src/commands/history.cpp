// SPDX-License-Identifier: Apache-2.0
#include "commands/history.hpp"

#include <algorithm>

#include "model/value_json.hpp"

namespace fieldpost {

void CommandHistory::add(Entry entry) {
  if (!may_have_run(entry.status)) {
    refused_.push_back(std::move(entry));
    if (refused_.size() > kRefused) refused_.pop_front();
    return;
  }
  if (!entry.identity.empty()) by_identity_[entry.identity] = forgotten_ + ran_.size();
  ran_.push_back(std::move(entry));
  if (ran_.size() <= kRan) return;
  const auto oldest = by_identity_.find(ran_.front().identity);
  if (oldest != by_identity_.end() && oldest->second == forgotten_) by_identity_.erase(oldest);
  ran_.pop_front();
  ++forgotten_;
}

const CommandHistory::Entry* CommandHistory::find(const std::string& identity, BootTime now) const {
  const auto found = identity.empty() ? by_identity_.end() : by_identity_.find(identity);
  if (found == by_identity_.end()) return nullptr;
  const Entry& entry = ran_[found->second - forgotten_];
  return now - entry.came < kWindow ? &entry : nullptr;
}

std::vector<CommandHistory::Entry> CommandHistory::newest(size_t n) const {
  std::vector<Entry> all;
  auto ran = ran_.rbegin();
  auto refused = refused_.rbegin();
  while (all.size() < n && (ran != ran_.rend() || refused != refused_.rend())) {
    const bool is_ran =
        refused == refused_.rend() || (ran != ran_.rend() && ran->came >= refused->came);
    all.push_back(is_ran ? *ran++ : *refused++);
  }
  std::ranges::reverse(all);
  return all;
}

std::string to_text(const CommandHistory::Entry& entry) {
  return dump_json({{"identity", entry.identity},
                    {"came_ns", entry.came.time_since_epoch().count()},
                    {"status", static_cast<int>(entry.status)},
                    {"value", entry.value ? to_json(*entry.value) : Json()},
                    {"outcome", entry.outcome}});
}

std::optional<CommandHistory::Entry> entry_of(const std::string& text) {
  const auto json = parse_json(text);
  if (!json || !json->is_object()) return std::nullopt;
  const auto has = [&](const char* key) { return json->contains(key); };
  if (!has("identity") || !has("came_ns") || !has("status") || !has("outcome")) {
    return std::nullopt;
  }
  if (!(*json)["identity"].is_string() || !(*json)["came_ns"].is_number_integer() ||
      !(*json)["status"].is_number_integer()) {
    return std::nullopt;
  }
  const int64_t status = (*json)["status"].get<int64_t>();
  // A word of a later version's says at least that it may have run.
  const bool known = status >= static_cast<int>(CommandStatus::Done) &&
                     status <= static_cast<int>(CommandStatus::Duplicate);
  return CommandHistory::Entry{
      .identity = (*json)["identity"].get<std::string>(),
      .came = BootTime(nanoseconds((*json)["came_ns"].get<int64_t>())),
      .status = known ? static_cast<CommandStatus>(status) : CommandStatus::Unknown,
      .value = value_from(json->value("value", Json())),
      .outcome = (*json)["outcome"]};
}

}  // namespace fieldpost
