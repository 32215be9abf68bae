// SPDX-License-Identifier: Apache-2.0
//
// The outbox getting smaller: rows give way to what is left of them.
#include <algorithm>

#include "store/outbox_impl.hpp"

namespace fieldpost {
namespace {

void count_gone(std::vector<Outbox::Gone>& gone, Symbol device, Symbol attribute,
                int64_t readings) {
  if (readings <= 0) return;
  const auto same = [&](const auto& g) { return g.device == device && g.attribute == attribute; };
  const auto found = std::ranges::find_if(gone, same);
  if (found != gone.end()) {
    found->readings += readings;
  } else {
    gone.push_back({device, attribute, readings});
  }
}

// All that `keep` does not want is taken out of the states and counted.
template <class Wanted>
void filter(std::vector<State>& states, Symbol device, Wanted wanted,
            std::vector<Outbox::Gone>& ret_gone) {
  for (State& state : states) {
    std::erase_if(state.points, [&](const Point& p) {
      if (wanted(p.attribute)) return false;
      count_gone(ret_gone, device, p.attribute, 1);
      return true;
    });
  }
  std::erase_if(states, [](const State& s) { return s.points.empty(); });
}

}  // namespace

Result<> Outbox::Impl::prepare_room() {
  next_summary =
      FP_TRY(database.prepare("SELECT c.id, c.device, c.boot, c.t0, c.n, length(c.body), "
                              "ifnull(t.round, 0), ifnull(t.span_ms, 0) "
                              "FROM chunk c LEFT JOIN thinned t ON t.id = c.id "
                              "WHERE c.id > ? ORDER BY c.id LIMIT 1"));
  select_row =
      FP_TRY(database.prepare("SELECT c.device, c.boot, c.t0, c.n, c.body, ifnull(t.round, 0) "
                              "FROM chunk c LEFT JOIN thinned t ON t.id = c.id WHERE c.id = ?"));
  update_row = FP_TRY(database.prepare("UPDATE chunk SET t0 = ?, n = ?, body = ? WHERE id = ?"));
  insert_thinned = FP_TRY(
      database.prepare("INSERT OR REPLACE INTO thinned (id, round, span_ms) VALUES (?, ?, ?)"));
  return {};
}

// ---- Looking.

Result<std::optional<RowSummary>> Outbox::next_row(int64_t after, const Handover& handover) {
  Impl& o = *impl_;
  const ResetGuard guard(o.next_summary);
  for (;;) {
    o.next_summary.bind(1, after);
    if (!FP_TRY(o.next_summary.step())) return std::optional<RowSummary>();
    const int64_t row = o.next_summary.integer(0);
    const int64_t next = o.damaged.first_gap(o.acknowledged.first_gap(row));
    if (next == row) break;
    after = next - 1;
    o.next_summary.reset();
  }
  RowSummary row{.id = o.next_summary.integer(0),
                 .device = o.next_summary.integer(1),
                 .boot = o.next_summary.integer(2),
                 .round = static_cast<uint8_t>(
                     std::clamp<int64_t>(o.next_summary.integer(6), 0, kNothingButAll)),
                 .readings = std::clamp<int64_t>(o.next_summary.integer(4), 0, kMaxChunkPoints),
                 .bytes = o.next_summary.integer(5) + Impl::kRowBytes,
                 .t0_ms = o.next_summary.integer(3),
                 .span_ms = o.next_summary.integer(7)};
  const int64_t id = o.id_of(row.id);
  row.held = o.handed_out.contains(row.id) || handover.find(id) != nullptr ||
             handover.left_out(id) != nullptr;
  return std::optional(row);
}

std::optional<int64_t> Outbox::end_utc_ms(const RowSummary& row) const {
  return impl_->utc_of(row.boot, row.t0_ms + row.span_ms);
}

std::optional<int64_t> Outbox::to_utc_ms(int64_t boot_ms) const {
  const WallView& wall = impl_->own_wall;
  return wall.empty() ? std::nullopt : std::optional(wall.to_utc_ms(boot_ms));
}

// What makes UTC of a row's times, to say where hours end.
int64_t Outbox::Impl::utc_offset(int64_t row_boot) const {
  if (row_boot == kUtc) return 0;
  const WallView* wall = wall_of(row_boot);
  return wall == nullptr ? 0 : wall->last().offset_ms;
}

// ---- Giving way.

Result<std::vector<Outbox::Gone>> Outbox::reduce(std::span<const int64_t> rows, Way way,
                                                 const KeepOf& keep_of, Handover& handover) {
  Impl& o = *impl_;
  std::vector<Impl::Taken> taken;
  for (const int64_t row : rows) taken.push_back(FP_TRY(o.take_for_room(row)));
  if (way != Way::Drop && !std::ranges::all_of(taken, &Impl::Taken::readable)) {
    FP_CHECK_OK(o.give_up_thinning(taken));
    return std::vector<Gone>();
  }
  auto gone = o.reduce_in_transaction(taken, way, keep_of);
  if (!gone && gone.error().code == Errc::Invalid) {
    for (Impl::Taken& t : taken) t.readable = false;
    FP_CHECK_OK(o.give_up_thinning(taken));
    return std::vector<Gone>();
  }
  if (!gone) return gone;
  for (const int64_t row : rows) {  // dropped although they were held
    o.handed_out.erase(row);
    o.acknowledged_parts.erase(row);
    handover.forget(o.id_of(row));
    o.settled.rows.insert(o.id_of(row));
  }
  if (std::ranges::binary_search(rows, o.oldest_row)) o.find_oldest();
  return gone;
}

Result<std::vector<Outbox::Gone>> Outbox::Impl::reduce_in_transaction(std::vector<Taken>& taken,
                                                                      Way way,
                                                                      const KeepOf& keep_of) {
  std::vector<Gone> gone;
  change = {.flushed = flushed};
  auto transaction = FP_TRY(Transaction::begin(database));
  FP_CHECK_OK(reduce(taken, way, keep_of, gone));
  FP_CHECK_OK(delete_waiting());
  FP_CHECK_OK(write_state());
  FP_CHECK_OK(std::move(transaction).commit());
  committed_deletes();
  totals.rows += change.rows;
  totals.unstamped += change.unstamped;
  return gone;
}

Result<Outbox::Impl::Taken> Outbox::Impl::take_for_room(int64_t row) {
  const ResetGuard guard(select_row);
  select_row.bind(1, row);
  Taken taken{.row = row};
  if (!FP_TRY(select_row.step())) return Error{Errc::NotFound, "a row of the outbox is gone"};
  taken.key = {.device = select_row.integer(0),
               .boot = select_row.integer(1),
               .t0 = select_row.integer(2),
               .points = select_row.integer(3)};
  const std::string_view body = select_row.blob(4);
  taken.size = {std::clamp<int64_t>(taken.key.points, 0, kMaxChunkPoints),
                static_cast<int64_t>(body.size()) + kRowBytes};
  taken.round = static_cast<uint8_t>(select_row.integer(5));
  Result<> dictionary;
  auto states = decode_chunk(body, taken.key, [&](uint32_t id) -> Symbol {
    auto symbol = attributes->symbol_of(id);
    if (symbol) return *symbol;
    dictionary = std::move(symbol).error();
    return nullptr;
  });
  FP_CHECK_OK(std::move(dictionary));
  taken.device = FP_TRY(devices->symbol_of(taken.key.device));
  taken.readable = states && taken.device != nullptr;
  if (taken.readable) taken.states = *std::move(states);
  return taken;
}

// What cannot be thinned would be chosen again and again. What is damaged, fetch() sets aside; what
// is of a newer format stays as it is.
Result<> Outbox::Impl::give_up_thinning(std::span<const Taken> taken) {
  auto transaction = FP_TRY(Transaction::begin(database));
  for (const Taken& t : taken) {
    if (!t.readable) FP_CHECK_OK(mark_thinned(t.row, kNothingButAll, 0));
  }
  return std::move(transaction).commit();
}

Result<> Outbox::Impl::mark_thinned(int64_t row, uint8_t round, int64_t span_ms) {
  insert_thinned.bind(1, row);
  insert_thinned.bind(2, round);
  insert_thinned.bind(3, span_ms);
  return insert_thinned.run();
}

// Within a transaction. The deletes come first: what they free is used by what is written.
Result<> Outbox::Impl::reduce(std::vector<Taken>& taken, Way way, const KeepOf& keep_of,
                              std::vector<Gone>& ret_gone) {
  for (const Taken& t : taken) {
    for (Statement* statement : {&erase, &erase_thinned}) {
      statement->bind(1, t.row);
      statement->bind(2, t.row);
      FP_CHECK_OK(statement->run());
    }
    --change.rows;
    change.readings -= t.size.readings;
    change.bytes -= t.size.bytes;
    if (is_unstamped(t.key.boot)) change.unstamped -= t.size.readings;
    if (!t.readable) count_gone(ret_gone, t.device, nullptr, t.size.readings);
  }
  const auto place = [](const Taken& t) { return std::pair(t.key.device, t.key.boot); };
  std::ranges::stable_sort(taken, {}, place);
  for (auto begin = taken.begin(); begin != taken.end();) {
    const auto end =
        std::find_if(begin, taken.end(), [&](const Taken& t) { return place(t) != place(*begin); });
    FP_CHECK_OK(reduce_group(Group(begin, end), way, keep_of, ret_gone));
    begin = end;
  }
  return {};
}

Result<> Outbox::Impl::reduce_group(Group group, Way way, const KeepOf& keep_of,
                                    std::vector<Gone>& ret_gone) {
  const Symbol device = group.front().device;
  std::vector<State> states;
  for (Taken& t : group) {
    for (State& state : t.states) states.push_back(std::move(state));
  }
  const auto keep = [&](Symbol attribute) { return keep_of(device, attribute); };
  const auto to_stay = [&](Symbol attribute) {
    return way == Way::Thin || (way == Way::Strip && keep(attribute) == Keep::All);
  };
  filter(states, device, to_stay, ret_gone);
  if (states.empty()) return {};
  const Thinned thinned = thin(std::move(states), keep, utc_offset(group.front().key.boot));
  for (const auto& [attribute, readings] : thinned.gone) {
    count_gone(ret_gone, device, attribute, readings);
  }
  const uint8_t round =
      way == Way::Strip ? kNothingButAll : round_after(group.front().round, thinned);
  return write_left(group, thinned.states, round);
}

// The point, and, if the writer does not know it yet, its attribute.
Result<ChunkWriter::Added> Outbox::Impl::add_to(ChunkWriter& writer, int64_t ms,
                                                const Point& point) {
  const auto added = writer.add(ms, point);
  if (added != ChunkWriter::Added::Unknown) return added;
  const int64_t id = FP_TRY(attributes->id_of(point.attribute));
  writer.learn(point.attribute, static_cast<uint32_t>(id));
  return writer.add(ms, point);
}

// Under the number of the first row; what is too much for one row, under the next.
Result<> Outbox::Impl::write_left(Group group, const std::vector<State>& states, uint8_t round) {
  ChunkWriter writer;
  int64_t last_ms = 0;
  for (const State& state : states) {
    for (const Point& point : state.points) {
      auto added = FP_TRY(add_to(writer, state.time_ms, point));
      if (added == ChunkWriter::Added::Full) {
        FP_CHECK_OK(write_row_left(group, writer, round, last_ms));
        added = writer.add(state.time_ms, point);
      }
      if (added != ChunkWriter::Added::Yes) return Error{Errc::Invalid, "a reading fits no row"};
      last_ms = state.time_ms;
    }
  }
  return write_row_left(group, writer, round, last_ms);
}

// Takes the first row from the group.
Result<> Outbox::Impl::write_row_left(Group& group, ChunkWriter& writer, uint8_t round,
                                      int64_t last_ms) {
  if (group.empty()) return Error{Errc::Invalid, "what is left of rows needs more rows"};
  const auto& [row, key] = std::pair(group.front().row, group.front().key);
  group = group.subspan(1);
  const int64_t t0 = writer.t0();
  const int64_t points = writer.points();
  const std::string_view body = writer.encode(key.device, key.boot);
  insert.bind(1, row);
  insert.bind(2, key.device);
  insert.bind(3, key.boot);
  insert.bind(4, t0);
  insert.bind(5, points);
  insert.bind_blob(6, body);
  FP_CHECK_OK(insert.run());
  ++change.rows;
  change.readings += points;
  change.bytes += static_cast<int64_t>(body.size()) + kRowBytes;
  if (is_unstamped(key.boot)) change.unstamped += points;
  return mark_thinned(row, round, last_ms - t0);
}

}  // namespace fieldpost
