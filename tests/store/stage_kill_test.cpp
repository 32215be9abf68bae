// SPDX-License-Identifier: Apache-2.0
//
// Stage 1 after kill -9, and with any bytes for files.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <set>

#include "base/unique_fd.hpp"
#include "fakes/sanitizer.hpp"
#include "stage_fixture.hpp"

namespace fieldpost {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the fixture
using Numbers = std::vector<int64_t>;

// ---- kill -9.

// What the child says: it has appended up to `number`; it will acknowledge or flush `number`, and
// it has done so.
enum class Word : int64_t { Appended, WillAcknowledge, Acknowledged, WillFlush, Flushed };
struct Said {
  Word word;
  int64_t number;
};

[[noreturn]] void work_for_ever(const StageLog::Options& options, uint64_t seed, int fd) {
  std::mt19937_64 random(seed);
  const auto say = [fd](Word word, int64_t number) {
    const Said said{word, number};
    if (::write(fd, &said, sizeof said) != sizeof said) ::_exit(2);
  };
  auto log = open_stage(options);
  if (!log) ::_exit(3);
  for (;;) {
    const int64_t newest = log->newest();
    const auto done = log->append(numbered(newest + 1, static_cast<int64_t>(1 + random() % 5)));
    if (done) say(Word::Appended, log->newest());
    if (!done && done.error().code != Errc::Full) ::_exit(4);
    if (random() % 2 == 0) {
      const auto number = static_cast<int64_t>(random() % static_cast<uint64_t>(newest + 1));
      say(Word::WillAcknowledge, number);
      if (!log->acknowledge(Numbers{number}, {})) ::_exit(5);
      say(Word::Acknowledged, number);
    }
    if (!done || random() % 8 == 0) {
      const int64_t up_to =
          std::max(log->flushed_up_to(), newest - static_cast<int64_t>(random() % 50));
      say(Word::WillFlush, up_to);
      log->flushed(up_to);
      say(Word::Flushed, up_to);
    }
  }
}

struct Promises {
  int64_t appended = 0;
  int64_t flushing = 0;
  int64_t flushed = 0;
  std::set<int64_t> acknowledging;
  std::set<int64_t> acknowledged;

  void take(const Said& said) {
    switch (said.word) {
      case Word::Appended:
        appended = said.number;
        break;
      case Word::WillAcknowledge:
        acknowledging.insert(said.number);
        break;
      case Word::Acknowledged:
        acknowledged.insert(said.number);
        break;
      case Word::WillFlush:
        flushing = said.number;
        break;
      case Word::Flushed:
        flushed = said.number;
        break;
    }
  }
};

void run_and_kill(const StageLog::Options& options, std::mt19937_64& random, Promises* ret) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  UniqueFd from(ends[0]);
  UniqueFd to(ends[1]);
  const uint64_t seed = random();
  const pid_t pid = ::fork();
  if (pid == 0) work_for_ever(options, seed, to.get());
  to = UniqueFd();
  Said said{};
  // So many words, and then a little more, so that the end may come inside of anything.
  for (uint64_t words = random() % 300; words > 0; --words) {
    if (::read(from.get(), &said, sizeof said) != sizeof said) break;
    ret->take(said);
  }
  const auto until = BootClock::now() + std::chrono::microseconds(random() % 300);
  while (BootClock::now() < until) {
  }
  ::kill(pid, SIGKILL);
  int status = 0;
  ::waitpid(pid, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status)) << "the child ended by itself: " << WEXITSTATUS(status);
  while (::read(from.get(), &said, sizeof said) == sizeof said) ret->take(said);
}

