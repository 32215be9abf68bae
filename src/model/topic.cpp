// SPDX-License-Identifier: Apache-2.0
#include "model/topic.hpp"

#include <algorithm>
#include <optional>

namespace fieldpost {
namespace {

// The levels of a topic, one after the other.
class Levels {
 public:
  explicit Levels(std::string_view topic) : rest_(topic) {}
  std::optional<std::string_view> next() {
    if (!rest_) return std::nullopt;
    const size_t end = rest_->find('/');
    const std::string_view level = rest_->substr(0, end);
    rest_ = end == std::string_view::npos ? std::nullopt : std::optional(rest_->substr(end + 1));
    return level;
  }

 private:
  std::optional<std::string_view> rest_;
};

}  // namespace

bool overlap(std::string_view filter, std::string_view other) {
  Levels a(filter);
  Levels b(other);
  for (;;) {
    const auto x = a.next();
    const auto y = b.next();
    if (x == "#" || y == "#") return true;  // for no level as well
    if (!x || !y) return !x && !y;
    if (*x != *y && *x != "+" && *y != "+") return false;
  }
}

bool is_losants(std::string_view topic) { return topic.substr(0, topic.find('/')) == "losant"; }

}  // namespace fieldpost
