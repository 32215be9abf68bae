// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/text.hpp"
#include "config/custom.hpp"
#include "config/custom_entry.hpp"
#include "config/forms.hpp"
#include "config/instances.hpp"
#include "config/own_names.hpp"
#include "model/topic.hpp"

namespace fieldpost {
namespace {

bool takes_text(const OptionSpec& spec) {
  return spec.type != OptionType::Integer && spec.type != OptionType::Number &&
         spec.type != OptionType::Boolean;
}

class SubscribeReader {
 public:
  SubscribeReader(const Config& config, Problems& problems)
      : config_(&config), problems_(&problems) {}

  void read(const Node& row, SubscribeConfig& ret) {
    const CoreSection& section = *find_section("subscribe");
    refuse_unknown(row, section.name, names_of(section.options), *problems_);
    read_options(row, section.options, &ret, section.name, false, *problems_);
    const size_t errors = problems_->errors();
    read_arguments(row, ret);
    read_map(row, ret);
    const bool complete = problems_->errors() == errors;
    check_topic(row, ret.topic);
    if (!is_given(row, "device")) return;
    const size_t before = problems_->errors();
    const size_t device =
        find_device(ret.device, value_at(row, "device"), "subscribe.device", *config_, *problems_);
    if (problems_->errors() != before) return;
    ret.device_id = config_->devices[device].id;
    const CommandSpec* spec = find_command(row, ret, device);
    if (spec != nullptr && complete) check_arguments(row, *spec, ret);
  }

 private:
  void read_arguments(const Node& row, SubscribeConfig& ret) {
    const Member* given = row.find("arguments");
    if (given == nullptr || given->value.kind != Node::Kind::Table) return;
    for (const Member& member : given->value.members) {
      const bool fits = is_text(member.value) &&
                        forms::is_json_pointer(std::get<std::string>(member.value.value));
      if (!fits) {
        problems_->error(member.value.at,
                         argument_path(member.key) +
                             ": expected a JSON pointer such as \"/state\", or \"\" for all of the "
                             "text, got " +
                             describe(member.value));
        continue;
      }
      ret.arguments.push_back({member.key, std::get<std::string>(member.value.value)});
    }
  }

  void read_map(const Node& row, SubscribeConfig& ret) {
    const Member* given = row.find("map");
    if (given == nullptr || given->value.kind != Node::Kind::Table) return;
    for (const Member& member : given->value.members) {
      if (member.value.kind != Node::Kind::Scalar) {
        problems_->error(member.value.at, map_path(member.key) +
                                              ": expected a number, true, false or text, got " +
                                              describe(member.value));
        continue;
      }
      ret.map.emplace(member.key, member.value.value);
    }
    if (given->value.members.empty()) {
      problems_->error(given->value.at, "subscribe.map: expected at least one text, got none");
    } else if (ret.arguments.size() > 1) {
      problems_->error(given->at, "subscribe.map: expected one argument beside it, got " +
                                      std::to_string(ret.arguments.size()));
    }
  }

  // The same filter twice is one subscription; two that overlap are answered twice by the broker.
  void check_topic(const Node& row, const std::string& topic) {
    if (topic.empty()) return;
    const Location at = value_at(row, "topic");
    for (const auto& [other, place] : topics_) {
      if (other == topic || !overlap(other, topic)) continue;
      problems_->error(at, "subscribe.topic: '" + topic + "' overlaps '" + other + "' at " +
                               to_string(place) +
                               ": a message on both might come twice, and be carried out twice");
    }
    topics_.emplace_back(topic, at);
    for (const PublishConfig& entry : config_->publishes) {
      for (const DeviceConfig& device : config_->devices) {
        if (!entry.device.empty() && entry.device != device.name) continue;
        if (refuse_own(topic, with_device(entry.topic, device.name),
                       "[[publish]] '" + entry.name + "'", at))
          break;
      }
    }
    refuse_own(topic, config_->commands.answer_topic, "commands.answer_topic", at);
  }

  // A command that brings a message which is a command would go round and round.
  bool refuse_own(const std::string& topic, const std::string& published, const std::string& by,
                  const Location& at) {
    if (published.empty() || !overlap(topic, with_wildcards(published))) return false;
    problems_->error(at, "subscribe.topic: '" + topic + "' would receive what " + by +
                             " publishes, and make commands of it; expected another topic");
    return true;
  }

