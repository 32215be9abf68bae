// SPDX-License-Identifier: Apache-2.0
#include "store/store.hpp"

#include <poll.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <iterator>
#include <mutex>
#include <optional>
#include <thread>
#include <variant>

#include "base/backoff.hpp"
#include "base/clock.hpp"
#include "base/log.hpp"
#include "base/mailbox.hpp"

namespace fieldpost {
namespace {

using namespace std::chrono_literals;

constexpr auto kDeletesWait = 1s;       // at most, when no append takes them along
constexpr size_t kDeletesAtOnce = 500;  // rows; more are not left to wait
constexpr auto kStatusPeriod = 1s;
constexpr auto kFirstRetry = 100ms;
constexpr auto kLastRetry = 5s;
constexpr auto kReadRetry = 1s;
constexpr size_t kMailboxLimit = 100'000;  // neighbours of one kind merge, so this is never near

struct Append {
  std::vector<DeviceSample> samples;
  size_t bytes = 0;
  BootTime posted{};
};
struct Fetch {
  int64_t after = 0;
  size_t max_points = 0;
};
struct Acknowledge {
  std::vector<int64_t> rows;
};
struct Stop {
  BootTime deadline{};
};
using Mail = std::variant<Append, Fetch, Acknowledge, Epoch, Stop>;

int64_t points_of(const std::vector<DeviceSample>& samples) {
  int64_t points = 0;
  for (const DeviceSample& sample : samples) points += static_cast<int64_t>(sample.points.size());
  return points;
}

// Memory that a waiting sample takes, near enough for a bound.
size_t bytes_of(const std::vector<DeviceSample>& samples) {
  size_t bytes = 0;
  for (const DeviceSample& sample : samples) {
    bytes += sizeof sample + sample.points.size() * sizeof(Point);
    for (const Point& point : sample.points) {
      if (const auto* text = std::get_if<std::string>(&point.value)) bytes += text->size();
    }
  }
  return bytes;
}

// Says for the outside that the disk is at work, for as long as it lives.
class Busy {
 public:
  explicit Busy(std::atomic<int64_t>& since) : since_(since) {
    since_ = BootClock::now().time_since_epoch().count();
  }
  ~Busy() { since_ = 0; }
  Busy(const Busy&) = delete;
  Busy& operator=(const Busy&) = delete;

 private:
  std::atomic<int64_t>& since_;
};

}  // namespace

// What both threads see stands first; the rest belongs to the store thread.
struct Store::Thread {
  Thread(Options o, Sinks s)
      : options(std::move(o)), sinks(std::move(s)), retry(kFirstRetry, kLastRetry) {}

  const Options options;
  Mailbox<Mail> mailbox{kMailboxLimit};
  std::atomic<size_t> waiting_bytes{0};
  std::atomic<int64_t> lost{0};
  std::atomic<int64_t> appended{0};
  std::atomic<int64_t> busy_since{0};
  std::mutex mutex;
  std::condition_variable ended_changed;
  bool ended = false;       // guarded by mutex
  bool all_stored = false;  // guarded by mutex
  std::thread thread;       // belongs to the Store

  void run();

  const Sinks sinks;
  std::optional<Outbox> outbox;
  std::vector<DeviceSample> waiting;
  size_t waiting_taken = 0;  // of waiting_bytes: what `waiting` has, and the mailbox no more
  BootTime commit_at{};      // of what waits
  BootTime deletes_at{};     // of the deletes that wait
  std::deque<Fetch> fetches;
  std::deque<Epoch> epochs;
  std::optional<BootTime> stop_by;
  Backoff retry;
  BootTime retry_at{};  // nothing is opened or written before it
  BootTime fetch_at{};  // nothing is read before it
  std::string write_trouble, read_trouble;
  int64_t reported_lost = 0;
  BootTime status_at{};
  bool status_changed = true;
  int64_t acknowledged = 0;

