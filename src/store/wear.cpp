// SPDX-License-Identifier: Apache-2.0
#include "store/wear.hpp"

#include <sys/resource.h>
#include <unistd.h>

namespace fieldpost {
namespace {

using namespace std::chrono_literals;

constexpr int64_t kBlock = 512;  // of getrusage(2), whatever the disk has

}  // namespace

std::optional<int64_t> bytes_written_by_this_thread() {
  // Not by reading this file: it is root's where the process may not be looked into, as the daemon.
  static const bool counts = ::access("/proc/self/io", F_OK) == 0;
  rusage usage{};
  if (!counts || ::getrusage(RUSAGE_THREAD, &usage) != 0) return std::nullopt;
  return int64_t{usage.ru_oublock} * kBlock;
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
