// SPDX-License-Identifier: Apache-2.0
#include "model/template.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "base/text.hpp"

namespace fieldpost {
namespace {

// In the order of Place.
constexpr std::array<std::string_view, 4> kPlaces = {"device", "attribute", "value", "time"};

Error unknown(std::string_view text) {
  return {Errc::Invalid, "expected ${device}, ${attribute}, ${value} or ${time}, got \"" +
                             printable(text, 80) + "\""};
}

}  // namespace

Result<Template> Template::parse(std::string_view text) {
  Template made;
  for (;;) {
    const size_t at = text.find("${");
    if (at == std::string_view::npos) break;
    const size_t end = text.find('}', at);
    if (end == std::string_view::npos) return unknown(text.substr(at));
    const auto* const place = std::ranges::find(kPlaces, text.substr(at + 2, end - at - 2));
    if (place == kPlaces.end()) return unknown(text.substr(at, end + 1 - at));
    made.parts_.push_back(
        {std::string(text.substr(0, at)), static_cast<Place>(place - kPlaces.begin())});
    text.remove_prefix(end + 1);
  }
  made.rest_ = text;
  return made;
}

bool Template::has(Place place) const {
  return std::ranges::find(parts_, place, &Part::place) != parts_.end();
}

std::string Template::fill(const Filling& filling) const {
  const std::array<std::string_view, 4> values = {filling.device, filling.attribute, filling.value,
                                                  filling.time};
  std::string text;
  for (const Part& part : parts_) {
    text.append(part.text).append(values[static_cast<size_t>(part.place)]);
  }
  return text + rest_;
}

}  // namespace fieldpost
