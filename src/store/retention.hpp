// SPDX-License-Identifier: Apache-2.0
//
// Which rows of the outbox give way when space is short: the oldest are thinned first, over and
// over (store/thin.hpp); when nothing is left to win by that, the oldest are stripped of all but
// what is to be kept whole (Keep::All); and only when nothing but that is left are the oldest
// dropped. Pure: sees summaries of rows, answers with the next step; whoever asks carries it out.
//
//   for (;;) {
//     step = retention.next_step(wanted, stored, next_row)
//     Replace   decode its rows, thin(), encode, one transaction: delete them, insert the result
//               under rows.front() with round_after(round, thinned) as its round
//               (what a writer finds Full, over 1 MiB of text, under the next of rows)
//     Strip     the same with its rows, by device and boot, and kNothingButAll
//     Drop      delete its rows, count their readings as lost
//     Look      nothing yet; other work may come between
//     Nothing   no space is wanted, or no row may go
//   }
//
// Belongs to the store thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/result.hpp"
#include "store/thin.hpp"

namespace fieldpost {

struct RowSummary {
  int64_t id = 0;
  int64_t device = 0;
  int64_t boot = 0;
  uint8_t round = 0;  // how often it was thinned; kFullyThinned, kNothingButAll: no more
  bool held = false;  // handed out and not acknowledged yet: stays as it is
  int64_t readings = 0;
  int64_t bytes = 0;  // what it takes, a few for the row itself included
  int64_t t0_ms = 0;
  int64_t span_ms = 0;  // from its first reading to its last
};

// The first row whose id is above `after`; nothing: there is none.
using NextRow = std::function<Result<std::optional<RowSummary>>(int64_t after)>;

// What one step may touch, so that it stays within 50 ms on the smallest gateway and the pages it
// makes within 1 MiB of the WAL. To decode, thin and encode took 0.12 µs a reading, 1 ms for the
// largest step, on x86-64; each row's cell is at worst on a page (1 KiB) of its own.
inline constexpr size_t kMaxStepRows = 64;
inline constexpr int64_t kMaxStepReadings = 8192;  // so the result is one chunk
inline constexpr int64_t kMaxStepBytes = 65'536;
inline constexpr int kMaxLooks = 2000;  // summaries read in one call

// Rows are worth joining from four on: fewer leave their pages as they are, only emptier. Or from
// four pages on, however few the rows, because what one row saves then are pages of its own.
inline constexpr size_t kMinStepRows = 4;
inline constexpr int64_t kMinStepBytes = 4096;
// A row that has grown together does not cover more than this (unless one flush did), so that
// dropping the oldest drops a little.
inline constexpr int64_t kMaxRowSpanMs = 24 * kThinHourMs;

class Retention {
 public:
  struct Replace {
    std::vector<int64_t> rows;  // ascending; of one device, boot and round, none of it between them
    uint8_t round = 0;
  };
  struct Strip {
    std::vector<int64_t> rows;  // ascending
  };
  struct Drop {
    std::vector<int64_t> rows;  // ascending
  };
  struct Look {};
  struct Nothing {};
  using Step = std::variant<Nothing, Look, Replace, Strip, Drop>;

  // `wanted`: bytes that shall become free; at 0 or less the search ends, and the next one begins
  // at the oldest row again. To be asked with some reserve, so that searches are rare. `stored`:
  // bytes of all rows. Rows may come and go between two calls, but only this may join them; a row
  // of a step that is gone or held when it is carried out makes the step void, and the caller
  // asks on. Rows that are held are not thinned, and dropped only when there are no others. Errors:
  // those of `next_row`.
  Result<Step> next_step(int64_t wanted, int64_t stored, const NextRow& next_row);

 private:
  // Neighbouring rows of a device that may become one.
  struct Run {
    std::vector<int64_t> rows;
    int64_t boot = 0, readings = 0, bytes = 0, t0_ms = 0;
    uint8_t round = 0;
    bool is_worth_it() const { return rows.size() >= kMinStepRows || bytes >= kMinStepBytes; }
    bool takes(const RowSummary& row) const;
    void add(const RowSummary& row);
  };

  std::optional<Replace> look_at(const RowSummary& row);
  Replace take(Run& run);
  // The oldest run that is worth it.
  std::optional<Replace> take_open();
  void begin_pass();
  Result<Step> strip(int64_t wanted, const NextRow& next_row);
  Result<Step> drop(int64_t wanted, bool held, const NextRow& next_row);
  void close_up_to(int64_t row);

  int64_t floor_ = 0;     // rows up to it are fully thinned
  int64_t stripped_ = 0;  // rows up to it are stripped, or were held
  int64_t position_ = 0;  // rows up to it have been seen in this pass
  int64_t seen_ = 0;      // bytes of rows that can be thinned, in this tenth
  bool found_ = false;    // a step, in this pass
  bool all_thinned_so_far_ = true;
  std::unordered_map<int64_t, Run> open_;  // by device
};

}  // namespace fieldpost
