// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace fieldpost::cli {

// A .tar.gz in memory (POSIX ustar). Files are 0600 and of root.
class Archive {
 public:
  // The name, with folders, has at most 100 bytes; `time` is in seconds since 1970.
  void add(std::string_view name, std::string_view content, int64_t time);
  // Errors: Io (no memory).
  Result<std::string> compressed() const;

 private:
  std::string tar_;
};

}  // namespace fieldpost::cli
