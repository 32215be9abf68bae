// SPDX-License-Identifier: Apache-2.0
#include "plan.hpp"

#include <string>

#include "tables.hpp"

namespace iio {
namespace {

namespace sdk = fieldpost::sdk;

std::string text_or_nothing(const sdk::Section& section, const char* option) {
  return section.has(option) ? section.text(option) : "";
}

bool is_flag(const std::string& item) { return item.ends_with("alarm") || item == "fault"; }

// What does not go together with the channel, or with the item.
void refuse_unfitting(sdk::Declare& declare, const sdk::Section& row, const ChannelRow& wanted) {
  const bool hwmon = wanted.quantity.interface == Interface::Hwmon;
  if (hwmon && wanted.item == "raw") declare.problem(row, "item", "is for channels of iio alone");
  if (!hwmon && wanted.item != "raw" && wanted.item != "value") {
    declare.problem(row, "item", "expected value or raw: the others are for channels of hwmon");
  }
  if (wanted.is_boolean && (wanted.scale != 1 || wanted.offset != 0 || row.has("decimals"))) {
    declare.problem(row, "item", "a boolean has neither scale nor offset nor decimals");
  }
  if (wanted.scale == 0) declare.problem(row, "scale", "expected anything but 0");
}

std::string unit_of(const sdk::Section& row, const ChannelRow& wanted) {
  if (row.has("unit")) return row.text("unit");
  const bool own = wanted.scale == 1 && !wanted.is_boolean && wanted.item != "raw";
  return own ? std::string(wanted.quantity.unit) : "";
}

ChannelRow channel_of(sdk::Declare& declare, unsigned unit, const sdk::Section& row) {
  ChannelRow wanted;
  wanted.channel = row.text("channel");
  wanted.item = row.text("item");
  wanted.is_boolean = is_flag(wanted.item);
  wanted.scale = row.number("scale");
  wanted.offset = row.number("offset");
  if (row.has("decimals")) wanted.decimals = static_cast<int>(row.integer("decimals"));
  if (const auto quantity = quantity_of(wanted.channel)) {
    wanted.quantity = *quantity;
    // A count has no unit yet, so nothing is converted.
    if (wanted.item == "raw") wanted.quantity.times = wanted.quantity.over = 1;
    refuse_unfitting(declare, row, wanted);
  } else {
    declare.problem(row, "channel",
                    "expected a channel as the kernel names them, such as \"temp1\" or \"in0\" of "
                    "hwmon, \"in_temp\" or \"in_voltage0\" of iio, without _input or _raw");
  }
  const std::string name = row.text("attribute");
  const std::string measure = unit_of(row, wanted);
  wanted.attribute = declare.attribute(
      unit, row,
      sdk::Attribute{.name = name.c_str(),
                     .type = static_cast<uint32_t>(wanted.is_boolean ? FP_BOOLEAN : FP_NUMBER),
                     .unit = measure.c_str(),
                     .help = kAttributes[0].help});
  return wanted;
}

ChipRow chip_of(sdk::Declare& declare, unsigned unit, const sdk::Section& section) {
  ChipRow chip;
  chip.wanted.name = text_or_nothing(section, "chip");
  chip.wanted.label = text_or_nothing(section, "label");
  chip.wanted.parent = text_or_nothing(section, "parent");
  if (chip.wanted.name.empty() && chip.wanted.label.empty() && chip.wanted.parent.empty()) {
    declare.problem(section, nullptr, "expected chip, label or parent: which one is meant");
  }
  for (const sdk::Section& row : section.rows("channel")) {
    chip.channels.push_back(channel_of(declare, unit, row));
    const Interface interface = chip.channels.back().quantity.interface;
    if (interface != chip.channels.front().quantity.interface) {
      declare.problem(row, "channel",
                      "expected one of the same interface as above, hwmon or iio: what has both is "
                      "two [[plugin.chip]]");
    }
  }
  if (chip.channels.empty()) {
    declare.problem(section, nullptr,
                    "expected a profile, or at least one [[plugin.chip.channel]]");
    return chip;
  }
  chip.wanted.interface = chip.channels.front().quantity.interface;
  return chip;
}

}  // namespace

Plan::Plan(sdk::Declare& declare) : sys(declare.options().text("root")) {
  sys /= "sys";
  const std::vector<sdk::Section> units = declare.units();
  for (unsigned unit = 0; unit < units.size(); ++unit) {
    if (units[unit].index() == 0) {
      declare.problem(units[unit], nullptr, "expected at least one [[plugin.chip]]");
      return;
    }
    chips.push_back(chip_of(declare, unit, units[unit]));
  }
}

}  // namespace iio
