// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite_page.hpp"

#include <iterator>

namespace fieldpost::sqlite {
namespace {

// Payload that stays on the page. Beyond `most`, only so much that the last overflow page is full.
struct LocalLimits {
  uint64_t most;
  uint64_t least;
};
constexpr uint64_t kLeast = (kPageSize - 12) * 32 / 255 - 23;
constexpr LocalLimits kTableLimits{kPageSize - 35, kLeast};
constexpr LocalLimits kIndexLimits{(kPageSize - 12) * 64 / 255 - 23, kLeast};
constexpr uint64_t kMaxPayload = uint64_t{1} << 31;

uint64_t local_size(uint64_t size, const LocalLimits& limits) {
  if (size <= limits.most) return size;
  const uint64_t full = limits.least + (size - limits.least) % kOverflowSize;
  return full <= limits.most ? full : limits.least;
}

// SQLite's varint: seven bits a byte, the highest first, all eight of a ninth byte. Moves `at`
// behind it; false if it goes beyond the end.
bool read_varint(Bytes bytes, size_t* at, uint64_t* value) {
  *value = 0;
  for (int i = 0; i < 9; ++i) {
    if (*at >= bytes.size()) return false;
    const uint8_t byte = bytes[(*at)++];
    if (i == 8) {
      *value = *value << 8 | byte;
      return true;
    }
    *value = *value << 7 | (byte & 0x7fU);
    if (byte < 0x80) return true;
  }
  return false;
}

bool parse_payload(Bytes page, size_t at, const LocalLimits& limits, Cell* cell) {
  const uint64_t local = local_size(cell->size, limits);
  if (cell->size > kMaxPayload || local > page.size() - at) return false;
  cell->local = page.subspan(at, local);
  if (local == cell->size) return true;
  at += local;
  if (page.size() - at < 4) return false;
  cell->overflow = big_u32(page, at);
  return true;
}

bool parse_cell(Bytes page, size_t at, PageKind kind, Cell* cell) {
  const bool interior = kind == PageKind::TableInterior || kind == PageKind::IndexInterior;
  const bool table = kind == PageKind::TableInterior || kind == PageKind::TableLeaf;
  if (interior) {
    if (page.size() - at < 4) return false;
    cell->child = big_u32(page, at);
    at += 4;
  }
  uint64_t number = 0;
  if (kind != PageKind::TableInterior && !read_varint(page, &at, &cell->size)) return false;
  if (table) {
    if (!read_varint(page, &at, &number)) return false;
    cell->row = static_cast<int64_t>(number);
  }
  if (kind == PageKind::TableInterior) return true;
  return parse_payload(page, at, table ? kTableLimits : kIndexLimits, cell);
}

// Bytes of a field by its serial type, or nullopt for the two that are reserved.
std::optional<uint64_t> size_of(uint64_t type) {
  constexpr uint8_t kSizes[] = {0, 1, 2, 3, 4, 6, 8, 8, 0, 0};
  if (type < std::size(kSizes)) return kSizes[type];
  if (type < 12) return std::nullopt;
  return (type - 12) / 2;
}

Field field_of(uint64_t type, Bytes bytes) {
  Field field{.bytes = bytes};
  if (type == 0) return field;
  if (type >= 12) {
    field.kind = type % 2 == 0 ? Field::Kind::Blob : Field::Kind::Text;
  } else if (type == 7) {
    field.kind = Field::Kind::Real;
  } else {
    field.kind = Field::Kind::Integer;
    uint64_t value = !bytes.empty() && bytes[0] >= 0x80 ? ~uint64_t{0} : 0;  // the sign goes on
    for (const uint8_t byte : bytes) value = value << 8 | byte;
    field.integer = type == 9 ? 1 : static_cast<int64_t>(value);
  }
  return field;
}

}  // namespace

std::optional<Page> parse_page(Bytes page, uint32_t number) {
  const size_t start = number == 1 ? kHeaderSize : 0;
  Page parsed;
  parsed.kind = static_cast<PageKind>(page[start]);
  size_t pointers = start + 8;
  switch (parsed.kind) {
    case PageKind::IndexInterior:
    case PageKind::TableInterior:
      parsed.right = big_u32(page, start + 8);
      pointers += 4;
      break;
    case PageKind::IndexLeaf:
    case PageKind::TableLeaf:
      break;
    default:
      return std::nullopt;
  }
  const size_t count = big_u16(page, start + 3);
  // Cells lie between here and the end. Behind the pointers and before it may be leftovers of
  // cells that were deleted, which a damaged count must not bring back.
  const size_t content = big_u16(page, start + 5);
  if (pointers + 2 * count > content || content > kPageSize) return std::nullopt;
  parsed.cells.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    const size_t at = big_u16(page, pointers + 2 * i);
    Cell cell;
    if (at >= content && at < kPageSize && parse_cell(page, at, parsed.kind, &cell)) {
      parsed.cells.push_back(cell);
    } else {
      ++parsed.bad_cells;
    }
  }
  return parsed;
}

size_t parse_record(Bytes payload, uint64_t size, std::span<Field> fields) {
  size_t at = 0;
  uint64_t header = 0;
  if (!read_varint(payload, &at, &header) || header > payload.size()) return 0;
  const Bytes types = payload.first(header);
  uint64_t body = header;
  size_t count = 0;
  while (at < header) {
    uint64_t type = 0;
    if (count == fields.size() || !read_varint(types, &at, &type)) return 0;
    const std::optional<uint64_t> bytes = size_of(type);
    if (!bytes || *bytes > size - body) return 0;
    const bool here = body + *bytes <= payload.size();
    fields[count++] = field_of(type, here ? payload.subspan(body, *bytes) : Bytes());
    body += *bytes;
  }
  return body == size ? count : 0;
}

}  // namespace fieldpost::sqlite
