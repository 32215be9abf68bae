// SPDX-License-Identifier: Apache-2.0
//
// The inside of Store: what its threads share, and the store thread itself.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "base/backoff.hpp"
#include "base/clock.hpp"
#include "base/mailbox.hpp"
#include "store/handover.hpp"
#include "store/store.hpp"
#include "store/unique_times.hpp"

namespace fieldpost {

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

struct Store::Thread {
  struct Wake {};
  struct Fetch {
    Lane lane = Lane::All;
    int64_t after = 0;
    size_t max_points = 0;
  };
  struct Acknowledge {
    std::vector<int64_t> items;
  };
  struct Stop {
    BootTime deadline{};
  };
  using Mail = std::variant<Wake, Fetch, Acknowledge, Epoch, Stop>;

  Thread(Options o, Sinks s, SymbolTable& t, std::unique_ptr<StageLog> log);

  // ---- Any thread.

  void post(Mail mail);
  // Pending samples of stage 1 after an item_id, stamped; none while nobody knows the time.
  // Nothing, not even an empty list, when what the disk has comes first.
  std::optional<std::vector<Chunk>> take_staged(int64_t after, size_t max_points);
  Fetched take_live(int64_t after, size_t max_points);
  void fill(StoreStatus& status) const;  // what is counted outside of the store thread

  const Options options;
  const Sinks sinks;
  SymbolTable& symbols;
  const std::unique_ptr<StageLog> stage;
  UniqueTimes times;  // main thread
  Mailbox<Mail> mailbox;
  std::atomic<int64_t> lost{0};
  std::atomic<int64_t> appended{0};
  std::atomic<int64_t> busy_since{0};
  std::atomic<bool> disk_is_open{false};
  std::atomic<int64_t> flushing_up_to{0};  // samples up to this number went to the disk, or may be
  mutable std::mutex mutex;
  std::condition_variable ended_changed;
  StoreStatus reported;  // guarded by mutex, as are the next two
  bool ended = false;
  bool all_stored = false;
  std::thread thread;  // belongs to the Store

  // ---- The store thread.

  void run();
  void take_mail();
  void take(Wake&) {}
  void take(Fetch& fetch) { fetches.push_back(fetch); }
  void take(Acknowledge& acknowledge);
  void take(Epoch& epoch);
  void take(Stop& stop) { stop_by = stop.deadline; }
  bool work_waits() const;
  std::optional<BootTime> flush_at() const;
  BootTime wake_at() const;
  void wait_until(BootTime time);
  void work();
  Result<> open_and_write();
  Result<Outbox> open_outbox(const Outbox::Options& wanted);
  void close_if_damaged(const Error& error);
  Result<> open();
  Result<> import_earlier_boot();
  Result<> take_over();
  Result<> write();
  Result<> flush();
  Result<> flush_part(int64_t up_to);
  Result<> append_to_disk(std::span<const Staged> samples, int64_t up_to);
  void hand_over(const StageLog::Flushed& flushed, int64_t up_to);
  Result<> answer_fetches();
  Result<Fetched> answer_to(const Fetch& fetch);
  Result<Fetched> begin_live();
  Result<std::vector<Chunk>> fetch_rows(const Fetch& fetch);
  bool may_fetch() const;
  void set_trouble(std::string& trouble, std::string text);
  void report();
  bool finished();

  std::optional<Outbox> outbox;
  Handover handover;
  int restores = 0;
  bool answered_without_disk = false;
  const BootTime started = BootClock::now();
  BootTime deletes_at{};  // of the deletes that wait
  std::deque<Fetch> fetches;
  std::optional<BootTime> stop_by;
  Backoff retry;
  BootTime retry_at{};  // nothing is opened or written before it
  BootTime fetch_at{};  // nothing is read before it
  std::string write_trouble, read_trouble;
  int64_t reported_lost = 0;
  BootTime status_at{};
  bool status_changed = true;
  int64_t acknowledged = 0;
};

}  // namespace fieldpost
