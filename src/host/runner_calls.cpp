// SPDX-License-Identifier: Apache-2.0
//
// What drives outputs: commands, and what their guard has done.
#include <utility>

#include "host/invoke.hpp"
#include "host/runner.hpp"
#include "host/tables.hpp"

namespace fieldpost {

// Why a call must not reach the plugin; empty if it may.
std::string Runner::objection_to(const message::Call& call) const {
  if (plugin_.calls.command == nullptr) return "the plugin takes no commands";
  const auto& commands = api_->declaration().commands;
  if (call.command >= commands.size()) return "no such command";
  const auto& specs = commands[call.command].spec.args;
  if (call.args.size() != specs.size()) {
    return "expected " + std::to_string(specs.size()) + " arguments, got " +
           std::to_string(call.args.size());
  }
  for (size_t i = 0; i < specs.size(); ++i) {
    const auto& arg = call.args[i];
    if (!arg && specs[i].required) return "argument '" + specs[i].name + "' is missing";
    if (arg && (type_of(*arg) != type_of_option(specs[i].type) || !is_legal(*arg))) {
      return "argument '" + specs[i].name + "': expected " + expected_form(specs[i]);
    }
  }
  const bool guarded = call.args.size() == 1 && call.args[0];
  return guarded ? guard_.objection(call.command, *call.args[0], BootClock::now()) : "";
}

void Runner::run_call(const message::Call& call) {
  using Status = message::Outcome::Status;
  message::Outcome outcome{call.id, Status::Rejected, std::nullopt, objection_to(call)};
  if (!outcome.reason.empty()) return send(outcome);

  if (call_plugin(call.args, call.command, outcome)) send(outcome);
}

// False: the end of the process is the answer.
bool Runner::call_plugin(const Arguments& arguments, uint32_t command,
                         message::Outcome& ret_outcome) {
  using Status = message::Outcome::Status;
  std::vector<fp_value> args;
  for (const auto& arg : arguments) args.push_back(arg ? to_c(*arg) : fp_value{});
  const fp_call raw{sizeof(fp_call), command, args.data(), args.size()};
  fp_value readback{};
  const fp_status status =
      invoke(channel_.heart(), plugin_.calls.command, instance_, &raw, &readback);
  if (status == FP_OK && readback.type != 0) {
    const auto done = read_value(readback, ret_outcome.readback.emplace());
    if (!done) {
      ret_outcome.readback.reset();
      log_.write(4, "a value read back was refused: " + done.error().message);
    }
  }
  send_kept();  // before it is said to be done
  const bool go_on = finish_call(status, "command");
  ret_outcome.status = status == FP_OK                                        ? Status::Done
                       : status == FP_E_INVALID || status == FP_E_UNSUPPORTED ? Status::Rejected
                       : status == FP_E_UNCERTAIN                             ? Status::Uncertain
                                                                              : Status::Failed;
  ret_outcome.reason = error_;
  if (arguments.size() == 1 && arguments[0]) {
    guard_.made(command, *arguments[0], ret_outcome.status, BootClock::now());
  }
  return go_on;
}

// An output is made safe, whoever set it last.
void Runner::drive(const OutputGuard::Action& action) {
  const std::string what = "'" + api_->declaration().commands[action.command].spec.name +
                           "' to its safe value " + to_text(action.value) + ", because " +
                           action.why;
  message::Outcome outcome;
  (void)call_plugin({action.value}, action.command, outcome);
  const bool done = outcome.status == message::Outcome::Status::Done;
  if (done) return log_.write(action.loud ? 4 : 6, "set " + what);
  if (!action.again) log_.write(3, "could not set " + what + ": " + outcome.reason);
}

// One in each turn: a ping that came meanwhile is answered between two of them.
bool Runner::drive_due() {
  const auto action = guard_.due(BootClock::now());
  if (action) drive(*action);
  return action.has_value();
}

bool Runner::run_waiting_call() {
  if (waiting_.empty()) return false;
  const message::Call call = std::move(waiting_.front());
  waiting_.pop_front();
  run_call(call);
  return true;
}

void Runner::drive_at_stop() {
  for (const OutputGuard::Action& action : guard_.at_stop()) drive(action);
}

}  // namespace fieldpost
