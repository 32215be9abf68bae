// SPDX-License-Identifier: Apache-2.0
//
// Stage 1 against a naive model, and three threads at once.
#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "base/unique_fd.hpp"
#include "fakes/sanitizer.hpp"
#include "stage_fixture.hpp"

namespace fieldpost {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the fixture
using Numbers = std::vector<int64_t>;

// What a log is to do, with everything kept in a map.
class Model {
 public:
  Model(StageLog::Options options, uint64_t seed) : options_(std::move(options)), random_(seed) {
    log_ = open_stage(options_);
  }

  void step() {
    switch (random_() % 16) {
      case 0:
        return reopen();
      case 1:
        return flush();
      case 2:
        return epoch();
      case 3:
      case 4:
      case 5:
        return acknowledge();
      case 6:
      case 7:
        return look(random_() % 2 == 0);
      default:
        return append();
    }
  }

  void check() const {
    int64_t readings = 0;
    for (const auto& [number, appended] : pending_) readings += readings_of(number);
    ASSERT_EQ(log_->pending_readings(), readings);
    ASSERT_EQ(log_->oldest().has_value(), !pending_.empty());
    if (!pending_.empty()) {
      const auto& [before, after] = pending_.begin()->second;
      ASSERT_TRUE(*log_->oldest() >= before && *log_->oldest() <= after);
    }
    ASSERT_EQ(log_->newest(), newest_);
    ASSERT_EQ(log_->flushed_up_to(), flushed_);
    ASSERT_EQ(log_->held(), held_);
    ASSERT_EQ(log_->epochs(), epochs_);
  }
  int64_t newest() const { return newest_; }
  int64_t full() const { return full_; }

