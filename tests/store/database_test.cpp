// SPDX-License-Identifier: Apache-2.0
#include "store/database.hpp"

#include <sqlite3.h>

#include <cerrno>
#include <fstream>
#include <sstream>

#include "fakes/faulty_vfs.hpp"
#include "store/migrations.hpp"
#include "store/row_set.hpp"
#include "store_fixture.hpp"

namespace fieldpost {
namespace {

using testing::content_of;
using testing::FaultyVfs;
using testing::TempDir;

Database ready(const std::string& path) {
  Database database = Database::open(path).value();
  EXPECT_TRUE(check_readable(database));
  EXPECT_TRUE(database.set_up());
  EXPECT_TRUE(migrate(database));
  return database;
}

TEST(Database, IsSetUpForFlash) {
  TempDir dir;
  Database database = ready(dir / "a.db");
  EXPECT_EQ(database.integer("PRAGMA page_size").value(), 1024);
  EXPECT_EQ(database.integer("PRAGMA synchronous").value(), 2);
  EXPECT_EQ(database.integer("PRAGMA user_version").value(), newest_schema());
  Statement mode = database.prepare("PRAGMA journal_mode").value();
  ASSERT_TRUE(mode.step().value());
  EXPECT_EQ(mode.text(0), "wal");
  EXPECT_FALSE(std::filesystem::exists(dir / "a.db-shm"));
}

TEST(Database, BelongsToOneProcess) {
  TempDir dir;
  Database first = ready(dir / "a.db");
  auto second = Database::open(dir / "a.db").value();
  const auto looked = check_readable(second);
  ASSERT_FALSE(looked);
  EXPECT_EQ(looked.error().code, Errc::Unavailable);
  EXPECT_NE(looked.error().message.find(dir / "a.db"), std::string::npos) << looked.error().message;
}

TEST(Database, ATransactionThatIsNotCommittedLeavesNothing) {
  TempDir dir;
  Database database = ready(dir / "a.db");
  {
    auto transaction = Transaction::begin(database).value();
    ASSERT_TRUE(database.exec("INSERT INTO meta VALUES ('a', 1)"));
  }
  EXPECT_EQ(database.integer("SELECT count(*) FROM meta WHERE key = 'a'").value(), 0);
  auto transaction = Transaction::begin(database).value();
  ASSERT_TRUE(database.exec("INSERT INTO meta VALUES ('a', 1)"));
  ASSERT_TRUE(std::move(transaction).commit());
  EXPECT_EQ(database.integer("SELECT count(*) FROM meta WHERE key = 'a'").value(), 1);
}

TEST(Database, ErrorsSayWhatAndWhere) {
  TempDir dir;
  const auto missing = Database::open(dir / "none/a.db");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Errc::Io);
  EXPECT_NE(missing.error().message.find("No such file"), std::string::npos)
      << missing.error().message;
  EXPECT_NE(missing.error().message.find(dir / "none/a.db"), std::string::npos)
      << missing.error().message;

