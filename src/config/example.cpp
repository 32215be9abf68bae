// SPDX-License-Identifier: Apache-2.0
//
// Text made from the option tables: the example file and the manual's reference.
#include <algorithm>
#include <string>
#include <string_view>

#include "base/text.hpp"
#include "config/guard_table.hpp"
#include "config/load.hpp"
#include "config/tables.hpp"

namespace fieldpost {
namespace {

constexpr size_t kWidth = 98;

// `text` as comment lines.
std::string comment(std::string_view text) {
  std::string out;
  std::string line = "#";
  while (!text.empty()) {
    const size_t end = std::min(text.find(' '), text.size());
    if (line.size() + 1 + end > kWidth) {
      out += line + "\n";
      line = "#";
    }
    line += " " + std::string(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out + line + "\n";
}

bool is_quoted(const OptionSpec& spec) {
  return spec.type != OptionType::Integer && spec.type != OptionType::Number &&
         spec.type != OptionType::Boolean;
}

std::string written(const OptionSpec& spec, const std::string& value) {
  return is_quoted(spec) ? "\"" + value + "\"" : value;
}

// What stands behind '=' in the example file.
std::string sample(const CoreOption& option) {
  if (option.table) return option.example;
  const bool fallback = option.spec.fallback && !option.spec.fallback->empty();
  return written(option.spec, fallback ? *option.spec.fallback : option.example);
}

// The form without what the head of the file says once for all durations and sizes.
std::string short_form(const CoreOption& option) {
  const std::string form = expected_form(option);
  const bool measured =
      option.spec.type == OptionType::Duration || option.spec.type == OptionType::Size;
  const size_t range = form.find(" from ");
  return measured && option.form.empty() && range != std::string::npos ? form.substr(range + 1)
                                                                       : form;
}

std::string option_text(const CoreOption& option, bool active) {
  const std::string note = option.spec.required ? ", required" : "";
  return comment(option.spec.help + " (" + short_form(option) + note + ")") + (active ? "" : "#") +
         option.spec.name + " = " + sample(option) + "\n";
}

constexpr std::string_view kHead =
    "# Fieldpost. After this file conf.d/*.toml beside it are read, in the order of their names: "
    "a\n"
    "# value given again replaces the earlier one, [[...]] adds to those before. So this file "
    "need\n"
    "# not be edited: put what is yours into files in conf.d. Every option is here, with its "
    "default\n"
    "# unless the text says otherwise. `fieldpost check` tells what a start would make of it all.\n"
    "# Durations are written \"250ms\", \"5s\", \"10min\", \"1h\", \"30d\"; sizes \"64KiB\", "
    "\"512MB\".\n\n";

constexpr std::string_view kExamples =
    "#options.url = \"tcp://192.168.1.20:502\"\n"
    "#options.unit = 1\n"
    "#[[plugin.register]]\n"
    "#attribute = \"temperature\"\n"
    "#table = \"holding\"\n"
    "#address = 100\n"
    "#type = \"float32\"\n"
    "#command = \"set-temperature\"\n"
    "\n"
    "#[[plugin]]\n"
    "#name = \"cabinet\"\n"
    "#type = \"gpio\"\n"
    "#options.chip = \"gpiochip0\"\n"
    "#[[plugin.input]]\n"
    "#attribute = \"door_open\"\n"
    "#offset = 17\n";

std::string section_text(const CoreSection& section) {
  std::string text;
  if (!section.name.empty()) {
    const std::string header =
        section.repeats ? "#[[" + section.name + "]]\n" : "[" + section.name + "]\n";
    text = comment(section.help) + header;
  }
  for (const CoreOption& option : section.options) {
    text += option_text(option, section.name.empty());
  }
  if (section.name == "plugin") text += kExamples;
  return text + "\n";
}

// ---- The manual.

std::string cell(std::string_view text) {
  std::string out;
  for (const char c : text) out += c == '|' ? std::string("\\|") : std::string(1, c);
  return out;
}

std::string default_text(const CoreOption& option) {
  if (option.spec.required) return "required";
  if (!option.spec.fallback) return "";
  return "`" + written(option.spec, *option.spec.fallback) + "`";
}

std::string option_rows(std::span<const CoreOption> options) {
  std::string text = "| key | form | default | |\n|---|---|---|---|\n";
  for (const CoreOption& option : options) {
    text += "| `" + option.spec.name + "` | " + cell(expected_form(option)) + " | " +
            default_text(option) + " | " + cell(option.spec.help) + " |\n";
  }
  return text + "\n";
}

}  // namespace

std::string example_config() {
  std::string text(kHead);
  for (const CoreSection& section : core_sections()) text += section_text(section);
  text.pop_back();  // the blank line after the last section
  return text;
}

std::string reference_manual() {
  std::string text;
  for (const CoreSection& section : core_sections()) {
    const std::string brackets =
        section.repeats ? "[[" + section.name + "]]" : "[" + section.name + "]";
    text += section.name.empty() ? "### At the top\n\n"
                                 : "### `" + brackets + "`\n\n" + section.help + "\n\n";
    text += option_rows(section.options);
  }
  text += "### In every row of a plugin's tables\n\n" + option_rows(row_options());
  text += "### In every unit\n\n" + option_rows(unit_options());
  text +=
      "### `[[plugin.guard]]`\n\nWhat holds for an output, whichever plugin drives it; "
      "docs/outputs.md.\n\n" +
      option_rows(guard_options());
  return text;
}

}  // namespace fieldpost
