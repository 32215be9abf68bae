// SPDX-License-Identifier: Apache-2.0
//
// Commands between the uplink, their log and the router.
#include <algorithm>

#include "base/log.hpp"
#include "base/text.hpp"
#include "commands/command_list.hpp"
#include "main/daemon.hpp"

namespace fieldpost {
namespace {

// Bytes of commands that the main loop has not looked at yet, for when they cannot be noted. The
// broker may send faster than they can be read, and the service has 256 MB in all.
constexpr size_t kCommandBytes = size_t{4} << 20;
constexpr const char* kTooFast = "commands come faster than they can be run";
constexpr size_t kShown = 1000;  // of the history, by `fieldpost commands history`

Json refusal(const std::string& why) { return Json{{"ok", false}, {"error", why}}; }

// By its name or Losant id. Errors: Invalid.
Result<std::string> device_of(const Config& config, const Json& given) {
  if (!given.is_string()) return Error{Errc::Invalid, "device: expected a name or a Losant id"};
  const auto& wanted = given.get_ref<const std::string&>();
  std::vector<std::string_view> names;
  for (const DeviceConfig& device : config.devices) {
    if (device.name == wanted || device.id == wanted) return device.id;
    names.push_back(device.name);
  }
  const std::string_view near = nearest(wanted, names);
  return Error{Errc::Invalid,
               "there is no device '" + printable(wanted, 80) + "'" +
                   (near.empty() ? "" : "; did you mean '" + std::string(near) + "'?")};
}

}  // namespace

// On the uplink thread, before the broker hears that it came. Whatever comes ends in a report.
void Daemon::take_command(IncomingCommand command) {
  traffic_.count(command.device_id, command.payload.size(), utc_ms(command.received));
  admit(std::move(command));
}

// Likewise.
void Daemon::take_message(const IncomingMessage& message) {
  traffic_.count(message.device_id, message.payload.size(), utc_ms(message.received));
  CustomCommands::Read read = custom_commands_.read(message);
  for (IncomingCommand& command : read.commands) admit(std::move(command));
  for (const CustomCommands::Misfit& misfit : read.misfits) {
    if (!misfits_.take(1, message.received)) {
      ++misfits_unlogged_;
      continue;
    }
    log::warning("a message is no command", {{"FP_TOPIC", printable(message.topic, 100)},
                                             {"FP_COMMAND", misfit.command},
                                             {"FP_REASON", misfit.reason}});
  }
}

void Daemon::admit(IncomingCommand command) {
  const size_t size = command.payload.size();
  if (size > kMaxCommandPayload) return refuse(command, "");  // its own words say why
  if (command_bytes_ + size > kCommandBytes) return refuse(command, kTooFast);
  const auto number = command_log_->received(command);
  if (number) command.number = *number;
  if (!number && number.error().code == Errc::Full) return refuse(command, number.error().message);
  command_bytes_ += size;  // this thread alone adds to it
  Mail mail = std::move(command);
  if (mail_.post(std::move(mail))) return;
  command_bytes_ -= size;
  refuse(std::get<IncomingCommand>(mail), kTooFast);
}

// On the uplink thread.
void Daemon::refuse(const IncomingCommand& command, const std::string& reason) {
  if (refused_.post(router_.refusal(command, reason))) return;
  (void)command_log_->step(command.number, CommandStatus::Rejected);
  ++commands_unanswered_;
}

void Daemon::on_refused() {
  for (CommandReport& report : refused_.take_all()) router_.refuse(std::move(report));
}

void Daemon::on(IncomingCommand&& command) {
  command_bytes_ -= command.payload.size();
  // The next process finds it.
  if (stopping_ && command.number != 0) return;
  router_.on_command(command, BootClock::now());
}

// As one from the broker, noted in the log and by the same router; but whoever asked waits for the
// outcome.
Json Daemon::run_local(const Json& request) {
  if (stopping_) return refusal("the agent is ending");
  const auto device = device_of(config_, request.value("device", Json()));
  if (!device) return refusal(device.error().message);
  Json payload{{"name", request.value("name", Json())}};
  if (const auto it = request.find("payload"); it != request.end()) payload["payload"] = *it;
  IncomingCommand command{.device_id = *device,
                          .payload = dump_json(payload),
                          .topic = std::string(IncomingCommand::kLocal),
                          .received = BootClock::now(),
                          .asker = control_.defer()};
  const auto number = command_log_->received(command);
  if (number) command.number = *number;
  if (!number && number.error().code == Errc::Full) {
    router_.refuse(router_.refusal(command, number.error().message));
  } else {
    router_.on_command(command, command.received);
  }
  return {};  // the report is the answer
}

Json Daemon::list_commands() const {
  Json commands = Json::array();
  for (const CommandRoute& route : router_.routes()) commands.push_back(to_json(route));
  Json history = Json::array();
  for (CommandHistory::Entry& entry : router_.history().newest(kShown)) {
    history.push_back(std::move(entry.outcome));
    history.back()["time"] = utc_ms(entry.came);
  }
  return Json{{"ok", true}, {"commands", std::move(commands)}, {"history", std::move(history)}};
}

void Daemon::resume_commands() {
  for (const std::string& text : command_log_->take_ended()) {
    if (auto entry = entry_of(text)) router_.remember(*std::move(entry));
  }
  for (const auto& [command, status] : command_log_->take_found()) {
    router_.resume(command, status, BootClock::now());
  }
}

void Daemon::watch_commands() {
  const BootTime now = BootClock::now();
  router_.expire(now);
  if (!stopping_) {
    router_.retry(now);
    resume_commands();
  }
  if (const int64_t n = std::exchange(reports_unlogged_, 0); n > 0) {
    log::warning("commands come too fast to log each", {{"FP_COUNT", std::to_string(n)}});
  }
  if (const int64_t n = misfits_unlogged_.exchange(0); n > 0) {
    log::warning("more messages are no commands", {{"FP_COUNT", std::to_string(n)}});
  }
  if (const int64_t n = commands_unanswered_.exchange(0); n > 0) {
    router_.count_refused(n);
    log::warning("commands came faster than they can be answered; they were not run",
                 {{"FP_COUNT", std::to_string(n)}});
  }
}

void Daemon::log_report(const CommandReport& report) {
  if (!reports_.take(1, BootClock::now())) {
    ++reports_unlogged_;
    return;
  }
  const auto level =
      report.status == CommandStatus::Done ? log::Level::Notice : log::Level::Warning;
  const std::string device = report.device_name.empty() ? report.device_id : report.device_name;
  log::write(level, "command " + std::string(name_of(report.status)),
             {{"FP_DEVICE", device},
              {"FP_COMMAND", report.name},
              {"FP_COMMAND_ID", report.id.is_null() ? "" : dump_json(report.id)},
              {"FP_INSTANCE", report.instance},
              {"FP_CAUSE", report.local ? "local" : "broker"},
              {"FP_REASON", report.reason.empty() ? "as asked" : report.reason}});
}

void Daemon::on_report(const CommandReport& report) {
  // Its trouble is in the status.
  if (may_have_run(report.status)) {
    (void)command_log_->end(report.number, report.status, to_text(entry_of(report)));
  } else {
    (void)command_log_->step(report.number, report.status);
  }
  log_report(report);
  note_refusal(report);
  Json answer = to_json(report);
  answer["time"] = utc_ms(BootClock::now());
  control_.answer(report.asker, Json{{"ok", true}, {"outcome", answer}});
  // The platform did not ask: it sees what became of an output by its attribute.
  if (report.local || config_.commands.answer_topic.empty()) return;
  uplink_->publish({fill_topic(config_.commands.answer_topic, report), dump_json(answer)});
}

void Daemon::update_routes() {
  std::vector<CommandRoute> routes = own_commands_.routes(config_.devices[0]);
  for (const auto& entry : supervisor_.entries()) {
    const auto& commands = entry->instance.commands();
    for (uint32_t i = 0; i < commands.size(); ++i) {
      const Instance::Device& device = entry->instance.device_of(commands[i]);
      routes.push_back({*device.id, device.name, entry->config->name, i, commands[i].spec});
    }
  }
  router_.set_routes(std::move(routes));
  if (!stopping_) router_.retry(BootClock::now());
}

}  // namespace fieldpost
