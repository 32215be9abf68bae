// SPDX-License-Identifier: Apache-2.0
//
// What becomes of stage 1 when its files are damaged, removed or replaced while they are in use.
#include <filesystem>
#include <fstream>

#include "stage_fixture.hpp"

namespace fieldpost {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the fixture
using Numbers = std::vector<int64_t>;
namespace fs = std::filesystem;

class StageFaults : public ::testing::Test {
 protected:
  static void append(StageLog& log, int64_t count) {
    for (int64_t i = 0; i < count; ++i) ASSERT_TRUE(log.append(numbered(log.newest() + 1, 1)));
  }
  static int64_t readings_between(int64_t first, int64_t last) {
    int64_t sum = 0;
    for (int64_t n = first; n <= last; ++n) sum += readings_of(n);
    return sum;
  }
  // In the middle of the record that was appended when the file was `used` long.
  void damage(int64_t used) const {
    std::fstream file(dir_ / "stage.0", std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(used + 12);
    file << "\x5a\xa5";
  }

  test::TempDir dir_{test::tmpfs()};
  StageLog::Options options_ = stage_options(dir_.path());
};

// How far the file is used: behind it there are zeros.
int64_t used(const std::string& path) {
  const std::string content = content_of(path);
  return static_cast<int64_t>(content.find_last_not_of('\0')) + 1;
}

TEST_F(StageFaults, ADamagedRecordCostsItselfAlone) {
  const auto log = open_stage(options_);
  append(*log, 11);
  const int64_t at = used(dir_ / "stage.0");
  append(*log, 1);
  append(*log, 10);
  ASSERT_GT(readings_of(12), 0);
  damage(at);
  Numbers expected;
  for (int64_t n = 1; n <= 22; ++n) {
    if (n != 12) expected.push_back(n);
  }
  EXPECT_EQ(numbers(read_all(*log)), expected);
  EXPECT_EQ(log->damaged(), readings_of(12));
  EXPECT_EQ(numbers(read_all(*log)), expected);
  EXPECT_EQ(log->damaged(), readings_of(12)) << "it is counted once";
  EXPECT_EQ(log->pending_readings(), readings_between(1, 22) - readings_of(12));
  const auto taken = log->take(11, 1);
  ASSERT_TRUE(taken && *taken);
  EXPECT_EQ(numbers(**taken).at(0), 13);
}

TEST_F(StageFaults, ADamagedRecordThatIsTheOnlyOneHoldsNothingUp) {
  const auto log = open_stage(options_);
  const int64_t at = used(dir_ / "stage.0");
  append(*log, 1);
  damage(at);
  EXPECT_EQ(numbers(read_all(*log)), Numbers{});
  EXPECT_FALSE(log->oldest()) << "nothing waits";
  append(*log, 1);
  EXPECT_EQ(numbers(read_all(*log)), Numbers{2});
}

TEST_F(StageFaults, RemovedFilesAreMadeAgainWithAllThatIsInThem) {
  auto log = open_stage(options_);
  append(*log, 30);
  EXPECT_FALSE(log->stay_in_place().value());
  fs::remove_all(dir_.path());
  append(*log, 5);
  EXPECT_TRUE(log->stay_in_place().value());
  EXPECT_FALSE(log->stay_in_place().value());
  append(*log, 5);
  EXPECT_EQ(log->read(0, SIZE_MAX)->size(), 40U);
  log.reset();
  log = open_stage(options_);
  const auto found = read_all(*log);
  expect_numbered(found);
  EXPECT_EQ(found.size(), 40U);
}

TEST_F(StageFaults, AReplacedFileIsPutRight) {
  auto log = open_stage(options_);
  append(*log, 3);
  fs::copy(dir_ / "stage.0", dir_ / "copy");
  fs::rename(dir_ / "copy", dir_ / "stage.0");
  append(*log, 3);
  EXPECT_TRUE(log->stay_in_place().value());
  log = open_stage(options_);
  EXPECT_EQ(read_all(*log).size(), 6U);
}

TEST_F(StageFaults, AnotherLogsFileIsNotOverwritten) {
  const auto log = open_stage(options_);
  append(*log, 3);
  fs::remove(dir_ / "stage.0");
  fs::remove(dir_ / "stage.1");
  const auto other = open_stage(options_);
  append(*other, 7);
  const auto refused = log->stay_in_place();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::Unavailable);
  EXPECT_NE(refused.error().message.find("stage.0' is in the way"), std::string::npos);
  EXPECT_EQ(read_all(*open_stage(options_)).size(), 7U);
  EXPECT_EQ(read_all(*log).size(), 3U);
}

TEST_F(StageFaults, OneInMemoryGetsFilesAsSoonAsThereCanBeSome) {
  std::ofstream(dir_ / "run") << "a file where the folder should be";
  options_.folder = dir_ / "run";
  SymbolTable symbols;
  auto log = StageLog::open_in_memory(options_, symbols).value();
  append(*log, 12);
  EXPECT_FALSE(log->stay_in_place());
  fs::remove(dir_ / "run");
  EXPECT_TRUE(log->stay_in_place().value());
  append(*log, 1);
  EXPECT_EQ(read_all(*open_stage(options_)).size(), 13U);
}

TEST_F(StageFaults, LogsOfSeveralBootsStandBesideEachOther) {
  for (const char boot : {'x', 'y', 'z'}) {
    options_.boot_id = std::string(36, boot);
    append(*open_stage(options_), boot - 'x' + 1);
  }
  options_.boot_id = kBoot;
  (void)open_stage(options_);
  const auto names = StageLog::earlier_boots(dir_.path());
  ASSERT_EQ(names, (std::vector<std::string>{"before", "before-2", "before-3"}));
  for (size_t i = 0; i < names.size(); ++i) {
    options_.name = names[i];
    const auto log = open_stage(options_);
    EXPECT_EQ(log->boot(), std::string(36, static_cast<char>('x' + i)));
    EXPECT_EQ(read_all(*log).size(), i + 1);
  }
}

}  // namespace
}  // namespace fieldpost
