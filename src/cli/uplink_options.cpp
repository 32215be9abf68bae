// SPDX-License-Identifier: Apache-2.0
#include "cli/uplink_options.hpp"

namespace fieldpost {

Uplink::Options uplink_options(const Config& config, const std::string& run_dir) {
  const UplinkConfig& u = config.uplink;
  Uplink::Options o{.run_dir = run_dir + "/uplink",  // the folder itself is open to groups
                    .client_id = config.gateway.device_id,
                    .brokers = u.brokers,
                    .ca_file = u.ca_file,
                    .cert_file = u.cert_file,
                    .key_file = u.key_file,
                    .proxy_host = u.proxy_host,
                    .proxy_port = u.proxy_port,
                    .access_key_file = u.access_key_file,
                    .access_secret_file = u.access_secret_file,
                    .proxy_login_file = u.proxy_login_file,
                    .keepalive = u.keepalive,
                    .connect_timeout = u.connect_timeout,
                    .backoff_max = u.backoff_max,
                    .window_messages = u.window_messages,
                    .window_bytes = u.window_bytes,
                    .max_payload = u.max_payload,
                    .limits = u.rate_limits(),
                    .live_first = u.order == "live-first",
                    .batch_max_age = u.batch_max_age};
  for (const DeviceConfig& device : config.devices) {
    o.device_ids.push_back(device.id);
    if (!device.flow_version.empty()) o.flow_versions[device.id] = device.flow_version;
  }
  o.publishes = config.publishes;
  for (const SubscribeConfig& s : config.subscribes) {
    o.custom_subscriptions.push_back({s.topic, s.qos});
  }
  return o;
}

}  // namespace fieldpost
