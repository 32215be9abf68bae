// SPDX-License-Identifier: Apache-2.0
#include "config/uplink_table.hpp"

#include "config/forms.hpp"
#include "config/into.hpp"

namespace fieldpost {
namespace {

using enum OptionType;

void add_broker(void* object, const Value& value) {
  static_cast<UplinkConfig*>(object)->brokers.push_back({.url = std::get<std::string>(value)});
}

}  // namespace

std::vector<CoreOption> uplink_options() {
  return {
      {.spec = {.name = "url",
                .fallback = "mqtts://broker.losant.com",
                .help = "The broker. Unless given, ports are 1883, 8883, 80 and 443, and the path "
                        "of a WebSocket is /. A list of them, in brackets: brokers that stand in "
                        "for each other; when one fails the next is tried."},
       .store = add_broker,
       .check = forms::broker_url,
       .form = forms::kUrl,
       .several = true},
      {.spec = {.name = "access_key_file",
                .help = "File that holds the access key, which is the MQTT user name. Unless "
                        "given: the systemd credential fieldpost_access_key, if there is one."},
       .store = into<&UplinkConfig::access_key_file>,
       .check = forms::path,
       .form = forms::kPath,
       .example = "/etc/fieldpost/credentials/access_key"},
      {.spec = {.name = "access_secret_file",
                .help = "File that holds the access secret, which is the password. Unless given: "
                        "the systemd credential fieldpost_access_secret, if there is one."},
       .store = into<&UplinkConfig::access_secret_file>,
       .check = forms::path,
       .form = forms::kPath,
       .example = "/etc/fieldpost/credentials/access_secret"},
      {.spec = {.name = "ca_file",
                .help = "Certificates to trust, in PEM. Unless given: the system's."},
       .store = into<&UplinkConfig::ca_file>,
       .check = forms::path,
       .form = forms::kPath,
       .example = "/etc/fieldpost/ca.pem"},
      {.spec =
           {.name = "cert_file",
            .help =
                "Certificate that shows the broker who we are, in PEM, with those between "
                "it and its authority. Access key and secret may be left out then. Unless given: "
                "the systemd credential fieldpost_client_cert, if there is one."},
       .store = into<&UplinkConfig::cert_file>,
       .check = forms::path,
       .form = forms::kPath,
       .example = "/etc/fieldpost/client.pem"},
      {.spec =
           {.name = "key_file",
            .help =
                "The private key of cert_file, in PEM, not encrypted. Unless given: the systemd "
                "credential fieldpost_client_key, if there is one."},
       .store = into<&UplinkConfig::key_file>,
       .check = forms::path,
       .form = forms::kPath,
       .example = "/etc/fieldpost/client.key"},
      {.spec = {.name = "proxy",
                .fallback = "",
                .help = "HTTP proxy to reach the broker through (CONNECT), which then looks up its "
                        "name; \"\": none."},
       .store = into<&UplinkConfig::proxy>,
       .check = forms::proxy_url,
       .form = forms::kProxy,
       .example = "http://proxy.example:3128"},
      {.spec = {.name = "proxy_login_file",
                .help = "File that holds USER:PASSWORD for the proxy. Unless given: the systemd "
                        "credential fieldpost_proxy_login, if there is one."},
       .store = into<&UplinkConfig::proxy_login_file>,
       .check = forms::path,
       .form = forms::kPath,
       .example = "/etc/fieldpost/credentials/proxy_login"},
      {.spec = {.name = "keepalive",
                .type = Duration,
                .fallback = "60s",
                .help = "A silent connection is tested this often. A line that went dead is "
                        "noticed after one and a half of it.",
                .min = 5,
                .max = 18 * kHour},
       .store = into<&UplinkConfig::keepalive>},
      {.spec = {.name = "connect_timeout",
                .type = Duration,
                .fallback = "10s",
                .help = "For each step of connecting: name, address, proxy, TLS, WebSocket, login.",
                .min = 1,
                .max = 300},
       .store = into<&UplinkConfig::connect_timeout>},
      {.spec = {.name = "backoff_max",
                .type = Duration,
                .fallback = "5min",
                .help = "The longest pause between two attempts to connect.",
                .min = 1,
                .max = kDay},
       .store = into<&UplinkConfig::backoff_max>},
      {.spec = {.name = "window_messages",
                .type = Integer,
                .fallback = "20",
                .help = "Messages that may be on their way unacknowledged.",
                .min = 1,
                .max = 1000},
       .store = into<&UplinkConfig::window_messages>},
      {.spec = {.name = "window_bytes",
                .type = Size,
                .fallback = "1MiB",
                .help = "Bytes that may be on their way unacknowledged.",
                .min = 16 * kKb,
                .max = 64 * kMb},
       .store = into<&UplinkConfig::window_bytes>},
      {.spec = {.name = "batch_max_age",
                .type = Duration,
                .fallback = "1s",
                .help = "How long a reading may wait for others, so that they leave in one "
                        "message; less if that is full before. outbox.flush_interval must be 2 s "
                        "more.",
                .min = 0,
                .max = kHour},
       .store = into<&UplinkConfig::batch_max_age>},
      {.spec = {.name = "order",
                .type = Choice,
                .fallback = "live-first",
                .help = "After an outage. \"live-first\": what is new goes at once, and what waits "
                        "in the outbox beside it. \"oldest-first\": strictly in the order of "
                        "capture.",
                .choices = {"live-first", "oldest-first"}},
       .store = into<&UplinkConfig::order>},
      {.spec = {.name = "meta",
                .type = Boolean,
                .fallback = "false",
                .help =
                    "Whether the states of plugins carry `meta`: a `sequence` by which the "
                    "receiver sees what is missing, and of attributes without a good value the "
                    "`quality` and, in ms, the `good_age`, and what a plugin remarks on good ones. "
                    "Where readings are counted, each of these is one."},
       .store = into<&UplinkConfig::meta>},
      {.spec = {.name = "limits",
                .type = Choice,
                .fallback = "losant",
                .help = "How many messages the broker bears. \"losant\": in any 15 s 28 on one "
                        "topic and 280 in all, received ones too; more would get the gateway "
                        "thrown out. \"plain\": any number.",
                .choices = {"losant", "plain"}},
       .store = into<&UplinkConfig::limits>},
      {.spec = {.name = "topic_messages",
                .type = Integer,
                .fallback = "0",
                .help = "Messages on one topic in any 15 s; 0: as `limits` says.",
                .min = 0,
                .max = 3000},
       .store = into<&UplinkConfig::topic_messages>},
      {.spec = {.name = "connection_messages",
                .type = Integer,
                .fallback = "0",
                .help = "Messages on all topics in any 15 s; 0: as `limits` says.",
                .min = 0,
                .max = 3000},
       .store = into<&UplinkConfig::connection_messages>},
      {.spec = {.name = "max_payload",
                .type = Size,
                .fallback = "240kB",
                .help = "The longest message to publish. Losant refuses more than 256 KB.",
                .min = 4 * kKb,
                .max = kMb},
       .store = into<&UplinkConfig::max_payload>},
  };
}

}  // namespace fieldpost
