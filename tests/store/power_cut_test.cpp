// SPDX-License-Identifier: Apache-2.0
//
// Power cuts at random moments of random lives, on a disk that forgets and reorders what was not
// synced (fakes/cut_disk.hpp): every reading that was on the disk is there, once and to the bit,
// and nothing that was deleted comes back. And a build that does not sync is found out.
#include <sqlite3.h>

#include <filesystem>
#include <functional>
#include <random>

#include "fakes/cut_disk.hpp"
#include "fakes/test_env.hpp"
#include "no_sync.hpp"
#include "power_life.hpp"

namespace fieldpost {
namespace {

namespace fs = std::filesystem;
using namespace testing;  // NOLINT(google-build-using-namespace): the fixture

struct Kind {
  bool disk_first = false;
  bool drive_lies = false;
};

// One machine that loses its power again and again, and its outbox.
class Machine {
 public:
  Machine(Kind kind, unsigned seed) : kind_(kind), random_(seed) { begin_anew(); }

  // One boot, its life, the cut, and what is wrong afterwards.
  std::vector<std::string> live_and_cut() {
    if (random_() % 30 == 0) begin_anew();
    const bool of_checkpoint = random_() % 4 == 0;
    CutDisk disk(folder(), {.at = 1 + static_cast<int64_t>(random_() % (of_checkpoint ? 60 : 400)),
                            .of_checkpoint = of_checkpoint,
                            .drive_lies = kind_.drive_lies});
    vfs_.set_policy([&](const FaultyVfs::Call& call) { return disk.on(call); });
    const bool lived = live(disk);
    if (!lived) return {"the store did not answer in time"};
    // From now on a machine with power.
    vfs_.set_policy([](const FaultyVfs::Call& call) {
      return call.op == FaultyVfs::Op::Sync ? FaultyVfs::kPretend : SQLITE_OK;
    });
    const std::string found_in = folder() + "-looked-at";
    fs::remove_all(folder());
    disk.write_image(folder(), random_);
    fs::copy(folder(), found_in);
    const FoundSamples found = find_after_boot(found_in, fresh_run_folder());
    std::vector<std::string> problems = ledger_.problems_of(found);
    fs::remove_all(found_in);
    ledger_.begin_anew_with(found);
    return problems;
  }

  int64_t samples() const { return next_ - 1; }
  int64_t gone() const { return ledger_.gone(); }

 private:
  bool live(CutDisk& disk) {
    const auto hear = [&](const Word& word) {
      // What was promised after the cut was promised to nobody. A word is said when it is true, so
      // it was before the cut if the cut comes later.
      if (!disk.is_cut()) ledger_.hear(word);
    };
    PowerLife life({.folder = folder(),
                    .run_folder = fresh_run_folder(),
                    .boot = ++boot_,
                    .disk_first = kind_.disk_first,
                    .first = next_,
                    .seed = static_cast<unsigned>(random_())},
                   hear);
    bool answers = life.start();
    for (int steps = 0; answers && steps < 400 && !disk.is_cut(); ++steps) answers = life.step();
    disk.cut_now();
    next_ = life.next();
    return answers;
  }

  void begin_anew() {
    fs::remove_all(folder());
    fs::create_directory(folder());
    ledger_.begin_anew_with({});
  }
  std::string folder() const { return dir_ / "disk"; }
  std::string fresh_run_folder() const {
    fs::remove_all(dir_ / "run");
    fs::create_directory(dir_ / "run");
    return dir_ / "run";
  }

  const Kind kind_;
  std::mt19937 random_;
  test::TempDir dir_{test::tmpfs()};
  FaultyVfs vfs_;
  Ledger ledger_;
  int boot_ = 0;
  int64_t next_ = 1;
};

unsigned some_seed() {
  const auto seed = static_cast<unsigned>(test::seed());
  std::printf("FIELDPOST_SEED=%u\n", seed);
  return seed;
}

void cut_often(Kind kind) {
  Machine machine(kind, some_seed());
  for (int cut = 1; cut <= (long_tests() ? 500 : 50); ++cut) {
    ASSERT_EQ(machine.live_and_cut(), std::vector<std::string>()) << "cut " << cut;
  }
  EXPECT_GT(machine.samples(), 1000);
  EXPECT_GT(machine.gone(), 100) << "it tried what deletes";
}

// That what is wrong is seen, and seen soon.
void is_caught(Kind kind) {
  Machine machine(kind, some_seed());
  for (int cut = 1; cut <= 20; ++cut) {
    const auto problems = machine.live_and_cut();
    if (problems.empty()) continue;
    std::printf("cut %d: %s (and %zu more)\n", cut, problems[0].c_str(), problems.size() - 1);
    return;
  }
  FAIL() << "nobody noticed that nothing is synced";
}

TEST(PowerCut, LosesNothingInMemory) { cut_often({}); }
TEST(PowerCut, LosesNothingOnDisk) { cut_often({.disk_first = true}); }

TEST(PowerCut, ADriveThatLiesIsCaught) { is_caught({.drive_lies = true}); }

TEST(PowerCut, ABuildThatDoesNotSyncIsCaught) {
  const NoSync no_sync;
  is_caught({});
}

}  // namespace
}  // namespace fieldpost
