// SPDX-License-Identifier: Apache-2.0
#include "blocks.hpp"

#include <algorithm>
#include <bitset>
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

// Requests that one cycle spends on finding what is refused, so that it ends in time also on a slow
// line. One place among 125 registers takes 14.
constexpr int kSearchesPerCycle = 32;

// Cycles in a row without an answer that are no coincidence.
constexpr size_t kSure = 2, kProbeAfter = 4;

constexpr uint8_t kIllegalFunction = 1, kIllegalAddress = 2, kIllegalValue = 3, kAcknowledge = 5,
                  kBusy = 6;

seconds pause_after(uint8_t exception, int times) {
  if (exception <= kIllegalValue) return kPauseMissing;
  if (times <= 1) return seconds{0};
  return std::min(kPauseMost, seconds{1LL << std::min(times - 2, 10)});
}

}  // namespace

ReadPlan::ReadPlan(std::vector<Extent> wanted, Reach reach)
    : wanted_(std::move(wanted)), reach_(reach) {
  order_.resize(wanted_.size());
  std::iota(order_.begin(), order_.end(), size_t{0});
  std::ranges::stable_sort(order_, {}, [this](size_t i) { return wanted_[i]; });
  rebuild();
}

bool ReadPlan::fits(const Block& block, size_t next) const {
  const Extent& e = wanted_[order_[next]];
  if (e.table != block.extent.table || cuts_.contains(next) || splits_.contains(next)) {
    return false;
  }
  const uint32_t unit = is_bits(e.table) ? kBitsInRegister : 1;
  if (e.end() - block.extent.address > unit * reach_.registers) return false;
  if (e.address <= block.extent.end()) return true;
  return e.address <= block.extent.end() + unit * reach_.gap && !walls_.contains(next) &&
         (!cautious_ || proven_.contains(next));
}

void ReadPlan::extend(Block& block, size_t next) const {
  const Extent& e = wanted_[order_[next]];
  if (e.address > block.extent.end() && !proven_.contains(next)) block.proven = false;
  const uint32_t to = std::max(block.extent.end(), e.end());
  block.extent.count = static_cast<uint16_t>(to - block.extent.address);
  block.end = next + 1;
}

ReadPlan::Block ReadPlan::block_of(size_t begin, size_t end) const {
  Block block{wanted_[order_[begin]], begin, begin + 1};
  for (size_t i = begin + 1; i < end; ++i) extend(block, i);
  return block;
}

