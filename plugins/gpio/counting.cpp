// SPDX-License-Identifier: Apache-2.0
#include "counting.hpp"

#include "clocks.hpp"

namespace gpio {
namespace {

namespace sdk = fieldpost::sdk;

constexpr int64_t kTellEvery = 60'000'000'000;  // between log lines about one counter
constexpr int kWarning = 4;                     // syslog(3)
constexpr const char* kInexact = "lower bound";

// What is kept of a total says whether it is exact as well, so that neither is without the other:
// of one that is not, the complement, which is less than 0.
int64_t to_kept(const PulseCounter& pulses) {
  return pulses.exact() ? pulses.total() : ~pulses.total();
}

void tell_inexact(const sdk::Host& host, Counter& counter) {
  if (counter.remarked == !counter.pulses.exact()) return;
  counter.remarked = !counter.pulses.exact();
  host.remark(counter.row.total, counter.remarked ? kInexact : "");
}

void tell_missed(const sdk::Host& host, Counter& counter) {
  const int64_t missed = counter.pulses.missed();
  const bool inexact = !counter.pulses.exact() && !counter.told_inexact;
  if (missed == counter.told_missed && !inexact) return;
  const int64_t now = monotonic_now();
  if (counter.told_at != 0 && now - counter.told_at < kTellEvery) return;
  host.log(kWarning, to_string(counter.row.line) + ": edges came faster than they were read; " +
                         std::to_string(missed - counter.told_missed) +
                         " are known to be missed; " +
                         (counter.pulses.exact() ? "the total has them all the same"
                                                 : "the total is a lower bound"));
  counter.told_at = now;
  counter.told_missed = missed;
  counter.told_inexact = !counter.pulses.exact();
}

}  // namespace

Counter remembered(sdk::Host& host, const CounterRow& row) {
  Counter counter{row, PulseCounter(row.pulses, edge_buffer().numbered), nullptr, {}};
  counter.kept_total = host.kept(row.kept_total).value_or(0);
  if (row.missed) counter.kept_missed = host.kept(row.kept_missed).value_or(0);
  const bool exact = counter.kept_total >= 0;
  counter.pulses.set(exact ? counter.kept_total : ~counter.kept_total, counter.kept_missed, exact);
  counter.told_missed = counter.pulses.missed();
  counter.told_inexact = !exact;
  tell_inexact(host, counter);
  host.keep(row.kept_total, counter.kept_total);
  if (row.missed) host.keep(row.kept_missed, counter.kept_missed);
  return counter;
}

size_t read(Counter& counter, std::vector<sdk::Reading>& ret) {
  if (!counter.line) return failed(counter, ret);
  const CounterRow& row = counter.row;
  PulseCounter& pulses = counter.pulses;
  const int64_t now = monotonic_now();
  const auto add = [&](std::optional<uint32_t> attribute, double value) {
    if (attribute) ret.push_back({*attribute, value, FP_GOOD, {}});
  };
  add(row.total, static_cast<double>(pulses.total()));
  if (row.rate) add(row.rate, pulses.rate(now));
  if (row.frequency) add(row.frequency, pulses.frequency(now));
  if (row.width) {
    if (const auto width = pulses.take_width()) add(row.width, *width);
  }
  add(row.missed, static_cast<double>(pulses.missed()));
  return 0;
}

size_t failed(const Counter& counter, std::vector<sdk::Reading>& ret) {
  const CounterRow& row = counter.row;
  const size_t before = ret.size();
  for (const auto& attribute :
       {std::optional(row.total), row.rate, row.frequency, row.width, row.missed}) {
    if (attribute) ret.push_back({*attribute, 0.0, FP_COMM_ERROR, counter.fault});
  }
  return ret.size() - before;
}

void keep(sdk::Host& host, Counter& counter) {
  const PulseCounter& pulses = counter.pulses;
  if (const int64_t total = to_kept(pulses); counter.kept_total != total) {
    host.keep(counter.row.kept_total, counter.kept_total = total);
  }
  if (counter.row.missed && counter.kept_missed != pulses.missed()) {
    host.keep(counter.row.kept_missed, counter.kept_missed = pulses.missed());
  }
  tell_missed(host, counter);
  tell_inexact(host, counter);
}

}  // namespace gpio
