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

CommandReport report_of(const IncomingCommand& incoming, const Envelope& envelope) {
  return {.number = incoming.number,
          .id = envelope.id,
          .device_id = incoming.device_id,
          .name = envelope.name,
          .identity = identity(incoming, envelope),
          .came = incoming.received,
          .local = incoming.is_local(),
          .asker = incoming.asker};
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

CommandHistory::Entry entry_of(const CommandReport& report) {
  Json outcome = to_json(report);
  outcome["cause"] = report.local ? "local" : "broker";
  const auto* text = report.readback ? std::get_if<std::string>(&*report.readback) : nullptr;
  const bool is_long = text != nullptr && text->size() > CommandHistory::kLongestText;
  if (is_long) outcome.erase("value");
  return {.identity = report.identity,
          .came = report.came,
          .status = report.status,
          .value = is_long ? std::nullopt : report.readback,
          .outcome = std::move(outcome)};
}

CommandStatus status_of(message::Outcome::Status outcome) {
  switch (outcome) {
    case message::Outcome::Status::Done:
      return CommandStatus::Done;
    case message::Outcome::Status::Rejected:
      return CommandStatus::Rejected;
    case message::Outcome::Status::Uncertain:
      return CommandStatus::Unknown;
    case message::Outcome::Status::Failed:
      break;
  }
  return CommandStatus::Failed;
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

bool CommandRouter::id_is_argument(const CommandReport& report) const {
  const CommandRoute* const route = report.id.is_null() ? nullptr : find(report);
  if (route == nullptr) return false;
  const std::string name = first_token(rules_.id_pointer);
  return std::ranges::find(route->spec.args, name, &OptionSpec::name) != route->spec.args.end();
}

void CommandRouter::name_device(CommandReport& report) const {
  const auto it = std::ranges::find(routes_, report.device_id, &CommandRoute::device_id);
  if (it != routes_.end()) report.device_name = it->device_name;
}

void CommandRouter::set_rules(const CommandsConfig& rules) {
  const std::scoped_lock lock(rules_mutex_);
  rules_ = rules;
}

std::string CommandRouter::id_pointer() const {
  const std::scoped_lock lock(rules_mutex_);
  return rules_.id_pointer;
}

void CommandRouter::judge(const IncomingCommand& incoming, BootTime now, bool resumed) {
  Envelope envelope;
  const auto read = read_envelope(incoming.payload, rules_.id_pointer, envelope);
  CommandReport report = report_of(incoming, envelope);
  if (!read) return finish(std::move(report), CommandStatus::Rejected, read.error().message);
  if (id_is_argument(report)) {  // two calls with the same one are two calls
    envelope.id = Json();
    report.identity = identity(incoming, envelope);
  }
  if (auto repeated = repeats(report, now)) {
    name_device(*repeated);
    return finish(*repeated);
  }
  // Of what an earlier process has left the age was looked at, or the clock is not heard yet.
  const auto wanted =
      resumed && !sinks_.utc(now) ? Result<>() : still_wanted(envelope, incoming.received);
  if (!wanted) {
    name_device(report);
    const auto status =
        wanted.error().code == Errc::Timeout ? CommandStatus::Expired : CommandStatus::Rejected;
    return finish(std::move(report), status, wanted.error().message);
  }
  take(incoming, envelope, std::move(report), now);
}

std::optional<CommandReport> CommandRouter::repeats(const CommandReport& report,
                                                    BootTime now) const {
  if (report.identity.empty()) return std::nullopt;
  const auto is_same = [&](const auto& other) { return other == report.identity; };
  CommandReport repeated = report;
  repeated.status = CommandStatus::Duplicate;
  if (const CommandHistory::Entry* const before = history_.find(report.identity, now)) {
    repeated.reason = "it came before: " + std::string(name_of(before->status));
    repeated.readback = before->value;
    return repeated;
  }
  const bool runs = std::ranges::any_of(
      running_, [&](const auto& item) { return is_same(item.second.report.identity); });
  if (!runs && std::ranges::none_of(waiting_, is_same, &Waiting::identity)) return std::nullopt;
  repeated.reason = runs ? "it came before, and is running" : "it came before, and is about to run";
  return repeated;
}

// What somebody wanted a while ago he may not want any more. Errors: Timeout; Invalid.
Result<> CommandRouter::still_wanted(const Envelope& envelope, BootTime received) const {
  if (!envelope.sent_ms) return {};
  const auto now_ms = sinks_.utc(received);
  if (!now_ms) {
    if (rules_.untrusted_clock == "run") return {};
    return Error{Errc::Invalid,
                 "how old it is cannot be told: this machine's clock is not synchronised "
                 "(commands.untrusted_clock)"};
  }
  const auto age = std::chrono::milliseconds(*now_ms - *envelope.sent_ms);
  // Not in ns: a date in the year 9999 is beyond them.
  if (age <= std::chrono::duration_cast<std::chrono::milliseconds>(rules_.time_to_live)) return {};
  return Error{Errc::Timeout, "it was sent " + about(age) + " before it came; those older than " +
                                  about(rules_.time_to_live) +
                                  " are not run (commands.time_to_live)"};
}

void CommandRouter::take(const IncomingCommand& incoming, const Envelope& envelope,
                         CommandReport report, BootTime now) {
  if (const nanoseconds age = now - incoming.received; age > rules_.time_to_live) {
    name_device(report);
    return finish(
        std::move(report), CommandStatus::Expired,
        "it came " + about(age) + " ago and could not be run within " + about(rules_.time_to_live));
  }
  const CommandRoute* const route = find(report);
  if (route == nullptr) {
    std::string reason = why_not_found(report);
    return finish(std::move(report), CommandStatus::Rejected, std::move(reason));
  }
  report.device_name = route->device_name;
  report.instance = route->instance;
  auto arguments = check_arguments(route->spec, envelope.payload(), rules_.id_pointer);
  if (!arguments) {
    return finish(std::move(report), CommandStatus::Rejected, arguments.error().message);
  }
  if (route->instance.empty()) {
    return run_own(CommandRoute(*route), *arguments, std::move(report));
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
  for (const Waiting& other : waiting_) bytes += other.incoming.payload.size();
  if (bytes > kMaxWaiting) {
    return finish(std::move(report), CommandStatus::Rejected,
                  "too many large commands wait for their plugins to start");
  }
  waiting_.push_back({incoming, std::move(report.identity)});
}

void CommandRouter::call(const CommandRoute& route, Arguments arguments, CommandReport report,
                         BootTime now) {
  if (const auto noted = sinks_.accepted(report.number); !noted) {
    return finish(std::move(report), CommandStatus::Rejected, noted.error().message);
  }
  const uint64_t id = ++last_id_;
  const auto called = sinks_.call(route, {id, route.index, std::move(arguments)});
  if (!called) {
    report.identity.clear();  // it did not begin, and may come again
    return finish(std::move(report), CommandStatus::Failed, called.error().message);
  }
  running_.emplace(id, Running{std::move(report), now + rules_.timeout});
}

void CommandRouter::retry(BootTime now) {
  for (const Waiting& waiting : std::exchange(waiting_, {})) {
    const IncomingCommand& incoming = waiting.incoming;
    Envelope envelope;
    (void)read_envelope(incoming.payload, rules_.id_pointer, envelope);  // it was read before
    CommandReport report = report_of(incoming, envelope);
    report.identity = waiting.identity;  // as it was judged
    take(incoming, envelope, std::move(report), now);
  }
}

void CommandRouter::resume(const IncomingCommand& left, CommandStatus status, BootTime now) {
  ++counts_.received;
  if (status == CommandStatus::Received) return judge(left, now, true);
  CommandReport report = refusal(left, "");
  report.came = std::min(report.came, now);  // of another boot it means nothing
  name_device(report);
  const bool may_have_run = status == CommandStatus::Accepted;
  finish(std::move(report), may_have_run ? CommandStatus::Unknown : CommandStatus::Expired,
         may_have_run ? "the agent ended while it was running: whether it took effect is not known"
                      : "the machine was started anew before it could be run");
}

CommandReport CommandRouter::refusal(const IncomingCommand& incoming,
                                     const std::string& reason) const {
  Envelope envelope;
  const auto read = read_envelope(incoming.payload, id_pointer(), envelope);
  CommandReport report = report_of(incoming, envelope);
  report.reason = read ? reason : read.error().message;
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

// The route is a copy: what it does may well bring others.
void CommandRouter::run_own(const CommandRoute& route, const Arguments& arguments,
                            CommandReport report) {
  if (const auto noted = sinks_.accepted(report.number); !noted) {
    return finish(std::move(report), CommandStatus::Rejected, noted.error().message);
  }
  const message::Outcome outcome = sinks_.own(route, arguments);
  finish(std::move(report), outcome);
}

void CommandRouter::on_instance_down(std::string_view instance, std::string_view reason) {
  std::erase_if(running_, [&](auto& item) {
    if (item.second.report.instance != instance) return false;
    finish(std::move(item.second.report), CommandStatus::Unknown,
           "the plugin went down while running it (" + std::string(reason) +
               "); whether it took effect is not known");
    return true;
  });
}

void CommandRouter::expire(BootTime now) {
  std::erase_if(running_, [&](auto& item) {
    if (now < item.second.deadline) return false;
    finish(std::move(item.second.report), CommandStatus::Unknown,
           "no outcome within " + about(rules_.timeout) + "; whether it took effect is not known");
    return true;
  });
}

void CommandRouter::finish(CommandReport report, const message::Outcome& outcome) {
  report.readback = outcome.readback;
  finish(std::move(report), status_of(outcome.status), outcome.reason);
}

void CommandRouter::finish(CommandReport report, CommandStatus status, std::string reason) {
  report.status = status;
  report.reason = std::move(reason);
  finish(report);
}

void CommandRouter::finish(const CommandReport& report) {
  const CommandStatus status = report.status;
  counts_.done += status == CommandStatus::Done ? 1 : 0;
  counts_.rejected += status == CommandStatus::Rejected ? 1 : 0;
  counts_.failed += status == CommandStatus::Failed ? 1 : 0;
  counts_.expired += status == CommandStatus::Expired ? 1 : 0;
  counts_.unknown += status == CommandStatus::Unknown ? 1 : 0;
  counts_.duplicate += status == CommandStatus::Duplicate ? 1 : 0;
  history_.add(entry_of(report));
  sinks_.report(report);
}

}  // namespace fieldpost