  std::ofstream(dir / "text.db") << std::string(5000, 'x');
  Database text = Database::open(dir / "text.db").value();
  EXPECT_EQ(check_readable(text).error().code, Errc::Corrupt);
}

TEST(Database, AFullDiskIsToldFromABrokenOne) {
  struct Case {
    const char* name;
    int code, system_errno;
    Errc errc;
  };
  TempDir dir;
  FaultyVfs vfs;
  for (const auto& [name, code, system_errno, errc] :
       {Case{"full", SQLITE_FULL, 0, Errc::Full}, Case{"write", SQLITE_IOERR_WRITE, 0, Errc::Io},
        Case{"fsync", SQLITE_IOERR_FSYNC, EIO, Errc::Io},
        Case{"thin", SQLITE_IOERR_FSYNC, ENOSPC, Errc::Full},
        Case{"quota", SQLITE_IOERR_FSYNC, EDQUOT, Errc::Full}}) {
    SCOPED_TRACE(name);
    Database database = ready(dir / (std::string(name) + ".db"));
    auto transaction = Transaction::begin(database).value();
    ASSERT_TRUE(database.exec("INSERT INTO meta VALUES ('a', 1)"));
    vfs.set_policy([failure = code, why = system_errno](const FaultyVfs::Call& call) {
      if (!FaultyVfs::changing(call.op)) return SQLITE_OK;
      errno = why;
      return failure;
    });
    const auto committed = std::move(transaction).commit();
    vfs.set_policy(nullptr);
    ASSERT_FALSE(committed);
    EXPECT_EQ(committed.error().code, errc) << committed.error().message;
    EXPECT_EQ(committed.error().message.find("disk is full") != std::string::npos,
              errc == Errc::Full)
        << committed.error().message;
  }
}

TEST(Migrations, ANewerMinReaderIsRefusedAndTheFilesStayAsTheyAre) {
  TempDir dir;
  {
    Database database = ready(dir / "a.db");
    ASSERT_TRUE(database.exec("UPDATE meta SET value = 1000 WHERE key = 'min_reader'"));
    ASSERT_TRUE(database.exec("PRAGMA user_version = 1000"));
  }
  const std::string before = content_of(dir / "a.db");
  const std::string wal_before = content_of(dir / "a.db-wal");
  ASSERT_FALSE(wal_before.empty());
  {
    const auto opened = Outbox::open(testing::outbox_options(dir.path(), "boot"),
                                     testing::symbols());  // another file: works
    ASSERT_TRUE(opened) << opened.error().message;
    Database database = Database::open(dir / "a.db").value();
    const auto looked = check_readable(database);
    ASSERT_FALSE(looked);
    EXPECT_EQ(looked.error().code, Errc::Invalid);
    EXPECT_NE(looked.error().message.find("newer version"), std::string::npos);
  }
  EXPECT_EQ(content_of(dir / "a.db"), before);
  EXPECT_EQ(content_of(dir / "a.db-wal"), wal_before);
}

TEST(Migrations, ANewerSchemaThatWeMayReadIsUsedAsItIs) {
  TempDir dir;
  {
    Database database = ready(dir / "a.db");
    ASSERT_TRUE(database.exec("PRAGMA user_version = 1000"));
  }
  Database database = ready(dir / "a.db");
  EXPECT_EQ(database.integer("PRAGMA user_version").value(), 1000);
}

TEST(Migrations, AStrangersDatabaseIsRefused) {
  TempDir dir;
  {
    Database database = Database::open(dir / "a.db").value();
    ASSERT_TRUE(database.exec("CREATE TABLE cats (name TEXT)"));
  }
  Database database = Database::open(dir / "a.db").value();
  EXPECT_EQ(check_readable(database).error().code, Errc::Invalid);
}

TEST(RowSet, IsASet) {
  std::srand(1);  // NOLINT: the same rows in each run
  RowSet rows;
  std::map<int64_t, bool> expected;
  for (int i = 0; i < 2000; ++i) {
    const int64_t row = 1 + std::rand() % 1000;  // NOLINT
    rows.insert(row);
    expected[row] = true;
    if (i % 50 == 0) {
      rows.erase(row - 20, row + 20);
      expected.erase(expected.lower_bound(row - 20), expected.upper_bound(row + 20));
    }
    ASSERT_EQ(rows.size(), expected.size());
  }
  int64_t covered = 0;
  int64_t last_end = -1;
  for (const auto& [first, last] : rows) {
    EXPECT_GT(first, last_end + 1) << "ranges that touch are one";
    last_end = last;
    covered += last - first + 1;
  }
  EXPECT_EQ(covered, static_cast<int64_t>(expected.size()));
  for (int64_t row = 0; row < 1002; ++row) {
    EXPECT_EQ(rows.contains(row), expected.contains(row)) << row;
    int64_t gap = row;
    while (expected.contains(gap)) ++gap;
    EXPECT_EQ(rows.first_gap(row), gap);
  }
}

}  // namespace
}  // namespace fieldpost
