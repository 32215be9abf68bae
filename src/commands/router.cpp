// SPDX-License-Identifier: Apache-2.0
#include "commands/router.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "commands/arguments.hpp"
#include "model/names.hpp"
#include "model/value_json.hpp"

namespace fieldpost {
namespace {

constexpr size_t kMaxOpen = 256;  // more at once are refused: a flood must not pile up
constexpr size_t kMaxWaiting = size_t{1} << 20;  // bytes of those that wait for their plugins
constexpr size_t kOwnDone = 32;                  // that are remembered
constexpr size_t kMaxId = 256;  // bytes of an id as JSON: it goes into the log and the answer

// Fills in what the payload says of itself, also when it turns out to be unusable, so that the
// answer can name it. Errors: Invalid.
Result<Json> parse_payload(const std::string& payload, CommandReport& report) {
  if (payload.size() > CommandRouter::kMaxPayload) {
    return Error{Errc::Invalid, "the payload has " + std::to_string(payload.size()) +
                                    " bytes; at most " +
                                    std::to_string(CommandRouter::kMaxPayload) + " are taken"};
  }
  Json json = FP_TRY(parse_json(payload).context("the payload"));
  if (!json.is_object()) return Error{Errc::Invalid, "the payload is not a JSON object"};
  if (const auto it = json.find("payload"); it != json.end() && it->is_object()) {
    if (const auto id = it->find("id"); id != it->end() && id->is_primitive()) {
      if (dump_json(*id).size() > kMaxId) {
        return Error{Errc::Invalid,
                     "the payload's \"id\" is longer than " + std::to_string(kMaxId) + " bytes"};
      }
      report.id = *id;
    }
  }
  const auto name = json.find("name");
  if (name == json.end() || !name->is_string()) {
    return Error{Errc::Invalid, "the payload has no \"name\""};
  }
  if (!is_command_name(name->get_ref<const std::string&>())) {
    return Error{Errc::Invalid, "\"name\" is not 1 to 255 bytes of text"};
  }
  report.name = name->get<std::string>();
  return json;
}

}  // namespace

Json to_json(const CommandReport& report) {
  Json json{{"id", report.id},
            {"device", report.device_name.empty() ? report.device_id : report.device_name},
            {"command", report.name},
            {"status", name_of(report.status)}};
  if (report.readback) json["value"] = to_json(*report.readback);
  if (!report.reason.empty()) json["reason"] = report.reason;
  return json;
}

std::string fill_topic(std::string_view pattern, const CommandReport& report) {
  std::string topic(pattern);
  replace_all(topic, "${device_id}", report.device_id);
  replace_all(topic, "${device}", report.device_name);
  return topic;
}

void CommandRouter::set_routes(std::vector<CommandRoute> routes) { routes_ = std::move(routes); }

const CommandRoute* CommandRouter::find(const CommandReport& report) const {
  const auto it = std::ranges::find_if(routes_, [&](const CommandRoute& route) {
    return route.device_id == report.device_id && route.spec.name == report.name;
  });
  return it == routes_.end() ? nullptr : &*it;
}

std::string CommandRouter::why_not_found(const CommandReport& report) const {
  std::vector<std::string_view> names;
  for (const CommandRoute& route : routes_) {
    if (route.device_id == report.device_id) names.push_back(route.spec.name);
  }
  if (names.empty()) return "this device has no commands";
  const std::string_view near = nearest(report.name, names);
  return "this device has no command '" + printable(report.name, 80) + "'" +
         (near.empty() ? "" : "; did you mean '" + std::string(near) + "'?");
}

void CommandRouter::name_device(CommandReport& report) const {
  const auto it = std::ranges::find(routes_, report.device_id, &CommandRoute::device_id);
  if (it != routes_.end()) report.device_name = it->device_name;
}

void CommandRouter::on_command(const IncomingCommand& incoming, BootTime now) {
  ++counts_.received;
  take(incoming, now);
}

void CommandRouter::take(const IncomingCommand& incoming, BootTime now) {
  CommandReport report{.number = incoming.number, .device_id = incoming.device_id};
  const auto json = parse_payload(incoming.payload, report);
  if (!json) return finish(std::move(report), CommandStatus::Rejected, json.error().message);
  if (const nanoseconds age = now - incoming.received; age > kTimeToLive) {
    name_device(report);
    return finish(
        std::move(report), CommandStatus::Expired,
        "it came " + about(age) + " ago and could not be run within " + about(kTimeToLive));
  }
  const CommandRoute* const route = find(report);
  if (route == nullptr) {
    std::string reason = why_not_found(report);
    return finish(std::move(report), CommandStatus::Rejected, std::move(reason));
  }
  report.device_name = route->device_name;
  report.instance = route->instance;
  const auto payload = json->find("payload");
  auto arguments = check_arguments(route->spec, payload == json->end() ? nullptr : &*payload);
  if (!arguments) {
    return finish(std::move(report), CommandStatus::Rejected, arguments.error().message);
  }
  if (route->instance.empty()) {
    return run_own(CommandRoute(*route), *arguments, incoming, *json, std::move(report));
  }
  if (open() >= kMaxOpen) {
    return finish(std::move(report), CommandStatus::Rejected, "too many commands are running");
  }
  if (sinks_.starting(*route)) return wait(incoming, std::move(report));
  call(*route, *std::move(arguments), std::move(report), now);
}

// They are parsed anew with each retry(), and held in memory even if no log holds them.
void CommandRouter::wait(const IncomingCommand& incoming, CommandReport report) {
  size_t bytes = incoming.payload.size();
  for (const IncomingCommand& other : waiting_) bytes += other.payload.size();
  if (bytes > kMaxWaiting) {
    return finish(std::move(report), CommandStatus::Rejected,
                  "too many large commands wait for their plugins to start");
  }
  waiting_.push_back(incoming);
}

void CommandRouter::call(const CommandRoute& route, Arguments arguments, CommandReport report,
                         BootTime now) {
  if (const auto noted = sinks_.accepted(report.number); !noted) {
    return finish(std::move(report), CommandStatus::Rejected, noted.error().message);
  }
  const uint64_t id = ++last_id_;
  const auto called = sinks_.call(route, {id, route.index, std::move(arguments)});
  if (!called) return finish(std::move(report), CommandStatus::Failed, called.error().message);
  running_.emplace(id, Running{std::move(report), now + timeout_});
}

void CommandRouter::retry(BootTime now) {
  for (const IncomingCommand& command : std::exchange(waiting_, {})) take(command, now);
}

void CommandRouter::resume(const IncomingCommand& left, CommandStatus status, BootTime now) {
  if (status == CommandStatus::Received) return on_command(left, now);
  ++counts_.received;
  CommandReport report = refusal(left, "");
  name_device(report);
  const bool may_have_run = status == CommandStatus::Accepted;
  finish(std::move(report), may_have_run ? CommandStatus::Unknown : CommandStatus::Expired,
         may_have_run ? "the agent ended while it was running: whether it took effect is not known"
                      : "the machine was started anew before it could be run");
}

CommandReport CommandRouter::refusal(const IncomingCommand& incoming, const std::string& reason) {
  CommandReport report{.number = incoming.number, .device_id = incoming.device_id};
  const auto json = parse_payload(incoming.payload, report);
  report.reason = json ? reason : json.error().message;
  return report;
}

void CommandRouter::refuse(CommandReport refusal) {
  ++counts_.received;
  name_device(refusal);
  std::string reason = std::move(refusal.reason);
  finish(std::move(refusal), CommandStatus::Rejected, std::move(reason));
}

void CommandRouter::on_outcome(const message::Outcome& outcome) {
  const auto node = running_.extract(outcome.id);
  if (node.empty()) return;  // it came after its time-out, which has been reported
  finish(std::move(node.mapped().report), outcome);
}

// The route is a copy: what it does may well bring others. Only what was done must not be repeated.
void CommandRouter::run_own(const CommandRoute& route, const Arguments& arguments,
                            const IncomingCommand& incoming, const Json& json,
                            CommandReport report) {
  const bool unique = !report.id.is_null() || json.contains("time") || json.contains("$time");
  const size_t hash = std::hash<std::string>()(incoming.payload);
  if (unique && std::ranges::find(own_done_, hash) != own_done_.end()) {
    return finish(std::move(report), CommandStatus::Rejected, "it came before");
  }
  if (const auto noted = sinks_.accepted(report.number); !noted) {
    return finish(std::move(report), CommandStatus::Rejected, noted.error().message);
  }
  const message::Outcome outcome = sinks_.own(route, arguments);
  if (unique && outcome.status == message::Outcome::Status::Done) own_done_.push_back(hash);
  if (own_done_.size() > kOwnDone) own_done_.pop_front();
  finish(std::move(report), outcome);
}

void CommandRouter::on_instance_down(std::string_view instance, std::string_view reason) {
  std::erase_if(running_, [&](auto& item) {
    if (item.second.report.instance != instance) return false;
    finish(std::move(item.second.report), CommandStatus::Failed,
           "the plugin went down while running it (" + std::string(reason) +
               "); whether it took effect is not known");
    return true;
  });
}

void CommandRouter::expire(BootTime now) {
  std::erase_if(running_, [&](auto& item) {
    if (now < item.second.deadline) return false;
    finish(std::move(item.second.report), CommandStatus::Failed,
           "no outcome within " + about(timeout_) + "; whether it took effect is not known");
    return true;
  });
}

void CommandRouter::finish(CommandReport report, const message::Outcome& outcome) {
  report.readback = outcome.readback;
  using enum message::Outcome::Status;
  const CommandStatus status = outcome.status == Done        ? CommandStatus::Done
                               : outcome.status == Rejected  ? CommandStatus::Rejected
                               : outcome.status == Uncertain ? CommandStatus::Unknown
                                                             : CommandStatus::Failed;
  finish(std::move(report), status, outcome.reason);
}

void CommandRouter::finish(CommandReport report, CommandStatus status, std::string reason) {
  report.status = status;
  report.reason = std::move(reason);
  counts_.done += status == CommandStatus::Done ? 1 : 0;
  counts_.rejected += status == CommandStatus::Rejected ? 1 : 0;
  counts_.failed += status == CommandStatus::Failed ? 1 : 0;
  counts_.expired += status == CommandStatus::Expired ? 1 : 0;
  counts_.unknown += status == CommandStatus::Unknown ? 1 : 0;
  sinks_.report(report);
}

}  // namespace fieldpost
