// SPDX-License-Identifier: Apache-2.0
#include "store/outbox.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>
#include <unordered_map>

#include "base/clock.hpp"
#include "store/chunk.hpp"
#include "store/database.hpp"
#include "store/dictionary.hpp"
#include "store/migrations.hpp"
#include "store/row_set.hpp"
#include "store/wall.hpp"

namespace fieldpost {
namespace {

constexpr int64_t kUtc = 0;  // as a row's boot: its times are UTC
constexpr int64_t kSameClockMs = 1000;
constexpr int kDamagedRowsKept = 100;

}  // namespace

Epoch present_epoch() {
  using std::chrono::duration_cast;
  using std::chrono::milliseconds;
  return {.since_ms = duration_cast<milliseconds>(BootClock::now().time_since_epoch()).count(),
          .offset_ms = duration_cast<milliseconds>(wall_offset()).count()};
}

struct Outbox::Impl {
  explicit Impl(Database d) : database(std::move(d)) {}

  // What one append brings of a device, and the writer that knows its attributes.
  struct Device {
    ChunkWriter writer;
    std::array<std::vector<const DeviceSample*>, 2> samples;  // by CaptureTime::Base
    bool touched = false;
  };
  // The effect of a transaction on the totals, once it is committed.
  struct Change {
    int64_t rows = 0;
    int64_t readings = 0;
    int64_t refused = 0;
    int64_t first_row = 0;
    int64_t first_utc_ms = 0;
    int64_t last_row = 0;
  };

  Result<> prepare();
  Result<> load_boots(const std::string& uuid, Epoch now);
  Result<> load_totals();
  Result<> add_epoch(Epoch epoch);

  void sort_out(std::span<const DeviceSample> samples);
  Result<> write(Device& device, Symbol id, CaptureTime::Base base);
  Result<> write_point(Device& device, const DeviceSample& sample, const Point& point,
                       int64_t device_id, int64_t row_boot);
  Result<> insert_row(Device& device, int64_t device_id, int64_t row_boot);
  Result<> append_in_transaction();
  Result<> delete_waiting();
  void committed_deletes();

  Result<Chunk> decode(int64_t row);
  void set_aside(int64_t row, int64_t points);
  int64_t utc_of(int64_t row_boot, int64_t t0) const;
  void find_oldest();

  Database database;
  SymbolTable symbols;
  std::unique_ptr<Dictionary> attributes, devices;
  Statement insert, select, erase, keep_damaged, trim_damaged, oldest, insert_epoch;

  int64_t boot = 0;
  std::unordered_map<int64_t, WallView> walls;  // by boot

  std::unordered_map<Symbol, Device> writers;
  std::vector<std::pair<Symbol, Device*>> touched;
  Change change;

