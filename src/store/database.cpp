// SPDX-License-Identifier: Apache-2.0
#include "store/database.hpp"

#include <sqlite3.h>
#include <sys/stat.h>

#include <cerrno>

#include "store/medium.hpp"

namespace fieldpost {

std::string sqlite_version() { return sqlite3_libversion(); }
namespace {

bool is_full(int system_errno) { return system_errno == ENOSPC || system_errno == EDQUOT; }

// The one place that knows what SQLite's codes mean to a caller.
Errc code_of(int extended, int system_errno) {
  switch (extended & 0xff) {
    case SQLITE_FULL:
      return Errc::Full;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return Errc::Corrupt;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_READONLY:
      return Errc::Unavailable;
    default:
      // fsync() is where a network or thin-provisioned disk says that it is full.
      return is_full(system_errno) ? Errc::Full : Errc::Io;
  }
}

// `call_errno`: what the failed call left, having begun with 0. SQLite does not tell it of a
// COMMIT.
Error error_of(sqlite3* db, const char* path, std::string_view what, int call_errno) {
  const int extended = sqlite3_extended_errcode(db);
  const int primary = extended & 0xff;
  // SQLite keeps the errno of the last failed call, also of one that did not matter.
  const bool by_system = primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN;
  int system_errno = by_system ? sqlite3_system_errno(db) : 0;
  if (primary == SQLITE_IOERR && system_errno == 0) system_errno = call_errno;
  std::string message(what);
  message += std::string(" '") + (path != nullptr ? path : "") + "': " + sqlite3_errmsg(db);
  const bool by_rights = by_system || primary == SQLITE_READONLY || primary == SQLITE_PERM;
  std::string why = path != nullptr && by_rights ? why_not_writable(path) : "";
  if (why.empty() && system_errno != 0) {
    why = std::generic_category().message(system_errno);
    if (is_full(system_errno)) why = "the disk is full (" + why + ')';
  }
  if (!why.empty()) message += ": " + why;
  if (primary == SQLITE_BUSY) message += " (another process has it open)";
  return {code_of(extended, system_errno), std::move(message)};
}

int64_t size_of(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 ? int64_t{info.st_size} : 0;
}

}  // namespace

void Statement::Finalize::operator()(sqlite3_stmt* s) const { sqlite3_finalize(s); }
void Database::Close::operator()(sqlite3* db) const { sqlite3_close(db); }

void Statement::bind(int index, int64_t value) {
  sqlite3_bind_int64(statement_.get(), index, value);
}

void Statement::bind_text(int index, std::string_view text) {
  sqlite3_bind_text64(statement_.get(), index, text.data(), text.size(), SQLITE_STATIC,
                      SQLITE_UTF8);
}

void Statement::bind_blob(int index, std::string_view blob) {
  sqlite3_bind_blob64(statement_.get(), index, blob.data(), blob.size(), SQLITE_STATIC);
}

Result<bool> Statement::step() {
  errno = 0;
  switch (sqlite3_step(statement_.get())) {
    case SQLITE_ROW:
      return true;
    case SQLITE_DONE:
      return false;
    default: {
      const int call_errno = errno;
      sqlite3* db = sqlite3_db_handle(statement_.get());
      return error_of(db, sqlite3_db_filename(db, "main"),
                      std::string("run '") + sqlite3_sql(statement_.get()) + "' in", call_errno);
    }
  }
}

Result<> Statement::run() {
  const ResetGuard guard(*this);
  while (FP_TRY(step())) {
  }
  return {};
}

void Statement::reset() { sqlite3_reset(statement_.get()); }

int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

std::string_view Statement::text(int column) const {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), column));
  if (text == nullptr) return {};
  return {text, static_cast<size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

std::string_view Statement::blob(int column) const {
  const auto* blob = static_cast<const char*>(sqlite3_column_blob(statement_.get(), column));
  if (blob == nullptr) return {};
  return {blob, static_cast<size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

Result<Database> Database::open(const std::string& path) {
  // Nobody asks SQLite how much memory it has, and counting costs a lock for each allocation. It
  // can be told only before it is first used.
  [[maybe_unused]] static const int told = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
  sqlite3* raw = nullptr;
  constexpr int kFlags =
      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  const int r = sqlite3_open_v2(path.c_str(), &raw, kFlags, nullptr);
  Database database(std::unique_ptr<sqlite3, Close>(raw), path);  // also after a failure
  if (r != SQLITE_OK) return database.error("open");
  sqlite3_db_config(raw, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(raw, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  // Closing leaves the WAL as it is: a stop is quick, a file that is not for us stays untouched,
  // and an old WAL is cheaper to write into than one that has to grow.
  sqlite3_db_config(raw, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  // Before the first access of a WAL database, so that the WAL's index is kept in memory and not
  // in a file that the kernel writes back.
  FP_CHECK_OK(database.exec("PRAGMA locking_mode = EXCLUSIVE"));
  database.file_ = id_of(path);
  return database;
}

Result<> Database::set_up() {
  FP_CHECK_OK(
      exec("PRAGMA page_size = 1024; PRAGMA cache_size = -1024; PRAGMA temp_store = MEMORY;"
           "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
           "PRAGMA journal_size_limit = 2097152"));
  int grow_by = kGrowBytes;
  sqlite3_file_control(db_.get(), "main", SQLITE_FCNTL_CHUNK_SIZE, &grow_by);
  // In the place of SQLite's own automatic checkpoint, which passes over errors.
  const auto note = [](void* frames, sqlite3*, const char*, int in_wal) {
    *static_cast<int*>(frames) = in_wal;
    return SQLITE_OK;
  };
  sqlite3_wal_hook(db_.get(), note, frames_.get());
  *frames_ = static_cast<int>(size_of(path_ + "-wal") / kFrameBytes);  // no less than there are
  begin_ = FP_TRY(prepare("BEGIN IMMEDIATE"));
  commit_ = FP_TRY(prepare("COMMIT"));
  rollback_ = FP_TRY(prepare("ROLLBACK"));
  page_count_ = FP_TRY(prepare("PRAGMA page_count"));
  free_count_ = FP_TRY(prepare("PRAGMA freelist_count"));
  return {};
}

Result<Database::Space> Database::space() {
  Space space;
  const ResetGuard pages(page_count_);
  if (FP_TRY(page_count_.step())) space.pages = page_count_.integer(0);
  const ResetGuard free(free_count_);
  if (FP_TRY(free_count_.step())) space.free = free_count_.integer(0);
  return space;
}

Result<> Database::limit_pages(int64_t pages) {
  return exec(("PRAGMA max_page_count = " + std::to_string(pages)).c_str());
}

Result<> Database::checkpoint() {
  const int r =
      sqlite3_wal_checkpoint_v2(db_.get(), "main", SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
  if (r != SQLITE_OK) return error("bring the WAL of");
  *frames_ = 0;
  return {};
}

Result<> Database::exec(const char* sql) {
  if (sqlite3_exec(db_.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK) return error("set up");
  return {};
}

Result<Statement> Database::prepare(const char* sql) {
  sqlite3_stmt* raw = nullptr;
  const int r = sqlite3_prepare_v3(db_.get(), sql, -1, SQLITE_PREPARE_PERSISTENT, &raw, nullptr);
  if (r != SQLITE_OK) return error(std::string("prepare '") + sql + "' in");
  return Statement(raw);
}

Result<int64_t> Database::integer(const char* sql) {
  Statement statement = FP_TRY(prepare(sql));
  const ResetGuard guard(statement);
  return FP_TRY(statement.step()) ? statement.integer(0) : 0;
}

int64_t Database::file_bytes() const { return size_of(path_) + size_of(path_ + "-wal"); }

Database::FileId Database::id_of(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return {};
  return {.device = info.st_dev, .inode = info.st_ino};
}

bool Database::in_place() {
  const FileId wal = id_of(path_ + "-wal");
  if (wal_ == FileId{}) wal_ = wal;  // SQLite makes it with the first write
  return id_of(path_) == file_ && wal == wal_;
}

Result<> Database::copy_to(const std::string& path) {
  Statement copy = FP_TRY(prepare("VACUUM INTO ?"));
  copy.bind_text(1, path);
  return copy.run();
}

Result<> Database::begin() {
  if (*frames_ >= kWalFrames) FP_CHECK_OK(checkpoint());
  return begin_.run();
}
Result<> Database::commit() { return commit_.run(); }

void Database::roll_back() {
  // Full and I/O errors have rolled back already.
  if (sqlite3_get_autocommit(db_.get()) == 0) (void)rollback_.run();  // nothing left to do if not
}

Error Database::error(std::string_view what) const {
  return error_of(db_.get(), path_.c_str(), what, 0);
}

}  // namespace fieldpost
