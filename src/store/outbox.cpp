// SPDX-License-Identifier: Apache-2.0
#include "store/outbox.hpp"

#include "store/migrations.hpp"
#include "store/outbox_impl.hpp"
#include "store/restore.hpp"

namespace fieldpost {

Result<Outbox> Outbox::open(const Options& options, SymbolTable& symbols) {
  auto impl =
      std::make_unique<Impl>(FP_TRY(Database::open(options.folder + "/outbox.db")), options);
  FP_CHECK_OK(check_readable(impl->database));
  FP_CHECK_OK(impl->database.set_up());
  FP_CHECK_OK(migrate(impl->database));
  FP_CHECK_OK(check_names(impl->database));
  FP_CHECK_OK(impl->prepare(symbols));
  FP_CHECK_OK(impl->load_state());
  FP_CHECK_OK(impl->load_boots());
  impl->find_oldest();
  return Outbox(std::move(impl));
}

Outbox::Outbox(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Outbox::Outbox(Outbox&&) noexcept = default;
Outbox& Outbox::operator=(Outbox&&) noexcept = default;
Outbox::~Outbox() = default;

Result<> Outbox::Impl::prepare(SymbolTable& symbols) {
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
  update_state = FP_TRY(database.prepare(
      "UPDATE state SET stage = ?, stage_offset = ?, flushed = ?, rows = ?, readings = ?"));
  find_row = FP_TRY(database.prepare(
      "SELECT id FROM chunk WHERE id > ? AND id <= ? AND device = ? ORDER BY id LIMIT 1"));
  count_row = FP_TRY(database.prepare("SELECT n FROM chunk WHERE id = ?"));
  return {};
}

Result<> Outbox::Impl::load_state() {
  Statement state =
      FP_TRY(database.prepare("SELECT stage, stage_offset, flushed, rows, readings, "
                              "ifnull((SELECT max(id) FROM chunk), 0) FROM state"));
  if (!FP_TRY(state.step())) return Error{Errc::Corrupt, "the outbox has no state"};
  newest = state.integer(5);
  next_row = newest + 1;
  totals.rows = state.integer(3);
  totals.readings = state.integer(4);
  totals.file_bytes = database.file_bytes();
  if (static_cast<uint64_t>(state.integer(0)) == options.stage_id) {
    offset = state.integer(1);
    flushed = state.integer(2);
  } else {
    offset = newest;  // all that is there is older than what this log will bring
  }
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
    FP_CHECK_OK(std::move(transaction).commit());
  }
  Statement find = FP_TRY(database.prepare("SELECT id FROM boot WHERE uuid = ?"));
  find.bind_text(1, options.boot_id);
  if (FP_TRY(find.step())) boot = find.integer(0);
  find.reset();
  Statement epochs = FP_TRY(
      database.prepare("SELECT boot, since_ms, offset_ms FROM epoch ORDER BY boot, since_ms"));
  while (FP_TRY(epochs.step())) {
    WallView& wall = epochs.integer(0) == boot ? own_wall : walls[epochs.integer(0)];
    wall.append({epochs.integer(1), epochs.integer(2)});
  }
  stored_epochs = own_wall.epochs().size();
  return {};
}

// Within a transaction, as is write_epochs().
Result<> Outbox::Impl::ensure_boot() {
  if (boot != 0) return {};
  Statement add = FP_TRY(database.prepare("INSERT INTO boot (uuid) VALUES (?) RETURNING id"));
  add.bind_text(1, options.boot_id);
  if (FP_TRY(add.step())) boot = add.integer(0);
  return add.run();
}

Result<> Outbox::Impl::write_epochs() {
  for (size_t i = stored_epochs; i < own_wall.epochs().size(); ++i) {
    const Epoch& epoch = own_wall.epochs()[i];
    insert_epoch.bind(1, boot);
    insert_epoch.bind(2, epoch.since_ms);
    insert_epoch.bind(3, epoch.offset_ms);
    FP_CHECK_OK(insert_epoch.run());
  }
  return {};
}

Result<> Outbox::Impl::write_state() {
  update_state.bind(1, static_cast<int64_t>(options.stage_id));
  update_state.bind(2, offset);
  update_state.bind(3, change.flushed);
  update_state.bind(4, totals.rows + change.rows);
  update_state.bind(5, totals.readings + change.readings);
  return update_state.run();
}

void Outbox::add_epoch(Epoch epoch) {
  WallView& wall = impl_->own_wall;
  if (wall.empty() || wall.last().since_ms < epoch.since_ms) wall.append(epoch);
}

bool Outbox::has_waiting_epochs() const {
  return impl_->stored_epochs < impl_->own_wall.epochs().size();
}

Result<> Outbox::store_epochs() {
  if (!has_waiting_epochs()) return {};
  const int64_t boot = impl_->boot;
  auto transaction = FP_TRY(Transaction::begin(impl_->database));
  auto stored = [&]() -> Result<> {
    FP_CHECK_OK(impl_->ensure_boot());
    FP_CHECK_OK(impl_->write_epochs());
    return std::move(transaction).commit();
  }();
  if (stored) {
    impl_->stored_epochs = impl_->own_wall.epochs().size();
  } else {
    impl_->boot = boot;
  }
  return stored;
}

const std::string& Outbox::path() const { return impl_->database.path(); }

bool Outbox::in_place() { return impl_->database.in_place(); }

Result<> Outbox::put_back() {
  (void)flush_deletes();  // else the copy has them, and they are sent once more
  return fieldpost::put_back(impl_->database);
}

const std::vector<Epoch>& Outbox::epochs() const { return impl_->own_wall.epochs(); }

int64_t Outbox::newest_row() const {
  return impl_->newest == 0 ? item_id::kBeforeAll : impl_->id_of(impl_->newest);
}
int64_t Outbox::flushed_up_to() const { return impl_->flushed; }
OutboxTotals Outbox::totals() const { return impl_->totals; }

}  // namespace fieldpost
