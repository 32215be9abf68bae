// SPDX-License-Identifier: Apache-2.0
//
// What the parts of the outbox share: outbox.cpp opens, outbox_append.cpp writes and deletes,
// outbox_fetch.cpp reads.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "store/chunk.hpp"
#include "store/database.hpp"
#include "store/dictionary.hpp"
#include "store/outbox.hpp"
#include "store/row_set.hpp"

namespace fieldpost {

struct Outbox::Impl {
  static constexpr int64_t kUtc = 0;  // as a row's boot: its times are UTC

  Impl(Database d, Options o) : options(std::move(o)), database(std::move(d)) {}

  // What one append brings of a device, and the writer that knows its attributes.
  struct Device {
    ChunkWriter writer;
    std::array<std::vector<const Staged*>, 2> samples;  // by CaptureTime::Base
    std::vector<Handover::Member> members;              // of the row being made
    int64_t last_number = 0;
    bool touched = false;
  };
  // The effect of a transaction on the totals, once it is committed.
  struct Change {
    int64_t rows = 0;
    int64_t readings = 0;
    int64_t refused = 0;
    int64_t first_utc_ms = 0;
    int64_t flushed = 0;
  };

  Result<> prepare(SymbolTable& symbols);
  Result<> load_state();
  Result<> load_boots();
  Result<> ensure_boot();
  Result<> write_epochs();
  Result<> write_state();
  void epochs_stored();

  void sort_out(std::span<const Staged> samples);
  Result<> write(Device& device, Symbol id, CaptureTime::Base base);
  Result<> write_point(Device& device, const Staged& sample, const Point& point, int64_t device_id,
                       int64_t row_boot);
  Result<> insert_row(Device& device, int64_t device_id, int64_t row_boot);
  Result<> append_in_transaction(int64_t up_to);
  Result<> delete_waiting();
  void committed_deletes();

  bool has_no_time_yet() const;
  Result<size_t> take(int64_t row, int64_t after, const Handover& handover,
                      std::vector<Chunk>& ret_chunks);
  Result<> decode(int64_t row, int64_t after, const Handover& handover,
                  std::vector<Chunk>& ret_chunks);
  // Of the row that `select` is at.
  struct Decoded {
    ChunkKey key;
    Symbol device = nullptr;
    std::vector<State> states;  // with the times as they were written
  };
  Result<Decoded> decode_row();
  bool has_time(int64_t row_boot) const;
  Result<> stamp(std::vector<State>& states, int64_t row_boot) const;
  void set_aside(int64_t row, int64_t points);
  int64_t utc_of(int64_t row_boot, int64_t t0) const;
  void find_oldest();

  // Rows of the table and the numbers that the outside knows them by.
  int64_t id_of(int64_t row) const { return row - offset; }
  int64_t row_of(int64_t id) const { return id + offset; }

  Options options;
  Database database;
  std::unique_ptr<Dictionary> attributes, devices;
  Statement insert, select, erase, keep_damaged, trim_damaged, oldest, insert_epoch, update_state,
      find_row, count_row;

  int64_t boot = 0;                             // 0: not in the table yet
  WallView own_wall;                            // of this boot, stored or not
  size_t stored_epochs = 0;                     // of own_wall
  std::unordered_map<int64_t, WallView> walls;  // of other boots

  std::unordered_map<Symbol, Device> writers;
  std::vector<std::pair<Symbol, Device*>> touched;
  std::vector<Made> made;
  Change change;

  int64_t offset = 0;  // row - id
  int64_t flushed = 0;
  int64_t next_row = 1;
  int64_t newest = 0;                     // row
  std::map<int64_t, int64_t> handed_out;  // rows that were fetched, with their readings
  RowSet acknowledged;                    // rows
  RowSet damaged;                         // rows
  int64_t oldest_row = 0;
  OutboxTotals totals;
};

}  // namespace fieldpost
