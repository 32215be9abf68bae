// SPDX-License-Identifier: Apache-2.0
//
// What the parts of the outbox share: outbox.cpp opens, outbox_append.cpp writes and deletes,
// outbox_fetch.cpp reads, outbox_clock.cpp knows what the times in it mean.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <set>
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
    Symbol name = nullptr;
    ChunkWriter writer;
    std::array<std::vector<const Staged*>, 2> samples;  // by CaptureTime::Base
    std::vector<Handover::Member> members;              // of the row being made
    int64_t last_number = 0;
    bool touched = false;
  };
  // What a row counts for in the sums.
  struct Size {
    int64_t readings = 0;
    int64_t bytes = 0;
  };
  // What the uplink holds, for either of its cursors, or that of the custom lane, which has other
  // rows; none: it does no more.
  struct HandedOut {
    Size size;
    bool live = false;
    bool in_order = false;
    bool custom = false;
    bool any() const { return live || in_order || custom; }
    bool& in(Lane lane) {
      return lane == Lane::Live ? live : lane == Lane::Custom ? custom : in_order;
    }
  };
  static constexpr int64_t kRowBytes = 32;  // beside its body; migrations.cpp has it too
  // The effect of a transaction on the totals, once it is committed.
  struct Change {
    int64_t rows = 0;
    int64_t readings = 0;
    int64_t bytes = 0;
    int64_t acknowledged = 0;  // readings that were taken out of rows
    int64_t refused = 0;
    int64_t first_utc_ms = 0;
    int64_t flushed = 0;
    std::optional<int64_t> last_ms;  // the latest boot time
    int64_t unstamped = 0;           // readings
  };

  Result<> prepare(SymbolTable& symbols);
  Result<> prepare_room();
  Result<> load_state();
  Result<> load_boots();
  Result<> ensure_boot();
  Result<> prepare_clock();
  Result<> load_clock();
  Result<> write_epochs();
  Result<> write_unstamped();
  Result<> write_mark();
  Result<> write_state();
  void clock_stored();
  Result<> count_unstamped();

  void sort_out(std::span<const Staged> samples);
  Result<> write(Device& device, Symbol id, CaptureTime::Base base);
  Result<> write_points(Device& device, const Staged& staged, int64_t device_id, int64_t row_boot);
  Result<> insert_row(Device& device, int64_t device_id, int64_t row_boot);
  Result<> append_in_transaction(int64_t up_to);
  Result<> delete_waiting();
  Result<> take_parts_out();
  Result<> rewrite(int64_t row, const std::set<int64_t>& gone);
  Result<ChunkWriter::Added> add_to(ChunkWriter& writer, int64_t ms, const Point& point);
  void committed_deletes();
  void leave(Size row);

  const WallView* wall_of(int64_t row_boot) const;
  bool is_unstamped(int64_t row_boot) const;
  void release(Lane lane, int64_t after);
  bool is_torn(int64_t row, const std::vector<Chunk>& chunks, const Handover& handover) const;
  Result<bool> has_custom_devices();
  Result<bool> is_passed_over(int64_t device, Lane lane, const DeviceIds& aside);
  Result<size_t> take(int64_t row, int64_t after, const Handover& handover, Lane lane,
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
  void set_aside(int64_t row, Size size);
  std::optional<int64_t> utc_of(int64_t row_boot, int64_t t0) const;
  void find_oldest();

  // A row that gives way, and what is left of rows.
  struct Taken {
    int64_t row = 0;
    ChunkKey key;
    Size size;
    uint8_t round = 0;
    Symbol device = nullptr;
    std::vector<State> states;
    bool readable = true;
  };
  using Group = std::span<Taken>;  // of one device and boot
  Result<Taken> take_for_room(int64_t row);
  Result<> give_up_thinning(std::span<const Taken> taken);
  Result<std::vector<Gone>> reduce_in_transaction(std::vector<Taken>& taken, Way way,
                                                  const KeepOf& keep_of);
  Result<> reduce(std::vector<Taken>& taken, Way way, const KeepOf& keep_of,
                  std::vector<Gone>& ret_gone);
  Result<> reduce_group(Group group, Way way, const KeepOf& keep_of, std::vector<Gone>& ret_gone);
  Result<> write_left(Group group, const std::vector<State>& states, uint8_t round);
  Result<> write_row_left(Group& group, ChunkWriter& writer, uint8_t round, int64_t last_ms);
  Result<> mark_thinned(int64_t row, uint8_t round, int64_t span_ms);
  int64_t utc_offset(int64_t row_boot) const;

  // Rows of the table and the numbers that the outside knows them by.
  int64_t id_of(int64_t row) const { return row - offset; }
  int64_t row_of(int64_t id) const { return id + offset; }

  Options options;
  Database database;
  std::unique_ptr<Dictionary> attributes, devices;
  Statement insert, select, erase, erase_thinned, keep_damaged, trim_damaged, oldest, insert_epoch,
      update_state, find_row, find_custom, count_row, next_summary, select_row, insert_thinned,
      update_row, put_unstamped, erase_unstamped, update_mark;

  int64_t boot = 0;                             // 0: not in the table yet
  WallView own_wall;                            // of this boot, stored or not
  size_t stored_epochs = 0;                     // of own_wall
  std::unordered_map<int64_t, WallView> walls;  // of other boots
  std::vector<EndedBoot> ended;                 // without an epoch, those that wait included
  std::map<int64_t, Epoch> ended_epochs;        // that wait to be stored
  int64_t high_water = 0;
  int64_t stored_high_water = 0;
  int64_t written_high_water = 0;  // by a transaction that is not committed
  std::optional<int64_t> seen_offset;
  LastFetch last_fetch;

  std::unordered_map<Symbol, Device> writers;
  std::vector<std::pair<Symbol, Device*>> touched;
  std::vector<Made> made;
  Change change;

  int64_t offset = 0;  // row - id
  int64_t flushed = 0;
  int64_t next_row = 1;
  int64_t newest = 0;                       // row
  std::map<int64_t, HandedOut> handed_out;  // rows that were fetched and the uplink holds
  RowSet acknowledged;                      // rows
  RowSet damaged;                           // rows
  Settled settled;
  // Rows, and the times in them that were acknowledged; what the transaction has done of it.
  std::map<int64_t, std::set<int64_t>> acknowledged_parts;
  std::map<int64_t, std::optional<Size>> rewritten;
  bool failed = false;  // the last transaction: the next one is left to what must be
  // How far a transaction deletes of the two above.
  int64_t acknowledged_up_to = 0, damaged_up_to = 0;
  int64_t oldest_row = 0;
  OutboxTotals totals;
};

}  // namespace fieldpost
