// SPDX-License-Identifier: Apache-2.0
//
// Samples carry boot time; wall time is a view on it. A boot has epochs: from a boot time on, wall
// time was boot time plus an offset. A later clock step appends an epoch and changes none, so what
// was stamped once keeps its stamp. When to append which one: model/clock_epochs.hpp.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace fieldpost {

struct Epoch {
  int64_t since_ms = 0;    // boot time from which it holds
  int64_t offset_ms = 0;   // UTC minus boot time
  bool estimated = false;  // nobody vouched for the clock it was taken from
  auto operator<=>(const Epoch&) const = default;
};

// What a boot time means to people.
struct Stamp {
  int64_t utc_ms = 0;
  bool estimated = false;
  bool operator==(const Stamp&) const = default;
};

// The epochs of one boot, ascending.
class WallView {
 public:
  WallView() = default;
  explicit WallView(std::vector<Epoch> epochs) : epochs_(std::move(epochs)) {}
  bool empty() const { return epochs_.empty(); }
  const Epoch& last() const { return epochs_.back(); }
  const std::vector<Epoch>& epochs() const { return epochs_; }
  // `epoch.since_ms` must not be before the last one's.
  void append(Epoch epoch) { epochs_.push_back(epoch); }
  // UTC of a boot time: by the epoch in force then, or by the first one for what came before it.
  // Not to be called while empty.
  int64_t to_utc_ms(int64_t boot_ms) const { return stamp(boot_ms).utc_ms; }
  // The same, and whether that epoch is an estimated one.
  Stamp stamp(int64_t boot_ms) const {
    const Epoch& epoch = epochs_[in_force(boot_ms)];
    return {boot_ms + epoch.offset_ms, epoch.estimated};
  }
  // Index of the epoch that stamps a boot time. Not to be called while empty.
  size_t in_force(int64_t boot_ms) const {
    size_t i = epochs_.size() - 1;
    while (i > 0 && epochs_[i].since_ms > boot_ms) --i;
    return i;
  }

 private:
  std::vector<Epoch> epochs_;
};

}  // namespace fieldpost
