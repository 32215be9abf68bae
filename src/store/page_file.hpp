// SPDX-License-Identifier: Apache-2.0
//
// The pages of an outbox's file as its last commit left them, read without SQLite: the file, and
// over it what the WAL has.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <unordered_map>

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "store/sqlite_page.hpp"

namespace fieldpost::sqlite {

using PageBuffer = std::array<uint8_t, kPageSize>;

class PageFile {
 public:
  // More are not looked at: 16 GiB, so that a file of any size costs a bounded time.
  static constexpr uint32_t kMaxPages = uint32_t{1} << 24;

  // `path` and `path`-wal, of which one may be missing. Of the WAL those frames count whose salts
  // and checksums go on from its header, up to the last that ends a transaction: what SQLite
  // itself would read. Errors: NotFound (neither is there), Io.
  static Result<PageFile> open(const std::string& path);

  // Pages are numbered from 1 to this.
  uint32_t pages() const { return pages_; }
  // False if the page is not there or the medium does not give it. What is cut off at the end of
  // a file reads as 0.
  bool read(uint32_t number, PageBuffer& page) const;

 private:
  void read_wal();

  UniqueFd file_, wal_;
  uint32_t file_pages_ = 0;
  uint32_t pages_ = 0;
  std::unordered_map<uint32_t, int64_t> in_wal_;  // page → offset of its content in the WAL
};

// Whether page 1 begins as it must.
bool begins_with_magic(const PageBuffer& page);

// Looks for damage in the file's header that SQLite would not notice, but act upon: another way to
// read pages or text, a count of pages that leaves some out and would use them again. Only of a
// file that has the mark of an outbox, give or take a few bits. Errors: Corrupt, Io.
Result<> check_header(const std::string& path);

}  // namespace fieldpost::sqlite
