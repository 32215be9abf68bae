// SPDX-License-Identifier: Apache-2.0
#include "store/wear.hpp"

#include <charconv>
#include <string>
#include <string_view>

#include "base/file.hpp"

namespace fieldpost {
namespace {

using namespace std::chrono_literals;

std::optional<int64_t> number_after(std::string_view text, std::string_view name) {
  const size_t at = text.find(name);
  if (at == std::string_view::npos) return std::nullopt;
  text.remove_prefix(at + name.size());
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return std::nullopt;
  return number;
}

}  // namespace

std::optional<int64_t> bytes_written_by_this_thread() {
  const auto io = read_file("/proc/thread-self/io", 4096);
  if (!io) return std::nullopt;
  const auto written = number_after(*io, "\nwrite_bytes: ");
  const auto cancelled = number_after(*io, "\ncancelled_write_bytes: ");
  if (!written || !cancelled) return std::nullopt;
  return *written - *cancelled;
}

void Wear::note(BootTime now) {
  if (const auto total = bytes_written_by_this_thread()) note(now, *total);
}

void Wear::note(BootTime now, int64_t total) {
  const std::scoped_lock lock(mutex_);
  total_ = total;
  if (hours_.empty()) hours_.emplace_back(now, 0);  // making the database counts too
  if (now - hours_.back().first >= 1h) hours_.emplace_back(now, total);
  while (hours_.size() > 1 && now - hours_[1].first >= 24h) hours_.pop_front();
}

std::optional<Written> Wear::written(BootTime now) const {
  const std::scoped_lock lock(mutex_);
  if (hours_.empty()) return std::nullopt;
  const auto& [since, before] = hours_.front();
  return Written{.bytes = total_, .recent_bytes = total_ - before, .recent = now - since};
}

}  // namespace fieldpost
