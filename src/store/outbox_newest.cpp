// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <unordered_set>

#include "store/outbox_impl.hpp"

namespace fieldpost {
namespace {

// Backwards from the newest: seven minutes of fifty devices at a flush every five seconds, and less
// than a megabyte to read however long the backlog is.
constexpr const char* kNewestRows = "SELECT id, device FROM chunk ORDER BY id DESC LIMIT 4000";

}  // namespace

Result<std::vector<Chunk>> Outbox::fetch_newest(const Handover& handover, const DeviceIds& aside) {
  Impl& o = *impl_;
  std::vector<int64_t> rows;
  {
    Statement newest = FP_TRY(o.database.prepare(kNewestRows));
    std::unordered_set<int64_t> devices;
    while (FP_TRY(newest.step())) {
      const int64_t row = newest.integer(0);
      if (o.acknowledged.contains(row) || o.damaged.contains(row)) continue;
      if (!devices.insert(newest.integer(1)).second) continue;
      if (!FP_TRY(o.is_passed_over(newest.integer(1), Lane::Live, aside))) rows.push_back(row);
    }
  }
  o.release(Lane::Live, 0);
  std::vector<Chunk> chunks;
  for (auto row = rows.rbegin(); row != rows.rend(); ++row) {
    const ResetGuard guard(o.select);
    o.select.bind(1, *row - 1);
    if (!FP_TRY(o.select.step()) || o.is_unstamped(o.select.integer(2))) break;
    (void)FP_TRY(o.take(*row, item_id::kBeforeAll, handover, Lane::Live, chunks));
  }
  std::ranges::stable_sort(chunks, {}, &Chunk::row);
  return chunks;
}

}  // namespace fieldpost
