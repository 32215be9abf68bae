// SPDX-License-Identifier: Apache-2.0
#include "config/load.hpp"

#include <algorithm>
#include <filesystem>
#include <map>

#include "base/text.hpp"
#include "config/across.hpp"
#include "config/custom.hpp"
#include "config/forms.hpp"
#include "config/instances.hpp"
#include "config/options.hpp"
#include "config/profiles.hpp"
#include "config/read.hpp"
#include "config/secret.hpp"

namespace fieldpost {
namespace {

// The table that a dotted section name stands for; an empty one at the same place if there is
// none.
const Node& find_table(const Node& root, std::string_view name, Node& ret_empty) {
  const Node* node = &root;
  while (!name.empty()) {
    const size_t dot = std::min(name.find('.'), name.size());
    const Member* member = node->find(name.substr(0, dot));
    if (member == nullptr) {
      ret_empty = Node{};
      ret_empty.at = node->at;
      return ret_empty;
    }
    node = &member->value;
    name.remove_prefix(std::min(dot + 1, name.size()));
  }
  return *node;
}

bool is_set_up(const Node& root) {
  Node empty;
  const Member* id = find_table(root, "gateway", empty).find("device_id");
  return id != nullptr && (!is_text(id->value) || id->value.value != Value(std::string()));
}

// The sections right inside `outer`, by the keys they have there.
void add_inner_sections(const std::string& outer, std::vector<std::string_view>& known) {
  const std::string prefix = outer.empty() ? "" : outer + ".";
  for (const CoreSection& section : core_sections()) {
    const std::string_view name = section.name;
    if (name == outer || !name.starts_with(prefix)) continue;
    const std::string_view key = name.substr(prefix.size());
    if (key.find('.') == std::string_view::npos) known.push_back(key);
  }
}

void read_core(const Node& root, Config& config, Problems& problems) {
  for (const CoreSection& section : core_sections()) {
    if (section.repeats) continue;
    Node empty;
    const Node& table = find_table(root, section.name, empty);
    std::vector<std::string_view> known = names_of(section.options);
    add_inner_sections(section.name, known);
    refuse_unknown(table, section.name, known, problems);
    read_options(table, section.options, section.object(config), section.name,
                 problems.incomplete(), problems);
  }
}

void check_readable(const Node& table, const std::string& key, const std::string& path,
                    Problems& problems) {
  const Member* given = table.find(key);
  if (given == nullptr || path.empty()) return;
  if (const auto content = read_regular_file(path, kMaxFile); !content) {
    problems.error(given->value.at,
                   "uplink." + key + ": '" + path + "' " + content.error().message);
  }
}

void expect_beside(const Node& table, const std::string& key, const std::string& other,
                   Problems& problems) {
  const Member* given = table.find(key);
  if (given == nullptr || table.find(other) != nullptr) return;
  problems.error(given->at, "uplink." + key + ": expected " + other + " beside it");
}

void check_certificates(const Node& table, const UplinkConfig& uplink, Problems& problems) {
  check_readable(table, "ca_file", uplink.ca_file, problems);
  check_readable(table, "cert_file", uplink.cert_file, problems);
  check_readable(table, "key_file", uplink.key_file, problems);
  if (uplink.key_file.empty()) expect_beside(table, "cert_file", "key_file", problems);
  if (uplink.cert_file.empty()) expect_beside(table, "key_file", "cert_file", problems);
}

void finish_uplink(const Node& root, UplinkConfig& uplink, Problems& problems) {
  for (BrokerAddress& broker : uplink.brokers) {
    const auto url = forms::parse_broker_url(broker.url);
    if (!url) continue;
    broker.tls = url->tls;
    broker.host = url->host;
    broker.port = url->port;
    broker.web_socket_path = url->web_socket_path;
  }
  if (const auto proxy = forms::parse_proxy_url(uplink.proxy)) {
    uplink.proxy_host = proxy->host;
    uplink.proxy_port = proxy->port;
  }
  Node empty;
  const Node& table = find_table(root, "uplink", empty);
  const size_t mark = problems.mark();
  check_secrets(table, uplink, problems);
  check_certificates(table, uplink, problems);
  expect_beside(table, "proxy_login_file", "proxy", problems);
  if (problems.kept()) problems.demote(mark, Problem::Severity::Warning);
}

// Live readings are to be acknowledged before they are due on the disk, or each is written there,
// and leaves from there at once: a longer wait that somebody asks for would not be had. A
// configuration that was kept has worked, and does.
void check_flush(const Node& root, const Config& config, Problems& problems) {
  constexpr std::chrono::seconds kRoundTrip(2);
  const OutboxConfig& outbox = config.outbox;
  const nanoseconds age = config.uplink.batch_max_age;
  if (outbox.durability != "memory" || outbox.flush_interval >= age + kRoundTrip) return;
  Node empty;
  const Member* asked = find_table(root, "uplink", empty).find("batch_max_age");
  if (asked != nullptr && !problems.kept()) {
    return problems.error(asked->value.at,
                          "uplink.batch_max_age: " + about(age) +
                              " is more than outbox.flush_interval (" +
                              about(outbox.flush_interval) +
                              ") less 2 s, so what waits would leave with each flush, by way of "
                              "the disk; set outbox.flush_interval = \"" +
                              format_duration(age + kRoundTrip) + "\" or more, or a shorter age");
  }
  const Node& table = find_table(root, "outbox", empty);
  const Member* given = table.find("flush_interval");
  problems.warning(given != nullptr ? given->value.at : table.at,
                   "outbox.flush_interval: " + about(outbox.flush_interval) +
                       " is less than uplink.batch_max_age + 2 s, so readings are written to the "
                       "disk before the broker can have acknowledged them");
}

// The shortest time between two samples of each device that has attributes.
std::vector<nanoseconds> intervals_of(const Config& config) {
  std::map<size_t, nanoseconds> shortest;  // by device
  for (const PluginConfig& plugin : config.plugins) {
    for (const size_t device : plugin.attribute_device) {
      const auto [it, first] = shortest.emplace(device, plugin.instance.interval);
      if (!first) it->second = std::min(it->second, plugin.instance.interval);
    }
  }
  std::vector<nanoseconds> intervals;
  for (const auto& [device, interval] : shortest) intervals.push_back(interval);
  return intervals;
}

void check_rate(const Node& root, const Config& config, Problems& problems) {
  const UplinkConfig& uplink = config.uplink;
  const RateLimits limits = uplink.rate_limits();
  const std::vector<nanoseconds> intervals = intervals_of(config);
  const nanoseconds age = stretched_age(uplink.batch_max_age, limits, intervals);
  if (intervals.size() < 2 || age <= uplink.batch_max_age) return;
  Node empty;
  const Node& table = find_table(root, "uplink", empty);
  const Member* given = table.find("batch_max_age");
  problems.warning(given != nullptr ? given->value.at : table.at,
                   "uplink.batch_max_age: " + std::to_string(intervals.size()) +
                       " devices share the " + std::to_string(limits.per_connection) +
                       " messages in 15 s that the broker bears, so readings wait up to " +
                       about(age) + " for others instead of " + about(uplink.batch_max_age) +
                       "; longer intervals or uplink.limits would change that");
}

}  // namespace

RateLimits UplinkConfig::rate_limits() const {
  RateLimits given = limits == "losant" ? kLosantLimits : RateLimits{};
  if (topic_messages > 0) given.per_topic = topic_messages;
  if (connection_messages > 0) given.per_connection = connection_messages;
  return given;
}

bool Loaded::usable() const {
  return std::ranges::none_of(problems, [](const Problem& problem) {
    return problem.severity == Problem::Severity::Error;
  });
}

std::string Loaded::why_unusable() const {
  std::string first;
  size_t more = 0;
  for (const Problem& problem : problems) {
    if (problem.severity != Problem::Severity::Error) continue;
    if (first.empty()) {
      first = to_string(problem);
    } else {
      ++more;
    }
  }
  return more == 0 ? first : first + " (and " + std::to_string(more) + " more)";
}

Loaded load_config(const std::string& path, PluginProbe& probe, std::vector<std::string> profiles) {
  Loaded loaded;
  Problems problems;
  const bool is_kept = !kept_from(path).empty();
  if (is_kept) problems.set_kept();
  Sources sources = read_sources(path, problems);
  Config& config = loaded.config;
  read_core(sources.root, config, problems);
  finish_uplink(sources.root, config.uplink, problems);
  check_flush(sources.root, config, problems);
  read_devices(sources.root, config, problems);
  Plugins plugins(probe);
  const auto beside = std::filesystem::path(sources.main_file).parent_path();
  // Before the folders of what is in place, which may have been rolled back.
  if (is_kept) profiles.insert(profiles.begin(), (beside / kInstalledProfiles).string());
  profiles.insert(profiles.begin(), (beside / kProfileFolder).string());
  Profiles known(profiles);
  std::vector<Origin> origins = read_instances(sources.root, config, plugins, known, problems);
  declare_all(config, origins, probe, problems);
  check_across(config, origins, problems);
  check_rate(sources.root, config, problems);
  read_publishes(sources.root, config, problems);
  read_subscribes(sources.root, config, problems);

  loaded.path = path;
  loaded.set_up = problems.incomplete() || is_set_up(sources.root);
  loaded.main_file = sources.main_file;
  loaded.files = std::move(sources.files);
  loaded.profiles = known.take_files();
  loaded.own_profiles = known.own();
  loaded.problems = problems.take(sources.read);
  return loaded;
}

}  // namespace fieldpost
