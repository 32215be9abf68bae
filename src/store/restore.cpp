// SPDX-License-Identifier: Apache-2.0
#include "store/restore.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <vector>

#include "base/unique_fd.hpp"
#include "store/database.hpp"
#include "store/migrations.hpp"
#include "store/page_file.hpp"

namespace fieldpost {
namespace {

namespace fs = std::filesystem;

constexpr const char* kWal = "-wal";
constexpr const char* kBuilding = ".salvage";    // not complete: worth nothing
constexpr const char* kComplete = ".restored-";  // + stamp: takes the place of the broken one
constexpr const char* kBroken = ".broken-";      // + stamp
constexpr size_t kStampSize = sizeof "YYYYMMDDTHHMMSSZ" - 1;
constexpr const char* kStampFormat = "%Y%m%dT%H%M%SZ";
constexpr size_t kRowsAtOnce = 1000;
constexpr size_t kBytesAtOnce = size_t{1} << 20;

bool exists(const std::string& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0;
}

Result<> rename(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) == 0) return {};
  return Error::from_errno(errno, "rename '" + from + "' to '" + to + "'");
}

Result<> remove(const std::string& path) {
  if (::unlink(path.c_str()) == 0 || errno == ENOENT) return {};
  return Error::from_errno(errno, "remove '" + path + "'");
}

// A file's content, or the names in a folder.
Result<> sync(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd && ::fsync(fd.get()) == 0) return {};
  return Error::from_errno(errno, "sync '" + path + "'");
}

