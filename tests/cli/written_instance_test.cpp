// SPDX-License-Identifier: Apache-2.0
#include "cli/written_instance.hpp"

#include <gtest/gtest.h>

namespace fieldpost::cli {
namespace {

PluginInfo plugin() {
  PluginInfo info;
  info.type = "meter";
  info.options = {{.name = "url"}, {.name = "unit", .type = OptionType::Integer, .max = 255}};
  info.tables = {{.name = "unit",
                  .units = true,
                  .options = {{.name = "address", .type = OptionType::Integer}}},
                 {.name = "register",
                  .options = {{.name = "attribute"},
                              {.name = "address", .type = OptionType::Integer, .max = 65535},
                              {.name = "signed", .type = OptionType::Boolean},
                              {.name = "pause", .type = OptionType::Duration}}}};
  return info;
}

std::string rows(const std::vector<Setting>& settings) {
  const auto text = written_config(plugin(), settings);
  if (!text) return text.error().message;
  return text->substr(text->find("[[plugin]]"));
}

TEST(WrittenInstance, IsOneOfTheConfiguration) {
  EXPECT_EQ(rows({{"unit", "3"}, {"url", "tcp://a\"b"}}),
            "[[plugin]]\nname = \"meter\"\ntype = \"meter\"\n"
            "options.unit = 3\noptions.url = \"tcp://a\\\"b\"\n");
}

TEST(WrittenInstance, BeginsARowWhereAKeyComesAgain) {
  EXPECT_EQ(rows({{"register.attribute", "a"},
                  {"register.address", "1"},
                  {"register.attribute", "b"},
                  {"url", "x"},
                  {"register.address", "2"},
                  {"register.signed", "true"},
                  {"register.pause", "5s"}}),
            "[[plugin]]\nname = \"meter\"\ntype = \"meter\"\noptions.url = \"x\"\n"
            "[[plugin.register]]\nattribute = \"a\"\naddress = 1\n"
            "[[plugin.register]]\nattribute = \"b\"\naddress = 2\nsigned = true\npause = \"5s\"\n");
}

TEST(WrittenInstance, HasRowsOfUnits) {
  EXPECT_EQ(rows({{"unit.address", "1"},
                  {"unit.profile", "pump"},
                  {"unit.register.address", "7"},
                  {"unit.address", "2"}}),
            "[[plugin]]\nname = \"meter\"\ntype = \"meter\"\n"
            "[[plugin.unit]]\naddress = 1\nprofile = \"pump\"\n"
            "[[plugin.unit.register]]\naddress = 7\n"
            "[[plugin.unit]]\naddress = 2\n");
}

TEST(WrittenInstance, RefusesWhatAnOptionDoesNotTake) {
  EXPECT_EQ(rows({{"unit", "300"}}), "--set unit: expected a whole number from 0 to 255, got 300");
  EXPECT_EQ(rows({{"unit.register.address", "x"}}).substr(0, 55),
            "--set unit.register.address: expected a whole number fr");
  EXPECT_EQ(parse_setting("unit").error().message,
            "--set unit: expected KEY=VALUE, such as unit=3");
  EXPECT_FALSE(parse_setting("=3"));
  EXPECT_EQ(parse_setting("url=a=b")->value, "a=b");
}

}  // namespace
}  // namespace fieldpost::cli
