// SPDX-License-Identifier: Apache-2.0
//
// What a configuration says about which readings leave: on an instance, its units, its rows, and by
// the name of an attribute.
#include <gtest/gtest.h>

#include <chrono>

#include "config/load.hpp"
#include "config/scratch.hpp"
#include "fakes/fake_probe.hpp"

namespace fieldpost {
namespace {

using namespace std::chrono_literals;
using Lines = std::vector<std::string>;
using When = ReportRule::When;

const std::string kPlugin =
    "[[plugin]]\nname = \"plc\"\ntype = \"modbus\"\noptions.url = \"tcp://h:502\"\n";

std::string row(const std::string& attribute, const std::string& more,
                const std::string& table = "plugin.register") {
  return "[[" + table + "]]\nattribute = \"" + attribute +
         "\"\ntable = \"holding\"\naddress = 1\n" + more;
}

class Report : public testing::Test {
 protected:
  InstanceConfig instance(const std::string& toml) {
    Loaded loaded = load_config(scratch.write("fieldpost.toml", kHead + toml), probe);
    said.clear();
    for (const std::string& line : scratch.words(loaded.problems)) {
      said.push_back(line.substr(line.find(':') + 1));  // without the file
    }
    return loaded.config.plugins.empty() ? InstanceConfig() : loaded.config.plugins[0].instance;
  }
  Lines words(const std::string& toml) {
    (void)instance(toml);
    return said;
  }

