// SPDX-License-Identifier: Apache-2.0
#include "fakes/losant_broker.hpp"

#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "fakes/subscriber.hpp"

namespace fieldpost::test {
namespace {

std::string read(const std::string& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

Json settings_of(const LosantOptions& options, const std::string& record) {
  Json attributes = Json::array();
  for (const auto& [name, type] : options.attributes) {
    attributes.push_back({{"name", name}, {"dataType", type}});
  }
  Json devices = Json::array();
  devices.push_back({{"deviceId", options.gateway}, {"attributes", attributes}});
  for (const std::string& id : options.peripherals) {
    devices.push_back(
        {{"deviceId", id}, {"gatewayId", options.gateway}, {"attributes", attributes}});
  }
  return {{"record", record},
          {"keys", {{kAccessKey, kAccessSecret}}},
          {"platform", {{"user", kPlatformUser}, {"password", kPlatformPassword}}},
          {"topics", options.topics},
          {"devices", std::move(devices)},
          {"unlimited", options.unlimited},
          {"time_scale", options.time_scale}};
}

BrokerOptions broker_options(const LosantOptions& options, const LosantHome& home) {
  const std::string plugin = build_dir() + "/tests/losant.so";
  if (!std::filesystem::exists(plugin)) {
    throw std::runtime_error(plugin + " is missing: install mosquitto-dev, configure and build");
  }
  std::ofstream(home.home / "settings.json") << settings_of(options, home.home / "record.jsonl");
  // Without socket_domain, mosquitto 2.0.11 gives websockets to every address.
  std::string extra = "plugin " + plugin + "\nplugin_opt_settings " +
                      (home.home / "settings.json") + "\nlistener " +
                      std::to_string(home.websocket) +
                      " 127.0.0.1\nprotocol websockets\nsocket_domain ipv4\n";
  if (!options.certificate.empty()) {
    extra += "certfile " + options.certificate + "\nkeyfile " + options.key + "\n";
  }
  return {.certificate = options.certificate, .key = options.key, .extra = std::move(extra)};
}

}  // namespace

LosantBroker::LosantBroker(const Options& options)
    : Broker(broker_options(options, *this)), allow_(options.allow) {
  if (!eventually([this] { return is_listening(websocket); })) {
    throw std::runtime_error("mosquitto does not listen for websockets: " + log());
  }
}

LosantBroker::~LosantBroker() {
  stop();
  std::vector<std::string> command = {
      "/usr/bin/python3", source_dir() + "/tests/broker/check_record.py", home / "settings.json"};
  for (const std::string& kind : allow_) command.insert(command.end(), {"--allow", kind});
  try {
    run(command, home / "findings");
  } catch (const std::exception& e) {
    ADD_FAILURE() << "the broker's record: " << e.what() << "\n" << read(home / "findings");
  }
}

std::vector<Json> LosantBroker::record(const std::string& event) const {
  std::vector<Json> lines;
  std::ifstream in(home / "record.jsonl");
  for (std::string line; std::getline(in, line);) {
    const auto json = parse_json(line);  // the last one may be half written
    if (json && json->at("event") == event) lines.push_back(*json);
  }
  return lines;
}

}  // namespace fieldpost::test
