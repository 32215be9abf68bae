// SPDX-License-Identifier: Apache-2.0
#include "uplink/publications.hpp"

#include <iterator>
#include <utility>

namespace fieldpost {

bool Publications::reserve() {
  if (reserved_.fetch_add(1) < kMaxWaiting) return true;
  --reserved_;
  return false;
}

void Publications::add(Publication publication) { waiting_.push_back(std::move(publication)); }

const Publication* Publications::next() const {
  const bool room = in_flight_.size() < kMaxInFlight;
  return room && !waiting_.empty() ? &waiting_.front() : nullptr;
}

std::optional<Publication> Publications::take() {
  if (next() == nullptr) return std::nullopt;
  Publication next = std::move(waiting_.front());
  waiting_.pop_front();
  --reserved_;
  return next;
}

void Publications::sent(Publication publication, int mid) {
  in_flight_.insert_or_assign(mid, std::move(publication));
}

std::optional<Publication> Publications::acknowledged(int mid) {
  auto found = in_flight_.extract(mid);
  if (found.empty()) return std::nullopt;
  return std::move(found.mapped());
}

std::vector<Publication> Publications::take_waiting() {
  std::vector<Publication> taken(std::make_move_iterator(waiting_.begin()),
                                 std::make_move_iterator(waiting_.end()));
  waiting_.clear();
  reserved_ -= taken.size();
  return taken;
}

std::vector<Publication> Publications::take_in_flight() {
  std::vector<Publication> taken;
  for (auto& [mid, publication] : std::exchange(in_flight_, {})) {
    taken.push_back(std::move(publication));
  }
  return taken;
}

}  // namespace fieldpost
