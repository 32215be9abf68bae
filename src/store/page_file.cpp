// SPDX-License-Identifier: Apache-2.0
#include "store/page_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <string_view>

namespace fieldpost::sqlite {
namespace {

// https://www.sqlite.org/fileformat2.html, section 4.
constexpr size_t kWalHeaderSize = 32;
constexpr size_t kFrameHeaderSize = 24;
constexpr uint32_t kWalMagic = 0x377f0682;  // + 1: checksums of big-endian words
constexpr uint32_t kWalVersion = 3'007'000;

static_assert(sizeof(off_t) == sizeof(int64_t));  // on 32 bits too: cmake/Fieldpost.cmake

// Up to `size` bytes, or -1; what is missing is 0.
ssize_t read_at(int fd, int64_t offset, uint8_t* into, size_t size) {
  size_t done = 0;
  while (done < size) {
    const ssize_t n = ::pread(fd, into + done, size - done, offset + static_cast<int64_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -1;
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  std::fill(into + done, into + size, uint8_t{0});
  return static_cast<ssize_t>(done);
}

struct Checksum {
  uint32_t a = 0;
  uint32_t b = 0;
  bool operator==(const Checksum&) const = default;

  void add(Bytes bytes, bool big) {
    const auto word = [&](size_t at) {
      const uint32_t value = big_u32(bytes, at);
      return big ? value : __builtin_bswap32(value);
    };
    for (size_t i = 0; i + 8 <= bytes.size(); i += 8) {
      a += word(i) + b;
      b += word(i + 4) + a;
    }
  }
};

Result<UniqueFd> open_file(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!fd && errno != ENOENT) return Error::from_errno(errno, "open '" + path + "'");
  return fd;
}

Result<uint32_t> pages_of(int fd, const std::string& path) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return Error::from_errno(errno, "look at '" + path + "'");
  if (!S_ISREG(info.st_mode)) return Error{Errc::Io, "'" + path + "' is not a file; move it away"};
  const int64_t pages = (info.st_size + int64_t{kPageSize} - 1) / int64_t{kPageSize};
  return static_cast<uint32_t>(std::min<int64_t>(pages, PageFile::kMaxPages));
}

// What the header of every outbox says, by offset; section 1.3 of the format.
constexpr struct {
  size_t offset;
  std::string_view bytes;
} kHeader[] = {
    {0, {"SQLite format 3\0", 16}},
    {16, {"\4\0\2\2\0\100\40\40", 8}},  // page size, WAL, nothing reserved, fractions
    {44, {"\0\0\0\4", 4}},              // schema format
    {52, {"\0\0\0\0\0\0\0\1", 8}},      // no auto_vacuum; UTF-8
    {64, {"\0\0\0\0", 4}},              // no incremental vacuum
    {72, {"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20}},
};
constexpr uint32_t kApplicationId = 0x46504F42;
constexpr int kFewBits = 4;

}  // namespace

Result<PageFile> PageFile::open(const std::string& path) {
  PageFile opened;
  opened.file_ = FP_TRY(open_file(path));
  opened.wal_ = FP_TRY(open_file(path + "-wal"));
  if (!opened.file_ && !opened.wal_) return Error{Errc::NotFound, "there is no '" + path + "'"};
  if (opened.file_) opened.file_pages_ = FP_TRY(pages_of(opened.file_.get(), path));
  opened.pages_ = opened.file_pages_;
  if (opened.wal_) opened.read_wal();
  return opened;
}

void PageFile::read_wal() {
  std::array<uint8_t, kWalHeaderSize> header;
  if (read_at(wal_.get(), 0, header.data(), header.size()) != ssize_t{kWalHeaderSize}) return;
  const bool big = big_u32(header, 0) == kWalMagic + 1;
  if ((!big && big_u32(header, 0) != kWalMagic) || big_u32(header, 4) != kWalVersion ||
      big_u32(header, 8) != kPageSize) {
    return;
  }
  Checksum sum;
  sum.add(Bytes(header).first(24), big);
  if (sum != Checksum{big_u32(header, 24), big_u32(header, 28)}) return;

  std::array<uint8_t, kFrameHeaderSize + kPageSize> frame;
  std::unordered_map<uint32_t, int64_t> transaction;
  for (int64_t at = kWalHeaderSize;; at += int64_t{frame.size()}) {
    const ssize_t got = read_at(wal_.get(), at, frame.data(), frame.size());
    if (got != static_cast<ssize_t>(frame.size())) return;
    if (!std::equal(frame.begin() + 8, frame.begin() + 16, header.begin() + 16)) return;
    sum.add(Bytes(frame).first(8), big);
    sum.add(Bytes(frame).subspan(kFrameHeaderSize), big);
    if (sum != Checksum{big_u32(frame, 16), big_u32(frame, 20)}) return;
    const uint32_t number = big_u32(frame, 0);
    if (number == 0) return;
    if (number <= kMaxPages) transaction[number] = at + int64_t{kFrameHeaderSize};
    const uint32_t pages_at_commit = big_u32(frame, 4);
    if (pages_at_commit == 0) continue;
    for (const auto& [page, offset] : transaction) {
      in_wal_[page] = offset;
      pages_ = std::max(pages_, page);
    }
    transaction.clear();
    pages_ = std::max(pages_, std::min(pages_at_commit, kMaxPages));
  }
}

bool PageFile::read(uint32_t number, PageBuffer& page) const {
  if (number == 0 || number > pages_) return false;
  if (const auto it = in_wal_.find(number); it != in_wal_.end()) {
    return read_at(wal_.get(), it->second, page.data(), page.size()) ==
           static_cast<ssize_t>(page.size());
  }
  if (number > file_pages_) return false;
  const int64_t offset = int64_t{number - 1} * int64_t{kPageSize};
  return read_at(file_.get(), offset, page.data(), page.size()) > 0;
}

bool begins_with_magic(const PageBuffer& page) {
  return std::memcmp(page.data(), kHeader[0].bytes.data(), kHeader[0].bytes.size()) == 0;
}

Result<> check_header(const std::string& path) {
  const PageFile file = FP_TRY(PageFile::open(path));
  PageBuffer page;
  if (!file.read(1, page)) return {};
  const int wrong_bits = std::popcount(big_u32(page, 68) ^ kApplicationId);
  if (wrong_bits > kFewBits) return {};
  const auto corrupt = [&](const char* what) {
    return Error{Errc::Corrupt, "'" + path + "' is damaged: " + what};
  };
  if (wrong_bits > 0) return corrupt("its application_id");
  for (const auto& [offset, bytes] : kHeader) {
    if (std::memcmp(page.data() + offset, bytes.data(), bytes.size()) != 0) {
      return corrupt("its header");
    }
  }
  if (big_u32(page, 60) == 0) return corrupt("it has no schema");
  // The file grows ahead of its use, and what is not in use yet is 0.
  for (uint32_t number = big_u32(page, 28) + 1; number != 0 && number <= file.pages(); ++number) {
    if (file.read(number, page) && std::ranges::any_of(page, [](uint8_t b) { return b != 0; })) {
      return corrupt("its number of pages");
    }
  }
  return {};
}

}  // namespace fieldpost::sqlite
