// SPDX-License-Identifier: Apache-2.0
//
// Both stages with a disk that fails at the n-th call, for every n until a whole life passes
// without it: the disk is full, does not write, writes half, does not sync, does not read or does
// not answer, once or for a while. Never a crash, never a wrong value, and once the fault is over
// every reading has been delivered, once.
#include <sqlite3.h>

#include <atomic>
#include <condition_variable>
#include <random>
#include <thread>

#include "fakes/faulty_vfs.hpp"
#include "fakes/test_env.hpp"
#include "store_ears.hpp"

namespace fieldpost {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the fixture
using Op = FaultyVfs::Op;

struct Fault {
  const char* name;
  int code;
  bool (*hits)(Op);
  int calls;                // that fail, from the n-th on
  bool stalls = false;      // it is held up instead, until main and uplink have gone on
  bool disk_first = false;  // durability
};

// NOLINTNEXTLINE(readability-identifier-naming): the name gtest looks for
void PrintTo(const Fault& fault, std::ostream* out) { *out << fault.name; }

// One life: created, filled, half drained, stopped, started again, drained. On one thread, which is
// main's and the uplink's; the store's is the Store's own.
class Trial {
 public:
  Trial(const Fault& fault, int64_t n) : fault_(fault), n_(n) {}

  const std::string& folder() const { return dir_.path(); }
  bool met() const { return seen_ >= n_; }

  // What the disk says to this call.
  int on(const FaultyVfs::Call& call) {
    if (over_ || !fault_.hits(call.op)) return SQLITE_OK;
    const int64_t number = ++seen_;
    if (number < n_ || number >= n_ + fault_.calls) return SQLITE_OK;
    if (fault_.stalls) hold_up();
    return fault_.code;
  }

  // What went wrong, in words; empty: nothing.
  std::string live() {
    for (int process = 1; process <= 2; ++process) {
      Store store(options(), sinks(), symbols());
      after_ = item_id::kBeforeAll;
      testing::keep(store, {.since_ms = 0, .offset_ms = kOffset, .estimated = true});
      store.start();
      for (int round = 0; round < 2; ++round) {
        for (int i = 0; i < 3; ++i) append(store);
        if (!wait(store, [&] { return store.status().staged == 0; })) return "it is not stored";
        if (!drain(store, round == 0 ? 2 : process == 1 ? 0 : 1000)) return "no answer to a fetch";
      }
      if (store.status().lost != 0) return "it says that readings are lost";
      if (!stop(store)) return "it cannot be stopped";
    }
    over_ = true;
    if (delivered_ != appended_) return difference();
    return what_is_left();
  }

 private:
  static constexpr int64_t kOffset = 1'700'000'000'000;

  Store::Options options() const {
    return {.folder = folder(),
            .run_folder = folder(),
            .boot_id = kBoot,
            .flush_interval = 2ms,
            .disk_first = fault_.disk_first,
            .stage_bytes = 1 << 20};
  }

  Store::Sinks sinks() {
    return {.committed = [this](int64_t) { hear([] {}); },
            .stored = [this](int64_t) { hear([] {}); },
            .chunks =
                [this](Fetched fetched) {
                  hear([&] {
                    chunks_ = std::move(fetched.chunks);
                    answered_ = true;
                  });
                },
            .backlog = [this] { hear([] {}); },
            .status = [this](const StoreStatus&) { hear([] {}); },
            .clock = [] {}};
  }

  template <class F>
  void hear(F f) {
    const std::scoped_lock lock(mutex_);
    f();
    heard_.notify_all();
  }

  // The store thread stands here.
  void hold_up() {
    std::unique_lock lock(mutex_);
    stalled_ = true;
    heard_.notify_all();
    heard_.wait(lock, [this] { return !stalled_; });
  }

