// SPDX-License-Identifier: Apache-2.0
//
// One flipped bit, wherever it is: what it may cost.
#include <algorithm>
#include <random>
#include <vector>

#include "fakes/sanitizer.hpp"
#include "fakes/test_env.hpp"
#include "salvage_check.hpp"

namespace fieldpost {
namespace {

using testing::content_of;
using testing::DamageFixture;
using testing::expect_all_names;
using testing::expect_rows;
using testing::File;
using testing::kPage;
using testing::Original;
using testing::read;
using testing::TempDir;

// Whether what was deleted may be among the rows.
bool flip_and_check(const std::string& path, const Original& o, size_t at, int bit) {
  SCOPED_TRACE("page " + std::to_string(at / kPage + 1) + ", byte " + std::to_string(at % kPage) +
               ", bit " + std::to_string(bit));
  File file(path);
  file.flip(at, bit);
  const Salvage salvage = read(path);
  const auto page = static_cast<uint32_t>(at / kPage + 1);
  expect_rows(o, salvage, [&](int64_t id) { return o.pages_of.at(id).contains(page); });
  expect_all_names(o, salvage);
  // A page that is in use and free at once: nothing tells which of the two is the damage.
  const auto& internal = o.pages_by_kind.at("internal").at("chunk");
  const bool contested = o.trunks.contains(page) || std::ranges::count(internal, page) > 0;
  EXPECT_TRUE(contested || !salvage.report().may_repeat);
  file.flip(at, bit);
  return salvage.report().may_repeat;
}

// Every page: schema, interior pages, list of free pages, overflow, dictionaries, free ones.
// With a sanitizer each salvage takes ten times as long: one in seven of them.
size_t stride(size_t wanted) { return test::is_sanitized() ? 7 * wanted : wanted; }

TEST(SalvageFlip, AFlippedBitCostsTheRowsOnItsPageAlone) {
  const uint64_t seed = test::seed();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(static_cast<unsigned>(seed));
  TempDir dir;
  const DamageFixture fixture(dir / "a.db");
  const Original& o = fixture.original();
  for (size_t page = 0; page < o.pages && !::testing::Test::HasFailure(); page += stride(1)) {
    flip_and_check(dir / "a.db", o, page * kPage, 0);
    for (int i = 0; i < (test::is_long() ? 10 : 1); ++i) {
      flip_and_check(dir / "a.db", o, page * kPage + random() % kPage,
                     static_cast<int>(random() % 8));
    }
  }
}

// Where a bit means most: the file's header, the list of free pages, and the head of every page.
TEST(SalvageFlip, AFlippedBitOfAHeadCostsNoMore) {
  TempDir dir;
  const DamageFixture fixture(dir / "a.db");
  const Original& o = fixture.original();
  for (size_t bit = 0; bit < 8 * 150 && !::testing::Test::HasFailure();
       bit += test::is_long() ? 1 : 3) {
    flip_and_check(dir / "a.db", o, bit / 8, static_cast<int>(bit % 8));
  }
  const size_t step = stride(test::is_long() ? 7 : 149);
  const size_t trunk = *o.trunks.begin();
  for (size_t bit = 0; bit < 8 * kPage && !::testing::Test::HasFailure(); bit += step) {
    flip_and_check(dir / "a.db", o, (trunk - 1) * kPage + bit / 8, static_cast<int>(bit % 8));
  }
  for (size_t bit = 0; bit < size_t{96} * o.pages && !::testing::Test::HasFailure(); bit += step) {
    flip_and_check(dir / "a.db", o, bit / 96 * kPage + bit % 96 / 8, static_cast<int>(bit % 8));
  }
}

// Each pointer to a page of rows leads somewhere else, to a freed one as well as to one in use.
TEST(SalvageFlip, APointerThatDamageHasChangedCostsNothing) {
  TempDir dir;
  const DamageFixture fixture(dir / "a.db");
  const Original& o = fixture.original();
  const std::string whole = content_of(dir / "a.db");
  const sqlite::Bytes bytes(reinterpret_cast<const uint8_t*>(whole.data()), whole.size());
  int repeating = 0;
  for (const uint32_t page : o.pages_by_kind.at("internal").at("chunk")) {
    const size_t begin = (page - 1) * kPage;
    std::vector<size_t> pointers;
    for (uint32_t cell = 0; cell < sqlite::big_u16(bytes, begin + 3); ++cell) {
      pointers.push_back(begin + sqlite::big_u16(bytes, begin + 12 + 2 * size_t{cell}));
    }
    pointers.push_back(begin + 8);  // the rightmost
    const size_t step = stride(test::is_long() ? 1 : 5);
    for (size_t i = 0; i < pointers.size(); i += step) {
      const size_t pointer = pointers[i];
      for (int bit = 0; sqlite::big_u32(bytes, pointer) >> bit != 0 && !HasFailure(); ++bit) {
        repeating +=
            flip_and_check(dir / "a.db", o, pointer + 3 - static_cast<size_t>(bit) / 8, bit % 8);
      }
    }
  }
  EXPECT_GT(repeating, 0) << "none led to a freed page with rows";
}

// The bytes of names and clocks, which nothing protects but that they stand twice.
TEST(SalvageFlip, AFlippedBitOfANameCostsNothing) {
  TempDir dir;
  const DamageFixture fixture(dir / "a.db");
  const Original& o = fixture.original();
  const size_t step = stride(test::is_long() ? 3 : 41);
  for (const char* table : {"attribute", "device", "boot", "epoch", "mirror"}) {
    const size_t page = o.pages_by_kind.at("leaf").at(table).at(1);
    for (size_t bit = 0; bit < 8 * kPage && !::testing::Test::HasFailure(); bit += step) {
      flip_and_check(dir / "a.db", o, (page - 1) * kPage + bit / 8, static_cast<int>(bit % 8));
    }
  }
}

// The schema says which tree is which table's.
TEST(SalvageFlip, AFlippedBitOfTheSchemaCostsNothing) {
  TempDir dir;
  const DamageFixture fixture(dir / "a.db");
  const Original& o = fixture.original();
  const std::string bytes = content_of(dir / "a.db");
  for (const char* name : {"chunk", "attribute", "device", "boot", "epoch", "mirror", "thinned"}) {
    const std::string entry = std::string("table") + name + name;
    const size_t begin = bytes.find(entry);
    ASSERT_NE(begin, std::string::npos) << name;
    for (size_t bit = 0; bit < 8 * (entry.size() + 3) && !HasFailure(); bit += stride(1)) {
      flip_and_check(dir / "a.db", o, begin + bit / 8, static_cast<int>(bit % 8));
    }
  }
  const size_t step = stride(test::is_long() ? 3 : 61);
  for (const uint32_t page : o.pages_by_kind.at("leaf").at("sqlite_schema")) {
    for (size_t bit = 0; bit < 8 * kPage && !HasFailure(); bit += step) {
      flip_and_check(dir / "a.db", o, (page - 1) * kPage + bit / 8, static_cast<int>(bit % 8));
    }
  }
}

}  // namespace
}  // namespace fieldpost
