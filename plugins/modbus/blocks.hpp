// SPDX-License-Identifier: Apache-2.0
//
// Which requests read what is wanted of one unit. Neighbours share a request, also over a small
// hole of what nobody wants. A hole or a place that the unit refuses is found by halving and is
// left out, or read apart, from then on, so that it costs its neighbours nothing; so is a place at
// which it is silent, by one halving a cycle. Pure: the device
// is a function, the time is an argument. Allocates only while something is found out.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
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
// A register's room on the line.
inline constexpr uint32_t kBitsInRegister = 16;

// What one request may read. In coils and discrete inputs it is sixteen times as much.
struct Reach {
  uint16_t registers = kMaxRegisters;  // at most
  uint16_t gap = 0;                    // of unwanted ones between wanted ones, at most
};

// In place of an exception's number: the unit did not answer. That says nothing about places, so
// what was asked for is asked for again in the next cycle.
inline constexpr uint8_t kNoAnswer = 0xFF;
// The same without a request: the rest of the cycle is given up.
inline constexpr uint8_t kNotAsked = 0xFE;
// The place alone is not answered, while others of the unit are. Treated as a refusal.
inline constexpr uint8_t kSilentPlace = 0xFD;

// What came of a request: words (bits: 0 or 1 each), or the number of an exception. The words are
// whoever answers', until the next request.
struct Answer {
  uint8_t exception = 0;  // 0: words are there
  std::span<const uint16_t> words{};
};

class ReadPlan {
 public:
  // May throw, which ends the cycle; what that has found out is kept.
  using Ask = std::function<Answer(const Extent&)>;
  // Called for every wanted place, in no order: its words, or the exception in their place.
  using Deliver =
      std::function<void(size_t wanted, std::span<const uint16_t> words, uint8_t exception)>;

  // `wanted` may overlap and repeat; an Extent is never cut in two, and none is longer than a
  // request may be.
  explicit ReadPlan(std::vector<Extent> wanted, Reach reach = {});

  // Reads everything once, beginning with what was answered last time: a unit that is back is
  // recognised by its first answer.
  void run(Time now, const Ask& ask, const Deliver& deliver);
  // After run(), where its time was over: the next cycle begins with what this one did not ask for.
  void go_on_where_left() { first_ = left_.value_or(first_); }

  // The requests of the next cycle; those of refused places only when they are due.
  std::vector<Extent> requests(Time now) const;

 private:
  // Neighbours in order_, which one request reads.
  struct Block {
    Extent extent;
    size_t begin = 0, end = 0;  // in order_
    bool proven = true;         // all its holes have been read before
  };
  struct Refusal {
    uint8_t exception = 0;
    int times = 0;
    uint64_t cycle = 0;  // that found it
    Time again;          // not asked before
  };
  // Before which position a block is parted, and whether a hole is there.
  struct Part {
    size_t at = 0;
    bool hole = false;
  };
  // Positions in order_, of one block.
  struct Range {
    size_t begin = 0, end = 0;
    bool operator==(const Range&) const = default;
  };
  enum class Outcome : uint8_t { Answered, Refused, Unclear, NotAsked };

  void begin();
  void rebuild();
  Answer ask_for(const Block& block, const Ask& ask);
  void retry(Time now, const Ask& ask, const Deliver& deliver);
  Block block_of(size_t begin, size_t end) const;
  void extend(Block& block, size_t next) const;
  bool fits(const Block& block, size_t next) const;
  std::vector<size_t> holes_of(const Block& block) const;
  Part part(const Block& block) const;
  // Reads a block, halves it when it is refused.
  Outcome read(const Block& block, Time now, const Ask& ask, const Deliver& deliver);
  Outcome halve(const Block& block, uint8_t exception, Time now, const Ask& ask,
                const Deliver& deliver);
  void cut(const Part& part, uint8_t exception, Time now);
  void prove(const Block& block);
  void doubt(const Block& block);
  void hand_out(const Block& block, std::span<const uint16_t> words, const Deliver& deliver);
  void probe(const Ask& ask);
  void judge_silence(Time now);
  void narrow(const Range& silent, Time now);
  void note_refusal(size_t position, uint8_t exception, Time now);
  void leave(const Block& block, uint8_t exception, const Deliver& deliver);
  void refuse(const Block& block, uint8_t exception, Time now, const Deliver& deliver);

  std::vector<Extent> wanted_;
  Reach reach_;
  std::vector<size_t> order_;          // indices into wanted_, by table and address
  std::vector<Block> blocks_;          // of everything that is not refused
  size_t first_ = 0;                   // in blocks_
  std::optional<size_t> left_;         // the first that this cycle did not ask for
  std::map<size_t, Refusal> refused_;  // by position in order_
  // Positions in order_: before those of cuts_ a block must end, for a while; before those of
  // walls_ is a hole that must not be read, before those of proven_ one that can be.
  std::set<size_t> cuts_, walls_, proven_;
  Time cut_since_{};
  // What narrows down the place that is silent: blocks end before these positions.
  std::set<size_t> splits_;
  std::optional<Range> silent_, suspect_;  // the first silent block of this cycle, and of the last
  size_t deaf_ = 0;                        // cycles in a row that heard nothing
  bool changed_ = false;                   // blocks_ no longer fit the above
  uint64_t cycle_ = 0;
  int searches_ = 0;       // requests of this cycle that look for what is refused
  bool answers_ = false;   // the unit did, in the cycle before
  bool heard_ = false;     // in this one
  bool doubted_ = false;   // in this cycle a request over a hole was the one without an answer
  bool cautious_ = false;  // this cycle's requests go over no hole that is not proven
};

}  // namespace fieldpost::modbus
