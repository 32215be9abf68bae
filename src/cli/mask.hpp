// SPDX-License-Identifier: Apache-2.0
//
// Keeps secrets out of what leaves the machine. Two ways, because either has holes: known secrets
// are masked wherever they stand, and what has the form of one (base/secrets.hpp) without being
// known.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"

namespace fieldpost::cli {

class Mask {
 public:
  // Something that text() masks from now on. Less than 4 bytes is too common to be known.
  void learn(std::string_view secret);
  // What has the form of a secret in this text: it may stand elsewhere without that form.
  void learn_from(std::string_view text);

  std::string text(std::string_view text) const;
  // Each text in it, and whole the value of a member with a secret's name.
  Json json(const Json& json) const;

 private:
  std::vector<std::string> known_;  // the longest first
};

}  // namespace fieldpost::cli