TEST(StageTortureFiles, LosesNothingWhenItIsKilled) {
  const uint64_t seed = test::seed();
  SCOPED_TRACE("FIELDPOST_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  const test::TempDir dir{test::tmpfs()};
  const auto options = stage_options(dir.path());
  Promises promises;
  for (int round = 0; round < (test::is_long() ? 2000 : 100); ++round) {
    ASSERT_NO_FATAL_FAILURE(run_and_kill(options, random, &promises));
    auto log = open_stage(options);
    ASSERT_NE(log, nullptr);
    ASSERT_GE(log->newest(), promises.appended) << "numbers would be used again";
    ASSERT_GE(log->flushed_up_to(), promises.flushed);
    const auto staged = read_all(*log);
    ASSERT_NO_FATAL_FAILURE(expect_numbered(staged));
    const Numbers found = numbers(staged);
    const std::set<int64_t> pending(found.begin(), found.end());
    for (int64_t n = promises.flushing + 1; n <= promises.appended; ++n) {
      ASSERT_TRUE(pending.contains(n) || promises.acknowledging.contains(n)) << n << " is lost";
    }
    for (const int64_t n : pending) {
      ASSERT_GT(n, promises.flushed);
      ASSERT_FALSE(promises.acknowledged.contains(n)) << n << " was acknowledged";
    }
    promises.appended = log->newest();
  }
  EXPECT_GT(promises.appended, 1000);
  EXPECT_GT(StageFile::header_of(dir / "stage.0")->generation, 4U) << "it hardly turned";
}

// ---- Garbage.

std::string contents(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Two files as a log leaves them, cut behind what is used.
std::array<std::string, 2> valid_files() {
  const test::TempDir dir{test::tmpfs()};
  auto log = open_stage(stage_options(dir.path(), 1000));
  EXPECT_TRUE(log->append_epoch({.since_ms = 1, .offset_ms = 2}));
  for (int i = 0; i < 30; ++i) {
    EXPECT_TRUE(log->append(numbered(log->newest() + 1, 2)));
    EXPECT_TRUE(log->acknowledge(Numbers{log->newest()}, Numbers{i}));
    log->flushed(log->newest() - 10);
  }
  std::array<std::string, 2> files = {contents(dir / "stage.0"), contents(dir / "stage.1")};
  for (std::string& file : files) file.resize(file.find_last_not_of('\0') + 1);
  return files;
}

void mutate(std::string& bytes, std::mt19937_64& random) {
  if (bytes.empty()) return;
  const size_t at = random() % bytes.size();
  const size_t size = random() % std::min<size_t>(32, bytes.size() - at + 1);
  switch (random() % 5) {
    case 0:
      bytes[at] = static_cast<char>(random());
      break;
    case 1:
      bytes[at] ^= static_cast<char>(1 << random() % 8);
      break;
    case 2:
      bytes.erase(at, size);
      break;
    case 3:
      bytes.insert(at, bytes.substr(random() % bytes.size(), size));
      break;
    default:
      bytes.replace(at, size, size, '\xFF');
      break;
  }
}

// The same records with the right checksums, but other bodies: deeper than a checksum lets through.
void write_with_mutated_bodies(const std::string& path, std::string_view valid,
                               std::mt19937_64& random) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << valid;
  auto file = StageFile::open(path, static_cast<int64_t>(valid.size()));
  std::vector<std::pair<uint8_t, std::string>> records;
  ASSERT_TRUE(file->scan([&](int64_t, uint8_t type, std::span<const std::byte> body) {
    records.emplace_back(type,
                         std::string(reinterpret_cast<const char*>(body.data()), body.size()));
  }));
  ASSERT_TRUE(file->begin(StageFile::Header(file->header())));
  for (auto& [type, body] : records) {
    if (random() % 4 == 0) mutate(body, random);
    if (random() % 32 == 0) type = static_cast<uint8_t>(random() % 6);
    if (!file->append(type, std::as_bytes(std::span(body)))) break;
  }
}

size_t peak_memory_kib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::stoul(line.substr(6));
  }
  return 0;
}

TEST(StageTortureFiles, TakesAnyFiles) {
  const uint64_t seed = test::seed();
  SCOPED_TRACE("FIELDPOST_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  const auto valid = valid_files();
  const test::TempDir dir{test::tmpfs()};
  const size_t before = peak_memory_kib();
  int64_t found = 0;
  for (int round = 0; round < test::turns(test::is_long() ? 1'000'000 : 100'000); ++round) {
    SymbolTable symbols;
    for (size_t f = 0; f < 2; ++f) {
      const std::string path = dir / ("stage." + std::to_string(f));
      std::string bytes = valid[f];
      if (random() % 4 == 0) {
        ASSERT_NO_FATAL_FAILURE(write_with_mutated_bodies(path, bytes, random));
        continue;
      }
      for (uint64_t n = random() % 4; n > 0; --n) mutate(bytes, random);
      if (random() % 16 == 0)
        std::ranges::generate(bytes, [&] { return static_cast<char>(random()); });
      std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
    }
    auto log = StageLog::open({.folder = dir.path(), .bytes = 2048, .boot_id = kBoot}, symbols);
    ASSERT_TRUE(log) << log.error().message;
    const auto staged = (*log)->read(0, SIZE_MAX);
    ASSERT_TRUE(staged) << staged.error().message;
    int64_t readings = 0;
    for (const Staged& s : *staged) readings += static_cast<int64_t>(s.sample.points.size());
    ASSERT_EQ((*log)->pending_readings(), readings);
    found += readings;
    (void)(*log)->acknowledge(numbers(*staged), {});
    ASSERT_EQ((*log)->pending_readings(), 0);
  }
  EXPECT_GT(found, 0);
  if (!test::is_sanitized()) {
    EXPECT_LT(peak_memory_kib() - before, 64U << 10);
  }
}

}  // namespace
}  // namespace fieldpost
