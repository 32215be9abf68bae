// SPDX-License-Identifier: Apache-2.0
//
// The store thread and its outbox coming together: at the start, and again when it was damaged.
#include <unistd.h>

#include <algorithm>

#include "base/log.hpp"
#include "base/message_ids.hpp"
#include "store/medium.hpp"
#include "store/restore.hpp"
#include "store/store_thread.hpp"

namespace fieldpost {
namespace {

constexpr int kMostRestores = 5;  // in the life of a process
constexpr int64_t kBrokenFilesBytes = int64_t{64} << 20;
constexpr size_t kImportPoints = 100'000;  // of one transaction; bounds memory

}  // namespace

// A damaged database is restored as far as it can be read. Not for ever: a disk that damages what
// was just written is left alone, and the agent lives on stage 1.
Result<Outbox> Store::Thread::open_outbox(const Outbox::Options& wanted) {
  const std::string path = wanted.folder + "/outbox.db";
  for (;;) {
    auto sound = check_before_opening(path);
    auto opened = sound ? Outbox::open(wanted, symbols) : std::move(sound).error();
    const bool damaged = !opened && opened.error().code == Errc::Corrupt;
    if (!damaged || restores++ >= kMostRestores) return opened;
    const Restored restored = FP_TRY(restore(path, kBrokenFilesBytes));
    log::error("the outbox was damaged; a new one has what could be read of it",
               {message_id::kOutboxDamaged,
                {"FP_REASON", restored.report.text()},
                {"FP_BROKEN_FILE", restored.broken}});
  }
}

void Store::Thread::close_if_damaged(const Error& error) {
  if (error.code != Errc::Corrupt) return;
  disk_is_open = false;
  outbox.reset();
  retry_at = {};
}

// Somebody removed the files or their folder, put others in their place, or mounted something over
// them. SQLite goes on as if nothing were, and all of it would be gone with the process.
Result<> Store::Thread::stay_in_place() {
  const BootTime now = BootClock::now();
  if (now < look_at) return {};
  const Busy busy(busy_since);
  if (outbox->in_place()) {
    look_at = now + kLookPeriod;
    if (opened_read_only && why_not_writable(outbox->path()).empty()) outbox.reset();
    return {};
  }
  const int64_t readings = outbox->totals().readings;
  auto done = outbox->put_back();
  if (!done && done.error().code == Errc::Corrupt) {
    log::error("the outbox is gone from its folder and cannot be read any more; a new one is begun",
               {{"FP_PATH", options.folder},
                {"FP_LOST", std::to_string(readings)},
                {"FP_REASON", done.error().message}});
    lost += readings;
  } else if (!done) {
    return std::move(done).context("the outbox is gone from '" + options.folder +
                                   "' and cannot be put back");
  } else {
    log::error(
        "the outbox was removed from its folder or replaced there while it was in use; it is "
        "back, with all that was in it",
        {{"FP_PATH", options.folder}, {"FP_READINGS", std::to_string(readings)}});
  }
  disk_is_open = false;
  outbox.reset();
  return {};
}

// Also of a folder in which no outbox can be opened. Once for each reason.
void Store::Thread::warn_if_not_lasting() {
  std::string found = why_not_lasting(options.folder);
  if (found == warning) return;
  if (!found.empty()) {
    log::warning("what is kept will not last", {message_id::kWillNotLast, {"FP_REASON", found}});
  }
  warning = std::move(found);
  status_changed = true;
}

Result<> Store::Thread::open() {
  const Busy busy(busy_since);
  warn_if_not_lasting();
  for (const std::string& name : StageLog::earlier_boots(options.run_folder)) {
    FP_CHECK_OK(import_earlier_boot(name));
  }
  outbox = FP_TRY(
      open_outbox({.folder = options.folder, .boot_id = options.boot_id, .stage_id = stage->id()}));
  opened_read_only = false;
  auto taken = take_over();
  if (taken) taken = room.opened(*outbox);
  if (!taken) {
    outbox.reset();
    return taken;
  }
  log::info("outbox is open", {{"FP_PATH", options.folder},
                               {"FP_READINGS", std::to_string(outbox->totals().readings)}});
  write_notes(true);
  status_changed = true;
  disk_is_open = true;
  sinks.clock();
  if (answered_without_disk && outbox->totals().rows > 0) sinks.backlog();
  if (outbox->totals().rows > 0) sinks.stored(outbox->newest_row());
  sinks.committed(std::max(outbox->newest_row(), item_id::of_sample(stage->newest())));
  return {};
}

// Who clears the run directory takes stage 1 along, which goes on without a name: until a crash.
void Store::Thread::keep_stage_in_place() {
  const BootTime now = BootClock::now();
  if (now < look_at_stage) return;
  look_at_stage = now + kLookPeriod;
  const auto remade = stage->stay_in_place();
  if (remade && *remade) {
    log::warning("the files of stage 1 were gone from the run directory and were made again",
                 {{"FP_PATH", options.run_folder}});
  }
  set_trouble(stage_trouble, remade ? ""
                                    : "readings that wait in memory would not survive a crash: " +
                                          remade.error().message);
}

// What stage 1 and the outbox know of each other's past.
Result<> Store::Thread::take_over() {
  take_over_clock();
  const StageLog::Notes noted = stage->notes();
  stage->flushed(outbox->flushed_up_to());
  FP_CHECK_OK(take_over_notes(noted));
  deletes_at = BootTime{};
  return {};
}

// What is acknowledged, and was not known to be on the disk, or not in which row.
Result<> Store::Thread::take_over_notes(const StageLog::Notes& noted) {
  for (const auto& [first, last] : noted.rows) {
    for (int64_t row = first; row <= last; ++row) FP_CHECK_OK(outbox->acknowledge({&row, 1}));
  }
  std::vector<Handover::Part> parts;
  for (const Staged& sample : noted.samples) {
    if (sample.number > outbox->flushed_up_to()) continue;
    const int64_t row = FP_TRY(outbox->row_of(sample));
    if (row != 0) parts.push_back({.row = row, .ms = sample.sample.time.ms});
  }
  stage->found(parts);
  Settled gone;  // long ago
  for (const auto& [row, noted_times] : noted.parts) {
    if (!FP_TRY(outbox->has(row))) gone.rows.insert(row);
    for (const int64_t ms : noted_times) parts.push_back({.row = row, .ms = ms});
  }
  stage->settle(gone);
  std::erase_if(parts, [&](const Handover::Part& p) { return gone.rows.contains(p.row); });
  for (const auto& [row, ms] : parts) handover.leave_out(row, ms);
  outbox->take_out(parts);
  return {};
}

Result<> Store::Thread::append_making_room(Outbox& old, std::span<const Staged> samples) {
  Handover nothing;
  for (;;) {
    auto appended_now = old.append(samples, samples.back().number);
    if (appended_now) return room.flushed(), Result<>();
    if (appended_now.error().code != Errc::Full) return appended_now;
    if (!FP_TRY(room.make_way(old, samples_bytes(samples)))) return appended_now;
    while (room.comes_first()) FP_CHECK_OK(room.step(old, nothing, BootClock::now()));
  }
}

void Store::Thread::take_over_clock() {
  if (stage->epochs().empty()) {  // stage 1 was lost in this boot
    for (const Epoch& epoch : outbox->epochs()) {
      if (!stage->append_epoch(epoch)) break;  // then main decides anew
    }
  }
  for (const Epoch& epoch : stage->epochs()) outbox->add_epoch(epoch);
  {
    const std::scoped_lock lock(mutex);
    known.complete = true;
    known.ended = outbox->unstamped();
    if (!marked) known.high_water_ms = std::max(known.high_water_ms, outbox->high_water_ms());
  }
  note_clock();
}

// The log of another boot, where /run outlived it.
Result<> Store::Thread::import_earlier_boot(const std::string& name) {
  const std::string base = options.run_folder + "/" + name;
  auto opened = StageLog::open(
      {.folder = options.run_folder, .name = name, .bytes = 0, .boot_id = options.boot_id},
      symbols);
  if (!opened) {  // this boot's readings do not wait for that
    log::error("what an earlier boot has left in stage 1 cannot be read",
               {{"FP_PATH", base}, {"FP_REASON", opened.error().message}});
    return {};
  }
  const auto log = *std::move(opened);
  auto old = FP_TRY(
      open_outbox({.folder = options.folder, .boot_id = log->boot(), .stage_id = log->id()}));
  for (const Epoch& epoch : log->epochs()) old.add_epoch(epoch);
  log->flushed(old.flushed_up_to());
  FP_CHECK_OK(room.opened(old));
  while (log->oldest()) {
    const auto samples =
        FP_TRY(log->read(log->flushed_up_to(), kImportPoints, Room::kMaxFlushBytes));
    if (samples.empty()) break;
    FP_CHECK_OK(append_making_room(old, samples));
    log->flushed(samples.back().number);
  }
  FP_CHECK_OK(old.store_epochs());
  lost += log->damaged();
  ::unlink((base + ".0").c_str());
  ::unlink((base + ".1").c_str());
  return {};
}

}  // namespace fieldpost
