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
  EXPECT_EQ(config.reports, (std::vector<ReportRule>{usual, usual}));
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
  EXPECT_EQ(
      config.reports[2],
      (ReportRule{.when = When::Change, .deadband = 2, .deadband_percent = 5, .period = 5min}));
  EXPECT_EQ(config.reports[3], (ReportRule{.when = When::Always,
                                           .deadband = 2,
                                           .period = 5min,
                                           .has_min = true,
                                           .min = -40,
                                           .expect_change = 6h}));
  EXPECT_EQ(config.named_reports,
            (std::vector<NamedReportRule>{
                {"b", {.when = When::Always, .period = 5min, .has_max = true, .max = 0.5}}}));
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
