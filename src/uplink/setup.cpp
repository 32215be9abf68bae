// SPDX-License-Identifier: Apache-2.0
#include "uplink/setup.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "uplink/publications.hpp"

namespace fieldpost {

using std::chrono::duration_cast;
using std::chrono::milliseconds;
using std::chrono::seconds;

Lanes::Options lane_options(const Uplink::Options& o) {
  return {.live_first = o.live_first,
          .window_messages = o.window_messages,
          .window_bytes = o.window_bytes,
          .max_payload = o.max_payload,
          .batch_max_age = o.batch_max_age,
          .devices = std::max<int64_t>(1, static_cast<int64_t>(o.device_ids.size())),
          .flow_versions = o.flow_versions,
          .custom = true,
          .publishes = o.publishes};
}

std::pair<Redial::Duration, Redial::Duration> pauses(const Uplink::Options& o) {
  const auto cap = duration_cast<milliseconds>(o.backoff_max);
  return {std::min<milliseconds>(seconds(1), cap), cap};
}

Line::Options line_options(const Uplink::Options& o, const BrokerAddress& broker,
                           Credentials credentials) {
  return {.transport = {.run_dir = o.run_dir,
                        .host = broker.host,
                        .port = broker.port,
                        .tls = broker.tls,
                        .ca_file = o.ca_file,
                        .cert_file = o.cert_file,
                        .key_file = o.key_file,
                        .web_socket_path = broker.web_socket_path,
                        .proxy_host = o.proxy_host,
                        .proxy_port = o.proxy_port,
                        .proxy_login = std::move(credentials.proxy_login),
                        .step_limit = duration_cast<milliseconds>(o.connect_timeout),
                        .lost_after = lost_after(o.keepalive),
                        .resolve = o.resolve},
          .session = {.client_id = o.client_id,
                      .user = std::move(credentials.key),
                      .password = std::move(credentials.secret),
                      .keepalive = duration_cast<seconds>(o.keepalive),
                      .max_in_flight = max_in_flight(o),
                      .subscriptions = subscriptions(o),
                      .answer_limit = o.connect_timeout}};
}

milliseconds lost_after(std::chrono::nanoseconds keepalive) {
  const auto whole = duration_cast<milliseconds>(keepalive);
  return std::max(whole / 2 - seconds(2), whole * 3 / 10);
}

int max_in_flight(const Uplink::Options& o) {
  return o.window_messages + static_cast<int>(Publications::kMaxInFlight);
}

bool needs_reconnect(const Uplink::Options& a, const Uplink::Options& b) {
  return a.run_dir != b.run_dir || a.client_id != b.client_id || a.brokers != b.brokers ||
         a.ca_file != b.ca_file || a.cert_file != b.cert_file || a.key_file != b.key_file ||
         a.proxy_host != b.proxy_host || a.proxy_port != b.proxy_port ||
         a.access_key_file != b.access_key_file || a.access_secret_file != b.access_secret_file ||
         a.proxy_login_file != b.proxy_login_file || a.keepalive != b.keepalive ||
         a.live_first != b.live_first;
}

std::string state_topic(std::string_view device_id) {
  return "losant/" + std::string(device_id) + "/state";
}

std::vector<Subscription> subscriptions(const Uplink::Options& o) {
  std::vector<Subscription> all;
  for (const std::string& id : o.device_ids) all.push_back({"losant/" + id + "/command", 1});
  for (const Subscription& custom : o.custom_subscriptions) {
    const auto same = std::ranges::find(all, custom.topic, &Subscription::topic);
    if (same == all.end()) {
      all.push_back(custom);
    } else {
      same->qos = std::max(same->qos, custom.qos);
    }
  }
  return all;
}

namespace {

std::optional<std::string_view> device_of(std::string_view topic, std::string_view suffix) {
  constexpr std::string_view kPrefix = "losant/";
  if (!topic.starts_with(kPrefix) || !topic.ends_with(suffix) ||
      topic.size() <= kPrefix.size() + suffix.size()) {
    return std::nullopt;
  }
  topic.remove_prefix(kPrefix.size());
  topic.remove_suffix(suffix.size());
  return topic;
}

}  // namespace

std::optional<std::string_view> stating_device(std::string_view topic) {
  return device_of(topic, "/state");
}

std::optional<std::string_view> commanded_device(std::string_view topic) {
  return device_of(topic, "/command");
}

}  // namespace fieldpost
