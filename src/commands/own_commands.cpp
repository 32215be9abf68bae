// SPDX-License-Identifier: Apache-2.0
#include "commands/own_commands.hpp"

#include "base/text.hpp"

namespace fieldpost {

std::vector<CommandRoute> OwnCommands::routes(const DeviceConfig& gateway) const {
  std::vector<CommandRoute> routes;
  for (const CommandSpec& spec : own_commands()) {
    const auto index = static_cast<uint32_t>(routes.size());
    routes.push_back({gateway.id, gateway.name, "", index, spec});
  }
  return routes;
}

message::Outcome OwnCommands::run(const CommandRoute& route,
                                  const std::vector<std::optional<Value>>& arguments,
                                  BootTime now) {
  const bool named = !arguments.empty() && arguments[0];
  const auto done = act(static_cast<OwnCommand>(route.index),
                        named ? std::get<std::string>(*arguments[0]) : "", now);
  if (done) return {.status = message::Outcome::Status::Done};
  return {.status = message::Outcome::Status::Rejected, .reason = done.error().message};
}

Result<> OwnCommands::act(OwnCommand command, const std::string& plugin, BootTime now) {
  if (const std::string_view off = switched_off_by(config_, command); !off.empty()) {
    return Error{Errc::Unavailable,
                 "it is switched off: [commands] " + std::string(off) + " = false"};
  }
  // To report twice harms nobody.
  if (command == OwnCommand::Status) return actions_.report();
  FP_CHECK_OK(not_again(command, plugin, now));
  FP_CHECK_OK(command == OwnCommand::Reload ? actions_.reload() : actions_.restart(plugin));
  done_[{command, plugin}] = now;
  return {};
}

Result<> OwnCommands::not_again(OwnCommand command, const std::string& plugin, BootTime now) {
  std::erase_if(done_, [now](const auto& item) { return now - item.second >= kGap; });
  const auto before = done_.find({command, plugin});
  if (before == done_.end()) return {};
  return Error{Errc::Unavailable, "it was done " + about(now - before->second) + " ago"};
}

}  // namespace fieldpost
