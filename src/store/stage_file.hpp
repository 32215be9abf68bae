// SPDX-License-Identifier: Apache-2.0
//
// One of the two files of stage 1 (store/stage_log.hpp): a header, then records, each with its
// checksum. The file lies on a tmpfs, is preallocated, and is used again and again: a record that
// an earlier use left behind does not pass, because a record's checksum starts from that of the
// header, and no two headers are alike.
//
//   file   := header record* end
//   header := "FPS1" | sum:u32 | generation:u64 | log:u64 | boot:36 bytes | salt:u32
//   record := size:u32 (of type and body, > 0) | sum:u32 | type:u8 | body
//   end    := what is no record: zeros, a torn one, one of an earlier use, or the end of the file
//
// A record is written together with the zeros that end the file behind it. So nothing stands up
// again that once lay behind a damaged record, when new ones have taken the place of that one.
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
    std::string boot;         // the kernel's id of the boot it was begun in; at most 36 bytes
    bool operator==(const Header&) const = default;
  };
  // A record where it lies: `offset` is for read().
  using OnRecord =
      std::function<void(int64_t offset, uint8_t type, std::span<const std::byte> body)>;

  // Opens or makes the file and reserves `bytes` of it, so that writing later cannot fail for want
  // of room. One in use keeps the size it has if it is larger, until begin(), or if there is no
  // room to let it grow; 0 bytes ask for the size it has. Errors: Full (no room for it now),
  // NotFound (no folder), Io.
  static Result<StageFile> open(const std::string& path, int64_t bytes);
  // An existing one to read, which stays as it is: only header(), scan() and read() work. Errors:
  // NotFound, Io.
  static Result<StageFile> open_to_read(const std::string& path);
  // One that ends with the process, until remake() gives it a place at `path`. Errors: Full, Io.
  static Result<StageFile> open_in_memory(const std::string& path, int64_t bytes);

  // The header of the file there, without touching it. Errors: NotFound, Io.
  static Result<Header> header_of(const std::string& path);

  // Whether its name still leads to it: if not, it ends with the process.
  bool in_place() const;
  // Makes it anew under its name, its folder included, with all that is in it. Errors: Full,
  // Unavailable (what stands there is somebody else's log), Io.
  Result<> remake();

  // What the file was begun with; generation 0 if that cannot be told.
  const Header& header() const { return header_; }

  // Reads all records in their order, up to the first that is torn; appending goes on from there,
  // and must not begin before. Errors: Io.
  Result<> scan(const OnRecord& on_record);

  // Forgets what is in it. Errors: Io.
  Result<> begin(Header header);

  // Whether a record with a body of so many bytes still fits; or would, if it were the only one.
  bool has_room(size_t body) const;
  bool could_hold(size_t body) const;
  // Writes the record, whole or, for whoever reads it later, not at all. Returns its offset.
  // Errors: Full, Io.
  Result<int64_t> append(uint8_t type, std::span<const std::byte> body);
  // The body of the record at `offset`, in `buffer`. Errors: Corrupt, Io.
  Result<std::span<const std::byte>> read(int64_t offset, std::vector<std::byte>& buffer) const;

  int64_t used() const { return end_; }
  int64_t bytes() const { return bytes_; }  // that it has

 private:
  StageFile(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
  Result<> load_header();
  Result<> reserve(int64_t bytes);
  Result<> copy_from(const StageFile& other);
  Result<> write_at(int64_t offset, std::span<const std::byte> bytes) const;
  Result<> read_at(int64_t offset, size_t size, std::vector<std::byte>& buffer) const;

  UniqueFd fd_;
  std::string path_;
  int64_t wanted_ = 0;  // bytes
  int64_t bytes_ = 0;   // that it has
  Header header_;
  uint32_t seed_ = 0;             // of this use's checksums
  int64_t end_ = 0;               // where the next record goes; 0: never begun
  std::vector<std::byte> frame_;  // of the record being written
};

}  // namespace fieldpost
