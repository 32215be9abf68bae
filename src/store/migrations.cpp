// SPDX-License-Identifier: Apache-2.0
#include "store/migrations.hpp"

#include <iterator>

namespace fieldpost {
namespace {

constexpr int64_t kApplicationId = 0x46504F42;  // "FPOB"

// Step i leads from schema i to i + 1. A step that has been released is never changed; one after
// which an older program would do harm raises min_reader.
constexpr const char* kSteps[] = {
    R"sql(
      PRAGMA application_id = 0x46504F42;
      CREATE TABLE meta (
        key   TEXT NOT NULL PRIMARY KEY,
        value ANY
      ) STRICT, WITHOUT ROWID;
      INSERT INTO meta VALUES ('min_reader', 1);
      CREATE TABLE boot (
        id   INTEGER PRIMARY KEY,
        uuid TEXT NOT NULL UNIQUE
      ) STRICT;
      CREATE TABLE epoch (
        boot      INTEGER NOT NULL,
        since_ms  INTEGER NOT NULL,
        offset_ms INTEGER NOT NULL,
        PRIMARY KEY (boot, since_ms)
      ) STRICT, WITHOUT ROWID;
      CREATE TABLE device (
        id        INTEGER PRIMARY KEY,
        losant_id TEXT NOT NULL UNIQUE
      ) STRICT;
      CREATE TABLE attribute (
        id   INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE
      ) STRICT;
      CREATE TABLE chunk (
        id     INTEGER PRIMARY KEY,
        device INTEGER NOT NULL,
        boot   INTEGER NOT NULL,
        t0     INTEGER NOT NULL,
        n      INTEGER NOT NULL,
        body   BLOB    NOT NULL
      ) STRICT;
      CREATE TABLE damaged (
        id     INTEGER PRIMARY KEY,
        device ANY,
        boot   ANY,
        t0     ANY,
        n      ANY,
        body   ANY
      ) STRICT;
    )sql",
    // Every name and every boot a second time, on pages of another table: one lost page must not
    // take the meaning of all rows along (store/salvage.hpp). A line is believed when both its
    // columns agree, which needs no checksum that SQL cannot compute. Triggers write it, so nobody
    // can forget to, an older program neither: schema 1 goes on working with such a file and keeps
    // the mirror complete. Hence min_reader stays 1.
    R"sql(
      CREATE TABLE mirror (
        id    INTEGER PRIMARY KEY,
        line  TEXT NOT NULL,
        again TEXT NOT NULL
      ) STRICT;
      CREATE TRIGGER mirror_device AFTER INSERT ON device BEGIN
        INSERT INTO mirror (line, again) SELECT l, l
          FROM (SELECT 'device ' || NEW.id || ' ' || NEW.losant_id AS l);
      END;
      CREATE TRIGGER mirror_attribute AFTER INSERT ON attribute BEGIN
        INSERT INTO mirror (line, again) SELECT l, l
          FROM (SELECT 'attribute ' || NEW.id || ' ' || NEW.name AS l);
      END;
      CREATE TRIGGER mirror_boot AFTER INSERT ON boot BEGIN
        INSERT INTO mirror (line, again) SELECT l, l
          FROM (SELECT 'boot ' || NEW.id || ' ' || NEW.uuid AS l);
      END;
      CREATE TRIGGER mirror_epoch AFTER INSERT ON epoch BEGIN
        INSERT INTO mirror (line, again) SELECT l, l
          FROM (SELECT 'epoch ' || NEW.boot || ' ' || NEW.since_ms || ' ' || NEW.offset_ms AS l);
      END;
      CREATE TRIGGER forget_boot AFTER DELETE ON boot BEGIN
        DELETE FROM mirror WHERE line = 'boot ' || OLD.id || ' ' || OLD.uuid;
      END;
      CREATE TRIGGER forget_epoch AFTER DELETE ON epoch BEGIN
        DELETE FROM mirror
          WHERE line = 'epoch ' || OLD.boot || ' ' || OLD.since_ms || ' ' || OLD.offset_ms;
      END;
      INSERT INTO mirror (line, again) SELECT l, l FROM (
        SELECT 'device ' || id || ' ' || losant_id AS l FROM device
        UNION ALL SELECT 'attribute ' || id || ' ' || name FROM attribute
        UNION ALL SELECT 'boot ' || id || ' ' || uuid FROM boot
        UNION ALL SELECT 'epoch ' || boot || ' ' || since_ms || ' ' || offset_ms FROM epoch);
    )sql",
    // Sums that a start can read without counting, and how far stage 1 has come: an older program
    // would leave both behind what it does.
    R"sql(
      CREATE TABLE state (
        stage        INTEGER NOT NULL,
        stage_offset INTEGER NOT NULL,
        flushed      INTEGER NOT NULL,
        rows         INTEGER NOT NULL,
        readings     INTEGER NOT NULL
      ) STRICT;
      INSERT INTO state SELECT 0, 0, 0, count(*), ifnull(sum(n), 0) FROM chunk;
      UPDATE meta SET value = 3 WHERE key = 'min_reader';
    )sql",
    // What it takes to keep the outbox within bounds (store/room.hpp): the bytes of all rows, of
    // each its body and 32 more, and which rows were thinned. An older program would leave both
    // behind what it does.
    R"sql(
      CREATE TABLE thinned (
        id      INTEGER PRIMARY KEY,
        round   INTEGER NOT NULL,
        span_ms INTEGER NOT NULL
      ) STRICT;
      ALTER TABLE state ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
      UPDATE state SET bytes = (SELECT ifnull(sum(length(body) + 32), 0) FROM chunk);
      UPDATE meta SET value = 4 WHERE key = 'min_reader';
    )sql",
    // Time that nobody vouched for, and boots whose rows wait until it is known what their times
    // are. An older program would take an estimated epoch for damage, and those rows too.
    R"sql(
      ALTER TABLE epoch ADD COLUMN estimated INTEGER NOT NULL DEFAULT 0;
      DROP TRIGGER mirror_epoch;
      CREATE TRIGGER mirror_epoch AFTER INSERT ON epoch BEGIN
        INSERT INTO mirror (line, again) SELECT l, l
          FROM (SELECT 'epoch ' || NEW.boot || ' ' || NEW.since_ms || ' ' || NEW.offset_ms ||
                       iif(NEW.estimated, ' 1', '') AS l);
      END;
      DROP TRIGGER forget_epoch;
      CREATE TRIGGER forget_epoch AFTER DELETE ON epoch BEGIN
        DELETE FROM mirror
          WHERE line = 'epoch ' || OLD.boot || ' ' || OLD.since_ms || ' ' || OLD.offset_ms ||
                       iif(OLD.estimated, ' 1', '');
      END;
      CREATE TABLE unstamped (
        boot           INTEGER PRIMARY KEY,
        last_ms        INTEGER NOT NULL,
        seen_offset_ms INTEGER
      ) STRICT;
      INSERT INTO unstamped (boot, last_ms) SELECT boot, max(t0) FROM chunk
        WHERE boot IN (SELECT id FROM boot EXCEPT SELECT boot FROM epoch) GROUP BY boot;
      UPDATE meta SET value = 5 WHERE key = 'min_reader';
    )sql",
};

}  // namespace

