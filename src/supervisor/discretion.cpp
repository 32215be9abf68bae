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

constexpr std::string_view kBearer = "bearer";
constexpr std::string_view kWords[] = {kBearer, "password", "passwd", "passphrase", "pass",
                                       "pwd",   "pin",      "psk",    "secret",     "token",
                                       "key",   "login",    "sig",    "signature"};
constexpr std::string_view kSpace = " \t";

bool is_quote(char c) { return c == '"' || c == '\''; }

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
  if (at < text.size() && is_quote(text[at])) ++at;  // {"password": "x"}
  const size_t sign = text.find_first_not_of(kSpace, at);
  if (sign == kNone) return kNone;
  if (text[sign] == '=' || text[sign] == ':') return text.find_first_not_of(kSpace, sign + 1);
  const bool follows = sign > at && (word == kBearer || is_quote(text[sign]));
  return follows ? sign : kNone;
}

// Of what is quoted: after the quote that ends it. Else a secret may have anything but space in it,
// except in a URL.
size_t end_of_value(std::string_view text, size_t from) {
  if (is_quote(text[from])) {
    size_t at = from + 1;
    while (at < text.size() && text[at] != text[from]) at += text[at] == '\\' ? 2 : 1;
    return std::min(at + 1, text.size());
  }
  const size_t space = text.find_last_of(kSpace, from);
  const size_t begin = space == kNone ? 0 : space + 1;
  const bool in_url = text.substr(begin, from - begin).find("://") != kNone;
  return std::min(text.find_first_of(in_url ? " \t&" : " \t", from), text.size());
}

// "Authorization: Basic word" becomes "Authorization: ***": how many words those are is not known.
void hide_authorization(std::string& text) {
  constexpr std::string_view kWord = "authorization";
  const size_t word = lower(text).find(kWord);
  if (word == kNone) return;
  const size_t value = text.find_first_not_of(" \t:=\"'", word + kWord.size());
  if (value != kNone) text.replace(value, kNone, kHidden);
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
  hide_authorization(out);
  for (const std::string_view word : kWords) hide_values(word, out);
  return printable(out, kMaxText);
}

}  // namespace fieldpost
