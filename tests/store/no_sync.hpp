// SPDX-License-Identifier: Apache-2.0
//
// A wrong build, for tests that must notice it: while this lives, every database that is opened has
// synchronous = OFF, and setting it to anything else is passed over.
#pragma once

#include <sqlite3.h>

#include <string_view>

namespace fieldpost::testing {

class NoSync {
 public:
  NoSync() { sqlite3_auto_extension(hook()); }
  ~NoSync() { sqlite3_cancel_auto_extension(hook()); }
  NoSync(const NoSync&) = delete;
  NoSync& operator=(const NoSync&) = delete;

 private:
  using Hook = void (*)();
  static Hook hook() { return reinterpret_cast<Hook>(&on_open); }
  static int on_open(sqlite3* database, char**, const void*) {
    // Exclusive first, as in the program itself: this reads the file.
    sqlite3_exec(database, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = OFF", nullptr,
                 nullptr, nullptr);
    sqlite3_set_authorizer(
        database,
        [](void*, int action, const char* name, const char*, const char*, const char*) {
          const bool ours = action == SQLITE_PRAGMA && std::string_view(name) == "synchronous";
          return ours ? SQLITE_IGNORE : SQLITE_OK;
        },
        nullptr);
    return SQLITE_OK;
  }
};

}  // namespace fieldpost::testing