  void take_mail();
  void take(Append& append);
  void take(Fetch& fetch) { fetches.push_back(fetch); }
  void take(Acknowledge& acknowledge);
  void take(Epoch& epoch) { epochs.push_back(epoch); }
  void take(Stop& stop) { stop_by = stop.deadline; }
  bool work_waits() const;
  BootTime wake_at() const;
  void wait_until(BootTime time);
  void work();
  Result<> open_and_write();
  Result<> open();
  Result<> commit();
  Result<> append();
  Result<> answer_fetches();
  void set_trouble(std::string& trouble, std::string text);
  void report();
  bool finished();
};

// The store thread.

void Store::Thread::run() {
  pthread_setname_np(pthread_self(), "store");
  while (!finished()) {
    work();
    report();
    if (!finished()) wait_until(wake_at());
    take_mail();
  }
  if (!waiting.empty()) {
    lost += points_of(waiting);
    log::error("readings are lost: the outbox did not take them before the end",
               {{"FP_COUNT", std::to_string(points_of(waiting))}, {"FP_REASON", write_trouble}});
  }
  const bool stored = waiting.empty();
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
  return !waiting.empty() || !epochs.empty() || (outbox && outbox->has_waiting_deletes());
}

void Store::Thread::wait_until(BootTime time) {
  pollfd waited{.fd = mailbox.fd(), .events = POLLIN, .revents = 0};
  if (time == BootTime::max()) {
    ::poll(&waited, 1, -1);
    return;
  }
  const auto left = std::max<nanoseconds>(time - BootClock::now(), 0ns);
  const timespec timeout{.tv_sec = left / 1s, .tv_nsec = (left % 1s).count()};
  ::ppoll(&waited, 1, &timeout, nullptr);
}

// When there is something to do even if no mail comes.
BootTime Store::Thread::wake_at() const {
  BootTime at = BootTime::max();
  if (!outbox) {
    at = retry_at;
  } else {
    if (!epochs.empty()) at = retry_at;
    if (!waiting.empty()) at = std::min(at, std::max(commit_at, retry_at));
    if (waiting.empty() && outbox->has_waiting_deletes()) {
      at = std::min(at, std::max(deletes_at, retry_at));
    }
    if (!fetches.empty() && epochs.empty()) at = std::min(at, fetch_at);
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

void Store::Thread::take(Append& append) {
  waiting_taken += append.bytes;
  if (waiting.empty()) {
    waiting = std::move(append.samples);
    commit_at = append.posted + options.commit_delay;
  } else {
    std::ranges::move(append.samples, std::back_inserter(waiting));
  }
}

void Store::Thread::take(Acknowledge& acknowledge) {
  if (!outbox) return;  // nothing was handed out yet
  const Busy busy(busy_since);
  const bool first = !outbox->has_waiting_deletes();
  const int64_t before = outbox->totals().readings;
  outbox->acknowledge(acknowledge.rows);
  acknowledged += before - outbox->totals().readings;
  status_changed = true;
  if (first) deletes_at = BootClock::now() + kDeletesWait;
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
      set_trouble(write_trouble, std::move(done).error().message);
    }
  }
  // Also when nothing can be written: what is sent and acknowledged frees a full disk. But not
  // before this boot's latest epoch is stored.
  if (outbox && epochs.empty() && BootClock::now() >= fetch_at) {
    auto done = answer_fetches();
    fetch_at = done ? BootTime{} : BootClock::now() + kReadRetry;
    set_trouble(read_trouble, done ? "" : std::move(done).error().message);
  }
}

Result<> Store::Thread::open_and_write() {
  if (!outbox) FP_CHECK_OK(open());
  while (!epochs.empty()) {
    const Busy busy(busy_since);
    FP_CHECK_OK(outbox->append_epoch(epochs.front()));
    epochs.pop_front();
  }
  return commit();
}

Result<> Store::Thread::open() {
  const Busy busy(busy_since);
  outbox = FP_TRY(Outbox::open(options.folder, options.boot_id));
  log::info("outbox is open", {{"FP_PATH", options.folder},
                               {"FP_READINGS", std::to_string(outbox->totals().readings)}});
  status_changed = true;
  sinks.committed(outbox->newest_row());
  return {};
}

Result<> Store::Thread::commit() {
  const BootTime now = BootClock::now();
  if (!waiting.empty()) return now >= commit_at || stop_by ? append() : Result<>();
  if (!outbox->has_waiting_deletes() || (now < deletes_at && !stop_by)) return {};
  const Busy busy(busy_since);
  FP_CHECK_OK(outbox->flush_deletes());
  status_changed = true;
  return {};
}

Result<> Store::Thread::append() {
  {
    const Busy busy(busy_since);
    auto appended_now = outbox->append(waiting);
    if (!appended_now && appended_now.error().code == Errc::Full && outbox->has_waiting_deletes()) {
      // Make room first.
      FP_CHECK_OK(outbox->flush_deletes());
      appended_now = outbox->append(waiting);
    }
    FP_CHECK_OK(std::move(appended_now));
  }
  waiting.clear();
  waiting_bytes -= std::exchange(waiting_taken, 0);
  status_changed = true;
  sinks.committed(outbox->newest_row());
  return {};
}

Result<> Store::Thread::answer_fetches() {
  while (!fetches.empty()) {
    const int64_t damaged = outbox->totals().damaged_rows;
    std::vector<Chunk> chunks;
    {
      const Busy busy(busy_since);
      chunks = FP_TRY(outbox->fetch(fetches.front().after, fetches.front().max_points));
    }
    fetches.pop_front();
    sinks.chunks(std::move(chunks));
    if (outbox->totals().damaged_rows != damaged) {
      status_changed = true;
      deletes_at = BootClock::now() + kDeletesWait;
      log::error("damaged rows of the outbox were set aside",
                 {{"FP_COUNT", std::to_string(outbox->totals().damaged_rows - damaged)}});
    }
  }
  return {};
}

void Store::Thread::set_trouble(std::string& trouble, std::string text) {
  if (text == trouble) return;
  if (trouble.empty()) {
    log::error(&trouble == &write_trouble ? "the outbox cannot be written; readings wait in memory"
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
  status.appended = appended;
  status.acknowledged = acknowledged;
  status.lost = reported_lost = lost;
  status.trouble = write_trouble.empty() ? read_trouble : write_trouble;
  status.busy_since_ns = busy_since;
  sinks.status(status);
}

// The other threads' side.

Store::Store(Options options, Sinks sinks)
    : thread_(std::make_shared<Thread>(std::move(options), std::move(sinks))) {}

void Store::start() {
  thread_->thread = std::thread([thread = thread_] { thread->run(); });
}

Store::~Store() {
  if (thread_->thread.joinable()) (void)stop(std::chrono::milliseconds(3000));
}

void Store::append(std::vector<DeviceSample> samples) {
  const size_t bytes = bytes_of(samples);
  const int64_t points = points_of(samples);
  if (thread_->waiting_bytes.fetch_add(bytes) + bytes > thread_->options.max_waiting_bytes) {
    thread_->waiting_bytes -= bytes;
    thread_->lost += points;
    return;
  }
  const auto merge = [](Mail& waiting, Mail& value) {
    auto* into = std::get_if<Append>(&waiting);
    if (into == nullptr) return false;
    auto& more = std::get<Append>(value);
    std::ranges::move(more.samples, std::back_inserter(into->samples));
    into->bytes += more.bytes;
    return true;
  };
  if (thread_->mailbox.post_or_merge(Append{std::move(samples), bytes, BootClock::now()}, merge)) {
    thread_->appended += points;
  } else {
    thread_->waiting_bytes -= bytes;
    thread_->lost += points;
  }
}

void Store::fetch(int64_t after, size_t max_points) {
  thread_->mailbox.post(Fetch{after, max_points});
}

void Store::acknowledge(std::vector<int64_t> rows) {
  const auto merge = [](Mail& waiting, Mail& value) {
    auto* into = std::get_if<Acknowledge>(&waiting);
    if (into == nullptr) return false;
    const auto& more = std::get<Acknowledge>(value).rows;
    into->rows.insert(into->rows.end(), more.begin(), more.end());
    return true;
  };
  // One that is not taken costs a duplicate after a restart, nothing else.
  (void)thread_->mailbox.post_or_merge(Acknowledge{std::move(rows)}, merge);
}

void Store::append_epoch(Epoch epoch) { thread_->mailbox.post(epoch); }

int64_t Store::busy_since_ns() const { return thread_->busy_since; }

bool Store::stop(std::chrono::milliseconds limit) {
  if (!thread_->thread.joinable()) return false;
  thread_->mailbox.post(Stop{BootClock::now() + limit});
  std::unique_lock lock(thread_->mutex);
  const bool ended = thread_->ended_changed.wait_for(lock, limit, [&] { return thread_->ended; });
  const bool stored = ended && thread_->all_stored;
  lock.unlock();
  if (ended) {
    thread_->thread.join();
  } else {
    thread_->thread.detach();
  }
  return stored;
}

}  // namespace fieldpost
