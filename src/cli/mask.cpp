// SPDX-License-Identifier: Apache-2.0
#include "cli/mask.hpp"

#include <algorithm>

#include "base/secrets.hpp"
#include "base/text.hpp"

namespace fieldpost::cli {
namespace {

constexpr size_t npos = std::string_view::npos;
constexpr size_t kShortest = 4;  // of what is masked wherever it stands
constexpr std::string_view kQuotes = "\"'\\";

}  // namespace

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
  for (const SecretSpan& span : find_secrets(text)) {
    std::string_view found = text.substr(span.begin, span.end - span.begin);
    while (!found.empty() && kQuotes.find(found.front()) != npos) found.remove_prefix(1);
    while (!found.empty() && kQuotes.find(found.back()) != npos) found.remove_suffix(1);
    learn(found);
    // Of USER:PASSWORD the password alone.
    if (const size_t colon = found.find(':'); colon != npos) learn(found.substr(colon + 1));
  }
}

std::string Mask::text(std::string_view text) const {
  std::string out(text);
  for (const std::string& secret : known_) replace_all(out, secret, kMasked);
  return mask_secrets(out);
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
