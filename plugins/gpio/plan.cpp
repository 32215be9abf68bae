// SPDX-License-Identifier: Apache-2.0
#include "plan.hpp"

#include <set>

#include "tables.hpp"

namespace gpio {
namespace {

namespace sdk = fieldpost::sdk;

Bias bias_of(const std::string& text) {
  if (text == "disabled") return Bias::Disabled;
  if (text == "pull-up") return Bias::PullUp;
  return text == "pull-down" ? Bias::PullDown : Bias::AsIs;
}

Edge edge_of(const std::string& text) {
  if (text == "rising") return Edge::Rising;
  if (text == "falling") return Edge::Falling;
  return text == "both" ? Edge::Both : Edge::None;
}

Initial initial_of(const std::string& text) {
  if (text == "on") return Initial::On;
  return text == "off" ? Initial::Off : Initial::Keep;
}

// The line of a row. `taken` are those of the rows before it: a line is held once.
LineName line_of(sdk::Declare& declare, const sdk::Section& row, std::set<std::string>& taken) {
  LineName line;
  const bool named = row.has("line") && !row.text("line").empty();
  if (named == row.has("offset")) {
    declare.problem(row, named ? "offset" : nullptr,
                    "expected either line (its name) or offset (its number on the chip)");
    return line;
  }
  if (named) line.name = row.text("line");
  if (!named) line.offset = static_cast<unsigned>(row.integer("offset"));
  if (!taken.insert(to_string(line)).second) {
    declare.problem(row, named ? "line" : "offset", to_string(line) + " is used by a row above");
  }
  return line;
}

InputRow input_of(sdk::Declare& declare, const sdk::Section& row, std::set<std::string>& taken) {
  InputRow input;
  input.line = line_of(declare, row, taken);
  input.config = {row.boolean("active_low"), bias_of(row.text("bias")), edge_of(row.text("edge"))};
  input.debounce_ns = row.duration("debounce").count();
  if (input.debounce_ns > 0 && input.config.edge == Edge::None) {
    declare.problem(row, "debounce", "needs edge = \"both\", \"rising\" or \"falling\"");
  }
  const std::string name = row.text("attribute");
  input.attribute = declare.attribute(
      0, row,
      sdk::Attribute{.name = name.c_str(), .type = FP_BOOLEAN, .help = "The level of the line."});
  return input;
}

// The attribute that an option of the row names, if it does.
std::optional<uint32_t> attribute_of(sdk::Declare& declare, const sdk::Section& row,
                                     const char* option, const char* unit, const char* help) {
  if (!row.has(option)) return std::nullopt;
  const std::string name = row.text(option);
  return declare.attribute(0, row,
                           sdk::Attribute{.name = name.c_str(), .unit = unit, .help = help});
}

// What is kept goes by an attribute's name, which rows of two devices may share.
std::string kept_as(sdk::Declare& declare, const sdk::Section& row, const char* option,
                    std::set<std::string>& kept) {
  std::string name = row.text(option);
  if (!kept.insert(name).second) {
    declare.problem(row, option,
                    "\"" + name +
                        "\" is kept for a counter above, of whatever device; expected "
                        "another name within one instance");
  }
  return name;
}

CounterRow counter_of(sdk::Declare& declare, const sdk::Section& row, std::set<std::string>& taken,
                      std::set<std::string>& kept) {
  CounterRow counter;
  counter.line = line_of(declare, row, taken);
  counter.config = {row.boolean("active_low"), bias_of(row.text("bias")), Edge::None};
  counter.pulses = {.edge = edge_of(row.text("edge")),
                    .hold_ns = row.duration("debounce").count(),
                    .width = row.has("width"),
                    .window_ns = row.duration("rate_window").count(),
                    .idle_ns = row.duration("frequency_timeout").count()};
  counter.kept_total = kept_as(declare, row, "attribute", kept);
  counter.total = attribute_of(declare, row, "attribute", "", kCounterHelp.total).value_or(0);
  counter.rate = attribute_of(declare, row, "rate", "1/s", kCounterHelp.rate);
  counter.frequency = attribute_of(declare, row, "frequency", "Hz", kCounterHelp.frequency);
  counter.width = attribute_of(declare, row, "width", "s", kCounterHelp.width);
  counter.missed = attribute_of(declare, row, "missed", "", kCounterHelp.missed);
  if (counter.missed) counter.kept_missed = kept_as(declare, row, "missed", kept);
  if (row.has("command")) {
    const std::string command = row.text("command");
    counter.command = declare.command(0, row,
                                      sdk::Command{.name = command.c_str(),
                                                   .help = kCommands[1].help,
                                                   .args = kTotalArguments,
                                                   .output = counter.kept_total.c_str(),
                                                   .readback = counter.kept_total.c_str(),
                                                   .idempotent = true});
  }
  return counter;
}

// The host keeps so many values of an instance, and no more.
void check_kept(sdk::Declare& declare, size_t kept) {
  if (kept <= FP_MAX_KEPT) return;
  declare.problem(declare.options(), nullptr,
                  "expected at most " + std::to_string(FP_MAX_KEPT) +
                      " totals and counts of missed edges, got " + std::to_string(kept) +
                      ": divide them among several instances");
}

OutputRow output_of(sdk::Declare& declare, const sdk::Section& row, std::set<std::string>& taken) {
  OutputRow output;
  output.line = line_of(declare, row, taken);
  output.config = {row.boolean("active_low"), initial_of(row.text("initial"))};
  const std::string name = row.text("attribute");
  const std::string command = row.text("command");
  output.attribute = declare.attribute(
      0, row,
      sdk::Attribute{.name = name.c_str(), .type = FP_BOOLEAN, .help = "The level of the line."});
  output.command = declare.command(0, row,
                                   sdk::Command{.name = command.c_str(),
                                                .help = kCommands[0].help,
                                                .args = kArguments,
                                                .output = name.c_str(),
                                                .readback = name.c_str(),
                                                .idempotent = true});
  return output;
}

}  // namespace

std::string to_string(const LineName& line) {
  return line.name.empty() ? "line " + std::to_string(line.offset.value_or(0))
                           : "line \"" + line.name + "\"";
}

Plan::Plan(sdk::Declare& declare) : chip(declare.options().text("chip")) {
  std::set<std::string> taken;
  for (const sdk::Section& row : declare.options().rows("input")) {
    inputs.push_back(input_of(declare, row, taken));
  }
  for (const sdk::Section& row : declare.options().rows("output")) {
    outputs.push_back(output_of(declare, row, taken));
  }
  std::set<std::string> kept;
  for (const sdk::Section& row : declare.options().rows("counter")) {
    counters.push_back(counter_of(declare, row, taken, kept));
  }
  check_kept(declare, kept.size());
  if (inputs.empty() && outputs.empty() && counters.empty()) {
    declare.problem(
        declare.options(), nullptr,
        "expected at least one [[plugin.input]], [[plugin.output]] or [[plugin.counter]]");
  }
}

}  // namespace gpio
