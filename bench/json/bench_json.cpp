// SPDX-License-Identifier: Apache-2.0
//
// Writes the states of bench/field.hpp as JSON. run.py counts its instructions.
//
//   bench_json [--mode floor|state] [--seconds N]
//
//   floor  copies the text of each state with memcpy: what any writer has to do at least
//   state  payload::append_state()
//
// Both have made readings and text of kRing seconds before, and use them in turn.
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "field.hpp"
#include "uplink/payload.hpp"

namespace fieldpost {
namespace {

constexpr int64_t kRing = 60;  // seconds

struct Second {
  std::array<DeviceSample, bench::kDevices> samples;
  std::array<std::string, bench::kDevices> texts;
};

std::vector<Second> make_ring(bench::Field& field) {
  std::vector<Second> ring(kRing);
  for (int64_t s = 0; s < kRing; ++s) {
    Second& second = ring[static_cast<size_t>(s)];
    for (size_t d = 0; d < bench::kDevices; ++d) {
      field.take(d, 1'700'000'000 + s, &second.samples[d]);
      payload::append_state(second.texts[d], second.samples[d].time.ms, second.samples[d].points);
    }
  }
  return ring;
}

// Into the same buffer each time, as the batcher does. Returns the bytes.
size_t copy(const Second& second, std::string& out) {
  size_t bytes = 0;
  for (const std::string& text : second.texts) {
    std::memcpy(out.data(), text.data(), text.size());
    bytes += text.size();
  }
  return bytes;
}

size_t write(const Second& second, std::string& out) {
  size_t bytes = 0;
  for (const DeviceSample& sample : second.samples) {
    out.clear();
    payload::append_state(out, sample.time.ms, sample.points);
    bytes += out.size();
  }
  return bytes;
}

}  // namespace
}  // namespace fieldpost

int main(int argc, char** argv) {
  using namespace fieldpost;
  std::string mode = "state";
  long long seconds = 600;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    if (name == "--mode") mode = argv[i + 1];
    if (name == "--seconds") seconds = std::strtoll(argv[i + 1], nullptr, 10);
  }
  bench::Field field;
  const std::vector<Second> ring = make_ring(field);
  std::string out(65'536, ' ');
  size_t bytes = 0;
  for (long long s = 0; s < seconds; ++s) {
    const Second& second = ring[static_cast<size_t>(s % kRing)];
    bytes += mode == "floor" ? copy(second, out) : write(second, out);
  }
  std::printf("{\"mode\": \"%s\", \"readings\": %lld, \"bytes\": %zu}\n", mode.c_str(),
              seconds * static_cast<long long>(bench::kDevices * bench::kPerDevice), bytes);
}
