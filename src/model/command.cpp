// SPDX-License-Identifier: Apache-2.0
#include "model/command.hpp"

namespace fieldpost {

std::string_view name_of(CommandStatus status) {
  switch (status) {
    case CommandStatus::Received:
      return "received";
    case CommandStatus::Accepted:
      return "accepted";
    case CommandStatus::Done:
      return "done";
    case CommandStatus::Rejected:
      return "rejected";
    case CommandStatus::Failed:
      return "failed";
    case CommandStatus::Expired:
      return "expired";
    case CommandStatus::Duplicate:
      return "duplicate";
    case CommandStatus::Unknown:
      break;
  }
  return "unknown";
}

}  // namespace fieldpost
