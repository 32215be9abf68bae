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

void Handover::acknowledge_sample(int64_t number, std::vector<int64_t>& ret_done) {
  const auto [first, last] = rows_of_.equal_range(number);
  std::vector<int64_t> done;
  for (auto it = first; it != last; ++it) {
    std::vector<Member>& members = rows_.at(it->second).members;
    for (Member& m : members) m.acknowledged = m.acknowledged || m.number == number;
    if (std::ranges::all_of(members, &Member::acknowledged)) done.push_back(it->second);
  }
  for (const int64_t row : done) forget(row);
  ret_done.insert(ret_done.end(), done.begin(), done.end());
}

std::vector<Handover::Part> Handover::parts_of(int64_t number) const {
  std::vector<Part> parts;
  const auto [first, last] = rows_of_.equal_range(number);
  for (auto it = first; it != last; ++it) {
    for (const Member& m : rows_.at(it->second).members) {
      if (m.number == number) parts.push_back({it->second, m.ms});
    }
  }
  return parts;
}

std::vector<Handover::Part> Handover::gone() const {
  std::vector<Part> parts;
  for (const auto& [row, members] : rows_) {
    for (const Member& m : members.members) {
      if (m.acknowledged) parts.push_back({row, m.ms});
    }
  }
  for (const auto& [row, times] : gone_) {
    for (const int64_t ms : times) parts.push_back({row, ms});
  }
  return parts;
}

void Handover::keep_only(const Handover& other) {
  std::vector<int64_t> unknown;
  const auto note = [&](int64_t row) {
    if (other.find(row) == nullptr && other.left_out(row) == nullptr) unknown.push_back(row);
  };
  for (const auto& [row, members] : rows_) note(row);
  for (const auto& [row, times] : gone_) note(row);
  for (const int64_t row : unknown) forget(row);
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
