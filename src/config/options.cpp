// SPDX-License-Identifier: Apache-2.0
#include "config/options.hpp"

#include <algorithm>
#include <utility>

#include "base/text.hpp"

namespace fieldpost {
namespace {

bool is_empty_text(const Node& node) {
  return node.kind == Node::Kind::Scalar && node.value == Value(std::string());
}

// What no text may be, whatever the option; empty: nothing is wrong.
std::string wrong_text(const Value& value) {
  const auto* text = std::get_if<std::string>(&value);
  if (text == nullptr) return "";
  if (text->size() > kMaxText) {
    return "expected at most " + std::to_string(kMaxText) + " bytes of text, got " +
           std::to_string(text->size());
  }
  // Plugins hand text to C functions, which would see the part before it and nothing else.
  if (text->find('\0') == std::string::npos) return "";
  return "expected text without NUL characters, got \"" + printable(*text, 80) + "\"";
}

// Whether only the row's own check can object.
bool has_type(const OptionSpec& spec, const Node& node) {
  if (node.kind != Node::Kind::Scalar) return false;
  return !wrong_text(node.value).empty() || check_option(spec, node.value);
}

// Type and range, then what only the row's own check knows.
std::optional<Value> check_core(const CoreOption& option, const Node& node, const std::string& path,
                                Problems& problems) {
  static const Value none = std::string("none");
  if (option.or_none && node.kind == Node::Kind::Scalar && node.value == none) return none;
  if (!option.form.empty() && !has_type(option.spec, node)) {
    problems.error(node.at, path + ": expected " + option.form + ", got " + describe(node));
    return std::nullopt;
  }
  std::optional<Value> value = check_value(option.spec, node, path, problems);
  if (!value || option.check == nullptr) return value;
  const std::optional<Finding> finding = option.check(*value);
  if (!finding) return value;
  if (finding->warning) {
    problems.warning(node.at, path + ": " + finding->text);
    return value;
  }
  problems.error(node.at, path + ": " + finding->text);
  return std::nullopt;
}

// One value, or a list of them.
void read_option(const CoreOption& option, const Node& node, const std::string& path, void* object,
                 Problems& problems) {
  if (option.table) {
    if (node.kind == Node::Kind::Table) return;
    return problems.error(node.at, path + ": expected " + option.form + ", got " + describe(node));
  }
  const bool is_list = option.several && node.kind == Node::Kind::List;
  for (const Node& item : is_list ? std::span(node.items) : std::span(&node, 1)) {
    if (const auto value = check_core(option, item, path, problems)) option.store(object, *value);
  }
}

std::string missing_text(const CoreOption& option) {
  return option.missing.empty() ? "missing; expected " + expected_form(option) : option.missing;
}

}  // namespace

const std::vector<Node>& rows_of(const Node& root, std::string_view section) {
  static const std::vector<Node> none;
  const Member* member = root.find(section);
  return member == nullptr ? none : member->value.items;
}

Location value_at(const Node& row, std::string_view key) {
  const Member* member = row.find(key);
  return member == nullptr ? row.at : member->value.at;
}

bool is_text(const Node& node) {
  return node.kind == Node::Kind::Scalar && std::holds_alternative<std::string>(node.value);
}

std::string join(const std::string& path, const std::string& key) {
  return path.empty() ? key : path + "." + key;
}

std::optional<Value> check_value(const OptionSpec& spec, const Node& node, const std::string& path,
                                 Problems& problems) {
  if (node.kind != Node::Kind::Scalar) {
    problems.error(node.at, path + ": expected " + expected_form(spec) + ", got " + describe(node));
    return std::nullopt;
  }
  if (const std::string wrong = wrong_text(node.value); !wrong.empty()) {
    problems.error(node.at, path + ": " + wrong);
    return std::nullopt;
  }
  Result<Value> value = check_option(spec, node.value);
  if (!value) {
    problems.error(node.at, path + ": " + value.error().message);
    return std::nullopt;
  }
  return *std::move(value);
}

void read_options(const Node& table, std::span<const CoreOption> options, void* object,
                  const std::string& path, bool may_be_elsewhere, Problems& problems) {
  for (const CoreOption& option : options) {
    const std::string name = join(path, option.spec.name);
    const Member* given = table.find(option.spec.name);
    if (given != nullptr && !option.missing.empty() && is_empty_text(given->value)) {
      problems.error(given->value.at, name + ": " + option.missing);
    } else if (given != nullptr) {
      read_option(option, given->value, name, object, problems);
    } else if (option.spec.required) {
      if (!may_be_elsewhere) problems.error(table.at, name + ": " + missing_text(option));
    } else if (option.spec.fallback) {
      // A test holds every fallback of these tables against its own limits.
      if (const auto value = parse_option(option.spec, *option.spec.fallback)) {
        option.store(object, *value);
      }
    }
  }
}

std::vector<std::string_view> names_of(std::span<const CoreOption> options) {
  std::vector<std::string_view> names;
  names.reserve(options.size());
  for (const CoreOption& option : options) names.emplace_back(option.spec.name);
  return names;
}

void refuse_unknown(const Node& table, const std::string& path,
                    std::span<const std::string_view> known, Problems& problems) {
  for (const Member& member : table.members) {
    if (std::ranges::find(known, member.key) == known.end()) {
      problems.unknown_key(member.at, path, member.key, known);
    }
  }
}

bool expect_rows(const Node& node, const Location& at, const std::string& path,
                 Problems& problems) {
  if (node.kind == Node::Kind::Rows) return true;
  std::string text = path + ": expected [[" + path + "]], got ";
  if (node.kind == Node::Kind::Table) {
    text += "[" + path + "]";
    // [[plugin.register]] in a file without [[plugin]] makes a table of `plugin`.
    const auto nested = std::ranges::find(node.members, Node::Kind::Rows,
                                          [](const Member& m) { return m.value.kind; });
    if (nested != node.members.end()) {
      text += "; [[" + path + "." + nested->key + "]] must follow its [[" + path +
              "]] in the same file";
    }
  } else {
    text += describe(node);
  }
  problems.error(at, text);
  return false;
}

bool expect_table(const Node& node, const Location& at, const std::string& path,
                  Problems& problems) {
  if (node.kind == Node::Kind::Table) return true;
  const bool rows = node.kind == Node::Kind::Rows && !node.items.empty();
  problems.error(
      at, path + ": expected [" + path + "], got " + (rows ? "[[" + path + "]]" : describe(node)));
  return false;
}

}  // namespace fieldpost
