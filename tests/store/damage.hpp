// SPDX-License-Identifier: Apache-2.0
//
// An outbox of about 1,000 pages with all that damage can meet: rows on one page and on several,
// freed pages with old rows in them, names and clocks on many pages, rows that were set aside. And
// what is on which page, as SQLite itself tells.
#pragma once

#include <map>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "store/chunk.hpp"
#include "store/database.hpp"
#include "store/migrations.hpp"
#include "store/page_file.hpp"
#include "store/salvage.hpp"
#include "store/sqlite_page.hpp"
#include "store_fixture.hpp"

namespace fieldpost::testing {

// device, boot, t0, points, body
using Content = std::tuple<int64_t, int64_t, int64_t, int64_t, std::string>;

struct Original {
  std::map<int64_t, Content> rows;
  std::map<int64_t, std::set<uint32_t>> pages_of;  // a row
  Salvage::Names devices, attributes, boots;
  Salvage::Epochs epochs;
  uint32_t pages = 0;
  int64_t free_pages = 0;
  std::set<uint32_t> trunks;  // of the list of free pages; in the file, not in the WAL
  // By kind as dbstat has it, "leaf", "internal" or "overflow"; by table, or index.
  std::map<std::string, std::map<std::string, std::vector<uint32_t>>> pages_by_kind;
};

inline void must(const Result<>& done) { ASSERT_TRUE(done) << done.error().message; }

class DamageFixture {
 public:
  // `wal`: the second half of it stands in the WAL only.
  explicit DamageFixture(const std::string& path, bool wal = false) {
    Database database = Database::open(path).value();
    must(database.set_up());
    // What is deleted stays where it was: Debian's SQLite would wipe it, others do not.
    must(database.exec("PRAGMA secure_delete = OFF; PRAGMA wal_autocheckpoint = 0"));
    must(migrate(database));
    fill(database, 1400);
    free_some(database);
    if (wal) checkpoint(database);
    fill(database, 500);
    must(
        database.exec("INSERT INTO damaged SELECT id + 1000000, device, boot, t0 + 1, n, body "
                      "FROM chunk WHERE id > 100 LIMIT 20"));
    if (!wal) checkpoint(database);
    describe_into_original(database);
    find_trunks(content_of(path));
  }

  const Original& original() const { return original_; }

 private:
  static void checkpoint(Database& database) {
    EXPECT_EQ(database.integer("PRAGMA wal_checkpoint(TRUNCATE)").value(), 0);
  }

  void fill(Database& database, int rows) {
    auto transaction = Transaction::begin(database).value();
    for (int i = 0; i < rows; ++i) {
      add_names(database);
      add_row(database);
    }
    must(std::move(transaction).commit());
  }

  // A few hundred names in all, so that their tables have several levels of pages.
  void add_names(Database& database) {
    const std::string number = std::to_string(next_);
    const auto add = [&](const std::string& sql) { must(database.exec(sql.c_str())); };
    if (next_ % 2 == 0) {
      add("INSERT INTO attribute (name) VALUES ('a-rather-long-name-of-an-attribute-" + number +
          "')");
    }
    if (next_ % 10 == 1) {
      add("INSERT INTO device (losant_id) VALUES ('575ecf887ae143cd83d" + number + "')");
    }
    if (next_ % 10 == 2) {
      add("INSERT INTO boot (uuid) VALUES ('b0072a51-6c5e-4d6f-9b7a-00000000" + number + "')");
    }
    if (next_ % 5 == 3) {
      add("INSERT INTO epoch VALUES ((SELECT max(id) FROM boot), " + number + "000, 17" + number +
          ", " + (next_ % 10 == 3 ? "1" : "0") + ")");
    }
  }

  void add_row(Database& database) {
    ChunkWriter writer;
    const int attributes = next_ % 10 == 7 ? 400 : 2 + next_ % 60;  // 400: several pages
    for (int i = 0; i < attributes; ++i) {
      const Symbol name = symbol("a" + std::to_string(i));
      writer.learn(name, static_cast<uint32_t>(i + 1));
      EXPECT_EQ(writer.add(next_, {name, static_cast<double>(random_()) / 3}),
                ChunkWriter::Added::Yes);
    }
    const int64_t device = 1 + next_ % 3;
    const int64_t boot = next_ / 10;
    const int64_t points = writer.points();
    Statement insert =
        database.prepare("INSERT INTO chunk (id, device, boot, t0, n, body) VALUES (?,?,?,?,?,?)")
            .value();
    insert.bind(1, next_);
    insert.bind(2, device);
    insert.bind(3, boot);
    insert.bind(4, next_);
    insert.bind(5, points);
    insert.bind_blob(6, writer.encode(device, boot));
    must(insert.run());
    ++next_;
  }

