// SPDX-License-Identifier: Apache-2.0
#include "model/plugin_info.hpp"

#include <algorithm>

namespace fieldpost {

const OptionSpec* only_argument(const CommandSpec& spec) {
  if (spec.args.size() == 1) return &spec.args.front();
  if (std::ranges::count(spec.args, true, &OptionSpec::required) != 1) return nullptr;
  return &*std::ranges::find(spec.args, true, &OptionSpec::required);
}

}  // namespace fieldpost
