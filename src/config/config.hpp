// SPDX-License-Identifier: Apache-2.0
//
// A configuration that has been read, checked and resolved: what a start runs on.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "model/broker_address.hpp"
#include "model/keep.hpp"
#include "model/plugin_info.hpp"
#include "model/rate_limits.hpp"

namespace fieldpost {

// Where something stands in the files. Lines and columns count from 1; 0: unknown.
struct Location {
  std::string file;
  int line = 0;
  int column = 0;
  bool operator==(const Location&) const = default;
};

struct Problem {
  enum class Severity : uint8_t {
    Error,     // the configuration is not used
    Instance,  // one instance cannot run; the rest does
    Warning,   // works, but probably not as meant
  };
  Severity severity = Severity::Error;
  Location location;
  std::string text;  // "plugin.register.tabel: unknown key; did you mean 'table'?"
  bool operator==(const Problem&) const = default;
};
// "file:line:column: text", the form of compilers.
std::string to_string(const Problem& problem);

struct GatewayConfig {
  std::string device_id;     // Losant id; also the MQTT client id
  std::string name;          // as [[plugin]] device = … refers to it; default "gateway"
  std::string flow_version;  // that its states name; empty: none
  bool operator==(const GatewayConfig&) const = default;
};

struct UplinkConfig {
  std::vector<BrokerAddress> brokers;  // at least one; tried in this order
  std::string proxy;                   // as given; empty: none
  std::string proxy_host;
  uint16_t proxy_port = 0;
  std::string proxy_login_file;    // USER:PASSWORD; empty: none
  std::string access_key_file;     // the user name; empty: no user name
  std::string access_secret_file;  // the password
  std::string ca_file;             // empty: the system's trust store
  std::string cert_file;           // to show to the broker; empty: none
  std::string key_file;            // belongs to cert_file
  nanoseconds keepalive{};
  nanoseconds connect_timeout{};  // for each step of connecting
  nanoseconds backoff_max{};
  int window_messages = 20;
  int64_t window_bytes = 0;
  int64_t max_payload = 0;      // bytes of one publish
  nanoseconds batch_max_age{};  // that a reading may wait for others
  std::string order;            // "live-first" or "oldest-first"
  bool meta = false;            // whether states have model/state_meta.hpp
  std::string limits;           // "losant" or "plain"
  int topic_messages = 0;       // 0: as `limits` says; as is the next
  int connection_messages = 0;
  RateLimits rate_limits() const;
  bool operator==(const UplinkConfig&) const = default;
};

struct OutboxConfig {
  std::string durability;          // "memory" or "disk"
  nanoseconds flush_interval{};    // "memory": after that an unacknowledged sample goes to the disk
  nanoseconds commit_delay{};      // "disk": how long a sample may wait for others to be committed
  nanoseconds persist_interval{};  // what a power cut may cost of what plugins keep
  int64_t stage_size = 0;          // bytes of stage 1
  int64_t max_size = 0;            // bytes on disk, all files together
  nanoseconds max_age{};           // older readings are dropped
  bool operator==(const OutboxConfig&) const = default;
};

struct ClockConfig {
  std::string trust;  // "auto": as far as a time service vouches for it; "always"
  nanoseconds
      hold{};  // age of a boot without time from which its readings go with estimated stamps
  bool operator==(const ClockConfig&) const = default;
};

struct CommandsConfig {
  std::string answer_topic;     // template with ${device_id}; empty: no answers
  nanoseconds timeout{};        // between call and outcome
  std::string id_pointer;       // where in a command's payload the sender's id is: a JSON pointer
  nanoseconds time_to_live{};   // from when it was sent, and from receipt, to the call
  std::string untrusted_clock;  // what becomes of one whose age cannot be told: "run", "refuse"
  // Whether the agent's own commands are taken; see config/own_names.hpp.
  bool status = true;
  bool restart_plugin = true;
  bool reload = true;
  bool operator==(const CommandsConfig&) const = default;
};

struct HealthConfig {
  bool enabled = true;
  nanoseconds interval{};  // between two reports of a device
  bool operator==(const HealthConfig&) const = default;
};

struct DeviceConfig {
  std::string name;
  std::string id;                 // Losant id
  std::string flow_version = {};  // that its states name; empty: none
  Location location;
};

// Readings that leave on a topic of one's own as well, a message for each.
struct PublishConfig {
  std::string name;
  std::string topic, payload;  // templates (model/template.hpp) that are right
  std::string format;          // "text" or "json"
  int qos = 1;
  std::string device;                   // its name; empty: all
  std::vector<std::string> attributes;  // empty: all
  bool operator==(const PublishConfig&) const = default;
};

// Messages that become commands.
struct SubscribeConfig {
  struct Argument {
    std::string name;
    std::string pointer;     // into the payload, which is JSON; empty: the payload as text
    bool takes_text = true;  // the argument, as it was declared; else a number or a boolean
    bool operator==(const Argument&) const = default;
  };
  std::string topic;  // filter
  int qos = 1;
  std::string device;  // its name
  std::string device_id;
  std::string command;
  std::vector<Argument> arguments;
  std::map<std::string, Value> map;  // what a text becomes; empty: what it is
  bool operator==(const SubscribeConfig&) const = default;
};

struct PluginConfig {
  std::string name;
  std::string type;
  std::string socket;                    // where its host is reached; empty: we start it
  InstanceConfig instance;               // what the host gets
  std::vector<std::string> unit_names;   // for people; same order as instance.units
  Declaration declaration;               // empty if `failed`
  std::vector<size_t> attribute_device;  // for each declared attribute: index into Config::devices
  std::vector<size_t> command_device;    // for each declared command
  // For each section the device its row names, or its unit's, or its instance's. Lets the running
  // daemon map a declaration that changed because the plugin was upgraded. Of one that failed
  // before its rows were read, each device that those name.
  std::vector<size_t> section_device;
  std::vector<Keep> section_keep;  // in the same way
  std::string failed;              // why it cannot run; empty: it can
};

struct Config {
  GatewayConfig gateway;
  UplinkConfig uplink;
  OutboxConfig outbox;
  ClockConfig clock;
  CommandsConfig commands;
  HealthConfig health;
  std::vector<DeviceConfig> devices;  // [0] is the gateway
  std::vector<PluginConfig> plugins;
  std::vector<PublishConfig> publishes;
  std::vector<SubscribeConfig> subscribes;
};

// What each attribute is to be kept as: those that instances declare, and the agent's own.
KeepRules keep_rules(const Config& config);

// What plugins say of themselves and of a configuration. Implemented by running a throw-away host
// (supervisor/probe.hpp): a broken plugin cannot break validation.
class PluginProbe {
 public:
  struct Verdict {
    Declaration declaration;
    struct Complaint {
      uint32_t section = 0;
      std::string option;  // may be empty
      std::string text;
    };
    std::vector<Complaint> complaints;
  };
  virtual ~PluginProbe() = default;
  // Types that are installed, sorted.
  virtual std::vector<std::string> types() = 0;
  // Errors: NotFound (not installed), Invalid (cannot be loaded; the message says why), Timeout.
  virtual Result<PluginInfo> describe(const std::string& type) = 0;
  virtual Result<Verdict> declare(const std::string& type, const InstanceConfig& config) = 0;
};

}  // namespace fieldpost