std::string folder_of(const std::string& path) {
  const std::string folder = fs::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

// The stamps of the files `path` + `kind` + stamp, or stamp and "-wal"; ascending, each once.
std::vector<std::string> stamps_of(const std::string& path, const char* kind) {
  const std::string beginning = fs::path(path).filename().string() + kind;
  std::vector<std::string> stamps;
  std::error_code failed;  // then there are none to be found
  for (const auto& entry : fs::directory_iterator(folder_of(path), failed)) {
    std::string name = entry.path().filename().string();
    if (!name.starts_with(beginning)) continue;
    name.erase(0, beginning.size());
    if (name.ends_with(kWal)) name.resize(name.size() - std::char_traits<char>::length(kWal));
    if (name.size() == kStampSize) stamps.push_back(std::move(name));
  }
  std::ranges::sort(stamps);
  const auto doubles = std::ranges::unique(stamps);
  stamps.erase(doubles.begin(), doubles.end());
  return stamps;
}

// Later than all stamps there are, so that the newest file is the last one by name even if the
// clock was set back.
std::string new_stamp(const std::string& path, std::time_t now) {
  const std::vector<std::string> taken = stamps_of(path, kBroken);
  struct tm parts {};
  if (!taken.empty() && ::strptime(taken.back().c_str(), kStampFormat, &parts) != nullptr) {
    now = std::max(now, ::timegm(&parts) + 1);
  }
  ::gmtime_r(&now, &parts);
  char text[kStampSize + 1];
  return {text, std::strftime(text, sizeof text, kStampFormat, &parts)};
}

// Puts a complete new outbox, if there is one, in the place of the broken one. Can be killed and
// called again at any point: until its last step, the complete one says that there is work to do.
Result<bool> finish(const std::string& path) {
  const std::vector<std::string> stamps = stamps_of(path, kComplete);
  if (stamps.empty()) return false;
  const std::string& stamp = stamps.back();
  const std::string broken = path + kBroken + stamp;
  // The WAL too, and first: SQLite would take it for the new database's.
  if (exists(path + kWal)) FP_CHECK_OK(rename(path + kWal, broken + kWal));
  if (exists(path)) FP_CHECK_OK(rename(path, broken));
  FP_CHECK_OK(sync(folder_of(path)));
  FP_CHECK_OK(rename(path + kComplete + stamp, path));
  FP_CHECK_OK(sync(folder_of(path)));
  return true;
}

int64_t size_of(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 ? int64_t{info.st_size} : 0;
}

// Leaves the newest broken files, no more than `count` and `bytes`.
Result<> prune(const std::string& path, size_t count, int64_t bytes) {
  std::vector<std::string> stamps = stamps_of(path, kBroken);
  std::ranges::reverse(stamps);
  for (const std::string& stamp : stamps) {
    const std::string file = path + kBroken + stamp;
    const int64_t size = size_of(file) + size_of(file + kWal);
    if (count > 0 && size <= bytes) {
      --count;
      bytes -= size;
      continue;
    }
    count = 0;  // an older one is not kept in its place
    FP_CHECK_OK(remove(file));
    FP_CHECK_OK(remove(file + kWal));
  }
  return {};
}

// With what SQLite puts beside it, and would take for that of the next file of this name.
Result<> remove_database(const std::string& file) {
  for (const char* part : {kWal, "-journal", ""}) FP_CHECK_OK(remove(file + part));
  return {};
}

// A complete, single file, which `fill` fills.
template <class Fill>
Result<> complete(const std::string& file, Fill fill) {
  {
    Database database = FP_TRY(Database::open(file));
    FP_CHECK_OK(database.set_up());
    FP_CHECK_OK(fill(database));
    if (FP_TRY(database.integer("PRAGMA wal_checkpoint(TRUNCATE)")) != 0) {
      return Error{Errc::Io, "'" + file + "' cannot be completed: its WAL is in use"};
    }
  }
  FP_CHECK_OK(remove(file + kWal));
  return sync(file);
}

Result<> build(const std::string& file, const Salvage& salvage) {
  FP_CHECK_OK(remove_database(file));
  return complete(file, [&](Database& database) -> Result<> {
    FP_CHECK_OK(migrate(database));
    return copy_into(database, salvage);
  });
}

// From `building`, which is complete, on. Returns the stamp of what is kept of the one before.
Result<std::string> exchange(const std::string& path, std::time_t now) {
  std::string stamp = new_stamp(path, now);
  FP_CHECK_OK(rename(path + kBuilding, path + kComplete + stamp));
  FP_CHECK_OK(sync(folder_of(path)));
  FP_CHECK_OK(finish(path));
  return stamp;
}

// A newer program's file, even a damaged one, is left to it. The number that forbids us to read is
// believed if the schema is as new.
Result<> check_min_reader(const std::string& path, const Salvage& salvage) {
  const auto entry = salvage.meta().find("min_reader");
  if (entry == salvage.meta().end()) return {};
  const auto* min_reader = std::get_if<int64_t>(&entry->second);
  if (min_reader == nullptr || *min_reader <= newest_schema() || *min_reader > salvage.schema()) {
    return {};
  }
  return Error{
      Errc::Invalid,
      "'" + path +
          "' is damaged, and was written by a newer version of this program: install that one"};
}

// Counts what a transaction has taken, and begins a new one now and then.
class Portions {
 public:
  explicit Portions(Database& database) : database_(database) {}

  Result<> before(size_t bytes) {
    if (transaction_ && (rows_ >= kRowsAtOnce || bytes_ >= kBytesAtOnce)) FP_CHECK_OK(end());
    if (!transaction_) transaction_.emplace(FP_TRY(Transaction::begin(database_)));
    ++rows_;
    bytes_ += bytes;
    return {};
  }
  Result<> end() {
    if (transaction_) FP_CHECK_OK(std::move(*transaction_).commit());
    transaction_.reset();
    rows_ = bytes_ = 0;
    return {};
  }

 private:
  Database& database_;
  std::optional<Transaction> transaction_;
  size_t rows_ = 0;
  size_t bytes_ = 0;
};

// OR IGNORE: damage can make two names equal, and then one is better than an error.
Result<> copy_names(Database& database, Portions& portions, const char* insert_sql,
                    const Salvage::Names& names) {
  Statement insert = FP_TRY(database.prepare(insert_sql));
  for (const auto& [id, name] : names) {
    FP_CHECK_OK(portions.before(name.size()));
    insert.bind(1, id);
    insert.bind_text(2, name);
    FP_CHECK_OK(insert.run());
  }
  return {};
}

Result<> copy_epochs_and_meta(Database& database, Portions& portions, const Salvage& salvage) {
  Statement epoch = FP_TRY(database.prepare(
      "INSERT INTO epoch (boot, since_ms, offset_ms, estimated) VALUES (?, ?, ?, ?)"));
  for (const auto& [key, known] : salvage.epochs()) {
    FP_CHECK_OK(portions.before(sizeof key));
    epoch.bind(1, key.first);
    epoch.bind(2, known.since_ms);
    epoch.bind(3, known.offset_ms);
    epoch.bind(4, known.estimated ? 1 : 0);
    FP_CHECK_OK(epoch.run());
  }
  // What the new file has said about itself stays.
  Statement meta =
      FP_TRY(database.prepare("INSERT OR IGNORE INTO meta (key, value) VALUES (?, ?)"));
  for (const auto& [key, value] : salvage.meta()) {
    FP_CHECK_OK(portions.before(key.size()));
    meta.bind_text(1, key);
    if (const auto* number = std::get_if<int64_t>(&value)) meta.bind(2, *number);
    if (const auto* text = std::get_if<std::string>(&value)) meta.bind_text(2, *text);
    FP_CHECK_OK(meta.run());
  }
  return {};
}

// How far stage 1 had come, and the sums of what is there now.
Result<> copy_state(Database& database, const Salvage::State& state) {
  Statement update =
      FP_TRY(database.prepare("UPDATE state SET stage = ?, stage_offset = ?, flushed = ?, "
                              "rows = (SELECT count(*) FROM chunk), "
                              "bytes = (SELECT ifnull(sum(length(body) + 32), 0) FROM chunk), "
                              "readings = (SELECT ifnull(sum(n), 0) FROM chunk)"));
  update.bind(1, state.stage);
  update.bind(2, state.stage_offset);
  update.bind(3, state.flushed);
  return update.run();
}

// For what is to be copied into it: whether there is a place is not the copy's question.
Result<> make_empty(const std::string& file) {
  (void)::mkdir(folder_of(file).c_str(), 0750);  // the open says what is wrong
  FP_CHECK_OK(remove_database(file));
  const UniqueFd fd(::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640));
  return fd ? Result<>() : Error::from_errno(errno, "make '" + file + "'");
}

}  // namespace

