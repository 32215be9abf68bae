// SPDX-License-Identifier: Apache-2.0
#include "model/command.hpp"

namespace fieldpost {

std::string_view name_of(CommandStatus status) {
  switch (status) {
    case CommandStatus::Done:
      return "done";
    case CommandStatus::Rejected:
      return "rejected";
    case CommandStatus::Failed:
      return "failed";
  }
  return "unknown";
}

}  // namespace fieldpost
