// SPDX-License-Identifier: Apache-2.0
#include "store/exports.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <map>
#include <random>
#include <sstream>

#include "base/json.hpp"
#include "fakes/test_env.hpp"
#include "store/database.hpp"
#include "store/store.hpp"
#include "store_ears.hpp"
#include "store_fixture.hpp"

namespace fieldpost {
namespace {

using testing::outbox_options;
using testing::sample;
using testing::symbols;
using testing::TempDir;

constexpr size_t kPipe = 4096;  // bytes; the least that the kernel gives
const std::string kBoiler = "boiler";
const std::string kMeter = "meter";

// The store thread's doings, one by one.
class ExportsTest : public ::testing::Test {
 protected:
  ExportsTest() {
    std::signal(SIGPIPE, SIG_IGN);  // NOLINT: as in the daemon
    stage = StageLog::open_in_memory({.bytes = 16 << 20, .boot_id = "boot-1"}, symbols()).value();
    Outbox::Options options = outbox_options(folder.path(), "boot-1");
    options.stage_id = stage->id();
    outbox.emplace(Outbox::open(options, symbols()).value());
  }

  void set_clock(int64_t offset_ms) {
    ASSERT_TRUE(stage->append_epoch({0, offset_ms}));
    outbox->add_epoch({0, offset_ms});
  }

  // A number for each, counted by device.
  void append(const std::string& device, int count) {
    std::vector<DeviceSample> samples;
    for (int i = 0; i < count; ++i) {
      samples.push_back(sample(device, ++ms, {{"n", static_cast<double>(++counted[device])}}));
    }
    ASSERT_TRUE(stage->append(samples));
  }