  // Until the condition holds. A disk that stalls meanwhile does so until a reading was taken.
  template <class Condition>
  bool wait(Store& store, Condition condition) {
    const auto deadline = BootClock::now() + kPatience;
    std::unique_lock lock(mutex_);
    while (!condition()) {
      if (stalled_) {
        lock.unlock();
        append(store);
        EXPECT_NE(store.status().busy_since_ns, 0) << "it says so";
        lock.lock();
        stalled_ = false;
        heard_.notify_all();
      }
      if (BootClock::now() > deadline) return false;
      heard_.wait_for(lock, 1s, [&] { return stalled_ || condition(); });
    }
    return true;
  }

  void append(Store& store) {
    const int64_t i = ++samples_;  // new names all the time
    const DeviceSample made = sample("d" + std::to_string(i % 2), i,
                                     {{"a" + std::to_string(i), static_cast<double>(i) / 10},
                                      {"text", std::string(static_cast<size_t>(i) * 97, 'x')}});
    for (const Point& point : made.points) {
      ++appended_[describe(*made.device, kOffset + i, point)];
    }
    store.append({made});
  }

  // Takes and acknowledges so many chunks, or all there are.
  bool drain(Store& store, int chunks) {
    while (chunks > 0) {
      answered_ = false;
      store.fetch(Lane::All, after_, 1);
      if (!wait(store, [this] { return answered_; })) return false;
      if (chunks_.empty()) return true;
      for (const Chunk& chunk : chunks_) {
        after_ = std::max(after_, chunk.row);
        for (const std::string& reading : describe({chunk})) ++delivered_[reading];
        store.acknowledge({chunk.row});
        --chunks;
      }
    }
    return true;
  }

  // Also through a stall, where a service manager would be patient.
  bool stop(Store& store) {
    std::atomic<bool> stored{false};
    std::atomic<bool> ended{false};
    std::thread stopping([&] {
      stored = store.stop(kPatience);
      hear([&] { ended = true; });
    });
    {
      std::unique_lock lock(mutex_);
      heard_.wait(lock, [&] { return stalled_ || ended; });
      stalled_ = false;
      heard_.notify_all();
    }
    stopping.join();
    return stored;
  }

  std::string difference() const {
    std::string text = "not delivered once:";
    for (const auto& [reading, count] : appended_) {
      const auto found = delivered_.find(reading);
      const int times = found == delivered_.end() ? 0 : found->second;
      if (times != count) text += "\n  " + std::to_string(times) + " times " + reading;
    }
    for (const auto& [reading, count] : delivered_) {
      if (!appended_.contains(reading)) text += "\n  nobody appended " + reading;
    }
    return text;
  }

  std::string what_is_left() const {
    const auto outbox = Outbox::open(outbox_options(folder(), kBoot), symbols());
    if (!outbox) return outbox.error().message;
    if (outbox->totals().rows != 0 || outbox->totals().readings != 0) return "rows are left";
    for (const auto& entry : std::filesystem::directory_iterator(folder())) {
      if (entry.path().string().find(".broken-") != std::string::npos) return "taken for damaged";
    }
    return "";
  }

  const Fault& fault_;
  const int64_t n_;
  const test::TempDir dir_{test::tmpfs()};
  std::atomic<int64_t> seen_{0};
  std::atomic<bool> over_{false};  // from then on it is only looked at
  std::mutex mutex_;               // guards the next three, beside their thread
  std::condition_variable heard_;
  std::vector<Chunk> chunks_;
  bool answered_ = false;
  bool stalled_ = false;
  int64_t after_ = 0;
  int64_t samples_ = 0;
  std::map<std::string, int> appended_, delivered_;  // readings, and how often
};

// Many trials at a time, as each mostly waits for the store's next attempt.
class Trials {
 public:
  explicit Trials(const Fault& fault) : fault_(fault) {
    vfs_.set_policy([this](const FaultyVfs::Call& call) {
      const std::string folder = std::filesystem::path(call.path).parent_path();
      Trial* trial = nullptr;
      {
        const std::scoped_lock lock(mutex_);
        if (const auto found = trials_.find(folder); found != trials_.end()) trial = found->second;
      }
      return trial != nullptr ? trial->on(call) : SQLITE_OK;
    });
  }

