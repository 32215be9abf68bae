// SPDX-License-Identifier: Apache-2.0
//
// Text with ${…} in it, of which custom topics and payloads are made. A '$' without '{' stands for
// itself.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace fieldpost {

class Template {
 public:
  enum class Place : uint8_t { DeviceName, AttributeName, ReadValue, Time };
  // What is filled in; value and time as they are to be written.
  struct Filling {
    std::string_view device, attribute, value, time;
  };

  Template() = default;
  // Errors: Invalid: `expected …, got …`, which lists the places there are.
  static Result<Template> parse(std::string_view text);

  bool has(Place place) const;
  std::string fill(const Filling& filling) const;

 private:
  struct Part {
    std::string text;  // that comes before the place
    Place place;
  };
  std::vector<Part> parts_;
  std::string rest_;
};

}  // namespace fieldpost
