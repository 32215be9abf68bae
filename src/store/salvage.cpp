// SPDX-License-Identifier: Apache-2.0
#include "store/salvage.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <initializer_list>
#include <optional>
#include <span>
#include <utility>

#include "store/chunk_format.hpp"
#include "store/page_survey.hpp"

namespace fieldpost {
namespace {

using namespace sqlite;

// The longest body by far: all numbers raw, each in a column of its own, and the texts.
constexpr uint64_t kMaxRowBytes = kMaxChunkText + kMaxChunkPoints * 64;
constexpr size_t kMostColumns = 6;
// Beyond any that is given out, but low enough to go on from.
constexpr int64_t kMaxRow = int64_t{1} << 62;
using Fields = std::array<Field, kMostColumns>;

bool is(const Fields& fields, std::initializer_list<Field::Kind> kinds) {
  return std::equal(kinds.begin(), kinds.end(), fields.begin(),
                    [](Field::Kind kind, const Field& field) { return field.kind == kind; });
}

bool looks_like_chunk(const Fields& fields) {
  using enum Field::Kind;
  return is(fields, {Null, Integer, Integer, Integer, Integer, Blob});
}

// nullopt unless the checksum holds.
std::optional<Salvage::Row> to_row(int64_t id, Bytes record) {
  Fields fields;
  if (parse_record(record, record.size(), fields) != kMostColumns || !looks_like_chunk(fields)) {
    return std::nullopt;
  }
  const Bytes body = fields[5].bytes;
  const ChunkKey key{.device = fields[1].integer,
                     .boot = fields[2].integer,
                     .t0 = fields[3].integer,
                     .points = fields[4].integer};
  if (key.points < 1 || key.points > static_cast<int64_t>(kMaxChunkPoints)) return std::nullopt;
  if (!chunk_format::checksum_holds(body, key)) return std::nullopt;
  return Salvage::Row{.id = id, .key = key, .body = fields[5].text()};
}

// The number that the line begins with; the line goes on behind it.
std::optional<int64_t> take_number(std::string_view& line) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), number);
  if (error != std::errc()) return std::nullopt;
  line.remove_prefix(static_cast<size_t>(end - line.data()));
  if (!line.empty() && line.front() == ' ') line.remove_prefix(1);
  return number;
}

std::string counted(int64_t number, const char* one, const char* many) {
  return std::to_string(number) + " " + (number == 1 ? one : many);
}

}  // namespace

std::string SalvageReport::text() const {
  std::string text = counted(rows, "row", "rows") + " with " +
                     counted(readings, "reading", "readings") + " saved from " +
                     counted(pages, "page", "pages");
  if (lost_rows > 0) text += "; " + counted(lost_rows, "damaged row", "damaged rows") + " lost";
  if (unreadable_pages > 0) {
    text += "; " + counted(unreadable_pages, "page", "pages") +
            " could not be read, and it is not known what was there";
  }
  if (may_repeat) {
    text +=
        "; what was in use and what was not could not be told apart, so readings that were "
        "acknowledged may be sent again";
  }
  return text;
}

struct Salvage::Impl {
  explicit Impl(PageFile f) : file(std::move(f)), survey(file) {}

  // Where a row stands. 16 bytes, for there may be millions.
  struct Place {
    int64_t id;
    uint32_t page;
    uint32_t cell : 10;    // of the page
    uint32_t points : 14;  // up to kMaxChunkPoints
    uint32_t stray : 1;
  };

  void read();
  void read_chunks(uint32_t number, bool stray);
  void read_strays(std::span<const uint32_t> pages);
  std::optional<Row> check(const Cell& cell);
  void sort_rows();

  template <class F>
  int64_t each_record(std::span<const uint32_t> pages, F take);
  void read_line(std::string_view line);
  int64_t read_mirror(std::span<const uint32_t> pages);
  Names names_of(const char* table);
  Epochs table_of_epochs();
  void read_meta();
  void read_state();
  template <class Map>
  void complete(Map& mirror, Map table) const;

  PageFile file;
  PageSurvey survey;
  PageSurvey::Payload payload;
  std::vector<Place> places;
  Names devices, attributes, boots;
  Epochs epochs;
  std::map<std::string, MetaValue> meta;
  std::optional<State> state;
  bool mirror_damaged = false;  // visibly
  SalvageReport report;
};

Result<Salvage> Salvage::read(const std::string& path) {
  auto impl = std::make_unique<Impl>(FP_TRY(PageFile::open(path).context("salvage")));
  impl->read();
  return Salvage(std::move(impl));
}

