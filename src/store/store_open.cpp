// SPDX-License-Identifier: Apache-2.0
//
// The store thread and its outbox coming together: at the start, and again when it was damaged.
#include <unistd.h>

#include <algorithm>

#include "base/log.hpp"
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
               {{"FP_REASON", restored.report.text()}, {"FP_BROKEN_FILE", restored.broken}});
  }
}

void Store::Thread::close_if_damaged(const Error& error) {
  if (error.code != Errc::Corrupt) return;
  disk_is_open = false;
  outbox.reset();
  retry_at = {};
}

Result<> Store::Thread::open() {
  const Busy busy(busy_since);
  FP_CHECK_OK(import_earlier_boot());
  outbox = FP_TRY(
      open_outbox({.folder = options.folder, .boot_id = options.boot_id, .stage_id = stage->id()}));
  if (auto taken = take_over(); !taken) {
    outbox.reset();
    return taken;
  }
  log::info("outbox is open", {{"FP_PATH", options.folder},
                               {"FP_READINGS", std::to_string(outbox->totals().readings)}});
  status_changed = true;
  disk_is_open = true;
  if (answered_without_disk && outbox->totals().rows > 0) sinks.backlog();
  if (outbox->totals().rows > 0) sinks.stored(outbox->newest_row());
  sinks.committed(std::max(outbox->newest_row(), item_id::of_sample(stage->newest())));
  return {};
}

// What stage 1 and the outbox know of each other's past.
Result<> Store::Thread::take_over() {
  for (const Epoch& epoch : stage->epochs()) outbox->add_epoch(epoch);
  stage->flushed(outbox->flushed_up_to());
  const StageLog::Recovered recovered = stage->take_recovered();
  FP_CHECK_OK(outbox->acknowledge(recovered.acknowledged_rows));
  for (const Staged& sample : recovered.acknowledged) {
    if (sample.number > outbox->flushed_up_to()) continue;
    const int64_t row = FP_TRY(outbox->row_of(sample));
    if (row != 0) handover.leave_out(row, sample.sample.time.ms);
  }
  deletes_at = BootTime{};
  return {};
}

// The log of another boot, where /run outlived it.
Result<> Store::Thread::import_earlier_boot() {
  const std::string base = options.run_folder + "/before";
  if (::access((base + ".0").c_str(), F_OK) != 0) return {};
  auto log = FP_TRY(StageLog::open(
      {.folder = options.run_folder, .name = "before", .bytes = 0, .boot_id = options.boot_id},
      symbols));
  auto old = FP_TRY(
      open_outbox({.folder = options.folder, .boot_id = log->boot(), .stage_id = log->id()}));
  for (const Epoch& epoch : log->epochs()) old.add_epoch(epoch);
  log->flushed(old.flushed_up_to());
  while (log->oldest()) {
    const auto samples = FP_TRY(log->read(log->flushed_up_to(), kImportPoints));
    if (samples.empty()) break;
    FP_CHECK_OK(old.append(samples, samples.back().number));
    log->flushed(samples.back().number);
  }
  FP_CHECK_OK(old.store_epochs());
  ::unlink((base + ".0").c_str());
  ::unlink((base + ".1").c_str());
  return {};
}

}  // namespace fieldpost