  Scratch scratch;
  FakeProbe probe;
  Lines said;
};

TEST_F(Report, IsAlwaysUnlessSomebodySaysOtherwise) {
  const InstanceConfig config = instance(kPlugin + row("a", ""));
  EXPECT_EQ(said, Lines{});
  const ReportRule usual{.when = When::Always, .period = 60s};
  ReportRule of_row = usual;
  of_row.plugins_own = ReportKeys::Scale;  // which its table has
  EXPECT_EQ(config.reports, (std::vector<ReportRule>{usual, of_row}));
  EXPECT_TRUE(config.named_reports.empty());
}

TEST_F(Report, OfARowGoesBeforeThatOfItsUnitAndOfTheInstance) {
  const InstanceConfig config = instance(
      kPlugin + "report = \"always\"\nreport_period = \"5min\"\n" +
      "[[plugin.unit]]\naddress = 1\ndeadband = 2\n" +
      row("a", "report = \"change\"\ndeadband_percent = 5\n", "plugin.unit.register") +
      row("b", "valid_min = -40\nexpect_change_within = \"6h\"\n", "plugin.unit.register") +
      "[[plugin.attribute]]\nattribute = \"b\"\nvalid_max = 0.5\n");
  EXPECT_EQ(said, Lines{});
  ASSERT_EQ(config.reports.size(), 4u);
  EXPECT_EQ(config.reports[0], (ReportRule{.when = When::Always, .period = 5min}));
  EXPECT_EQ(config.reports[1], (ReportRule{.when = When::Always, .deadband = 2, .period = 5min}));
  EXPECT_EQ(config.reports[2], (ReportRule{.when = When::Change,
                                           .deadband = 2,
                                           .deadband_percent = 5,
                                           .period = 5min,
                                           .plugins_own = ReportKeys::Scale}));
  EXPECT_EQ(config.reports[3], (ReportRule{.when = When::Always,
                                           .deadband = 2,
                                           .period = 5min,
                                           .min = -40,
                                           .expect_change = 6h,
                                           .plugins_own = ReportKeys::Scale}));
  EXPECT_EQ(config.named_reports,
            (std::vector<NamedReportKeys>{{"b", {ReportKeys::Max, {.max = 0.5}}}}));
}

TEST_F(Report, WhatCannotBeIsSaidAtItsPlace) {
  EXPECT_EQ(words(kPlugin + row("a", "deadband = -1\n")),
            Lines{"12:12: plugin.register.deadband: expected a number from 0 to 1000000000000, got "
                  "-1"});
  EXPECT_EQ(words(kPlugin + row("a", "valid_min = 5\nvalid_max = 4\n")),
            Lines{"13:13: plugin.register.valid_max: valid_min is above valid_max, which leaves "
                  "no value"});
  EXPECT_EQ(words(kPlugin + row("a", "dedband = 1\n")),
            Lines{"12:1: plugin.register.dedband: unknown key; did you mean 'deadband'?"});
  EXPECT_EQ(words(kPlugin + row("level", "") + "[[plugin.attribute]]\nattribute = \"levl\"\n"),
            Lines{"13:13: plugin.attribute.attribute: the instance has no 'levl'; did you mean "
                  "'level'?"});
  EXPECT_EQ(words(kPlugin + row("a", "") + "[[plugin.attribute]]\nreport = \"never\"\n"),
            (Lines{"12:1: plugin.attribute.attribute: missing; expected 1 to 255 of 0-9, a-z, A-Z, "
                   "_ and -",
                   "13:10: plugin.attribute.report: expected one of \"always\", \"change\", "
                   "\"change-or-period\", got \"never\""}));
  EXPECT_EQ(words(kPlugin + row("a", "") +
                  "[[plugin.attribute]]\nattribute = \"a\"\n[[plugin.attribute]]\nattribute = "
                  "\"a\"\n"),
            Lines{"15:13: plugin.attribute.attribute: 'a' has a row already"});
}

// What the host does with a number for every plugin alike.
TEST_F(Report, ScalesAndRoundsWherePluginsDoNot) {
  const std::string gpio =
      "[[plugin]]\nname = \"io\"\ntype = \"gpio\"\noptions.chip = \"gpiochip0\"\ndecimals = 1\n"
      "[[plugin.input]]\nattribute = \"volume\"\noffset = 17\nscale = 0.01\nunit = \"m3\"\n";
  InstanceConfig config = instance(
      gpio + "[[plugin.attribute]]\nattribute = \"volume\"\noffset = 100\ndecimals = \"none\"\n");
  EXPECT_EQ(said, Lines{});
  // The offset in the row is the plugin's, the number of a line.
  EXPECT_EQ(config.sections.at(1).values.at("offset"), Value(17.0));
  EXPECT_EQ(config.reports.at(1),
            (ReportRule{.period = 60s, .scale = 0.01, .decimals = 1, .unit = "m3"}));
  const Declaration::Attribute volume{.spec = {.name = "volume", .unit = "l"}, .section = 1};
  const ReportRule rule = report_rule(volume, config);
  EXPECT_EQ(rule, (ReportRule{.period = 60s, .scale = 0.01, .offset = 100, .unit = "m3"}));
  EXPECT_EQ(unit_of_measure(volume.spec, rule), "m3");
  EXPECT_EQ(unit_of_measure(volume.spec, {.offset = 1}), "l");
  EXPECT_EQ(unit_of_measure(volume.spec, {.scale = 2}), "");  // nobody knows of what
}

TEST_F(Report, AScaleOfThePluginsOwnIsRefinedByNameAndDoneOnce) {
  const InstanceConfig config =
      instance(kPlugin + row("a", "scale = 0.1\n") + row("b", "scale = 0.1\n") +
               "[[plugin.attribute]]\nattribute = \"a\"\nscale = 0.5\noffset = 3\nunit = \"V\"\n");
  EXPECT_EQ(said, Lines{});
  EXPECT_EQ(config.sections.at(1).values.at("scale"), Value(0.5));
  EXPECT_EQ(config.sections.at(2).values.at("scale"), Value(0.1));
  const ReportRule rule = report_rule({.spec = {.name = "a"}, .section = 1}, config);
  EXPECT_EQ(rule.scale, 1);
  EXPECT_EQ(rule.offset, 3);  // this table has none
  EXPECT_EQ(rule.unit, "V");
}

TEST_F(Report, OfANameRefinesTheRowKeyByKeyAndSwitchesLimitsOff) {
  const InstanceConfig config = instance(
      kPlugin + row("a", "valid_min = 0\nvalid_max = 10\nreport = \"change\"\ndeadband = 2\n") +
      "[[plugin.attribute]]\nattribute = \"a\"\nvalid_min = \"none\"\ndeadband = 1\n");
  EXPECT_EQ(said, Lines{});
  const ReportRule rule = report_rule({.spec = {.name = "a"}, .section = 1}, config);
  EXPECT_EQ(rule.min, -ReportRule::kNoLimit);
  EXPECT_EQ(rule.max, 10);
  EXPECT_EQ(rule.when, When::Change);
  EXPECT_EQ(rule.deadband, 1);
}

TEST_F(Report, AScaleThatCannotBeIsSaidAtItsPlace) {
  const std::string named = "[[plugin.attribute]]\nattribute = \"a\"\n";
  const auto of_name = [&](const std::string& key) {
    return words(kPlugin + row("a", "") + named + key);
  };
  EXPECT_EQ(of_name("offset = nan\n"),
            Lines{"14:10: plugin.attribute.offset: expected a number, got nan"});
  EXPECT_EQ(of_name("decimals = 10\n"),
            Lines{"14:12: plugin.attribute.decimals: expected a whole number from 0 to 9, or "
                  "\"none\", got 10"});
  EXPECT_EQ(of_name("scale = \"none\"\n").size(), 2u);  // there, and in the row that it refines
  EXPECT_EQ(of_name("stale_after = -1\n"),
            Lines{"14:15: plugin.attribute.stale_after: expected a whole number from 0 to 1000000, "
                  "got -1"});
  const std::string gpio =
      "[[plugin]]\nname = \"io\"\ntype = \"gpio\"\noptions.chip = \"gpiochip0\"\n"
      "[[plugin.input]]\nattribute = \"a\"\noffset = 1\nscale = 0\n";
  EXPECT_EQ(words(gpio), Lines{"11:9: plugin.input.scale: expected a number other than 0, got 0"});
  EXPECT_EQ(words(kPlugin + "scale = 2\n" + row("a", "")).size(), 1u);  // of one value alone
  // Limits that only together leave no value.
  EXPECT_EQ(words(kPlugin + row("a", "valid_min = 5\n") + named + "valid_max = 4\n"),
            Lines{"15:13: plugin.attribute.valid_max: valid_min is above valid_max, which leaves "
                  "no value"});
}

TEST_F(Report, OnlyANumberHasADeadbandAndLimits) {
  PluginProbe::Verdict verdict;
  verdict.declaration.attributes = {
      {.spec = {.name = "open", .type = DataType::Boolean}, .unit = 0, .section = 1}};
  probe.verdicts.insert_or_assign("modbus", verdict);
  EXPECT_EQ(words(kPlugin + row("open", "deadband = 1\n")),
            Lines{"12:12: plugin.register.deadband: 'open' is a boolean; only a number has one"});
  EXPECT_EQ(words(kPlugin + row("open", "") +
                  "[[plugin.attribute]]\nattribute = \"open\"\nvalid_max = 1\n"),
            Lines{"14:13: plugin.attribute.valid_max: 'open' is a boolean; only a number has one"});
  EXPECT_EQ(words(kPlugin + row("open", "decimals = 1\n")),
            Lines{"12:12: plugin.register.decimals: 'open' is a boolean; only a number has one"});
  EXPECT_EQ(words(kPlugin + "deadband = 1\n" + row("open", "")), Lines{});  // of the others
}

// A plugin that was upgraded since may have other attributes; the rest has to run.
TEST_F(Report, OfAKeptConfigurationWhatNoLongerFitsIsAWarning) {
  const std::string kept = scratch / "kept";
  const std::string toml = kPlugin + row("a", "deadband = 1\n") +
                           "[[plugin.attribute]]\nattribute = \"a\"\nvalid_max = 5\n";
  ASSERT_TRUE(keep_config(load_config(scratch.write("f.toml", kHead + toml), probe), kept));
  PluginProbe::Verdict verdict;
  verdict.declaration.attributes = {
      {.spec = {.name = "b", .type = DataType::Boolean}, .unit = 0, .section = 1}};
  probe.verdicts.insert_or_assign("modbus", verdict);
  const Loaded loaded = load_config(kept, probe);
  EXPECT_TRUE(loaded.usable()) << loaded.why_unusable();
  EXPECT_EQ(loaded.problems.size(), 2u);
  EXPECT_EQ(loaded.config.plugins.at(0).failed, "");
}

}  // namespace
}  // namespace fieldpost