  int64_t next_row = 1;
  int64_t newest = 0;
  std::map<int64_t, int64_t> handed_out;  // rows that were fetched, with their readings
  RowSet acknowledged;
  RowSet damaged;
  int64_t oldest_row = 0;
  OutboxTotals totals;
};

// Opening.

Result<Outbox> Outbox::open(const std::string& folder, const std::string& boot_id, Epoch now) {
  auto impl = std::make_unique<Impl>(FP_TRY(Database::open(folder + "/outbox.db")));
  FP_CHECK_OK(check_readable(impl->database));
  FP_CHECK_OK(impl->database.set_up());
  FP_CHECK_OK(migrate(impl->database));
  FP_CHECK_OK(impl->prepare());
  FP_CHECK_OK(impl->load_totals());
  FP_CHECK_OK(impl->load_boots(boot_id, now));
  impl->find_oldest();
  return Outbox(std::move(impl));
}

Outbox::Outbox(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Outbox::Outbox(Outbox&&) noexcept = default;
Outbox& Outbox::operator=(Outbox&&) noexcept = default;
Outbox::~Outbox() = default;

Result<> Outbox::Impl::prepare() {
  attributes = std::make_unique<Dictionary>(
      FP_TRY(Dictionary::open(database, symbols, "attribute", "name")));
  devices = std::make_unique<Dictionary>(
      FP_TRY(Dictionary::open(database, symbols, "device", "losant_id")));
  insert = FP_TRY(database.prepare(
      "INSERT INTO chunk (id, device, boot, t0, n, body) VALUES (?, ?, ?, ?, ?, ?)"));
  select = FP_TRY(
      database.prepare("SELECT id, device, boot, t0, n, body FROM chunk WHERE id > ? ORDER BY id"));
  erase = FP_TRY(database.prepare("DELETE FROM chunk WHERE id BETWEEN ? AND ?"));
  keep_damaged = FP_TRY(database.prepare(
      "INSERT OR REPLACE INTO damaged SELECT id, device, boot, t0, n, body FROM chunk "
      "WHERE id BETWEEN ? AND ?"));
  trim_damaged = FP_TRY(database.prepare(
      "DELETE FROM damaged WHERE id NOT IN (SELECT id FROM damaged ORDER BY id DESC LIMIT ?)"));
  oldest =
      FP_TRY(database.prepare("SELECT id, boot, t0 FROM chunk WHERE id >= ? ORDER BY id LIMIT 1"));
  insert_epoch =
      FP_TRY(database.prepare("INSERT INTO epoch (boot, since_ms, offset_ms) VALUES (?, ?, ?)"));
  return {};
}

Result<> Outbox::Impl::load_totals() {
  Statement sums =
      FP_TRY(database.prepare("SELECT count(*), ifnull(sum(n), 0), ifnull(max(id), 0) FROM chunk"));
  if (!FP_TRY(sums.step())) return {};
  totals.rows = sums.integer(0);
  totals.readings = sums.integer(1);
  newest = sums.integer(2);
  next_row = newest + 1;
  sums.reset();
  totals.file_bytes = database.file_bytes();
  return {};
}

Result<> Outbox::Impl::load_boots(const std::string& uuid, Epoch now) {
  // Boots that no row refers to are cleared away when that needs no search.
  if (totals.rows == 0) {
    Statement others = FP_TRY(database.prepare("SELECT count(*) FROM boot WHERE uuid <> ?"));
    others.bind_text(1, uuid);
    if (FP_TRY(others.step()) && others.integer(0) > 0) {
      others.reset();
      auto transaction = FP_TRY(Transaction::begin(database));
      Statement forget = FP_TRY(database.prepare("DELETE FROM boot WHERE uuid <> ?"));
      forget.bind_text(1, uuid);
      FP_CHECK_OK(forget.run());
      FP_CHECK_OK(database.exec("DELETE FROM epoch WHERE boot NOT IN (SELECT id FROM boot)"));
      FP_CHECK_OK(std::move(transaction).commit());
    }
  }
  Statement epochs = FP_TRY(
      database.prepare("SELECT boot, since_ms, offset_ms FROM epoch ORDER BY boot, since_ms"));
  while (FP_TRY(epochs.step())) {
    walls[epochs.integer(0)].append({epochs.integer(1), epochs.integer(2)});
  }
  epochs.reset();

  Statement find = FP_TRY(database.prepare("SELECT id FROM boot WHERE uuid = ?"));
  find.bind_text(1, uuid);
  if (FP_TRY(find.step())) boot = find.integer(0);
  find.reset();
  if (boot != 0 && !walls[boot].empty() &&
      std::abs(walls[boot].last().offset_ms - now.offset_ms) <= kSameClockMs) {
    return {};
  }
  auto transaction = FP_TRY(Transaction::begin(database));
  if (boot == 0) {
    Statement add = FP_TRY(database.prepare("INSERT INTO boot (uuid) VALUES (?) RETURNING id"));
    add.bind_text(1, uuid);
    if (FP_TRY(add.step())) boot = add.integer(0);
    FP_CHECK_OK(add.run());
  }
  FP_CHECK_OK(add_epoch(now));
  return std::move(transaction).commit();
}

Result<> Outbox::Impl::add_epoch(Epoch epoch) {
  WallView& wall = walls[boot];
  if (!wall.empty()) epoch.since_ms = std::max(epoch.since_ms, wall.last().since_ms + 1);
  insert_epoch.bind(1, boot);
  insert_epoch.bind(2, epoch.since_ms);
  insert_epoch.bind(3, epoch.offset_ms);
  FP_CHECK_OK(insert_epoch.run());
  wall.append(epoch);
  return {};
}

Result<> Outbox::append_epoch(Epoch epoch) {
  auto transaction = FP_TRY(Transaction::begin(impl_->database));
  const WallView before = impl_->walls[impl_->boot];
  auto added = impl_->add_epoch(epoch);
  if (added) added = std::move(transaction).commit();
  if (!added) impl_->walls[impl_->boot] = before;
  return added;
}

// Appending.

Result<> Outbox::append(std::span<const DeviceSample> samples) {
  Impl& o = *impl_;
  o.sort_out(samples);
  o.change = {};
  auto written = o.append_in_transaction();
  for (const auto& [id, device] : o.touched) {
    device->writer.clear();
    for (auto& list : device->samples) list.clear();
    device->touched = false;
  }
  o.touched.clear();
  if (!written) {
    // Numbers that the dictionaries gave in it are void, and the writers have learnt them.
    o.attributes->forget();
    o.devices->forget();
    o.writers.clear();
    return written;
  }
  o.committed_deletes();
  o.totals.refused += o.change.refused;
  if (o.change.rows > 0) {
    if (o.totals.rows == 0) {
      o.oldest_row = o.change.first_row;
      o.totals.oldest_utc_ms = o.change.first_utc_ms;
    }
    o.totals.rows += o.change.rows;
    o.totals.readings += o.change.readings;
    o.newest = o.change.last_row;
  }
  return {};
}

// By device and clock, in the order of time.
void Outbox::Impl::sort_out(std::span<const DeviceSample> samples) {
  for (const DeviceSample& sample : samples) {
    Device& device = writers[sample.device];
    if (!device.touched) {
      device.touched = true;
      touched.emplace_back(sample.device, &device);
    }
    device.samples[static_cast<size_t>(sample.time.base)].push_back(&sample);
  }
  const auto earlier = [](const DeviceSample* a, const DeviceSample* b) {
    return a->time.ms < b->time.ms;
  };
  for (const auto& [id, device] : touched) {
    for (auto& list : device->samples) {
      // Stable: of two in the same millisecond, the one that came first stays first.
      if (!std::ranges::is_sorted(list, earlier)) std::ranges::stable_sort(list, earlier);
    }
  }
}

Result<> Outbox::Impl::append_in_transaction() {
  auto transaction = FP_TRY(Transaction::begin(database));
  for (const auto& [id, device] : touched) {
    FP_CHECK_OK(write(*device, id, CaptureTime::Base::ThisBoot));
    FP_CHECK_OK(write(*device, id, CaptureTime::Base::Utc));
  }
  FP_CHECK_OK(delete_waiting());
  return std::move(transaction).commit();
}

Result<> Outbox::Impl::write(Device& device, Symbol id, CaptureTime::Base base) {
  const auto& samples = device.samples[static_cast<size_t>(base)];
  if (samples.empty()) return {};
  const int64_t device_id = FP_TRY(devices->id_of(id));
  const int64_t row_boot = base == CaptureTime::Base::Utc ? kUtc : boot;
  for (const DeviceSample* sample : samples) {
    for (const Point& point : sample->points) {
      const auto added = device.writer.add(sample->time.ms, point);
      if (added != ChunkWriter::Added::Yes) [[unlikely]] {
        FP_CHECK_OK(write_point(device, *sample, point, device_id, row_boot));
      }
    }
  }
  return device.writer.empty() ? Result<>() : insert_row(device, device_id, row_boot);
}

// What add() would not take just like that.
Result<> Outbox::Impl::write_point(Device& device, const DeviceSample& sample, const Point& point,
                                   int64_t device_id, int64_t row_boot) {
  for (;;) {
    switch (device.writer.add(sample.time.ms, point)) {
      case ChunkWriter::Added::Yes:
        return {};
      case ChunkWriter::Added::Unknown:
        device.writer.learn(point.attribute,
                            static_cast<uint32_t>(FP_TRY(attributes->id_of(point.attribute))));
        break;
      case ChunkWriter::Added::Full:
        FP_CHECK_OK(insert_row(device, device_id, row_boot));
        break;
      case ChunkWriter::Added::Refused:
        ++change.refused;
        return {};
    }
  }
}

Result<> Outbox::Impl::insert_row(Device& device, int64_t device_id, int64_t row_boot) {
  const int64_t t0 = device.writer.t0();
  const int64_t points = device.writer.points();
  const int64_t row = next_row++;
  insert.bind(1, row);
  insert.bind(2, device_id);
  insert.bind(3, row_boot);
  insert.bind(4, t0);
  insert.bind(5, points);
  insert.bind_blob(6, device.writer.encode(device_id, row_boot));
  FP_CHECK_OK(insert.run());
  if (change.rows == 0) {
    change.first_row = row;
    change.first_utc_ms = utc_of(row_boot, t0);
  }
  change.last_row = row;
  ++change.rows;
  change.readings += points;
  return {};
}

// Deleting.

void Outbox::acknowledge(std::span<const int64_t> rows) {
  Impl& o = *impl_;
  for (const int64_t row : rows) {
    const auto it = o.handed_out.find(row);
    if (it == o.handed_out.end()) continue;
    --o.totals.rows;
    o.totals.readings -= it->second;
    o.acknowledged.insert(row);
    o.handed_out.erase(it);
  }
  if (o.acknowledged.contains(o.oldest_row)) o.find_oldest();
}

bool Outbox::has_waiting_deletes() const { return waiting_deletes() > 0; }

size_t Outbox::waiting_deletes() const {
  return impl_->acknowledged.size() + impl_->damaged.size();
}

Result<> Outbox::flush_deletes() {
  if (!has_waiting_deletes()) return {};
  auto transaction = FP_TRY(Transaction::begin(impl_->database));
  FP_CHECK_OK(impl_->delete_waiting());
  FP_CHECK_OK(std::move(transaction).commit());
  impl_->committed_deletes();
  return {};
}

Result<> Outbox::Impl::delete_waiting() {
  for (const auto& [first, last] : damaged) {
    keep_damaged.bind(1, first);
    keep_damaged.bind(2, last);
    FP_CHECK_OK(keep_damaged.run());
  }
  if (!damaged.empty()) {
    trim_damaged.bind(1, kDamagedRowsKept);
    FP_CHECK_OK(trim_damaged.run());
  }
  for (const RowSet* rows : {&damaged, &acknowledged}) {
    for (const auto& [first, last] : *rows) {
      erase.bind(1, first);
      erase.bind(2, last);
      FP_CHECK_OK(erase.run());
    }
  }
  return {};
}

void Outbox::Impl::committed_deletes() {
  damaged.clear();
  acknowledged.clear();
  totals.file_bytes = database.file_bytes();
}

// Fetching.

Result<std::vector<Chunk>> Outbox::fetch(int64_t after, size_t max_points) {
  Impl& o = *impl_;
  std::vector<Chunk> chunks;
  size_t points = 0;
  const ResetGuard guard(o.select);
  o.select.bind(1, after);
  while (points < max_points || chunks.empty()) {
    auto row = o.select.step();
    if (!row && !chunks.empty()) break;  // what is there first; the next fetch meets the error
    if (!FP_TRY(std::move(row))) break;
    const int64_t id = o.select.integer(0);
    if (o.acknowledged.contains(id) || o.damaged.contains(id)) continue;
    auto chunk = o.decode(id);
    const int64_t n = o.select.integer(4);
    if (!chunk) {
      if (chunk.error().code == Errc::Corrupt) o.set_aside(id, n);
      if (chunk.error().code == Errc::Corrupt || chunk.error().code == Errc::Invalid) continue;
      return std::move(chunk).error();
    }
    o.handed_out[id] = n;
    points += static_cast<size_t>(n);
    chunks.push_back(*std::move(chunk));
  }
  return chunks;
}

// Of the row that `select` is at.
Result<Chunk> Outbox::Impl::decode(int64_t row) {
  const ChunkKey key{.device = select.integer(1),
                     .boot = select.integer(2),
                     .t0 = select.integer(3),
                     .points = select.integer(4)};
  Result<> dictionary;  // an error of the disk, which must not pass for a damaged row
  auto states = decode_chunk(select.blob(5), key, [&](uint32_t id) -> Symbol {
    auto symbol = attributes->symbol_of(id);
    if (symbol) return *symbol;
    dictionary = std::move(symbol).error();
    return nullptr;
  });
  FP_CHECK_OK(std::move(dictionary));
  if (!states) return std::move(states).error();
  const Symbol device = FP_TRY(devices->symbol_of(key.device));
  if (device == nullptr) return Error{Errc::Corrupt, "chunk: a device that has no name"};
  if (key.boot != kUtc) {
    const auto wall = walls.find(key.boot);
    if (wall == walls.end()) return Error{Errc::Corrupt, "chunk: a boot that has no epoch"};
    to_wall_time(*states, wall->second);
  }
  return Chunk{.row = row, .device = device, .states = *std::move(states)};
}

void Outbox::Impl::set_aside(int64_t row, int64_t points) {
  points = std::clamp<int64_t>(points, 0, kMaxChunkPoints);
  damaged.insert(row);
  ++totals.damaged_rows;
  totals.damaged += points;
  --totals.rows;
  totals.readings -= points;
  if (row == oldest_row) find_oldest();
}

int64_t Outbox::Impl::utc_of(int64_t row_boot, int64_t t0) const {
  const auto wall = walls.find(row_boot);
  return row_boot == kUtc || wall == walls.end() ? t0 : wall->second.to_utc_ms(t0);
}

void Outbox::Impl::find_oldest() {
  oldest_row = 0;
  totals.oldest_utc_ms = 0;
  if (totals.rows == 0) return;
  const ResetGuard guard(oldest);
  int64_t from = 0;
  for (;;) {
    oldest.bind(1, from);
    const auto row = oldest.step();
    if (!row || !*row) return;  // an error shows at the next fetch
    const int64_t id = oldest.integer(0);
    const int64_t next = damaged.first_gap(acknowledged.first_gap(id));
    if (next == id) {
      oldest_row = id;
      totals.oldest_utc_ms = utc_of(oldest.integer(1), oldest.integer(2));
      return;
    }
    from = next;
    oldest.reset();
  }
}

int64_t Outbox::newest_row() const { return impl_->newest; }
OutboxTotals Outbox::totals() const { return impl_->totals; }

}  // namespace fieldpost
