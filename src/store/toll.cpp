// SPDX-License-Identifier: Apache-2.0
#include "store/toll.hpp"

#include <algorithm>

namespace fieldpost {

Toll::Line& Toll::line(Symbol device, Symbol attribute) {
  std::pair key(device == nullptr ? "" : *device, attribute == nullptr ? "" : *attribute);
  const auto [it, is_new] = lines_.try_emplace(std::move(key));
  if (is_new) it->second = {.device = it->first.first, .attribute = it->first.second};
  return it->second;
}

int64_t Toll::thinned() const {
  const std::scoped_lock lock(mutex_);
  return thinned_;
}

int64_t Toll::dropped() const {
  const std::scoped_lock lock(mutex_);
  return dropped_;
}

std::vector<Toll::Line> Toll::most(size_t limit) const {
  std::vector<Line> lines;
  {
    const std::scoped_lock lock(mutex_);
    for (const auto& [key, line] : lines_) lines.push_back(line);
  }
  std::ranges::stable_sort(lines, std::ranges::greater(), &Line::sum);
  if (lines.size() > limit) lines.resize(limit);
  return lines;
}

}  // namespace fieldpost
