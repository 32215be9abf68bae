// SPDX-License-Identifier: Apache-2.0
#include "supervisor/exit_reason.hpp"

#include <cstring>

namespace fieldpost {

std::string exit_reason(const siginfo_t& info) {
  const int status = info.si_status;
  if (info.si_code == CLD_EXITED) return "exit status " + std::to_string(status);
  const char* const name = ::sigdescr_np(status);
  return "killed by signal " + std::to_string(status) +
         (name == nullptr ? "" : " (" + std::string(name) + ")");
}

}  // namespace fieldpost
