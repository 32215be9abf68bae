// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace fieldpost {

// The whole file. Errors: NotFound, Invalid (longer than `limit` bytes), Io.
Result<std::string> read_file(const std::string& path, size_t limit);

// Which file lies under a path: another one, or changed content, has another stamp.
struct FileStamp {
  int64_t mtime_ns = 0;  // since 1970
  int64_t size = 0;
  uint64_t inode = 0;
  bool operator==(const FileStamp&) const = default;
};
// All zero where there is no file, or none that may be looked at.
FileStamp file_stamp(const std::string& path);

// Replaces the file in one step: after a power cut it holds the old content or the new one (write
// a temporary file beside it, fsync, rename, fsync the folder). Errors: Full, Io.
Result<> write_file_atomically(const std::string& path, std::string_view content,
                               mode_t mode = 0640);

// The same without the sync, for a tmpfs: a crash of the process leaves one or the other.
Result<> replace_file(const std::string& path, std::string_view content, mode_t mode = 0640);

}  // namespace fieldpost
