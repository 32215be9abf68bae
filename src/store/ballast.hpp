// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "base/result.hpp"

namespace fieldpost {

// Space on a file system that is put by. On a full one SQLite cannot even delete: a transaction
// goes to the WAL first, and a checkpoint may have to write pages that the file does not have yet.
// What is released then lets it do both. Belongs to the store thread.
class Ballast {
 public:
  // What deleting and a checkpoint were seen to need on a file system without a free block is below
  // 1 MiB (a WAL that grows to kWalFrames), and the largest step of thinning takes another.
  static constexpr int64_t kBytes = int64_t{2} << 20;

  explicit Ballast(const std::string& folder) : folder_(folder), path_(folder + "/ballast") {}

  // Allocates its blocks, unless it has them. Errors: Full, Io; then there is none.
  Result<> make();
  // Gives them back; what is deleted may be used at once.
  void release();
  bool is_made() const { return made_; }

 private:
  std::string folder_, path_;
  bool made_ = false;
};

// What others than root may still use of the file system; the greatest number if it cannot be
// known.
int64_t free_bytes(const std::string& folder);

}  // namespace fieldpost
