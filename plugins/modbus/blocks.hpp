// SPDX-License-Identifier: Apache-2.0
//
// Which requests read what is wanted of one unit. Neighbours share a request; a place that the
// unit refuses is found by halving and is read apart from then on, so that it costs its neighbours
// nothing. Pure: the device is a function, the time is an argument.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <span>
#include <vector>

#include "registers.hpp"

namespace fieldpost::modbus {

using Time = std::chrono::steady_clock::time_point;

// Consecutive registers (or coils) of one table.
struct Extent {
  Table table = Table::Holding;
  uint16_t address = 0;
  uint16_t count = 1;
  uint32_t end() const { return uint32_t{address} + count; }
  auto operator<=>(const Extent&) const = default;
};

// The protocol's limits for one request (Modbus Application Protocol V1.1b3, 6.1 and 6.3).
inline constexpr uint32_t kMaxRegisters = 125;
inline constexpr uint32_t kMaxBits = 2000;

// In place of an exception's number: the unit did not answer. That says nothing about places, so
// what was asked for is asked for again in the next cycle.
inline constexpr uint8_t kNoAnswer = 0xFF;

// What came of a request: words (bits: 0 or 1 each), or the number of an exception.
struct Answer {
  uint8_t exception = 0;  // 0: words are there
  std::vector<uint16_t> words;
};

class ReadPlan {
 public:
  // May throw; the cycle ends with it, and what it has found out is kept.
  using Ask = std::function<Answer(const Extent&)>;
  // Called for every wanted place, in no order: its words, or the exception in their place.
  using Deliver =
      std::function<void(size_t wanted, std::span<const uint16_t> words, uint8_t exception)>;

  // `wanted` may overlap and repeat; an Extent is never cut in two.
  explicit ReadPlan(std::vector<Extent> wanted);

  // Reads everything once, beginning with what was answered last time: a unit that is back is
  // recognised by its first answer.
  void run(Time now, const Ask& ask, const Deliver& deliver);

  // The requests of the next cycle; those of refused places only when they are due.
  std::vector<Extent> requests(Time now) const;

 private:
  // Neighbours in order_, which one request reads.
  struct Block {
    Extent extent;
    size_t begin = 0, end = 0;  // in order_
  };
  struct Refusal {
    uint8_t exception = 0;
    int times = 0;
    Time again;  // not asked before
  };
  void rebuild();
  void retry(const std::map<size_t, Refusal>& refused, Time now, const Ask& ask,
             const Deliver& deliver);
  Block block_of(size_t begin, size_t end) const;
  bool fits(const Block& block, size_t next) const;
  // Reads a block, halves it when it is refused.
  enum class Outcome : uint8_t { Answered, Refused, Unclear };
  Outcome read(const Block& block, Time now, const Ask& ask, const Deliver& deliver);
  void hand_out(const Block& block, std::span<const uint16_t> words, const Deliver& deliver);
  void refuse(const Block& block, uint8_t exception, Time now, const Deliver& deliver);

  std::vector<Extent> wanted_;
  std::vector<size_t> order_;          // indices into wanted_, by table and address
  std::vector<Block> blocks_;          // of everything that is not refused
  size_t first_ = 0;                   // in blocks_
  std::map<size_t, Refusal> refused_;  // by position in order_
  std::set<size_t> cuts_;              // positions in order_ before which a block must end
  Time cut_since_{};
  bool changed_ = false;  // blocks_ no longer fit refused_ and cuts_
};

}  // namespace fieldpost::modbus
