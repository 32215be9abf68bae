// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>

namespace fieldpost {

// Rows as ranges: acknowledged rows are mostly neighbours, and a range is one DELETE.
class RowSet {
 public:
  void insert(int64_t row) {
    auto next = ranges_.upper_bound(row);
    if (next != ranges_.begin()) {
      const auto before = std::prev(next);
      if (row <= before->second) return;
      if (row == before->second + 1) {
        before->second = row;
        ++size_;
        if (next != ranges_.end() && next->first == row + 1) {
          before->second = next->second;
          ranges_.erase(next);
        }
        return;
      }
    }
    ++size_;
    if (next != ranges_.end() && next->first == row + 1) {
      const int64_t last = next->second;
      ranges_.erase(next);
      ranges_.emplace(row, last);
    } else {
      ranges_.emplace(row, row);
    }
  }
  // Forgets everything up to this row.
  void erase_up_to(int64_t row) {
    while (!ranges_.empty() && ranges_.begin()->first <= row) {
      const auto [first, last] = *ranges_.begin();
      ranges_.erase(ranges_.begin());
      size_ -= static_cast<size_t>(std::min(last, row) - first + 1);
      if (last > row) ranges_.emplace(row + 1, last);
    }
  }
  void erase(int64_t first, int64_t last) {
    auto it = ranges_.upper_bound(first);
    if (it != ranges_.begin() && std::prev(it)->second >= first) --it;
    while (it != ranges_.end() && it->first <= last) {
      const auto [from, to] = *it;
      it = ranges_.erase(it);
      size_ -= static_cast<size_t>(std::min(to, last) - std::max(from, first) + 1);
      if (from < first) ranges_.emplace(from, first - 1);
      if (to > last) ranges_.emplace(last + 1, to);
    }
  }
  bool contains(int64_t row) const {
    const auto next = ranges_.upper_bound(row);
    return next != ranges_.begin() && row <= std::prev(next)->second;
  }
  // The first row from `row` on that is not in the set.
  int64_t first_gap(int64_t row) const {
    const auto next = ranges_.upper_bound(row);
    if (next == ranges_.begin() || row > std::prev(next)->second) return row;
    return std::prev(next)->second + 1;
  }
  bool empty() const { return ranges_.empty(); }
  size_t size() const { return size_; }  // rows
  void clear() {
    ranges_.clear();
    size_ = 0;
  }
  auto begin() const { return ranges_.begin(); }  // of pairs: first and last row
  auto end() const { return ranges_.end(); }

 private:
  std::map<int64_t, int64_t> ranges_;  // first → last; never adjacent
  size_t size_ = 0;
};

}  // namespace fieldpost
