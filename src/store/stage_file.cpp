// SPDX-License-Identifier: Apache-2.0
#include "store/stage_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <utility>

namespace fieldpost {
namespace {

static_assert(std::endian::native == std::endian::little, "fixed fields are copied as they are");

constexpr std::array<char, 4> kMagic = {'F', 'P', 'S', '1'};
constexpr size_t kBootBytes = 36;
struct HeaderBytes {
  std::array<char, 4> magic;
  uint32_t sum;  // of what follows
  uint64_t generation;
  uint64_t log;
  std::array<char, kBootBytes> boot;
  uint32_t salt;  // random
};
static_assert(sizeof(HeaderBytes) == 64);

struct RecordHead {
  uint32_t size;
  uint32_t sum;
};
constexpr int64_t kFirstRecord = sizeof(HeaderBytes);
constexpr size_t kReadAtOnce = size_t{256} << 10;
constexpr size_t kProbablyEnough = 4096;  // for a record, to read it with one call

int64_t bytes_of_record(size_t body) { return static_cast<int64_t>(sizeof(RecordHead) + 1 + body); }

// Of eight bytes at a time, as a CRC takes longer than encoding does. Each step maps different
// states to different ones, so a single word that changed is always seen, and what is torn or old
// passes once in 2^32 times.
uint32_t sum_of(uint64_t seed, std::span<const std::byte> bytes) {
  uint64_t state = seed ^ bytes.size();
  const auto mix = [&state](uint64_t word) {
    state = (state ^ word) * 0x9E3779B97F4A7C15U;
    state ^= state >> 32;
  };
  uint64_t word = 0;
  for (; bytes.size() >= sizeof word; bytes = bytes.subspan(sizeof word)) {
    std::memcpy(&word, bytes.data(), sizeof word);
    mix(word);
  }
  word = 0;
  std::memcpy(&word, bytes.data(), bytes.size());
  mix(word);
  return static_cast<uint32_t>(state);
}

uint32_t sum_of(const HeaderBytes& header) {
  const auto bytes = std::as_bytes(std::span(&header, 1));
  return sum_of(0, bytes.subspan(offsetof(HeaderBytes, generation)));
}

}  // namespace

Result<StageFile> StageFile::open(const std::string& path, int64_t bytes) {
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return Error::from_errno(errno, "open '" + path + "'");
  StageFile file(std::move(fd), path);
  FP_CHECK_OK(file.load_header());
  FP_CHECK_OK(file.reserve(bytes));
  return file;
}

Result<StageFile> StageFile::open_to_read(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!fd) return Error::from_errno(errno, "open '" + path + "'");
  StageFile file(std::move(fd), path);
  FP_CHECK_OK(file.load_header());
  file.wanted_ = file.bytes_ = ::lseek(file.fd_.get(), 0, SEEK_END);
  return file;
}

Result<StageFile> StageFile::open_in_memory(const std::string& path, int64_t bytes) {
  UniqueFd fd(::memfd_create("fieldpost-stage", MFD_CLOEXEC));
  if (!fd) return Error::from_errno(errno, "make a file in memory");
  StageFile file(std::move(fd), path);
  FP_CHECK_OK(file.reserve(bytes));
  return file;
}

Result<StageFile::Header> StageFile::header_of(const std::string& path) {
  return FP_TRY(open_to_read(path)).header();
}

bool StageFile::in_place() const {
  struct stat here {};
  struct stat open {};
  return ::stat(path_.c_str(), &here) == 0 && ::fstat(fd_.get(), &open) == 0 &&
         here.st_dev == open.st_dev && here.st_ino == open.st_ino;
}

Result<> StageFile::remake() {
  const auto other = header_of(path_);
  if (other && other->generation > 0 && other->log != header_.log) {
    return Error{Errc::Unavailable, "'" + path_ + "' is in the way: it is another log's"};
  }
  (void)::mkdir(path_.substr(0, path_.rfind('/')).c_str(), 0700);  // the open says what is wrong
  const std::string building = path_ + ".new";
  (void)::unlink(building.c_str());
  StageFile file = FP_TRY(open(building, bytes_));
  FP_CHECK_OK(file.copy_from(*this));
  if (::rename(building.c_str(), path_.c_str()) != 0) {
    return Error::from_errno(errno, "rename '" + building + "' to '" + path_ + "'");
  }
  fd_ = std::move(file.fd_);
  return {};
}

// What is used, and the zeros that end it.
Result<> StageFile::copy_from(const StageFile& other) {
  const int64_t end = std::min<int64_t>(other.end_ + int64_t{sizeof(RecordHead)}, other.bytes_);
  std::vector<std::byte> block;
  for (int64_t at = 0; at < end; at += static_cast<int64_t>(block.size())) {
    const auto left = static_cast<size_t>(end - at);
    FP_CHECK_OK(other.read_at(at, std::min(kReadAtOnce, left), block));
    if (block.empty()) return Error{Errc::Io, "'" + path_ + "' has become shorter"};
    FP_CHECK_OK(write_at(at, block));
  }
  return {};
}

Result<> StageFile::reserve(int64_t bytes) {
  int failure = 0;
  if (bytes > 0) {
    do failure = ::posix_fallocate(fd_.get(), 0, bytes);
    while (failure == EINTR);
  }
  const off_t size = ::lseek(fd_.get(), 0, SEEK_END);
  // What is in one that cannot grow is worth more than the room that is missing.
  if (failure != 0 && header_.generation == 0) {
    return Error::from_errno(failure,
                             "reserve " + std::to_string(bytes) + " bytes for '" + path_ + "'");
  }
  wanted_ = bytes > 0 ? bytes : size;
  bytes_ = size;
  return {};
}

