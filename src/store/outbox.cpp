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
  FP_CHECK_OK(impl->prepare_clock());
  FP_CHECK_OK(impl->load_state());
  FP_CHECK_OK(impl->load_boots());
  FP_CHECK_OK(impl->load_clock());
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
  erase_thinned = FP_TRY(database.prepare("DELETE FROM thinned WHERE id BETWEEN ? AND ?"));
  keep_damaged = FP_TRY(database.prepare(
      "INSERT OR REPLACE INTO damaged SELECT id, device, boot, t0, n, body FROM chunk "
      "WHERE id BETWEEN ? AND ?"));
  trim_damaged = FP_TRY(database.prepare(
      "DELETE FROM damaged WHERE id NOT IN (SELECT id FROM damaged ORDER BY id DESC LIMIT ?)"));
  oldest =
      FP_TRY(database.prepare("SELECT id, boot, t0 FROM chunk WHERE id >= ? ORDER BY id LIMIT 1"));
  update_state = FP_TRY(database.prepare(
      "UPDATE state SET stage = ?, stage_offset = ?, flushed = ?, rows = ?, readings = ?, "
      "bytes = ?"));
  find_row = FP_TRY(database.prepare(
      "SELECT id FROM chunk WHERE id > ? AND id <= ? AND device = ? ORDER BY id LIMIT 1"));
  const std::string first(kCustomDevice);
  std::string beyond = first;  // all that begin with it come before
  ++beyond.back();
  const std::string sql = "SELECT 1 FROM device WHERE losant_id >= '" + first +
                          "' AND losant_id < '" + beyond + "' LIMIT 1";
  find_custom = FP_TRY(database.prepare(sql.c_str()));
  count_row = FP_TRY(database.prepare("SELECT n, length(body) FROM chunk WHERE id = ?"));
  return prepare_room();
}

Result<> Outbox::Impl::load_state() {
  Statement state =
      FP_TRY(database.prepare("SELECT stage, stage_offset, flushed, rows, readings, bytes, "
                              "ifnull((SELECT max(id) FROM chunk), 0) FROM state"));
  if (!FP_TRY(state.step())) return Error{Errc::Corrupt, "the outbox has no state"};
  newest = state.integer(6);
  next_row = newest + 1;
  totals.rows = state.integer(3);
  totals.readings = state.integer(4);
  totals.bytes = state.integer(5);
  totals.file_bytes = database.file_bytes();
  if (static_cast<uint64_t>(state.integer(0)) == options.stage_id) {
    offset = state.integer(1);
    flushed = state.integer(2);
  } else {
    offset = newest;  // all that is there is older than what this log will bring
  }
  return {};
}

Result<> Outbox::Impl::write_state() {
  update_state.bind(1, static_cast<int64_t>(options.stage_id));
  update_state.bind(2, offset);
  update_state.bind(3, change.flushed);
  update_state.bind(4, totals.rows + change.rows);
  update_state.bind(5, totals.readings + change.readings);
  update_state.bind(6, totals.bytes + change.bytes);
  return update_state.run();
}

const std::string& Outbox::path() const { return impl_->database.path(); }

bool Outbox::in_place() { return impl_->database.in_place(); }

Result<> Outbox::put_back() {
  (void)flush_deletes();  // else the copy has them, and they are sent once more
  return fieldpost::put_back(impl_->database);
}

int64_t Outbox::newest_row() const {
  return impl_->newest == 0 ? item_id::kBeforeAll : impl_->id_of(impl_->newest);
}
int64_t Outbox::flushed_up_to() const { return impl_->flushed; }
OutboxTotals Outbox::totals() const { return impl_->totals; }
Database& Outbox::database() { return impl_->database; }

}  // namespace fieldpost
