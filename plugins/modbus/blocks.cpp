// SPDX-License-Identifier: Apache-2.0
#include "blocks.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

namespace fieldpost::modbus {
namespace {

using std::chrono::seconds;

// How long a refused place is left alone. Exceptions 1 to 3 say that it is not there, which only
// a new firmware or another device changes; others may pass at any moment.
constexpr seconds kPauseMissing{60};
constexpr seconds kPauseMost{60};
// How long requests stay cut where a unit refused the whole but neither half.
constexpr std::chrono::minutes kCutsLast{10};

// Refused places that one cycle asks again: many must not hold up the good ones.
constexpr int kRetriesPerCycle = 4;

constexpr uint8_t kIllegalFunction = 1, kIllegalValue = 3, kAcknowledge = 5, kBusy = 6;

seconds pause_after(uint8_t exception, int times) {
  if (exception <= kIllegalValue) return kPauseMissing;
  if (times <= 1) return seconds{0};
  return std::min(kPauseMost, seconds{1LL << std::min(times - 2, 10)});
}

}  // namespace

ReadPlan::ReadPlan(std::vector<Extent> wanted) : wanted_(std::move(wanted)) {
  order_.resize(wanted_.size());
  std::iota(order_.begin(), order_.end(), size_t{0});
  std::ranges::stable_sort(order_, {}, [this](size_t i) { return wanted_[i]; });
  rebuild();
}

bool ReadPlan::fits(const Block& block, size_t next) const {
  const Extent& e = wanted_[order_[next]];
  const uint32_t limit = is_bits(e.table) ? kMaxBits : kMaxRegisters;
  return e.table == block.extent.table && e.address <= block.extent.end() &&
         e.end() - block.extent.address <= limit && !cuts_.contains(next);
}

ReadPlan::Block ReadPlan::block_of(size_t begin, size_t end) const {
  Block block{wanted_[order_[begin]], begin, end};
  for (size_t i = begin; i < end; ++i) {
    const uint32_t to = std::max(block.extent.end(), wanted_[order_[i]].end());
    block.extent.count = static_cast<uint16_t>(to - block.extent.address);
  }
  return block;
}

void ReadPlan::rebuild() {
  blocks_.clear();
  for (size_t i = 0; i < order_.size(); ++i) {
    if (refused_.contains(i)) continue;
    const bool joins = !blocks_.empty() && blocks_.back().end == i && fits(blocks_.back(), i);
    if (joins) {
      blocks_.back() = block_of(blocks_.back().begin, i + 1);
    } else {
      blocks_.push_back(block_of(i, i + 1));
    }
  }
  first_ = 0;
  changed_ = false;
}

std::vector<Extent> ReadPlan::requests(Time now) const {
  std::vector<Extent> all;
  all.reserve(blocks_.size() + refused_.size());
  for (const Block& block : blocks_) all.push_back(block.extent);
  for (const auto& [position, refusal] : refused_) {
    if (now >= refusal.again) all.push_back(wanted_[order_[position]]);
  }
  return all;
}

void ReadPlan::run(Time now, const Ask& ask, const Deliver& deliver) {
  if (!cuts_.empty() && now - cut_since_ >= kCutsLast) {
    cuts_.clear();
    changed_ = true;
  }
  if (changed_) rebuild();
  // What is found out below changes refused_ and cuts_; blocks_ follow in the next cycle. Places
  // that are refused now are not asked again before.
  const std::map<size_t, Refusal> before = refused_;
  const size_t n = blocks_.size();
  const size_t start = first_;
  bool found = false;
  for (size_t i = 0; i < n; ++i) {
    const size_t at = (start + i) % n;
    if (read(blocks_[at], now, ask, deliver) != Outcome::Unclear && !found) {
      found = true;
      first_ = at;
    }
  }
  retry(before, now, ask, deliver);
}

void ReadPlan::retry(const std::map<size_t, Refusal>& before, Time now, const Ask& ask,
                     const Deliver& deliver) {
  int retries = 0;
  std::set<uint8_t> over;  // exceptions that some place no longer has
  for (const auto& [position, refusal] : before) {
    if (now < refusal.again || retries == kRetriesPerCycle) {
      deliver(order_[position], {}, refusal.exception);
      continue;
    }
    ++retries;
    const Block alone = block_of(position, position + 1);
    const Answer answer = ask(alone.extent);
    if (answer.exception == kNoAnswer) {
      deliver(order_[position], {}, kNoAnswer);
      continue;
    }
    if (answer.exception != 0) {
      refuse(alone, answer.exception, now, deliver);
      continue;
    }
    hand_out(alone, answer.words, deliver);
    refused_.erase(position);
    over.insert(refusal.exception);
    changed_ = true;
  }
  // What was refused for the same reason has probably recovered too; halving tells.
  std::erase_if(refused_, [&](const auto& r) { return over.contains(r.second.exception); });
}

ReadPlan::Outcome ReadPlan::read(const Block& block, Time now, const Ask& ask,
                                 const Deliver& deliver) {
  const Answer answer = ask(block.extent);
  switch (answer.exception) {
    case 0:
      hand_out(block, answer.words, deliver);
      return Outcome::Answered;
    case kNoAnswer:
    case kAcknowledge:
    case kBusy:  // says nothing of places
      for (size_t i = block.begin; i < block.end; ++i) deliver(order_[i], {}, answer.exception);
      return Outcome::Unclear;
    case kIllegalFunction:  // no part has that function either
      refuse(block, answer.exception, now, deliver);
      return Outcome::Refused;
    default:
      break;
  }
  if (block.end - block.begin == 1) {
    refuse(block, answer.exception, now, deliver);
    return Outcome::Refused;
  }
  const size_t middle = block.begin + (block.end - block.begin) / 2;
  const Outcome first = read(block_of(block.begin, middle), now, ask, deliver);
  const Outcome second = read(block_of(middle, block.end), now, ask, deliver);
  if (first == Outcome::Answered && second == Outcome::Answered) {
    // Nothing in it is wrong, it was too long for this unit.
    cuts_.insert(middle);
    cut_since_ = now;
    changed_ = true;
  }
  return std::max(first, second);
}

void ReadPlan::hand_out(const Block& block, std::span<const uint16_t> words,
                        const Deliver& deliver) {
  for (size_t i = block.begin; i < block.end; ++i) {
    const Extent& e = wanted_[order_[i]];
    deliver(order_[i], words.subspan(e.address - block.extent.address, e.count), 0);
  }
}

void ReadPlan::refuse(const Block& block, uint8_t exception, Time now, const Deliver& deliver) {
  for (size_t i = block.begin; i < block.end; ++i) {
    Refusal& refusal = refused_[i];
    refusal.exception = exception;
    refusal.again = now + pause_after(exception, ++refusal.times);
    deliver(order_[i], {}, exception);
  }
  changed_ = true;
}

}  // namespace fieldpost::modbus
