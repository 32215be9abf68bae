// SPDX-License-Identifier: Apache-2.0
#include "supervisor/probe.hpp"

#include <fieldpost/plugin.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "host/host_driver.hpp"

namespace fieldpost {
namespace {

using namespace std::chrono_literals;
using test::puppet;

Probe probe(nanoseconds patience = Probe::kPatience) {
  return {test::plugin_host(), test::plugin_dir(), patience};
}

TEST(Probe, ListsWhatIsInstalled) {
  const auto types = probe().types();
  EXPECT_TRUE(std::ranges::is_sorted(types));
  EXPECT_NE(std::ranges::find(types, "puppet"), types.end());
  EXPECT_TRUE(Probe(test::plugin_host(), "/nowhere").types().empty());
}

TEST(Probe, DescribesAndDeclares) {
  Probe p = probe();
  const auto info = p.describe("puppet");
  ASSERT_TRUE(info) << info.error().message;
  EXPECT_EQ(info->summary, "Does what it is told.");
  const auto verdict = p.declare("puppet", puppet("good", 2));
  ASSERT_TRUE(verdict) << verdict.error().message;
  EXPECT_EQ(verdict->declaration.attributes.size(), 3u);
  EXPECT_TRUE(verdict->complaints.empty());
}

TEST(Probe, PassesComplaintsOn) {
  const auto verdict = probe().declare("puppet", puppet("complain"));
  ASSERT_TRUE(verdict) << verdict.error().message;
  ASSERT_EQ(verdict->complaints.size(), 1u);
  EXPECT_EQ(verdict->complaints[0].option, "mode");
  EXPECT_EQ(verdict->complaints[0].text, "this mode is a complaint");
}

TEST(Probe, SaysWhyAPluginCannotBeUsed) {
  Probe p = probe();
  EXPECT_EQ(p.describe("none").error().code, Errc::NotFound);
  EXPECT_EQ(p.describe("../plugins/puppet").error().code, Errc::NotFound);
  EXPECT_EQ(p.describe("wrong_major").error().message,
            "plugin speaks ABI 2.0, this gateway " + std::to_string(FP_ABI_MAJOR) + "." +
                std::to_string(FP_ABI_MINOR) + ": upgrade fieldpost");
  const auto crash = p.describe("wrong_crash");
  EXPECT_EQ(crash.error().code, Errc::Invalid);
  EXPECT_EQ(crash.error().message,
            "the plugin crashed while it was asked: killed by signal 6 (Aborted)");
  EXPECT_EQ(p.declare("puppet", puppet("crash-declare")).error().code, Errc::Invalid);
}

TEST(Probe, TellsPluginsNothingOfOurEnvironmentThatIsNotForThem) {
  const char* const kSecrets[] = {"FIELDPOST_ACCESS_SECRET", "CREDENTIALS_DIRECTORY"};
  for (const char* name : kSecrets) ::setenv(name, "/nowhere", 1);
  InstanceConfig config = puppet("ask");
  config.sections[0].values = {{"pid", 0.0}, {"folder", "/nowhere"}, {"mode", "ask"}};
  const auto verdict = probe().declare("hostile", config);
  for (const char* name : kSecrets) ::unsetenv(name);
  ASSERT_TRUE(verdict) << verdict.error().message;
  ASSERT_EQ(verdict->complaints.size(), 1u);
  const std::string& done = verdict->complaints[0].text;  // what the plugin got away with
  EXPECT_EQ(done.find("secret"), std::string::npos) << done;
  EXPECT_EQ(done.find("credentials"), std::string::npos) << done;
}

TEST(Probe, DoesNotTakeAMissingHostForAMissingPlugin) {
  const auto info = Probe("/nowhere/host", test::plugin_dir()).describe("puppet");
  EXPECT_EQ(info.error().code, Errc::Io);
  EXPECT_NE(info.error().message.find("/nowhere/host"), std::string::npos) << info.error().message;
}

TEST(Probe, DoesNotWaitForAPluginThatHangs) {
  const BootTime start = BootClock::now();
  const auto verdict = probe(300ms).declare("puppet", puppet("hang-declare"));
  EXPECT_EQ(verdict.error().code, Errc::Timeout);
  EXPECT_LT(BootClock::now() - start, nanoseconds(2s));
}

TEST(Probe, RemembersUntilTheFileChanges) {
  const test::TempDir dir;
  const std::string file = dir / "puppet.so", host = dir / "host";
  std::filesystem::copy_file(test::plugin_path("puppet"), file);
  std::filesystem::create_symlink(test::plugin_host(), host);
  Probe p(host, dir.path());
  ASSERT_TRUE(p.describe("puppet"));
  std::filesystem::remove(host);  // so that a question would have no answer
  EXPECT_TRUE(p.describe("puppet"));
  EXPECT_FALSE(Probe(host, dir.path()).describe("puppet"));
  std::filesystem::create_symlink(test::plugin_host(), host);
  std::filesystem::remove(file);
  std::filesystem::copy_file(test::plugin_path("wrong_major"), file);
  EXPECT_FALSE(p.describe("puppet"));
  std::filesystem::remove(file);
  EXPECT_EQ(p.describe("puppet").error().code, Errc::NotFound);
}

TEST(Probe, ALongConfigurationIsNoProblem) {
  auto config = puppet("good", 1'000);
  for (auto& section : config.sections) section.values["note"] = std::string(300, 'x');
  const auto verdict = probe().declare("puppet", config);
  ASSERT_TRUE(verdict) << verdict.error().message;
  EXPECT_EQ(verdict->declaration.attributes.size(), 1'001u);
}

}  // namespace
}  // namespace fieldpost