 private:
  void append() {
    const auto count = static_cast<int64_t>(1 + random_() % 8);
    const BootTime before = BootClock::now();
    const auto done = log_->append(numbered(newest_ + 1, count));
    if (!done) {
      ASSERT_EQ(done.error().code, Errc::Full);
      ASSERT_FALSE(pending_.empty());
      ++full_;
      return flush();
    }
    for (int64_t i = 0; i < count; ++i) pending_[++newest_] = {before, BootClock::now()};
  }
  void acknowledge() {
    Numbers given;
    for (uint64_t n = random_() % 12; n > 0; --n) {
      const auto number = static_cast<int64_t>(random_() % 30) - 5;
      given.push_back(random_() % 3 == 0 ? flushed_ + number : newest_ - number);
    }
    const bool range = random_() % 4 == 0;
    for (int64_t n = flushed_ + 1; range && n < flushed_ + 20; ++n) given.push_back(n);
    ASSERT_TRUE(log_->acknowledge(given, {}));
    for (const int64_t n : given) {
      if (n >= 1 && n <= newest_) acknowledged_.insert(n);
      if (n > flushed_ && n <= read_ && pending_.contains(n)) late_.insert(n);
      if (n > flushed_ && n <= read_ && pending_.contains(n)) known_.insert(n);
      if (handed_.contains(n)) known_.insert(n);
      pending_.erase(n);
    }
  }
  void flush() {
    const auto ahead = static_cast<int64_t>(random_() % 100);
    const int64_t up_to = std::min(newest_, flushed_ + ahead - 5);
    const auto made = rows_of_flush(up_to);
    ASSERT_EQ(log_->flushed(up_to, made).held, held_);
    flushed_ = std::max(flushed_, up_to);
    pending_.erase(pending_.begin(), pending_.upper_bound(flushed_));
    late_.erase(late_.begin(), late_.upper_bound(flushed_));
    // What did not get into a row is nowhere any more.
    std::erase_if(known_, [&](int64_t n) { return n <= flushed_ && !row_of_.contains(n); });
    settle();
  }
  // As the disk makes them of what read() gave.
  std::vector<MadeRow> rows_of_flush(int64_t up_to) {
    Numbers all;
    for (const auto& [n, appended] : pending_) {
      if (n <= up_to) all.push_back(n);
    }
    std::ranges::copy_if(late_, std::back_inserter(all), [&](int64_t n) { return n <= up_to; });
    std::ranges::sort(all);
    std::vector<MadeRow> made;
    for (size_t i = 0; i < all.size(); i += 3) {
      const auto some = std::span(all).subspan(i, std::min<size_t>(3, all.size() - i));
      MadeRow row{.row = (some.back() << 8) + 1, .members = {}};
      for (const int64_t n : some) row.members.push_back({.number = n, .ms = ms_of(n)});
      const bool taken =
          std::ranges::any_of(some, [&](int64_t n) { return n <= held_ || late_.contains(n); });
      for (const int64_t n : some) {
        row_of_[n] = row.row;
        if (taken) handed_.insert(n);
      }
      made.push_back(std::move(row));
    }
    return made;
  }
  // The disk has deleted all but the newest rows.
  void settle() {
    Settled settled;
    for (auto it = row_of_.begin(); row_of_.size() > 20;) {
      const int64_t row = it->second;
      settled.rows.insert(row);
      for (; it != row_of_.end() && it->second == row; it = row_of_.erase(it)) {
        known_.erase(it->first);
        handed_.erase(it->first);
      }
    }
    if (!known_.empty() && row_of_.contains(*known_.begin())) {  // taken out of its row
      const int64_t n = *known_.begin();
      const auto parts = log_->notes().parts;
      if (parts.contains(row_of_[n]) && parts.at(row_of_[n]).contains(ms_of(n))) {
        settled.parts.push_back({.row = row_of_[n], .ms = ms_of(n)});
        known_.erase(n);
      }
    }
    log_->settle(settled);
  }
  static int64_t ms_of(int64_t n) { return n * 10 - 1000; }
  // All that must be known is, and what is known was acknowledged.
  void check_notes() {
    const StageLog::Notes notes = log_->notes();
    for (const Staged& s : notes.samples) {
      ASSERT_EQ(*s.sample.device, *numbered(s.number).device);
      ASSERT_EQ(s.sample.time.ms, numbered(s.number).time.ms);
    }
    const Numbers samples = numbers(notes.samples);
    ASSERT_TRUE(std::ranges::includes(acknowledged_, samples));
    std::set<int64_t> found(samples.begin(), samples.end());
    size_t parts = 0;
    for (const auto& [n, row] : row_of_) {
      const auto some = notes.parts.find(row);
      const bool part = some != notes.parts.end() && some->second.contains(ms_of(n));
      parts += part ? 1 : 0;
      if (!part && !notes.rows.contains(row)) continue;
      ASSERT_TRUE(acknowledged_.contains(n)) << n;
      found.insert(n);
    }
    // Where notes would take more than half of a file, not all are kept.
    for (const int64_t n : known_) ASSERT_TRUE(found.contains(n) || options_.bytes < 80'000) << n;
    known_ = std::move(found);
    std::erase_if(known_, [&](int64_t n) { return n <= flushed_ && !row_of_.contains(n); });
  }
  void epoch() {
    if (epochs_.size() == 20) return;  // a file of this size takes no more
    const auto since = static_cast<int64_t>(random_() % 100);
    const int64_t last = epochs_.empty() ? INT64_MIN : epochs_.back().since_ms + 1;
    epochs_.push_back({std::max(since, last), static_cast<int64_t>(random_())});
    ASSERT_TRUE(log_->append_epoch({since, epochs_.back().offset_ms}));
  }
  void look(bool take) {
    int64_t after = newest_ - static_cast<int64_t>(random_() % 80);
    if (take && after < log_->flushed_up_to()) {
      ASSERT_FALSE(*log_->take(after, 1)) << "what the disk has comes first";
      after = log_->flushed_up_to();
    }
    const size_t most = random_() % 40;
    Result<std::vector<Staged>> found = take ? **log_->take(after, most) : log_->read(after, most);
    ASSERT_TRUE(found) << found.error().message;
    Numbers expected;
    size_t points = 0;
    for (auto it = pending_.upper_bound(after); it != pending_.end(); ++it) {
      if (points >= most && !expected.empty()) break;
      expected.push_back(it->first);
      points += static_cast<size_t>(readings_of(it->first));
    }
    ASSERT_EQ(numbers(*found), expected);
    expect_numbered(*found);
    if (take) held_ = expected.empty() ? after : expected.back();
    if (!take && !expected.empty()) read_ = std::max(read_, expected.back());
  }
  void reopen() {
    log_.reset();
    log_ = open_stage(options_);
    for (auto& [number, appended] : pending_) appended = {};
    held_ = 0;
    read_ = newest_;
    late_.clear();
    handed_.clear();
    Numbers left;
    for (const auto& [number, appended] : pending_) left.push_back(number);
    const auto all = numbers(**log_->take(log_->flushed_up_to(), SIZE_MAX));
    held_ = all.empty() ? log_->flushed_up_to() : all.back();
    ASSERT_EQ(all, left);
    ASSERT_EQ(log_->epochs(), epochs_);
    ASSERT_NO_FATAL_FAILURE(check_notes());
    std::vector<Handover::Part> parts;
    for (const Staged& s : log_->notes().samples) {
      if (s.number > flushed_ || !row_of_.contains(s.number)) continue;
      parts.push_back({.row = row_of_[s.number], .ms = ms_of(s.number)});
    }
    log_->found(parts);
  }

  StageLog::Options options_;
  std::mt19937_64 random_;
  std::unique_ptr<StageLog> log_;
  std::map<int64_t, std::pair<BootTime, BootTime>> pending_;  // appended between
  std::set<int64_t> acknowledged_;
  std::set<int64_t> late_;             // while the disk was taking it
  std::set<int64_t> known_;            // acknowledged, and still on the disk, or may be
  std::map<int64_t, int64_t> row_of_;  // of what is on the disk
  std::set<int64_t> handed_;           // of that, what is handed out by its number
  std::vector<Epoch> epochs_;
  int64_t newest_ = 0;
  int64_t flushed_ = 0;
  int64_t held_ = 0;
  int64_t read_ = 0;
  int64_t full_ = 0;
};

TEST(StageTorture, DoesAsTheModelDoes) {
  const uint64_t seed = test::seed();
  SCOPED_TRACE("FIELDPOST_SEED=" + std::to_string(seed));
  int64_t full = 0;
  for (const int64_t bytes : {1500, 6000, 40'000, 1'000'000}) {
    const test::TempDir dir{test::tmpfs()};
    Model model(stage_options(dir / "", bytes), seed + static_cast<uint64_t>(bytes));
    for (int i = 0; i < test::turns(test::is_long() ? 200'000 : 20'000); ++i) {
      ASSERT_NO_FATAL_FAILURE(model.step()) << "step " << i << ", " << bytes << " bytes";
      ASSERT_NO_FATAL_FAILURE(model.check()) << "step " << i << ", " << bytes << " bytes";
    }
    EXPECT_GT(model.newest(), 100);
    full += model.full();
  }
  EXPECT_GT(full, 0) << "it never was full";
}

// ---- Threads.

TEST(StageTorture, ThreeThreadsAtOnce) {
  const test::TempDir dir{test::tmpfs()};
  auto log = open_stage(stage_options(dir.path(), 1 << 20));
  const auto until = BootClock::now() + std::chrono::seconds(test::is_long() ? 30 : 1);
  std::set<int64_t> acknowledged;
  std::set<int64_t> written;
  std::thread uplink([&] {
    for (int64_t after = 0; BootClock::now() < until;) {
      const auto taken = log->take(after, 50);
      ASSERT_TRUE(taken) << taken.error().message;
      if (!*taken) {  // the disk was quicker
        after = log->flushed_up_to();
        continue;
      }
      ASSERT_NO_FATAL_FAILURE(expect_numbered(**taken));
      Numbers done = numbers(**taken);
      if (!done.empty()) after = done.back();
      std::erase_if(done, [](int64_t n) { return n % 3 == 0; });
      // Full: the disk is behind, and the reserve is used up; it is acknowledged all the same.
      const auto noted = log->acknowledge(done, {});
      ASSERT_TRUE(noted || noted.error().code == Errc::Full);
      acknowledged.insert(done.begin(), done.end());
    }
  });
  std::thread disk([&] {
    while (BootClock::now() < until) {
      const auto read = log->read(log->flushed_up_to(), 200);
      ASSERT_TRUE(read) << read.error().message;
      ASSERT_NO_FATAL_FAILURE(expect_numbered(*read));
      const Numbers all = numbers(*read);
      written.insert(all.begin(), all.end());
      if (!all.empty()) log->flushed(all.back());
    }
  });
  while (BootClock::now() < until) {
    const auto done = log->append(numbered(log->newest() + 1, 4));
    ASSERT_TRUE(done || done.error().code == Errc::Full);
    (void)log->oldest();
    (void)log->pending_readings();
  }
  uplink.join();
  disk.join();
  EXPECT_GT(written.size(), 10U);
  EXPECT_GT(acknowledged.size(), 10U);
  const Numbers left = numbers(read_all(*log));
  const std::set<int64_t> pending(left.begin(), left.end());
  for (int64_t n = 1; n <= log->newest(); ++n) {
    const bool gone = written.contains(n) || acknowledged.contains(n);
    ASSERT_TRUE(gone || pending.contains(n)) << n << " is lost";
    ASSERT_FALSE(n <= log->flushed_up_to() && pending.contains(n)) << n;
    ASSERT_FALSE(acknowledged.contains(n) && pending.contains(n)) << n;
  }
}

}  // namespace
}  // namespace fieldpost
