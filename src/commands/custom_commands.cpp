// SPDX-License-Identifier: Apache-2.0
#include "commands/custom_commands.hpp"

#include <utility>

#include "base/json.hpp"
#include "base/text.hpp"
#include "commands/envelope.hpp"
#include "model/topic.hpp"
#include "model/value_json.hpp"

namespace fieldpost {
namespace {

Error misfit(std::string reason) { return {Errc::Invalid, std::move(reason)}; }

std::string shown(std::string_view text) { return "\"" + printable(text, 80) + "\""; }

// One message, as the arguments of one entry.
class Reader {
 public:
  Reader(const SubscribeConfig& entry, const std::string& payload)
      : entry_(&entry), payload_(&payload) {}

  Result<Json> arguments() {
    Json arguments = Json::object();
    for (const SubscribeConfig::Argument& argument : entry_->arguments) {
      arguments[argument.name] = FP_TRY(value_of(argument));
    }
    return arguments;
  }

 private:
  Result<Json> value_of(const SubscribeConfig::Argument& argument) {
    if (!argument.pointer.empty()) return mapped(FP_TRY(at(argument.pointer)));
    if (!entry_->map.empty() || argument.takes_text) return mapped(Json(*payload_));
    auto value = parse_json(*payload_);
    if (value && (value->is_number() || value->is_boolean())) return *std::move(value);
    return misfit("expected a number, true or false, got " + shown(*payload_));
  }

  Result<Json> at(const std::string& pointer) {
    if (!json_) json_ = FP_TRY(parse_json(*payload_));
    const Json* const found = find_at(*json_, pointer);
    if (found == nullptr) return misfit("there is nothing at " + shown(pointer));
    if (found->is_primitive() && !found->is_null()) return *found;
    return misfit("expected a number, true, false or text at " + shown(pointer) + ", got " +
                  printable(dump_json(*found), 80));
  }

  Result<Json> mapped(Json value) const {
    if (entry_->map.empty()) return value;
    const std::string text = value.is_string() ? value.get<std::string>() : dump_json(value);
    const auto constant = entry_->map.find(text);
    if (constant == entry_->map.end()) return misfit(shown(text) + " is not in its map");
    return to_json(constant->second);
  }

  const SubscribeConfig* entry_;
  const std::string* payload_;
  std::optional<Json> json_;
};

Result<IncomingCommand> command_of(const SubscribeConfig& entry, const std::string& payload) {
  if (payload.size() > kMaxCommandPayload) {
    return misfit("the message has " + std::to_string(payload.size()) + " bytes; at most " +
                  std::to_string(kMaxCommandPayload) + " are taken");
  }
  if (!is_utf8(payload)) return misfit("the message is not UTF-8");
  const Json arguments = FP_TRY(Reader(entry, payload).arguments());
  return IncomingCommand{
      .device_id = entry.device_id,
      .payload = dump_json(Json{{"name", entry.command}, {"payload", arguments}})};
}

}  // namespace

CustomCommands::Read CustomCommands::read(const IncomingMessage& message) {
  const std::scoped_lock lock(mutex_);
  ++counts_.received;
  Read read;
  for (const SubscribeConfig& entry : entries_) {
    if (!matches(entry.topic, message.topic)) continue;
    auto command = command_of(entry, message.payload);
    if (command) {
      command->topic = message.topic;
      command->received = message.received;
      read.commands.push_back(*std::move(command));
    } else {
      ++counts_.misfits;
      read.misfits.push_back({entry.command, command.error().message});
    }
  }
  return read;
}

}  // namespace fieldpost
