// SPDX-License-Identifier: Apache-2.0
#include "store/store_thread.hpp"

#include <poll.h>
#include <pthread.h>

#include <algorithm>

#include "base/log.hpp"
#include "base/message_ids.hpp"

namespace fieldpost {
namespace {

using namespace std::chrono_literals;

constexpr size_t kDeletesAtOnce = 500;   // rows; more are not left to wait
constexpr size_t kShownAttributes = 20;  // of those that have lost readings
constexpr auto kStatusPeriod = 1s;
constexpr auto kShortestNap = 10ms;
constexpr auto kFirstRetry = 100ms;
constexpr auto kLastRetry = 5s;
constexpr auto kReadRetry = 1s;
constexpr size_t kMailboxLimit = 100'000;  // neighbours of one kind merge, so this is never near

}  // namespace

Store::Thread::Thread(Options o, Sinks s, SymbolTable& t, std::unique_ptr<StageLog> log)
    : options(std::move(o)),
      sinks(std::move(s)),
      symbols(t),
      stage(std::move(log)),
      mailbox(kMailboxLimit),
      room({.folder = options.folder, .max_size = options.max_size, .max_age = options.max_age},
           toll),
      retry(kFirstRetry, kLastRetry) {
  // Also what an earlier process was about to bring to the disk when it ended.
  flushing_up_to = stage->newest();
  notes.resize(options.notes.size());
}

// ---- Any thread.

void Store::Thread::post(Mail mail) {
  // What is not taken costs a duplicate after a restart, nothing else.
  (void)mailbox.post_or_merge(std::move(mail), [](Mail& waiting, Mail& next) {
    if (std::holds_alternative<Wake>(waiting) && std::holds_alternative<Wake>(next)) return true;
    auto* into = std::get_if<Acknowledge>(&waiting);
    auto* more = std::get_if<Acknowledge>(&next);
    if (into == nullptr || more == nullptr) return false;
    into->items.insert(into->items.end(), more->items.begin(), more->items.end());
    return true;
  });
}

void Store::Thread::fill(StoreStatus& status) const {
  status.staged = stage->pending_readings();
  status.appended = appended;
  status.repeated = repeated;
  {
    const std::scoped_lock lock(mutex);
    status.too_old = unsendable.too_old();
    status.too_new = unsendable.too_new();
  }
  status.unstamped = status.totals.unstamped + (stage->epochs().empty() ? status.staged : 0);
  status.lost = lost + stage->damaged();
  status.thinned = toll.thinned();
  status.dropped = toll.dropped();
  status.given_up = toll.most(kShownAttributes);
  status.busy_since_ns = busy_since;
  status.wear = wear.written(BootClock::now());
}

// ---- The store thread.

void Store::Thread::run() {
  pthread_setname_np(pthread_self(), "store");
  take_mail();
  while (!finished()) {
    work();
    write_notes(false);
    export_slice();
    report();
    if (!finished()) wait_until(wake_at());
    take_mail();
  }
  const bool stored = !stage->oldest();
  if (!stored) {
    log::warning(
        "readings stay in stage 1: the disk did not take them before the end",
        {{"FP_COUNT", std::to_string(stage->pending_readings())}, {"FP_REASON", write_trouble}});
  }
  for (size_t i = 0; i < notes.size(); ++i) {
    if (stored || options.notes[i].period > 0ns) write_note(i);
  }
  status_at = {};
  status_changed = true;
  report();
  {
    const Busy busy(busy_since);
    outbox.reset();
  }
  const std::scoped_lock lock(mutex);
  ended = true;
  all_stored = stored;
  ended_changed.notify_all();
}

// After stop(): when everything is on the disk, or its time is over.
bool Store::Thread::finished() {
  return stop_by && (!work_waits() || BootClock::now() >= *stop_by);
}

bool Store::Thread::work_waits() const {
  return stage->oldest().has_value() || clock_is_due() ||
         (outbox && (outbox->has_waiting_deletes() || outbox->has_waiting_parts()));
}

bool Store::Thread::clock_is_due() const {
  if (!outbox) return false;
  return (outbox->has_waiting_epochs() && outbox->totals().rows > 0) ||
         outbox->mark_is_due(stop_by.has_value());
}

void Store::Thread::wait_until(BootTime time) {
  std::vector<pollfd> waited{{.fd = mailbox.fd(), .events = POLLIN, .revents = 0}};
  exports.add_waited(waited);
  const auto left = std::max<nanoseconds>(time - BootClock::now(), 0ns);
  const timespec timeout{.tv_sec = left / 1s, .tv_nsec = (left % 1s).count()};
  ::ppoll(waited.data(), waited.size(), &timeout, nullptr);
}

// When what waits in stage 1 is due; nothing if nothing waits.
std::optional<BootTime> Store::Thread::flush_at() const {
  const auto oldest = stage->oldest();
  if (!oldest) return std::nullopt;
  return stop_by ? BootTime{} : *oldest + options.flush_interval;
}

// When there is something to do even if no mail comes. Samples come without mail unless the disk
// comes first, and nothing that comes from now on is due earlier than a flush interval from now.
BootTime Store::Thread::wake_at() const {
  const nanoseconds shortest = options.disk_first ? 1s : kShortestNap;
  BootTime at =
      BootClock::now() + std::clamp<nanoseconds>(options.flush_interval, shortest, kLookPeriod);
  if (!outbox) {
    at = std::min(at, retry_at);
    if (!fetches.empty())
      at = std::min(at, std::max(started + kDiskGrace, BootClock::now() + 10ms));
  } else {
    at = std::min(at, std::max(room.due(), retry_at));
    if (const auto due = flush_at()) at = std::min(at, std::max(*due, retry_at));
    if (outbox->has_waiting_deletes()) at = std::min(at, std::max(deletes_at, retry_at));
    if (clock_is_due()) at = std::min(at, retry_at);
    if (!fetches.empty() && may_fetch()) at = std::min(at, fetch_at);
  }
  if (status_changed) at = std::min(at, status_at);
  if (exports.has_work()) at = BootTime{};
  if (stop_by) at = std::min(at, *stop_by);
  return at;
}

void Store::Thread::take_mail() {
  for (Mail& mail : mailbox.take_all()) {
    std::visit([this](auto& m) { take(m); }, mail);
  }
}

void Store::Thread::take(ClockNews& news) {
  if (!outbox) return;  // what it must know it learns when it is opened
  if (news.append) outbox->add_epoch(*news.append);
  for (const auto& [boot, epoch] : news.ended) outbox->add_epoch_of_ended(boot, epoch);
  note_clock();
  room.clock_set();
  status_changed = true;
}

void Store::Thread::take(Stop& stop) {
  stop_by = stop.deadline;
  // Before the flush, which may take all of the time that is left.
  for (size_t i = 0; i < notes.size(); ++i) {
    if (options.notes[i].period > 0ns) write_note(i);
  }
  exports.end_all("the agent was stopped");
}

void Store::Thread::take(Acknowledge& acknowledge) {
  std::vector<int64_t> done;
  std::vector<Handover::Part> parts;
  for (const int64_t id : acknowledge.items) {
    if (item_id::is_sample(id)) {
      handover.acknowledge_sample(item_id::number_of(id), done, parts);
    } else {
      handover.forget(id);
      done.push_back(id);
    }
  }
  if (!outbox) return;  // stage 1 has noted it, for when there is one
  outbox->take_out(parts);
  if (done.empty()) return;
  const Busy busy(busy_since);
  const bool first = !outbox->has_waiting_deletes();
  if (const auto noted = outbox->acknowledge(done); !noted) {
    set_trouble(read_trouble, noted.error().message);
  }
  status_changed = true;
  if (first)
    deletes_at = BootClock::now() + std::max<nanoseconds>(options.flush_interval, kDeletesWait);
  if (outbox->waiting_deletes() >= kDeletesAtOnce) deletes_at = BootTime{};
}

void Store::Thread::work() {
  keep_stage_in_place();
  if (BootClock::now() >= retry_at) {
    if (auto done = open_and_write()) {
      retry.reset();
      retry_at = {};
      set_trouble(write_trouble, "");
    } else {
      // While stopping, without the growing pauses: time is short.
      retry_at = BootClock::now() + (stop_by ? kFirstRetry : retry.next());
      set_trouble(write_trouble, done.error().message);
      close_if_damaged(done.error());
      opened_read_only = done.error().code == Errc::Unavailable;
    }
  }
  // Also when nothing can be written: what is sent and acknowledged frees a full disk.
  if (BootClock::now() >= fetch_at && may_fetch()) {
    auto done = answer_fetches();
    fetch_at = done ? BootTime{} : BootClock::now() + kReadRetry;
    set_trouble(read_trouble, done ? "" : done.error().message);
    if (!done) close_if_damaged(done.error());
  }
}

void Store::Thread::export_slice() {
  exports.work(outbox ? &*outbox : nullptr, write_trouble, *stage, handover);
}

Result<> Store::Thread::open_and_write() {
  if (outbox) FP_CHECK_OK(stay_in_place());
  if (!outbox) FP_CHECK_OK(open());
  auto written = write();
  // What the disk knows, stage 1 need not know any more.
  stage->settle(outbox->take_settled());
  return written;
}

void Store::Thread::set_trouble(std::string& trouble, std::string text) {
  if (text == trouble) return;
  if (trouble.empty() && &trouble == &write_trouble) {
    log::error("the outbox cannot be written; readings wait in memory",
               {message_id::kOutboxUnwritable, {"FP_REASON", text}});
  } else if (trouble.empty()) {
    log::error(&trouble == &read_trouble ? "the outbox cannot be read"
                                         : "readings that wait would not survive a crash",
               {{"FP_REASON", text}});
  } else if (text.empty()) {
    log::notice(&trouble == &stage_trouble ? "stage 1 works again" : "the outbox works again", {});
  }
  trouble = std::move(text);
  status_changed = true;
  status_at = {};
}

void Store::Thread::log_damaged() {
  const int64_t damaged = stage->damaged();
  if (damaged == reported_damaged) return;
  log::error("records of stage 1 were damaged while they waited; the readings in them are lost",
             {{"FP_COUNT", std::to_string(damaged - reported_damaged)}});
  reported_damaged = damaged;
}

void Store::Thread::report() {
  const BootTime now = BootClock::now();
  log_damaged();
  if (lost + reported_damaged != reported_lost) status_changed = true;
  if (!status_changed || now < status_at) return;
  status_changed = false;
  status_at = now + kStatusPeriod;
  wear.note(now);
  StoreStatus status;
  if (outbox) status.totals = outbox->totals();
  if (!write_trouble.empty()) {
    status.trouble = "cannot be written, readings wait in memory: " + write_trouble;
  } else if (!read_trouble.empty()) {
    status.trouble = "cannot be read: " + read_trouble;
  } else {
    status.trouble = stage_trouble;
  }
  status.warning = warning;
  fill(status);
  reported_lost = status.lost;
  {
    const std::scoped_lock lock(mutex);
    reported = status;
  }
  sinks.status(status);
}

}  // namespace fieldpost