  void run() {
    std::vector<std::thread> workers;
    for (int i = 0; i < 12; ++i) workers.emplace_back([this] { work(); });
    for (std::thread& worker : workers) worker.join();
    std::printf("%lld calls of a life\n", static_cast<long long>(end_ - 1));
    EXPECT_GT(end_, fault_.calls) << "there was something to fail";
  }

 private:
  void work() {
    for (int64_t n = next_.fetch_add(step_); n < end_; n = next_.fetch_add(step_)) {
      Trial trial(fault_, n);
      enter(trial.folder(), &trial);
      const std::string wrong = trial.live();
      enter(trial.folder(), nullptr);
      EXPECT_EQ(wrong, "") << "when call " << n << " fails";
      if (!wrong.empty() || !trial.met()) end_ = std::min<int64_t>(end_, n);
    }
  }

  void enter(const std::string& folder, Trial* trial) {
    const std::scoped_lock lock(mutex_);
    trials_[folder] = trial;
  }

  const Fault& fault_;
  // Every call, or, so that all of them come in their turn, some from a random one on.
  const int64_t step_ = long_tests() ? 1 : 5;
  std::atomic<int64_t> next_{1 + static_cast<int64_t>(std::random_device{}() % 5) % step_};
  std::atomic<int64_t> end_{1'000'000};
  std::mutex mutex_;
  std::map<std::string, Trial*> trials_;  // by folder; guarded by mutex_
  FaultyVfs vfs_;
};

bool any_change(Op op) { return FaultyVfs::changing(op); }
bool a_write(Op op) { return op == Op::Write; }
bool a_sync(Op op) { return op == Op::Sync; }
bool a_read(Op op) { return op == Op::Read; }

constexpr Fault kFaults[] = {
    {.name = "FullOnce", .code = SQLITE_FULL, .hits = any_change, .calls = 1},
    {.name = "FullForAWhile", .code = SQLITE_FULL, .hits = any_change, .calls = 6},
    {.name = "FullOnceDiskFirst",
     .code = SQLITE_FULL,
     .hits = any_change,
     .calls = 1,
     .disk_first = true},
    {.name = "FailsOnce", .code = SQLITE_IOERR_WRITE, .hits = any_change, .calls = 1},
    {.name = "FailsForAWhile", .code = SQLITE_IOERR_WRITE, .hits = any_change, .calls = 6},
    {.name = "FailsForAWhileDiskFirst",
     .code = SQLITE_IOERR_WRITE,
     .hits = any_change,
     .calls = 6,
     .disk_first = true},
    {.name = "WritesHalfOnce", .code = FaultyVfs::kHalf, .hits = a_write, .calls = 1},
    {.name = "WritesHalfForAWhile", .code = FaultyVfs::kHalf, .hits = a_write, .calls = 4},
    {.name = "DoesNotSyncOnce", .code = SQLITE_IOERR_FSYNC, .hits = a_sync, .calls = 1},
    {.name = "DoesNotSyncForAWhile", .code = SQLITE_IOERR_FSYNC, .hits = a_sync, .calls = 3},
    {.name = "DoesNotReadOnce", .code = SQLITE_IOERR_READ, .hits = a_read, .calls = 1},
    {.name = "DoesNotReadForAWhile",
     .code = SQLITE_IOERR_READ,
     .hits = a_read,
     .calls = 3,
     .disk_first = true},
    {.name = "Stalls", .code = SQLITE_OK, .hits = any_change, .calls = 1, .stalls = true},
    {.name = "StallsReading", .code = SQLITE_OK, .hits = a_read, .calls = 1, .stalls = true},
};

class StoreFault : public ::testing::TestWithParam<Fault> {};

TEST_P(StoreFault, LosesNothingAtAnyCall) { Trials(GetParam()).run(); }

INSTANTIATE_TEST_SUITE_P(Disk, StoreFault, ::testing::ValuesIn(kFaults),
                         [](const auto& fault) { return std::string(fault.param.name); });

}  // namespace
}  // namespace fieldpost