Result<> copy_into(Database& database, const Salvage& salvage) {
  Portions portions(database);
  FP_CHECK_OK(copy_names(database, portions,
                         "INSERT OR IGNORE INTO device (id, losant_id) VALUES (?, ?)",
                         salvage.devices()));
  FP_CHECK_OK(copy_names(database, portions,
                         "INSERT OR IGNORE INTO attribute (id, name) VALUES (?, ?)",
                         salvage.attributes()));
  FP_CHECK_OK(copy_names(database, portions, "INSERT OR IGNORE INTO boot (id, uuid) VALUES (?, ?)",
                         salvage.boots()));
  FP_CHECK_OK(copy_epochs_and_meta(database, portions, salvage));
  Statement insert = FP_TRY(database.prepare(
      "INSERT INTO chunk (id, device, boot, t0, n, body) VALUES (?, ?, ?, ?, ?, ?)"));
  const auto copy = [&](const Salvage::Row& row) -> Result<> {
    FP_CHECK_OK(portions.before(row.body.size()));
    insert.bind(1, row.id);
    insert.bind(2, row.key.device);
    insert.bind(3, row.key.boot);
    insert.bind(4, row.key.t0);
    insert.bind(5, row.key.points);
    insert.bind_blob(6, row.body);
    return insert.run();
  };
  FP_CHECK_OK(salvage.each_row(copy));
  FP_CHECK_OK(portions.before(0));
  FP_CHECK_OK(database.exec(
      "INSERT INTO unstamped (boot, last_ms) SELECT boot, max(t0) FROM chunk "
      "WHERE boot IN (SELECT id FROM boot EXCEPT SELECT boot FROM epoch) GROUP BY boot"));
  FP_CHECK_OK(copy_state(database, salvage.state().value_or(Salvage::State{})));
  return portions.end();
}

