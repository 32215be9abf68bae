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
#include "store/exports.hpp"
#include "store/handover.hpp"
#include "store/room.hpp"
#include "store/store.hpp"
#include "store/unique_times.hpp"
#include "store/unsendable.hpp"
#include "store/wear.hpp"

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

// The uplink waits so long for a disk that does not open, before it goes on without the backlog.
inline constexpr auto kDiskGrace = std::chrono::seconds(2);
// Between two writes of a note that goes with a flush, and of any that could not be written.
inline constexpr auto kNotePeriod = std::chrono::hours(1);
inline constexpr auto kNoteRetry = std::chrono::minutes(1);
// Deletes wait so long at least, for a flush that takes them along.
inline constexpr auto kDeletesWait = std::chrono::seconds(1);

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
  struct ClockNews {
    std::optional<Epoch> append;                   // as stage 1 has it
    std::vector<std::pair<int64_t, Epoch>> ended;  // by the boot's id
  };
  struct Stop {
    BootTime deadline{};
  };
  static constexpr auto kLookPeriod = std::chrono::seconds(2);
  using Mail = std::variant<Wake, Fetch, Acknowledge, ClockNews, KeepRules, Stop>;

  Thread(Options o, Sinks s, SymbolTable& t, std::unique_ptr<StageLog> log);

  // ---- Any thread.

  void post(Mail mail);
  // Pending samples of stage 1 after an item_id, stamped; none while nobody knows the time.
  // Nothing, not even an empty list, when what the disk has comes first.
  // Nothing: a flush has taken what was asked for.
  std::optional<Fetched> take_staged(Lane lane, int64_t after, size_t max_points);
  std::shared_ptr<const DeviceIds> devices_set_aside() const;
  Fetched take_live(int64_t after, size_t max_points);
  void hand_out(Fetched fetched);
  void leave_out_unsendable(Fetched& fetched);
  void count_repeated(std::span<const DeviceSample> samples);
  void fill(StoreStatus& status) const;  // what is counted outside of the store thread

  const Options options;
  const Sinks sinks;
  SymbolTable& symbols;
  const std::unique_ptr<StageLog> stage;
  // ---- The main thread.

  bool make_room_in_stage();
  void note_room_in_stage();  // any thread
  void drop_aged_in_stage();
  bool thin_stage(bool for_room);

  UniqueTimes times;
  KeepRules keep_rules;
  std::atomic<bool> stage_was_full{false};  // and what waits there was thinned since
  BootTime stage_age_at{};                  // when to look at ages again

  // ---- Any thread.

  Mailbox<Mail> mailbox;
  Toll toll;
  Exports exports;
  Wear wear;
  std::atomic<int64_t> lost{0};
  std::atomic<bool> losing{false};  // the last sample found no room
  std::atomic<int64_t> appended{0};
  std::atomic<int64_t> repeated{0};
  std::atomic<int64_t> busy_since{0};
  std::atomic<bool> disk_is_open{false};
  std::atomic<int64_t> flushing_up_to{0};  // samples up to this number went to the disk, or may be
  mutable std::mutex mutex;
  std::shared_ptr<const DeviceIds> set_aside = std::make_shared<const DeviceIds>();
  std::condition_variable ended_changed;
  struct Note {
    std::string text;     // guarded by mutex; the rest is the store thread's
    std::string written;  // and on the disk
    BootTime at{};        // not written before it
  };
  std::vector<Note> notes;  // as options.notes
  StoreStatus reported;     // guarded by mutex, as are the next six
  bool ended = false;
  bool all_stored = false;
  StoredClock known;    // but `boot`, which stage 1 has
  bool marked = false;  // the mark has been set by a synchronised clock since the start
  std::optional<int64_t> seen_offset_ms;  // none: main has not said yet
  Unsendable unsendable;
  std::thread thread;  // belongs to the Store

  // ---- The store thread.

  void run();
  void take_mail();
  void take(Wake&) {}
  void take(Fetch& fetch) { fetches.push_back(fetch); }
  void take(Acknowledge& acknowledge);
  void take(ClockNews& news);
  void take(KeepRules& rules) { room.set_keep(std::move(rules)); }
  void take(Stop& stop);
  bool work_waits() const;
  bool clock_is_due() const;  // what is known of time has to be stored
  std::optional<BootTime> flush_at() const;
  BootTime wake_at() const;
  void wait_until(BootTime time);
  void work();
  void export_slice();
  Result<> open_and_write();
  Result<Outbox> open_outbox(const Outbox::Options& wanted);
  void close_if_damaged(const Error& error);
  Result<> stay_in_place();
  Result<> open();
  void warn_if_not_lasting();
  Result<> import_earlier_boot(const std::string& name);
  void keep_stage_in_place();
  Result<> take_over();
  Result<> take_over_notes(const StageLog::Notes& noted);
  Result<> append_making_room(Outbox& old, std::span<const Staged> samples);
  void take_over_clock();
  void note_clock();
  Result<> write();
  Result<> write_what_is_due();
  Result<> flush();
  Result<> flush_part(int64_t up_to);
  Result<> append_to_disk(std::span<const Staged> samples, int64_t up_to);
  void hand_over(const StageLog::Flushed& flushed, int64_t up_to);
  Result<> answer_fetches();
  Result<Fetched> answer_to(const Fetch& fetch);
  Result<Fetched> begin_live();
  Result<> fetch_rows(const Fetch& fetch, Fetched& answer);
  bool may_fetch() const;
  void write_notes(bool with_flush);
  void write_note(size_t i);
  void set_trouble(std::string& trouble, std::string text);
  void log_damaged();
  void report();
  bool finished();

  std::optional<Outbox> outbox;
  Handover handover;
  Room room;
  int64_t flush_bytes = 0;  // of the transaction that is tried
  int restores = 0;
  bool answered_without_disk = false;
  bool opened_read_only = false;  // SQLite stays with that, whatever becomes of the rights
  const BootTime started = BootClock::now();
  BootTime deletes_at{};  // of the deletes that wait
  std::deque<Fetch> fetches;
  std::optional<BootTime> stop_by;
  Backoff retry;
  BootTime retry_at{};                  // nothing is opened or written before it
  BootTime fetch_at{};                  // nothing is read before it
  BootTime look_at_stage{}, look_at{};  // whether the files of either are where they were
  std::string write_trouble, read_trouble, stage_trouble, warning;
  int64_t reported_lost = 0;
  int64_t reported_damaged = 0;
  BootTime status_at{};
  bool status_changed = true;
};

}  // namespace fieldpost
