// SPDX-License-Identifier: Apache-2.0
//
// Stage 1 with a tmpfs that fails: the n-th call, for every n until none is left to fail, and calls
// at random. What append() has taken is there, once and to the bit, also for a later process; what
// it has refused is not. The calls are wrapped by the linker (--wrap, tests/store/CMakeLists.txt).
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <map>
#include <random>
#include <set>

#include "stage_fixture.hpp"
#include "store/command_log.hpp"

namespace fieldpost {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the fixture

enum class Call : uint8_t { Write, Read, Reserve };
// An errno to fail with, 0: goes through.
std::function<int(Call)> tmpfs_says;
bool writes_half = false;  // a write that fails has brought its first half

int ask(Call call) { return tmpfs_says ? tmpfs_says(call) : 0; }

}  // namespace
}  // namespace fieldpost

// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming): the linker's names
extern "C" {
ssize_t __real_pwrite(int fd, const void* from, size_t size, off_t offset);
ssize_t __real_pread(int fd, void* to, size_t size, off_t offset);
int __real_posix_fallocate(int fd, off_t offset, off_t size);

ssize_t __wrap_pwrite(int fd, const void* from, size_t size, off_t offset) {
  const int failure = fieldpost::ask(fieldpost::Call::Write);
  if (failure == 0) return __real_pwrite(fd, from, size, offset);
  if (fieldpost::writes_half) (void)!__real_pwrite(fd, from, size / 2, offset);
  errno = failure;
  return -1;
}
ssize_t __wrap_pread(int fd, void* to, size_t size, off_t offset) {
  const int failure = fieldpost::ask(fieldpost::Call::Read);
  if (failure == 0) return __real_pread(fd, to, size, offset);
  errno = failure;
  return -1;
}
int __wrap_posix_fallocate(int fd, off_t offset, off_t size) {
  const int failure = fieldpost::ask(fieldpost::Call::Reserve);
  return failure == 0 ? __real_posix_fallocate(fd, offset, size) : failure;
}
}
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)

namespace fieldpost {
namespace {

// Lives of several processes with one log, and what must be in it.
class StageLife {
 public:
  explicit StageLife(uint64_t seed) : random_(seed) {}

  void live() {
    ASSERT_NO_FATAL_FAILURE(reopen());
    for (int step = 1; step <= 120; ++step) {
      append();
      if (step % 3 == 0) acknowledge();
      if (step % 40 == 5) append_epoch();
      if (step % 12 == 0) flush();
      if (step % 30 != 0) continue;
      ASSERT_NO_FATAL_FAILURE(reopen());
    }
    tmpfs_says = nullptr;
    ASSERT_NO_FATAL_FAILURE(reopen());
  }

 private:
  // As after a kill, by the next process. One that cannot open it does no harm to it.
  void reopen() {
    log_.reset();
    for (int attempt = 1; log_ == nullptr; ++attempt) {
      auto opened = StageLog::open(stage_options(dir_.path(), 4096), symbols());
      ASSERT_TRUE(opened || attempt < 100) << opened.error().message;
      if (opened) log_ = *std::move(opened);
    }
    log_->flushed(flushed_);  // as the outbox says
    const auto epochs = log_->epochs();
    ASSERT_EQ(epochs.size(), epochs_.size());
    for (size_t i = 0; i < epochs.size(); ++i) ASSERT_EQ(epochs[i].offset_ms, epochs_[i]);
    // What was acknowledged, and could not be noted, may be there again.
    for (const int64_t number : numbers(read())) {
      if (unsure_.contains(number)) pending_.insert(number);
    }
    unsure_.clear();
    check();
  }

  void append() {
    const int64_t first = log_->newest() + 1;
    const auto count = static_cast<int64_t>(1 + random_() % 4);
    if (log_->append(numbered(first, count))) {
      for (int64_t n = first; n < first + count; ++n) pending_.insert(n);
    }
    check();
  }

  void acknowledge() {
    std::vector<int64_t> some;
    for (const int64_t number : pending_) {
      if (some.size() < 6 && random_() % 4 != 0) some.push_back(number);
    }
    const auto noted = log_->acknowledge(some, {});
    for (const int64_t number : some) {
      pending_.erase(number);
      if (!noted) unsure_.insert(number);
    }
    check();
  }

  void append_epoch() {
    const Epoch epoch{.since_ms = log_->newest() * 1000 + 1, .offset_ms = log_->newest()};
    if (log_->append_epoch(epoch)) epochs_.push_back(epoch.offset_ms);
  }

  void flush() {
    flushed_ = log_->newest() - static_cast<int64_t>(random_() % 4);
    flushed_ = std::max<int64_t>(flushed_, log_->flushed_up_to());
    log_->flushed(flushed_);
    std::erase_if(pending_, [&](int64_t n) { return n <= flushed_; });
    std::erase_if(unsure_, [&](int64_t n) { return n <= flushed_; });
    check();
  }

  // A reading that fails says so, and another one may work.
  std::vector<Staged> read() const {
    for (int attempt = 1; attempt < 100; ++attempt) {
      if (auto staged = log_->read(0, SIZE_MAX)) return *std::move(staged);
    }
    ADD_FAILURE() << "it cannot be read any more";
    return {};
  }

