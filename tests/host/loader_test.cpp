// SPDX-License-Identifier: Apache-2.0
#include "host/loader.hpp"

#include <gtest/gtest.h>

#include "host/host_driver.hpp"

namespace fieldpost {
namespace {

using test::HostDriver;

// A broken plugin must not break the test program: each is loaded in a host.
std::string refusal_of(const std::string& type) {
  HostDriver host("describe", type);
  const auto message = host.receive();
  if (!message) return "(ended without a word)";
  if (const auto* refused = std::get_if<message::Refused>(&*message)) {
    EXPECT_EQ(host.exit_status(), 1) << type;
    return refused->reason;
  }
  return "(accepted)";
}

TEST(Loader, AnOlderPluginAndANewerOneAreToldApart) {
  EXPECT_TRUE(check_abi(FP_ABI_MAJOR, FP_ABI_MINOR));
  EXPECT_TRUE(check_abi(0, 1)) << "of plugins in the field";
  EXPECT_EQ(check_abi(2, 0).error().message,
            "plugin speaks ABI 2.0, this gateway 0.3: upgrade fieldpost");
  EXPECT_EQ(check_abi(0, 0).error().message,
            "plugin speaks ABI 0.0, this gateway 0.3: upgrade or rebuild the plugin");
}

TEST(Loader, DescribesAPluginWithAllItsTables) {
  HostDriver host("describe", "puppet");
  const auto described = host.await<message::Described>();
  ASSERT_TRUE(described);
  const PluginInfo& info = described->info;
  EXPECT_EQ(info.type, "puppet");
  ASSERT_EQ(info.options.size(), 2u);
  EXPECT_EQ(info.options[0].fallback, "good");
  EXPECT_EQ(info.options[1].type, OptionType::Duration);
  ASSERT_EQ(info.tables.size(), 1u);
  EXPECT_TRUE(info.tables[0].units);
  ASSERT_EQ(info.commands.size(), 5u);
  EXPECT_TRUE(info.commands[0].args[0].required);
  EXPECT_EQ(host.exit_status(), 0);
}

TEST(Loader, AcceptsAPluginInCThatLeavesOutWhatItDoesNotNeed) {
  HostDriver host("describe", "plain");
  const auto described = host.await<message::Described>();
  ASSERT_TRUE(described);
  EXPECT_EQ(described->info.options[0].fallback, "3");
  EXPECT_EQ(described->info.attributes[0].name, "level");
}

TEST(Loader, EachMistakeHasItsOwnWords) {
  const std::pair<const char*, const char*> expected[] = {
      {"wrong_major", "plugin speaks ABI 2.0, this gateway 0.3: upgrade fieldpost"},
      {"wrong_minor", "plugin speaks ABI 0.4, this gateway 0.3: upgrade fieldpost"},
      {"wrong_size", "descriptor of 16 bytes"},
      {"wrong_null", "summary is NULL"},
      {"wrong_endless", "rows, at most 256"},
      {"wrong_name", "name 'Not-A-Name'"},
      {"wrong_fallback", "its own fallback does not fit: expected a whole number from 1 to 247"},
      {"wrong_utf8", "help is not UTF-8"},
      {"wrong_range", "its limits make no range"},
      {"wrong_row_size", "option[1] says it is 4 bytes long"},
      {"wrong_twice", "'second' is there twice"},
      {"wrong_placeholder", "attribute '<attribute>': expected"},
      {"wrong_open", "it has no open()"},
      {"wrong_symbol", "does not export fp_plugin_get()"},
      {"wrong_descriptor", "fp_plugin_get() returned NULL"},
      {"misnamed", "calls itself 'plain', but its file is named 'misnamed.so'"},
      {"no_such_plugin", "No such file or directory"},
  };
  for (const auto& [type, words] : expected) {
    const std::string said = refusal_of(type);
    EXPECT_NE(said.find(words), std::string::npos) << type << ": " << said;
  }
  EXPECT_EQ(refusal_of("wrong_crash"), "(ended without a word)");
}

}  // namespace
}  // namespace fieldpost
