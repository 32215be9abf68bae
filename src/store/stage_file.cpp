// SPDX-License-Identifier: Apache-2.0
#include "store/stage_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

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
  uint32_t crc;  // of what follows
  uint64_t generation;
  uint64_t log;
  std::array<char, kBootBytes> boot;
  std::array<char, 4> zeros;
};
static_assert(sizeof(HeaderBytes) == 64);

struct RecordHead {
  uint32_t size;
  uint32_t crc;
};
constexpr int64_t kFirstRecord = sizeof(HeaderBytes);
constexpr size_t kReadAtOnce = size_t{256} << 10;

uint32_t crc_of(uint32_t seed, std::span<const std::byte> bytes) {
  return static_cast<uint32_t>(
      ::crc32_z(seed, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

uint32_t crc_of(const HeaderBytes& header) {
  const auto bytes = std::as_bytes(std::span(&header, 1));
  return crc_of(0, bytes.subspan(offsetof(HeaderBytes, generation)));
}

}  // namespace

Result<StageFile> StageFile::open(const std::string& path, int64_t bytes) {
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return Error::from_errno(errno, "open '" + path + "'");
  return reserve(std::move(fd), path, bytes);
}

Result<StageFile> StageFile::open_in_memory(int64_t bytes) {
  UniqueFd fd(::memfd_create("fieldpost-stage", MFD_CLOEXEC));
  if (!fd) return Error::from_errno(errno, "make a file in memory");
  return reserve(std::move(fd), "memory", bytes);
}

Result<StageFile> StageFile::reserve(UniqueFd fd, const std::string& path, int64_t bytes) {
  // One that is larger, from an earlier configuration, keeps what is in it.
  if (const int r = bytes > 0 ? ::posix_fallocate(fd.get(), 0, bytes) : 0; r != 0) {
    return Error::from_errno(r, "reserve " + std::to_string(bytes) + " bytes for '" + path + "'");
  }
  const off_t size = ::lseek(fd.get(), 0, SEEK_END);
  StageFile file(std::move(fd), path, std::max<int64_t>(bytes, size));
  FP_CHECK_OK(file.load_header());
  return file;
}

Result<> StageFile::load_header() {
  HeaderBytes bytes{};
  const auto read = FP_TRY(read_at(0, sizeof bytes));
  std::memcpy(&bytes, read.data(), read.size());
  if (read.size() < sizeof bytes || bytes.magic != kMagic || bytes.crc != crc_of(bytes)) return {};
  header_ = {.generation = bytes.generation,
             .log = bytes.log,
             .boot = std::string(bytes.boot.data(), kBootBytes)};
  end_ = kFirstRecord;
  return {};
}

Result<> StageFile::begin(Header header) {
  HeaderBytes bytes{.magic = kMagic, .generation = header.generation, .log = header.log};
  header.boot.resize(kBootBytes);
  std::ranges::copy(header.boot, bytes.boot.begin());
  bytes.crc = crc_of(bytes);
  FP_CHECK_OK(write_at(0, std::as_bytes(std::span(&bytes, 1))));
  header_ = std::move(header);
  end_ = kFirstRecord;
  return {};
}

uint32_t StageFile::checksum(std::span<const std::byte> bytes) const {
  return crc_of(static_cast<uint32_t>(header_.generation * 2654435761U), bytes);
}

bool StageFile::has_room(size_t body) const {
  return end_ >= kFirstRecord &&
         end_ + static_cast<int64_t>(sizeof(RecordHead) + 1 + body) <= bytes_;
}

Result<int64_t> StageFile::append(uint8_t type, std::span<const std::byte> body) {
  if (!has_room(body.size())) return Error{Errc::Full, "'" + path_ + "' is full"};
  frame_.resize(sizeof(RecordHead) + 1 + body.size());
  frame_[sizeof(RecordHead)] = static_cast<std::byte>(type);
  std::ranges::copy(body, frame_.begin() + sizeof(RecordHead) + 1);
  const auto checked = std::span<const std::byte>(frame_).subspan(sizeof(RecordHead));
  const RecordHead head{.size = static_cast<uint32_t>(checked.size()), .crc = checksum(checked)};
  std::memcpy(frame_.data(), &head, sizeof head);
  FP_CHECK_OK(write_at(end_, frame_));
  return std::exchange(end_, end_ + static_cast<int64_t>(frame_.size()));
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
      window = FP_TRY(read_at(end_, std::max(kReadAtOnce, sizeof head + head.size)));
      begin = end_;
      if (window.size() < sizeof head + std::max<size_t>(1, head.size)) return {};
      continue;
    }
    const auto checked = std::span(window).subspan(at + sizeof head, head.size);
    if (checksum(checked) != head.crc) return {};
    on_record(end_, static_cast<uint8_t>(checked[0]), checked.subspan(1));
    end_ += static_cast<int64_t>(sizeof head) + int64_t{head.size};
  }
}

Result<std::vector<std::byte>> StageFile::read(int64_t offset) const {
  RecordHead head{};
  const auto start = FP_TRY(read_at(offset, sizeof head));
  std::memcpy(&head, start.data(), start.size());
  if (start.size() == sizeof head && head.size > 0 && offset + int64_t{head.size} <= bytes_) {
    auto checked = FP_TRY(read_at(offset + static_cast<int64_t>(sizeof head), head.size));
    if (checked.size() == head.size && checksum(checked) == head.crc) {
      checked.erase(checked.begin());
      return checked;
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
Result<std::vector<std::byte>> StageFile::read_at(int64_t offset, size_t size) const {
  std::vector<std::byte> bytes(size);
  size_t done = 0;
  while (done < size) {
    const ssize_t n =
        ::pread(fd_.get(), bytes.data() + done, size - done, offset + static_cast<int64_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Error::from_errno(errno, "read '" + path_ + "'");
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  bytes.resize(done);
  return bytes;
}

}  // namespace fieldpost
