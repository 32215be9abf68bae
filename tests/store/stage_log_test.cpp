// SPDX-License-Identifier: Apache-2.0
#include "store/stage_log.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "stage_fixture.hpp"

namespace fieldpost {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the fixture
using Numbers = std::vector<int64_t>;

class StageLogTest : public ::testing::Test {
 protected:
  void SetUp() override { reopen(); }
  // As after the end of the process, whichever.
  void reopen() {
    log_.reset();
    log_ = open_stage(options_);
    ASSERT_NE(log_, nullptr);
  }
  // The next `count` samples together.
  void append(int64_t count = 1) {
    const auto done = log_->append(numbered(log_->newest() + 1, count));
    ASSERT_TRUE(done) << done.error().message;
  }
  void acknowledge(const Numbers& samples, const Numbers& rows = {}) {
    const auto done = log_->acknowledge(samples, rows);
    ASSERT_TRUE(done) << done.error().message;
  }
  Numbers pending() const {
    const auto staged = read_all(*log_);
    expect_numbered(staged);
    return numbers(staged);
  }
  Numbers rows() const {
    Numbers all;
    for (const auto& [first, last] : log_->notes().rows) {
      for (int64_t row = first; row <= last; ++row) all.push_back(row);
    }
    return all;
  }
  // Appends and has acknowledged until the log has turned so often.
  void turn(int times) {
    for (int left = times; left > 0;) {
      const auto before = std::filesystem::file_size(dir_ / "stage.0");
      ASSERT_NO_FATAL_FAILURE(append(40));
      Numbers all;
      const auto looked = log_->look(0, SIZE_MAX);
      ASSERT_TRUE(looked);
      for (const Staged& s : *looked) all.push_back(s.number);
      ASSERT_NO_FATAL_FAILURE(acknowledge(all));
      ASSERT_EQ(std::filesystem::file_size(dir_ / "stage.0"), before);
      left = times - static_cast<int>(generation() - 1);
    }
  }
  uint64_t generation() const {
    return std::max(StageFile::header_of(dir_ / "stage.0")->generation,
                    StageFile::header_of(dir_ / "stage.1")->generation);
  }

