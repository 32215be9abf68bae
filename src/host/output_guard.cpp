// SPDX-License-Identifier: Apache-2.0
#include "host/output_guard.hpp"

#include <algorithm>
#include <utility>

#include "base/text.hpp"

namespace fieldpost {
namespace {

using Status = message::Outcome::Status;

constexpr nanoseconds kMinute = std::chrono::minutes(1);

std::string so_far(const char* rule, const std::string& name, const char* state, nanoseconds since,
                   nanoseconds limit) {
  return std::string(rule) + ": '" + name + "' has been " + state + " for " + about(since) +
         " of " + about(limit);
}

}  // namespace

OutputGuard::OutputGuard(const Declaration& declaration, const std::vector<GuardRule>& rules,
                         BootTime start)
    : heard_(start) {
  for (uint32_t i = 0; i < declaration.commands.size(); ++i) {
    const CommandSpec& spec = declaration.commands[i].spec;
    const auto rule = std::ranges::find(rules, spec.name, &GuardRule::command);
    if (rule == rules.end() || spec.args.size() != 1) continue;
    outputs_.push_back({.command = i,
                        .name = spec.name,
                        .rule = *rule,
                        .value = {},
                        .on_since = start,
                        .off_since = start,
                        .changes = {},
                        .pending = {}});
    if (!rule->hold_at_stop) want_safe(outputs_.back(), "the plugin has started", start);
  }
}

OutputGuard::Output* OutputGuard::find(uint32_t command) {
  const auto it = std::ranges::find(outputs_, command, &Output::command);
  return it == outputs_.end() ? nullptr : &*it;
}

const OutputGuard::Output* OutputGuard::find(uint32_t command) const {
  const auto it = std::ranges::find(outputs_, command, &Output::command);
  return it == outputs_.end() ? nullptr : &*it;
}

void OutputGuard::want_safe(Output& output, std::string why, BootTime now) {
  if (!output.rule.safe || !output.pending.empty()) return;
  output.pending = std::move(why);
  output.try_at = now;
  output.pause = {};
}

std::string OutputGuard::interlocked(const Output& output) const {
  if (output.rule.interlock.empty()) return "";
  for (const Output& other : outputs_) {
    if (&other == &output || other.rule.interlock != output.rule.interlock) continue;
    if (!other.on_since) continue;
    return "interlock: '" + other.name + "' " + (other.sure ? "is" : "may be") +
           " on; switch it off first";
  }
  return "";
}

std::string OutputGuard::objection(uint32_t command, const Value& value, BootTime now) const {
  const Output* const output = find(command);
  if (output == nullptr) return "";
  const GuardRule& rule = output->rule;
  const bool same = output->sure && output->value == value;
  if (same) return "";
  const bool was_on = output->sure && output->on_since;
  if (is_on(value) && !was_on) {
    if (std::string why = interlocked(*output); !why.empty()) return why;
    const nanoseconds off = output->off_since ? now - *output->off_since : rule.min_off;
    if (off < rule.min_off) return so_far("min_off", output->name, "off", off, rule.min_off);
  }
  if (!is_on(value) && was_on && now - *output->on_since < rule.min_on) {
    return so_far("min_on", output->name, "on", now - *output->on_since, rule.min_on);
  }
  const auto recent = std::ranges::count_if(
      output->changes, [&](BootTime change) { return now - change < kMinute; });
  if (rule.max_rate > 0 && recent >= static_cast<std::ptrdiff_t>(rule.max_rate)) {
    return "max_rate: '" + output->name + "' has changed " + std::to_string(recent) +
           " times in the last minute";
  }
  return "";
}

void OutputGuard::made(uint32_t command, const Value& value, Status status, BootTime now) {
  Output* const output = find(command);
  if (output == nullptr) return;
  const bool done = status == Status::Done;
  if (!output->pending.empty()) {
    if (done) {
      output->pending.clear();
    } else {
      output->pause = std::clamp(output->pause * 2, kFirstRetry, kLongestRetry);
      output->try_at = now + output->pause;
    }
  }
  if (status == Status::Rejected) return;  // nothing was driven
  const bool changed = !output->sure || output->value != value;
  if (changed && output->rule.max_rate > 0) {
    std::erase_if(output->changes, [&](BootTime change) { return now - change >= kMinute; });
    output->changes.push_back(now);
  }
  const bool was_off = output->sure && !output->on_since;
  output->sure = done;
  output->value = value;
  if (is_on(value)) {
    if (!output->on_since) output->on_since = now;
    if (done) output->off_since.reset();
    return;
  }
  if (!was_off) output->off_since = now;
  if (done) output->on_since.reset();
}

void OutputGuard::on_heard(BootTime heard) {
  if (heard <= heard_) return;
  heard_ = heard;
  for (Output& output : outputs_) output.silent = false;
}

std::optional<BootTime> OutputGuard::on_limit(const Output& output) {
  const GuardRule& rule = output.rule;
  // Where no value is safe, or on is, there is nothing to do then.
  if (rule.max_on.count() == 0 || !rule.safe || is_on(*rule.safe)) return std::nullopt;
  if (!output.on_since) return std::nullopt;
  return *output.on_since + output.rule.max_on;
}

std::optional<BootTime> OutputGuard::silence_limit(const Output& output) const {
  if (output.rule.uplink_silent.count() == 0) return std::nullopt;
  return heard_ + output.rule.uplink_silent;
}

std::optional<OutputGuard::Action> OutputGuard::due(BootTime now) {
  for (Output& output : outputs_) {
    const auto silence = silence_limit(output);
    if (!output.silent && silence && now >= *silence) {
      output.silent = true;
      want_safe(output, "the uplink has been silent for " + about(output.rule.uplink_silent), now);
    }
    if (const auto limit = on_limit(output); limit && now >= *limit) {
      want_safe(output, "it has been on for " + about(output.rule.max_on), now);
    }
  }
  for (const Output& output : outputs_) {
    if (output.pending.empty() || now < output.try_at) continue;
    const bool loud = output.sure && output.value != output.rule.safe;
    return Action{output.command, *output.rule.safe, output.pending, output.pause.count() > 0,
                  loud};
  }
  return std::nullopt;
}

bool OutputGuard::is_due(BootTime now) const {
  return std::ranges::any_of(outputs_, [&](const Output& output) {
    return !output.pending.empty() && output.pause.count() == 0 && now >= output.try_at;
  });
}

std::optional<BootTime> OutputGuard::next() const {
  std::optional<BootTime> first;
  const auto at = [&](BootTime time) { first = first ? std::min(*first, time) : time; };
  for (const Output& output : outputs_) {
    if (!output.pending.empty()) {
      at(output.try_at);
      continue;
    }
    if (const auto silence = silence_limit(output); silence && !output.silent) at(*silence);
    if (const auto limit = on_limit(output)) at(*limit);
  }
  return first;
}

std::vector<OutputGuard::Action> OutputGuard::at_stop() const {
  std::vector<Action> all;
  for (const Output& output : outputs_) {
    if (!output.rule.safe || output.rule.hold_at_stop) continue;
    if (output.sure && output.value == output.rule.safe) continue;
    all.push_back({output.command, *output.rule.safe, "the plugin stops", false, false});
  }
  return all;
}

}  // namespace fieldpost
