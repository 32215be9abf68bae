// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "config/load.hpp"

namespace fieldpost {

inline constexpr const char* kGatewayId = "575ecf887ae143cd83dc4aa2";
// Three lines that every usable configuration has: what follows them begins at line 4.
inline const std::string kHead =
    "config_version = 1\n[gateway]\ndevice_id = \"" + std::string(kGatewayId) + "\"\n";

// A folder of its own for each test, gone afterwards.
class Scratch {
 public:
  Scratch() {
    std::string pattern = (std::filesystem::temp_directory_path() / "fieldpost-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp " + pattern);
    path_ = pattern;
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string operator/(std::string_view name) const { return (path_ / name).string(); }
  std::string path() const { return path_.string(); }
  std::string write(std::string_view name, std::string_view content) const {
    const std::filesystem::path file = path_ / name;
    std::filesystem::create_directories(file.parent_path());
    // Anew: to truncate a file makes ext4 write the next content through to the disk.
    std::filesystem::remove(file);
    std::ofstream(file, std::ios::binary) << content;
    std::filesystem::permissions(file, std::filesystem::perms(0600));
    return file.string();
  }
  // Problems as a person sees them, with the scratch folder written "~".
  std::vector<std::string> words(const std::vector<Problem>& problems) const {
    std::vector<std::string> lines;
    for (const Problem& problem : problems) lines.push_back(words(to_string(problem)));
    return lines;
  }
  std::string words(std::string text) const {
    for (size_t at = text.find(path()); at != std::string::npos; at = text.find(path(), at)) {
      text.replace(at, path().size(), "~");
    }
    return text;
  }

 private:
  std::filesystem::path path_;
};

}  // namespace fieldpost
