// SPDX-License-Identifier: Apache-2.0
//
// Which pages of a damaged outbox are in use, and for what. A page that SQLite has freed keeps its
// old cells, and those are rows that were acknowledged long ago; so a row is believed for where it
// stands, not for its looks alone. docs/storage-format.md, "A damaged file", has the rules.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "store/page_file.hpp"

namespace fieldpost::sqlite {

class PageSurvey {
 public:
  // Walks all b-trees that the schema names. `file` must outlive this.
  explicit PageSurvey(const PageFile& file);

  struct Tree {
    size_t columns = 0;           // that its rows must have; 0: not known
    std::vector<uint32_t> pages;  // that have rows, in the order of their keys
    bool whole = false;           // no page of it is missing, as far as can be seen
  };
  // One that nothing is known of is empty and not whole.
  const Tree& tree(std::string_view table) const;
  // Of all tables with names that mean nothing here. A later version may have made them; or damage
  // has changed one bit of "chunk", and all rows are there.
  const Tree& unnamed() const { return unnamed_; }

  // A cell's whole payload, and the pages of its overflow chain.
  struct Payload {
    std::vector<uint8_t> bytes;
    std::vector<uint32_t> chain;
  };
  // False if it has more than `limit` bytes or its chain is not whole or runs into pages that are
  // used otherwise. Chains that lead nowhere are followed for a bounded number of pages in all.
  bool read_payload(const Cell& cell, uint64_t limit, Payload& ret);
  // The row is good, so its overflow pages are in use.
  void claim(const Payload& payload);
  // The same once more, of a row that was claimed.
  bool read_claimed(const Cell& cell, Payload& ret) const;

  // Reads the list of free pages. To be called when the rows of the trees have claimed their
  // pages: a list that has one of those, or is damaged otherwise, is not believed at all; but for
  // pages of the tree of `chunk`, which are contested then.
  void read_free_list();
  bool free_list_believed() const { return free_list_believed_; }
  // Pages are in the tree of `chunk` and in the list of free ones: either the list is damaged, or a
  // pointer in the tree, and then what it pointed to is among the strays.
  bool contested() const { return contested_; }

  // The table leaves that nothing is known of: neither in a tree nor free. In an undamaged file
  // there are none.
  std::vector<uint32_t> strays() const;

  // Pages that a tree refers to and that cannot be read as what they should be.
  int64_t unreadable_pages() const { return unreadable_; }

 private:
  enum class Use : uint8_t { Unknown, Tree, Chunk, Overflow, Free };
  struct Keys {
    int64_t above;  // all are greater
    int64_t last;   // none is greater
  };
  struct Root {
    std::string table;
    uint32_t page;
  };

  std::vector<Root> read_schema();
  bool follow(const Cell& cell, Use use, Payload& ret) const;
  void walk(uint32_t root, Tree& tree);
  bool walk_table(uint32_t number, Keys keys, int depth, Tree& tree);
  bool walk_index(uint32_t number, int depth, Tree& tree);
  bool take(uint32_t number, PageBuffer& buffer);
  bool read_trunks(std::vector<uint32_t>& listed);

  const PageFile& file_;
  std::vector<Use> uses_;  // by page number
  std::map<std::string, Tree, std::less<>> trees_;
  Tree unnamed_;
  Use walking_ = Use::Tree;  // what its pages are used for
  bool free_list_believed_ = false;
  bool contested_ = false;
  int64_t unreadable_ = 0;
  uint64_t reads_left_;  // of overflow pages, until claim() shows that they were worth it
};

}  // namespace fieldpost::sqlite
