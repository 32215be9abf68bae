// SPDX-License-Identifier: Apache-2.0
#include "counter.hpp"

#include <algorithm>

namespace gpio {
namespace {

constexpr int64_t kMarks = 64;  // of a window: it is longer than asked for by 1/64 at most
constexpr double kSecond = 1e9;

Edge wanted(const PulseCounter::Config& config, bool numbered) {
  return config.width || !numbered ? Edge::Both : config.edge;
}

bool counts(Edge edge, bool rising) {
  return edge == Edge::Both || (edge == Edge::Rising) == rising;
}

// Of so many edges in a row, the first of them rising or not, those that count.
int64_t counting(Edge edge, int64_t n, bool first_rising) {
  if (edge == Edge::Both) return n;
  return counts(edge, first_rising) ? (n + 1) / 2 : n / 2;
}

}  // namespace

PulseCounter::PulseCounter(const Config& config, bool numbered)
    : config_(config),
      numbered_(numbered),
      by_order_(!numbered && config.hold_ns == 0),
      filter_(wanted(config, numbered), config.hold_ns) {}

void PulseCounter::start(bool level, int64_t now) {
  filter_.start(level);
  seen_ = false;
  sequence_ = 0;
  edges_ = told_ = counted_ = 0;
  active_since_.reset();
  if (marks_.empty()) marks_.push_back({now, pulses_});
}

void PulseCounter::on_edge(const EdgeEvent& edge, int64_t at) {
  if (numbered_) note_lost(edge);
  if (by_order_) ++edges_;
  if (is_doubtful(edge)) {
    ++missed_;
    exact_ = false;
    active_since_.reset();
    return count_by_order();
  }
  seen_ = true;
  last_rising_ = edge.rising;
  sequence_ = edge.sequence;
  if (config_.hold_ns > 0) {
    if (const auto change = filter_.on_edge(edge.rising, at)) note(*change);
  } else {
    note({edge.rising, at});
  }
  if (by_order_) count_by_order();
}

void PulseCounter::on_time(int64_t now) {
  if (const auto change = filter_.on_time(now)) note(*change);
}

// Two of one direction in a row: one between them is missing, or the kernel, which without numbers
// asks the line for its level after the interrupt, has taken this one for the other. Before the
// first edge nothing is known of the order: edges between the request and the reading of the level
// come as events, too. That bounces run into each other does no harm.
bool PulseCounter::is_doubtful(const EdgeEvent& next) const {
  return by_order_ && seen_ && next.rising == last_rising_;
}

// Nothing is counted that may not have been, and all that must have been: each event has an edge of
// its own, whatever its direction, and of any two edges one is of the direction that counts; and so
// is one before each event that tells this direction after the other one.
void PulseCounter::count_by_order() {
  const int64_t sure = std::max(told_, config_.edge == Edge::Both ? edges_ : edges_ / 2);
  add(sure - counted_);
  counted_ = sure;
}

void PulseCounter::note_lost(const EdgeEvent& next) {
  const int64_t lost = static_cast<uint32_t>(next.sequence - sequence_ - 1);
  const bool both = needed() == Edge::Both;
  if (lost == 0) return;
  missed_ += lost;
  active_since_.reset();
  if (config_.hold_ns > 0) {  // nobody knows which of them would have counted
    exact_ = false;
    return;
  }
  // From what came after them, backwards: that is known also where nothing came before.
  const int64_t n = both ? counting(config_.edge, lost, !next.rising) : lost;
  add(n);
  if (from_) periods_ += config_.edge == Edge::Both ? n / 2 : n;
}

void PulseCounter::note(const Change& change) {
  if (counts(config_.edge, change.level)) by_order_ ? void(++told_) : add(1);
  if (change.level) {
    active_since_ = change.at;
  } else if (active_since_) {
    width_sum_ += change.at - *active_since_;
    ++widths_;
    active_since_.reset();
  }
  if (change.level != (config_.edge != Edge::Falling)) return;
  if (from_) ++periods_;
  if (!from_) from_ = change.at;
  last_ = change.at;
}

void PulseCounter::add(int64_t pulses) {
  total_ = std::min(total_ + pulses, kMostPulses);
  pulses_ += pulses;
}

void PulseCounter::set(int64_t total, int64_t missed, bool exact) {
  exact_ = exact;
  total_ = std::clamp<int64_t>(total, 0, kMostPulses);
  missed_ = std::clamp<int64_t>(missed, 0, kMostPulses);
}

double PulseCounter::rate(int64_t now) {
  if (marks_.empty() || now <= marks_.front().at) return 0;
  while (marks_.size() > 1 && marks_[1].at <= now - config_.window_ns) marks_.pop_front();
  const Mark from = marks_.front();
  if (now - marks_.back().at >= config_.window_ns / kMarks) marks_.push_back({now, pulses_});
  return static_cast<double>(pulses_ - from.pulses) * kSecond / static_cast<double>(now - from.at);
}

double PulseCounter::frequency(int64_t now) {
  if (!last_ || now - *last_ >= config_.idle_ns) {
    from_.reset();
    last_.reset();
    periods_ = 0;
    return frequency_ = 0;
  }
  if (periods_ > 0 && *last_ > *from_) {
    frequency_ = static_cast<double>(periods_) * kSecond / static_cast<double>(*last_ - *from_);
    from_ = last_;
    periods_ = 0;
  }
  const int64_t silence = now - *last_;
  if (silence <= 0) return frequency_;
  return std::min(frequency_, kSecond / static_cast<double>(silence));
}

std::optional<double> PulseCounter::take_width() {
  if (widths_ == 0) return std::nullopt;
  const double mean = static_cast<double>(width_sum_) / static_cast<double>(widths_) / kSecond;
  width_sum_ = widths_ = 0;
  return mean;
}

}  // namespace gpio
