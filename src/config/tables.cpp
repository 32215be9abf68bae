// SPDX-License-Identifier: Apache-2.0
#include "config/tables.hpp"

#include <algorithm>
#include <cstdint>

#include "config/custom_tables.hpp"
#include "config/forms.hpp"
#include "config/into.hpp"
#include "config/report_table.hpp"
#include "config/uplink_table.hpp"
#include "model/names.hpp"

namespace fieldpost {
namespace {

using enum OptionType;

std::vector<CoreOption> top_options() {
  return {
      {.spec = {.name = "config_version",
                .type = Integer,
                .required = true,
                .help = "The form of these files."},
       .store = nowhere,
       .check = forms::config_version,
       .form = "1",
       .example = "1",
       .missing = "missing; expected config_version = 1"},
  };
}

template <auto Member>
CoreOption flow_version() {
  return {.spec = {.name = "flow_version",
                   .help = "The version of an edge workflow that Losant is to associate with the "
                           "states of this device. Unless given: none."},
          .store = into<Member>,
          .check = forms::flow_version,
          .form = forms::kFlowVersion,
          .example = "v1"};
}

std::vector<CoreOption> gateway_options() {
  return {
      {.spec = {.name = "device_id",
                .required = true,
                .help = "The gateway's own device in Losant; also the MQTT client id."},
       .store = into<&GatewayConfig::device_id>,
       .check = forms::device_id,
       .form = forms::kDeviceId,
       .example = "575ecf887ae143cd83dc4aa2",
       .missing = "not set up: expected the Losant id of this gateway (24 hex digits)"},
      {.spec = {.name = "name",
                .fallback = "gateway",
                .help = "What `device = …` calls the gateway itself."},
       .store = into<&GatewayConfig::name>,
       .check = forms::local_name,
       .form = "a name"},
      flow_version<&GatewayConfig::flow_version>(),
  };
}

std::vector<CoreOption> outbox_options() {
  return {
      {.spec = {.name = "durability",
                .type = Choice,
                .fallback = "memory",
                .help =
                    "\"memory\": a reading is sent at once, and goes to the disk when the broker "
                    "has not acknowledged it in time. \"disk\": it is on the disk before it is "
                    "sent.",
                .choices = {"memory", "disk"}},
       .store = into<&OutboxConfig::durability>},
      {.spec = {.name = "flush_interval",
                .type = Duration,
                .fallback = "5s",
                .help = "With durability = \"memory\": what a power cut may cost, and what the "
                        "broker has to acknowledge a reading before it is written to the disk.",
                .min = 0.1,
                .max = kHour},
       .store = into<&OutboxConfig::flush_interval>},
      {.spec = {.name = "commit_delay",
                .type = Duration,
                .fallback = "50ms",
                .help =
                    "With durability = \"disk\": how long a reading may wait for others, so that "
                    "they are written together.",
                .min = 0,
                .max = 10},
       .store = into<&OutboxConfig::commit_delay>},
      {.spec = {.name = "persist_interval",
                .type = Duration,
                .fallback = "10min",
                .help = "What a power cut may cost of the totals that plugins keep, such as pulse "
                        "counts: they are written to the disk so often if they have changed, and "
                        "at the stop. Each write wears it.",
                .min = 1,
                .max = kDay},
       .store = into<&OutboxConfig::persist_interval>},
      {.spec = {.name = "stage_size",
                .type = Size,
                .fallback = "16MB",
                .help = "Memory for readings on their way, which survive a crash of the agent. It "
                        "also holds what a disk that is stalled or broken does not take.",
                .min = kMb,
                .max = 256 * kMb},
       .store = into<&OutboxConfig::stage_size>},
      {.spec = {.name = "max_size",
                .type = Size,
                .fallback = "512MB",
                .help = "What the outbox may take of the disk, its files together; 6 MiB of it "
                        "are for SQLite's log and put by for a full disk. Near that old readings "
                        "are thinned, as `keep` says; the oldest are dropped when that is not "
                        "enough.",
                .min = 16 * kMb,
                .max = 1e12},
       .store = into<&OutboxConfig::max_size>},
      {.spec = {.name = "max_age",
                .type = Duration,
                .fallback = "30d",
                .help = "Readings that waited longer are dropped. Losant takes none older than 30 "
                        "days.",
                .min = kHour,
                .max = 3650 * kDay},
       .store = into<&OutboxConfig::max_age>},
  };
}

std::vector<CoreOption> clock_options() {
  return {
      {.spec = {.name = "trust",
                .type = Choice,
                .fallback = "auto",
                .help = "\"auto\": the system clock is right once a time service (NTP) has set it. "
                        "\"always\": it is right whatever they say, as with a battery-backed clock "
                        "on a site without NTP.",
                .choices = {"auto", "always"}},
       .store = into<&ClockConfig::trust>},
      {.spec = {.name = "hold",
                .type = Duration,
                .fallback = "24h",
                .help = "How long after a boot readings wait for the right time before they are "
                        "sent with an estimated one, which is said in their meta.",
                .min = 0,
                .max = 30 * kDay},
       .store = into<&ClockConfig::hold>},
  };
}

std::vector<CoreOption> command_options() {
  return {
      {.spec = {.name = "answer_topic",
                .fallback = "",
                .help = "Where outcomes of commands are published; \"\": nowhere."},
       .store = into<&CommandsConfig::answer_topic>,
       .check = forms::topic,
       .form = forms::kTopic,
       .example = "fieldpost/${device_id}/answer"},
      {.spec = {.name = "timeout",
                .type = Duration,
                .fallback = "10s",
                .help = "How long a command may take before it is answered as unknown.",
                .min = 0.1,
                .max = kHour},
       .store = into<&CommandsConfig::timeout>},
      {.spec = {.name = "time_to_live",
                .type = Duration,
                .fallback = "60s",
                .help =
                    "What was sent longer ago, by the `time` that it says, or has waited longer "
                    "for its plugin, is not run but answered as expired.",
                .min = 1,
                .max = kDay},
       .store = into<&CommandsConfig::time_to_live>},
      {.spec = {.name = "untrusted_clock",
                .type = Choice,
                .fallback = "run",
                .help = "What becomes of a command that says when it was sent while this machine's "
                        "clock is not synchronised. Losant keeps none back, so that what comes is "
                        "new.",
                .choices = {"run", "refuse"}},
       .store = into<&CommandsConfig::untrusted_clock>},
      {.spec = {.name = "id_pointer",
                .fallback = "/id",
                .help = "Where in a command's payload its id is, as a JSON pointer: one with the "
                        "same id is not run again within 24 h."},
       .store = into<&CommandsConfig::id_pointer>,
       .check = forms::json_pointer,
       .form = forms::kJsonPointer},
      {.spec = {.name = "status",
                .type = Boolean,
                .fallback = "true",
                .help = "Whether the gateway takes fp-status: report the health of all devices "
                        "now."},
       .store = into<&CommandsConfig::status>},
      {.spec = {.name = "restart_plugin",
                .type = Boolean,
                .fallback = "true",
                .help = "Whether the gateway takes fp-restart-plugin, with the name of an "
                        "instance as `plugin`."},
       .store = into<&CommandsConfig::restart_plugin>},
      {.spec = {.name = "reload",
                .type = Boolean,
                .fallback = "true",
                .help = "Whether the gateway takes fp-reload: read these files again."},
       .store = into<&CommandsConfig::reload>},
  };
}

std::vector<CoreOption> health_options() {
  return {
      {.spec = {.name = "enabled",
                .type = Boolean,
                .fallback = "true",
                .help = "Whether the agent says upstream how it is, as attributes fp_… of the "
                        "gateway and of each peripheral that a plugin serves."},
       .store = into<&HealthConfig::enabled>},
      {.spec = {.name = "interval",
                .type = Duration,
                .fallback = "60s",
                .help = "Time between two reports of a device. A change is reported at once; "
                        "while the broker is away, changes alone are.",
                .min = 10,
                .max = kDay},
       .store = into<&HealthConfig::interval>},
  };
}

std::vector<CoreOption> device_options() {
  return {
      {.spec = {.name = "name", .required = true, .help = "What `device = …` calls it."},
       .store = into<&DeviceConfig::name>,
       .check = forms::local_name,
       .form = "a name",
       .example = "boiler"},
      {.spec = {.name = "id", .required = true, .help = "Its id in Losant."},
       .store = into<&DeviceConfig::id>,
       .check = forms::device_id,
       .form = forms::kDeviceId,
       .example = "575ecf887ae143cd83dc4aa3"},
      flow_version<&DeviceConfig::flow_version>(),
  };
}

std::vector<CoreOption> plugin_options() {
  return {
      {.spec = {.name = "name",
                .required = true,
                .help = "What logs, status and commands call it."},
       .store = into<&PluginRow::name>,
       .check = forms::local_name,
       .form = "a name",
       .example = "boiler-plc"},
      {.spec = {.name = "type",
                .required = true,
                .help = "Which plugin; `fieldpost plugins` lists those installed, `fieldpost "
                        "plugins help TYPE` what they take."},
       .store = into<&PluginRow::type>,
       .check = forms::local_name,
       .form = "the name of a plugin",
       .example = "modbus"},
      {.spec = {.name = "device",
                .help = "The device its attributes belong to. Unless given: the gateway."},
       .store = into<&PluginRow::device>,
       .form = "the name of a device",
       .example = "boiler"},
      {.spec = {.name = "interval",
                .type = Duration,
                .fallback = "1s",
                .help =
                    "Time between two polls, each instance at its own point of it, so that they "
                    "do not all begin at once; \"0s\": never polled, for plugins that live from "
                    "events alone.",
                .min = 0,
                .max = kDay},
       .store = into<&PluginRow::interval>,
       .check = forms::interval,
       .form = forms::kInterval},
      {.spec = {.name = "align",
                .type = Boolean,
                .fallback = "false",
                .help = "Polls at whole multiples of the interval by the clock, in UTC: with "
                        "\"15min\" at every quarter of an hour, so that gateways can be compared. "
                        "The first poll is at the start all the same."},
       .store = into<&PluginRow::align>},
      {.spec = {.name = "deadline",
                .type = Duration,
                .fallback = "10s",
                .help = "A plugin that does not return from a call in this time is replaced.",
                .min = 0.1,
                .max = kHour},
       .store = into<&PluginRow::deadline>},
      {.spec = {.name = "keep",
                .type = Choice,
                .fallback = "thin",
                .help = "What becomes of readings that wait for the broker when the outbox runs "
                        "short of space. \"thin\": old ones are thinned; every hour keeps its "
                        "least and greatest number, every change of a boolean or a text stays. "
                        "\"newest\": of old ones only the newest of a stretch stays. \"all\": all "
                        "stay, until there is nothing else to give.",
                .choices = keep_words()},
       .store = into<&PluginRow::keep>},
      {.spec = {.name = "sandbox",
                .type = Choice,
                .fallback = "on",
                .help = "\"on\": the plugin can do what it says it needs, and no more; "
                        "`fieldpost status` says what. \"off\": all that the agent itself can, "
                        "for one that does not run otherwise.",
                .choices = {"on", "off"}},
       .store = into<&PluginRow::sandbox>},
      {.spec = {.name = "socket",
                .help = "Where systemd starts the plugin as a unit of its own, with a user and "
                        "rights of its own; examples/systemd/fieldpost-boiler.socket. Unless "
                        "given: the agent starts it."},
       .store = into<&PluginRow::socket>,
       .check = forms::socket_path,
       .form = forms::kSocketPath,
       .example = "/run/fieldpost-boiler.sock"},
  };
}

std::vector<CoreOption> with_report(std::vector<CoreOption> options,
                                    std::vector<CoreOption> report) {
  for (CoreOption& option : report) options.push_back(std::move(option));
  return options;
}

std::vector<CoreOption> all_plugin_options() {
  return with_report(plugin_options(), report_defaults());
}

CoreOption row_device() {
  return {.spec = {.name = "device",
                   .help = "The device its attributes belong to. Unless given: that of the unit, "
                           "or of the instance."},
          .store = into<&RowKeys::device>,
          .form = "the name of a device"};
}

CoreOption row_keep() {
  return {.spec = {.name = "keep",
                   .type = Choice,
                   .help = "What becomes of waiting readings when space is short, as in "
                           "[[plugin]]. Unless given: as the unit, or the instance.",
                   .choices = keep_words()},
          .store = into<&RowKeys::keep>};
}

template <auto Part>
void* part(Config& config) {
  return &(config.*Part);
}

std::vector<CoreSection> make_sections() {
  return {
      {.name = "", .options = top_options(), .object = [](Config&) -> void* { return nullptr; }},
      {.name = "gateway",
       .help = "This machine.",
       .options = gateway_options(),
       .object = part<&Config::gateway>},
      {.name = "uplink",
       .help = "The way to the broker. Key and secret never stand in this file, only in files of "
               "their own.",
       .options = uplink_options(),
       .object = part<&Config::uplink>},
      {.name = "outbox",
       .help = "Where readings wait until the broker has acknowledged them.",
       .options = outbox_options(),
       .object = part<&Config::outbox>},
      {.name = "clock",
       .help = "Which time readings are stamped with.",
       .options = clock_options(),
       .object = part<&Config::clock>},
      {.name = "commands",
       .help = "What comes from the broker.",
       .options = command_options(),
       .object = part<&Config::commands>},
      {.name = "health",
       .help = "What the agent says of itself and its devices to the broker; docs/health.md.",
       .options = health_options(),
       .object = part<&Config::health>},
      {.name = "device",
       .repeats = true,
       .help = "A peripheral: a device behind this gateway that has a Losant id of its own.",
       .options = device_options()},
      {.name = "plugin",
       .repeats = true,
       .help = "An instance: one plugin on one bus, in a process of its own. What the plugin "
               "itself takes follows as `options.NAME = …` and as rows, [[plugin.TABLE]]. What is "
               "said of readings here (from `report` on) holds for all of its attributes; units, "
               "rows and [[plugin.attribute]] may say otherwise for theirs; docs/readings.md.",
       .options = all_plugin_options()},
      {.name = "publish",
       .repeats = true,
       .help = "Readings that leave as messages of your own as well, one for each reading; "
               "docs/custom-topics.md.",
       .options = publish_options()},
      {.name = "subscribe",
       .repeats = true,
       .help = "Messages on a topic of your own that become commands; docs/custom-topics.md.",
       .options = subscribe_options()},
  };
}

}  // namespace

std::span<const CoreSection> core_sections() {
  static const std::vector<CoreSection> sections = make_sections();
  return sections;
}

const CoreSection* find_section(std::string_view name) {
  const auto all = core_sections();
  const auto it = std::ranges::find(all, name, &CoreSection::name);
  return it == all.end() ? nullptr : &*it;
}

std::span<const CoreOption> row_options() {
  static const std::vector<CoreOption> options =
      with_report({row_device(), row_keep()}, report_options());
  return options;
}

std::span<const CoreOption> unit_options() {
  static const std::vector<CoreOption> options = with_report(
      {row_device(),
       row_keep(),
       {.spec = {.name = "name", .help = "What status and logs call the unit."},
        .store = into<&RowKeys::name>,
        .check = forms::local_name,
        .form = "a name"},
       {.spec = {.name = "profile",
                 .help =
                     "What the unit has, as a file says that can be used for many: NAME.toml of "
                     "/etc/fieldpost/profiles/TYPE or of those that are installed. Keys and "
                     "rows of the unit's own go before; docs/profiles.md."},
        .store = into<&RowKeys::profile>,
        .check = forms::local_name,
        .form = "a name"},
       {.spec = {.name = "prefix",
                 .help = "What the names of attributes and commands that come from the profile "
                         "begin with, to tell units of one device apart."},
        .store = into<&RowKeys::prefix>,
        .check = forms::attribute_name,
        .form = std::string(kAttributeNameForm)}},
      unit_report_options());
  return options;
}

std::string expected_form(const CoreOption& option) {
  return option.form.empty() ? expected_form(option.spec) : option.form;
}

}  // namespace fieldpost