void ReadPlan::rebuild() {
  blocks_.clear();
  for (size_t i = 0; i < order_.size(); ++i) {
    if (refused_.contains(i)) continue;
    // What lies over a refused place begins a block of its own.
    const bool joins = !blocks_.empty() && blocks_.back().end == i && fits(blocks_.back(), i);
    if (joins) {
      extend(blocks_.back(), i);
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
  begin();
  // What is found out below changes refused_, cuts_ and walls_; blocks_ follow in the next cycle.
  const size_t n = blocks_.size();
  const size_t start = first_;
  bool found = false;
  probe(ask);
  for (size_t i = 0; i < n; ++i) {
    const size_t at = (start + i) % n;
    const Outcome outcome = read(blocks_[at], now, ask, deliver);
    if (outcome == Outcome::NotAsked && !left_) left_ = at;
    if ((outcome == Outcome::Answered || outcome == Outcome::Refused) && !found) {
      found = true;
      first_ = at;
    }
  }
  retry(now, ask, deliver);
  judge_silence(now);
  // Not always the same block, which may be the only one that is silent.
  if (!heard_ && n > 0) first_ = (start + 1) % n;
}

// A unit that has been asked for whole blocks in vain is asked for a single place now and then: it
// may be there, and silent at one of the others.
void ReadPlan::probe(const Ask& ask) {
  if (deaf_ < kProbeAfter || deaf_ % 2 != 0) return;
  const Extent& place = wanted_[order_[deaf_ / 2 % order_.size()]];
  const uint8_t exception = ask(place).exception;
  heard_ = exception != kNoAnswer && exception != kNotAsked;
}

// At the end of a cycle. A block that was silent twice, while others were answered, has a place
// that is to blame. Its halves are asked apart from the next cycle on.
void ReadPlan::judge_silence(Time now) {
  const bool sure = deaf_ >= kSure || !splits_.empty() || (silent_ && suspect_ == silent_);
  deaf_ = heard_ ? 0 : deaf_ + 1;
  if (!heard_) return;
  suspect_ = silent_;
  if (silent_) {
    if (sure) narrow(*silent_, now);
  } else if (!splits_.empty()) {  // every part is answered: it was too long, or a coincidence
    cuts_.merge(splits_);
    splits_.clear();
    cut_since_ = now;
  }
}

void ReadPlan::narrow(const Range& silent, Time now) {
  changed_ = true;
  suspect_.reset();
  if (silent.end - silent.begin > 1) {
    splits_.insert(part(block_of(silent.begin, silent.end)).at);
    return;
  }
  note_refusal(silent.begin, kSilentPlace, now);
  splits_.clear();
}

// What the cycle before has left, also one that was thrown out of.
void ReadPlan::begin() {
  answers_ = heard_;
  if (doubted_ != cautious_) changed_ = true;
  cautious_ = doubted_;
  if (changed_) rebuild();
  ++cycle_;
  searches_ = 0;
  heard_ = doubted_ = false;
  silent_.reset();
  left_.reset();
}

// Places that an earlier cycle found refused.
void ReadPlan::retry(Time now, const Ask& ask, const Deliver& deliver) {
  int retries = 0;
  std::bitset<256> over;     // exceptions that some place no longer has
  std::vector<size_t> back;  // places that are no longer silent
  for (auto& [position, refusal] : refused_) {
    if (refusal.cycle == cycle_) continue;
    const Block alone = block_of(position, position + 1);
    if (now < refusal.again || retries == kRetriesPerCycle) {
      leave(alone, refusal.exception, deliver);
      continue;
    }
    ++retries;
    const Answer answer = ask(alone.extent);
    if (answer.exception == kNoAnswer && heard_ && refusal.exception == kSilentPlace) {
      refuse(alone, kSilentPlace, now, deliver);
      continue;
    }
    if (answer.exception == kNoAnswer || answer.exception == kNotAsked) {
      leave(alone, answer.exception, deliver);
      continue;
    }
    heard_ = true;
    if (answer.exception != 0) {
      refuse(alone, answer.exception, now, deliver);
      continue;
    }
    hand_out(alone, answer.words, deliver);
    changed_ = true;
    if (refusal.exception == kSilentPlace) {
      back.push_back(position);
    } else {
      over.set(refusal.exception);
    }
  }
  for (const size_t position : back) refused_.erase(position);
  if (!over.any()) return;
  // What was refused for the same reason has probably recovered too; halving tells.
  std::erase_if(refused_, [&](const auto& r) { return over[r.second.exception]; });
  cuts_.clear();
}

Answer ReadPlan::ask_for(const Block& block, const Ask& ask) {
  try {
    const Answer answer = ask(block.extent);
    if (answer.exception == kNoAnswer && !block.proven) doubt(block);
    return answer;
  } catch (...) {
    if (!block.proven) doubt(block);
    throw;
  }
}

ReadPlan::Outcome ReadPlan::read(const Block& block, Time now, const Ask& ask,
                                 const Deliver& deliver) {
  const Answer answer = ask_for(block, ask);
  heard_ = heard_ || (answer.exception != kNoAnswer && answer.exception != kNotAsked);
  switch (answer.exception) {
    case 0:
      if (!block.proven) prove(block);
      hand_out(block, answer.words, deliver);
      return Outcome::Answered;
    case kNoAnswer:
      if (block.proven && !silent_) silent_ = Range{block.begin, block.end};
      [[fallthrough]];
    case kNotAsked:
    case kAcknowledge:
    case kBusy:  // says nothing of places
      leave(block, answer.exception, deliver);
      return answer.exception == kNotAsked ? Outcome::NotAsked : Outcome::Unclear;
    case kIllegalFunction:  // no part has that function either
      refuse(block, answer.exception, now, deliver);
      return Outcome::Refused;
    default:
      break;
  }
  if (block.end - block.begin > 1) return halve(block, answer.exception, now, ask, deliver);
  refuse(block, answer.exception, now, deliver);
  return Outcome::Refused;
}

ReadPlan::Outcome ReadPlan::halve(const Block& block, uint8_t exception, Time now, const Ask& ask,
                                  const Deliver& deliver) {
  const Part middle = part(block);
  if (searches_ + 2 > kSearchesPerCycle) {  // the next cycle goes on from here
    cut({middle.at, false}, exception, now);
    leave(block, kNotAsked, deliver);
    return Outcome::Unclear;
  }
  searches_ += 2;
  const size_t before = cuts_.size() + walls_.size();
  const Outcome first = read(block_of(block.begin, middle.at), now, ask, deliver);
  const Outcome second = read(block_of(middle.at, block.end), now, ask, deliver);
  const bool explained = middle.hole && cuts_.size() + walls_.size() != before;
  if (first == Outcome::Answered && second == Outcome::Answered && !explained) {
    // No place in it is wrong: it is the hole, or it was too long for this unit.
    cut(middle, exception, now);
  }
  return std::max(first, second);
}

// A hole is only read to save a request, so that one that is not there is left alone for good.
void ReadPlan::cut(const Part& part, uint8_t exception, Time now) {
  changed_ = true;
  if (part.hole && exception == kIllegalAddress) {
    walls_.insert(part.at);
    return;
  }
  cuts_.insert(part.at);
  cut_since_ = now;
}

std::vector<size_t> ReadPlan::holes_of(const Block& block) const {
  std::vector<size_t> holes;
  Block part = block_of(block.begin, block.begin + 1);
  for (size_t i = block.begin + 1; i < block.end; ++i) {
    if (wanted_[order_[i]].address > part.extent.end()) holes.push_back(i);
    extend(part, i);
  }
  return holes;
}

// At the hole next to the middle: what is in it nobody needs. Without holes in the middle.
ReadPlan::Part ReadPlan::part(const Block& block) const {
  const size_t middle = block.begin + (block.end - block.begin) / 2;
  const std::vector<size_t> holes = holes_of(block);
  if (holes.empty()) return {middle, false};
  const auto distance = [&](size_t at) { return at > middle ? at - middle : middle - at; };
  return {*std::ranges::min_element(holes, {}, distance), true};
}

void ReadPlan::prove(const Block& block) {
  for (const size_t hole : holes_of(block)) proven_.insert(hole);
  changed_ = true;
}

// Some devices do not answer at all what they should refuse, or close the connection. Of a unit
// that answers otherwise, the holes are to blame; of one that does not, the next cycle tells: it
// asks without them.
void ReadPlan::doubt(const Block& block) {
  if (!answers_ && !heard_) {
    doubted_ = true;
    return;
  }
  for (const size_t hole : holes_of(block)) {
    if (!proven_.contains(hole)) walls_.insert(hole);
  }
  changed_ = true;
}

void ReadPlan::hand_out(const Block& block, std::span<const uint16_t> words,
                        const Deliver& deliver) {
  for (size_t i = block.begin; i < block.end; ++i) {
    const Extent& e = wanted_[order_[i]];
    deliver(order_[i], words.subspan(e.address - block.extent.address, e.count), 0);
  }
}

void ReadPlan::leave(const Block& block, uint8_t exception, const Deliver& deliver) {
  for (size_t i = block.begin; i < block.end; ++i) deliver(order_[i], {}, exception);
}

void ReadPlan::refuse(const Block& block, uint8_t exception, Time now, const Deliver& deliver) {
  for (size_t i = block.begin; i < block.end; ++i) {
    note_refusal(i, exception, now);
    deliver(order_[i], {}, exception);
  }
  changed_ = true;
}

void ReadPlan::note_refusal(size_t position, uint8_t exception, Time now) {
  const auto [it, is_new] = refused_.try_emplace(position);
  Refusal& refusal = it->second;
  if (is_new) refusal.cycle = cycle_;
  refusal.exception = exception;
  refusal.again = now + pause_after(exception, ++refusal.times);
}

}  // namespace fieldpost::modbus
