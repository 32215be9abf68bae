// SPDX-License-Identifier: Apache-2.0
#include "store/retention.hpp"

#include <algorithm>
#include <utility>

namespace fieldpost {
namespace {

bool can_be_thinned(const RowSummary& row) {
  return row.round < kFullyThinned && !row.held && row.bytes <= kMaxStepBytes &&
         row.readings <= kMaxStepReadings;
}

}  // namespace

bool Retention::Run::takes(const RowSummary& row) const {
  // Only rows of equal round: joined with new ones, an old row would be written again and again.
  return row.boot == boot && row.round == round && rows.size() < kMaxStepRows &&
         readings + row.readings <= kMaxStepReadings && bytes + row.bytes <= kMaxStepBytes &&
         row.t0_ms + row.span_ms - t0_ms <= kMaxRowSpanMs;
}

void Retention::Run::add(const RowSummary& row) {
  if (rows.empty()) {
    boot = row.boot;
    round = row.round;
    t0_ms = row.t0_ms;
  }
  rows.push_back(row.id);
  readings += row.readings;
  bytes += row.bytes;
  t0_ms = std::min(t0_ms, row.t0_ms);
}

Retention::Replace Retention::take(Run& run) {
  found_ = true;
  Run taken = std::exchange(run, {});
  return {std::move(taken.rows), taken.round};
}

// What becomes complete by this row.
std::optional<Retention::Replace> Retention::look_at(const RowSummary& row) {
  position_ = row.id;
  if (row.round < kFullyThinned) all_thinned_so_far_ = false;
  if (all_thinned_so_far_) floor_ = row.id;
  Run& run = open_[row.device];
  const bool thinnable = can_be_thinned(row);
  std::optional<Replace> complete;
  if (!run.rows.empty() && !(thinnable && run.takes(row))) {
    if (run.is_worth_it()) complete = take(run);
    run = {};
  }
  if (thinnable) {
    run.add(row);
    seen_ += row.bytes;
  }
  return complete;
}

std::optional<Retention::Replace> Retention::take_open() {
  Run* oldest = nullptr;
  for (auto& [device, run] : open_) {
    if (!run.is_worth_it()) continue;
    if (oldest == nullptr || run.rows.front() < oldest->rows.front()) oldest = &run;
  }
  return oldest == nullptr ? std::nullopt : std::optional(take(*oldest));
}

void Retention::begin_pass() {
  position_ = floor_;
  seen_ = 0;
  found_ = false;
  all_thinned_so_far_ = true;
  open_.clear();
}

Result<Retention::Step> Retention::next_step(int64_t wanted, int64_t stored,
                                             const NextRow& next_row) {
  if (wanted <= 0) {
    begin_pass();
    return Nothing{};
  }
  for (int looks = 0; looks < kMaxLooks; ++looks) {
    // At the end of the oldest tenth whatever is open there is complete, so that devices with few
    // rows give as much as the others. As long as the tenth gives anything, it is the turn of no
    // newer rows.
    const bool is_tenth = seen_ >= std::max<int64_t>(stored / 10, kMinStepBytes);
    std::optional<RowSummary> row;
    if (!is_tenth) row = FP_TRY(next_row(position_));
    if (row) {
      if (auto step = look_at(*row)) return *std::move(step);
      continue;
    }
    if (auto step = take_open()) return *std::move(step);
    if (found_) {
      begin_pass();
    } else if (is_tenth) {
      seen_ = 0;
    } else {
      return strip(wanted, next_row);
    }
  }
  return Look{};
}

// Rows that still have something else than what is kept whole, the oldest first.
Result<Retention::Step> Retention::strip(int64_t wanted, const NextRow& next_row) {
  Strip step;
  int64_t after = stripped_;
  int64_t readings = 0;
  for (int looks = 0; looks < kMaxLooks; ++looks) {
    const auto row = FP_TRY(next_row(after));
    if (!row && step.rows.empty()) return drop(wanted, false, next_row);
    if (!row || wanted <= 0 || step.rows.size() == kMaxStepRows) break;
    after = row->id;
    if (row->held || row->round == kNothingButAll) {
      if (step.rows.empty()) stripped_ = row->id;
      continue;
    }
    if (!step.rows.empty() && readings + row->readings > kMaxStepReadings) break;
    readings += row->readings;
    wanted -= row->bytes;
    step.rows.push_back(row->id);
  }
  if (step.rows.empty()) return Look{};
  close_up_to(step.rows.back());
  return step;
}

Result<Retention::Step> Retention::drop(int64_t wanted, bool held, const NextRow& next_row) {
  Drop step;
  int64_t after = 0;
  int64_t readings = 0;
  for (int looks = 0; looks < kMaxLooks && wanted > 0 && step.rows.size() < kMaxStepRows; ++looks) {
    const auto row = FP_TRY(next_row(after));
    if (!row) break;
    after = row->id;
    if (row->held != held) continue;
    if (!step.rows.empty() && readings + row->readings > kMaxStepReadings) break;
    readings += row->readings;
    wanted -= row->bytes;
    step.rows.push_back(row->id);
  }
  if (step.rows.empty()) {
    stripped_ = 0;  // some of them may have been held
    return held ? Step(Nothing{}) : drop(wanted, true, next_row);
  }
  close_up_to(step.rows.back());
  return step;
}

// A run that is still open must not name rows of another step.
void Retention::close_up_to(int64_t row) {
  for (auto& [device, run] : open_) {
    if (!run.rows.empty() && run.rows.front() <= row) run = {};
  }
}

}  // namespace fieldpost
