// SPDX-License-Identifier: Apache-2.0
//
// SQLite's file format, as far as reading a damaged outbox needs it: pages of b-trees, their cells,
// records. Pure functions of bytes that may be anything; nothing here trusts them. Source:
// https://www.sqlite.org/fileformat2.html, sections 1.5 and 1.6 and 2.1.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace fieldpost::sqlite {

using Bytes = std::span<const uint8_t>;

// The outbox has pages of this size, none of it reserved (Database::set_up); the file's own word
// for it may be what is damaged.
inline constexpr size_t kPageSize = 1024;
inline constexpr size_t kHeaderSize = 100;              // of the file, at the beginning of page 1
inline constexpr size_t kOverflowSize = kPageSize - 4;  // bytes of payload on an overflow page

inline uint32_t big_u16(Bytes bytes, size_t at) {
  return uint32_t{bytes[at]} << 8 | uint32_t{bytes[at + 1]};
}
inline uint32_t big_u32(Bytes bytes, size_t at) {
  return big_u16(bytes, at) << 16 | big_u16(bytes, at + 2);
}

enum class PageKind : uint8_t {
  IndexInterior = 0x02,
  TableInterior = 0x05,
  IndexLeaf = 0x0a,  // also of a table WITHOUT ROWID
  TableLeaf = 0x0d,
};

// What a kind of page does not have is 0 or empty.
struct Cell {
  uint32_t child = 0;     // page with what sorts before this cell
  int64_t row = 0;        // rowid; of an interior page, the largest below `child`
  uint64_t size = 0;      // of the payload, bytes; up to 2^31
  Bytes local;            // its beginning, as much as is on this page
  uint32_t overflow = 0;  // page with the rest, if it is not all here
};

struct Page {
  PageKind kind = PageKind::TableLeaf;
  std::vector<Cell> cells;
  uint32_t right = 0;    // of an interior page: the page with what sorts after all cells
  size_t bad_cells = 0;  // that cannot be read
};

// `page` has kPageSize bytes and must outlive the result. nullopt if it is not a b-tree's page.
std::optional<Page> parse_page(Bytes page, uint32_t number);

struct Field {
  enum class Kind : uint8_t { Null, Integer, Real, Text, Blob };
  Kind kind = Kind::Null;
  int64_t integer = 0;
  Bytes bytes;  // of Text, Blob; of Real its 8 bytes

  std::string_view text() const {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
};

// The columns of a record into `fields`; how many there are. 0 if it is no record, has more of them
// than `fields`, or does not end where the payload of `size` bytes does. `payload` may be the
// beginning only, with the header in it: fields beyond it then have no bytes and are 0.
size_t parse_record(Bytes payload, uint64_t size, std::span<Field> fields);

}  // namespace fieldpost::sqlite
