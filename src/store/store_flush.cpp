// SPDX-License-Identifier: Apache-2.0
//
// What the store thread writes: what waits in stage 1 when it is due, deletes, what is known of the
// clock, and steps that make room for all that.
#include <algorithm>
#include <map>

#include "base/file.hpp"
#include "base/log.hpp"
#include "store/store_thread.hpp"

namespace fieldpost {
namespace {

using namespace std::chrono_literals;

// Up to so many percent of stage 1 are for waiting until a full disk has space again.
constexpr int64_t kStageIsWaitingRoom = 50;
constexpr size_t kFlushPoints = 100'000;  // of one transaction; bounds memory

}  // namespace

// What has no room is tried again when there is some: here, or after steps that make it.
Result<> Store::Thread::write() {
  flush_bytes = 0;
  room.set_patient(!options.disk_first && stage->percent_used() < kStageIsWaitingRoom);
  auto written = write_what_is_due();
  if (written || written.error().code != Errc::Full) return written;
  const Busy busy(busy_since);
  return FP_TRY(room.make_way(*outbox, flush_bytes)) ? Result<>() : written;
}

Result<> Store::Thread::write_what_is_due() {
  const BootTime now = BootClock::now();
  if (room.due() <= now) {
    const Busy busy(busy_since);
    const int64_t readings = outbox->totals().readings;
    FP_CHECK_OK(room.step(*outbox, handover, now));
    if (outbox->totals().readings != readings) status_changed = true;
  }
  if (room.comes_first()) return {};
  if (const auto due = flush_at(); due && *due <= now) return flush();
  const Busy busy(busy_since);
  if (clock_is_due()) {
    FP_CHECK_OK(outbox->store_epochs());
    status_changed = true;
  }
  // Parts do not wait for long: what makes them is followed by a flush or by deletes.
  if (!stop_by && (!outbox->has_waiting_deletes() || now < deletes_at)) return {};
  if (!outbox->has_waiting_deletes() && !outbox->has_waiting_parts()) return {};
  FP_CHECK_OK(outbox->flush_deletes());
  room.changed();
  status_changed = true;
  return {};
}

Result<> Store::Thread::flush() {
  const int64_t up_to = stage->newest();
  flushing_up_to = up_to;  // acknowledgements from now on concern the disk
  Result<> part;
  while (part && stage->flushed_up_to() < up_to) part = flush_part(up_to);
  if (!part) lost += stage->not_flushed();
  return part;
}

Result<> Store::Thread::flush_part(int64_t up_to) {
  auto samples =
      FP_TRY(stage->read(stage->flushed_up_to(), kFlushPoints, Room::kMaxFlushBytes, up_to));
  if (!samples.empty()) up_to = samples.back().number;  // there may be more than one part
  flush_bytes = samples_bytes(samples);
  if (!samples.empty()) FP_CHECK_OK(append_to_disk(samples, up_to));
  // From here on the uplink gets these from the disk; what it took until now it has on its way.
  const StageLog::Flushed flushed =
      samples.empty() ? stage->flushed(up_to) : stage->flushed(up_to, outbox->made());
  note_room_in_stage();
  if (samples.empty()) return {};
  stage->recycle(std::move(samples));
  hand_over(flushed, up_to);
  write_notes(true);
  exports.flushed(outbox->made());
  status_changed = true;
  sinks.stored(outbox->newest_row());
  sinks.committed(
      std::max(outbox->newest_row(), options.disk_first ? 0 : item_id::of_sample(stage->newest())));
  return {};
}

Result<> Store::Thread::append_to_disk(std::span<const Staged> samples, int64_t up_to) {
  const Busy busy(busy_since);
  note_clock();
  auto appended_now = outbox->append(samples, up_to);
  if (!appended_now && appended_now.error().code == Errc::Full && outbox->has_waiting_deletes()) {
    // Make room first.
    FP_CHECK_OK(outbox->flush_deletes());
    appended_now = outbox->append(samples, up_to);
  }
  if (appended_now) room.flushed();
  return appended_now;
}

// Those that are due: of the ones that do not wait for a flush, or of the others.
void Store::Thread::write_notes(bool with_flush) {
  for (size_t i = 0; i < notes.size(); ++i) {
    const bool waits = options.notes[i].period == 0ns;
    if (waits == with_flush && BootClock::now() >= notes[i].at) write_note(i);
  }
}

// One that cannot be written is no trouble of the outbox's.
void Store::Thread::write_note(size_t i) {
  Note& note = notes[i];
  std::string text;
  {
    const std::scoped_lock lock(mutex);
    text = note.text;
  }
  if (text.empty() || text == note.written) return;
  const Busy busy(busy_since);
  const nanoseconds period = options.notes[i].period == 0ns ? kNotePeriod : options.notes[i].period;
  note.at = BootClock::now() + period;
  if (const auto kept = write_file_atomically(options.notes[i].path, text); !kept) {
    note.at = BootClock::now() + std::min<nanoseconds>(period, kNoteRetry);
    return log::debug("a note is not written", {{"FP_REASON", kept.error().message}});
  }
  note.written = std::move(text);
}

// Rows with samples that the uplink has, or has had acknowledged meanwhile. Of a device that is set
// aside it has passed them over.
void Store::Thread::hand_over(const StageLog::Flushed& flushed, int64_t up_to) {
  std::map<int64_t, int> rows_of;  // by number
  for (const Outbox::Made& made : outbox->made()) {
    for (const Handover::Member& m : made.members) ++rows_of[m.number];
  }
  const auto aside = devices_set_aside();
  std::vector<int64_t> not_held;
  for (const Outbox::Made& made : outbox->made()) {
    const bool passed_over = aside->contains(*made.device);
    // A sample so large that it fills several rows goes again, rather than in halves.
    const bool whole =
        std::ranges::all_of(made.members, [&](const auto& m) { return rows_of[m.number] == 1; });
    const int64_t held = flushed.held_of(*made.device);
    const bool taken = std::ranges::any_of(made.members, [&](const Handover::Member& m) {
      return (m.number <= held && !passed_over) || flushed.acknowledged.contains(m.number);
    });
    if (whole && taken) handover.add(made.row, {made.members, up_to});
    if (passed_over && !taken) not_held.push_back(made.row);
  }
  stage->not_held(not_held);
  std::vector<int64_t> done;
  std::vector<Handover::Part> parts;
  for (const auto& [first, last] : flushed.acknowledged) {
    for (int64_t n = first; n <= std::min(last, up_to); ++n) {
      handover.acknowledge_sample(n, done, parts);
    }
  }
  outbox->take_out(parts);
  if (const auto noted = outbox->acknowledge(done); !noted) {
    set_trouble(read_trouble, noted.error().message);
  }
}

}  // namespace fieldpost
