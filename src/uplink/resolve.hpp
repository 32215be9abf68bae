// SPDX-License-Identifier: Apache-2.0
//
// Name lookup that can be abandoned. getaddrinfo() may hang for as long as it likes and cannot be
// interrupted, so it runs in a detached thread that shares nothing with us but its result.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace fieldpost {

// Numeric addresses of a host name, best first. May block; called on a thread of its own, and may
// still run when the one who asked is gone: it must own all it uses.
using Resolver = std::function<Result<std::vector<std::string>>(const std::string& host)>;

// getaddrinfo(), both families.
Result<std::vector<std::string>> system_resolver(const std::string& host);

class Lookup {
 public:
  // Lookups that may hang at a time, in the whole process, abandoned ones included.
  static constexpr int kMaxRunning = 8;

  // Errors: Unavailable (kMaxRunning of them hang), Io.
  static Result<Lookup> start(Resolver resolver, std::string host);

  int fd() const;  // readable when take() will answer
  Result<std::vector<std::string>> take();

 private:
  struct Shared;
  explicit Lookup(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}
  std::shared_ptr<Shared> shared_;  // two owners: this and the thread, which may outlive it
};

}  // namespace fieldpost
