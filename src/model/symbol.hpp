// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace fieldpost {

// A name that is kept once and never freed: attribute names and Losant ids, which accompany every
// reading. Equal names from one table have equal addresses. May be read from any thread that got
// it through a Mailbox.
using Symbol = const std::string*;

// Hands out symbols, to any thread, and outlives all who hold them. Its size is bounded by its
// users: attributes of configured devices, at most kMaxAttributes each, and what a backlog names.
class SymbolTable {
 public:
  Symbol intern(std::string_view name) {
    const std::scoped_lock lock(mutex_);
    if (const auto it = index_.find(name); it != index_.end()) return it->second;
    const Symbol symbol = &names_.emplace_back(name);
    index_.emplace(*symbol, symbol);
    return symbol;
  }

 private:
  std::mutex mutex_;
  std::deque<std::string> names_;  // a deque: addresses stay
  std::unordered_map<std::string_view, Symbol> index_;
};

}  // namespace fieldpost
