// SPDX-License-Identifier: Apache-2.0
#include "supervisor/host_log.hpp"

#include "base/log.hpp"
#include "base/message_ids.hpp"

namespace fieldpost {

void log_state(const std::string& name, HostState state, const std::string& reason,
               bool too_often) {
  switch (state) {
    case HostState::Up:
      return log::write(too_often ? log::Level::Debug : log::Level::Info, "the plugin is up",
                        {{"FP_PLUGIN", name}});
    case HostState::Backoff:
      return log::warning(
          "the plugin ended and will be started again",
          {message_id::kPluginRestarts, {"FP_PLUGIN", name}, {"FP_REASON", reason}});
    case HostState::Degraded:
      return log::error("the plugin ends too often and is only started with long pauses",
                        {message_id::kPluginBackedOff, {"FP_PLUGIN", name}, {"FP_REASON", reason}});
    case HostState::Failed:
      return log::error("the plugin cannot run",
                        {message_id::kPluginCannotRun, {"FP_PLUGIN", name}, {"FP_REASON", reason}});
    case HostState::Down:
      return log::info("the plugin is stopped", {{"FP_PLUGIN", name}});
    case HostState::Starting:
    case HostState::Stopping:
      return log::debug("the plugin changes its state",
                        {{"FP_PLUGIN", name}, {"FP_STATE", std::string(name_of(state))}});
  }
}

}  // namespace fieldpost
