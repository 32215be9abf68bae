// SPDX-License-Identifier: Apache-2.0
//
// The store's own work on the readings of bench/field.hpp. run.py counts its instructions.
//
//   bench_store [--mode MODE] [--flushes N] [--interval SECONDS] [--dir DIR]
//
//   floor   makes the readings and copies each once: what any store would have to do
//   append  floor, and appends them
//   online  append, and fetches and acknowledges each flush before the next
//   drain   append, and when all are stored fetches and acknowledges all, 1000 readings each time
//   stage-append, stage-online   the same of stage 1, where each sample is an append
//   both    append as the store does it: each sample into stage 1, each flush from there to the
//   disk
#include <sys/stat.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "field.hpp"
#include "store/outbox.hpp"
#include "store/stage_log.hpp"

namespace fieldpost {
namespace {

using bench::Field;
using bench::kDevices;
using bench::kPerDevice;

constexpr size_t kDrainPoints = 1000;
constexpr size_t kDeletesAtOnce = 500;  // as the store thread does it

struct Arguments {
  std::string mode = "online";
  int64_t flushes = 720;
  int64_t interval = 5;
  std::string dir;
};

// What the floor does with readings: each value and its time into one buffer.
size_t copy(const std::vector<Staged>& samples, std::vector<char>& buffer) {
  size_t end = 0;
  for (const Staged& staged : samples) {
    const DeviceSample& sample = staged.sample;
    for (const Point& point : sample.points) {
      const auto* number = std::get_if<double>(&point.value);
      const double value = number != nullptr ? *number : 0;
      std::memcpy(buffer.data() + end, &sample.time.ms, sizeof sample.time.ms);
      std::memcpy(buffer.data() + end + 8, &value, sizeof value);
      end += 16;
    }
  }
  return end;
}

Result<> drain(Outbox& outbox, size_t deletes_at_once, int64_t* readings) {
  for (int64_t after = item_id::kBeforeAll;;) {
    const auto chunks = FP_TRY(outbox.fetch(after, kDrainPoints));
    if (chunks.empty()) return {};
    std::vector<int64_t> rows;
    for (const Chunk& chunk : chunks) {
      rows.push_back(chunk.row);
      for (const State& state : chunk.states) {
        *readings += static_cast<int64_t>(state.points.size());
      }
    }
    after = rows.back();
    FP_CHECK_OK(outbox.acknowledge(rows));
    if (outbox.waiting_deletes() >= deletes_at_once) FP_CHECK_OK(outbox.flush_deletes());
  }
}

// One flush through stage 1: `online` as the uplink does it, else as if it had gone to the disk.
Result<> stage(StageLog& log, std::span<const Staged> samples, bool online, int64_t* readings) {
  for (const Staged& staged : samples) FP_CHECK_OK(log.append({&staged.sample, 1}));
  while (online) {
    const auto taken = FP_TRY(log.take(log.held(), kDrainPoints));
    if (!taken || taken->empty()) break;
    std::vector<int64_t> numbers;
    for (const Staged& staged : *taken) {
      numbers.push_back(staged.number);
      *readings += static_cast<int64_t>(staged.sample.points.size());
    }
    FP_CHECK_OK(log.acknowledge(numbers, {}));
  }
  log.flushed(log.newest());
  return {};
}

// Proportional set size of this process, KiB (proc_pid_smaps(5)).
int64_t pss_kib() {
  std::ifstream rollup("/proc/self/smaps_rollup");
  std::string word;
  while (rollup >> word) {
    if (word != "Pss:") continue;
    int64_t kib = 0;
    rollup >> kib;
    return kib;
  }
  return 0;
}

// One flush through both stages.
Result<> through_both(StageLog& log, Outbox& outbox, std::span<const Staged> samples) {
  for (const Staged& staged : samples) FP_CHECK_OK(log.append({&staged.sample, 1}));
  auto due = FP_TRY(log.read(log.flushed_up_to(), SIZE_MAX));
  FP_CHECK_OK(outbox.append(due, due.back().number));
  log.flushed(due.back().number);
  log.recycle(std::move(due));
  return {};
}

double seconds_since(BootTime begin) {
  return static_cast<double>((BootClock::now() - begin).count()) / 1e9;
}

Result<> run(const Arguments& arguments) {
  Field field;
  std::vector<Staged> samples(kDevices * static_cast<size_t>(arguments.interval));
  std::vector<char> buffer(samples.size() * kPerDevice * 16);
  SymbolTable symbols;
  auto outbox = FP_TRY(Outbox::open({.folder = arguments.dir, .boot_id = "bench"}, symbols));
  outbox.add_epoch({.since_ms = 0, .offset_ms = 0});
  auto log = FP_TRY(StageLog::open_in_memory({.boot_id = "bench"}, symbols));
  int64_t fetched = 0;
  size_t copied = 0;
  const BootTime begin = BootClock::now();
  for (int64_t flush = 0; flush < arguments.flushes; ++flush) {
    for (size_t i = 0; i < samples.size(); ++i) {
      const int64_t second = flush * arguments.interval + static_cast<int64_t>(i / kDevices);
      samples[i].number =
          1 + flush * static_cast<int64_t>(samples.size()) + static_cast<int64_t>(i);
      field.take(i % kDevices, second, &samples[i].sample);
    }
    copied += copy(samples, buffer);
    if (arguments.mode == "floor") continue;
    if (arguments.mode.starts_with("stage")) {
      FP_CHECK_OK(stage(*log, samples, arguments.mode == "stage-online", &fetched));
      continue;
    }
    if (arguments.mode == "both") {
      FP_CHECK_OK(through_both(*log, outbox, samples));
      continue;
    }
    FP_CHECK_OK(outbox.append(samples, samples.back().number));
    if (arguments.mode == "online") FP_CHECK_OK(drain(outbox, SIZE_MAX, &fetched));
  }
  const double append_seconds = seconds_since(begin);
  const int64_t stored = outbox.totals().readings;
  const int64_t bytes = outbox.totals().file_bytes;
  const int64_t pss = pss_kib();
  const BootTime drain_begin = BootClock::now();
  if (arguments.mode == "drain") {
    FP_CHECK_OK(drain(outbox, kDeletesAtOnce, &fetched));
    FP_CHECK_OK(outbox.flush_deletes());
  }
  const auto readings = static_cast<int64_t>(copied / 16);
  std::printf("{\"mode\": \"%s\", \"flushes\": %lld, \"readings\": %lld, \"stored\": %lld, ",
              arguments.mode.c_str(), static_cast<long long>(arguments.flushes),
              static_cast<long long>(readings), static_cast<long long>(stored));
  std::printf(
      "\"fetched\": %lld, \"file_bytes\": %lld, \"pss_kib\": %lld, \"append_s\": %.6f, "
      "\"drain_s\": %.6f}\n",
      static_cast<long long>(fetched), static_cast<long long>(bytes), static_cast<long long>(pss),
      append_seconds, seconds_since(drain_begin));
  if ((arguments.mode.ends_with("online") || arguments.mode == "drain") && fetched != readings) {
    return Error{Errc::Io, "not everything came back"};
  }
  return {};
}

}  // namespace
}  // namespace fieldpost

int main(int argc, char** argv) {
  fieldpost::Arguments arguments;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    if (name == "--mode") arguments.mode = argv[i + 1];
    if (name == "--flushes") arguments.flushes = std::strtoll(argv[i + 1], nullptr, 10);
    if (name == "--interval") arguments.interval = std::strtoll(argv[i + 1], nullptr, 10);
    if (name == "--dir") arguments.dir = argv[i + 1];
  }
  std::string made;
  if (arguments.dir.empty()) {
    made = (std::filesystem::temp_directory_path() / "bench-store-XXXXXX").string();
    if (::mkdtemp(made.data()) == nullptr) return 1;
    arguments.dir = made;
  }
  const auto done = fieldpost::run(arguments);
  if (!done) std::fprintf(stderr, "bench_store: %s\n", done.error().message.c_str());
  if (!made.empty()) std::filesystem::remove_all(made);
  return done ? 0 : 1;
}
