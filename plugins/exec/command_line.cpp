// SPDX-License-Identifier: Apache-2.0
#include "command_line.hpp"

#include <fieldpost/plugin.hpp>

#include <algorithm>
#include <array>

namespace exec {
namespace {

using fieldpost::sdk::ConfigError;

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

// Takes words off the front of a text.
class Words {
 public:
  explicit Words(std::string_view text) : rest_(text) {}

  bool next(std::string& ret) {
    while (!rest_.empty() && is_blank(rest_.front())) rest_.remove_prefix(1);
    if (rest_.empty()) return false;
    ret.clear();
    bool plain = true;
    while (!rest_.empty() && !is_blank(rest_.front())) plain = piece(ret) && plain;
    if (plain) refuse_shell(ret);
    return true;
  }

 private:
  char take() {
    const char c = rest_.front();
    rest_.remove_prefix(1);
    return c;
  }

  // One character or what is between quotes. False if something was quoted.
  bool piece(std::string& ret) {
    const char c = take();
    if (c == '\'' || c == '"') {
      quoted(c, ret);
      return false;
    }
    if (c != '\\') {
      ret += c;
      return true;
    }
    if (rest_.empty()) throw ConfigError("ends in a backslash, which quotes what follows it");
    ret += take();
    return false;
  }

  void quoted(char quote, std::string& ret) {
    for (;;) {
      if (rest_.empty()) throw ConfigError(std::string("a quote is not closed: ") + quote);
      char c = take();
      if (c == quote) return;
      const bool escape = c == '\\' && quote == '"' && !rest_.empty() &&
                          (rest_.front() == '"' || rest_.front() == '\\');
      if (escape) c = take();
      ret += c;
    }
  }

  static void refuse_shell(const std::string& word) {
    constexpr std::array<std::string_view, 10> kShell{"|", "||", "&", "&&", ";",
                                                      ">", ">>", "<", "2>", "2>&1"};
    if (std::ranges::find(kShell, word) == kShell.end()) return;
    throw ConfigError("'" + word +
                      "' is for a shell, and there is none; write sh -c '…', or put "
                      "quotes around the word if it is meant as it is");
  }

  std::string_view rest_;
};

}  // namespace

std::vector<std::string> split_command(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  for (Words source(text); source.next(word);) words.push_back(word);
  if (words.empty() || words.front().empty()) throw ConfigError("expected a program");
  return words;
}

}  // namespace exec
