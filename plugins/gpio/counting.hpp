// SPDX-License-Identifier: Apache-2.0
//
// A counter's row and its line, and what the host is told of them.
#pragma once

#include <fieldpost/plugin.hpp>

#include <memory>
#include <string>
#include <vector>

#include "counter.hpp"
#include "plan.hpp"

namespace gpio {

struct Counter {
  CounterRow row;
  PulseCounter pulses;
  std::unique_ptr<Line> line;
  std::string fault;
  int64_t kept_total = 0, kept_missed = 0;  // as the host has them
  int64_t told_missed = 0, told_at = 0;     // in the log
  bool told_inexact = false;
  bool remarked = false;  // that it is a lower bound
};

// One that goes on from what an earlier process has counted.
Counter remembered(fieldpost::sdk::Host& host, const CounterRow& row);

// Appends its readings; returns how many of them are not good.
size_t read(Counter& counter, std::vector<fieldpost::sdk::Reading>& ret);
// Appends those of one without a line; returns how many.
size_t failed(const Counter& counter, std::vector<fieldpost::sdk::Reading>& ret);

// Keeps what has changed, which goes before a reading that tells of it; what was missed is said in
// the log, once a minute at most, and that a total is a lower bound in the status.
void keep(fieldpost::sdk::Host& host, Counter& counter);

}  // namespace gpio
