// SPDX-License-Identifier: Apache-2.0
#include "model/sandbox.hpp"

#include <algorithm>

namespace fieldpost {

bool leaves_open(const Sandbox& in_force, const Sandbox& wanted) {
  return !std::ranges::all_of(wanted.hidden, [&](const std::string& path) {
    return std::ranges::any_of(in_force.hidden, [&](const std::string& hidden) {
      return path == hidden || path.starts_with(hidden + "/");
    });
  });
}

std::string words_of_needs(uint32_t needs) {
  const std::string sockets = (needs & kNeedsNetwork) != 0 ? "network" : "no sockets";
  return sockets + ((needs & kNeedsExec) != 0 ? ", programs" : ", no programs");
}

std::string describe(const Sandbox& sandbox, const Confinement& in_force) {
  if (!sandbox.on) return "off, as configured";
  const std::string calls =
      in_force.calls ? words_of_needs(sandbox.needs) : "system calls not confined";
  return calls + (in_force.files ? ", files confined" : ", files not confined");
}

}  // namespace fieldpost