  void flush() {
    const auto staged = stage->read(stage->flushed_up_to(), 100'000).value();
    const int64_t up_to = stage->newest();
    if (!staged.empty()) {
      ASSERT_TRUE(outbox->append(staged, up_to));
    }
    stage->flushed(up_to);
    if (!staged.empty()) exports.flushed(outbox->made());
  }

  struct Reader {
    UniqueFd fd;
    int64_t number = 0;
    std::string text;
    bool ended = false;
    // What there is, at most `most` bytes.
    void read(size_t most = SIZE_MAX) {
      std::array<char, kPipe> block{};
      while (!ended && most > 0) {
        const ssize_t n = ::read(fd.get(), block.data(), std::min(block.size(), most));
        if (n < 0) return;
        if (n == 0) ended = true;
        text.append(block.data(), static_cast<size_t>(n));
        most -= static_cast<size_t>(n);
      }
    }
  };

  Result<Reader> start(std::optional<ExportFormat> format, const std::string& device = "") {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    UniqueFd read(ends[0]);
    EXPECT_GT(::fcntl(ends[1], F_SETPIPE_SZ, kPipe), 0);
    EXPECT_EQ(::fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    Reader reader{.fd = std::move(read)};
    reader.number = FP_TRY(exports.admit(
        {.pipe = UniqueFd(ends[1]), .format = format, .device = device, .names = {}}));
    return reader;
  }

  void work() { exports.work(outbox ? &*outbox : nullptr, "", *stage, handover); }

  void finish(Reader& reader) {
    for (int i = 0; i < 100'000 && !reader.ended; ++i) {
      work();
      reader.read();
    }
    ASSERT_TRUE(reader.ended);
  }

 public:
  // Of one device, in the order of the lines.
  static std::vector<double> values(const std::string& csv, const std::string& device) {
    std::vector<double> found;
    std::istringstream lines(csv);
    for (std::string line; std::getline(lines, line);) {
      if (line.find("," + device + ",") == std::string::npos) continue;
      found.push_back(std::stod(line.substr(line.rfind(',') + 1)));
    }
    return found;
  }

  static std::vector<double> count_to(int last, int first = 1) {
    std::vector<double> numbers;
    for (int i = first; i <= last; ++i) numbers.push_back(i);
    return numbers;
  }

 protected:
  const TempDir folder;
  std::unique_ptr<StageLog> stage;
  std::optional<Outbox> outbox;
  Handover handover;
  Exports exports;
  int64_t ms = 0;
  std::map<std::string, int> counted;
};

TEST_F(ExportsTest, EachReadingOnceWhateverAFlushDoesMeanwhile) {
  const auto seed = static_cast<unsigned>(test::seed());
  std::mt19937 random(seed);
  set_clock(1'000'000);
  for (int round = 0; round < (testing::long_tests() ? 60 : 15); ++round) {
    for (int i = 0; i < 3; ++i) {
      append(kBoiler, 1400);
      append(kMeter, 600);
      if (random() % 4 == 0) flush();
    }
    const int boiler = counted[kBoiler];
    const int meter = counted[kMeter];
    auto reader = start(ExportFormat::Csv);
    ASSERT_TRUE(reader);
    while (!reader->ended) {
      work();
      reader->read(random() % (4 * kPipe));
      if (random() % 10 == 0) append(kBoiler, 20);
      if (random() % 10 == 0) flush();
    }
    const auto boilers = values(reader->text, kBoiler);
    ASSERT_GE(boilers.size(), static_cast<size_t>(boiler)) << "seed " << seed;
    ASSERT_EQ(boilers, count_to(static_cast<int>(boilers.size()))) << "seed " << seed;
    ASSERT_EQ(values(reader->text, kMeter), count_to(meter)) << "seed " << seed;
    const ExportOutcome outcome = exports.outcome(reader->number).value();
    EXPECT_TRUE(outcome.ended);
    EXPECT_EQ(outcome.trouble, "");
    EXPECT_EQ(outcome.readings, static_cast<int64_t>(boilers.size()) + meter);
  }
}

TEST_F(ExportsTest, WhatIsAcknowledgedIsLeftOut) {
  set_clock(0);
  append(kBoiler, 10);
  flush();
  append(kBoiler, 10);
  flush();
  append(kBoiler, 10);
  const auto rows = outbox->fetch(item_id::kBeforeAll, 1).value();
  ASSERT_EQ(rows.size(), 1U);
  ASSERT_TRUE(outbox->acknowledge(std::array{rows[0].row}));
  ASSERT_TRUE(stage->acknowledge(std::array{int64_t{21}, int64_t{22}}, {}));
  // Of the second row, its first sample: it was on its way when the flush came.
  Handover::Row parts{.members = outbox->made()[0].members, .last_of_flush = 20};
  parts.members[0].acknowledged = true;
  handover.add(outbox->made()[0].row, parts);
  auto reader = start(ExportFormat::Csv);
  ASSERT_TRUE(reader);
  finish(*reader);
  std::vector<double> expected = count_to(20, 12);
  for (const double n : count_to(30, 23)) expected.push_back(n);
  EXPECT_EQ(values(reader->text, kBoiler), expected);
}

TEST_F(ExportsTest, LookingTakesNothingAway) {
  set_clock(0);
  append(kBoiler, 10);
  flush();
  append(kBoiler, 10);
  auto reader = start(ExportFormat::Jsonl);
  ASSERT_TRUE(reader);
  finish(*reader);
  EXPECT_EQ(outbox->totals().readings, 10);
  EXPECT_EQ(stage->pending_readings(), 10);
  EXPECT_EQ(testing::describe(outbox->fetch(item_id::kBeforeAll, 1000).value()).size(), 10U);
  EXPECT_EQ(stage->take(stage->flushed_up_to(), 1000).value()->size(), 10U);
}

TEST_F(ExportsTest, WithoutAClockThereIsTheTimeOfTheBoot) {
  append(kBoiler, 1);
  flush();
  append(kBoiler, 1);
  auto reader = start(ExportFormat::Csv);
  ASSERT_TRUE(reader);
  finish(*reader);
  EXPECT_EQ(reader->text.substr(reader->text.find('\n') + 1),
            ",1,,boiler,,n,number,1\r\n,2,,boiler,,n,number,2\r\n");
}

TEST_F(ExportsTest, OneDevice) {
  set_clock(0);
  append(kBoiler, 3);
  append(kMeter, 3);
  flush();
  append(kBoiler, 3);
  append(kMeter, 3);
  auto reader = start(ExportFormat::Csv, kMeter);
  ASSERT_TRUE(reader);
  finish(*reader);
  EXPECT_EQ(values(reader->text, kMeter), count_to(6));
  EXPECT_EQ(values(reader->text, kBoiler).size(), 0U);
}

TEST_F(ExportsTest, CountsByDevice) {
  set_clock(0);
  append(kBoiler, 3);
  append(kMeter, 2);
  flush();
  append(kMeter, 2);
  flush();
  append(kBoiler, 5);
  auto reader = start(std::nullopt);
  ASSERT_TRUE(reader);
  finish(*reader);
  EXPECT_EQ(reader->text,
            R"({"devices":[)"
            R"({"id":"boiler","readings":8,"staged":5,"rows":1,)"
            R"("oldest":"1970-01-01T00:00:00.001Z","newest_row":"1970-01-01T00:00:00.001Z"},)"
            R"({"id":"meter","readings":4,"staged":0,"rows":2,)"
            R"("oldest":"1970-01-01T00:00:00.004Z","newest_row":"1970-01-01T00:00:00.006Z"}]})"
            "\n");
}

TEST_F(ExportsTest, AReaderThatWaitsCostsNothingAndOneThatGoesEndsIt) {
  set_clock(0);
  append(kBoiler, 5000);
  auto one = start(ExportFormat::Csv);
  auto two = start(ExportFormat::Csv);
  ASSERT_TRUE(one && two);
  const auto three = start(ExportFormat::Csv);
  ASSERT_FALSE(three);
  EXPECT_EQ(three.error().code, Errc::Unavailable);
  EXPECT_TRUE(exports.has_work());
  work();  // the header
  work();
  EXPECT_FALSE(exports.has_work()) << "both pipes are full";
  std::vector<pollfd> waited;
  exports.add_waited(waited);
  EXPECT_EQ(waited.size(), 2U);
  one->fd = UniqueFd();
  work();
  EXPECT_TRUE(exports.outcome(one->number).value().ended);
  EXPECT_EQ(exports.outcome(one->number).value().trouble, "the reader: Broken pipe");
  EXPECT_TRUE(start(ExportFormat::Csv)) << "its place is free";
  exports.end_all("the agent was stopped");
  EXPECT_FALSE(exports.has_work());
  EXPECT_EQ(exports.outcome(two->number).value().trouble, "the agent was stopped");
  two->read();
  EXPECT_TRUE(two->ended);
  EXPECT_FALSE(exports.outcome(99));
}

TEST_F(ExportsTest, WithoutADiskThereIsWhatIsInStage1AndAWord) {
  set_clock(0);
  append(kBoiler, 10);
  outbox.reset();
  auto reader = start(ExportFormat::Csv);
  ASSERT_TRUE(reader);
  finish(*reader);
  EXPECT_EQ(values(reader->text, kBoiler), count_to(10));
  EXPECT_EQ(exports.outcome(reader->number).value().trouble,
            "the outbox on the disk is not open; what is on the disk is missing");
}

TEST_F(ExportsTest, OnlyAPipeWillDo) {
  EXPECT_EQ(exports.admit({.pipe = UniqueFd()}).error().code, Errc::Invalid);
  UniqueFd file(::open((folder / "f").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  EXPECT_FALSE(exports.admit({.pipe = std::move(file)}));
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const UniqueFd write(ends[1]);
  EXPECT_FALSE(exports.admit({.pipe = UniqueFd(ends[0])})) << "its read end";
}

TEST_F(ExportsTest, ADamagedRowIsCountedAndTheOthersCome) {
  set_clock(0);
  for (int i = 0; i < 3; ++i) {
    append(kBoiler, 10);
    flush();
  }
  outbox.reset();
  {
    Database database = Database::open(folder / "outbox.db").value();
    ASSERT_TRUE(database.exec(
        "UPDATE chunk SET body = zeroblob(20) WHERE id = (SELECT id FROM chunk LIMIT 1 OFFSET 1)"));
  }
  Outbox::Options options = outbox_options(folder.path(), "boot-1");
  options.stage_id = stage->id();
  outbox.emplace(Outbox::open(options, symbols()).value());
  auto reader = start(ExportFormat::Csv);
  ASSERT_TRUE(reader);
  finish(*reader);
  EXPECT_EQ(values(reader->text, kBoiler).size(), 20U);
  EXPECT_EQ(exports.outcome(reader->number).value().damaged_rows, 1);
  EXPECT_EQ(outbox->totals().readings, 30) << "looking sets nothing aside";
}

// The same in a store at work: what was read of stage 1 goes to the disk while the reader rests.
TEST(StoreExport, GoesOnThroughAFlushAndEndsWithTheStore) {
  std::signal(SIGPIPE, SIG_IGN);  // NOLINT: as in the daemon
  const TempDir folder;
  const TempDir run_folder;
  testing::Ears ears;
  Store store({.folder = folder.path(),
               .run_folder = run_folder.path(),
               .boot_id = "boot-1",
               .flush_interval = std::chrono::milliseconds(700)},
              ears.sinks(), symbols());
  testing::keep(store, {.since_ms = 0, .offset_ms = 1'000'000, .estimated = true});
  store.start();
  ASSERT_TRUE(ears.wait([&] { return store.status().totals.file_bytes > 0; }));
  constexpr int kCount = 6000;
  for (int i = 1; i <= kCount; ++i) {
    store.append({sample(kBoiler, i, {{"n", 1.0 * i}})});
  }
  std::array<UniqueFd, 2> readers;
  std::array<int64_t, 2> numbers{};
  for (size_t i = 0; i < readers.size(); ++i) {
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    readers[i] = UniqueFd(ends[0]);
    ASSERT_GT(::fcntl(ends[1], F_SETPIPE_SZ, kPipe), 0);
    numbers[i] =
        store
            .start_export(
                {.pipe = UniqueFd(ends[1]), .format = ExportFormat::Csv, .device = "", .names = {}})
            .value();
  }
  ASSERT_TRUE(ears.wait_for_status([](const auto& s) { return s.totals.readings == kCount; }))
      << "a reader that rests holds up the flush";
  std::string text;
  std::array<char, kPipe> block{};
  for (ssize_t n = 0; (n = ::read(readers[0].get(), block.data(), block.size())) > 0;) {
    text.append(block.data(), static_cast<size_t>(n));
  }
  EXPECT_EQ(ExportsTest::values(text, kBoiler), ExportsTest::count_to(kCount));
  EXPECT_EQ(store.export_outcome(numbers[0]).value().readings, kCount);
  EXPECT_TRUE(store.stop(testing::kPatience));
  EXPECT_EQ(store.export_outcome(numbers[1]).value().trouble, "the agent was stopped");
}

}  // namespace
}  // namespace fieldpost
