// SPDX-License-Identifier: Apache-2.0
#include "store/handover.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace fieldpost {

void Handover::add(int64_t row, Row members) {
  for (const Member& m : members.members) rows_of_.emplace(m.number, row);
  rows_[row] = std::move(members);
}

const Handover::Row* Handover::find(int64_t row) const {
  const auto found = rows_.find(row);
  return found == rows_.end() ? nullptr : &found->second;
}

const std::set<int64_t>* Handover::left_out(int64_t row) const {
  const auto found = gone_.find(row);
  return found == gone_.end() ? nullptr : &found->second;
}

void Handover::acknowledge_sample(int64_t number, std::vector<int64_t>& ret_done,
                                  std::vector<Part>& ret_parts) {
  const auto [first, last] = rows_of_.equal_range(number);
  std::vector<int64_t> done;
  for (auto it = first; it != last; ++it) {
    std::vector<Member>& members = rows_.at(it->second).members;
    for (Member& m : members) {
      if (m.number != number || std::exchange(m.acknowledged, true)) continue;
      ret_parts.push_back({.row = it->second, .ms = m.ms});
    }
    if (!std::ranges::all_of(members, &Member::acknowledged)) continue;
    done.push_back(it->second);
    std::erase_if(ret_parts, [&](const Part& p) { return p.row == it->second; });
  }
  for (const int64_t row : done) forget(row);
  ret_done.insert(ret_done.end(), done.begin(), done.end());
}

void Handover::forget(int64_t row) {
  gone_.erase(row);
  const auto found = rows_.find(row);
  if (found == rows_.end()) return;
  for (const Member& member : found->second.members) {
    const auto [first, last] = rows_of_.equal_range(member.number);
    for (auto it = first; it != last;) it = it->second == row ? rows_of_.erase(it) : std::next(it);
  }
  rows_.erase(found);
}

}  // namespace fieldpost