  static std::string with_device(std::string topic, const std::string& name) {
    constexpr std::string_view kPlace = "${device}";
    for (size_t at = topic.find(kPlace); at != std::string::npos; at = topic.find(kPlace)) {
      topic.replace(at, kPlace.size(), name);
    }
    return topic;
  }

  // ${…} may be a part of a level, and what is filled in has no '/'.
  static std::string with_wildcards(std::string_view topic) {
    std::string filter;
    for (;;) {
      const size_t end = std::min(topic.find('/'), topic.size());
      const std::string_view level = topic.substr(0, end);
      filter += level.find("${") == std::string_view::npos ? level : "+";
      if (end == topic.size()) return filter;
      filter += '/';
      topic.remove_prefix(end + 1);
    }
  }

  const CommandSpec* find_command(const Node& row, const SubscribeConfig& entry, size_t device) {
    std::vector<std::string_view> names;
    const CommandSpec* found = nullptr;
    const auto look = [&](const CommandSpec& spec) {
      names.emplace_back(spec.name);
      if (spec.name == entry.command) found = &spec;
    };
    for (const CommandSpec& spec : own_commands()) {
      if (device == 0) look(spec);
    }
    for (const PluginConfig& plugin : config_->plugins) {
      for (size_t i = 0; i < plugin.command_device.size(); ++i) {
        if (plugin.command_device[i] == device) look(plugin.declaration.commands[i].spec);
      }
    }
    if (found == nullptr && is_given(row, "command") && is_known(*config_, device)) {
      problems_->error(value_at(row, "command"),
                       "subscribe.command: device '" + entry.device + "' has no command '" +
                           printable(entry.command, 80) + "'" + did_you_mean(entry.command, names));
    }
    return found;
  }

  void check_arguments(const Node& row, const CommandSpec& spec, SubscribeConfig& ret) {
    const Member* table = row.find("arguments");
    if (table != nullptr && table->value.kind != Node::Kind::Table) return;  // which was reported
    if (table == nullptr) {
      if (const OptionSpec* only = only_argument(spec)) ret.arguments.push_back({only->name, ""});
    }
    std::vector<std::string_view> names;
    for (const OptionSpec& arg : spec.args) names.emplace_back(arg.name);
    for (SubscribeConfig::Argument& argument : ret.arguments) {
      const auto arg = std::ranges::find(spec.args, argument.name, &OptionSpec::name);
      if (arg == spec.args.end()) {
        problems_->error(at_argument(row, argument.name), argument_path(argument.name) +
                                                              ": the command has no such argument" +
                                                              did_you_mean(argument.name, names));
        continue;
      }
      argument.takes_text = takes_text(*arg);
      check_constants(row, *arg);
    }
    for (const OptionSpec& arg : spec.args) {
      const bool given = std::ranges::find(ret.arguments, arg.name,
                                           &SubscribeConfig::Argument::name) != ret.arguments.end();
      if (given || !arg.required) continue;
      problems_->error(value_at(row, "arguments"),
                       "subscribe.arguments: '" + arg.name + "' is missing; expected " + arg.name +
                           " = \"/POINTER\" or \"\": " + expected_form(arg));
    }
    if (!ret.map.empty() && ret.arguments.empty()) {
      problems_->error(row.find("map")->at,
                       "subscribe.map: the command has no argument that it could be for");
    }
  }

  void check_constants(const Node& row, const OptionSpec& arg) {
    const Member* given = row.find("map");
    if (given == nullptr || given->value.kind != Node::Kind::Table) return;
    for (const Member& member : given->value.members) {
      if (member.value.kind != Node::Kind::Scalar) continue;
      if (const auto fits = check_option(arg, member.value.value); !fits) {
        problems_->error(member.value.at, map_path(member.key) + ": argument '" + arg.name +
                                              "': " + fits.error().message);
      }
    }
  }

  static Location at_argument(const Node& row, const std::string& name) {
    const Member* given = row.find("arguments");
    return given == nullptr ? row.at : value_at(given->value, name);
  }
  static std::string argument_path(const std::string& key) {
    return "subscribe.arguments." + printable(key, 80);
  }
  static std::string map_path(const std::string& key) {
    return "subscribe.map.\"" + printable(key, 80) + "\"";
  }

  const Config* config_;
  Problems* problems_;
  std::vector<std::pair<std::string, Location>> topics_;
};

}  // namespace

void read_subscribes(const Node& root, Config& config, Problems& problems) {
  SubscribeReader reader(config, problems);
  config.subscribes = read_entries<SubscribeConfig>(root, "subscribe", reader, problems);
}

}  // namespace fieldpost
