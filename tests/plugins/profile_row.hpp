// SPDX-License-Identifier: Apache-2.0
//
// Profiles of profiles/, as the units of a FakeHost.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "config/node.hpp"
#include "fakes/fake_host.hpp"
#include "fakes/test_env.hpp"

namespace fieldpost::fakes {

inline std::filesystem::path profile_folder(const std::string& type) {
  return std::filesystem::path(test::source_dir()) / "profiles" / type;
}

inline Node read_profile(const std::string& type, const std::string& name) {
  const std::string file = profile_folder(type) / (name + ".toml");
  std::ifstream in(file);
  std::stringstream text;
  text << in.rdbuf();
  auto node = parse_toml(file, text.str());
  if (!in || !node) throw std::invalid_argument(file + " cannot be read");
  return *std::move(node);
}

inline Row to_row(const Node& node) {
  Row row(Row::Values{});
  for (const Member& member : node.members) {
    if (member.key == "title" || member.key == "source") continue;
    if (member.value.kind == Node::Kind::Scalar) row.values[member.key] = member.value.value;
    for (const Node& item : member.value.items) row.rows[member.key].push_back(to_row(item));
  }
  return row;
}

// A unit that has the profile and, beside it, `values`.
inline Row profile_row(const std::string& type, const std::string& name, const Row& values) {
  Row row = to_row(read_profile(type, name));
  for (const auto& [key, value] : values.values) row.values[key] = value;
  return row;
}

}  // namespace fieldpost::fakes
