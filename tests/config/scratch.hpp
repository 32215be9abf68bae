// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "config/load.hpp"
#include "fakes/test_env.hpp"

namespace fieldpost {

inline constexpr const char* kGatewayId = "575ecf887ae143cd83dc4aa2";
// Three lines that every usable configuration has: what follows them begins at line 4.
inline const std::string kHead =
    "config_version = 1\n[gateway]\ndevice_id = \"" + std::string(kGatewayId) + "\"\n";

// The folder of a test, and what configuration tests do in it.
class Scratch : public test::TempDir {
 public:
  std::string write(std::string_view name, std::string_view content) const {
    const std::filesystem::path file = std::filesystem::path(path()) / name;
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
};

}  // namespace fieldpost
