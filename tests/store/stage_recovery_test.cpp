// SPDX-License-Identifier: Apache-2.0
//
// Opening a log that is torn, incomplete, of another size or of another boot, or a folder that
// takes none.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>

#include "small_tmpfs.hpp"
#include "stage_fixture.hpp"

namespace fieldpost {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the fixture
using Numbers = std::vector<int64_t>;
namespace fs = std::filesystem;

std::string contents(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void overwrite(const std::string& path, std::string_view contents) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << contents;
}

class StageRecovery : public ::testing::Test {
 protected:
  std::unique_ptr<StageLog> open() const { return open_stage(options_); }
  static void append(StageLog& log, int64_t count) {
    ASSERT_TRUE(log.append(numbered(log.newest() + 1, count)));
  }
  // Appends `count` at a time, until the second file is written, and once more.
  static void append_past_the_turn(StageLog& log, const std::string& second) {
    while (StageFile::header_of(second)->generation == 0) append(log, 3);
    append(log, 3);
  }
  static Numbers pending(StageLog& log) {
    const auto staged = read_all(log);
    expect_numbered(staged);
    return numbers(staged);
  }
  static Numbers range(int64_t first, int64_t last) {
    Numbers all;
    for (int64_t n = first; n <= last; ++n) all.push_back(n);
    return all;
  }

