// SPDX-License-Identifier: Apache-2.0
//
// A field to measure with: 200 attributes, once a second, of 10 devices or as many as asked for.
// Half of them walk in steps of 0.1, a fifth in steps of 0.01; the rest are booleans, counters and
// noise of 0.001. The same readings in each run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "model/reading.hpp"

namespace fieldpost::bench {

inline constexpr size_t kAttributes = 200;
inline constexpr size_t kDevices = 10;
inline constexpr size_t kPerDevice = kAttributes / kDevices;

class Field {
 public:
  // `devices`: 1 to 10, a divisor of kAttributes.
  explicit Field(size_t devices = kDevices) : per_device_(kAttributes / devices) {
    for (size_t d = 0; d < devices; ++d) {
      devices_[d] = symbols_.intern("575ecf887ae143cd83dc4a" + std::to_string(10 + d));
      for (size_t a = 0; a < per_device_; ++a) {
        names_[d * per_device_ + a] =
            symbols_.intern("line" + std::to_string(d) + ".value" + std::to_string(a));
        at_[d * per_device_ + a] = 200 + static_cast<int64_t>(random() % 100);
      }
    }
  }

  // Overwrites `sample`, so that allocation is not measured: it is the reader's, not the store's.
  void take(size_t device, int64_t second, DeviceSample* sample) {
    sample->device = devices_[device];
    sample->time = {1000 * second + static_cast<int64_t>(device * 7 + random() % 3)};
    sample->points.resize(per_device_);
    for (size_t a = 0; a < per_device_; ++a) {
      const size_t i = device * per_device_ + a;
      sample->points[a].attribute = names_[i];
      sample->points[a].value = next(a % kKinds, &at_[i]);
    }
  }

 private:
  static constexpr size_t kKinds = 20;

  uint64_t random() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_;
  }
  Value next(size_t kind, int64_t* at) {
    const auto step = static_cast<int64_t>(random() % 5) - 2;
    switch (kind) {
      case 14:
      case 15:
        return random() % 20 == 0;
      case 16:
      case 17:
        return static_cast<double>(++*at);
      case 18:
      case 19:
        return static_cast<double>(random() % 2000) / 1000;
      default:
        *at += step;
        return kind < 10 ? static_cast<double>(*at) / 10 : static_cast<double>(*at) / 100;
    }
  }

  size_t per_device_;
  SymbolTable symbols_;
  Symbol devices_[kDevices] = {};
  Symbol names_[kAttributes] = {};
  int64_t at_[kAttributes] = {};
  uint64_t state_ = 88172645463325252;
};

}  // namespace fieldpost::bench
