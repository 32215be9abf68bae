// SPDX-License-Identifier: Apache-2.0
#include "cli/masked_config.hpp"

#include <sstream>

#include "base/secrets.hpp"
#include "base/text.hpp"
#include "config/read.hpp"
#include "model/value_json.hpp"

namespace fieldpost::cli {
namespace {

constexpr size_t kMaxSecretFile = size_t{64} << 10;
constexpr size_t kShortestNumber = 5;  // digits; less is everywhere

class Lister {
 public:
  Lister(Mask& mask, std::string& out) : mask_(mask), out_(out) {}

  void list(const Node& node, const std::string& path, bool secret) {
    if (node.kind == Node::Kind::Table) {
      for (const Member& m : node.members) {
        list(m.value, path.empty() ? m.key : path + "." + m.key, secret || names_secret(m.key));
        learn_named_file(m);
      }
    } else if (node.kind == Node::Kind::Rows) {
      for (const Node& row : node.items) {
        out_ += std::to_string(row.at.line) + ": [[" + path + "]]\n";
        list(row, path, secret);
      }
    } else {
      out_ += std::to_string(node.at.line) + ": " + path + " = " + written(node, secret) + "\n";
    }
  }

 private:
  std::string written(const Node& node, bool secret) {
    if (node.kind == Node::Kind::List) {
      std::string items;
      bool is_value = false;  // of an option of a program: ["--password", "…"]
      for (const Node& item : node.items) {
        const auto* word = std::get_if<std::string>(&item.value);
        is_value = is_value && !(word != nullptr && word->starts_with("--"));
        items += (items.empty() ? "" : ", ") + written(item, secret || is_value);
        is_value = word != nullptr && word->starts_with('-') && names_secret(*word);
      }
      return "[" + items + "]";
    }
    if (node.kind == Node::Kind::Table) {  // in a list
      std::string inner;
      Lister(mask_, inner).list(node, "", secret);
      return "{" + inner + "}";
    }
    if (node.kind != Node::Kind::Scalar) return "(neither text, number nor true or false)";
    const auto* text = std::get_if<std::string>(&node.value);
    const auto* value = std::get_if<double>(&node.value);
    std::string number = value == nullptr ? dump_json(to_json(node.value)) : format_number(*value);
    if (!secret) {
      if (text == nullptr) return number;
      mask_.learn_from(*text);
      return dump_json(Json(mask_.text(*text)));
    }
    if (text != nullptr) mask_.learn(*text);
    if (number.size() >= kShortestNumber) mask_.learn(number);
    return dump_json(Json(kMasked));
  }

  // access_key_file, password_file, token_path…
  void learn_named_file(const Member& member) {
    const auto* path = std::get_if<std::string>(&member.value.value);
    const size_t suffix = member.key.find_last_of('_');
    if (path == nullptr || suffix == std::string::npos) return;
    if (names_secret(member.key.substr(0, suffix)))
      (void)learn_file(*path, mask_);  // or it is not there
  }

  Mask& mask_;
  std::string& out_;
};

}  // namespace

std::string masked_config(const std::string& file, const std::string& content, Mask& mask) {
  const auto root = parse_toml(file, content);
  if (!root) return "syntax error in line " + std::to_string(root.error().at.line) + "\n";
  std::string out;
  Lister(mask, out).list(*root, "", false);
  return out;
}

bool learn_file(const std::string& path, Mask& mask) {
  const auto content = read_regular_file(path, kMaxSecretFile);
  if (!content) return false;
  std::istringstream lines(*content);
  for (std::string line; std::getline(lines, line);) {
    while (line.ends_with('\r') || line.ends_with(' ')) line.pop_back();
    if (line.starts_with("-----")) continue;  // of every PEM file
    mask.learn(line);
    if (const size_t colon = line.find(':'); colon != std::string::npos)
      mask.learn(line.substr(colon + 1));
  }
  return true;
}

}  // namespace fieldpost::cli
