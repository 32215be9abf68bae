// SPDX-License-Identifier: Apache-2.0
#include "config/tables.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>
#include <set>
#include <sstream>

#include "config/forms.hpp"
#include "config/guard_table.hpp"
#include "config/load.hpp"
#include "config/scratch.hpp"
#include "fakes/fake_probe.hpp"
#include "fakes/test_env.hpp"

namespace fieldpost {
namespace {

// Files of the source tree that are made from the tables; FIELDPOST_REWRITE=1 makes them anew.
std::string source(const std::string& file) { return test::source_dir() + "/" + file; }
std::string content_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}
bool rewrite() { return ::getenv("FIELDPOST_REWRITE") != nullptr; }

TEST(Tables, FallbacksObeyTheirOwnLimits) {
  const auto check = [](const std::string& section, std::span<const CoreOption> options) {
    std::set<std::string> names;
    for (const CoreOption& option : options) {
      SCOPED_TRACE(section + "." + option.spec.name);
      EXPECT_TRUE(names.insert(option.spec.name).second);
      EXPECT_NE(option.store, nullptr);
      EXPECT_TRUE(option.spec.help.ends_with('.'));
      EXPECT_FALSE(option.spec.required && option.spec.fallback);
      // Whatever the example file shows must be right too.
      for (const std::string& text : {option.spec.fallback.value_or(""), option.example}) {
        if (text.empty()) continue;
        const auto value = parse_option(option.spec, text);
        ASSERT_TRUE(value) << value.error().message;
        if (option.check != nullptr) {
          EXPECT_FALSE(option.check(*value));
        }
      }
    }
  };
  for (const CoreSection& section : core_sections()) check(section.name, section.options);
  check("row", row_options());
  check("unit", unit_options());
  check("guard", guard_options());
}

TEST(Tables, UrlsOfBrokers) {
  using forms::parse_broker_url;
  const auto is = [](const char* text, bool tls, const char* host, int port,
                     const char* path = "") {
    SCOPED_TRACE(text);
    const auto url = parse_broker_url(text);
    ASSERT_TRUE(url) << url.error().message;
    EXPECT_EQ(url->tls, tls);
    EXPECT_EQ(url->host, host);
    EXPECT_EQ(url->port, port);
    EXPECT_EQ(url->web_socket_path, path);
  };
  is("ws://h", false, "h", 80, "/");
  is("wss://h", true, "h", 443, "/");
  is("WSS://h:1/a/b?c=d", true, "h", 1, "/a/b?c=d");
  is("ws://[::1]:8080/mqtt", false, "::1", 8080, "/mqtt");
  is("mqtt://h", false, "h", 1883);
  is("mqtts://h", true, "h", 8883);
  is("MQTTS://Broker.Losant.com/", true, "Broker.Losant.com", 8883);
  is("mqtt://127.0.0.1:1", false, "127.0.0.1", 1);
  is("mqtt://h:65535", false, "h", 65535);
  is("mqtt://[::1]", false, "::1", 1883);
  is("mqtts://[fe80::1%eth0]:99", true, "fe80::1%eth0", 99);
  for (const char* text : {"",
                           "h",
                           "mqtt:h",
                           "mqtt://",
                           "mqtt:///",
                           "mqtt://h:",
                           "mqtt://h:0",
                           "mqtt://h:65536",
                           "mqtt://h:1x",
                           "mqtt://h:-1",
                           "mqtt://h/path",
                           "mqtt://h?x",
                           "mqtt://a b",
                           "mqtt://[::1",
                           "mqtt://[::g]",
                           "mqtt://[::1]x",
                           "mqtt://::1",
                           "mqtt://.h",
                           "mqtt://-h",
                           "tcp://h",
                           "mqtt://h\n",
                           "mqtt://u@h",
                           "mqtt://u:p@h",
                           "ws:///mqtt",
                           "ws://h?x",
                           "ws://h/a b",
                           "ws://h/a#b",
                           "ws://h/\xc3\xa4",
                           "ws://u@h/",
                           "mqtt://h//",
                           "mqtt://[127.0.0.1]",
                           "mqtt://[::1%]"}) {
    EXPECT_FALSE(parse_broker_url(text)) << text;
  }
  EXPECT_FALSE(parse_broker_url("mqtt://" + std::string(254, 'a')));
}

TEST(Tables, UrlsOfProxies) {
  const auto url = forms::parse_proxy_url("http://[::1]:3128/");
  ASSERT_TRUE(url) << url.error().message;
  EXPECT_EQ(url->host, "::1");
  EXPECT_EQ(url->port, 3128);
  for (const char* text :
       {"h:1", "http://h", "https://h:1", "http://h:1/x", "http://u:p@h:1", ""}) {
    EXPECT_FALSE(forms::parse_proxy_url(text)) << text;
  }
}

TEST(Example, IsTheShippedFile) {
  const std::string path = source("etc/fieldpost.toml");
  if (rewrite()) std::ofstream(path, std::ios::binary) << example_config();
  EXPECT_EQ(content_of(path), example_config());
}

TEST(Example, AsShippedLacksNothingButTheId) {
  const Scratch scratch;
  FakeProbe probe;
  const Loaded loaded = load_config(scratch.write("fieldpost.toml", example_config()), probe);
  ASSERT_EQ(loaded.problems.size(), 1u);
  EXPECT_EQ(
      loaded.problems[0].text,
      "gateway.device_id: not set up: expected the Losant id of this gateway (24 hex digits)");
  EXPECT_GT(loaded.problems[0].location.line, 1);
}

// Options stand behind '#' without a blank, prose behind one.
std::string uncommented(const std::string& toml) {
  std::istringstream in(toml);
  std::string out;
  for (std::string line; std::getline(in, line);) {
    const bool option = line.size() > 1 && line[0] == '#' && line[1] != ' ';
    out += line.substr(option ? 1 : 0) + "\n";
  }
  return out;
}

void replace(std::string& text, const std::string& what, const std::string& by) {
  const size_t at = text.find(what);
  ASSERT_NE(at, std::string::npos) << what;
  text.replace(at, what.size(), by);
}

TEST(Example, WorksWhenEveryOptionIsUncommented) {
  const Scratch scratch;
  FakeProbe probe;
  std::string toml = uncommented(example_config());
  replace(toml, "/etc/fieldpost/credentials/access_key", scratch.write("key", "x"));
  replace(toml, "/etc/fieldpost/credentials/access_secret", scratch.write("secret", "x"));
  replace(toml, "/etc/fieldpost/credentials/proxy_login", scratch.write("login", "x:y"));
  replace(toml, "/etc/fieldpost/ca.pem", scratch.write("ca.pem", "x"));
  replace(toml, "/etc/fieldpost/client.pem", scratch.write("client.pem", "x"));
  replace(toml, "/etc/fieldpost/client.key", scratch.write("client.key", "x"));
  const Loaded loaded = load_config(scratch.write("fieldpost.toml", toml), probe);
  for (const Problem& problem : loaded.problems) {
    EXPECT_EQ(problem.severity, Problem::Severity::Warning) << to_string(problem);
  }
  ASSERT_EQ(loaded.config.plugins.size(), 2u);
  EXPECT_EQ(loaded.config.plugins[0].type, "modbus");
  EXPECT_EQ(loaded.config.plugins[0].attribute_device, std::vector<size_t>{1});
  EXPECT_EQ(loaded.config.plugins[1].type, "gpio");
}

TEST(Manual, HoldsTheReference) {
  const std::string path = source("docs/configuration.md");
  constexpr std::string_view kBegin = "<!-- reference: made from the option tables -->\n";
  constexpr std::string_view kEnd = "<!-- end of reference -->\n";
  std::string manual = content_of(path);
  const size_t begin = manual.find(kBegin);
  const size_t end = manual.find(kEnd);
  ASSERT_NE(begin, std::string::npos);
  ASSERT_NE(end, std::string::npos);
  const size_t from = begin + kBegin.size();
  if (rewrite()) {
    manual.replace(from, end - from, reference_manual());
    std::ofstream(path, std::ios::binary) << manual;
  }
  const std::string now = content_of(path);
  EXPECT_EQ(now.substr(from, now.find(kEnd) - from), reference_manual());
}

}  // namespace
}  // namespace fieldpost