  // As acknowledgements do: mostly the oldest, in several transactions.
  static void free_some(Database& database) {
    must(database.exec("DELETE FROM chunk WHERE id BETWEEN 1 AND 400"));
    must(database.exec("DELETE FROM chunk WHERE id BETWEEN 410 AND 900"));
    must(database.exec("DELETE FROM chunk WHERE id % 3 = 0 AND id < 1000"));
    must(database.exec("DELETE FROM boot WHERE id < 20; DELETE FROM epoch WHERE boot < 20"));
  }

  void describe_into_original(Database& database) {
    Original& o = original_;
    Statement rows =
        database.prepare("SELECT id, device, boot, t0, n, body FROM chunk ORDER BY id").value();
    while (rows.step().value()) {
      o.rows[rows.integer(0)] = {rows.integer(1), rows.integer(2), rows.integer(3), rows.integer(4),
                                 std::string(rows.blob(5))};
    }
    for (auto& [table, names] : {std::pair("SELECT id, losant_id FROM device", &o.devices),
                                 std::pair("SELECT id, name FROM attribute", &o.attributes),
                                 std::pair("SELECT id, uuid FROM boot", &o.boots)}) {
      Statement select = database.prepare(table).value();
      while (select.step().value()) names->emplace(select.integer(0), select.text(1));
    }
    Statement epochs = database.prepare("SELECT * FROM epoch").value();
    while (epochs.step().value()) {
      o.epochs[{epochs.integer(0), epochs.integer(1)}] = {epochs.integer(1), epochs.integer(2),
                                                          epochs.integer(3) != 0};
    }
    o.pages = static_cast<uint32_t>(database.integer("PRAGMA page_count").value());
    o.free_pages = database.integer("PRAGMA freelist_count").value();
    Statement kinds = database.prepare("SELECT pagetype, name, pageno FROM dbstat").value();
    while (kinds.step().value()) {
      o.pages_by_kind[std::string(kinds.text(0))][std::string(kinds.text(1))].push_back(
          static_cast<uint32_t>(kinds.integer(2)));
    }
    find_pages(database);
  }

  void find_trunks(const std::string& bytes) {
    const sqlite::Bytes file(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
    uint32_t trunk = sqlite::big_u32(file, 32);
    while (trunk != 0 && original_.trunks.insert(trunk).second) {
      trunk = sqlite::big_u32(file, (trunk - 1) * sqlite::kPageSize);
    }
  }

  // From SQLite's own account of its pages. Leaves come in the order of their rows; overflow pages
  // of cell i of the leaf at "/…/" have the path "/…/iii+nnnnnn".
  void find_pages(Database& database) {
    Statement pages =
        database
            .prepare(
                "SELECT path, pageno, ncell, pagetype = 'leaf' FROM dbstat WHERE name = "
                "'chunk' AND pagetype <> 'internal' ORDER BY path")
            .value();
    auto row = original_.rows.begin();
    std::vector<int64_t> rows;  // of the leaf
    while (pages.step().value()) {
      const auto page = static_cast<uint32_t>(pages.integer(1));
      if (pages.integer(3) != 0) {
        rows.clear();
        for (int64_t i = 0; i < pages.integer(2); ++i, ++row) rows.push_back(row->first);
        for (const int64_t id : rows) original_.pages_of[id].insert(page);
      } else {
        const std::string path(pages.text(0));
        const size_t cell = std::stoul(path.substr(path.find('+') - 3, 3), nullptr, 16);
        original_.pages_of[rows.at(cell)].insert(page);
      }
    }
    EXPECT_EQ(row, original_.rows.end());
  }

  Original original_;
  int next_ = 1;
  std::mt19937 random_{1};  // NOLINT: the same file in each run
};

}  // namespace fieldpost::testing