  test::TempDir dir_{test::tmpfs()};
  StageLog::Options options_ = stage_options(dir_.path());
  std::unique_ptr<StageLog> log_;
};

TEST_F(StageLogTest, KeepsValuesNamesAndTimesToTheBit) {
  using Limits = std::numeric_limits<double>;
  options_.bytes = 4 << 20;
  reopen();
  const std::string long_name(1000, 'n');
  const std::vector<std::pair<std::string, Value>> values = {{"a", 0.1},
                                                             {"b", -0.0},
                                                             {"c", Limits::denorm_min()},
                                                             {"d", Limits::max()},
                                                             {"e", -1e-300},
                                                             {"f", true},
                                                             {"g", false},
                                                             {"h", std::string()},
                                                             {"i", std::string("a\0b", 3)},
                                                             {"j", "gr\u00FC\u00DFe \U0001F600"},
                                                             {"k", std::string(kMaxText, 'x')},
                                                             {"a", 0.2},
                                                             {"", 1.0},
                                                             {long_name, 2.0},
                                                             {"\u00E4", 3.0},
                                                             {"b", Limits::quiet_NaN()}};
  std::vector<DeviceSample> samples;
  for (const int64_t ms : {int64_t{0}, int64_t{-1}, INT64_MAX, INT64_MIN, int64_t{1795407382474}}) {
    samples.push_back(sample("device", ms, values, CaptureTime::Base::Utc));
    samples.push_back(sample(long_name, ms, values, CaptureTime::Base::ThisBoot));
  }
  samples.push_back(sample("", 5, {}));
  ASSERT_TRUE(log_->append(samples));
  std::vector<std::string> expected;
  for (const DeviceSample& s : samples) {
    expected.push_back(std::to_string(expected.size() + 1) + ":" + text(s));
  }
  EXPECT_EQ(texts(read_all(*log_)), expected);
  reopen();
  EXPECT_EQ(texts(read_all(*log_)), expected);
}

TEST_F(StageLogTest, NumbersFromOneAndGoesOnAfterReopening) {
  EXPECT_EQ(log_->newest(), 0);
  append(3);
  append();
  EXPECT_EQ(log_->newest(), 4);
  ASSERT_TRUE(log_->append({}));
  const uint64_t id = log_->id();
  reopen();
  EXPECT_EQ(log_->newest(), 4);
  EXPECT_EQ(log_->id(), id);
  EXPECT_EQ(log_->boot(), kBoot);
  append();
  EXPECT_EQ(pending(), (Numbers{1, 2, 3, 4, 5}));
}

TEST_F(StageLogTest, NumbersAreNotUsedAgainThoughNoSampleIsLeft) {
  append(10);
  acknowledge({1, 2, 3, 4, 5, 6, 7, 8, 9, 10});
  // Turns twice without a sample in between.
  for (int64_t row = 1; generation() < 3; row += 2) acknowledge({}, {row, row + 1});
  reopen();
  EXPECT_EQ(log_->newest(), 10);
}

TEST_F(StageLogTest, ReadsUntilThereAreEnoughReadings) {
  const auto with = [](size_t readings) {
    return sample("d", 1, std::vector<std::pair<std::string, Value>>(readings, {"a", 1.0}));
  };
  const std::vector<DeviceSample> samples = {with(3), with(0), with(2), with(4)};
  ASSERT_TRUE(log_->append(samples));
  ASSERT_TRUE(log_->append(samples));
  const auto read = [&](int64_t after, size_t most) { return numbers(*log_->read(after, most)); };
  EXPECT_EQ(read(0, 0), Numbers{1}) << "one at least";
  EXPECT_EQ(read(0, 3), Numbers{1});
  EXPECT_EQ(read(0, 4), (Numbers{1, 2, 3}));
  EXPECT_EQ(read(2, 6), (Numbers{3, 4}));
  EXPECT_EQ(read(2, 7), (Numbers{3, 4, 5}));
  EXPECT_EQ(read(7, 100), Numbers{8});
  EXPECT_EQ(read(8, 100), Numbers{});
  EXPECT_EQ(log_->pending_readings(), 18);
}

TEST_F(StageLogTest, HoldsWhatTheUplinkTook) {
  append(5);
  EXPECT_EQ(log_->held(), 0);
  ASSERT_EQ(log_->read(0, SIZE_MAX)->size(), 5U);
  EXPECT_EQ(log_->held(), 0) << "reading for the disk holds nothing";
  const auto taken = log_->take(0, 5);
  ASSERT_TRUE(taken && *taken);
  const int64_t held = (*taken)->back().number;
  EXPECT_EQ(log_->held(), held);
  EXPECT_LT(held, 5);
  EXPECT_EQ(log_->flushed(5).held, held) << "flushing says what the uplink may still acknowledge";
  EXPECT_FALSE(*log_->take(held, SIZE_MAX)) << "what the disk has comes first";
  EXPECT_EQ(log_->held(), held);
  EXPECT_EQ(numbers(**log_->take(5, SIZE_MAX)), Numbers{});
  append(2);
  EXPECT_EQ(numbers(**log_->take(5, SIZE_MAX)), (Numbers{6, 7}));
  EXPECT_EQ(log_->held(), 7);
  EXPECT_EQ(numbers(**log_->take(6, SIZE_MAX)), Numbers{7});
  EXPECT_EQ(numbers(**log_->take(7, SIZE_MAX)), Numbers{});
  EXPECT_EQ(log_->held(), 7);
}

TEST_F(StageLogTest, AcknowledgesInAnyOrderOnceTwiceAndTheUnknown) {
  append(4);
  append(4);
  append(2);
  acknowledge({6, 3, 2});
  acknowledge({2, 2, 9});
  acknowledge({0, -1, 11, INT64_MAX, INT64_MIN, 5});
  const Numbers left = {1, 4, 7, 8, 10};
  EXPECT_EQ(pending(), left);
  reopen();
  EXPECT_EQ(pending(), left);
  // 11 was none when it was acknowledged.
  append();
  EXPECT_EQ(pending(), (Numbers{1, 4, 7, 8, 10, 11}));
  reopen();
  EXPECT_EQ(pending(), (Numbers{1, 4, 7, 8, 10, 11}));
  EXPECT_EQ(log_->notes().samples.size(), 0U) << "nothing had gone to the disk";
}

TEST_F(StageLogTest, AcknowledgesLongRanges) {
  options_.bytes = 64 << 20;
  reopen();
  ASSERT_TRUE(log_->append(std::vector<DeviceSample>(200'000, sample("d", 1, {}))));
  Numbers all(200'000);
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int64_t>(i + 1);
  all.erase(all.begin() + 150'000);
  acknowledge(all);
  EXPECT_EQ(numbers(read_all(*log_)), Numbers{150'001});
  reopen();
  EXPECT_EQ(numbers(read_all(*log_)), Numbers{150'001});
}

TEST_F(StageLogTest, WhatIsFlushedIsNotPending) {
  append(4);
  append(4);
  acknowledge({5, 6, 7, 8});
  log_->flushed(2);
  EXPECT_EQ(pending(), (Numbers{3, 4}));
  log_->flushed(1);
  EXPECT_EQ(log_->flushed_up_to(), 2);
  reopen();
  EXPECT_EQ(log_->flushed_up_to(), 2);
  EXPECT_EQ(pending(), (Numbers{3, 4}));
  log_->flushed(4);
  EXPECT_EQ(log_->pending_readings(), 0);
  EXPECT_FALSE(log_->oldest());
}

TEST_F(StageLogTest, NumbersThatTheDiskKnowsAreTakenThoughTheLogLostThem) {
  append(2);
  log_->flushed(7);
  EXPECT_EQ(log_->newest(), 7);
  append();
  EXPECT_EQ(pending(), Numbers{8});
  reopen();
  EXPECT_EQ(pending(), Numbers{8});
}

TEST_F(StageLogTest, OldestIsTheTimeOfAppendingAndLongAgoAfterReopening) {
  EXPECT_FALSE(log_->oldest());
  const BootTime before = BootClock::now();
  append(2);
  const BootTime between = BootClock::now();
  append(2);
  EXPECT_TRUE(*log_->oldest() >= before && *log_->oldest() <= between);
  acknowledge({1, 2});
  EXPECT_GE(*log_->oldest(), between);
  reopen();
  EXPECT_EQ(*log_->oldest(), BootTime{});
}

TEST_F(StageLogTest, TurnsWhenAFileIsDoneAndIsFullWhenNoneIs) {
  std::set<uint64_t> generations;
  Result<> last;
  while ((last = log_->append(numbered(log_->newest() + 1, 5)))) generations.insert(generation());
  EXPECT_EQ(last.error().code, Errc::Full);
  EXPECT_EQ(generations, (std::set<uint64_t>{1, 2}));
  const int64_t newest = log_->newest();
  EXPECT_EQ(pending().size(), static_cast<size_t>(newest));
  // Acknowledgements have their reserve.
  acknowledge({newest}, {1, 2, 3});
  EXPECT_EQ(log_->append(numbered(newest + 1, 5)).error().code, Errc::Full);
  log_->flushed(newest - 5);
  append(5);
  EXPECT_EQ(pending().size(), 9U);
  reopen();
  EXPECT_EQ(pending().size(), 9U);
}

TEST_F(StageLogTest, AcknowledgementsMakeRoomOneByOneAndOutOfOrder) {
  while (log_->append(numbered(log_->newest() + 1, 5))) {
  }
  const int64_t newest = log_->newest();
  ASSERT_GT(newest, 100);
  for (int64_t n = newest; n >= 1; --n) acknowledge({n});
  EXPECT_EQ(pending(), Numbers{});
  append(5);
  reopen();
  EXPECT_EQ(pending().size(), 5U);
}

TEST_F(StageLogTest, AnAppendThatIsTooLargeIsInvalidAndCostsNothing) {
  append(3);
  const std::vector<DeviceSample> large = {sample("d", 1, {{"a", std::string(9000, 'x')}})};
  for (int i = 0; i < 10; ++i) EXPECT_EQ(log_->append(large).error().code, Errc::Invalid);
  EXPECT_EQ(generation(), 1U) << "it turned for nothing";
  // The same where it is the names that are too much.
  std::vector<std::pair<std::string, Value>> named;
  for (int i = 0; i < 20; ++i) named.emplace_back(std::string(500, 'n') + std::to_string(i), true);
  EXPECT_EQ(log_->append({{sample("d", 1, named)}}).error().code, Errc::Invalid);
  EXPECT_EQ(pending(), (Numbers{1, 2, 3}));
  append();
  reopen();
  EXPECT_EQ(pending(), (Numbers{1, 2, 3, 4}));
}

TEST_F(StageLogTest, NamesThatAppearJustAtTheTurnAreUnderstood) {
  for (int64_t filled = 7500; filled < 8300; filled += 7) {
    const test::TempDir dir{test::tmpfs()};
    const auto options = stage_options(dir.path());
    auto log = open_stage(options);
    const std::vector<DeviceSample> filler = {
        sample("d", 1, {{"filler", std::string(static_cast<size_t>(filled), 'x')}})};
    const auto fits = log->append(filler);
    if (!fits) break;
    const std::vector<DeviceSample> next = {sample("new", 2, {{"first", 1.0}, {"second", 2.0}}),
                                            sample("d", 3, {{"filler", 3.0}, {"third", 4.0}})};
    ASSERT_TRUE(log->append(next));
    const auto expected = texts(read_all(*log));
    ASSERT_EQ(expected.size(), 3U);
    ASSERT_EQ(expected[2], "3:" + text(next[1]));
    ASSERT_EQ(texts(read_all(*open_stage(options))), expected) << filled;
  }
}

TEST_F(StageLogTest, TurnsTenThousandTimes) {
  const Epoch epoch{.since_ms = 5, .offset_ms = 100};
  ASSERT_TRUE(log_->append_epoch(epoch));
  append();
  acknowledge({1});
  ASSERT_NO_FATAL_FAILURE(turn(10'000));
  const int64_t newest = log_->newest();
  append(3);
  reopen();
  EXPECT_EQ(pending(), (Numbers{newest + 1, newest + 2, newest + 3}));
  EXPECT_EQ(log_->epochs(), std::vector{epoch});
}

TEST_F(StageLogTest, EpochsSurviveTurnsAndReopening) {
  ASSERT_TRUE(log_->append_epoch({.since_ms = -5, .offset_ms = 1'000'000}));
  ASSERT_TRUE(log_->append_epoch({.since_ms = 10, .offset_ms = -3}));
  ASSERT_NO_FATAL_FAILURE(turn(3));
  // Another one as of the same time, or before: it holds from right behind the last one.
  ASSERT_TRUE(log_->append_epoch({.since_ms = 10, .offset_ms = 7, .estimated = true}));
  const std::vector<Epoch> expected = {{-5, 1'000'000}, {10, -3}, {11, 7, true}};
  EXPECT_EQ(log_->epochs(), expected);
  for (int i = 0; i < 3; ++i) {
    reopen();
    EXPECT_EQ(log_->epochs(), expected);
    ASSERT_NO_FATAL_FAILURE(turn(4 + i));
  }
}

TEST_F(StageLogTest, RecoversWhatWasAcknowledgedAfterItHadGoneToTheDisk) {
  append(4);
  append(2);
  append(2);
  acknowledge({2});  // before the flush: not on the disk
  log_->flushed(6);
  acknowledge({1, 4});  // after it: on the disk
  acknowledge({5, 6});  // a whole append
  acknowledge({8}, {17, 18, 19, 40});
  reopen();
  expect_numbered(log_->notes().samples);
  EXPECT_EQ(numbers(log_->notes().samples), (Numbers{1, 4, 5, 6}));
  EXPECT_EQ(rows(), (Numbers{17, 18, 19, 40}));
  EXPECT_EQ(pending(), Numbers{7});
  log_->found({});
  EXPECT_EQ(log_->notes().samples.size(), 0U) << "whoever has the rows has looked";
}

// However often the files are used again meanwhile: the disk may stall, and the process be killed
// before it has taken note.
TEST_F(StageLogTest, RowsStayKnownUntilTheDiskHasDeletedThem) {
  append(2);
  acknowledge({}, {-7, 17, 18, 40});
  ASSERT_NO_FATAL_FAILURE(turn(3));
  reopen();
  EXPECT_EQ(rows(), (Numbers{-7, 17, 18, 40}));
  ASSERT_NO_FATAL_FAILURE(turn(6));
  reopen();
  EXPECT_EQ(rows(), (Numbers{-7, 17, 18, 40})) << "as well when it was another process";
  Settled deleted;
  deleted.rows.insert(17);
  deleted.rows.insert(40);
  log_->settle(deleted);
  ASSERT_NO_FATAL_FAILURE(turn(9));
  reopen();
  EXPECT_EQ(rows(), (Numbers{-7, 18}));
}

TEST_F(StageLogTest, WhatIsAcknowledgedDuringAFlushStaysKnownUntilItsRowIs) {
  append(4);
  ASSERT_TRUE(log_->read(0, SIZE_MAX));
  acknowledge({2, 3});
  acknowledge({1, 4});  // so nothing holds the file
  ASSERT_NO_FATAL_FAILURE(turn(3));
  reopen();
  EXPECT_EQ(numbers(log_->notes().samples), (Numbers{1, 2, 3, 4}));
  EXPECT_EQ(text(log_->notes().samples.at(1).sample), "d2@1995") << "enough to find its row by";
}

// Of a row that waits on.
TEST_F(StageLogTest, PartsOfRowsStayKnownUntilTheDiskHasThem) {
  using Parts = std::map<int64_t, std::set<int64_t>>;
  append(4);
  ASSERT_TRUE(*log_->take(0, SIZE_MAX));
  ASSERT_TRUE(log_->read(0, SIZE_MAX));
  acknowledge({1});  // while it goes to the disk
  const std::vector<MadeRow> made = {{.row = 900, .members = {{1, 10}, {2, 20}, {3, 30}}},
                                     {.row = 1025, .members = {{4, 40}}}};
  log_->flushed(4, made);
  ASSERT_NO_FATAL_FAILURE(turn(3));
  acknowledge({3, 4});  // with the second row, which is done by that
  ASSERT_NO_FATAL_FAILURE(turn(6));
  reopen();
  EXPECT_EQ(log_->notes().parts, (Parts{{900, {10, 30}}}));
  EXPECT_EQ(rows(), Numbers{1025});
  ASSERT_NO_FATAL_FAILURE(turn(9));
  reopen();
  EXPECT_EQ(log_->notes().parts, (Parts{{900, {10, 30}}}));
  log_->settle({.rows = {}, .parts = {{900, 10}}});
  ASSERT_NO_FATAL_FAILURE(turn(12));
  reopen();
  EXPECT_EQ(log_->notes().parts, (Parts{{900, {30}}}));
  Settled deleted;
  deleted.rows.insert(900);
  log_->settle(deleted);
  ASSERT_NO_FATAL_FAILURE(turn(15));
  reopen();
  EXPECT_EQ(log_->notes().parts, Parts{});
}

// The process before may have ended after the disk took it and before that was noted.
TEST_F(StageLogTest, WhatAnEarlierProcessMayHaveBroughtToTheDiskIsNoted) {
  append(3);
  reopen();
  acknowledge({2});
  reopen();
  EXPECT_EQ(numbers(log_->notes().samples), Numbers{2});
}

// Between reading and the end of the flush the broker's acknowledgement may come.
TEST_F(StageLogTest, RecoversWhatWasAcknowledgedWhileItWentToTheDisk) {
  append(3);
  append(3);
  acknowledge({1});
  ASSERT_TRUE(log_->read(0, 1));
  acknowledge({2, 5});
  const int64_t read = 3;
  log_->flushed(read);
  reopen();
  EXPECT_EQ(numbers(log_->notes().samples), Numbers{2});
  EXPECT_EQ(pending(), (Numbers{4, 6}));
}

TEST_F(StageLogTest, InMemoryIsAsGood) {
  SymbolTable symbols;
  auto log = StageLog::open_in_memory(stage_options("/nowhere"), symbols);
  ASSERT_TRUE(log) << log.error().message;
  ASSERT_TRUE((*log)->append(numbered(1, 3)));
  ASSERT_TRUE((*log)->acknowledge(Numbers{2}, {}));
  EXPECT_EQ(numbers(read_all(**log)), (Numbers{1, 3}));
  EXPECT_EQ((*log)->boot(), kBoot);
  EXPECT_NE((*log)->id(), log_->id());
}

}  // namespace
}  // namespace fieldpost
