// SPDX-License-Identifier: Apache-2.0
//
// What to do about an outbox that is damaged: keep what can be read of it in a new one, and the
// broken file beside it. An opener goes like this, also when Corrupt comes later (it closes the
// database first, then; rows keep their numbers):
//
//   check_before_opening(path), Outbox::open(), check_names(): Corrupt → restore(path), then again
#pragma once

#include <cstdint>
#include <ctime>
#include <string>

#include "base/result.hpp"
#include "store/salvage.hpp"

namespace fieldpost {

class Database;

// Finishes a restore that was interrupted, if there is one. Then looks for damage that SQLite would
// not notice and make worse: a bit of the header that says how to read all the rest, a WAL whose
// database is gone (SQLite deletes it). A file that is not ours passes; check_readable() knows it.
// Errors: Corrupt, Io. Costs a read of the WAL.
Result<> check_before_opening(const std::string& path);

// Whether names, boots and clocks are the same in both their places: a flipped bit in one is
// nothing that SQLite would see, and readings would go by a wrong name. For a database that has the
// newest schema; costs a read of all names. Errors: Corrupt (restore() sorts it out), Io.
Result<> check_names(Database& database);

struct Restored {
  SalvageReport report;
  std::string broken;  // where the broken file is now; empty if it was not kept
};

// At most so many broken files are kept, the newest.
inline constexpr size_t kBrokenFilesKept = 3;

// Builds a new outbox of everything that can be salvaged from `path` and its WAL, puts it in their
// place, and keeps them as `path`.broken-YYYYMMDDTHHMMSSZ and …-wal: at most kBrokenFilesKept and
// `max_kept_bytes` of all such files together. When there is no room to build, those are removed
// first. Nobody may have the file open. Killed at any moment, nothing is lost: until the new one is
// complete the broken one stays where it is, and then check_before_opening() ends the exchange.
// Errors, after which the broken file is as it was: NotFound, Invalid (written by a newer version
// that says we must not read it), Full, Io.
Result<Restored> restore(const std::string& path, int64_t max_kept_bytes,
                         std::time_t now = std::time(nullptr));

// Writes what can be read of `broken` and its WAL, which stay as they are, into a new outbox at
// `fresh`. Errors, after which there is no `fresh`: NotFound, Invalid (`fresh` exists; or `broken`
// was written by a newer version that says we must not read it), Full, Io.
Result<SalvageReport> salvage_to(const std::string& broken, const std::string& fresh);

// The file of an open database is not where it was (Database::in_place()). Puts a copy of all that
// is in it there, under the same numbers; what stands there now is kept as restore() keeps a broken
// file. The caller then closes `database` and opens the new one. Errors: NotFound (the folder is
// gone and cannot be made), Full, Io; Corrupt: the open file cannot be read any more either.
Result<> put_back(Database& database);

// Copies all that was salvaged into an outbox that has the newest schema and no rows, under the
// same numbers, in transactions of bounded size. Errors: Full, Io, Corrupt.
Result<> copy_into(Database& database, const Salvage& salvage);

}  // namespace fieldpost
