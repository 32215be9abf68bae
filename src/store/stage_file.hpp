// SPDX-License-Identifier: Apache-2.0
//
// One of the two files of stage 1 (store/stage_log.hpp): a header, then records, each with its
// checksum. The file lies on a tmpfs, is preallocated, and is used again and again: a record that
// an earlier use left behind does not pass, because the checksum covers the number of the use.
//
//   file   := header record* end
//   header := "FPS1" | crc32:u32 | generation:u64 | log:u64 | boot:36 bytes | zeros up to 64
//   record := size:u32 (of type and body, > 0) | crc32:u32 | type:u8 | body
//   end    := what is no record: zeros, a torn one, one of an earlier use, or the end of the file
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace fieldpost {

class StageFile {
 public:
  struct Header {
    uint64_t generation = 0;  // ascends with each use of either file; 0: never used
    uint64_t log = 0;         // which log it belongs to; random
    std::string boot;         // the kernel's id of the boot it was begun in
    bool operator==(const Header&) const = default;
  };
  // A record where it lies: `offset` is for read().
  using OnRecord =
      std::function<void(int64_t offset, uint8_t type, std::span<const std::byte> body)>;

  // Opens or makes the file and reserves `bytes` of it, so that writing later cannot fail for want
  // of room. Errors: Full (no room for it now), Io.
  static Result<StageFile> open(const std::string& path, int64_t bytes);
  // One without a name, which ends with the process. Errors: Full, Io.
  static Result<StageFile> open_in_memory(int64_t bytes);

  // What the file was begun with; generation 0 if that cannot be told.
  const Header& header() const { return header_; }

  // Reads all records in their order, up to the first that is torn; appending goes on from there.
  // Errors: Io.
  Result<> scan(const OnRecord& on_record);

  // Forgets what is in it. Errors: Io.
  Result<> begin(Header header);

  // Whether a record with a body of so many bytes still fits.
  bool has_room(size_t body) const;
  // Writes the record, whole or, for whoever reads it later, not at all. Returns its offset.
  // Errors: Full, Io.
  Result<int64_t> append(uint8_t type, std::span<const std::byte> body);
  // The body of the record at `offset`. Errors: Corrupt, Io.
  Result<std::vector<std::byte>> read(int64_t offset) const;

  int64_t used() const { return end_; }

 private:
  StageFile(UniqueFd fd, std::string path, int64_t bytes)
      : fd_(std::move(fd)), path_(std::move(path)), bytes_(bytes) {}
  static Result<StageFile> reserve(UniqueFd fd, const std::string& path, int64_t bytes);
  Result<> load_header();
  Result<> write_at(int64_t offset, std::span<const std::byte> bytes) const;
  Result<std::vector<std::byte>> read_at(int64_t offset, size_t size) const;
  uint32_t checksum(std::span<const std::byte> bytes) const;

  UniqueFd fd_;
  std::string path_;
  int64_t bytes_;
  Header header_;
  int64_t end_ = 0;               // where the next record goes
  std::vector<std::byte> frame_;  // of the record being written
};

}  // namespace fieldpost
