// SPDX-License-Identifier: Apache-2.0
//
// The only file that includes the TOML library.
#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <optional>
#include <utility>

#include "base/text.hpp"
#include "config/node.hpp"

namespace fieldpost {
namespace {

// Nothing we read is nested deeper than plugin.unit.register.address. The library (3.3) recurses
// once for every part of a dotted key without a limit: some 100,000 dots overflow the stack.
constexpr int kMaxDots = 16;
constexpr int64_t kExact = int64_t{1} << 53;  // beyond it a double skips whole numbers

// Walks over TOML text without understanding it: enough to tell a dot in a key from one in a
// string or a comment.
class DotCounter {
 public:
  explicit DotCounter(std::string_view text) : text_(text) {}

  // Where a key has too many parts; none is npos.
  size_t find_excess() {
    int dots = 0;
    while (pos_ < text_.size()) {
      const char c = text_[pos_];
      if (c == '#') {
        pos_ = std::min(text_.find('\n', pos_), text_.size());
      } else if (c == '"' || c == '\'') {
        skip_string(c);
      } else {
        if (c == '.' && ++dots > kMaxDots) return pos_;
        if (c != '.' && !continues_key(c)) dots = 0;
        ++pos_;
      }
    }
    return std::string_view::npos;
  }

 private:
  static bool continues_key(char c) {
    return c == ' ' || c == '\t' || c == '_' || c == '-' || (c >= '0' && c <= '9') ||
           (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  }

  void skip_string(char quote) {
    const std::string triple(3, quote);
    const bool multi_line = text_.substr(pos_).starts_with(triple);
    const std::string_view end = multi_line ? std::string_view(triple) : text_.substr(pos_, 1);
    pos_ += end.size();
    while (pos_ < text_.size() && !text_.substr(pos_).starts_with(end)) {
      if (!multi_line && text_[pos_] == '\n') return;  // never closed: a syntax error
      pos_ += quote == '"' && text_[pos_] == '\\' ? 2 : 1;
    }
    pos_ = std::min(pos_ + end.size(), text_.size());
    // '''text''''' ends with two quotes that belong to the text.
    for (int i = 0; multi_line && i < 2 && pos_ < text_.size() && text_[pos_] == quote; ++i) ++pos_;
  }

  std::string_view text_;
  size_t pos_ = 0;
};

// Counts columns in characters, as the library does.
Location location_at(const std::string& file, std::string_view content, size_t offset) {
  Location at{file, 1, 1};
  for (const char c : content.substr(0, offset)) {
    if (c == '\n') {
      ++at.line;
      at.column = 1;
    } else if ((static_cast<unsigned char>(c) & 0xC0) != 0x80) {
      ++at.column;
    }
  }
  return at;
}

Location to_location(const std::string& file, const toml::source_region& source) {
  return {file, static_cast<int>(source.begin.line), static_cast<int>(source.begin.column)};
}

Node convert(const std::string& file, const toml::node& from);

Node convert_table(const std::string& file, const toml::table& from) {
  Node node;
  for (const auto& [key, value] : from) {
    node.members.push_back(
        {std::string(key.str()), to_location(file, key.source()), convert(file, value)});
  }
  // The library sorts by name; people read from top to bottom.
  std::ranges::stable_sort(node.members, {},
                           [](const Member& m) { return std::pair(m.at.line, m.at.column); });
  return node;
}

Node convert_array(const std::string& file, const toml::array& from) {
  Node node;
  // `plugin = []` says that there are none, so an empty list passes for rows.
  node.kind = from.empty() || from.is_array_of_tables() ? Node::Kind::Rows : Node::Kind::List;
  for (const toml::node& item : from) node.items.push_back(convert(file, item));
  return node;
}

Node scalar(Value value) {
  Node node;
  node.kind = Node::Kind::Scalar;
  node.value = std::move(value);
  return node;
}

Node other(std::string what) {
  Node node;
  node.kind = Node::Kind::Other;
  node.value = std::move(what);
  return node;
}

Node convert_whole(int64_t number) {
  if (number > kExact || number < -kExact) {
    return other(std::to_string(number) + ", which is too large to be exact");
  }
  return scalar(static_cast<double>(number));
}

Node convert_value(const std::string& file, const toml::node& from) {
  if (const auto* table = from.as_table()) return convert_table(file, *table);
  if (const auto* array = from.as_array()) return convert_array(file, *array);
  if (const auto* text = from.as_string()) return scalar(text->get());
  if (const auto* number = from.as_integer()) return convert_whole(number->get());
  if (const auto* number = from.as_floating_point()) return scalar(number->get());
  if (const auto* flag = from.as_boolean()) return scalar(flag->get());
  return other("a date or a time of day");
}

Node convert(const std::string& file, const toml::node& from) {
  Node node = convert_value(file, from);
  node.at = to_location(file, from.source());
  return node;
}

size_t first_bad_byte(std::string_view text) {
  // Well-formed up to a line is decided line by line, so that this stays linear.
  size_t start = 0;
  while (start < text.size()) {
    const size_t end = std::min(text.find('\n', start), text.size());
    if (!is_utf8(text.substr(start, end - start))) break;
    start = end + 1;
  }
  size_t good = 0;  // of this line; a sequence has at most four bytes
  const std::string_view line = text.substr(std::min(start, text.size()));
  for (size_t n = 1; n <= 4 && good + n <= line.size(); ++n) {
    if (is_utf8(line.substr(good, n))) {
      good += n;
      n = 0;
    }
  }
  return start + good;
}

// What people mostly meant where the library speaks in terms of the grammar; "": nothing to add.
std::string_view hint_for(std::string_view description) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kHints = {{
      {"could not determine value type", "; text stands in quotes"},
      {"string: unescaped control characters", "; is the closing quote missing?"},
      {"cannot redefine existing table", "; what may repeat is written [[…]]"},
      {"cannot redefine existing", "; a key may stand once in a table"},
  }};
  const auto it = std::ranges::find_if(kHints, [&](const auto& hint) {
    return description.find(hint.first) != std::string_view::npos;
  });
  return it == kHints.end() ? "" : it->second;
}

std::string words_of(std::string_view description) {
  const std::string hint(hint_for(description));
  constexpr std::string_view kPrefix = "Error while parsing ";
  if (description.starts_with(kPrefix)) {
    return "syntax error in " + printable(description.substr(kPrefix.size()), 300) + hint;
  }
  return "syntax error: " + printable(description, 300) + hint;
}

}  // namespace

const Member* Node::find(std::string_view key) const {
  const auto it = std::ranges::find(members, key, &Member::key);
  return it == members.end() ? nullptr : &*it;
}

Member* Node::find(std::string_view key) {
  return const_cast<Member*>(std::as_const(*this).find(key));  // NOLINT: *this is not const
}

std::string describe(const Node& node) {
  switch (node.kind) {
    case Node::Kind::Table:
      return "a table";
    case Node::Kind::Rows:
      return node.items.empty() ? "an empty list" : "rows of a table";
    case Node::Kind::List:
      return "a list";
    case Node::Kind::Scalar:
      return printable(to_text(node.value), 80);
    case Node::Kind::Other:
      return std::get<std::string>(node.value);
  }
  return "something else";
}

std::expected<Node, SyntaxError> parse_toml(const std::string& file, const std::string& content) {
  if (!is_utf8(content)) {
    return std::unexpected(SyntaxError{location_at(file, content, first_bad_byte(content)),
                                       "not UTF-8; save the file in that encoding"});
  }
  if (const size_t excess = DotCounter(content).find_excess(); excess != std::string_view::npos) {
    return std::unexpected(SyntaxError{
        location_at(file, content, excess),
        "a key of more than " + std::to_string(kMaxDots) + " dots; nothing is nested that deeply"});
  }
  try {
    Node root = convert(file, toml::parse(content, std::string_view(file)));
    root.at = {file, 1, 1};
    return root;
  } catch (const toml::parse_error& error) {
    return std::unexpected(
        SyntaxError{to_location(file, error.source()), words_of(error.description())});
  }
}

}  // namespace fieldpost
