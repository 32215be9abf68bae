// SPDX-License-Identifier: Apache-2.0
#include "values.hpp"

#include <algorithm>
#include <cstdlib>

#include "tables.hpp"

namespace i2c {
namespace {

namespace sdk = fieldpost::sdk;

std::string names_of(std::span<const Channel> channels) {
  std::string all;
  for (const Channel& channel : channels) {
    all += (all.empty() ? "\"" : ", \"") + std::string(channel.name) + "\"";
  }
  return all;
}

const Channel& channel_of(sdk::Declare& declare, const sdk::Section& row,
                          const Driver::Kind& driver, Wanted& ret) {
  const std::string name = row.text("channel");
  const auto it = std::ranges::find(driver.channels, name, &Channel::name);
  if (it == driver.channels.end()) {
    declare.problem(row, "channel", "expected one of " + names_of(driver.channels));
    return driver.channels.front();
  }
  ret.channel = static_cast<unsigned>(it - driver.channels.begin());
  return *it;
}

// What is said of a row and its channel has no use for.
void refuse_unfitting(sdk::Declare& declare, const sdk::Section& row, const Channel& channel) {
  for (const char* const option : {"pull_up", "active_low", "initial"}) {
    if (row.boolean(option) && !channel.can_write) {
      declare.problem(row, option, "is for pins alone");
    }
  }
  if (row.boolean("initial") && !row.has("command")) {
    declare.problem(row, "initial", "is for outputs alone, which have a command");
  }
  if (row.has("command") && !channel.can_write) {
    declare.problem(row, "command", "this channel cannot be set");
  }
  if (channel.is_boolean &&
      (row.number("scale") != 1 || row.number("offset") != 0 || row.has("decimals"))) {
    declare.problem(row, "scale", "a pin has neither scale nor offset nor decimals");
  }
}

uint32_t declare_command(sdk::Declare& declare, unsigned unit, const sdk::Section& row,
                         const std::string& attribute) {
  const std::string name = row.text("command");
  const fp_option arguments[] = {sdk::Option{
      .name = "value", .type = FP_OPT_BOOLEAN, .required = true, .help = kArguments[0].help}};
  return declare.command(unit, row,
                         sdk::Command{.name = name.c_str(),
                                      .help = kCommands[0].help,
                                      .args = arguments,
                                      .output = attribute.c_str(),
                                      .readback = attribute.c_str(),
                                      .idempotent = true});
}

ValueRow value_of(sdk::Declare& declare, unsigned unit, const sdk::Section& row,
                  const Driver::Kind& driver, Wanted& ret) {
  const Channel& channel = channel_of(declare, row, driver, ret);
  refuse_unfitting(declare, row, channel);
  ret.is_output = row.has("command");
  ret.pull_up = row.boolean("pull_up");
  ret.active_low = row.boolean("active_low");
  ret.initial = row.boolean("initial");
  ValueRow value;
  value.field.is_boolean = channel.is_boolean;
  value.field.scale = row.number("scale");
  value.field.offset = row.number("offset");
  if (row.has("decimals")) value.field.decimals = static_cast<int>(row.integer("decimals"));
  const std::string name = row.text("attribute");
  std::string measure = value.field.scale == 1 ? std::string(channel.unit) : "";
  if (row.has("unit")) measure = row.text("unit");
  value.attribute = declare.attribute(
      unit, row,
      sdk::Attribute{.name = name.c_str(),
                     .type = static_cast<uint32_t>(channel.is_boolean ? FP_BOOLEAN : FP_NUMBER),
                     .unit = measure.c_str(),
                     .help = kAttributes[0].help});
  if (row.has("command")) value.command = declare_command(declare, unit, row, name);
  return value;
}

}  // namespace

void read_values(sdk::Declare& declare, unsigned unit, const sdk::Section& section, ChipRow& ret) {
  const std::vector<sdk::Section> rows = section.rows("value");
  ret.driver = section.has("driver") ? find_driver(section.text("driver")) : nullptr;
  if (ret.driver == nullptr) {
    if (!rows.empty()) {
      declare.problem(rows.front(), nullptr, "expected driver in its [[plugin.chip]]");
    }
    return;
  }
  ret.setup.range = std::strtod(section.text("range").c_str(), nullptr);
  for (const sdk::Section& row : rows) {
    Wanted& wanted = ret.setup.wanted.emplace_back();
    ret.values.push_back(value_of(declare, unit, row, *ret.driver, wanted));
    const auto same = std::ranges::count(ret.setup.wanted, wanted.channel, &Wanted::channel);
    if (same > 1 && ret.driver->channels[wanted.channel].can_write) {
      declare.problem(row, "channel", "a row above has this pin");
    }
  }
  if (rows.empty()) {
    declare.problem(section, "driver",
                    "expected at least one [[plugin.chip.value]]; the profile \"" +
                        std::string(ret.driver->name) + "\" has them all");
  }
}

}  // namespace i2c