  void check() const {
    const auto staged = read();
    EXPECT_EQ(numbers(staged), std::vector<int64_t>(pending_.begin(), pending_.end()));
    expect_numbered(staged);
    int64_t readings = 0;
    for (const int64_t number : pending_) readings += readings_of(number);
    EXPECT_EQ(log_->pending_readings(), readings);
  }

  std::mt19937_64 random_;
  test::TempDir dir_{test::tmpfs()};
  std::unique_ptr<StageLog> log_;
  std::set<int64_t> pending_;
  std::set<int64_t> unsure_;
  std::vector<int64_t> epochs_;  // offsets
  int64_t flushed_ = 0;
};

// The n-th call of a kind, and those after it, `calls` in all. For every n, or, so that each comes
// in its turn, for some from a random one on.
void live_through(Call kind, int failure, int calls) {
  const int64_t step = test::is_long() ? 1 : kind == Call::Read ? 7 : kind == Call::Write ? 3 : 1;
  for (int64_t n = 1 + static_cast<int64_t>(test::seed()) % step;; n += step) {
    SCOPED_TRACE("call " + std::to_string(n));
    int64_t seen = 0;
    tmpfs_says = [&](Call call) {
      if (call != kind) return 0;
      ++seen;
      return seen >= n && seen < n + calls ? failure : 0;
    };
    StageLife(7).live();
    tmpfs_says = nullptr;
    if (::testing::Test::HasFailure()) return;
    if (seen < n) return;
  }
}

class StageFault : public ::testing::Test {
 protected:
  ~StageFault() override {
    tmpfs_says = nullptr;
    writes_half = false;
  }
};

TEST_F(StageFault, KeepsWhatItHasTakenWhenAWriteFails) {
  live_through(Call::Write, ENOSPC, 1);
  live_through(Call::Write, EIO, 3);
}

TEST_F(StageFault, KeepsWhatItHasTakenWhenHalfIsWritten) {
  writes_half = true;
  live_through(Call::Write, ENOSPC, 1);
  live_through(Call::Write, EIO, 3);
}

TEST_F(StageFault, KeepsWhatItHasTakenWhenAReadFails) { live_through(Call::Read, EIO, 1); }

TEST_F(StageFault, KeepsWhatItHasTakenWhenThereIsNoRoomToOpen) {
  live_through(Call::Reserve, ENOSPC, 2);
}

TEST_F(StageFault, KeepsWhatItHasTakenWhateverFails) {
  const uint64_t seed = test::seed();
  SCOPED_TRACE("FIELDPOST_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (int life = 0; life < (test::is_long() ? 5000 : 200); ++life) {
    SCOPED_TRACE(life);
    writes_half = random() % 2 == 0;
    const uint64_t one_in = 200 + random() % 1000;  // a life has some 2000
    tmpfs_says = [&](Call call) {
      return random() % one_in != 0 ? 0 : call == Call::Read ? EIO : ENOSPC;
    };
    StageLife(random()).live();
    ASSERT_FALSE(HasFailure());
  }
}

// Processes with one log of commands, each ending anywhere. Runs what the contract lets run.
class CommandLives {
 public:
  explicit CommandLives(uint64_t seed) : random_(seed) {}

  void live() {
    CommandLog log({.folder = dir_.path(),
                    .boot_id = "boot",
                    .bytes = 8192,
                    .retry = std::chrono::seconds(0)});
    for (int i = 0; i < 30; ++i) {
      for (const auto& [command, status] : log.take_found()) {
        if (status == CommandStatus::Received) go_on(log, command);
        if (status == CommandStatus::Accepted) end(log, command, CommandStatus::Unknown);
      }
      IncomingCommand fresh{.payload = std::to_string(++last_) + std::string(random_() % 200, 'x')};
      const auto number = log.received(fresh);
      fresh.number = number.value_or(0);
      const bool refused = !number && number.error().code == Errc::Full;
      if (!refused && random_() % 8 > 0) go_on(log, fresh);
      if (random_() % 40 == 0) return;  // killed
    }
  }
  int most() const {
    int most = 0;
    for (const auto& [id, times] : runs_) most = std::max(most, times);
    return most;
  }
  size_t ran() const { return runs_.size(); }

 private:
  void go_on(CommandLog& log, const IncomingCommand& command) {
    if (!log.step(command.number, CommandStatus::Accepted)) return;
    ++runs_[std::stoi(command.payload)];
    if (random_() % 8 > 0) end(log, command, CommandStatus::Done);
  }
  static void end(CommandLog& log, const IncomingCommand& command, CommandStatus status) {
    (void)log.step(command.number, status);
  }

  test::TempDir dir_{test::tmpfs()};
  std::mt19937_64 random_;
  int last_ = 0;
  std::map<int, int> runs_;
};

TEST(CommandLogFault, NoneRunsTwiceWhateverFails) {
  const uint64_t seed = test::seed();
  SCOPED_TRACE("FIELDPOST_SEED=" + std::to_string(seed));
  for (const bool half : {false, true}) {
    CommandLives lives(seed);
    std::mt19937_64 random(seed);
    writes_half = half;
    tmpfs_says = [&](Call) { return random() % 20 == 0 ? EIO : 0; };
    for (int i = 0; i < (test::is_long() ? 5000 : 300); ++i) lives.live();
    tmpfs_says = nullptr;
    writes_half = false;
    EXPECT_GT(lives.ran(), 1000u);
    EXPECT_EQ(lives.most(), 1);
  }
}

}  // namespace
}  // namespace fieldpost
