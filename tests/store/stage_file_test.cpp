// SPDX-License-Identifier: Apache-2.0
#include "store/stage_file.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "fakes/sanitizer.hpp"
#include "fakes/test_env.hpp"
#include "small_tmpfs.hpp"

namespace fieldpost {
namespace {

using testing::SmallTmpfs;

constexpr int64_t kBytes = 4096;
constexpr int64_t kHeaderBytes = 64;
constexpr int64_t kFrameBytes = 9;  // of a record, beside its body

std::string boot(char digit) { return std::string(36, digit); }

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Records as "type:body".
std::vector<std::string> scan(StageFile& file) {
  std::vector<std::string> found;
  const auto done = file.scan([&](int64_t offset, uint8_t type, std::span<const std::byte> body) {
    found.push_back(std::to_string(type) + ":" + text_of(body));
    std::vector<std::byte> buffer;
    const auto again = file.read(offset, buffer);
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(text_of(*again), text_of(body));
  });
  EXPECT_TRUE(done);
  return found;
}

std::string contents(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void overwrite(const std::string& path, const std::string& contents) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << contents;
}

class StageFileTest : public ::testing::Test {
 protected:
  StageFile open(int64_t bytes = kBytes) {
    auto file = StageFile::open(path_, bytes);
    EXPECT_TRUE(file) << file.error().message;
    return std::move(*file);
  }
  StageFile begun(uint64_t generation = 1) {
    StageFile file = open();
    EXPECT_TRUE(file.begin({.generation = generation, .log = 42, .boot = boot('a')}));
    return file;
  }
  // Appends, and expects that it goes.
  static int64_t put(StageFile& file, const std::string& body, uint8_t type = 1) {
    const auto offset = file.append(type, bytes_of(body));
    EXPECT_TRUE(offset) << offset.error().message;
    return offset.value_or(-1);
  }

