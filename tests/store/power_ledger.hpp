// SPDX-License-Identifier: Apache-2.0
//
// What a store had promised when the power failed, and whether it is kept: the book that the tests
// of power cuts keep (power_life.hpp writes it), and the look at what is found afterwards.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "store/database.hpp"
#include "store_ears.hpp"

namespace fieldpost::testing {

// Something that counts. Plain old data: it also goes through a pipe.
struct Word {
  enum Kind : int64_t {
    Appends,       // sample `number` is about to be appended; it will have this wall time
    Stored,        // all samples up to `number` are on the disk, or acknowledged
    Acknowledges,  // sample `number` is about to be acknowledged
    Gone,          // sample `number` was acknowledged, and a transaction has ended since
  } kind;
  int64_t number;
  int64_t wall_ms;
};

// Sample `number`, made from that alone, so that whoever finds it knows what it must be.
inline DeviceSample powered_sample(int64_t number) {
  const bool utc = number % 5 == 0;
  DeviceSample made =
      sample("d" + std::to_string(number % 3), (utc ? 1'800'000'000'000 : 0) + number * 10,
             {{"number", static_cast<double>(number)},
              {"a" + std::to_string(number / 40), std::sin(number)}},
             utc ? CaptureTime::Base::Utc : CaptureTime::Base::ThisBoot);
  if (number % 3 == 0) made.points.push_back({symbol("on"), number % 2 == 0});
  if (number % 4 == 0) {
    const auto length = static_cast<size_t>(number * 37 % 3000);
    made.points.push_back(
        {symbol("text"), std::string(length, static_cast<char>('a' + number % 26))});
  }
  return made;
}

inline std::string text_of(const std::string& device, const std::vector<Point>& points) {
  std::vector<std::string> texts;
  for (const Point& point : points) texts.push_back(describe(device, 0, point));
  std::ranges::sort(texts);
  std::string all;
  for (const std::string& text : texts) all += text + "\n";
  return all;
}

struct FoundSamples {
  std::multimap<int64_t, int64_t> samples;  // number, wall time in ms
  std::vector<std::string> problems;

  void add(const Chunk& chunk) {
    for (const State& state : chunk.states) {
      const auto named =
          std::ranges::find(state.points, "number", [](const Point& p) { return *p.attribute; });
      const double* number =
          named == state.points.end() ? nullptr : std::get_if<double>(&named->value);
      if (number == nullptr) {
        problems.push_back("a state that nobody appended, of " + *chunk.device);
        continue;
      }
      samples.emplace(static_cast<int64_t>(*number), state.time_ms);
      const DeviceSample wanted = powered_sample(static_cast<int64_t>(*number));
      if (text_of(*chunk.device, state.points) != text_of(*wanted.device, wanted.points)) {
        problems.push_back("not as it was: sample " + std::to_string(*number));
      }
    }
  }
};

class Ledger {
 public:
  void hear(const Word& word) {
    switch (word.kind) {
      case Word::Appends:
        samples_[word.number] = {.wall_ms = word.wall_ms};
        break;
      case Word::Stored:
        stored_up_to_ = word.number;
        break;
      case Word::Acknowledges:
        samples_.at(word.number).acknowledged = true;
        break;
      case Word::Gone:
        samples_.at(word.number).gone = true;
        ++gone_;
        break;
    }
  }

  // Whatever is wrong with what was found after a power cut.
  std::vector<std::string> problems_of(const FoundSamples& found) const {
    std::vector<std::string> problems = found.problems;
    const auto say = [&](const char* what, int64_t number) {
      problems.push_back(what + std::to_string(number));
    };
    int64_t before = -1;
    for (const auto& [number, wall_ms] : found.samples) {
      const auto known = samples_.find(number);
      if (number == before) say("twice: sample ", number);
      before = number;
      if (known == samples_.end()) {
        say("never appended, or gone long ago: sample ", number);
        continue;
      }
      if (known->second.gone) say("deleted, and there again: sample ", number);
      if (known->second.wall_ms != wall_ms) say("another time: sample ", number);
    }
    for (const auto& [number, sample] : samples_) {
      const bool promised = number <= stored_up_to_ && !sample.acknowledged;
      if (promised && !found.samples.contains(number)) say("lost: sample ", number);
    }
    return problems;
  }

  // After a cut, what was found is what there is: no more, and all of it promised.
  void begin_anew_with(const FoundSamples& found) {
    samples_.clear();
    for (const auto& [number, wall_ms] : found.samples) samples_[number] = {.wall_ms = wall_ms};
    stored_up_to_ =
        std::max(stored_up_to_, found.samples.empty() ? 0 : found.samples.rbegin()->first);
  }

  int64_t gone() const { return gone_; }

 private:
  struct Sample {
    int64_t wall_ms = 0;
    bool acknowledged = false;
    bool gone = false;
  };
  std::map<int64_t, Sample> samples_;  // by number
  int64_t stored_up_to_ = 0;
  int64_t gone_ = 0;
};

// Everything the outbox in the folder has, as the agent sees it after another boot; /run is empty.
inline FoundSamples find_after_boot(const std::string& folder, const std::string& run_folder) {
  FoundSamples found;
  int64_t readings = 0;
  {
    Ears ears;
    Store store({.folder = folder,
                 .run_folder = run_folder,
                 .boot_id = "00000000-0000-0000-0000-00000000ffff",
                 .flush_interval = 1h,
                 .stage_bytes = 1 << 20},
                ears.sinks(), symbols());
    testing::keep(store, {.since_ms = 0, .offset_ms = 1, .estimated = true});
    store.start();
    if (!ears.wait_for_row(INT64_MIN + 1)) found.problems.emplace_back("the outbox does not open");
    int64_t after = item_id::kBeforeAll;
    for (int answers = 1;; ++answers) {
      store.fetch(Lane::All, after, 1000);
      if (!ears.wait_for_answers(answers)) found.problems.emplace_back("no answer to a fetch");
      const auto chunks = ears.chunks();
      if (chunks.empty()) break;
      for (const Chunk& chunk : chunks) {
        after = std::max(after, chunk.row);
        for (const State& state : chunk.states) readings += std::ssize(state.points);
        found.add(chunk);
      }
    }
    store.stop(10s);
    const OutboxTotals totals = ears.status().totals;
    if (totals.readings != readings) found.problems.emplace_back("its sum of readings is wrong");
    if (totals.damaged_rows != 0) found.problems.emplace_back("it has damaged rows");
  }
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().string().find(".broken-") != std::string::npos) {
      found.problems.emplace_back("it was taken for damaged");
    }
  }
  auto database = Database::open(folder + "/outbox.db");
  auto check = database ? database->prepare("PRAGMA integrity_check") : std::move(database).error();
  const auto row = check ? check->step() : Result<bool>(std::move(check).error());
  if (!row || check->text(0) != "ok") {
    found.problems.push_back("integrity: " +
                             (row ? std::string(check->text(0)) : row.error().message));
  }
  return found;
}

}  // namespace fieldpost::testing
