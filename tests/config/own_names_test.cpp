// SPDX-License-Identifier: Apache-2.0
#include "config/own_names.hpp"

#include <gtest/gtest.h>

#include "config/load.hpp"
#include "config/scratch.hpp"
#include "fakes/fake_probe.hpp"
#include "model/names.hpp"

namespace fieldpost {
namespace {

using Lines = std::vector<std::string>;

const std::string kPeripherals =
    "[[device]]\nname = \"a\"\nid = \"575ecf887ae143cd83dc4aa3\"\n"
    "[[device]]\nname = \"b\"\nid = \"575ecf887ae143cd83dc4aa4\"\n";

std::string sim(const std::string& attribute, const std::string& device) {
  return "[[plugin]]\nname = \"" + attribute + "-" + device + "\"\ntype = \"sim\"\ndevice = \"" +
         device + "\"\noptions.attribute = \"" + attribute + "\"\n";
}

class OwnNames : public testing::Test {
 protected:
  Loaded load(const std::string& toml) {
    return load_config(scratch.write("fieldpost.toml", kHead + kPeripherals + toml), probe);
  }
  Lines words(const std::string& toml) { return scratch.words(load(toml).problems); }
  Scratch scratch;
  FakeProbe probe;
};

TEST_F(OwnNames, AreThoseOfTheGatewayAndOfThePeripheralsThatAreServed) {
  const Config config = load(sim("x", "b")).config;
  EXPECT_EQ(health_attributes(config, 0).size(), 9u);
  EXPECT_EQ(health_attributes(config, 1).size(), 0u) << "nobody knows how it is";
  ASSERT_EQ(health_attributes(config, 2).size(), 2u);
  EXPECT_EQ(health_attributes(config, 2)[0].name, "fp_online");
  for (size_t device = 0; device < 3; ++device) {
    for (const AttributeSpec& spec : health_attributes(config, device)) {
      EXPECT_TRUE(spec.name.starts_with(kOwnAttributes) && is_attribute_name(spec.name));
    }
  }
  const Config off = load("[health]\nenabled = false\n" + sim("x", "b")).config;
  for (size_t device = 0; device < 3; ++device) EXPECT_TRUE(health_attributes(off, device).empty());
}

// Else the platform would go on showing it as it was when the plugin still ran.
TEST_F(OwnNames, AreAlsoThoseOfPeripheralsWhosePluginFailsBeforeItsRowsAreRead) {
  const Loaded loaded = load(
      "[[plugin]]\nname = \"i\"\ntype = \"gone\"\noptions.device = \"a\"\n"
      "[[plugin.unit]]\n[[plugin.unit.register]]\ndevice = \"b\"\n"
      "[[plugin.unit.register]]\ndevice = \"b\"\n[[plugin.unit.register]]\ndevice = \"c\"\n");
  ASSERT_EQ(loaded.config.plugins.size(), 1u);
  const PluginConfig& plugin = loaded.config.plugins[0];
  EXPECT_FALSE(plugin.failed.empty());
  EXPECT_EQ(plugin.section_device, (std::vector<size_t>{0, 2}));
  EXPECT_EQ(plugin.section_keep.size(), plugin.instance.sections.size());
  EXPECT_EQ(plugin.section_device.size(), plugin.instance.sections.size());
  EXPECT_EQ(health_attributes(loaded.config, 1).size(), 0u) << "a plugin's option is no device";
  EXPECT_EQ(health_attributes(loaded.config, 2).size(), 2u);
}

TEST_F(OwnNames, AreTheFirstToGiveWayWhenSpaceIsShort) {
  const Config config = load(sim("x", "b")).config;
  const KeepRules rules = keep_rules(config);
  EXPECT_EQ(keep_of(rules, config.devices[0].id, "fp_last_error"), Keep::Newest);
  EXPECT_EQ(keep_of(rules, config.devices[2].id, "fp_online"), Keep::Newest);
  EXPECT_EQ(keep_of(rules, config.devices[2].id, "x"), Keep::Thin);
}

TEST_F(OwnNames, AreRefusedToOthersWhereTheyWouldMeetAndElseWarnedOf) {
  EXPECT_EQ(words(sim("fp_online", "b")),
            Lines{"~/fieldpost.toml:14:21: plugin.options.attribute: 'fp_online' is an attribute "
                  "of the agent's own"});
  const Lines warning{
      "~/fieldpost.toml:14:21: warning: plugin.options.attribute: 'fp_flow': names that begin with "
      "'fp_' "
      "are the agent's own"};
  EXPECT_EQ(words(sim("fp_flow", "b")), warning);
  EXPECT_TRUE(load(sim("fp_flow", "b")).usable());
  EXPECT_TRUE(load("[health]\nenabled = false\n" + sim("fp_online", "b")).usable());
}

TEST_F(OwnNames, CommandsAreRefusedToTheGatewayAlone) {
  PluginProbe::Verdict verdict;
  verdict.declaration.commands.push_back({{.name = "fp-reload"}, 0, 0});
  probe.verdicts.insert_or_assign("sim", verdict);
  EXPECT_EQ(words(sim("x", "gateway")),
            Lines{"~/fieldpost.toml:10:1: plugin: 'fp-reload' is a command of the agent's own"});
  EXPECT_TRUE(load(sim("x", "b")).usable());
}

TEST_F(OwnNames, DoNotMakeADeviceWithManyAttributesUnusable) {
  std::string many = "[[plugin]]\nname = \"i\"\ntype = \"gpio\"\ndevice = \"b\"\n";
  for (int i = 0; i < kMaxAttributes - 1; ++i) {
    many += "[[plugin.input]]\nattribute = \"a" + std::to_string(i) + "\"\noffset = 1\n";
  }
  EXPECT_EQ(
      words(many),
      Lines{"~/fieldpost.toml:7:1: warning: device 'b' has, with the agent's own, 257 attributes; "
            "Losant takes at most 256; [health] enabled = false leaves those out"});
  EXPECT_TRUE(load(many).usable());
}

TEST_F(OwnNames, EachCommandHasItsOwnSwitch) {
  CommandsConfig all;
  for (const OwnCommand c : {OwnCommand::Status, OwnCommand::RestartPlugin, OwnCommand::Reload}) {
    EXPECT_EQ(switched_off_by(all, c), "");
  }
  const Config config =
      load("[commands]\nstatus = false\nrestart_plugin = false\nreload = false\n").config;
  EXPECT_EQ(switched_off_by(config.commands, OwnCommand::Status), "status");
  EXPECT_EQ(switched_off_by(config.commands, OwnCommand::RestartPlugin), "restart_plugin");
  EXPECT_EQ(switched_off_by(config.commands, OwnCommand::Reload), "reload");
}

}  // namespace
}  // namespace fieldpost