  test::TempDir dir_{test::tmpfs()};
  std::string path_ = dir_ / "log";
};

using Strings = std::vector<std::string>;

TEST_F(StageFileTest, GivesBackRecordsAndHeaderAfterReopening) {
  const std::string large(2000, 'x');
  {
    StageFile file = begun(7);
    put(file, "");
    put(file, std::string("a\0b", 3), 255);
    put(file, large, 0);
  }
  StageFile file = open();
  EXPECT_EQ(file.header(), (StageFile::Header{7, 42, boot('a')}));
  EXPECT_EQ(*StageFile::header_of(path_), file.header());
  EXPECT_EQ(scan(file), (Strings{"1:", std::string("255:a\0b", 7), "0:" + large}));
  put(file, "more");
  StageFile again = open();
  EXPECT_EQ(scan(again).back(), "1:more");
}

TEST_F(StageFileTest, KeepsABootIdThatIsShorterOrLonger) {
  StageFile file = open();
  ASSERT_TRUE(file.begin({.generation = 1, .log = 1, .boot = "boot"}));
  EXPECT_EQ(open().header().boot, "boot");
  ASSERT_TRUE(file.begin({.generation = 1, .log = 1, .boot = std::string(40, 'b')}));
  EXPECT_EQ(open().header().boot, boot('b'));
}

TEST_F(StageFileTest, ANewOneHoldsNothingUntilItIsBegun) {
  StageFile file = open();
  EXPECT_EQ(file.header().generation, 0U);
  EXPECT_EQ(scan(file), Strings{});
  EXPECT_FALSE(file.has_room(0));
  EXPECT_EQ(file.append(1, bytes_of("x")).error().code, Errc::Full);
  EXPECT_EQ(std::filesystem::file_size(path_), static_cast<size_t>(kBytes));
}

TEST_F(StageFileTest, IsFullToTheByte) {
  StageFile file = begun();
  const auto whole = static_cast<size_t>(kBytes - kHeaderBytes - kFrameBytes);
  EXPECT_TRUE(file.has_room(whole));
  EXPECT_FALSE(file.has_room(whole + 1));
  put(file, "a");
  EXPECT_FALSE(file.has_room(whole));
  EXPECT_TRUE(file.could_hold(whole));
  EXPECT_FALSE(file.could_hold(whole + 1));
  const std::string rest(whole - 1 - kFrameBytes, 'r');
  EXPECT_EQ(file.append(1, bytes_of(rest + "!")).error().code, Errc::Full);
  put(file, rest);
  EXPECT_EQ(file.used(), kBytes);
  StageFile again = open();
  EXPECT_EQ(scan(again), (Strings{"1:a", "1:" + rest}));
  EXPECT_FALSE(again.has_room(0));
  EXPECT_EQ(std::filesystem::file_size(path_), static_cast<size_t>(kBytes));
}

// What the last record may look like when a process was killed while it wrote it, or when somebody
// else wrote: from any byte on, the file is cut, or holds something else.
TEST_F(StageFileTest, ATornRecordIsNoneAndTheNextTakesItsPlace) {
  int64_t last = 0;
  {
    StageFile file = begun();
    put(file, "first");
    last = put(file, "the last one");
  }
  const std::string whole = contents(path_);
  const int64_t end = last + kFrameBytes + 12;
  std::mt19937_64 random(test::seed());
  for (int64_t at = last; at < end; ++at) {
    std::string noise = whole.substr(static_cast<size_t>(at));
    std::ranges::generate(noise, [&] { return static_cast<char>(random()); });
    const std::string head = whole.substr(0, static_cast<size_t>(at));
    const std::string rest(static_cast<size_t>(kBytes - at), '\0');
    std::string ones = rest;
    std::ranges::fill(ones, '\xFF');
    for (const std::string& torn : {head, head + rest, head + ones, head + noise}) {
      if (torn == whole) continue;
      overwrite(path_, torn);
      StageFile file = open();
      ASSERT_EQ(scan(file), Strings{"1:first"}) << "from " << at - last;
      put(file, "another one!");
      StageFile again = open();
      ASSERT_EQ(scan(again), (Strings{"1:first", "1:another one!"})) << "from " << at - last;
    }
  }
}

TEST_F(StageFileTest, AFlippedBitEndsTheFile) {
  int64_t second = 0;
  {
    StageFile file = begun();
    put(file, "first");
    second = put(file, "second");
    put(file, "third.");
  }
  const std::string whole = contents(path_);
  for (int64_t bit = 8 * second; bit < 8 * (second + kFrameBytes + 6); ++bit) {
    std::string torn = whole;
    torn[static_cast<size_t>(bit / 8)] ^= static_cast<char>(1 << bit % 8);
    overwrite(path_, torn);
    StageFile file = open();
    ASSERT_EQ(scan(file), Strings{"1:first"}) << "bit " << bit - 8 * second;
    std::vector<std::byte> buffer;
    EXPECT_EQ(file.read(second, buffer).error().code, Errc::Corrupt);
    // What lies behind is as long, and would fit behind the next one.
    put(file, "2nd...");
    StageFile again = open();
    ASSERT_EQ(scan(again), (Strings{"1:first", "1:2nd..."})) << "bit " << bit - 8 * second;
  }
}

TEST_F(StageFileTest, RecordsOfAnEarlierUseDoNotPass) {
  for (const uint64_t generation : {2U, 1U}) {
    {
      StageFile file = begun(1);
      for (int i = 0; i < 20; ++i) put(file, "old " + std::to_string(i % 10));
      ASSERT_TRUE(file.begin({.generation = generation, .log = 42, .boot = boot('a')}));
    }
    const std::string only_begun = contents(path_);
    StageFile file = open();
    EXPECT_EQ(scan(file), Strings{});
    put(file, "new 0");
    StageFile again = open();
    EXPECT_EQ(scan(again), Strings{"1:new 0"});
    // The same, had the process been killed before the zeros behind the record were written.
    std::string torn = contents(path_);
    const auto behind = static_cast<size_t>(kHeaderBytes + kFrameBytes + 5);
    std::ranges::copy(only_begun.begin() + static_cast<ptrdiff_t>(behind), only_begun.end(),
                      torn.begin() + static_cast<ptrdiff_t>(behind));
    overwrite(path_, torn);
    StageFile third = open();
    EXPECT_EQ(scan(third), Strings{"1:new 0"});
  }
}

TEST_F(StageFileTest, ATornHeaderMeansThatNothingIsKnown) {
  {
    StageFile file = begun();
    put(file, "first");
  }
  const std::string whole = contents(path_);
  for (int64_t byte = 0; byte < kHeaderBytes; ++byte) {
    std::string torn = whole;
    torn[static_cast<size_t>(byte)] ^= 0x10;
    for (const std::string& file : {torn, whole.substr(0, static_cast<size_t>(byte))}) {
      overwrite(path_, file);
      StageFile opened = open();
      ASSERT_EQ(opened.header().generation, 0U) << byte;
      ASSERT_EQ(scan(opened), Strings{});
      ASSERT_TRUE(opened.begin({.generation = 1, .log = 42, .boot = boot('a')}));
      ASSERT_EQ(scan(opened), Strings{}) << "what was there stood up again";
    }
  }
}

TEST_F(StageFileTest, GrowsAtOnceAndShrinksWhenItIsBegun) {
  {
    StageFile file = begun();
    put(file, std::string(2000, 'a'));
  }
  StageFile larger = open(2 * kBytes);
  EXPECT_EQ(scan(larger).size(), 1U);
  EXPECT_TRUE(larger.has_room(5000));
  StageFile smaller = open(1000);
  EXPECT_EQ(scan(smaller).size(), 1U);
  EXPECT_TRUE(smaller.has_room(5000)) << "it is as large as it was";
  put(smaller, std::string(5000, 'b'));
  EXPECT_EQ(scan(smaller).size(), 2U);
  ASSERT_TRUE(smaller.begin({.generation = 2, .log = 42, .boot = boot('a')}));
  EXPECT_FALSE(smaller.has_room(1000));
  EXPECT_EQ(std::filesystem::file_size(path_), 1000U);
}

TEST_F(StageFileTest, InMemoryIsAsGood) {
  auto file = StageFile::open_in_memory("/nowhere", kBytes);
  ASSERT_TRUE(file);
  ASSERT_TRUE(file->begin({.generation = 1, .log = 1, .boot = boot('a')}));
  put(*file, "x");
  EXPECT_EQ(scan(*file), Strings{"1:x"});
  EXPECT_FALSE(file->has_room(kBytes));
}

TEST_F(StageFileTest, SaysWhyItCannotBeOpened) {
  EXPECT_EQ(StageFile::open(dir_ / "none/log", kBytes).error().code, Errc::NotFound);
  EXPECT_EQ(StageFile::header_of(path_).error().code, Errc::NotFound);
  std::filesystem::create_symlink(dir_ / "elsewhere", path_);
  const auto linked = StageFile::open(path_, kBytes);
  EXPECT_EQ(linked.error().code, Errc::Io);
  EXPECT_NE(linked.error().message.find(path_), std::string::npos);
}

TEST_F(StageFileTest, OneThatCannotGrowKeepsWhatIsInIt) {
  const SmallTmpfs tmpfs(dir_ / "small");
  if (!tmpfs.mounted()) GTEST_SKIP() << "may not mount a tmpfs here";
  path_ = dir_ / "small/log";
  const auto none = StageFile::open(path_, 1 << 20);
  EXPECT_EQ(none.error().code, Errc::Full) << none.error().message;
  {
    StageFile file = begun();
    put(file, "first");
  }
  StageFile file = open(1 << 20);
  EXPECT_EQ(scan(file), Strings{"1:first"});
  EXPECT_TRUE(file.has_room(2000));
  EXPECT_FALSE(file.has_room(5000));
}

TEST_F(StageFileTest, ReadOnlyIsAnError) {
  const SmallTmpfs tmpfs(dir_ / "small");
  if (!tmpfs.mounted() || !tmpfs.make_read_only()) GTEST_SKIP() << "may not mount a tmpfs here";
  const auto file = StageFile::open(dir_ / "small/log", kBytes);
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().code, Errc::Io);
}

// Whatever the file holds: no crash, no more memory than it has bytes, and it can be used.
TEST_F(StageFileTest, TakesAnyBytes) {
  const uint64_t seed = test::seed();
  SCOPED_TRACE("FIELDPOST_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  {
    StageFile file = begun(3);
    for (int i = 0; i < 8; ++i)
      put(file, std::string(random() % 100, 'a'), static_cast<uint8_t>(i));
  }
  const std::string valid = contents(path_).substr(0, 1000);
  for (int round = 0; round < test::turns(test::is_long() ? 1'000'000 : 100'000); ++round) {
    std::string bytes = valid.substr(0, random() % 8 == 0 ? random() % valid.size() : valid.size());
    if (random() % 4 == 0)
      std::ranges::generate(bytes, [&] { return static_cast<char>(random()); });
    // The header mostly stays: else there is nothing to see.
    for (uint64_t n = random() % 4; n > 0 && bytes.size() > kHeaderBytes; --n) {
      const size_t at = random() % 50 == 0
                            ? random() % bytes.size()
                            : kHeaderBytes + random() % (bytes.size() - kHeaderBytes);
      bytes[at] = static_cast<char>(random() % 2 == 0 ? random() : 0xFF);
    }
    overwrite(path_, bytes);
    StageFile file = open(1024);
    size_t found = 0;
    ASSERT_TRUE(file.scan([&](int64_t, uint8_t, std::span<const std::byte> body) {
      found += kFrameBytes + body.size();
    }));
    ASSERT_LE(found, 1024U);
    if (file.has_room(3)) put(file, "new");
  }
}

}  // namespace
}  // namespace fieldpost
