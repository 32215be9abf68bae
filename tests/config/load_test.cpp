// SPDX-License-Identifier: Apache-2.0
//
// What a configuration becomes: values, merged files, sections, devices, declarations.
#include "config/load.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>

#include "config/scratch.hpp"
#include "fakes/fake_probe.hpp"

namespace fieldpost {
namespace {

using namespace std::chrono_literals;
using Lines = std::vector<std::string>;

class Load : public testing::Test {
 protected:
  Loaded load(const std::string& toml) {
    return load_config(scratch.write("fieldpost.toml", kHead + toml), probe);
  }
  Lines words(const Loaded& loaded) const { return scratch.words(loaded.problems); }

  Scratch scratch;
  FakeProbe probe;
};

TEST_F(Load, SeveralBrokersAreTriedInTheirOrder) {
  const Loaded loaded =
      load("[uplink]\nurl = [\"mqtts://a\", \"ws://b/path\", \"mqtt://[::1]:1\"]\n");
  EXPECT_EQ(words(loaded), Lines{});
  const auto& brokers = loaded.config.uplink.brokers;
  ASSERT_EQ(brokers.size(), 3U);
  EXPECT_EQ(brokers[0].port, 8883);
  EXPECT_EQ(brokers[1].web_socket_path, "/path");
  EXPECT_EQ(brokers[2].host, "::1");
}

TEST_F(Load, FillsInEveryFallback) {
  const Loaded loaded = load("");
  EXPECT_EQ(words(loaded), Lines{});
  EXPECT_TRUE(loaded.usable());
  const Config& config = loaded.config;
  EXPECT_EQ(config.gateway, (GatewayConfig{kGatewayId, "gateway"}));
  EXPECT_EQ(config.uplink.brokers, (std::vector<BrokerAddress>{{.url = "mqtts://broker.losant.com",
                                                                .tls = true,
                                                                .host = "broker.losant.com",
                                                                .port = 8883}}));
  EXPECT_EQ(config.uplink.keepalive, 60s);
  EXPECT_EQ(config.uplink.window_messages, 20);
  EXPECT_EQ(config.uplink.window_bytes, 1'048'576);
  EXPECT_EQ(config.uplink.max_payload, 240'000);
  EXPECT_EQ(config.uplink.batch_max_age, 1s);
  EXPECT_EQ(config.uplink.order, "live-first");
  EXPECT_EQ(config.uplink.rate_limits(), kLosantLimits);
  EXPECT_EQ(config.outbox,
            (OutboxConfig{"memory", 5s, 50ms, 10min, 16'000'000, 512'000'000, 30 * 24h}));
  EXPECT_EQ(config.clock, (ClockConfig{"auto", 24h}));
  EXPECT_EQ(config.commands, (CommandsConfig{"", 10s, "/id", 60s, "run"}));
  ASSERT_EQ(config.devices.size(), 1u);
  EXPECT_EQ(config.devices[0].id, kGatewayId);
  EXPECT_TRUE(config.plugins.empty());
}

TEST_F(Load, ReadsEveryCoreValue) {
  const std::string ca = scratch.write("ca.pem", "x");
  const Loaded loaded =
      load("name = \"gw\"\n[uplink]\nurl = \"mqtt://[::1]:11883/\"\nca_file = \"" + ca +
           "\"\nkeepalive = \"30s\"\nconnect_timeout = \"2s\"\nbackoff_max = \"1min\"\n"
           "window_messages = 5\nwindow_bytes = \"64KiB\"\nmax_payload = \"100kB\"\n"
           "batch_max_age = \"2s\"\norder = \"oldest-first\"\nlimits = \"plain\"\n"
           "topic_messages = 10\nconnection_messages = 100\n"
           "[outbox]\ndurability = \"disk\"\nflush_interval = \"30s\"\ncommit_delay = \"0s\"\n"
           "persist_interval = \"1min\"\n"
           "stage_size = \"8MB\"\nmax_size = \"16MB\"\nmax_age = \"1h\"\n"
           "[clock]\ntrust = \"always\"\nhold = \"0s\"\n"
           "[commands]\nanswer_topic = \"a/${device_id}/b\"\n"
           "timeout = \"1.5s\"\n");
  EXPECT_EQ(words(loaded), Lines{});
  const UplinkConfig expected{
      .brokers = {{.url = "mqtt://[::1]:11883/", .tls = false, .host = "::1", .port = 11883}},
      .access_key_file = "",
      .access_secret_file = "",
      .ca_file = ca,
      .keepalive = 30s,
      .connect_timeout = 2s,
      .backoff_max = 60s,
      .window_messages = 5,
      .window_bytes = 65'536,
      .max_payload = 100'000,
      .batch_max_age = 2s,
      .order = "oldest-first",
      .limits = "plain",
      .topic_messages = 10,
      .connection_messages = 100};
  EXPECT_EQ(expected.rate_limits(), (RateLimits{.per_topic = 10, .per_connection = 100}));
  EXPECT_EQ(loaded.config.uplink, expected);
  EXPECT_EQ(loaded.config.outbox,
            (OutboxConfig{"disk", 30s, 0ns, 1min, 8'000'000, 16'000'000, 1h}));
  EXPECT_EQ(loaded.config.clock, (ClockConfig{"always", 0ns}));
  EXPECT_EQ(loaded.config.commands,
            (CommandsConfig{"a/${device_id}/b", 1500ms, "/id", 60s, "run"}));
  EXPECT_EQ(loaded.config.devices[0].name, "gw");
}

TEST_F(Load, SaysWhenManyDevicesMakeReadingsWait) {
  const auto site = [](const std::string& interval) {
    std::string text;
    for (int i = 100; i < 150; ++i) {
      const std::string n = std::to_string(i);
      text += "[[device]]\nname = \"d" + n + "\"\nid = \"575ecf887ae143cd83dc4" + n +
              "\"\n[[plugin]]\nname = \"p" + n + "\"\ntype = \"modbus\"\ndevice = \"d" + n +
              "\"\ninterval = \"" + interval + "\"\noptions.url = \"tcp://" + n +
              "\"\n[[plugin.register]]\nattribute = \"a\"\ntable = \"coil\"\naddress = 1\n";
    }
    return text;
  };
  EXPECT_EQ(words(load("[uplink]\n" + site("1s"))),
            Lines{"~/fieldpost.toml:4:1: warning: uplink.batch_max_age: 50 devices share the 280 "
                  "messages in 15 s that the broker bears, so readings wait up to 3.8 s for others "
                  "instead of 1.0 s; longer intervals or uplink.limits would change that"});
  EXPECT_EQ(words(load(site("1min"))), Lines{});
  EXPECT_EQ(words(load("[uplink]\nlimits = \"plain\"\n" + site("1s"))), Lines{});
}

TEST_F(Load, ADeviceHasAFlowVersion) {
  const Loaded loaded = load(
      "flow_version = \"g1\"\n[[device]]\nname = \"a\"\n"
      "id = \"575ecf887ae143cd83dc4aa3\"\nflow_version = \"\u00e4\"\n");
  EXPECT_EQ(words(loaded), Lines{});
  EXPECT_EQ(loaded.config.devices.at(0).flow_version, "g1");
  EXPECT_EQ(loaded.config.devices.at(1).flow_version, "\u00e4");
}

constexpr const char* kDevices =
    "[[device]]\nname = \"boiler\"\nid = \"575ecf887ae143cd83dc4aa3\"\n"
    "[[device]]\nname = \"meter-3\"\nid = \"575ecf887ae143cd83dc4aa4\"\n"
    "[[device]]\nname = \"meter-4\"\nid = \"575ecf887ae143cd83dc4aa5\"\n";

TEST_F(Load, GivesRowsOfAnInstanceToItsDevice) {
  const Loaded loaded = load(std::string(kDevices) +
                             "[[plugin]]\nname = \"plc\"\ntype = \"modbus\"\ndevice = \"boiler\"\n"
                             "interval = \"250ms\"\noptions.url = \"tcp://h\"\n"
                             "[[plugin.register]]\nattribute = \"t\"\ntable = \"holding\"\n"
                             "address = 100\nscale = 0.1\ncommand = \"set-t\"\n"
                             "[[plugin.register]]\nattribute = \"u\"\ntable = \"coil\"\n"
                             "address = 1\nsigned = true\ndevice = \"gateway\"\n");
  ASSERT_EQ(words(loaded), Lines{});
  const PluginConfig& plugin = loaded.config.plugins.at(0);
  EXPECT_EQ(plugin.instance.interval, 250ms);
  EXPECT_EQ(plugin.instance.deadline, 10s);
  const std::vector<ConfigSection> sections = {
      {0, "", {{"url", "tcp://h"}, {"unit", 1.0}, {"timeout", 0.5}}},
      {0,
       "register",
       {{"attribute", "t"},
        {"table", "holding"},
        {"address", 100.0},
        {"scale", 0.1},
        {"command", "set-t"}}},
      {0,
       "register",
       {{"attribute", "u"},
        {"table", "coil"},
        {"address", 1.0},
        {"scale", 1.0},
        {"signed", true}}}};
  EXPECT_EQ(plugin.instance.sections, sections);
  EXPECT_EQ(plugin.instance.units, std::vector<uint32_t>{0});
  EXPECT_EQ(plugin.unit_names, Lines{"plc"});
  EXPECT_EQ(plugin.section_device, (std::vector<size_t>{1, 1, 0}));
  EXPECT_EQ(plugin.attribute_device, (std::vector<size_t>{1, 0}));
  EXPECT_EQ(plugin.command_device, std::vector<size_t>{1});
  ASSERT_EQ(probe.declared.size(), 1u);
  EXPECT_EQ(probe.declared[0], plugin.instance);
}

TEST_F(Load, GivesRowsOfUnitsToTheUnitsDevices) {
  const Loaded loaded = load(
      std::string(kDevices) +
      "[[plugin]]\nname = \"meters\"\ntype = \"modbus\"\noptions.url = \"rtu:///dev/null?baud=1\"\n"
      "[[plugin.unit]]\naddress = 3\ndevice = \"meter-3\"\n"
      "[[plugin.unit.register]]\nattribute = \"p\"\ntable = \"holding\"\naddress = 1\n"
      "[[plugin.unit.register]]\nattribute = \"q\"\ntable = \"holding\"\naddress = 2\n"
      "[[plugin.unit]]\naddress = 4\ndevice = \"meter-4\"\nname = \"cellar\"\n"
      "[[plugin.unit.register]]\nattribute = \"p\"\ntable = \"holding\"\naddress = 1\n"
      "[[plugin.unit.register]]\nattribute = \"x\"\ntable = \"holding\"\naddress = 1\n"
      "device = \"boiler\"\n"
      "[[plugin.unit]]\naddress = 5\n");
  ASSERT_EQ(words(loaded), Lines{});
  const PluginConfig& plugin = loaded.config.plugins.at(0);
  std::vector<uint32_t> parents;
  for (const ConfigSection& section : plugin.instance.sections) parents.push_back(section.parent);
  EXPECT_EQ(parents, (std::vector<uint32_t>{0, 0, 1, 1, 0, 4, 4, 0}));
  EXPECT_EQ(plugin.instance.units, (std::vector<uint32_t>{1, 4, 7}));
  EXPECT_EQ(plugin.unit_names, (Lines{"meter-3", "cellar", "unit-3"}));
  EXPECT_EQ(plugin.section_device, (std::vector<size_t>{0, 2, 2, 2, 3, 3, 1, 0}));
  EXPECT_EQ(plugin.attribute_device, (std::vector<size_t>{2, 2, 3, 1}));
}

TEST_F(Load, KeepsAsTheRowSaysOrItsUnitOrItsInstance) {
  const Loaded loaded = load(
      "[health]\nenabled = false\n"
      "[[plugin]]\nname = \"meters\"\ntype = \"modbus\"\noptions.url = \"tcp://h\"\n"
      "keep = \"newest\"\n"
      "[[plugin.unit]]\naddress = 3\nkeep = \"all\"\n"
      "[[plugin.unit.register]]\nattribute = \"p\"\ntable = \"holding\"\naddress = 1\n"
      "[[plugin.unit.register]]\nattribute = \"q\"\ntable = \"holding\"\naddress = 2\n"
      "keep = \"thin\"\n"
      "[[plugin.unit]]\naddress = 4\n"
      "[[plugin.unit.register]]\nattribute = \"r\"\ntable = \"holding\"\naddress = 1\n"
      "[[plugin]]\nname = \"lines\"\ntype = \"gpio\"\n"
      "[[plugin.input]]\nattribute = \"door\"\noffset = 1\nkeep = \"all\"\n"
      "[[plugin.input]]\nattribute = \"lamp\"\noffset = 2\n");
  ASSERT_EQ(words(loaded), Lines{});
  using enum Keep;
  EXPECT_EQ(loaded.config.plugins[0].section_keep,
            (std::vector<Keep>{Newest, All, All, Thin, Newest, Newest}));
  EXPECT_EQ(loaded.config.plugins[1].section_keep, (std::vector<Keep>{Thin, All, Thin}));
  const std::string id = kGatewayId;
  EXPECT_EQ(keep_rules(loaded.config), (KeepRules{{{id, "p"}, All},
                                                  {{id, "q"}, Thin},
                                                  {{id, "r"}, Newest},
                                                  {{id, "door"}, All},
                                                  {{id, "lamp"}, Thin}}));
}

TEST_F(Load, TheSandboxOfAnInstanceIsAsItsPluginNeeds) {
  PluginInfo gpio = probe.installed.at("gpio").value();
  gpio.needs = kNeedsDevices;
  probe.add(gpio);
  const auto gpio_with = [](const std::string& name, const std::string& line) {
    return "[[plugin]]\nname = \"" + name + "\"\ntype = \"gpio\"\n" + line +
           "[[plugin.input]]\nattribute = \"" + name + "\"\noffset = 1\n";
  };
  const Loaded loaded = load(gpio_with("a", "") + gpio_with("b", "sandbox = \"off\"\n"));
  ASSERT_EQ(loaded.config.plugins.size(), 2u);
  EXPECT_EQ(loaded.config.plugins[0].instance.sandbox, (Sandbox{true, kNeedsDevices, {}}));
  EXPECT_FALSE(loaded.config.plugins[1].instance.sandbox.on);
  EXPECT_EQ(words(loaded),
            Lines{"~/fieldpost.toml:13:11: warning: plugin.sandbox: 'b' runs without a sandbox: it "
                  "may read the credentials, and use the network"});
}

TEST_F(Load, SaysWhatKeepAndSizeMayBe) {
  const Loaded loaded = load(
      "[outbox]\nmax_size = \"15MB\"\n[[plugin]]\nname = \"a\"\n"
      "type = \"gpio\"\nkeep = \"some\"\n"
      "[[plugin.input]]\nattribute = \"x\"\noffset = 1\nkeep = true\n");
  EXPECT_EQ(
      words(loaded),
      (Lines{
          "~/fieldpost.toml:5:12: outbox.max_size: expected a size such as \"512MB\" from 16.0 MB "
          "to 1.0 TB, got \"15MB\"",
          "~/fieldpost.toml:9:8: plugin.keep: expected one of \"thin\", \"all\", \"newest\", "
          "got \"some\"",
          "~/fieldpost.toml:13:8: plugin.input.keep: expected one of \"thin\", \"all\", "
          "\"newest\", got true"}));
}

TEST_F(Load, FailsOnlyTheInstanceWhosePluginIsBroken) {
  probe.installed.insert_or_assign("old",
                                   Error{Errc::Invalid, "it speaks ABI 7.0, this gateway 0.1"});
  probe.verdicts.insert_or_assign("gpio", Error{Errc::Timeout, "declare took longer than 10 s"});
  PluginInfo torn;
  torn.type = "torn";
  torn.options = {{.name = "x", .type = OptionType::Integer, .fallback = "5", .min = 1, .max = 3}};
  probe.add(torn);
  const Loaded loaded = load(
      "[[plugin]]\nname = \"a\"\ntype = \"old\"\nanything = 1\n"
      "[[plugin]]\nname = \"b\"\ntype = \"gpio\"\n"
      "[[plugin]]\nname = \"c\"\ntype = \"torn\"\n"
      "[[plugin]]\nname = \"d\"\ntype = \"sim\"\n");
  EXPECT_EQ(
      words(loaded),
      (Lines{"~/fieldpost.toml:6:8: plugin.type: 'old': it speaks ABI 7.0, this gateway 0.1",
             "~/fieldpost.toml:8:1: plugin: 'b' cannot run: declare took longer than 10 s",
             "~/fieldpost.toml:13:8: plugin.type: the plugin contradicts itself: the fallback "
             "of its option 'x': expected a whole number from 1 to 3, got 5"}));
  EXPECT_TRUE(loaded.usable());
  ASSERT_EQ(loaded.config.plugins.size(), 4u);
  EXPECT_EQ(loaded.config.plugins[0].failed, "'old': it speaks ABI 7.0, this gateway 0.1");
  EXPECT_EQ(loaded.config.plugins[1].failed, "declare took longer than 10 s");
  EXPECT_FALSE(loaded.config.plugins[2].failed.empty());
  EXPECT_EQ(loaded.config.plugins[3].failed, "");
  EXPECT_EQ(loaded.config.plugins[3].attribute_device, std::vector<size_t>{0});
  for (const PluginConfig& plugin : loaded.config.plugins) {
    EXPECT_EQ(plugin.section_device.size(), plugin.instance.sections.size());
    EXPECT_EQ(plugin.section_keep.size(), plugin.instance.sections.size());
    EXPECT_EQ(plugin.unit_names.size(), plugin.instance.units.size());
  }
}

TEST_F(Load, DoesNotBelieveADeclarationThatPointsNowhere) {
  PluginProbe::Verdict wild;
  wild.declaration.attributes.push_back({{"t", DataType::Number, "", ""}, 7, 0});
  probe.verdicts.insert_or_assign("sim", wild);
  PluginProbe::Verdict named;
  named.declaration.attributes.push_back({{"a b", DataType::Number, "", ""}, 0, 0});
  named.complaints.push_back({99, "x", "no\nway"});
  probe.verdicts.insert_or_assign("gpio", named);
  const Loaded loaded = load(
      "[[plugin]]\nname = \"a\"\ntype = \"sim\"\n"
      "[[plugin]]\nname = \"b\"\ntype = \"gpio\"\n");
  EXPECT_EQ(
      words(loaded),
      (Lines{"~/fieldpost.toml:4:1: plugin: 'a' cannot run: declares attribute 't' of no unit "
             "or row",
             "~/fieldpost.toml:7:1: plugin.options.x: no\\x0away",
             "~/fieldpost.toml:7:1: plugin: 'b' cannot run: declares attribute 'a b' of no "
             "unit or row"}));
}

TEST_F(Load, AsksForEachTypeOnceAndDeclaresOnlyWhatIsSound) {
  const Loaded loaded = load(
      "[[plugin]]\nname = \"a\"\ntype = \"sim\"\noptions.count = \"many\"\n"
      "[[plugin]]\nname = \"b\"\ntype = \"sim\"\n");
  EXPECT_EQ(words(loaded), Lines{"~/fieldpost.toml:7:17: plugin.options.count: expected a whole "
                                 "number from 1 to 10000, got \"many\""});
  EXPECT_EQ(probe.describes, 1);
  ASSERT_EQ(probe.declared.size(), 1u);
  EXPECT_EQ(probe.declared[0].name, "b");
}

TEST_F(Load, KnowsASerialLineByAnyOfItsNames) {
  const std::string port = scratch.write("ttyX", "");
  std::filesystem::create_symlink(port, scratch / "by-id");
  const Loaded loaded =
      load("[[plugin]]\nname = \"a\"\ntype = \"modbus\"\noptions.url = \"rtu://" + port +
           "?baud=9600\"\n"
           "[[plugin]]\nname = \"b\"\ntype = \"modbus\"\noptions.url = \"" +
           (scratch / "by-id") + "\"\n");
  EXPECT_EQ(words(loaded),
            Lines{"~/fieldpost.toml:11:15: plugin.options.url: \"~/by-id\" belongs "
                  "to 'a' already, by ~/fieldpost.toml:7:15; one instance serves all "
                  "units of a bus"});
}

std::string inputs(int n) {
  std::string toml = "[[plugin]]\nname = \"a\"\ntype = \"gpio\"\n";
  for (int i = 0; i < n; ++i) {
    toml += "[[plugin.input]]\nattribute = \"a" + std::to_string(i) + "\"\noffset = 1\n";
  }
  return toml;
}

TEST_F(Load, PointsAtTheFirstAttributeThatIsTooMany) {
  EXPECT_EQ(words(load("[health]\nenabled = false\n" + inputs(256))), Lines{});
  // Three lines of head, three of the instance, and three for each row.
  EXPECT_EQ(
      words(load(inputs(260))),
      Lines{"~/fieldpost.toml:776:13: plugin.input.attribute: device 'gateway' would have 260 "
            "attributes; Losant takes at most 256"});
}

TEST_F(Load, RefusesMoreRowsThanAHostCanBeTold) {
  const Loaded loaded = load(inputs(4096));
  const Lines lines = words(loaded);
  EXPECT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0],
            "~/fieldpost.toml:12292:1: plugin.input: expected at most 4096 rows in one "
            "instance; divide it among several");
}

TEST_F(Load, SaysWhyItIsUnusable) {
  const std::string path = scratch / "f.toml";
  EXPECT_EQ(load_config(scratch.write("f.toml", kHead), probe).why_unusable(), "");
  // A warning and a failing instance come first in the file, and are not the reason.
  scratch.write("f.toml", kHead +
                              "[[device]]\nname = \"b\"\nid = \"X\"\n"
                              "[[plugin]]\nname = \"a\"\ntype = \"nope\"\nx = 1\n"
                              "[uplink]\nkeepalive = 1\n[outbox]\ny = 1\n");
  EXPECT_EQ(load_config(path, probe).why_unusable(),
            path +
                ":12:13: uplink.keepalive: expected a duration such as \"5s\" from 5s to 18h, "
                "got 1 (and 1 more)");
}

}  // namespace
}  // namespace fieldpost