Result<> put_back(Database& database) {
  const std::string& path = database.path();
  const std::string copy = path + kBuilding;
  FP_CHECK_OK(make_empty(copy));
  if (auto copied = database.copy_to(copy); !copied) {
    (void)remove_database(copy);
    if (copied.error().code != Errc::Full) copied.error().code = Errc::Corrupt;
    return copied;
  }
  FP_CHECK_OK(complete(copy, [](Database&) { return Result<>(); }));  // as a WAL database
  FP_CHECK_OK(exchange(path, std::time(nullptr)));
  return {};
}

Result<> check_before_opening(const std::string& path) {
  FP_CHECK_OK(finish(path));
  if (!exists(path) && size_of(path + kWal) > 0) {
    return Error{Errc::Corrupt, "'" + path + "' is gone, but its WAL is there"};
  }
  return exists(path) ? sqlite::check_header(path) : Result<>();
}

Result<> check_names(Database& database) {
  const int64_t differ = FP_TRY(database.integer(R"sql(
    SELECT count(*) FROM (
      SELECT * FROM (
        SELECT 'device ' || id || ' ' || losant_id FROM device
        UNION ALL SELECT 'attribute ' || id || ' ' || name FROM attribute
        UNION ALL SELECT 'boot ' || id || ' ' || uuid FROM boot
        UNION ALL SELECT 'epoch ' || boot || ' ' || since_ms || ' ' || offset_ms ||
                         iif(estimated, ' 1', '') FROM epoch)
      EXCEPT SELECT line FROM mirror WHERE line = again)
  )sql"));
  if (differ == 0) return {};
  return Error{Errc::Corrupt, "'" + database.path() + "' is damaged: its names"};
}

Result<SalvageReport> salvage_to(const std::string& broken, const std::string& fresh) {
  for (const char* part : {"", kWal, "-journal"}) {
    if (exists(fresh + part)) {
      return Error{Errc::Invalid, "'" + fresh + part + "' exists already"};
    }
  }
  const Salvage salvage = FP_TRY(Salvage::read(broken));
  FP_CHECK_OK(check_min_reader(broken, salvage));
  if (auto built = build(fresh, salvage); !built) {
    (void)remove_database(fresh);  // what matters is the error before
    return std::move(built).error();
  }
  return salvage.report();
}

Result<Restored> restore(const std::string& path, int64_t max_kept_bytes, std::time_t now) {
  if (FP_TRY(finish(path))) return Restored{};
  const Salvage salvage = FP_TRY(Salvage::read(path));
  FP_CHECK_OK(check_min_reader(path, salvage));
  const std::string building = path + kBuilding;
  auto built = build(building, salvage);
  if (!built && built.error().code == Errc::Full) {
    FP_CHECK_OK(prune(path, 0, 0));
    built = build(building, salvage);
  }
  if (!built) {
    (void)remove_database(building);  // what matters is the error before
    return std::move(built).error();
  }
  const std::string stamp = FP_TRY(exchange(path, now));
  FP_CHECK_OK(prune(path, kBrokenFilesKept, max_kept_bytes));
  Restored restored{.report = salvage.report(), .broken = path + kBroken + stamp};
  if (!exists(restored.broken) && !exists(restored.broken + kWal)) restored.broken.clear();
  return restored;
}

}  // namespace fieldpost
