// SPDX-License-Identifier: Apache-2.0
//
// Which files make up a configuration, and what they say together.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "config/node.hpp"
#include "config/problems.hpp"

namespace fieldpost {

inline constexpr const char* kMainFile = "fieldpost.toml";
inline constexpr const char* kDropInFolder = "conf.d";
inline constexpr size_t kMaxFile = size_t{1} << 20;

struct Sources {
  Node root;                      // everything, merged
  std::string main_file;          // whether or not it is there
  std::vector<std::string> read;  // in order, those that could not be read included
  std::vector<std::pair<std::string, std::string>> files;  // that could, with their content
};

// Reads and merges; what cannot be read is reported.
Sources read_sources(const std::string& path, Problems& problems);

// A regular file's content. Unlike read_file() it does not wait for anybody to write into a FIFO.
// Errors: as read_file(); the message follows the path or the key: "does not exist".
Result<std::string> read_regular_file(const std::string& path, size_t limit);

}  // namespace fieldpost
