// SPDX-License-Identifier: Apache-2.0
//
// What the times in the outbox mean: boots, their epochs, those that have none, and the high-water
// mark.
#include <algorithm>
#include <cstdlib>

#include "store/outbox_impl.hpp"

namespace fieldpost {
namespace {

// The mark moves all the time. It is written along when it has moved by a minute, which bounds
// estimates well enough, and for its own sake once an hour, if nothing else is written.
constexpr int64_t kMarkAlongMs = 60'000;
constexpr int64_t kMarkAloneMs = 60 * kMarkAlongMs;

}  // namespace

Result<> Outbox::Impl::prepare_clock() {
  insert_epoch = FP_TRY(database.prepare(
      "INSERT INTO epoch (boot, since_ms, offset_ms, estimated) VALUES (?, ?, ?, ?)"));
  put_unstamped = FP_TRY(
      database.prepare("INSERT INTO unstamped (boot, last_ms, seen_offset_ms) VALUES (?, ?, ?) "
                       "ON CONFLICT (boot) DO UPDATE SET last_ms = max(last_ms, excluded.last_ms), "
                       "seen_offset_ms = excluded.seen_offset_ms"));
  erase_unstamped = FP_TRY(database.prepare("DELETE FROM unstamped WHERE boot = ?"));
  update_mark =
      FP_TRY(database.prepare("INSERT INTO meta (key, value) VALUES ('high_water_ms', ?) "
                              "ON CONFLICT (key) DO UPDATE SET value = excluded.value"));
  return {};
}

Result<> Outbox::Impl::load_boots() {
  // Boots that no row refers to are cleared away when that needs no search.
  Statement others = FP_TRY(database.prepare("SELECT count(*) FROM boot WHERE uuid <> ?"));
  others.bind_text(1, options.boot_id);
  const bool clear = totals.rows == 0 && FP_TRY(others.step()) && others.integer(0) > 0;
  others.reset();
  if (clear) {
    auto transaction = FP_TRY(Transaction::begin(database));
    Statement forget = FP_TRY(database.prepare("DELETE FROM boot WHERE uuid <> ?"));
    forget.bind_text(1, options.boot_id);
    FP_CHECK_OK(forget.run());
    FP_CHECK_OK(database.exec("DELETE FROM epoch WHERE boot NOT IN (SELECT id FROM boot)"));
    FP_CHECK_OK(database.exec("DELETE FROM unstamped WHERE boot NOT IN (SELECT id FROM boot)"));
    FP_CHECK_OK(std::move(transaction).commit());
  }
  Statement find = FP_TRY(database.prepare("SELECT id FROM boot WHERE uuid = ?"));
  find.bind_text(1, options.boot_id);
  if (FP_TRY(find.step())) boot = find.integer(0);
  return {};
}

Result<> Outbox::Impl::load_clock() {
  Statement epochs = FP_TRY(database.prepare(
      "SELECT boot, since_ms, offset_ms, estimated FROM epoch ORDER BY boot, since_ms"));
  while (FP_TRY(epochs.step())) {
    WallView& wall = epochs.integer(0) == boot ? own_wall : walls[epochs.integer(0)];
    wall.append({epochs.integer(1), epochs.integer(2), epochs.integer(3) != 0});
  }
  stored_epochs = own_wall.epochs().size();
  Statement others = FP_TRY(
      database.prepare("SELECT boot, last_ms, seen_offset_ms, seen_offset_ms IS NOT NULL "
                       "FROM unstamped WHERE boot NOT IN (SELECT boot FROM epoch) ORDER BY boot"));
  while (FP_TRY(others.step())) {
    if (others.integer(0) == boot) continue;
    EndedBoot& other = ended.emplace_back(EndedBoot{.last_ms = others.integer(1)});
    other.id = others.integer(0);
    if (others.integer(3) != 0) other.seen_offset_ms = others.integer(2);
  }
  high_water = FP_TRY(database.integer("SELECT value FROM meta WHERE key = 'high_water_ms'"));
  stored_high_water = high_water;
  return count_unstamped();
}

// A search, but only as long as there are such rows.
Result<> Outbox::Impl::count_unstamped() {
  totals.unstamped = 0;
  if (!ended.empty() || (boot != 0 && own_wall.empty())) {
    totals.unstamped = FP_TRY(
        database.integer("SELECT sum(n) FROM chunk WHERE boot IN (SELECT boot FROM unstamped)"));
  }
  return {};
}

// Within a transaction, as are the next ones.
Result<> Outbox::Impl::ensure_boot() {
  if (boot != 0) return {};
  Statement add = FP_TRY(database.prepare("INSERT INTO boot (uuid) VALUES (?) RETURNING id"));
  add.bind_text(1, options.boot_id);
  if (FP_TRY(add.step())) boot = add.integer(0);
  return add.run();
}

Result<> Outbox::Impl::write_epochs() {
  const auto write = [this](int64_t of_boot, const Epoch& epoch) -> Result<> {
    insert_epoch.bind(1, of_boot);
    insert_epoch.bind(2, epoch.since_ms);
    insert_epoch.bind(3, epoch.offset_ms);
    insert_epoch.bind(4, epoch.estimated ? 1 : 0);
    FP_CHECK_OK(insert_epoch.run());
    erase_unstamped.bind(1, of_boot);
    return erase_unstamped.run();
  };
  for (size_t i = stored_epochs; i < own_wall.epochs().size(); ++i) {
    FP_CHECK_OK(write(boot, own_wall.epochs()[i]));
  }
  for (const auto& [other, epoch] : ended_epochs) FP_CHECK_OK(write(other, epoch));
  return write_mark();
}

Result<> Outbox::Impl::write_mark() {
  written_high_water = stored_high_water;
  if (std::abs(high_water - stored_high_water) < kMarkAlongMs && ended_epochs.empty()) return {};
  update_mark.bind(1, high_water);
  FP_CHECK_OK(update_mark.run());
  written_high_water = high_water;
  return {};
}

// What has to be known of this boot if it ends without an epoch.
Result<> Outbox::Impl::write_unstamped() {
  if (!own_wall.empty() || !change.last_ms) return {};
  put_unstamped.bind(1, boot);
  put_unstamped.bind(2, *change.last_ms);
  if (seen_offset) put_unstamped.bind(3, *seen_offset);
  return put_unstamped.run();
}

// What write_epochs() wrote is committed.
void Outbox::Impl::clock_stored() {
  stored_high_water = written_high_water;
  const bool first = stored_epochs == 0 && !own_wall.empty();
  stored_epochs = own_wall.epochs().size();
  if (!first && ended_epochs.empty()) return;
  for (const auto& [other, epoch] : ended_epochs) walls[other].append(epoch);
  std::erase_if(ended, [this](const EndedBoot& b) { return ended_epochs.contains(b.id); });
  ended_epochs.clear();
  (void)count_unstamped();  // of the disk nothing new: an error shows where it matters
  find_oldest();
}

const WallView* Outbox::Impl::wall_of(int64_t row_boot) const {
  if (row_boot == boot) return own_wall.empty() ? nullptr : &own_wall;
  const auto found = walls.find(row_boot);
  return found == walls.end() ? nullptr : &found->second;
}

bool Outbox::Impl::is_unstamped(int64_t row_boot) const {
  if (row_boot == kUtc) return false;
  if (row_boot == boot) return own_wall.empty();
  return std::ranges::find(ended, row_boot, &EndedBoot::id) != ended.end();
}

std::optional<int64_t> Outbox::Impl::utc_of(int64_t row_boot, int64_t t0) const {
  if (row_boot == kUtc) return t0;
  const WallView* wall = wall_of(row_boot);
  return wall == nullptr ? std::nullopt : std::optional(wall->to_utc_ms(t0));
}

void Outbox::add_epoch(Epoch epoch) {
  WallView& wall = impl_->own_wall;
  if (wall.empty() || wall.last().since_ms < epoch.since_ms) wall.append(epoch);
}

void Outbox::add_epoch_of_ended(int64_t boot, Epoch epoch) {
  if (impl_->is_unstamped(boot)) impl_->ended_epochs.emplace(boot, epoch);
}

void Outbox::note_clock(int64_t high_water_ms, std::optional<int64_t> seen_offset_ms) {
  impl_->high_water = high_water_ms;
  if (seen_offset_ms) impl_->seen_offset = seen_offset_ms;
}

bool Outbox::has_waiting_epochs() const {
  return impl_->stored_epochs < impl_->own_wall.epochs().size() || !impl_->ended_epochs.empty();
}

bool Outbox::mark_is_due(bool at_end) const {
  const int64_t enough = at_end ? kMarkAlongMs : kMarkAloneMs;
  return std::abs(impl_->high_water - impl_->stored_high_water) >= enough;
}

Result<> Outbox::store_epochs() {
  const int64_t boot = impl_->boot;
  auto transaction = FP_TRY(Transaction::begin(impl_->database));
  auto stored = [&]() -> Result<> {
    FP_CHECK_OK(impl_->ensure_boot());
    FP_CHECK_OK(impl_->write_epochs());
    return std::move(transaction).commit();
  }();
  if (stored) {
    impl_->clock_stored();
  } else {
    impl_->boot = boot;
  }
  return stored;
}

const std::vector<Epoch>& Outbox::epochs() const { return impl_->own_wall.epochs(); }
const std::vector<EndedBoot>& Outbox::unstamped() const { return impl_->ended; }
int64_t Outbox::high_water_ms() const { return impl_->high_water; }

}  // namespace fieldpost
