// SPDX-License-Identifier: Apache-2.0
#include "model/sandbox.hpp"

namespace fieldpost {

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