int newest_schema() { return static_cast<int>(std::size(kSteps)); }

Result<> check_readable(Database& database) {
  const int64_t version = FP_TRY(database.integer("PRAGMA user_version"));
  const int64_t tables = FP_TRY(database.integer("SELECT count(*) FROM sqlite_schema"));
  if (version == 0 && tables == 0) return {};
  if (FP_TRY(database.integer("PRAGMA application_id")) != kApplicationId) {
    return Error{
        Errc::Invalid,
        "'" + database.path() + "' is a database, but not an outbox of this program; move it away"};
  }
  const int64_t needed =
      FP_TRY(database.integer("SELECT value FROM meta WHERE key = 'min_reader'"));
  if (needed > version) {  // no version writes that
    return Error{Errc::Corrupt, "'" + database.path() + "' is damaged: its min_reader"};
  }
  if (needed > newest_schema()) {
    return Error{Errc::Invalid,
                 "'" + database.path() +
                     "' was written by a newer version of this program (schema " +
                     std::to_string(version) + ", readable from schema " + std::to_string(needed) +
                     " on; this one knows schema " + std::to_string(newest_schema()) +
                     "): install that version or a later one, and what is in it will be sent"};
  }
  return {};
}

Result<> migrate(Database& database) {
  const int64_t version = FP_TRY(database.integer("PRAGMA user_version"));
  if (version >= newest_schema()) return {};
  auto transaction = FP_TRY(Transaction::begin(database));
  for (int64_t step = version; step < newest_schema(); ++step) {
    FP_CHECK_OK(database.exec(kSteps[step]));
  }
  const std::string stamp = "PRAGMA user_version = " + std::to_string(newest_schema());
  FP_CHECK_OK(database.exec(stamp.c_str()));
  return std::move(transaction).commit();
}

}  // namespace fieldpost