Salvage::Salvage(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Salvage::Salvage(Salvage&&) noexcept = default;
Salvage& Salvage::operator=(Salvage&&) noexcept = default;
Salvage::~Salvage() = default;

void Salvage::Impl::read() {
  const PageSurvey::Tree& chunks = survey.tree("chunk");
  for (const uint32_t page : chunks.pages) read_chunks(page, false);
  const PageSurvey::Tree& mirror = survey.tree("mirror");
  mirror_damaged = read_mirror(mirror.pages) > 0 || !mirror.whole;
  // Of no use, but their overflow pages are in use.
  each_record(survey.tree("damaged").pages, [](int64_t, const Fields&, size_t) { return true; });
  if (!chunks.whole || !mirror.whole) read_strays(survey.unnamed().pages);
  survey.read_free_list();
  // Pages that nothing is known of are parts of a tree with a damaged page, or freed by a damaged
  // list. Either the list shows that they are not free, or rows are missing and they are the only
  // place where those can be.
  if (survey.free_list_believed() || survey.contested() || !chunks.whole) {
    read_strays(survey.strays());
    report.may_repeat = survey.contested() ||
                        (!survey.free_list_believed() &&
                         std::ranges::any_of(places, [](const Place& p) { return p.stray != 0; }));
  }
  sort_rows();
  complete(devices, names_of("device"));
  complete(attributes, names_of("attribute"));
  complete(boots, names_of("boot"));
  complete(epochs, table_of_epochs());
  read_meta();
  read_state();
  report.pages = file.pages();
  report.unreadable_pages = survey.unreadable_pages();
}

// Rows.

void Salvage::Impl::read_chunks(uint32_t number, bool stray) {
  PageBuffer buffer;
  const auto page = file.read(number, buffer) ? parse_page(buffer, number) : std::nullopt;
  if (!page || page->kind != PageKind::TableLeaf) return;
  const size_t before = places.size();
  auto lost = static_cast<int64_t>(page->bad_cells);
  for (size_t i = 0; i < page->cells.size(); ++i) {
    if (const auto row = check(page->cells[i])) {
      places.push_back({.id = row->id,
                        .page = number,
                        .cell = static_cast<uint32_t>(i) & 0x3ff,
                        .points = static_cast<uint32_t>(row->key.points) & 0x3fff,
                        .stray = stray});
    } else {
      ++lost;
    }
  }
  // A stray page without a row may be anything.
  if (!stray || places.size() > before) report.lost_rows += lost;
}

void Salvage::Impl::read_strays(std::span<const uint32_t> pages) {
  for (const uint32_t page : pages) read_chunks(page, true);
  read_mirror(pages);
}

// The row, if its checksum holds; its overflow pages are in use, then.
std::optional<Salvage::Row> Salvage::Impl::check(const Cell& cell) {
  Fields fields;
  if (parse_record(cell.local, cell.size, fields) != kMostColumns || !looks_like_chunk(fields)) {
    return std::nullopt;  // before anything is read for it
  }
  if (cell.row < 1 || cell.row > kMaxRow) return std::nullopt;
  if (!survey.read_payload(cell, kMaxRowBytes, payload)) return std::nullopt;
  auto row = to_row(cell.row, payload.bytes);
  if (row) survey.claim(payload);
  return row;
}

// By id, and no id twice: what stands in the tree goes before what strays.
void Salvage::Impl::sort_rows() {
  std::ranges::stable_sort(places, [](const Place& a, const Place& b) {
    return std::pair(a.id, +a.stray) < std::pair(b.id, +b.stray);
  });
  const auto doubles = std::ranges::unique(places, {}, &Place::id);
  places.erase(doubles.begin(), doubles.end());
  report.rows = static_cast<int64_t>(places.size());
  for (const Place& place : places) report.readings += place.points;
}

Result<> Salvage::each_row(const std::function<Result<>(const Row&)>& take) const {
  PageBuffer buffer;
  PageSurvey::Payload payload;
  std::optional<Page> page;
  uint32_t at = 0;
  for (const Impl::Place& place : impl_->places) {
    if (at != place.page) {
      page = impl_->file.read(place.page, buffer) ? parse_page(buffer, place.page) : std::nullopt;
      at = place.page;
    }
    // A medium may give today what it does not give tomorrow.
    if (!page || place.cell >= page->cells.size()) continue;
    const Cell& cell = page->cells[place.cell];
    if (!impl_->survey.read_claimed(cell, payload)) continue;
    if (const auto row = to_row(cell.row, payload.bytes)) FP_CHECK_OK(take(*row));
  }
  return {};
}

// Names and clocks.

// `take(rowid, fields, columns)` for each record on the pages; it says whether that is one. Returns
// how many were none.
template <class F>
int64_t Salvage::Impl::each_record(std::span<const uint32_t> pages, F take) {
  PageBuffer buffer;
  int64_t bad = 0;
  for (const uint32_t number : pages) {
    const auto page = file.read(number, buffer) ? parse_page(buffer, number) : std::nullopt;
    if (!page) continue;
    bad += static_cast<int64_t>(page->bad_cells);
    for (const Cell& cell : page->cells) {
      Fields fields;
      size_t columns = 0;
      if (survey.read_payload(cell, kMaxRowBytes, payload)) {
        columns = parse_record(payload.bytes, payload.bytes.size(), fields);
      }
      if (columns > 0 && take(cell.row, fields, columns)) {
        survey.claim(payload);
      } else {
        ++bad;
      }
    }
  }
  return bad;
}

int64_t Salvage::Impl::read_mirror(std::span<const uint32_t> pages) {
  return each_record(pages, [this](int64_t, const Fields& fields, size_t columns) {
    using enum Field::Kind;
    if (columns != 3 || !is(fields, {Null, Text, Text})) return false;
    if (fields[1].text() != fields[2].text()) return false;
    read_line(fields[1].text());
    return true;
  });
}

// "device 1 575ecf887ae143cd83dc4aa3", "attribute 1 temperature", "boot 1 <uuid>",
// "epoch <boot> <since_ms> <offset_ms>", and " 1" behind it if that is estimated.
void Salvage::Impl::read_line(std::string_view line) {
  const size_t space = std::min(line.find(' '), line.size());
  const std::string_view kind = line.substr(0, space);
  line.remove_prefix(std::min(space + 1, line.size()));
  const auto id = take_number(line);
  if (!id) return;
  if (kind == "device") devices.emplace(*id, line);
  if (kind == "attribute") attributes.emplace(*id, line);
  if (kind == "boot") boots.emplace(*id, line);
  if (kind != "epoch") return;
  const auto since = take_number(line);
  const auto offset = take_number(line);
  if (!since || !offset) return;
  epochs.emplace(std::pair(*id, *since), Epoch{*since, *offset, take_number(line) == 1});
}

Salvage::Names Salvage::Impl::names_of(const char* table) {
  Names names;
  const auto& pages = survey.tree(table).pages;
  each_record(pages, [&names](int64_t id, const Fields& fields, size_t columns) {
    using enum Field::Kind;
    if (columns != 2 || !is(fields, {Null, Text})) return false;
    names.emplace(id, fields[1].text());
    return true;
  });
  return names;
}

Salvage::Epochs Salvage::Impl::table_of_epochs() {
  Epochs found;
  const auto& pages = survey.tree("epoch").pages;
  each_record(pages, [&found](int64_t, const Fields& fields, size_t columns) {
    using enum Field::Kind;
    const bool estimated = columns == 4 && fields[3].kind == Integer && fields[3].integer == 1;
    if (columns < 3 || columns > 4 || !is(fields, {Integer, Integer, Integer})) return false;
    found.emplace(std::pair(fields[0].integer, fields[1].integer),
                  Epoch{fields[1].integer, fields[2].integer, estimated});
    return true;
  });
  return found;
}

void Salvage::Impl::read_meta() {
  const auto& pages = survey.tree("meta").pages;
  each_record(pages, [this](int64_t, const Fields& fields, size_t columns) {
    using enum Field::Kind;
    if (columns != 2 || fields[0].kind != Text) return false;
    const std::string key(fields[0].text());
    const Field& value = fields[1];
    if (value.kind == Integer) meta.emplace(key, value.integer);
    if (value.kind == Text) meta.emplace(key, std::string(value.text()));
    return true;
  });
}

void Salvage::Impl::read_state() {
  const auto& pages = survey.tree("state").pages;
  each_record(pages, [this](int64_t, const Fields& fields, size_t columns) {
    using enum Field::Kind;
    if (columns < 5 || !is(fields, {Integer, Integer, Integer, Integer, Integer})) return false;
    state = {fields[0].integer, fields[1].integer, fields[2].integer};
    return true;
  });
}

// To what the mirror has, what the table has beyond it. One lost line of the mirror shows in that
// the table has all the others too; one changed row of the table in that it does not.
template <class Map>
void Salvage::Impl::complete(Map& mirror, Map table) const {
  if (mirror_damaged || std::ranges::includes(table, mirror)) mirror.merge(table);
}

const Salvage::Names& Salvage::devices() const { return impl_->devices; }
const Salvage::Names& Salvage::attributes() const { return impl_->attributes; }
const Salvage::Names& Salvage::boots() const { return impl_->boots; }
const Salvage::Epochs& Salvage::epochs() const { return impl_->epochs; }
const std::map<std::string, Salvage::MetaValue>& Salvage::meta() const { return impl_->meta; }
const std::optional<Salvage::State>& Salvage::state() const { return impl_->state; }
int64_t Salvage::schema() const {
  PageBuffer page;
  return impl_->file.read(1, page) ? int64_t{big_u32(page, 60)} : 0;
}
const SalvageReport& Salvage::report() const { return impl_->report; }

}  // namespace fieldpost
