// SPDX-License-Identifier: Apache-2.0
//
// A life of a store that a power cut may end: random appends, fetches, acknowledgements in any
// order, disconnections and flushes, each said aloud before or after it, so that whoever hears the
// words up to a moment knows what was promised by then.
#pragma once

#include <functional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "power_ledger.hpp"

namespace fieldpost::testing {

class PowerLife {
 public:
  struct Setup {
    std::string folder;
    std::string run_folder;
    int boot = 1;  // of the machine
    bool disk_first = false;
    int64_t first = 1;  // number of the first sample
    unsigned seed = 1;
  };
  using Say = std::function<void(const Word&)>;

  PowerLife(Setup setup, Say say)
      : setup_(std::move(setup)),
        say_(std::move(say)),
        random_(setup_.seed),
        store_(options(), sinks(), symbols()),
        next_(setup_.first) {
    testing::keep(store_, {.since_ms = 0, .offset_ms = offset(), .estimated = true});
  }

  // False: the store did not do what it must within its time.
  bool start() {
    store_.start();
    return ears_.wait_for_row(INT64_MIN + 1);
  }

  bool step() {
    switch (random_() % 8) {
      case 0:
      case 1:
        return append(1 + random_() % 6), true;
      case 2:
      case 3:
        return fetch();
      case 4:
      case 5:
        return acknowledge(random_() % 6), true;
      case 6:
        return random_() % 4 == 0 ? disconnect(), true : fetch();
      default:
        return settle();
    }
  }

  int64_t next() const { return next_; }

 private:
  Store::Options options() {
    return {.folder = setup_.folder,
            .run_folder = setup_.run_folder,
            .boot_id = "00000000-0000-0000-0000-" + std::to_string(100'000'000'000 + setup_.boot),
            .flush_interval = std::chrono::milliseconds(1 + random_() % 4),
            .disk_first = setup_.disk_first,
            .stage_bytes = 1 << 20};
  }
  Store::Sinks sinks() {
    Store::Sinks sinks = ears_.sinks();
    sinks.chunks = [this, hear = sinks.chunks](Fetched fetched) {
      answered_by_ = std::this_thread::get_id();
      hear(std::move(fetched));
    };
    return sinks;
  }
  int64_t offset() const { return 1'700'000'000'000 + int64_t{setup_.boot} * 1'000'000'000; }

  void append(size_t count) {
    std::vector<DeviceSample> samples;
    for (; count > 0; --count, ++next_) {
      samples.push_back(powered_sample(next_));
      const CaptureTime time = samples.back().time;
      const bool utc = time.base == CaptureTime::Base::Utc;
      say_({Word::Appends, next_, time.ms + (utc ? 0 : offset())});
    }
    store_.append(std::move(samples));
  }

  bool fetch() {
    store_.fetch(Lane::All, after_, 1 + random_() % 60);
    if (!ears_.wait_for_answers(++fetches_)) return false;
    // The store thread takes its mail in order: what was acknowledged before, it knows.
    if (answered_by_ != std::this_thread::get_id()) taken_.merge(acknowledged_);
    for (Chunk& chunk : ears_.chunks()) {
      after_ = std::max(after_, chunk.row);
      in_flight_.push_back(std::move(chunk));
    }
    return true;
  }

  void acknowledge(size_t count) {
    for (; count > 0 && !in_flight_.empty(); --count) {
      const auto chosen =
          in_flight_.begin() + static_cast<ptrdiff_t>(random_() % in_flight_.size());
      FoundSamples in_it;
      in_it.add(*chosen);
      for (const auto& [number, wall_ms] : in_it.samples) say_({Word::Acknowledges, number, 0});
      store_.acknowledge({chosen->row});
      for (const auto& [number, wall_ms] : in_it.samples) acknowledged_.insert(number);
      in_flight_.erase(chosen);
    }
  }

  void disconnect() {
    for (const Chunk& chunk : in_flight_) after_ = std::min(after_, chunk.row - 1);
    in_flight_.clear();
  }

  // Until a transaction is over that began after this.
  bool settle() {
    const std::set<int64_t> gone = std::exchange(taken_, {});
    append(1);  // nobody acknowledges this one, so it goes to the disk
    if (!ears_.wait([&] { return store_.status().staged == 0; })) return false;
    say_({Word::Stored, next_ - 1, 0});
    for (const int64_t number : gone) say_({Word::Gone, number, 0});
    return true;
  }

  const Setup setup_;
  const Say say_;
  std::mt19937 random_;
  Ears ears_;
  std::thread::id answered_by_;  // written before the ears hear of it
  int fetches_ = 0;
  int64_t after_ = item_id::kBeforeAll;
  std::vector<Chunk> in_flight_;
  std::set<int64_t> acknowledged_, taken_;  // numbers: unknown to the store thread, known to it
  Store store_;                             // before the sinks' targets go, its thread must end
  int64_t next_;
};

}  // namespace fieldpost::testing
