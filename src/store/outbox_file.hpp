// SPDX-License-Identifier: Apache-2.0
//
// An outbox that no agent has open, a copy or that of an agent that is stopped, to look at. Read
// without SQLite (store/salvage.hpp): nothing is written, locked or made beside it, and damage
// costs what is damaged and no more. So is what stage 1 has kept of a killed agent.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "model/symbol.hpp"
#include "model/time.hpp"
#include "store/export_text.hpp"
#include "store/outbox.hpp"
#include "store/row_set.hpp"
#include "store/salvage.hpp"
#include "store/stage_log.hpp"

namespace fieldpost {

class OutboxFile {
 public:
  // Errors: NotFound, Unavailable (another process has it open), Invalid (it is no outbox, or of a
  // newer version), Io.
  static Result<OutboxFile> open(const std::string& path);
  // What stage 1 has in its folder beyond what is on the disk; nothing if there is none. To be
  // called before the following. Errors: Io.
  Result<> add_stage(const std::string& folder);

  // All readings, in order: rows, then stage 1. The first error of `take` ends it.
  Result<> each(const std::function<Result<>(const WaitingReadings&)>& take);
  // By Losant id, without reading the readings of the rows.
  Result<Outbox::DeviceCounts> count_rows() const;
  Result<std::map<std::string, int64_t>> count_staged() const;

  // What a look at every page and, after each(), at every row has found; one sentence each, for
  // people. Empty: it is sound.
  std::vector<std::string> damage() const;
  int64_t rows() const { return rows_; }          // that each() has decoded
  int64_t readings() const { return readings_; }  // in them
  int64_t staged() const { return staged_; }      // readings that each() has found in stage 1
  int64_t file_bytes() const { return file_bytes_; }

 private:
  OutboxFile(std::string path, Salvage salvage);
  Result<> take_row(const Salvage::Row& row,
                    const std::function<Result<>(const WaitingReadings&)>& take);
  Result<> each_staged(const std::function<Result<>(const WaitingReadings&)>& take) const;
  const WallView* wall_of(int64_t boot) const;  // nullptr: nobody knows its time
  bool is_acknowledged(int64_t row) const { return acknowledged_.contains(row); }

  std::string path_;
  Salvage salvage_;
  std::unique_ptr<SymbolTable> symbols_ = std::make_unique<SymbolTable>();
  std::unordered_map<int64_t, Symbol> devices_, attributes_;
  std::unordered_map<int64_t, WallView> walls_;
  // And the number up to which the disk has it.
  std::vector<std::pair<std::unique_ptr<StageLog>, int64_t>> logs_;
  RowSet acknowledged_;  // rows whose acknowledgement is noted in stage 1 alone
  std::string header_trouble_;
  int64_t file_bytes_ = 0;
  int64_t rows_ = 0, readings_ = 0, staged_ = 0;
  int64_t bad_rows_ = 0;    // whose checksum holds and which make no sense all the same
  int64_t newer_rows_ = 0;  // of a newer format
};

}  // namespace fieldpost
