// SPDX-License-Identifier: Apache-2.0
#include "config/problems.hpp"

#include <algorithm>
#include <array>
#include <tuple>
#include <utility>

#include "base/text.hpp"

namespace fieldpost {
namespace {

bool looks_secret(std::string_view key) {
  constexpr std::array<std::string_view, 7> kWords = {
      "password", "passwd", "passphrase", "secret", "token", "access_key", "private_key"};
  std::string lower(key);
  std::ranges::transform(lower, lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c == '-' ? '_' : c;
  });
  if (lower.ends_with("_file")) return false;  // names a place, which is as it should be
  return std::ranges::any_of(
      kWords, [&](std::string_view word) { return lower.find(word) != std::string::npos; });
}

}  // namespace

std::string to_string(const Location& location) {
  std::string text = location.file;
  if (location.line > 0) text += ":" + std::to_string(location.line);
  if (location.line > 0 && location.column > 0) text += ":" + std::to_string(location.column);
  return text;
}

std::string to_string(const Problem& problem) {
  const std::string where = to_string(problem.location);
  const std::string kind = problem.severity == Problem::Severity::Warning ? "warning: " : "";
  return where + (where.empty() ? "" : ": ") + kind + problem.text;
}

std::string did_you_mean(std::string_view name, std::span<const std::string_view> known) {
  const std::string_view near = nearest(name, known);
  return near.empty() ? "" : "; did you mean '" + std::string(near) + "'?";
}

void Problems::unknown_key(const Location& at, const std::string& path, std::string_view key,
                           std::span<const std::string_view> known) {
  const std::string name = path + (path.empty() ? "" : ".") + printable(key, 80);
  if (looks_secret(key)) {
    return error(at, name +
                         ": secrets do not belong in this file; put it into a file of its own that "
                         "only the service can read (uplink.access_key_file, "
                         "uplink.access_secret_file)");
  }
  error(at, name + ": unknown key" + did_you_mean(key, known));
}

void Problems::add(Problem::Severity severity, const Location& at, std::string& text) {
  if (severity == Problem::Severity::Error) ++errors_;
  all_.push_back({severity, at, std::move(text)});
}

std::string Problems::demote(size_t mark, Problem::Severity severity) {
  std::string first;
  for (size_t i = mark; i < all_.size(); ++i) {
    if (all_[i].severity != Problem::Severity::Error) continue;
    if (first.empty()) first = all_[i].text;
    all_[i].severity = severity;
    --errors_;
  }
  return first;
}

std::vector<Problem> Problems::take(std::span<const std::string> files) {
  const auto key = [&](const Problem& p) {
    const auto rank = std::ranges::find(files, p.location.file) - files.begin();
    return std::tuple(rank, p.location.line, p.location.column);
  };
  std::ranges::stable_sort(all_, {}, key);
  // A profile that several units have is wrong once.
  const auto rest = std::ranges::unique(all_);
  all_.erase(rest.begin(), rest.end());
  errors_ = 0;
  return std::exchange(all_, {});
}

}  // namespace fieldpost
