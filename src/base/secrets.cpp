// SPDX-License-Identifier: Apache-2.0
#include "base/secrets.hpp"

#include <algorithm>
#include <array>
#include <cctype>

namespace fieldpost {
namespace {

constexpr size_t npos = std::string_view::npos;
constexpr std::string_view kBlanks = " \t\r\n";
constexpr std::string_view kTokenEnds = " \t\r\n\"'";
constexpr std::string_view kSlashes = "://";
constexpr size_t kLosantSecret = 64;  // hexadecimal digits

// In lower case. Of a secret's name anywhere:
constexpr std::array<std::string_view, 10> kAnywhere = {
    "password", "passwd", "passphrase", "passcode",      "passwort",
    "secret",   "token",  "credential", "authorization", "cookie"};
constexpr std::string_view kBearer = "bearer";
// Alone, or behind the last '_', '-' or '.':
constexpr std::array<std::string_view, 11> kLast = {
    "pass", "pwd", "pw", "pin", "auth", "login", "psk", "community", "sig", "signature", kBearer};
// That end in "key" and are none.
constexpr std::array<std::string_view, 8> kNoKeys = {"donkey", "hockey", "hotkey",  "jockey",
                                                     "monkey", "turkey", "turnkey", "whiskey"};

// Prose: "the password of the PLC was changed to x", "the secret is x".
constexpr std::array<std::string_view, 2> kOf = {"of", "for"};
constexpr std::array<std::string_view, 3> kIs = {"is", "was", "equals"};
constexpr std::array<std::string_view, 7> kChanged = {"set",  "changed", "reset", "has",
                                                      "been", "now",     "still"};
constexpr int kWordsOfOwner = 3;
constexpr int kWordsOfPhrase = 24;  // from the name to what it is; "token of token of" has no end
// What is said of secrets; any other word behind "is" may be one.
constexpr std::array<std::string_view, 70> kSaid = {
    "a",        "about",     "absent",   "accepted", "already",  "an",         "and",    "as",
    "at",       "because",   "blank",    "but",      "by",       "correct",    "denied", "empty",
    "expected", "expired",   "for",      "found",    "from",     "given",      "hidden", "if",
    "in",       "incorrect", "invalid",  "kept",     "known",    "long",       "longer", "masked",
    "missing",  "needed",    "never",    "no",       "not",      "of",         "ok",     "on",
    "one",      "only",      "readable", "refused",  "rejected", "required",   "right",  "same",
    "sent",     "set",       "short",    "shorter",  "so",       "stored",     "taken",  "that",
    "the",      "there",     "to",       "too",      "unknown",  "unreadable", "unset",  "used",
    "valid",    "when",      "with",     "without",  "wrong",    "yet"};
// Behind ':' alone, where another of them follows.
constexpr std::array<std::string_view, 3> kBegins = {"about", "not", "too"};
// "is 8 characters long": a number of up to so many digits, which is too few for a secret.
constexpr std::array<std::string_view, 4> kLengths = {"characters", "bytes", "digits", "bits"};
constexpr size_t kDigitsOfLength = 3;

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

bool has_secret_word(const std::string& low) {
  return std::ranges::any_of(kAnywhere, [&](auto word) { return low.find(word) != npos; });
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

// Where the next of some characters is. A long line may have thousands of names, whose values all
// go as far: what was found once is not looked for again, and the time is in proportion.
class Next {
 public:
  Next(std::string_view text, std::string_view chars) : text_(text), chars_(chars) {}
  // text.size(): there is none.
  size_t from(size_t at) {
    if (at < asked_ || at > found_) {
      asked_ = at;
      found_ = std::min(text_.find_first_of(chars_, at), text_.size());
    }
    return found_;
  }

 private:
  std::string_view text_, chars_;
  size_t asked_ = 1, found_ = 0;  // none of asked_ to found_ - 1 is one; nothing is known yet
};

class Text {
 public:
  explicit Text(std::string_view text)
      : all(text),
        line_(text, "\n"),
        token_(text, kTokenEnds),
        word_(text, kBlanks),
        and_(text, "&") {}
  size_t end_of_line(size_t at) { return line_.from(at); }
  size_t end_of_token(size_t at) { return token_.from(at); }
  // Up to a blank; a parameter of a URL ends earlier.
  size_t end_of_word(size_t at) {
    const size_t end = word_.from(at);
    return is_in_url(at, end) ? std::min(and_.from(at), end) : end;
  }
  const std::string_view all;

 private:
  // Whether "://" is before `at` in the word that ends at `end`.
  bool is_in_url(size_t at, size_t end) {
    if (at < word_begin_ || end != word_end_) {
      word_begin_ = all.find_last_of(kBlanks, at) + 1;  // of npos: 0
      word_end_ = end;
      slashes_ = all.substr(0, end).find(kSlashes, word_begin_);
    }
    return slashes_ != npos && slashes_ + kSlashes.size() <= at;
  }

  Next line_, token_, word_, and_;
  size_t word_begin_ = 0, word_end_ = 0, slashes_ = npos;  // of the word asked for last
};

// Without what may stand behind a word of prose.
std::string_view bare(std::string_view word) {
  return word.substr(0, word.find_last_not_of(".,;:)!?") + 1);
}
bool is_plain(std::string_view word) {
  return std::ranges::all_of(
      bare(word), [](char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; });
}
bool is_number(std::string_view word) {
  return !word.empty() && word.find_first_not_of("0123456789") == npos;
}

// The word at `at`, and the one behind it in the same line; empty: there is none.
std::string_view word_at(Text& in, size_t at) {
  return bare(in.all.substr(at, in.end_of_token(at) - at));
}
std::string_view word_behind(Text& in, size_t at) {
  return word_at(in, skip(in.all, in.end_of_token(at), is_blank));
}

// Behind the quote at `at`, which may be escaped itself, as in JSON within JSON.
size_t end_of_quoted(Text& in, size_t at, bool escaped) {
  const std::string_view text = in.all;
  const char quote = text[at];
  for (size_t i = at + 1; i < text.size() && text[i] != '\n'; ++i) {
    if (text[i] == '\\' && !escaped) {
      ++i;
    } else if (text[i] == quote) {
      return i + 1;
    }
  }
  return in.end_of_line(at);
}

// What stands behind a secret's name and its '=' or ':', with the quotes around it.
SecretSpan value_at(Text& in, size_t at) {
  const std::string_view text = in.all;
  if (at >= text.size()) return {at, at};
  const bool escaped = text[at] == '\\';
  const size_t first = escaped ? at + 1 : at;
  if (first < text.size() && is_quote(text[first])) {
    return {at, end_of_quoted(in, first, escaped)};
  }
  // A list; or "password: expected a whole number, got 4711", as checks say it.
  const bool whole = text[at] == '{' || text[at] == '[' || text.substr(at).starts_with("expected ");
  if (whole) return {at, in.end_of_line(at)};
  return {at, in.end_of_word(at)};
}

template <size_t N>
bool is_one_of(std::string_view word, const std::array<std::string_view, N>& words) {
  return std::ranges::find(words, word) != words.end();
}

// Behind "is", "of the PLC was changed to" and the like at `end`; npos: something else is said.
size_t said_of_it(Text& in, size_t end) {
  const std::string_view text = in.all;
  int of_owner = 0;
  bool is = false, changed = false;
  for (int words = 0; words < kWordsOfPhrase; ++words) {
    const size_t at = skip(text, end, is_blank);
    if (at == end || at == text.size()) return npos;
    end = in.end_of_token(at);
    std::string word = lower(text.substr(at, end - at));
    if (word.ends_with(':')) word.pop_back();
    if (is_one_of(word, kOf) && !is) {
      of_owner = kWordsOfOwner;
    } else if (is_one_of(word, kIs) || (changed && word == "to")) {
      is = true;
    } else if (is_one_of(word, kChanged)) {
      changed = true;
    } else if (is || of_owner-- <= 0) {
      return is ? at : npos;
    }
  }
  return npos;
}

// Of "is 8 characters long", at the 8.
bool is_length(Text& in, size_t at) {
  const std::string_view word = word_at(in, at);
  return word.size() <= kDigitsOfLength && is_number(word) &&
         is_one_of(lower(word_behind(in, at)), kLengths);
}

// Of ": not found", at the "not". One word alone may be a secret.
bool is_said(Text& in, size_t at) {
  return is_one_of(lower(word_at(in, at)), kBegins) && is_one_of(lower(word_behind(in, at)), kSaid);
}

// Of "register key of 40001", at the end of "key".
bool is_of_register(Text& in, std::string_view name, size_t end) {
  constexpr std::string_view kRegister = "register";
  const std::string_view before = in.all.substr(0, end - name.size());
  const size_t last = before.find_last_not_of(" \t") + 1;
  if (last == before.size() || last < kRegister.size()) return false;
  const size_t of = skip(in.all, end, is_blank);
  return lower(name) == "key" &&
         lower(before.substr(last - kRegister.size(), kRegister.size())) == kRegister &&
         is_one_of(lower(word_at(in, of)), kOf) && is_number(word_behind(in, of));
}

// Of "the password is x", whose name ends at `end`, the x; else empty.
SecretSpan value_in_prose(Text& in, std::string_view name, size_t end) {
  const std::string_view text = in.all;
  const bool is_key = !has_secret_word(lower(name));               // of which no word is one
  if (is_key && !lower(name).ends_with("key")) return {end, end};  // "pin is 17"
  const size_t at = said_of_it(in, end);
  if (at == npos) return {end, end};
  if (is_quote(text[at]) || text[at] == '\\') return value_at(in, at);
  const std::string_view said = word_at(in, at);
  if (is_one_of(lower(said), kSaid) || is_length(in, at)) return {end, end};
  if (is_key && (is_plain(said) || (is_number(said) && is_of_register(in, name, end)))) {
    return {end, end};
  }
  return {at, at + said.size()};
}

// What follows the name that ends at `end`, if it is a value of it; else empty.
SecretSpan value_of(Text& in, std::string_view name, size_t end) {
  const std::string_view text = in.all;
  if (lower(name).find("authorization") != npos) {  // of how many words its value is, varies
    const size_t value = std::min(text.find_first_not_of(" \t:=\"'\\", end), text.size());
    return {value, in.end_of_line(value)};
  }
  size_t at = end;
  while (at < text.size() && (is_quote(text[at]) || text[at] == '\\')) ++at;
  const size_t sign = skip(text, at, is_blank);
  if (sign == text.size()) return {end, end};
  if (text[sign] == ',' && at > end && name.starts_with('-')) {  // ["--password", "x"]
    return value_at(in, skip(text, sign + 1, is_blank));
  }
  if (text[sign] == '=' || text[sign] == ':') {
    const bool is_prose = text[sign] == ':' && sign == end;
    const size_t value = skip(text, sign + 1, is_blank);
    if (is_prose && value > sign + 1 && is_said(in, value)) return {end, end};
    const size_t arrow = skip(text, sign + 1, [](char c) { return c == '=' || c == '>'; });
    return value_at(in, skip(text, arrow, is_blank));
  }
  if (sign == at) return {end, end};
  // "--password x", "bearer x"; of prose "the token a1b2", but not "the token is" or "pin 17".
  if (is_quote(text[sign])) return value_at(in, sign);
  const SecretSpan next{sign, in.end_of_token(sign)};
  const bool is_option = name.starts_with('-') || lower(name) == kBearer;
  if (is_option) return next;
  const bool is_word = is_plain(text.substr(sign, next.end - sign));
  if (has_secret_word(lower(name)) && !is_word) return next;
  return value_in_prose(in, name, end);
}

// All of it: a known value may have been the beginning of another.
bool is_masked(std::string_view word) {
  while (!word.empty() && (is_quote(word.front()) || word.front() == '\\')) word.remove_prefix(1);
  return word.starts_with(kMasked) &&
         word.find_first_not_of("\"'\\,.;:)]}", kMasked.size()) == npos;
}

void add_values(std::string_view text, std::vector<SecretSpan>& found) {
  Text in(text);
  for (size_t at = 0; at < text.size();) {
    if (!is_name(text[at])) {
      ++at;
      continue;
    }
    const size_t end = skip(text, at, is_name);
    const std::string_view name = text.substr(at, end - at);
    at = end;
    if (!names_secret(name)) continue;
    // It may have names in it: "auth=bearer x".
    const SecretSpan value = value_of(in, name, end);
    const std::string_view word = text.substr(value.begin, value.end - value.begin);
    if (!word.empty() && !is_masked(word)) found.push_back(value);
  }
}

void add_logins(std::string_view text, std::vector<SecretSpan>& found) {
  size_t end = 0;  // of a URL, whose last '@' counts for every "://" in it
  for (size_t at = text.find(kSlashes); at != npos; at = text.find(kSlashes, end)) {
    const size_t begin = at + kSlashes.size();
    end = std::min(text.find_first_of(kTokenEnds, begin), text.size());
    const size_t login = text.substr(begin, end - begin).rfind('@');
    if (login != npos && login > 0) found.push_back({begin, begin + login});
  }
}

void add_private_keys(std::string_view text, std::vector<SecretSpan>& found) {
  constexpr std::string_view kBegin = "PRIVATE KEY-----";
  for (size_t at = text.find(kBegin); at != npos;) {
    const size_t begin = at + kBegin.size();
    const size_t end = std::min(text.find("-----END", begin), text.size());
    found.push_back({begin, end});
    at = text.find(kBegin, std::max(begin, end - (kBegin.size() - 1)));  // one may lie across it
  }
}

void add_losant_secrets(std::string_view text, std::vector<SecretSpan>& found) {
  const auto is_hex = [](char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; };
  for (size_t at = 0; at < text.size();) {
    size_t end = at;
    while (end < text.size() && is_hex(text[end])) ++end;
    if (end - at >= kLosantSecret) found.push_back({at, end});
    at = end + 1;
  }
}

}  // namespace

bool names_secret(std::string_view name) {
  const std::string low = lower(name);
  if (low.ends_with("file") || low.ends_with("path")) return false;
  if (has_secret_word(low)) return true;
  std::string_view last = std::string_view(low).substr(low.find_last_of("_-.") + 1);  // npos: all
  if (is_one_of(last, kLast)) return true;
  if (last.ends_with("keys")) last.remove_suffix(1);
  return last.ends_with("key") && !is_one_of(last, kNoKeys);
}

std::vector<SecretSpan> find_secrets(std::string_view text) {
  std::vector<SecretSpan> found;
  add_values(text, found);
  add_logins(text, found);
  add_private_keys(text, found);
  add_losant_secrets(text, found);
  std::ranges::sort(found, {}, &SecretSpan::begin);
  std::vector<SecretSpan> merged;
  for (const SecretSpan& span : found) {
    if (!merged.empty() && span.begin < merged.back().end) {
      merged.back().end = std::max(merged.back().end, span.end);
    } else {
      merged.push_back(span);
    }
  }
  return merged;
}

std::string mask_secrets(std::string_view text) {
  std::string masked;
  size_t from = 0;
  for (const SecretSpan& span : find_secrets(text)) {
    masked.append(text, from, span.begin - from).append(kMasked);
    from = span.end;
  }
  return masked.append(text, from);
}

}  // namespace fieldpost
