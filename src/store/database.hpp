// SPDX-License-Identifier: Apache-2.0
//
// SQLite with ownership and errors, set up for one writer on flash. One connection, one thread.
// Errors of everything here: Full (no space), Corrupt, Unavailable (another process has it, or a
// file could not be written when it was opened: then it must be opened again), Io; they name the
// file and carry SQLite's text.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace fieldpost {

std::string sqlite_version();  // of the library that is loaded

// A prepared statement. Parameters and columns count from 1 and 0, as in SQLite.
class Statement {
 public:
  Statement() = default;

  void bind(int index, int64_t value);
  void bind_text(int index, std::string_view text);  // borrowed until reset()
  void bind_blob(int index, std::string_view blob);  // borrowed until reset()

  // True: there is a row. False: done.
  Result<bool> step();
  // Steps to the end and resets.
  Result<> run();
  void reset();

  int64_t integer(int column) const;
  std::string_view text(int column) const;  // valid until the next step
  std::string_view blob(int column) const;  // valid until the next step

 private:
  friend class Database;
  struct Finalize {
    void operator()(sqlite3_stmt* s) const;
  };
  explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

// Resets a statement when its user is done with it, by whichever way: a statement that is not
// reset keeps its read transaction open, and with it the WAL growing.
class ResetGuard {
 public:
  explicit ResetGuard(Statement& statement) : statement_(statement) {}
  ~ResetGuard() { statement_.reset(); }
  ResetGuard(const ResetGuard&) = delete;
  ResetGuard& operator=(const ResetGuard&) = delete;

 private:
  Statement& statement_;
};

// Fixed for good: a page of the database, a frame of the WAL, and how many frames a WAL gets before
// its pages go to the database.
inline constexpr int64_t kPageBytes = 1024;
inline constexpr int64_t kFrameBytes = kPageBytes + 24;
inline constexpr int64_t kWalFrames = 1000;
// The database grows by this: it would cost the file system's journal each time.
inline constexpr int64_t kGrowBytes = int64_t{1} << 20;

class Database {
 public:
  // Opens or creates the file. Reads and writes nothing yet, and takes no lock: what set_up()
  // does comes after the caller has seen whether the file is for us.
  static Result<Database> open(const std::string& path);

  // WAL, every commit synced, exclusive, pages of 1 KiB; docs/storage-format.md has the reasons.
  Result<> set_up();

  struct Space {
    int64_t pages = 0;  // of the database, those in the WAL included
    int64_t free = 0;   // of them, those that hold nothing
    int64_t used() const { return pages - free; }
  };
  Result<Space> space();
  // What would take more pages than that is Full. Pages that are there stay.
  Result<> limit_pages(int64_t pages);
  // Brings what is in the WAL to the database, so that the next transaction begins it anew. Before
  // a transaction this is done when there are kWalFrames of it: where it fails, nothing is begun,
  // and so the WAL never has more than that and one transaction.
  Result<> checkpoint();

  Result<> exec(const char* sql);
  Result<Statement> prepare(const char* sql);
  // The first column of the first row; 0 if there is none.
  Result<int64_t> integer(const char* sql);

  // Whether the names of the file and of its WAL still lead to those that are open. If not, they
  // were removed, replaced, or a mount hides them, and what is written is gone with this process.
  bool in_place();
  // Everything that is in it, in a file of its own at `path`, where there may be an empty one. It
  // is not synced.
  Result<> copy_to(const std::string& path);

  const std::string& path() const { return path_; }
  // Of the database and its WAL.
  int64_t file_bytes() const;

 private:
  friend class Transaction;
  struct Close {
    void operator()(sqlite3* db) const;
  };
  Database(std::unique_ptr<sqlite3, Close> db, std::string path)
      : path_(std::move(path)), db_(std::move(db)) {}
  Error error(std::string_view what) const;
  Result<> begin();
  Result<> commit();
  void roll_back();

  // Of what is open; {}: not yet.
  struct FileId {
    uint64_t device = 0;
    uint64_t inode = 0;
    bool operator==(const FileId&) const = default;
  };
  static FileId id_of(const std::string& path);

  std::string path_;
  FileId file_, wal_;
  std::unique_ptr<int> frames_ = std::make_unique<int>(0);  // in the WAL, as the last commit said
  std::unique_ptr<sqlite3, Close> db_;                      // after it: statements must go first
  Statement begin_, commit_, rollback_, page_count_, free_count_;
};

// Rolls back on destruction unless committed. The database must outlive it.
class Transaction {
 public:
  static Result<Transaction> begin(Database& database) {
    FP_CHECK_OK(database.begin());
    return Transaction(database);
  }
  Transaction(Transaction&& other) noexcept : database_(std::exchange(other.database_, nullptr)) {}
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction() {
    if (database_ != nullptr) database_->roll_back();
  }
  // On success it is on the medium.
  Result<> commit() && {
    FP_CHECK_OK(database_->commit());
    database_ = nullptr;
    return {};
  }

 private:
  explicit Transaction(Database& database) : database_(&database) {}
  Database* database_;
};

}  // namespace fieldpost
