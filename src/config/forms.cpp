// SPDX-License-Identifier: Apache-2.0
#include "config/forms.hpp"

#include <arpa/inet.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include "base/text.hpp"
#include "model/names.hpp"

namespace fieldpost::forms {
namespace {

std::string got(std::string_view text) { return ", got \"" + printable(text, 80) + "\""; }

Finding expected(std::string_view form, std::string_view text) {
  return {false, "expected " + std::string(form) + got(text)};
}

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

bool has_control(std::string_view text) {
  return std::ranges::any_of(
      text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

bool is_host(std::string_view host) {
  return !host.empty() && host.size() <= 253 && host.front() != '.' && host.front() != '-' &&
         std::ranges::all_of(host, [](char c) { return is_word(c) || c == '.'; });
}

bool is_ipv6(const std::string& host) {
  std::array<unsigned char, 16> address{};
  // A scope ("fe80::1%eth0") is for the resolver; only its form is checked.
  const size_t scope = host.find('%');
  const bool scope_fits =
      scope == std::string::npos || is_host(std::string_view(host).substr(scope + 1));
  return scope_fits && ::inet_pton(AF_INET6, host.substr(0, scope).c_str(), address.data()) == 1;
}

// 0: none that can be connected to.
uint16_t parse_port(std::string_view text) {
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc{} && end == text.data() + text.size() ? port : uint16_t{0};
}

struct Authority {
  std::string host;
  uint16_t port = 0;  // 0: not given
};

// "host", "host:port", "[::1]:port"; nothing: it is none of them.
std::optional<Authority> parse_authority(std::string_view text) {
  Authority found;
  std::string_view rest;
  if (text.starts_with('[')) {
    const size_t end = text.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    found.host = text.substr(1, end - 1);
    rest = text.substr(end + 1);
    if (!is_ipv6(found.host)) return std::nullopt;
  } else {
    const size_t colon = std::min(text.find(':'), text.size());
    found.host = text.substr(0, colon);
    rest = text.substr(colon);
    if (!is_host(found.host)) return std::nullopt;
  }
  if (rest.empty()) return found;
  found.port = rest.starts_with(':') ? parse_port(rest.substr(1)) : uint16_t{0};
  return found.port != 0 ? std::optional(found) : std::nullopt;
}

// The scheme in lower case, and what follows "://".
std::pair<std::string, std::string_view> split_scheme(std::string_view url) {
  const size_t mark = url.find("://");
  if (mark == std::string_view::npos) return {"", ""};
  return {lower(url.substr(0, mark)), url.substr(mark + 3)};
}

// "/", "/mqtt?x=1": what stands in an HTTP request as it is.
bool is_url_path(std::string_view path) {
  return path.starts_with('/') && path.size() <= 1000 &&
         std::ranges::all_of(path, [](char c) { return c > ' ' && c < 0x7F && c != '#'; });
}

// What is wrong with "${…}" in a template; empty: nothing.
std::string bad_placeholder(std::string_view text) {
  for (size_t at = text.find('$'); at != std::string_view::npos; at = text.find('$', at + 1)) {
    const std::string_view rest = text.substr(at);
    if (rest.starts_with("${device_id}")) continue;
    const size_t end = std::min(rest.find('}'), rest.size() - 1);
    return std::string(rest.substr(0, end + 1));
  }
  return "";
}

}  // namespace

std::optional<Finding> config_version(const Value& value) {
  if (std::get<double>(value) == 1) return std::nullopt;
  return Finding{false,
                 "this version of Fieldpost reads configurations of version 1; expected 1, "
                 "got " +
                     to_text(value)};
}

std::optional<Finding> local_name(const Value& value) {
  const std::string& text = std::get<std::string>(value);
  if (is_local_name(text)) return std::nullopt;
  return expected(kLocalNameForm, text);
}

std::optional<Finding> attribute_name(const Value& value) {
  const std::string& text = std::get<std::string>(value);
  if (is_attribute_name(text)) return std::nullopt;
  return expected(kAttributeNameForm, text);
}

std::optional<Finding> flow_version(const Value& value) {
  constexpr ptrdiff_t kLongest = 255;  // characters, Losant
  const std::string& text = std::get<std::string>(value);
  const ptrdiff_t characters = std::ranges::count_if(text, [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;  // not the continuation of one
  });
  if (characters >= 1 && characters <= kLongest) return std::nullopt;
  return expected(kFlowVersion, text);
}

std::optional<Finding> device_id(const Value& value) {
  const std::string& id = std::get<std::string>(value);
  if (is_device_id(id)) return std::nullopt;
  Finding finding = expected(kDeviceId, id);
  // It becomes a part of topics and the client id. Other brokers than Losant's may have ids of
  // their own.
  finding.warning = !id.empty() && id.size() <= 64 && std::ranges::all_of(id, is_word);
  return finding;
}

std::optional<Finding> path(const Value& value) {
  const std::string& text = std::get<std::string>(value);
  if (text.starts_with('/') && text.size() < 4096 && !has_control(text)) return std::nullopt;
  return expected(kPath, text);
}

std::optional<Finding> socket_path(const Value& value) {
  const std::string& text = std::get<std::string>(value);
  if (text.size() < sizeof(sockaddr_un::sun_path) && !path(value)) return std::nullopt;
  return expected(kSocketPath, text);
}

std::optional<Finding> broker_url(const Value& value) {
  const auto url = parse_broker_url(std::get<std::string>(value));
  return url ? std::nullopt : std::optional(Finding{false, url.error().message});
}

std::optional<Finding> proxy_url(const Value& value) {
  const std::string& text = std::get<std::string>(value);
  if (text.empty()) return std::nullopt;  // none
  const auto url = parse_proxy_url(text);
  return url ? std::nullopt : std::optional(Finding{false, url.error().message});
}

std::optional<Finding> topic(const Value& value) {
  const std::string& text = std::get<std::string>(value);
  if (text.empty()) return std::nullopt;  // none
  if (text.size() > 1000 || has_control(text)) return expected(kTopic, text);
  if (text.find_first_of("+#") != std::string::npos) {
    return Finding{false, "expected a topic to publish to, without + and #" + got(text)};
  }
  if (text == "losant" || text.starts_with("losant/")) {
    return Finding{false,
                   "expected a topic outside losant/, where the broker closes the "
                   "connection" +
                       got(text)};
  }
  if (const std::string bad = bad_placeholder(text); !bad.empty()) {
    return Finding{false, "expected " + std::string(kTopic) + got(bad)};
  }
  return std::nullopt;
}

std::optional<Finding> interval(const Value& value) {
  const double seconds = std::get<double>(value);
  if (seconds == 0 || seconds >= 0.01) return std::nullopt;
  const auto ns = std::chrono::nanoseconds(std::llround(seconds * 1e9));
  return expected(kInterval, format_duration(ns));
}

bool is_json_pointer(std::string_view text) {
  if (!text.empty() && text.front() != '/') return false;
  for (size_t at = text.find('~'); at != std::string_view::npos; at = text.find('~', at + 1)) {
    const std::string_view next = text.substr(at + 1, 1);
    if (next != "0" && next != "1") return false;
  }
  return true;
}

std::optional<Finding> json_pointer(const Value& value) {
  const auto& text = std::get<std::string>(value);
  if (!text.empty() && is_json_pointer(text)) return std::nullopt;
  return expected(kJsonPointer, text);
}

std::optional<Finding> scale(const Value& value) {
  if (std::get<double>(value) != 0) return std::nullopt;
  return Finding{false, "expected " + std::string(kScale) + ", got 0"};
}

Result<BrokerUrl> parse_broker_url(std::string_view text) {
  if (text.find('@') != std::string_view::npos) {  // however it is misspelled otherwise
    return Error{Errc::Invalid, "expected " + std::string(kUrl) +
                                    " without user and password, which belong in files: "
                                    "access_key_file and access_secret_file"};
  }
  const auto [scheme, rest] = split_scheme(text);
  const bool web = scheme == "ws" || scheme == "wss";
  const size_t slash = std::min(rest.find_first_of("/?#"), rest.size());
  const std::string_view path = slash == rest.size() ? "/" : rest.substr(slash);
  const auto authority = parse_authority(rest.substr(0, slash));
  const bool known = web || scheme == "mqtt" || scheme == "mqtts";
  if (!known || !authority || !is_url_path(path) || (!web && path != "/")) {
    return Error{Errc::Invalid, "expected " + std::string(kUrl) + got(text)};
  }
  BrokerUrl url{.tls = scheme.ends_with('s') && scheme != "ws",
                .host = authority->host,
                .port = authority->port,
                .web_socket_path = std::string(web ? path : "")};
  if (url.port == 0 && web) url.port = url.tls ? 443 : 80;
  if (url.port == 0) url.port = url.tls ? 8883 : 1883;
  return url;
}

Result<ProxyUrl> parse_proxy_url(std::string_view text) {
  if (text.find('@') != std::string_view::npos) {
    return Error{Errc::Invalid, "expected " + std::string(kProxy) +
                                    " without user and password, which belong in a file: "
                                    "proxy_login_file"};
  }
  const auto [scheme, rest] = split_scheme(text);
  const auto authority =
      parse_authority(rest.substr(0, rest.size() - (rest.ends_with('/') ? 1 : 0)));
  if (scheme != "http" || !authority || authority->port == 0) {
    return Error{Errc::Invalid, "expected " + std::string(kProxy) + got(text)};
  }
  return ProxyUrl{authority->host, authority->port};
}

}  // namespace fieldpost::forms
