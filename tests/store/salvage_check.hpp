// SPDX-License-Identifier: Apache-2.0
//
// What a damaged outbox gives, held against what was in it.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <limits>
#include <map>
#include <set>
#include <string>

#include "damage.hpp"
#include "store/salvage.hpp"
#include "store/sqlite_page.hpp"

namespace fieldpost::testing {

inline constexpr size_t kPage = sqlite::kPageSize;

// What a file gives, in the form of an Original.
inline std::map<int64_t, Content> rows_of(const Salvage& salvage) {
  std::map<int64_t, Content> rows;
  int64_t last = std::numeric_limits<int64_t>::min();
  const auto done = salvage.each_row([&](const Salvage::Row& row) -> Result<> {
    EXPECT_TRUE(rows.empty() || row.id > last) << "out of order, or twice: " << row.id;
    last = row.id;
    rows[row.id] = {row.key.device, row.key.boot, row.key.t0, row.key.points,
                    std::string(row.body)};
    return {};
  });
  EXPECT_TRUE(done);
  EXPECT_EQ(salvage.report().rows, static_cast<int64_t>(rows.size()));
  return rows;
}

inline Salvage read(const std::string& path) {
  auto salvage = Salvage::read(path);
  EXPECT_TRUE(salvage) << salvage.error().message;
  return *std::move(salvage);
}

inline void expect_all_names(const Original& original, const Salvage& salvage) {
  EXPECT_EQ(salvage.devices(), original.devices);
  EXPECT_EQ(salvage.attributes(), original.attributes);
  EXPECT_EQ(salvage.boots(), original.boots);
  EXPECT_EQ(salvage.epochs(), original.epochs);
}

// Every row is there that `may_miss` does not excuse, and nothing else: no other value, no row that
// was deleted unless the report says so, none twice. A row whose number was damaged may come under
// another one, once.
inline void expect_rows(const Original& original, const Salvage& salvage,
                        const std::function<bool(int64_t)>& may_miss) {
  std::map<int64_t, Content> rows = rows_of(salvage);
  std::multiset<Content> missing;
  for (const auto& [id, content] : original.rows) {
    const auto found = rows.find(id);
    if (found != rows.end() && found->second == content) {
      rows.erase(found);
      continue;
    }
    ASSERT_TRUE(may_miss(id)) << "row " << id << " is lost";
    missing.insert(content);
  }
  if (salvage.report().may_repeat) return;
  for (const auto& [id, content] : rows) {
    const auto excused = missing.find(content);
    ASSERT_TRUE(excused != missing.end()) << "row " << id << " was never there, or is deleted";
    missing.erase(excused);
  }
}

class File {
 public:
  explicit File(const std::string& path)
      : file_(path, std::ios::in | std::ios::out | std::ios::binary) {}
  void flip(size_t at, int bit) {
    char byte = 0;
    file_.seekg(static_cast<std::streamoff>(at)).get(byte);
    byte = static_cast<char>(byte ^ (1 << bit));
    file_.seekp(static_cast<std::streamoff>(at)).put(byte).flush();
  }
  void write(size_t at, const std::string& bytes) {
    file_.seekp(static_cast<std::streamoff>(at)).write(bytes.data(), std::ssize(bytes)).flush();
  }

 private:
  std::fstream file_;
};

}  // namespace fieldpost::testing
