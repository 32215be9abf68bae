// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/json.hpp"
#include "base/text.hpp"
#include "config/copies.hpp"
#include "config/custom.hpp"
#include "config/custom_entry.hpp"
#include "config/instances.hpp"
#include "model/template.hpp"

namespace fieldpost {
namespace {

class PublishReader {
 public:
  PublishReader(const Config& config, Problems& problems)
      : config_(&config), problems_(&problems) {}

  void read(const Node& row, PublishConfig& ret) {
    const CoreSection& section = *find_section("publish");
    refuse_unknown(without_retain(row), section.name, names_of(section.options), *problems_);
    read_options(row, section.options, &ret, section.name, false, *problems_);
    check_name(row, ret.name);
    std::optional<size_t> device;
    if (is_given(row, "device")) {
      device =
          find_device(ret.device, value_at(row, "device"), "publish.device", *config_, *problems_);
    }
    if (ret.format == "json") check_json(row, ret.payload);
    check_attributes(row, ret, device);
    if (!ret.topic.empty()) check_rate(row, ret);
  }

 private:
  // It is asked for often enough to get an answer of its own.
  Node without_retain(const Node& row) {
    Node rest = row;
    std::erase_if(rest.members, [this](const Member& member) {
      if (member.key != "retain") return false;
      problems_->error(member.at,
                       "publish.retain: messages are not retained: Losant closes the connection "
                       "at one, and after an outage the oldest reading would stand there as the "
                       "newest; leave this key out");
      return true;
    });
    return rest;
  }

  void check_name(const Node& row, const std::string& name) {
    const auto [it, first] = names_.emplace(name, value_at(row, "name"));
    if (first || name.empty()) return;
    problems_->error(value_at(row, "name"),
                     "publish.name: '" + name + "' is already used at " + to_string(it->second));
  }

  // With a value of each type, and a text that has to be written in another way.
  void check_json(const Node& row, const std::string& payload) {
    const auto made = Template::parse(payload);
    if (!made) return;
    for (const Json& value : {Json(21.5), Json(true), Json("a \"text\"")}) {
      const std::string text = dump_json(value);
      const auto parsed = parse_json(made->fill({"device", "attribute", text, "1700000000000"}));
      if (parsed) continue;
      std::string words =
          "publish.payload: not JSON when ${value} is " + text + ": " + parsed.error().message;
      if (value.is_string()) words += "; a text brings its own quotes, so ${value} needs none";
      return problems_->error(value_at(row, "payload"), words);
    }
  }

  // No error: `fieldpost send` may bring attributes that no plugin has.
  void check_attributes(const Node& row, const PublishConfig& entry, std::optional<size_t> device) {
    if (!is_known(*config_, device)) return;
    std::vector<std::string_view> known;
    for (const PluginConfig& plugin : config_->plugins) {
      for (size_t i = 0; i < plugin.attribute_device.size(); ++i) {
        if (device && plugin.attribute_device[i] != *device) continue;
        known.emplace_back(plugin.declaration.attributes[i].spec.name);
      }
    }
    for (const std::string& name : entry.attributes) {
      if (std::ranges::find(known, name) != known.end()) continue;
      problems_->warning(value_at(row, "attributes"), "publish.attributes: no plugin has '" + name +
                                                          "'" + did_you_mean(name, known));
    }
  }

  // Messages in a window, if each poll brings a reading: more than the broker bears would pile up.
  void check_rate(const Node& row, const PublishConfig& entry) {
    const RateLimits limits = config_->uplink.rate_limits();
    const double window = std::chrono::duration<double>(limits.window).count();
    auto most = topics_.end();
    for (const PluginConfig& plugin : config_->plugins) {
      const double seconds = std::chrono::duration<double>(plugin.instance.interval).count();
      for (size_t i = 0; seconds > 0 && i < plugin.attribute_device.size(); ++i) {
        const DeviceConfig& device = config_->devices[plugin.attribute_device[i]];
        const std::string& attribute = plugin.declaration.attributes[i].spec.name;
        if (!selects(entry, device.name, attribute)) continue;
        const auto topic = topics_.try_emplace(topic_of(entry, device.name, attribute), 0).first;
        topic->second += window / seconds;
        all_ += window / seconds;
        if (most == topics_.end() || topic->second > most->second) most = topic;
      }
    }
    if (most == topics_.end()) return;
    if (limits.per_topic > 0 && most->second > limits.per_topic) {
      return warn(row, most->second, "on '" + most->first + "'", limits.per_topic);
    }
    if (limits.per_connection > 0 && all_ > limits.per_connection && !std::exchange(said_, true)) {
      warn(row, all_, "on all custom topics", limits.per_connection);
    }
  }

  void warn(const Node& row, double messages, const std::string& where, int limit) {
    problems_->warning(
        value_at(row, "topic"),
        "publish.topic: up to " + format_number(std::floor(messages)) + " messages in 15 s " +
            where + ", of which the broker bears " + std::to_string(limit) +
            "; what is too much waits in the outbox until it is given up: choose attributes, poll "
            "less often, or set uplink.limits");
  }

  static std::string topic_of(const PublishConfig& entry, const std::string& device,
                              const std::string& attribute) {
    const auto made = Template::parse(entry.topic);
    return made ? made->fill({.device = device, .attribute = attribute}) : entry.topic;
  }

  const Config* config_;
  Problems* problems_;
  std::map<std::string, Location> names_;
  std::map<std::string, double> topics_;  // messages in a window, of the entries so far
  double all_ = 0;                        // of all of them
  bool said_ = false;
};

}  // namespace

void read_publishes(const Node& root, Config& config, Problems& problems) {
  PublishReader reader(config, problems);
  config.publishes = read_entries<PublishConfig>(root, "publish", reader, problems);
}

}  // namespace fieldpost
