// SPDX-License-Identifier: Apache-2.0
//
// kill -9 of a process with both stages, at random moments, while a broker that is now there and
// now not takes what it can: no reading that was appended is lost, and none comes again that was
// acknowledged before the kill.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include <cmath>
#include <deque>
#include <random>
#include <set>
#include <thread>

#include "base/unique_fd.hpp"
#include "fakes/test_env.hpp"
#include "store_ears.hpp"
#include "uplink/lanes.hpp"

namespace fieldpost {
namespace {

using namespace std::chrono_literals;
using testing::Ears;
using testing::sample;
using testing::TempDir;

constexpr int64_t kPerAppend = 4;

// Reading k of append i, made from the numbers alone, so that parent and child agree.
double value_of(int64_t append, int64_t k) {
  return k % 2 == 0 ? static_cast<double>(append) / 10
                    : std::sin(static_cast<double>(append * 31 + k));
}

// Named so that what comes back says which append it was, whatever its stamp.
std::vector<DeviceSample> append_number(int64_t append) {
  std::vector<DeviceSample> samples;
  for (int64_t k = 0; k < kPerAppend; ++k) {
    samples.push_back(sample(
        "d" + std::to_string(k % 2), append * 10 + k,
        {{"number", static_cast<double>(append)}, {"k" + std::to_string(k), value_of(append, k)}}));
  }
  return samples;
}

using Reading = std::pair<int64_t, int64_t>;  // append, k

// What a chunk brings, and whether its values are right to the bit.
std::vector<Reading> readings_of(const Chunk& chunk) {
  std::vector<Reading> found;
  for (const State& state : chunk.states) {
    EXPECT_EQ(state.points.size(), 2U);
    const auto append = static_cast<int64_t>(std::get<double>(state.points[0].value));
    const int64_t k = state.points[1].attribute->back() - '0';
    EXPECT_EQ(std::bit_cast<uint64_t>(std::get<double>(state.points[1].value)),
              std::bit_cast<uint64_t>(value_of(append, k)));
    found.emplace_back(append, k);
  }
  return found;
}

// What the child tells before and after it does something that counts.
struct Word {
  enum Kind : int64_t { Appended, WillAcknowledge, Acknowledged } kind;
  int64_t append;
  int64_t k;
};

void tell(int fd, const Word& word) {
  if (::write(fd, &word, sizeof word) != sizeof word) ::_exit(2);
}

// The first of them, said aloud before and after.
void acknowledge_first(std::deque<Chunk>& in_flight, Store& store, int fd) {
  const Chunk chunk = std::move(in_flight.front());
  in_flight.pop_front();
  const auto readings = readings_of(chunk);
  for (const auto& [append, k] : readings) tell(fd, {Word::WillAcknowledge, append, k});
  store.acknowledge({chunk.row});
  for (const auto& [append, k] : readings) tell(fd, {Word::Acknowledged, append, k});
}

enum class Order : uint8_t { OldestFirst, LiveFirst };

Store::Options options(const std::string& folder, bool disk_first) {
  auto o = testing::options(folder, disk_first ? 1ms : 5ms);
  o.disk_first = disk_first;
  o.stage_bytes = 600'000;  // so that its files are used again and again
  return o;
}

// Takes what the store hands out and acknowledges it, or loses the line and starts again.
void be_the_broker(Store& store, Ears& ears, int fd, unsigned seed) {
  std::mt19937 random(seed);
  int64_t after = item_id::kBeforeAll;
  std::deque<Chunk> in_flight;
  for (int answers = 1;; ++answers) {
    store.fetch(Lane::All, after, 1 + random() % 60);
    if (!ears.wait_for_answers(answers)) ::_exit(4);
    for (Chunk& chunk : ears.chunks()) {
      after = std::max(after, chunk.row);
      in_flight.push_back(std::move(chunk));
    }
    if (random() % 20 == 0) {  // a disconnection
      for (const Chunk& chunk : in_flight) after = std::min(after, chunk.row - 1);
      in_flight.clear();
    }
    if (random() % 4 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(random() % 10));
    while (!in_flight.empty() && random() % 8 != 0) {
      acknowledge_first(in_flight, store, fd);
    }
  }
}

// The same with two lanes. Within a connection nothing may be handed out twice.
void be_the_live_broker(Store& store, Ears& ears, int fd, unsigned seed) {
  std::mt19937 random(seed);
  Ahead ahead;
  int64_t live = item_id::kBeforeAll, backlog = item_id::kBeforeAll;
  std::deque<Chunk> in_flight;
  std::set<Reading> held;
  for (int answers = 1;; ++answers) {
    const Lane lane = random() % 2 == 0 ? Lane::Live : Lane::Backlog;
    const bool begins = lane == Lane::Live && live == item_id::kBeforeAll;
    store.fetch(lane, lane == Lane::Live ? live : backlog, 1 + random() % 60);
    if (!ears.wait_for_answers(answers)) ::_exit(4);
    const Fetched fetched = ears.fetched();
    for (const Chunk& chunk : fetched.chunks) {
      if (lane == Lane::Backlog && ahead.contains(chunk.row)) continue;
      if (lane == Lane::Live && chunk.row <= backlog) continue;
      if (begins) ahead.add(chunk.row - 1, chunk.row, item_id::is_sample(chunk.row));
      for (const Reading& reading : readings_of(chunk)) {
        if (!held.insert(reading).second) ::_exit(5);
      }
      in_flight.push_back(chunk);
    }
    if (lane == Lane::Live && !begins && !fetched.chunks.empty()) {
      const bool samples = item_id::is_sample(fetched.chunks.back().row);
      ahead.add(fetched.from, fetched.up_to, samples);
    }
    int64_t& cursor = lane == Lane::Live ? live : backlog;
    cursor = std::max(cursor, fetched.up_to);
    if (random() % 20 == 0) {  // a disconnection
      in_flight.clear();
      held.clear();
      ahead.clear();
      live = backlog = item_id::kBeforeAll;
    }
    if (random() % 4 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(random() % 10));
    while (!in_flight.empty() && random() % 8 != 0) {
      std::swap(in_flight.front(), in_flight[random() % in_flight.size()]);
      acknowledge_first(in_flight, store, fd);
    }
  }
}

[[noreturn]] void live(const std::string& folder, bool disk_first, Order order, int64_t first,
                       int fd, unsigned seed) {
  Ears ears;
  Store store(options(folder, disk_first), ears.sinks(), testing::symbols());
  testing::keep(store, {.since_ms = 0, .offset_ms = 1'000'000});
  store.start();
  std::thread broker([&] {
    order == Order::LiveFirst ? be_the_live_broker(store, ears, fd, seed)
                              : be_the_broker(store, ears, fd, seed);
  });
  for (int64_t i = first;; ++i) {
    store.append(append_number(i));
    tell(fd, {Word::Appended, i, 0});
    if (i % 8 == 0) std::this_thread::sleep_for(1ms);
  }
}

struct Known {
  int64_t appended = 0;          // up to there
  std::set<Reading> maybe_gone;  // the child was about to acknowledge them
  std::set<Reading> acknowledged;
  void hear(const Word& word) {
    switch (word.kind) {
      case Word::Appended:
        appended = std::max(appended, word.append);
        break;
      case Word::WillAcknowledge:
        maybe_gone.emplace(word.append, word.k);
        break;
      case Word::Acknowledged:
        acknowledged.emplace(word.append, word.k);
        break;
    }
  }
};

void run_and_kill(const std::string& folder, bool disk_first, Order order, Known& known,
                  std::mt19937& random) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  UniqueFd from(ends[0]);
  UniqueFd to(ends[1]);
  const auto seed = static_cast<unsigned>(random());
  const pid_t pid = ::fork();
  if (pid == 0) live(folder, disk_first, order, known.appended + 1, to.get(), seed);
  to = UniqueFd();
  Word word{};
  const auto words = static_cast<int64_t>(random() % 3000);
  for (int64_t i = 0; i < words; ++i) {
    if (::read(from.get(), &word, sizeof word) != sizeof word) break;
    known.hear(word);
  }
  ::kill(pid, SIGKILL);
  int status = 0;
  ::waitpid(pid, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself: " << WEXITSTATUS(status);
  while (::read(from.get(), &word, sizeof word) == sizeof word) known.hear(word);
}

// Everything that the store still has, fetched to the end.
std::multiset<Reading> find_all(const std::string& folder, bool disk_first) {
  Ears ears;
  Store store(options(folder, disk_first), ears.sinks(), testing::symbols());
  store.start();
  EXPECT_TRUE(ears.wait_for_row(INT64_MIN + 1)) << "it opens";
  if (disk_first) {  // what was not on the disk yet comes with the first flush
    EXPECT_TRUE(ears.wait_for_status([&](const StoreStatus& s) { return s.staged == 0; }));
  }
  std::multiset<Reading> found;
  int64_t after = item_id::kBeforeAll;
  for (int answers = 1;; ++answers) {
    store.fetch(Lane::All, after, 1000);
    EXPECT_TRUE(ears.wait_for_answers(answers));
    if (ears.chunks().empty()) return found;
    for (const Chunk& chunk : ears.chunks()) {
      after = std::max(after, chunk.row);
      for (const Reading& reading : readings_of(chunk)) found.insert(reading);
    }
  }
}

void kill_often(bool disk_first, Order order) {
  const uint64_t seed = test::seed();
  SCOPED_TRACE("FIELDPOST_SEED=" + std::to_string(seed));
  std::mt19937 random(static_cast<unsigned>(seed));
  TempDir dir;
  Known known;
  for (int round = 0; round < (testing::long_tests() ? 500 : 25); ++round) {
    SCOPED_TRACE(round);
    ASSERT_NO_FATAL_FAILURE(run_and_kill(dir.path(), disk_first, order, known, random));
    const auto found = find_all(dir.path(), disk_first);
    for (const Reading& reading : found) {
      ASSERT_EQ(found.count(reading), 1U) << "twice: " << reading.first << "/" << reading.second;
      ASSERT_FALSE(known.acknowledged.contains(reading))
          << "acknowledged, and there again: " << reading.first << "/" << reading.second;
    }
    for (int64_t i = 1; i <= known.appended; ++i) {
      for (int64_t k = 0; k < kPerAppend; ++k) {
        ASSERT_TRUE(found.contains({i, k}) || known.maybe_gone.contains({i, k}))
            << "lost: " << i << "/" << k;
      }
    }
    // Appended, but killed before it could say so.
    if (!found.empty()) known.appended = std::max(known.appended, found.rbegin()->first);
  }
  EXPECT_GT(known.acknowledged.size(), 100U);
}

TEST(StoreKill, LosesNothingAndSendsNothingTwiceInMemory) { kill_often(false, Order::OldestFirst); }
TEST(StoreKill, LosesNothingAndSendsNothingTwiceOnDisk) { kill_often(true, Order::OldestFirst); }
TEST(StoreKill, LosesNothingAndSendsNothingTwiceLiveFirstInMemory) {
  kill_often(false, Order::LiveFirst);
}
TEST(StoreKill, LosesNothingAndSendsNothingTwiceLiveFirstOnDisk) {
  kill_often(true, Order::LiveFirst);
}

}  // namespace
}  // namespace fieldpost