Result<> StageFile::load_header() {
  HeaderBytes bytes{};
  std::vector<std::byte> read;
  FP_CHECK_OK(read_at(0, sizeof bytes, read));
  std::ranges::copy(read, std::as_writable_bytes(std::span(&bytes, 1)).begin());
  if (read.size() < sizeof bytes || bytes.magic != kMagic || bytes.sum != sum_of(bytes)) return {};
  const auto boot_end = std::ranges::find(bytes.boot, '\0');
  header_ = {.generation = bytes.generation,
             .log = bytes.log,
             .boot = std::string(bytes.boot.begin(), boot_end)};
  seed_ = bytes.sum;
  end_ = kFirstRecord;
  return {};
}

Result<> StageFile::begin(Header header) {
  HeaderBytes bytes{.magic = kMagic, .generation = header.generation, .log = header.log};
  if (::getrandom(&bytes.salt, sizeof bytes.salt, 0) != sizeof bytes.salt) {
    return Error::from_errno(errno, "getrandom");
  }
  header.boot.resize(std::min(header.boot.size(), kBootBytes));
  std::ranges::copy(header.boot, bytes.boot.begin());
  bytes.sum = sum_of(bytes);
  FP_CHECK_OK(write_at(0, std::as_bytes(std::span(&bytes, 1))));
  header_ = std::move(header);
  seed_ = bytes.sum;
  end_ = kFirstRecord;
  if (bytes_ > wanted_ && ::ftruncate(fd_.get(), wanted_) == 0) bytes_ = wanted_;
  return {};
}

bool StageFile::has_room(size_t body) const {
  return end_ >= kFirstRecord && end_ + bytes_of_record(body) <= bytes_;
}

bool StageFile::could_hold(size_t body) const {
  return kFirstRecord + bytes_of_record(body) <= bytes_;
}

Result<int64_t> StageFile::append(uint8_t type, std::span<const std::byte> body) {
  if (!has_room(body.size())) return Error{Errc::Full, "'" + path_ + "' is full"};
  const int64_t next = end_ + bytes_of_record(body.size());
  const auto zeros = std::min<int64_t>(sizeof(RecordHead), bytes_ - next);
  frame_.resize(sizeof(RecordHead) + 1);
  frame_.back() = static_cast<std::byte>(type);
  frame_.insert(frame_.end(), body.begin(), body.end());
  const auto checked = std::span<const std::byte>(frame_).subspan(sizeof(RecordHead));
  const RecordHead head{.size = static_cast<uint32_t>(checked.size()),
                        .sum = sum_of(seed_, checked)};
  std::memcpy(frame_.data(), &head, sizeof head);
  frame_.resize(frame_.size() + static_cast<size_t>(zeros));
  FP_CHECK_OK(write_at(end_, frame_));
  return std::exchange(end_, next);
}

Result<> StageFile::scan(const OnRecord& on_record) {
  if (header_.generation == 0) return {};
  std::vector<std::byte> window;  // of the file, from `begin` on
  int64_t begin = end_ = kFirstRecord;
  for (;;) {
    const auto at = static_cast<size_t>(end_ - begin);
    RecordHead head{};
    const bool whole_head = window.size() >= at + sizeof head;
    if (whole_head) std::memcpy(&head, window.data() + at, sizeof head);
    if (whole_head && (head.size == 0 || end_ + int64_t{head.size} > bytes_)) return {};
    const size_t needed = at + sizeof head + (whole_head ? head.size : 0);
    if (!whole_head || window.size() < needed) {
      FP_CHECK_OK(read_at(end_, std::max(kReadAtOnce, sizeof head + head.size), window));
      begin = end_;
      if (window.size() < sizeof head + std::max<size_t>(1, head.size)) return {};
      continue;
    }
    const auto checked = std::span<const std::byte>(window).subspan(at + sizeof head, head.size);
    if (sum_of(seed_, checked) != head.sum) return {};
    on_record(end_, static_cast<uint8_t>(checked[0]), checked.subspan(1));
    end_ += static_cast<int64_t>(sizeof head) + int64_t{head.size};
  }
}

Result<std::span<const std::byte>> StageFile::read(int64_t offset,
                                                   std::vector<std::byte>& buffer) const {
  RecordHead head{};
  FP_CHECK_OK(read_at(offset, kProbablyEnough, buffer));
  if (buffer.size() > sizeof head) {
    std::memcpy(&head, buffer.data(), sizeof head);
    const size_t whole = sizeof head + head.size;
    const bool fits = head.size > 0 && static_cast<int64_t>(whole) <= bytes_ - offset;
    if (fits && whole > buffer.size()) FP_CHECK_OK(read_at(offset, whole, buffer));
    if (fits && whole <= buffer.size()) {
      const auto checked = std::span<const std::byte>(buffer).subspan(sizeof head, head.size);
      if (sum_of(seed_, checked) == head.sum) return checked.subspan(1);
    }
  }
  return Error{Errc::Corrupt,
               "no whole record at " + std::to_string(offset) + " of '" + path_ + "'"};
}

Result<> StageFile::write_at(int64_t offset, std::span<const std::byte> bytes) const {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd_.get(), bytes.data(), bytes.size(), offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Error::from_errno(errno, "write '" + path_ + "'");
    bytes = bytes.subspan(static_cast<size_t>(n));
    offset += n;
  }
  return {};
}

// Fewer bytes than asked for only at the end of the file.
Result<> StageFile::read_at(int64_t offset, size_t size, std::vector<std::byte>& buffer) const {
  buffer.resize(size);
  size_t done = 0;
  while (done < size) {
    const ssize_t n =
        ::pread(fd_.get(), buffer.data() + done, size - done, offset + static_cast<int64_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Error::from_errno(errno, "read '" + path_ + "'");
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  buffer.resize(done);
  return {};
}

}  // namespace fieldpost
