// SPDX-License-Identifier: Apache-2.0
#include "uplink/line_window.hpp"

#include <chrono>

namespace fieldpost {
namespace {

constexpr nanoseconds kQueue = std::chrono::milliseconds(500);  // that we fill at most
// Where even the fastest takes longer than this, it may have been in a queue of its own making.
constexpr nanoseconds kQuick = std::chrono::seconds(2);

double seconds(nanoseconds time) { return std::chrono::duration<double>(time).count(); }

}  // namespace

void LineWindow::on_acknowledged(nanoseconds took, int64_t queued, int64_t own, int64_t used) {
  fastest_ = std::min(fastest_, took);
  const nanoseconds queue = took - fastest_;
  if (queue > kQueue) {
    // What was queued left in the time it took: the line carries so much.
    const double rate = static_cast<double>(queued) / seconds(took);
    const auto carried = static_cast<int64_t>(rate * seconds(fastest_ + kQueue));
    bytes_ = std::clamp(std::min(bytes_, carried), kLeast, most_);
  } else if (took < kQuick && queue < kQueue / 2 && used > bytes_ / 2) {
    // The window was used, and the line is quick: twice as much within one round.
    bytes_ = std::min(bytes_ + own, most_);
  }
}

}  // namespace fieldpost
