// SPDX-License-Identifier: Apache-2.0
#include "supervisor/discretion.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace fieldpost {
namespace {

constexpr size_t kMaxText = 200;     // bytes that are shown
constexpr size_t kMaxLooked = 4000;  // that are looked at
constexpr std::string_view kHidden = "***";
constexpr auto kNone = std::string::npos;

// `bearer` first: what follows "Authorization:" is two words.
constexpr std::string_view kWords[] = {"bearer",     "authorization", "password", "passwd",
                                       "passphrase", "pwd",           "secret",   "token",
                                       "key",        "login"};

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

// "://user:word@" becomes "://***@".
void hide_logins(std::string& text) {
  constexpr std::string_view kMark = "://";
  for (size_t at = text.find(kMark); at != kNone; at = text.find(kMark, at)) {
    at += kMark.size();
    const size_t end = std::min(text.find_first_of(" \t\"'", at), text.size());
    const size_t sign = text.substr(at, end - at).rfind('@');
    if (sign != kNone) text.replace(at, sign, kHidden);
  }
}

// Where the value begins that belongs to the word which ends at `at`; kNone: it has none.
size_t value_after(std::string_view word, std::string_view text, size_t at) {
  if (at < text.size() && (text[at] == '"' || text[at] == '\'')) ++at;  // {"password": "x"}
  const size_t sign = std::min(text.find_first_not_of(" \t", at), text.size());
  if (word == "bearer") return sign > at && sign < text.size() ? sign : kNone;
  if (sign == text.size() || (text[sign] != '=' && text[sign] != ':')) return kNone;
  return text.find_first_not_of(" \t", sign + 1);
}

size_t end_of_value(std::string_view text, size_t from) {
  const bool quoted = text[from] == '"' || text[from] == '\'';
  const size_t end =
      quoted ? text.find(text[from], from + 1) : text.find_first_of(" \t,;&'\")}", from);
  return end == kNone ? text.size() : end + (quoted ? 1 : 0);
}

// "password=word" becomes "password=***".
void hide_values(std::string_view word, std::string& text) {
  for (size_t at = 0; (at = lower(text).find(word, at)) != kNone;) {
    at += word.size();
    const size_t value = value_after(word, text, at);
    if (value == kNone) continue;
    text.replace(value, end_of_value(text, value) - value, kHidden);
    at = value + kHidden.size();
  }
}

}  // namespace

std::string without_secrets(std::string_view text) {
  std::string out = printable(text, kMaxLooked);
  hide_logins(out);
  for (const std::string_view word : kWords) hide_values(word, out);
  return printable(out, kMaxText);
}

}  // namespace fieldpost
