// SPDX-License-Identifier: Apache-2.0
#include "cli/mask.hpp"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/text.hpp"

namespace fieldpost::cli {
namespace {

constexpr size_t kShortest = 4;       // of what is masked wherever it stands
constexpr size_t kLosantSecret = 64;  // hexadecimal digits
constexpr size_t npos = std::string_view::npos;

struct Span {
  size_t begin, end;
};

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

bool is_blank(char c) { return c == ' ' || c == '\t'; }
bool is_quote(char c) { return c == '"' || c == '\''; }
bool is_name(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-' || c == '.';
}

size_t skip(std::string_view text, size_t at, bool (*is)(char)) {
  while (at < text.size() && is(text[at])) ++at;
  return at;
}
size_t end_of_line(std::string_view text, size_t at) {
  return std::min(text.find('\n', at), text.size());
}
size_t end_of_token(std::string_view text, size_t at) {
  return std::min(text.find_first_of(" \t\r\n\"'", at), text.size());
}

// Behind the quote at `at`, which may be escaped itself, as in JSON within JSON.
size_t end_of_quoted(std::string_view text, size_t at, bool escaped) {
  const char quote = text[at];
  for (size_t i = at + 1; i < text.size() && text[i] != '\n'; ++i) {
    if (text[i] == '\\' && !escaped) {
      ++i;
    } else if (text[i] == quote) {
      return escaped && text[i - 1] == '\\' ? i - 1 : i;
    }
  }
  return end_of_line(text, at);
}

// What stands behind a secret's name and its '=' or ':'.
Span value_at(std::string_view text, size_t at, bool prose) {
  const bool escaped = at < text.size() && text[at] == '\\';
  const size_t first = escaped ? at + 1 : at;
  if (first < text.size() && is_quote(text[first])) {
    return {first + 1, end_of_quoted(text, first, escaped)};
  }
  // "password: expected …, got 12345" and "Authorization: Bearer …" go on behind the next blank.
  if (prose || (at < text.size() && (text[at] == '{' || text[at] == '['))) {
    return {at, end_of_line(text, at)};
  }
  size_t end = end_of_token(text, at);
  const std::string word = lower(text.substr(at, end - at));
  if (word == "bearer" || word == "basic" || word == "digest") {
    end = end_of_token(text, skip(text, end, is_blank));
  }
  return {at, end};
}

// What follows the name that ends at `end`, if it is a value of it; else empty.
Span value_of(std::string_view text, std::string_view name, size_t end) {
  size_t at = end;
  while (at < text.size() && (is_quote(text[at]) || text[at] == '\\')) ++at;
  const size_t sign = skip(text, at, is_blank);
  if (sign < text.size() && (text[sign] == '=' || text[sign] == ':')) {
    const size_t value = skip(text, sign + 1, is_blank);
    return value_at(text, value, text[sign] == ':' && value > sign + 1);
  }
  if (sign == at) return {end, end};
  // "--password x"; of prose "the token a1b2", but not "the token is".
  if (sign < text.size() && is_quote(text[sign])) return value_at(text, sign, false);
  const Span next{sign, end_of_token(text, sign)};
  std::string_view word = text.substr(next.begin, next.end - next.begin);
  word = word.substr(0, word.find_last_not_of(".,;:)!?") + 1);
  const bool plain = std::ranges::all_of(
      word, [](char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; });
  return name.starts_with('-') || !plain ? next : Span{end, end};
}

void add_values(std::string_view text, std::vector<Span>& found) {
  for (size_t at = 0; at < text.size();) {
    if (!is_name(text[at])) {
      ++at;
      continue;
    }
    const size_t end = skip(text, at, is_name);
    const std::string_view name = text.substr(at, end - at);
    at = end;
    if (!names_secret(name)) continue;
    const Span value = value_of(text, name, end);
    if (value.begin < value.end) found.push_back(value);
    at = std::max(at, value.end);
  }
}

void add_logins(std::string_view text, std::vector<Span>& found) {
  constexpr std::string_view kSlashes = "://";
  for (size_t at = text.find(kSlashes); at != npos; at = text.find(kSlashes, at + 1)) {
    const size_t begin = at + kSlashes.size();
    const std::string_view url = text.substr(begin, end_of_token(text, begin) - begin);
    if (const size_t end = url.rfind('@'); end != npos && end > 0) {
      found.push_back({begin, begin + end});
    }
  }
}

void add_private_keys(std::string_view text, std::vector<Span>& found) {
  constexpr std::string_view kBegin = "PRIVATE KEY-----";
  for (size_t at = text.find(kBegin); at != npos; at = text.find(kBegin, at + 1)) {
    const size_t begin = at + kBegin.size();
    found.push_back({begin, std::min(text.find("-----END", begin), text.size())});
  }
}

void add_losant_secrets(std::string_view text, std::vector<Span>& found) {
  const auto is_hex = [](char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; };
  for (size_t at = 0; at < text.size();) {
    size_t end = at;
    while (end < text.size() && is_hex(text[end])) ++end;
    if (end - at >= kLosantSecret) found.push_back({at, end});
    at = end + 1;
  }
}

// In order, none within another.
std::vector<Span> secrets_by_form(std::string_view text) {
  std::vector<Span> found;
  add_values(text, found);
  add_logins(text, found);
  add_private_keys(text, found);
  add_losant_secrets(text, found);
  std::ranges::sort(found, {}, &Span::begin);
  std::vector<Span> merged;
  for (const Span& span : found) {
    if (!merged.empty() && span.begin < merged.back().end) {
      merged.back().end = std::max(merged.back().end, span.end);
    } else {
      merged.push_back(span);
    }
  }
  return merged;
}

void replace_all(std::string& text, std::string_view what) {
  for (size_t at = text.find(what); at != npos; at = text.find(what, at + kMasked.size())) {
    text.replace(at, what.size(), kMasked);
  }
}

}  // namespace

bool names_secret(std::string_view name) {
  constexpr std::array kAnywhere = {"password", "passwd", "passphrase", "passcode", "passwort",
                                    "secret",   "token",  "credential", "authori",  "cookie"};
  constexpr std::array kLast = {"pass", "pwd", "pw", "auth", "login", "psk", "community"};
  const std::string low = lower(name);
  if (low.ends_with("file") || low.ends_with("path")) return false;
  if (low.ends_with("key") || low.ends_with("keys")) return true;
  if (std::ranges::any_of(kAnywhere, [&](auto* w) { return low.find(w) != npos; })) return true;
  const std::string last = low.substr(low.find_last_of("_-.") + 1);  // of npos: all
  return std::ranges::find(kLast, last) != kLast.end();
}

void Mask::learn(std::string_view secret) {
  // As they are, and as logs and JSON write them.
  const std::string quoted = dump_json(Json(secret));
  for (const std::string& form : {std::string(secret), printable(secret, secret.size() * 4),
                                  quoted.substr(1, quoted.size() - 2)}) {
    if (form.size() < kShortest || form == kMasked) continue;
    if (std::ranges::find(known_, form) == known_.end()) known_.push_back(form);
  }
  std::ranges::stable_sort(known_, std::greater(), &std::string::size);
}

void Mask::learn_from(std::string_view text) {
  for (const Span& span : secrets_by_form(text)) {
    const std::string_view found = text.substr(span.begin, span.end - span.begin);
    learn(found);
    // Of USER:PASSWORD the password alone.
    if (const size_t colon = found.find(':'); colon != npos) learn(found.substr(colon + 1));
  }
}

std::string Mask::text(std::string_view text) const {
  std::string out(text);
  for (const std::string& secret : known_) replace_all(out, secret);
  std::string masked;
  size_t from = 0;
  for (const Span& span : secrets_by_form(out)) {
    masked.append(out, from, span.begin - from).append(kMasked);
    from = span.end;
  }
  return masked.append(out, from);
}

Json Mask::json(const Json& json) const {
  if (json.is_string()) return text(json.get<std::string>());
  Json masked = json;
  if (json.is_array()) {
    for (Json& item : masked) item = this->json(item);
  } else if (json.is_object()) {
    for (auto& [key, value] : masked.items()) {
      value = names_secret(key) ? Json(kMasked) : this->json(value);
    }
  }
  return masked;
}

}  // namespace fieldpost::cli
