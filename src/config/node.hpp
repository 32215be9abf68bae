// SPDX-License-Identifier: Apache-2.0
//
// What a configuration file says, before anybody asks whether it makes sense: a tree of values,
// each with its place in the files. Keeps the TOML library out of every other file.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "config/config.hpp"
#include "model/value.hpp"

namespace fieldpost {

struct Member;

struct Node {
  enum class Kind : uint8_t {
    Table,   // members
    Rows,    // items, all of them tables: [[x]]
    List,    // items, of anything else
    Scalar,  // value
    Other,   // a date, a number too large to be exact: nothing that any option takes
  };
  Kind kind = Kind::Table;
  Location at;  // where the value begins; of a table its header
  Value value;
  std::vector<Member> members;  // in the order of the file
  std::vector<Node> items;

  const Member* find(std::string_view key) const;
  Member* find(std::string_view key);
};

struct Member {
  std::string key;
  Location at;
  Node value;
};

// "a table", "a list", "\"text\"", "70000": after "got".
std::string describe(const Node& node);

// A file's content as a table. `error.at` says where a syntax error is.
struct SyntaxError {
  Location at;
  std::string text;
};
std::expected<Node, SyntaxError> parse_toml(const std::string& file, const std::string& content);

}  // namespace fieldpost