  test::TempDir dir_{test::tmpfs()};
  StageLog::Options options_ = stage_options(dir_.path());
  std::string first_ = dir_ / "stage.0";
  std::string second_ = dir_ / "stage.1";
};

// From any byte of the last record on the file is cut, or zeros, or noise, or what an earlier use
// of the file left there.
TEST_F(StageRecovery, ATornRecordCostsItselfAlone) {
  append(*open(), 5);
  const std::string before = contents(first_);
  append(*open(), 2);
  const std::string whole = contents(first_);
  const auto differs = std::ranges::mismatch(before, whole).in1 - before.begin();
  const auto end = static_cast<ptrdiff_t>(whole.find_last_not_of('\0') + 1);
  ASSERT_GT(end - differs, 20);
  std::mt19937_64 random(test::seed());
  for (ptrdiff_t at = differs; at < end; ++at) {
    const std::string head = whole.substr(0, static_cast<size_t>(at));
    std::string noise = whole.substr(static_cast<size_t>(at));
    std::ranges::generate(noise, [&] { return static_cast<char>(random()); });
    const std::string stale = whole.substr(40, noise.size());
    for (const std::string& torn :
         {head, head + std::string(noise.size(), '\0'), head + noise, head + stale}) {
      overwrite(first_, torn);
      auto log = open();
      ASSERT_EQ(pending(*log), range(1, 5)) << "from " << at - differs;
      append(*log, 1);
      ASSERT_EQ(pending(*open()), range(1, 6)) << "from " << at - differs;
    }
  }
}

TEST_F(StageRecovery, AFileThatIsMissingOrHasNoHeaderCostsItselfAlone) {
  {
    auto log = open();
    append_past_the_turn(*log, second_);
    ASSERT_TRUE(log->append_epoch({.since_ms = 1, .offset_ms = 2}));
  }
  const std::string both[] = {contents(first_), contents(second_)};
  const Numbers all = pending(*open());
  for (const int lost : {0, 1}) {
    Numbers left;
    for (const bool missing : {true, false}) {
      overwrite(first_, both[0]);
      overwrite(second_, both[1]);
      const std::string& path = lost == 0 ? first_ : second_;
      if (missing) {
        fs::remove(path);
      } else {
        overwrite(path, std::string(64, 'x') + both[lost].substr(64));
      }
      auto log = open();
      left = pending(*log);
      ASSERT_FALSE(left.empty());
      EXPECT_EQ(left, lost == 0 ? range(left.front(), all.back()) : range(1, left.back()));
      EXPECT_LT(left.size(), all.size());
      // It goes on, through both files.
      for (int i = 0; i < 100; ++i) {
        append(*log, 20);
        log->flushed(log->newest());
      }
      append(*log, 1);
      EXPECT_EQ(pending(*open()), Numbers{log->newest()});
    }
  }
}

TEST_F(StageRecovery, WhatAnEarlierLogLeftInTheFilesIsGone) {
  {
    auto log = open();
    append_past_the_turn(*log, second_);
  }
  for (const std::string& path : {first_, second_}) {
    overwrite(path, std::string(64, 'x') + contents(path).substr(64));
  }
  auto log = open();
  EXPECT_EQ(log->newest(), 0);
  EXPECT_EQ(pending(*log), Numbers{});
  append(*log, 2);
  EXPECT_EQ(pending(*open()), range(1, 2));
}

// Not what a torn write leaves: its checksum holds.
TEST_F(StageRecovery, SamplesStandThoughTheRecordBeforeThemMakesNoSense) {
  append(*open(), 3);
  {
    StageFile file = StageFile::open(first_, 0).value();
    std::vector<std::pair<uint8_t, std::vector<std::byte>>> records;
    ASSERT_TRUE(file.scan([&](int64_t, uint8_t type, std::span<const std::byte> body) {
      records.emplace_back(type, std::vector(body.begin(), body.end()));
    }));
    ASSERT_EQ(records.size(), 2U);  // how far the disk has come, and the samples
    records.front().second.assign(1, std::byte{0xFF});
    ASSERT_TRUE(file.begin(StageFile::Header(file.header())));
    for (const auto& [type, body] : records) ASSERT_TRUE(file.append(type, body));
  }
  auto log = open();
  ASSERT_NE(log, nullptr);
  EXPECT_EQ(pending(*log), range(1, 3));
  append(*log, 1);
  EXPECT_EQ(pending(*open()), range(1, 4));
}

TEST_F(StageRecovery, NumbersGoOnWhenTheOlderFileIsLostAndAllOfItWasAcknowledged) {
  int64_t newest = 0;
  {
    auto log = open();
    append(*log, 10);
    ASSERT_TRUE(log->acknowledge(range(1, 10), {}));
    newest = log->newest();
    for (int64_t row = 1; StageFile::header_of(second_)->generation == 0; row += 2) {
      ASSERT_TRUE(log->acknowledge({}, Numbers{row, row + 1}));
    }
  }
  fs::remove(first_);
  EXPECT_EQ(open()->newest(), newest);
}

TEST_F(StageRecovery, TakesAnotherSizeWithoutLosingAnything) {
  const int64_t usual = options_.bytes;
  int64_t pending_from = 1;
  for (const int64_t bytes : {usual, 4 * usual, usual - 4096, 2 * usual, usual}) {
    options_.bytes = bytes;
    auto log = open();
    EXPECT_EQ(pending(*log), range(pending_from, log->newest()));
    append(*log, 7);
    EXPECT_EQ(pending(*open()), range(pending_from, log->newest()));
    for (int i = 0; i < 1000; ++i) {
      append(*log, 20);
      log->flushed(log->newest() - 5);
    }
    pending_from = log->newest() - 4;
    EXPECT_EQ(fs::file_size(first_), static_cast<size_t>(bytes / 2)) << "after it has turned";
    EXPECT_EQ(fs::file_size(second_), static_cast<size_t>(bytes / 2));
  }
}

TEST_F(StageRecovery, TheLogOfAnotherBootIsMovedAside) {
  uint64_t id = 0;
  {
    auto log = open();
    append_past_the_turn(*log, second_);
    id = log->id();
  }
  const Numbers all = pending(*open());
  options_.boot_id = std::string(36, 'b');
  {
    auto log = open();
    EXPECT_EQ(log->boot(), options_.boot_id);
    EXPECT_NE(log->id(), id);
    EXPECT_EQ(pending(*log), Numbers{});
    append(*log, 2);
  }
  StageLog::Options before = options_;
  before.name = StageLog::kBefore;
  for (int i = 0; i < 2; ++i) {
    auto log = open_stage(before);
    EXPECT_EQ(log->boot(), kBoot);
    EXPECT_EQ(log->id(), id);
    EXPECT_EQ(pending(*log), all);
  }
  EXPECT_EQ(pending(*open()), range(1, 2)) << "a log of this boot stays";
}

// To bring what another boot left to the disk, no more room is needed than it has.
TEST_F(StageRecovery, IsTakenUpInTheSizeItHas) {
  append(*open(), 40);  // the second file was never used
  const auto size = fs::file_size(first_);
  options_.bytes = 0;
  auto log = open();
  ASSERT_NE(log, nullptr);
  EXPECT_EQ(pending(*log), range(1, 40));
  for (int i = 0; i < 1000; ++i) {
    append(*log, 20);
    log->flushed(log->newest() - 1);
  }
  EXPECT_EQ(pending(*open()), Numbers{log->newest()});
  EXPECT_EQ(fs::file_size(first_), size);
}

TEST_F(StageRecovery, MovingAsideGoesOnWhereItWasKilled) {
  {
    auto log = open();
    append_past_the_turn(*log, second_);
  }
  const Numbers all = pending(*open());
  fs::rename(first_, dir_ / "before.0");
  options_.boot_id = std::string(36, 'b');
  EXPECT_EQ(pending(*open()), Numbers{});
  StageLog::Options before = options_;
  before.name = StageLog::kBefore;
  EXPECT_EQ(pending(*open_stage(before)), all);
}

// Where all places are taken, the last is used again: and of a log that is moved aside, nothing
// that lay there before may take the place of a part.
TEST_F(StageRecovery, TheLastPlaceForOtherBootsIsUsedAgain) {
  for (const char* taken : {"before.0", "before-2.1", "before-3.0"}) overwrite(dir_ / taken, "x");
  {
    auto log = open();
    append_past_the_turn(*log, second_);
    for (int i = 0; i < 100; ++i) {
      append(*log, 10);
      log->flushed(log->newest());
    }
  }
  fs::rename(first_, dir_ / "before-4.0");
  fs::rename(second_, dir_ / "before-4.1");
  append(*open(), 2);
  options_.boot_id = std::string(36, 'b');
  (void)open();
  StageLog::Options before = options_;
  before.name = "before-4";
  EXPECT_EQ(pending(*open_stage(before)), range(1, 2));
}

TEST_F(StageRecovery, SaysWhyTheFolderTakesNone) {
  SymbolTable symbols;
  options_.folder = dir_ / "none";
  const auto missing = StageLog::open(options_, symbols);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Errc::NotFound);
  const SmallTmpfs tmpfs(dir_ / "small");
  if (!tmpfs.mounted()) GTEST_SKIP() << "the rest: may not mount a tmpfs here";
  options_.folder = dir_ / "small";
  options_.bytes = 1 << 20;
  const auto full = StageLog::open(options_, symbols);
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, Errc::Full) << full.error().message;
  EXPECT_NE(full.error().message.find("small/stage.0"), std::string::npos);
  ASSERT_TRUE(tmpfs.make_read_only());
  const auto read_only = StageLog::open(options_, symbols);
  ASSERT_FALSE(read_only);
  EXPECT_EQ(read_only.error().code, Errc::Io);
  EXPECT_TRUE(StageLog::open_in_memory(options_, symbols)) << "what one does then";
}

}  // namespace
}  // namespace fieldpost
