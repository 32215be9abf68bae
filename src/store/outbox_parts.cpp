// SPDX-License-Identifier: Apache-2.0
//
// Rows of which a part is acknowledged, because the uplink had it on its way when a flush took all.
// Stage 1 knows that over a crash; over a power cut only the disk does. So what is acknowledged is
// taken out of its row, along with whatever the next transaction does.
#include <algorithm>

#include "store/outbox_impl.hpp"

namespace fieldpost {

void Outbox::take_out(std::span<const Handover::Part> parts) {
  for (const Handover::Part& part : parts)
    impl_->acknowledged_parts[impl_->row_of(part.row)].insert(part.ms);
}

bool Outbox::has_waiting_parts() const { return !impl_->acknowledged_parts.empty(); }

// Within a transaction, which stays as short as steps that make room are (store/retention.hpp); the
// rest waits for the next one. The one after one that failed does without: it shall have no other
// reason to fail.
Result<> Outbox::Impl::take_parts_out() {
  rewritten.clear();
  if (std::exchange(failed, true)) return {};
  int64_t bytes = 0;
  for (const auto& [row, times] : acknowledged_parts) {
    if (bytes > kMaxStepBytes) break;
    rewritten[row];
    if (acknowledged.contains(row) || damaged.contains(row)) continue;
    FP_CHECK_OK(rewrite(row, times));
    if (rewritten[row]) bytes += rewritten[row]->bytes;
  }
  return {};
}

// What cannot be rewritten stays as it is: what is damaged, fetch() sets aside.
Result<> Outbox::Impl::rewrite(int64_t row, const std::set<int64_t>& gone) {
  auto found = take_for_room(row);
  if (!found && found.error().code == Errc::NotFound) return {};
  Taken taken = FP_TRY(std::move(found));
  if (!taken.readable) return {};
  std::erase_if(taken.states, [&](const State& s) { return gone.contains(s.time_ms); });
  if (taken.states.empty()) return {};  // then all of it is acknowledged at any moment
  ChunkWriter writer;
  for (const State& state : taken.states) {
    for (const Point& point : state.points) {
      if (FP_TRY(add_to(writer, state.time_ms, point)) != ChunkWriter::Added::Yes) return {};
    }
  }
  const int64_t points = writer.points();
  update_row.bind(1, writer.t0());
  update_row.bind(2, points);
  const std::string_view body = writer.encode(taken.key.device, taken.key.boot);
  update_row.bind_blob(3, body);
  update_row.bind(4, row);
  FP_CHECK_OK(update_row.run());
  const Size size{points, static_cast<int64_t>(body.size()) + kRowBytes};
  change.readings += size.readings - taken.size.readings;
  change.acknowledged += taken.size.readings - size.readings;
  change.bytes += size.bytes - taken.size.bytes;
  rewritten[row] = size;
  return {};
}

}  // namespace fieldpost
