// SPDX-License-Identifier: Apache-2.0
#include "store/salvage.hpp"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <sstream>

#include "fakes/test_env.hpp"
#include "salvage_check.hpp"
#include "store/page_file.hpp"
#include "store/sqlite_page.hpp"

namespace fieldpost {
namespace {

using testing::Content;
using testing::content_of;
using testing::DamageFixture;
using testing::expect_all_names;
using testing::expect_rows;
using testing::File;
using testing::kPage;
using testing::Original;
using testing::put;
using testing::read;
using testing::rows_of;
using testing::TempDir;

TEST(Salvage, AnUndamagedFileGivesAllOfItself) {
  for (const bool wal : {false, true}) {
    TempDir dir;
    const DamageFixture fixture(dir / "a.db", wal);
    const Original& o = fixture.original();
    EXPECT_GE(o.pages, 1000U);
    EXPECT_GT(o.free_pages, 10);
    for (const char* table : {"chunk", "attribute", "device", "boot", "mirror", "epoch"}) {
      EXPECT_EQ(o.pages_by_kind.at("internal").count(table), 1U) << table;
    }
    EXPECT_GT(o.pages_by_kind.at("overflow").at("chunk").size(), 100U);
    const Salvage salvage = read(dir / "a.db");
    expect_rows(o, salvage, [](int64_t) { return false; });
    expect_all_names(o, salvage);
    EXPECT_EQ(salvage.meta().at("min_reader"), Salvage::MetaValue(int64_t{5}));
    EXPECT_EQ(salvage.schema(), newest_schema());
    EXPECT_EQ(salvage.report().unreadable_pages, 0);
    EXPECT_EQ(salvage.report().lost_rows, 0);
    EXPECT_FALSE(salvage.report().may_repeat);
  }
}

// An interior page whose last child is a page of another table, or a freed one.
TEST(Salvage, APointerToAnotherPageIsNotFollowed) {
  TempDir dir;
  const DamageFixture fixture(dir / "a.db");
  const Original& o = fixture.original();
  const std::string whole = content_of(dir / "a.db");
  const sqlite::Bytes bytes(reinterpret_cast<const uint8_t*>(whole.data()), whole.size());
  std::vector<uint32_t> targets{1, o.pages + 1, sqlite::big_u32(bytes, 32)};
  targets.push_back(sqlite::big_u32(bytes, (targets.back() - 1) * kPage + 8));  // a free page
  for (const auto& [table, pages] : o.pages_by_kind.at("leaf")) {
    targets.push_back(pages.front());
    targets.push_back(pages.back());
  }
  File file(dir / "a.db");
  for (const auto& [table, pages] : o.pages_by_kind.at("internal")) {
    for (const uint32_t page : pages) {
      const size_t at = (page - 1) * kPage + (page == 1 ? 100 : 0) + 8;
      for (const uint32_t target : targets) {
        SCOPED_TRACE(table + ": page " + std::to_string(page) + " to " + std::to_string(target));
        file.write(at, {'\0', '\0', static_cast<char>(target >> 8), static_cast<char>(target)});
        const Salvage salvage = read(dir / "a.db");
        expect_rows(o, salvage, [](int64_t) { return false; });
        expect_all_names(o, salvage);
        if (::testing::Test::HasFailure()) return;
      }
      file.write(at, whole.substr(at, 4));
    }
  }
}

// The schema says that a table begins at some other page, a freed one perhaps.
TEST(Salvage, ADamagedRootCostsNothing) {
  TempDir dir;
  const DamageFixture fixture(dir / "a.db");
  const Original& o = fixture.original();
  const std::string whole = content_of(dir / "a.db");
  File file(dir / "a.db");
  for (const std::string table : {"chunk", "damaged", "attribute", "boot"}) {
    const std::string row = "table" + table + table;  // then the number, of one byte
    const size_t at = whole.find(row) + row.size();
    ASSERT_LT(at, 20 * kPage);
    for (int page = 0; page < 128; page += test::is_long() ? 1 : 3) {
      SCOPED_TRACE(table + " at page " + std::to_string(page));
      file.write(at, std::string(1, static_cast<char>(page)));
      const Salvage salvage = read(dir / "a.db");
      expect_rows(o, salvage, [](int64_t) { return false; });
      expect_all_names(o, salvage);
      if (::testing::Test::HasFailure()) return;
    }
    file.write(at, whole.substr(at, 1));
  }
}

TEST(Salvage, ALostPageCostsTheRowsOnItAlone) {
  TempDir dir;
  const DamageFixture fixture(dir / "a.db");
  const Original& o = fixture.original();
  const std::string whole = content_of(dir / "a.db");
  File file(dir / "a.db");
  for (uint32_t page = 2; page <= o.pages && !::testing::Test::HasFailure(); ++page) {
    SCOPED_TRACE("page " + std::to_string(page));
    const size_t at = (page - 1) * kPage;
    file.write(at, std::string(kPage, '\0'));
    const Salvage salvage = read(dir / "a.db");
    expect_rows(o, salvage, [&](int64_t id) { return o.pages_of.at(id).contains(page); });
    expect_all_names(o, salvage);
    file.write(at, whole.substr(at, kPage));
  }
}

// Of a database from before the mirror, the migration fills it.
TEST(Salvage, NamesOfAnOldDatabaseSurviveOnceItIsMigrated) {
  TempDir dir;
  const DamageFixture fixture(dir / "a.db");
  {
    Database database = Database::open(dir / "a.db").value();
    ASSERT_TRUE(database.set_up());
    ASSERT_TRUE(database.exec(
        "DROP TABLE unstamped; DROP TABLE thinned; DROP TABLE state; DROP TABLE mirror; "
        "DROP TRIGGER mirror_device; DROP TRIGGER "
        "mirror_attribute;"
        "DROP TRIGGER mirror_boot; DROP TRIGGER mirror_epoch; DROP TRIGGER forget_boot;"
        "DROP TRIGGER forget_epoch; ALTER TABLE epoch DROP COLUMN estimated;"
        "PRAGMA user_version = 1"));
    EXPECT_TRUE(database.exec("PRAGMA wal_checkpoint(TRUNCATE)"));
  }
  Original old = fixture.original();
  for (auto& [key, epoch] : old.epochs) epoch.estimated = false;
  expect_all_names(old, read(dir / "a.db"));
  {
    Database database = Database::open(dir / "a.db").value();
    ASSERT_TRUE(database.set_up());
    ASSERT_TRUE(migrate(database));
    // As if their tables were lost.
    ASSERT_TRUE(database.exec("DROP TABLE device; DROP TABLE attribute"));
    ASSERT_TRUE(database.exec("DROP TRIGGER forget_boot; DROP TRIGGER forget_epoch"));
    ASSERT_TRUE(database.exec("DROP TABLE boot; DROP TABLE epoch"));
  }
  expect_all_names(old, read(dir / "a.db"));
}

// Interior page and list of free pages at once: what is free and what is not cannot be known.
TEST(Salvage, WhenNothingTellsFreePagesApartAllRowsComeAndItSaysSo) {
  TempDir dir;
  const DamageFixture fixture(dir / "a.db");
  const Original& o = fixture.original();
  File(dir / "a.db").write(0, std::string(kPage, '\0'));
  const Salvage salvage = read(dir / "a.db");
  const auto rows = rows_of(salvage);
  for (const auto& [id, content] : o.rows) {
    ASSERT_TRUE(rows.contains(id)) << id;
    EXPECT_EQ(rows.at(id), content);
  }
  EXPECT_GT(rows.size(), o.rows.size()) << "deleted ones are expected here";
  EXPECT_TRUE(salvage.report().may_repeat);
  EXPECT_NE(salvage.report().text().find("may be sent again"), std::string::npos);
  EXPECT_EQ(salvage.attributes(), o.attributes) << "by the mirror alone";
}

TEST(Salvage, ATruncatedFileGivesWhatIsLeft) {
  TempDir dir;
  const DamageFixture fixture(dir / "a.db");
  const Original& o = fixture.original();
  const size_t step = test::is_long() ? 512 : 512 * 37;
  for (size_t cut = 0; cut <= o.pages * kPage; cut += step) {
    const size_t size = o.pages * kPage - cut;
    SCOPED_TRACE("size " + std::to_string(size));
    std::filesystem::resize_file(dir / "a.db", size);
    const Salvage salvage = read(dir / "a.db");
    const auto rows = rows_of(salvage);
    for (const auto& [id, content] : o.rows) {
      const bool whole = std::ranges::all_of(o.pages_of.at(id),
                                             [&](uint32_t page) { return page * kPage <= size; });
      const auto found = rows.find(id);
      ASSERT_TRUE(found != rows.end() || !whole) << "row " << id << " is lost";
      ASSERT_TRUE(found == rows.end() || found->second == content) << id;
    }
    ASSERT_TRUE(rows.size() <= o.rows.size() || salvage.report().may_repeat);
  }
}

TEST(Salvage, TheWalLiesOverTheFile) {
  TempDir dir;
  const DamageFixture fixture(dir / "a.db", true);
  const Original& o = fixture.original();
  std::filesystem::copy_file(dir / "a.db-wal", dir / "lone.db-wal");
  std::filesystem::copy_file(dir / "a.db", dir / "bare.db");

  const auto lone = rows_of(read(dir / "lone.db"));
  const auto bare = rows_of(read(dir / "bare.db"));
  EXPECT_GT(lone.size(), 250U);
  EXPECT_GT(bare.size(), 250U);
  for (const auto& [id, content] : o.rows) {
    ASSERT_TRUE(lone.contains(id) || bare.contains(id)) << id;
    ASSERT_TRUE(!lone.contains(id) || lone.at(id) == content) << id;
    ASSERT_TRUE(!bare.contains(id) || bare.at(id) == content) << id;
  }
}

// A torn WAL ends at the last whole transaction before the tear, as it does for SQLite.
TEST(Salvage, AWalCountsUpToTheTransactionBeforeADamagedFrame) {
  TempDir dir;
  const std::string path = dir / "a.db";
  std::vector<size_t> sizes;  // of the WAL, with so many transactions
  {
    Database database = Database::open(path).value();
    ASSERT_TRUE(database.set_up());
    ASSERT_TRUE(migrate(database));
    ASSERT_EQ(database.integer("PRAGMA wal_checkpoint(TRUNCATE)").value(), 0);
    for (int i = 0; i < 10; ++i) {
      const std::string name = "n" + std::to_string(i);
      ASSERT_TRUE(
          database.exec(("INSERT INTO device (losant_id) VALUES ('" + name + "')").c_str()));
      sizes.push_back(std::filesystem::file_size(path + "-wal"));
    }
  }
  EXPECT_EQ(read(path).devices().size(), 10U);
  for (size_t i = 0; i < sizes.size(); ++i) {
    File file(path + "-wal");
    file.flip(sizes[i] - 1, 3);
    EXPECT_EQ(read(path).devices().size(), i);
    file.flip(sizes[i] - 1, 3);
  }
}

TEST(Salvage, GarbageGivesNothing) {
  const uint64_t seed = test::seed();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(static_cast<unsigned>(seed));
  TempDir dir;
  EXPECT_EQ(Salvage::read(dir / "none.db").error().code, Errc::NotFound);
  EXPECT_FALSE(Salvage::read(dir.path())) << "a folder";
  for (const size_t size : {size_t{0}, size_t{1}, kPage, 100 * kPage + 7, 2000 * kPage}) {
    std::string garbage(size, '\0');
    for (char& byte : garbage) byte = static_cast<char>(random());
    // Most of it looks like leaves, so that there is something to be taken in by.
    for (size_t at = 0; at + kPage <= size; at += kPage) {
      garbage.replace(at, 8, std::string("\x0d\0\0\0\x20\0\x80\0", 8));
    }
    put(dir / "a.db", garbage);
    put(dir / "a.db-wal", garbage);
    const Salvage salvage = read(dir / "a.db");
    EXPECT_TRUE(rows_of(salvage).empty());
    EXPECT_TRUE(salvage.devices().empty());
    EXPECT_EQ(salvage.report().pages, static_cast<int64_t>((size + kPage - 1) / kPage));
  }
}

// SQLite's form of a number below 2^21.
std::string varint(unsigned number) {
  std::string bytes(1, static_cast<char>(number & 0x7f));
  while ((number >>= 7) != 0) bytes.insert(0, 1, static_cast<char>(0x80 | (number & 0x7f)));
  return bytes;
}

// Leaves full of rows that all look right so far, and claim an overflow chain that goes round and
// round: without a bound, 200 million pages to be read.
TEST(Salvage, GarbageDoesNotCostTime) {
  TempDir dir;
  constexpr unsigned kCells = 100;
  constexpr unsigned kLeaves = 2000;
  constexpr unsigned kLocal = 108;
  constexpr unsigned kSize = kLocal + 1000 * (kPage - 4);
  const std::string types = std::string("\0\1\1\1\1", 5) + varint((kSize - 13) * 2 + 12);
  std::string payload = varint(static_cast<unsigned>(types.size() + 1)) + types;
  ASSERT_EQ(payload.size(), 9U);
  payload.resize(kLocal, '\1');
  std::string leaf("\x0d\0\0\0\x64\3\0\0", 8);
  for (unsigned i = 0; i < kCells; ++i) leaf += std::string("\3\0", 2);
  leaf.resize(0x300);
  leaf += varint(kSize) + varint(1) + payload + std::string("\0\0\0\2", 4);
  leaf.resize(kPage);
  std::string chain("\0\0\0\2", 4);  // page 2 goes on at page 2
  chain.resize(kPage);
  std::string file = leaf + chain;
  for (unsigned i = 0; i < kLeaves; ++i) file += leaf;
  put(dir / "a.db", file);
  const auto before = std::chrono::steady_clock::now();
  EXPECT_TRUE(rows_of(read(dir / "a.db")).empty());
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(10));
}

// The parser meets pages that were real ones once: it must stay within them (the sanitizers watch)
// and say nothing that is not on them.
TEST(SqlitePage, SurvivesAnything) {
  const uint64_t seed = test::seed();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(static_cast<unsigned>(seed));
  TempDir dir;
  const DamageFixture fixture(dir / "a.db");
  const std::string pages = content_of(dir / "a.db");
  size_t cells = 0;
  for (int i = 0; i < (test::is_long() ? 1'000'000 : 100'000); ++i) {
    const size_t number = random() % fixture.original().pages;
    // On the heap and no longer than it is, so that a byte beyond it is noticed.
    std::vector<uint8_t> bytes(kPage);
    std::copy_n(pages.begin() + static_cast<ptrdiff_t>(number * kPage), kPage, bytes.begin());
    for (unsigned changes = random() % 8; changes > 0; --changes) {
      const size_t at = random() % 2 == 0 ? random() % 16 : random() % kPage;
      bytes[at] = static_cast<uint8_t>(random());
    }
    const auto page = sqlite::parse_page(bytes, static_cast<uint32_t>(number + 1));
    if (!page) continue;
    ASSERT_LE(page->cells.size(), kPage / 2);
    for (const sqlite::Cell& cell : page->cells) {
      ++cells;
      ASSERT_LE(cell.local.size(), cell.size);
      ASSERT_LE(cell.local.data() + cell.local.size(), bytes.data() + kPage);
      ASSERT_TRUE(cell.local.size() == cell.size || !cell.local.empty());
      sqlite::Field fields[6];
      const size_t count = sqlite::parse_record(cell.local, cell.size, fields);
      ASSERT_LE(count, 6U);
      size_t size = 0;
      for (size_t k = 0; k < count; ++k) size += fields[k].bytes.size();
      ASSERT_LE(size, cell.local.size());
    }
  }
  EXPECT_GT(cells, 10'000U);
}

TEST(SqlitePage, AnEmptyPageAndAnEmptyRecordAreNothing) {
  const std::vector<uint8_t> zeros(kPage);
  EXPECT_FALSE(sqlite::parse_page(zeros, 2));
  sqlite::Field fields[2];
  EXPECT_EQ(sqlite::parse_record({}, 0, fields), 0U);
  EXPECT_EQ(sqlite::parse_record(sqlite::Bytes(zeros).first(1), 1, fields), 0U);
}

}  // namespace
}  // namespace fieldpost
