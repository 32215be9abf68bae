// SPDX-License-Identifier: Apache-2.0
//
// Where the rows of option tables put their values, and what their ranges are written in.
#pragma once

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "config/tables.hpp"
#include "model/keep.hpp"

namespace fieldpost {

inline constexpr double kHour = 3600;  // seconds
inline constexpr double kDay = 24 * kHour;
inline constexpr double kKb = 1e3;  // bytes
inline constexpr double kMb = 1e6;

// In the order of the values of Keep.
inline const std::vector<std::string>& keep_words() {
  static const std::vector<std::string> words = {"thin", "all", "newest"};
  return words;
}

inline Keep keep_of(const Value& value) {
  return static_cast<Keep>(std::ranges::find(keep_words(), std::get<std::string>(value)) -
                           keep_words().begin());
}

template <auto Member>
struct MemberOf;
template <class C, class T, T C::*Member>
struct MemberOf<Member> {
  using Class = C;
  using Type = T;
};

// into<&UplinkConfig::port>: stores a checked value in that member; each of several in a list.
template <auto Member>
void into(void* object, const Value& value) {
  using Type = typename MemberOf<Member>::Type;
  auto& field = static_cast<typename MemberOf<Member>::Class*>(object)->*Member;
  if constexpr (std::is_same_v<Type, std::string> ||
                std::is_same_v<Type, std::optional<std::string>>) {
    field = std::get<std::string>(value);
  } else if constexpr (std::is_same_v<Type, std::vector<std::string>>) {
    field.push_back(std::get<std::string>(value));
  } else if constexpr (std::is_same_v<Type, bool>) {
    field = std::get<bool>(value);
  } else if constexpr (std::is_same_v<Type, Keep> || std::is_same_v<Type, std::optional<Keep>>) {
    field = keep_of(value);
  } else if constexpr (std::is_same_v<Type, nanoseconds> ||
                       std::is_same_v<Type, std::optional<nanoseconds>>) {
    field = nanoseconds(std::llround(std::get<double>(value) * 1e9));
  } else {
    field = static_cast<Type>(std::get<double>(value));
  }
}

inline void nowhere(void* /*object*/, const Value& /*value*/) {}

}  // namespace fieldpost
