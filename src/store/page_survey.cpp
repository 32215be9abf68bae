// SPDX-License-Identifier: Apache-2.0
#include "store/page_survey.hpp"

#include <algorithm>
#include <array>
#include <limits>

namespace fieldpost::sqlite {
namespace {

constexpr int kMaxDepth = 20;  // of a tree; SQLite itself goes no deeper
constexpr int64_t kLowest = std::numeric_limits<int64_t>::min();
constexpr int64_t kHighest = std::numeric_limits<int64_t>::max();
constexpr uint64_t kMaxSchemaRow = uint64_t{1} << 16;  // bytes

// Columns of sqlite_schema.
constexpr size_t kSchemaColumns = 5;
constexpr size_t kName = 1;
constexpr size_t kRootPage = 3;

// The tables that are salvaged, in the order in which they were made. A page of one table must not
// pass for one of another; 0 columns: of the other kind of tree, or of no use but for the pages
// that it has.
struct Table {
  std::string_view name;
  size_t columns;
};
constexpr Table kTables[] = {{"meta", 0},    {"boot", 2},      {"epoch", 0},
                             {"device", 2},  {"attribute", 2}, {"chunk", 6},
                             {"damaged", 0}, {"mirror", 3},    {"state", 0}};

// Indices, because what is in use by them is not free.
bool is_of_use(std::string_view name) {
  return name.starts_with("sqlite_autoindex_") ||
         std::ranges::find(kTables, name, &Table::name) != std::end(kTables);
}

bool is_index(PageKind kind) {
  return kind == PageKind::IndexInterior || kind == PageKind::IndexLeaf;
}

bool has_columns(const Page& leaf, size_t columns) {
  if (leaf.cells.empty() || columns == 0) return true;
  std::array<Field, 8> fields;
  return parse_record(leaf.cells[0].local, leaf.cells[0].size, fields) == columns;
}

// Ascending, and within bounds: what a page that a damaged pointer leads to hardly is.
bool in_order(const Page& leaf, int64_t above, int64_t last) {
  for (const Cell& cell : leaf.cells) {
    if (cell.row <= above || cell.row > last) return false;
    above = cell.row;
  }
  return true;
}

}  // namespace

PageSurvey::PageSurvey(const PageFile& file)
    : file_(file), uses_(size_t{file.pages()} + 1), reads_left_(uint64_t{file.pages()} * 4) {
  std::vector<Root> roots = read_schema();
  std::vector<uint32_t> unnamed;
  std::erase_if(roots, [&unnamed](const Root& r) {
    if (is_of_use(r.table)) return false;
    unnamed.push_back(r.page);
    return true;
  });
  // Roots ascend in the order in which their tables were made, for no page was free then. One
  // that was changed by damage, to a freed page at worst, most likely stands out of the row.
  std::vector<Root> believed;
  for (size_t i = 0; i < roots.size(); ++i) {
    const bool after = i == 0 || roots[i - 1].page < roots[i].page;
    const bool before = i + 1 == roots.size() || roots[i].page < roots[i + 1].page;
    if (after && before) believed.push_back(roots[i]);
  }
  // First the one whose pages no damaged pointer of another tree may take.
  std::ranges::stable_partition(believed, [](const Root& r) { return r.table == "chunk"; });
  for (const Table& table : kTables) trees_[std::string(table.name)].columns = table.columns;
  for (const Root& root : believed) {
    walking_ = root.table == "chunk" ? Use::Chunk : Use::Tree;
    walk(root.page, trees_[root.table]);
  }
  walking_ = Use::Tree;
  for (const uint32_t page : unnamed) walk(page, unnamed_);
}

std::vector<PageSurvey::Root> PageSurvey::read_schema() {
  Tree schema{.columns = kSchemaColumns};
  std::vector<Root> roots;
  Payload row;
  walk(1, schema);
  for (const uint32_t number : schema.pages) {
    PageBuffer buffer;
    if (!file_.read(number, buffer)) continue;
    const auto page = parse_page(buffer, number);
    if (!page) continue;
    for (const Cell& cell : page->cells) {
      Field fields[kSchemaColumns];
      if (!read_payload(cell, kMaxSchemaRow, row)) continue;
      if (parse_record(row.bytes, row.bytes.size(), fields) != kSchemaColumns) continue;
      claim(row);
      const int64_t root = fields[kRootPage].integer;
      if (root == 0) continue;  // a trigger
      const bool there = root > 1 && root <= int64_t{file_.pages()};
      roots.push_back({std::string(fields[kName].text()), there ? static_cast<uint32_t>(root) : 0});
    }
  }
  return roots;
}

void PageSurvey::walk(uint32_t root, Tree& tree) {
  PageBuffer buffer;
  const auto page = file_.read(root, buffer) ? parse_page(buffer, root) : std::nullopt;
  tree.whole = page && is_index(page->kind) ? walk_index(root, 0, tree)
                                            : walk_table(root, {kLowest, kHighest}, 0, tree);
}

const PageSurvey::Tree& PageSurvey::tree(std::string_view table) const {
  static const Tree kNone;
  const auto it = trees_.find(table);
  return it == trees_.end() ? kNone : it->second;
}

// The page's bytes, if no other has a claim to it.
bool PageSurvey::take(uint32_t number, PageBuffer& buffer) {
  if (number == 0 || number > file_.pages()) {
    ++unreadable_;
    return false;
  }
  if (uses_[number] != Use::Unknown) return false;
  if (file_.read(number, buffer)) return true;
  ++unreadable_;
  return false;
}

// True if all below is there.
bool PageSurvey::walk_table(uint32_t number, Keys keys, int depth, Tree& tree) {
  PageBuffer buffer;
  if (depth > kMaxDepth || !take(number, buffer)) return false;
  const auto page = parse_page(buffer, number);
  if (!page || is_index(page->kind)) {
    ++unreadable_;
    return false;
  }
  if (page->kind == PageKind::TableLeaf) {
    // Only a root is ever empty.
    if (page->cells.empty() && page->bad_cells == 0 && depth > 0) return false;
    if (!in_order(*page, keys.above, keys.last) || !has_columns(*page, tree.columns)) return false;
    uses_[number] = walking_;
    tree.pages.push_back(number);
    return page->bad_cells == 0;
  }
  uses_[number] = walking_;
  bool whole = page->bad_cells == 0;
  for (const Cell& cell : page->cells) {
    if (!walk_table(cell.child, {keys.above, cell.row}, depth + 1, tree)) whole = false;
    keys.above = cell.row;
  }
  return walk_table(page->right, keys, depth + 1, tree) && whole;
}

// The rows of a table WITHOUT ROWID stand on its interior pages too.
bool PageSurvey::walk_index(uint32_t number, int depth, Tree& tree) {
  PageBuffer buffer;
  if (depth > kMaxDepth || !take(number, buffer)) return false;
  const auto page = parse_page(buffer, number);
  if (!page || !is_index(page->kind)) {
    ++unreadable_;
    return false;
  }
  uses_[number] = walking_;
  tree.pages.push_back(number);
  bool whole = page->bad_cells == 0;
  if (page->kind == PageKind::IndexLeaf) return whole;
  for (const Cell& cell : page->cells) {
    if (!walk_index(cell.child, depth + 1, tree)) whole = false;
  }
  return walk_index(page->right, depth + 1, tree) && whole;
}

bool PageSurvey::read_payload(const Cell& cell, uint64_t limit, Payload& ret) {
  const uint64_t pages = (cell.size - cell.local.size()) / kOverflowSize + 1;
  if (cell.size > limit || (cell.overflow != 0 && pages > reads_left_)) return false;
  const bool whole = follow(cell, Use::Unknown, ret);
  reads_left_ -= ret.chain.size();
  return whole;
}

void PageSurvey::claim(const Payload& payload) {
  reads_left_ += payload.chain.size();
  for (const uint32_t page : payload.chain) uses_[page] = Use::Overflow;
}

bool PageSurvey::read_claimed(const Cell& cell, Payload& ret) const {
  return follow(cell, Use::Overflow, ret);
}

// Along the overflow chain, as long as its pages are used as `use`.
bool PageSurvey::follow(const Cell& cell, Use use, Payload& ret) const {
  ret.chain.clear();
  ret.bytes.assign(cell.local.begin(), cell.local.end());
  uint32_t next = cell.overflow;
  while (ret.bytes.size() < cell.size) {
    PageBuffer buffer;
    const bool usable = next != 0 && next <= file_.pages() && uses_[next] == use;
    if (!usable || !file_.read(next, buffer)) return false;
    ret.chain.push_back(next);
    next = big_u32(buffer, 0);
    const auto size = std::min<uint64_t>(kOverflowSize, cell.size - ret.bytes.size());
    const auto begin = buffer.begin() + 4;
    ret.bytes.insert(ret.bytes.end(), begin, begin + static_cast<ptrdiff_t>(size));
  }
  return true;
}

void PageSurvey::read_free_list() {
  std::vector<uint32_t> listed;
  if (!read_trunks(listed)) return;
  const auto used_as = [&](Use use) {
    return std::ranges::any_of(listed, [&](uint32_t page) { return uses_[page] == use; });
  };
  contested_ = used_as(Use::Chunk);
  // Rows of a contested page have claimed their overflow pages, which are in the list as well.
  free_list_believed_ = !used_as(Use::Tree) && (contested_ || !used_as(Use::Overflow));
  if (!free_list_believed_) return;
  for (const uint32_t page : listed) {
    if (uses_[page] == Use::Unknown) uses_[page] = Use::Free;
  }
}

// True if it is as long as the header says, has no page twice and none that is not in the file.
bool PageSurvey::read_trunks(std::vector<uint32_t>& listed) {
  PageBuffer buffer;
  if (!file_.read(1, buffer) || !begins_with_magic(buffer)) return false;
  uint32_t trunk = big_u32(buffer, 32);
  const uint32_t count = big_u32(buffer, 36);
  const uint32_t last = std::min(file_.pages(), big_u32(buffer, 28));  // the file grows ahead
  if (count >= last) return false;
  std::vector<bool> seen(uses_.size());
  const auto add = [&](uint32_t page) {
    if (page < 2 || page > last || seen[page]) return false;
    seen[page] = true;
    listed.push_back(page);
    return listed.size() <= count;
  };
  while (trunk != 0) {
    if (!add(trunk) || !file_.read(trunk, buffer)) return false;
    const size_t leaves = big_u32(buffer, 4);
    if (leaves > kPageSize / 4 - 2) return false;
    for (size_t i = 0; i < leaves; ++i) {
      if (!add(big_u32(buffer, 8 + 4 * i))) return false;
    }
    trunk = big_u32(buffer, 0);
  }
  return listed.size() == count;
}

std::vector<uint32_t> PageSurvey::strays() const {
  std::vector<uint32_t> found;
  PageBuffer buffer;
  for (uint32_t number = 2; number <= file_.pages(); ++number) {
    if (uses_[number] != Use::Unknown || !file_.read(number, buffer)) continue;
    if (static_cast<PageKind>(buffer[0]) == PageKind::TableLeaf) found.push_back(number);
  }
  return found;
}

}  // namespace fieldpost::sqlite
