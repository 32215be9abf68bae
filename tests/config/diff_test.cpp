// SPDX-License-Identifier: Apache-2.0
#include "config/diff.hpp"

#include <gtest/gtest.h>

#include "config/load.hpp"
#include "config/scratch.hpp"
#include "fakes/fake_probe.hpp"

namespace fieldpost {
namespace {

const std::string kDevices =
    "[[device]]\nname = \"a\"\nid = \"575ecf887ae143cd83dc4aa3\"\n"
    "[[device]]\nname = \"b\"\nid = \"575ecf887ae143cd83dc4aa4\"\n";

std::string sim(const std::string& name, const std::string& more = "") {
  return "[[plugin]]\nname = \"" + name + "\"\ntype = \"sim\"\noptions.attribute = \"" + name +
         "\"\n" + more;
}

class Diff : public testing::Test {
 protected:
  Config load(const std::string& toml) {
    Loaded loaded = load_config(scratch.write("fieldpost.toml", kHead + toml), probe);
    EXPECT_EQ(scratch.words(loaded.problems), std::vector<std::string>{});
    return std::move(loaded.config);
  }
  ConfigDiff between(const std::string& before, const std::string& after) {
    const Config old = load(before);
    return diff(old, load(after));
  }
  Scratch scratch;
  FakeProbe probe;
};

using Pairs = std::vector<ConfigDiff::Pair>;

TEST_F(Diff, SeesNothingInCommentsAndOrder) {
  const ConfigDiff found =
      between(kDevices + sim("x", "device = \"a\"\n") + sim("y"),
              "# moved\n\n\n" + sim("y") + sim("x", "device = \"a\"\n") +
                  "[[device]]\nname = \"b\"\nid = \"575ecf887ae143cd83dc4aa4\"\n"
                  "[[device]]\nname = \"a\"\nid = \"575ecf887ae143cd83dc4aa3\"\n");
  EXPECT_TRUE(found.empty());
  EXPECT_EQ(found.unchanged, (Pairs{{1, 0}, {0, 1}}));
}

TEST_F(Diff, TellsWhatCameWentAndChanged) {
  const ConfigDiff found = between(sim("gone") + sim("same") + sim("slower"),
                                   sim("same") + sim("slower", "interval = \"2s\"\n") + sim("new"));
  EXPECT_EQ(found.removed, std::vector<size_t>{0});
  EXPECT_EQ(found.unchanged, (Pairs{{1, 0}}));
  EXPECT_EQ(found.changed, (Pairs{{2, 1}}));
  EXPECT_EQ(found.added, std::vector<size_t>{2});
  EXPECT_FALSE(found.devices || found.uplink || found.gateway);
}

TEST_F(Diff, LeavesWhatIsHiddenToTheSupervisor) {
  const Config old = load(sim("x") + sim("y"));
  Config next = old;
  next.plugins[0].instance.sandbox.hidden.emplace_back("/data/key");
  next.plugins[1].instance.sandbox.on = false;
  const ConfigDiff found = diff(old, next);
  EXPECT_EQ(found.unchanged, (Pairs{{0, 0}}));
  EXPECT_EQ(found.changed, (Pairs{{1, 1}}));
}

TEST_F(Diff, AnotherDeviceNeedsNoNewHost) {
  const ConfigDiff found =
      between(kDevices + sim("x", "device = \"a\"\n"), kDevices + sim("x", "device = \"b\"\n"));
  EXPECT_EQ(found.remapped, (Pairs{{0, 0}}));
  EXPECT_TRUE(found.changed.empty());
  EXPECT_FALSE(found.devices);
  EXPECT_FALSE(found.empty());
}

TEST_F(Diff, KeepingOtherwiseNeedsNoNewHost) {
  const ConfigDiff found = between(sim("x"), sim("x", "keep = \"all\"\n"));
  EXPECT_EQ(found.remapped, (Pairs{{0, 0}}));
  EXPECT_TRUE(found.changed.empty());
}

TEST_F(Diff, AnotherIdOfADeviceIsAnotherDevice) {
  std::string moved = kDevices;
  moved.replace(moved.find("4aa3"), 4, "4aaf");
  const ConfigDiff found =
      between(kDevices + sim("x", "device = \"a\"\n"), moved + sim("x", "device = \"a\"\n"));
  EXPECT_EQ(found.remapped, (Pairs{{0, 0}}));
  EXPECT_TRUE(found.devices);
}

TEST_F(Diff, APluginThatBecameAvailableIsStarted) {
  const std::string toml = "[[plugin]]\nname = \"x\"\ntype = \"sim\"\n";
  const FakeProbe whole;
  probe.installed.erase("sim");
  const Config before = load_config(scratch.write("f.toml", kHead + toml), probe).config;
  probe = whole;
  const ConfigDiff found = diff(before, load(toml));
  EXPECT_EQ(found.changed, (Pairs{{0, 0}}));
}

TEST_F(Diff, KnowsTheCoresSections) {
  EXPECT_TRUE(between("", "[uplink]\nkeepalive = \"30s\"\n").uplink);
  EXPECT_TRUE(between("", "name = \"other\"\n").gateway);
  EXPECT_TRUE(between("", "[outbox]\ncommit_delay = \"0s\"\n").outbox);
  EXPECT_TRUE(between("", "[clock]\ntrust = \"always\"\n").clock);
  EXPECT_TRUE(between("", "[commands]\ntimeout = \"1s\"\n").commands);
  EXPECT_TRUE(between("", kDevices).devices);
  EXPECT_TRUE(between(kDevices, kDevices).empty());
}

}  // namespace
}  // namespace fieldpost
