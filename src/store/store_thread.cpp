// SPDX-License-Identifier: Apache-2.0
#include "store/store_thread.hpp"

#include <poll.h>
#include <pthread.h>

#include <algorithm>
#include <map>

#include "base/log.hpp"
#include "store/wall.hpp"

namespace fieldpost {
namespace {

using namespace std::chrono_literals;

constexpr size_t kDeletesAtOnce = 500;    // rows; more are not left to wait
constexpr auto kDeletesWait = 1s;         // at least, for a flush that takes them along
constexpr size_t kFlushPoints = 100'000;  // of one transaction; bounds memory
constexpr auto kStatusPeriod = 1s;
constexpr auto kFirstRetry = 100ms;
constexpr auto kLastRetry = 5s;
constexpr auto kReadRetry = 1s;
// The uplink waits so long for a disk that does not open, before it goes on without the backlog.
constexpr auto kDiskGrace = 2s;
constexpr size_t kMailboxLimit = 100'000;  // neighbours of one kind merge, so this is never near

}  // namespace

Store::Thread::Thread(Options o, Sinks s, SymbolTable& t, std::unique_ptr<StageLog> log)
    : options(std::move(o)),
      sinks(std::move(s)),
      symbols(t),
      stage(std::move(log)),
      mailbox(kMailboxLimit),
      retry(kFirstRetry, kLastRetry) {
  // Also what an earlier process was about to bring to the disk when it ended.
  flushing_up_to = stage->newest();
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

std::optional<std::vector<Chunk>> Store::Thread::take_staged(int64_t after, size_t max_points) {
  WallView wall;
  for (const Epoch& epoch : stage->epochs()) wall.append(epoch);
  if (wall.empty()) return std::vector<Chunk>();
  auto taken = stage->take(item_id::number_of(after), max_points);
  if (!taken) {
    log::error("stage 1 cannot be read", {{"FP_REASON", taken.error().message}});
    return std::vector<Chunk>();
  }
  if (!*taken) return std::nullopt;
  std::vector<Chunk> chunks;
  chunks.reserve((*taken)->size());
  for (Staged& s : **taken) {
    std::vector<State> states(1);
    states[0].time_ms = s.sample.time.ms;
    states[0].points = std::move(s.sample.points);
    if (s.sample.time.base == CaptureTime::Base::ThisBoot) to_wall_time(states, wall);
    chunks.push_back({.row = item_id::of_sample(s.number),
                      .device = s.sample.device,
                      .states = std::move(states)});
  }
  return chunks;
}

Fetched Store::Thread::take_live(int64_t after, size_t max_points) {
  for (;;) {
    const int64_t from = std::max(after, item_id::of_sample(stage->flushed_up_to()));
    auto staged = take_staged(from, max_points);
    if (!staged) continue;  // a flush came in between
    const int64_t up_to = staged->empty() ? from : staged->back().row;
    return {.lane = Lane::Live, .chunks = *std::move(staged), .from = from, .up_to = up_to};
  }
}

void Store::Thread::fill(StoreStatus& status) const {
  status.staged = stage->pending_readings();
  status.appended = appended;
  status.lost = lost;
  status.busy_since_ns = busy_since;
}

// ---- The store thread.

void Store::Thread::run() {
  pthread_setname_np(pthread_self(), "store");
  while (!finished()) {
    work();
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
  return stage->oldest().has_value() || (outbox && outbox->has_waiting_deletes());
}

void Store::Thread::wait_until(BootTime time) {
  pollfd waited{.fd = mailbox.fd(), .events = POLLIN, .revents = 0};
  const auto left = std::max<nanoseconds>(time - BootClock::now(), 0ns);
  const timespec timeout{.tv_sec = left / 1s, .tv_nsec = (left % 1s).count()};
  ::ppoll(&waited, 1, &timeout, nullptr);
}

// When what waits in stage 1 is due; nothing if nothing waits.
std::optional<BootTime> Store::Thread::flush_at() const {
  const auto oldest = stage->oldest();
  if (!oldest) return std::nullopt;
  return stop_by ? BootTime{} : *oldest + options.flush_interval;
}

// When there is something to do even if no mail comes. Samples come without mail, and nothing that
// comes from now on is due earlier than a flush interval from now.
BootTime Store::Thread::wake_at() const {
  BootTime at = BootClock::now() + std::max<nanoseconds>(options.flush_interval, 1s);
  if (!outbox) {
    at = std::min(at, retry_at);
    if (!fetches.empty())
      at = std::min(at, std::max(started + kDiskGrace, BootClock::now() + 10ms));
  } else {
    if (const auto due = flush_at()) at = std::min(at, std::max(*due, retry_at));
    if (outbox->has_waiting_deletes()) at = std::min(at, std::max(deletes_at, retry_at));
    if (!fetches.empty() && may_fetch()) at = std::min(at, fetch_at);
  }
  if (status_changed) at = std::min(at, status_at);
  if (stop_by) at = std::min(at, *stop_by);
  return at;
}

void Store::Thread::take_mail() {
  for (Mail& mail : mailbox.take_all()) {
    std::visit([this](auto& m) { take(m); }, mail);
  }
}

void Store::Thread::take(Epoch& epoch) {
  if (outbox) outbox->add_epoch(epoch);  // else with the opening
  status_changed = true;
}

void Store::Thread::take(Acknowledge& acknowledge) {
  if (!outbox) return;  // nothing of it is there
  std::vector<int64_t> done;
  for (const int64_t id : acknowledge.items) {
    if (item_id::is_sample(id)) {
      handover.acknowledge_sample(item_id::number_of(id), done);
    } else {
      handover.forget(id);
      done.push_back(id);
    }
  }
  if (done.empty()) return;
  const Busy busy(busy_since);
  const bool first = !outbox->has_waiting_deletes();
  const int64_t before = outbox->totals().readings;
  if (const auto noted = outbox->acknowledge(done); !noted) {
    set_trouble(read_trouble, noted.error().message);
  }
  acknowledged += before - outbox->totals().readings;
  status_changed = true;
  if (first)
    deletes_at = BootClock::now() + std::max<nanoseconds>(options.flush_interval, kDeletesWait);
  if (outbox->waiting_deletes() >= kDeletesAtOnce) deletes_at = BootTime{};
}

void Store::Thread::work() {
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

// Not before this boot's latest epoch is stored, where rows depend on it. Without a disk after a
// while: what is in stage 1 can be sent.
bool Store::Thread::may_fetch() const {
  if (outbox) return !outbox->has_waiting_epochs() || outbox->totals().rows == 0;
  return !options.disk_first && BootClock::now() >= started + kDiskGrace;
}

Result<> Store::Thread::open_and_write() {
  if (!outbox) FP_CHECK_OK(open());
  return write();
}

Result<> Store::Thread::write() {
  const BootTime now = BootClock::now();
  if (const auto due = flush_at(); due && *due <= now) return flush();
  const Busy busy(busy_since);
  if (outbox->has_waiting_epochs() && outbox->totals().rows > 0)
    FP_CHECK_OK(outbox->store_epochs());
  if (!outbox->has_waiting_deletes() || (now < deletes_at && !stop_by)) return {};
  FP_CHECK_OK(outbox->flush_deletes());
  status_changed = true;
  return {};
}

Result<> Store::Thread::flush() {
  const int64_t up_to = stage->newest();
  flushing_up_to = up_to;  // acknowledgements from now on concern the disk
  while (stage->flushed_up_to() < up_to) FP_CHECK_OK(flush_part(up_to));
  return {};
}

Result<> Store::Thread::flush_part(int64_t up_to) {
  auto samples = FP_TRY(stage->read(stage->flushed_up_to(), kFlushPoints));
  std::erase_if(samples, [&](const Staged& s) { return s.number > up_to; });
  size_t points = 0;
  for (const Staged& s : samples) points += s.sample.points.size();
  if (points >= kFlushPoints) up_to = samples.back().number;
  if (!samples.empty()) FP_CHECK_OK(append_to_disk(samples, up_to));
  // From here on the uplink gets these from the disk; what it took until now it has on its way.
  const StageLog::Flushed flushed = stage->flushed(up_to);
  if (samples.empty()) return {};
  hand_over(flushed, up_to);
  status_changed = true;
  sinks.stored(outbox->newest_row());
  sinks.committed(
      std::max(outbox->newest_row(), options.disk_first ? 0 : item_id::of_sample(stage->newest())));
  return {};
}

Result<> Store::Thread::append_to_disk(std::span<const Staged> samples, int64_t up_to) {
  const Busy busy(busy_since);
  auto appended_now = outbox->append(samples, up_to);
  if (!appended_now && appended_now.error().code == Errc::Full && outbox->has_waiting_deletes()) {
    // Make room first.
    FP_CHECK_OK(outbox->flush_deletes());
    appended_now = outbox->append(samples, up_to);
  }
  return appended_now;
}

// Rows with samples that the uplink has, or has had acknowledged meanwhile.
void Store::Thread::hand_over(const StageLog::Flushed& flushed, int64_t up_to) {
  std::map<int64_t, int> rows_of;  // by number
  for (const Outbox::Made& made : outbox->made()) {
    for (const Handover::Member& m : made.members) ++rows_of[m.number];
  }
  for (const Outbox::Made& made : outbox->made()) {
    // A sample so large that it fills several rows goes again, rather than in halves.
    const bool whole =
        std::ranges::all_of(made.members, [&](const auto& m) { return rows_of[m.number] == 1; });
    const bool taken = std::ranges::any_of(made.members, [&](const Handover::Member& m) {
      return m.number <= flushed.held || flushed.acknowledged.contains(m.number);
    });
    if (whole && taken) handover.add(made.row, {made.members, up_to});
  }
  std::vector<int64_t> done;
  for (const auto& [first, last] : flushed.acknowledged) {
    for (int64_t n = first; n <= std::min(last, up_to); ++n) handover.acknowledge_sample(n, done);
  }
  if (const auto noted = outbox->acknowledge(done); !noted) {
    set_trouble(read_trouble, noted.error().message);
  }
}

Result<> Store::Thread::answer_fetches() {
  while (!fetches.empty()) {
    Fetched answer = FP_TRY(answer_to(fetches.front()));
    fetches.pop_front();
    sinks.chunks(std::move(answer));
  }
  return {};
}

Result<Fetched> Store::Thread::answer_to(const Fetch& fetch) {
  if (!outbox) answered_without_disk = true;
  if (fetch.lane == Lane::Live) {
    if (fetch.after == item_id::kBeforeAll) return begin_live();
    if (!options.disk_first) return take_live(fetch.after, fetch.max_points);
  }
  Fetched answer{.lane = fetch.lane, .chunks = {}, .from = fetch.after, .up_to = fetch.after};
  if (outbox) answer.chunks = FP_TRY(fetch_rows(fetch));
  if (answer.chunks.empty() && fetch.lane == Lane::All && !options.disk_first) {
    // Also what is not acknowledged of the disk is held by the uplink, or it would have come.
    const int64_t after = std::max(fetch.after, item_id::of_sample(stage->flushed_up_to()));
    answer.chunks = take_staged(after, fetch.max_points).value_or(std::vector<Chunk>());
  }
  if (!answer.chunks.empty()) {
    answer.up_to = answer.chunks.back().row;
  } else if (outbox && outbox->totals().rows == 0) {
    answer.up_to = std::max(fetch.after, outbox->newest_row());
  }
  return answer;
}

Result<Fetched> Store::Thread::begin_live() {
  Fetched answer{.lane = Lane::Live, .chunks = {}};
  if (outbox) {
    const Busy busy(busy_since);
    answer.chunks = FP_TRY(outbox->fetch_newest(handover));
  }
  // One more, lest it asks to begin once more.
  const int64_t on_disk =
      options.disk_first ? outbox->newest_row() : item_id::of_sample(stage->flushed_up_to());
  answer.from = answer.up_to = std::max(on_disk, item_id::kBeforeAll + 1);
  return answer;
}

Result<std::vector<Chunk>> Store::Thread::fetch_rows(const Fetch& fetch) {
  const int64_t damaged = outbox->totals().damaged_rows;
  std::vector<Chunk> chunks;
  {
    const Busy busy(busy_since);
    chunks = FP_TRY(outbox->fetch(fetch.after, fetch.max_points, handover));
  }
  if (outbox->totals().damaged_rows != damaged) {
    status_changed = true;
    deletes_at = BootClock::now() + std::max<nanoseconds>(options.flush_interval, kDeletesWait);
    log::error("damaged rows of the outbox were set aside",
               {{"FP_COUNT", std::to_string(outbox->totals().damaged_rows - damaged)}});
  }
  return chunks;
}

void Store::Thread::set_trouble(std::string& trouble, std::string text) {
  if (text == trouble) return;
  if (trouble.empty()) {
    log::error(&trouble == &write_trouble ? "the outbox cannot be written; readings wait in stage 1"
                                          : "the outbox cannot be read",
               {{"FP_REASON", text}});
  } else if (text.empty()) {
    log::notice("the outbox works again", {});
  }
  trouble = std::move(text);
  status_changed = true;
  status_at = {};
}

void Store::Thread::report() {
  const BootTime now = BootClock::now();
  if (lost != reported_lost) status_changed = true;
  if (!status_changed || now < status_at) return;
  status_changed = false;
  status_at = now + kStatusPeriod;
  StoreStatus status;
  if (outbox) status.totals = outbox->totals();
  status.acknowledged = acknowledged;
  status.trouble = write_trouble.empty() ? read_trouble : write_trouble;
  fill(status);
  reported_lost = status.lost;
  {
    const std::scoped_lock lock(mutex);
    reported = status;
  }
  sinks.status(status);
}

}  // namespace fieldpost
