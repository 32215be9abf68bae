// SPDX-License-Identifier: Apache-2.0
//
// A store that lives on a real disk, for ext4_test.py.
//
//   power_driver live  FOLDER RUN NOTES memory|disk SEED STEPS   lives, and says its words to NOTES
//   power_driver check FOLDER RUN WORDS                          after a cut: is it as they said?
//
// `live` with FIELDPOST_TEST_NO_SYNC set is the wrong build that `check` has to find out.
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "base/unique_fd.hpp"
#include "store/no_sync.hpp"
#include "store/power_life.hpp"

namespace fieldpost::testing {
namespace {

constexpr int kBoots = 3;

int live(char** args) {
  std::optional<NoSync> wrong_build;
  if (std::getenv("FIELDPOST_TEST_NO_SYNC") != nullptr) wrong_build.emplace();
  const UniqueFd notes(::open(args[2], O_WRONLY | O_CLOEXEC));
  const auto say = [&](const Word& word) {
    if (::write(notes.get(), &word, sizeof word) != sizeof word) std::abort();
  };
  int64_t next = 1;
  for (int boot = 1; boot <= kBoots; ++boot) {
    std::filesystem::remove_all(args[1]);
    std::filesystem::create_directory(args[1]);
    PowerLife life({.folder = args[0],
                    .run_folder = args[1],
                    .boot = boot,
                    .disk_first = std::string_view(args[3]) == "disk",
                    .first = next,
                    .seed = static_cast<unsigned>(std::atoi(args[4]) + boot)},
                   say);
    bool answers = life.start();
    for (int left = std::atoi(args[5]) / kBoots; answers && left > 0; --left) answers = life.step();
    if (!answers) return std::fputs("the store did not answer in time\n", stderr), 3;
    next = life.next();
  }
  return 0;
}

int check(char** args) {
  Ledger ledger;
  std::ifstream words(args[2], std::ios::binary);
  Word word{};
  while (words.read(reinterpret_cast<char*>(&word), sizeof word)) ledger.hear(word);
  const FoundSamples found = find_after_boot(args[0], args[1]);
  const auto problems = ledger.problems_of(found);
  for (const std::string& problem : problems) std::printf("%s\n", problem.c_str());
  std::printf("%zu samples found, %lld gone\n", found.samples.size(),
              static_cast<long long>(ledger.gone()));
  return problems.empty() ? 0 : 1;
}

}  // namespace
}  // namespace fieldpost::testing

int main(int argc, char** argv) {
  const std::string_view what = argc > 1 ? argv[1] : "";
  if (what == "live" && argc == 8) return fieldpost::testing::live(argv + 2);
  if (what == "check" && argc == 5) return fieldpost::testing::check(argv + 2);
  std::fputs("usage: see the head of power_driver.cpp\n", stderr);
  return 2;
}
