// SPDX-License-Identifier: Apache-2.0
//
// Profiles: what a unit takes from one, what of its own goes before, and what is said of one that
// is wrong.
#include "config/profiles.hpp"

#include <gtest/gtest.h>

#include "config/diff.hpp"
#include "config/load.hpp"
#include "config/scratch.hpp"
#include "fakes/fake_probe.hpp"

namespace fieldpost {
namespace {

using Lines = std::vector<std::string>;

const std::string kMeter =
    "title = \"A meter\"\n"
    "source = \"Its manual\"\n"
    "[[register]]\n"
    "attribute = \"volts\"\n"
    "table = \"holding\"\n"
    "address = 10\n"
    "scale = 0.1\n"
    "source = \"page 3\"\n"
    "[[register]]\n"
    "attribute = \"relay\"\n"
    "table = \"coil\"\n"
    "address = 1\n"
    "command = \"set-relay\"\n";

class ProfilesTest : public testing::Test {
 protected:
  Loaded load(const std::string& units) {
    return load_config(
        scratch.write("etc/fieldpost.toml", kHead +
                                                "[[plugin]]\nname = \"line\"\ntype = \"modbus\"\n"
                                                "options.url = \"tcp://h\"\n" +
                                                units),
        probe, {scratch / "share"});
  }
  void write_meter(const std::string& text) { scratch.write("share/modbus/meter.toml", text); }
  Lines words(const Loaded& loaded) const { return scratch.words(loaded.problems); }
  static Lines attributes(const Loaded& loaded) {
    Lines names;
    for (const auto& a : loaded.config.plugins.at(0).declaration.attributes) {
      names.push_back(std::to_string(a.unit) + ":" + a.spec.name);
    }
    return names;
  }
  static Lines commands(const Loaded& loaded) {
    Lines names;
    for (const auto& c : loaded.config.plugins.at(0).declaration.commands) {
      names.push_back(c.spec.name);
    }
    return names;
  }

  Scratch scratch;
  FakeProbe probe;
};

TEST_F(ProfilesTest, AUnitHasWhatItsProfileSays) {
  write_meter(kMeter);
  const Loaded loaded = load("[[plugin.unit]]\naddress = 3\nprofile = \"meter\"\n");
  EXPECT_EQ(words(loaded), Lines{});
  EXPECT_EQ(attributes(loaded), (Lines{"0:volts", "0:relay"}));
  EXPECT_EQ(commands(loaded), Lines{"set-relay"});
  const auto& sections = loaded.config.plugins[0].instance.sections;
  ASSERT_EQ(sections.size(), 4u);
  EXPECT_EQ(sections[1].values.at("address"), Value(3.0));
  EXPECT_EQ(sections[2].values.at("scale"), Value(0.1));
  EXPECT_FALSE(sections[2].values.contains("source"));
}

TEST_F(ProfilesTest, APrefixTellsTheUnitsOfADeviceApart) {
  write_meter(kMeter);
  const Loaded loaded = load(
      "[[plugin.unit]]\naddress = 3\nprofile = \"meter\"\nprefix = \"a_\"\n"
      "[[plugin.unit]]\naddress = 4\nprofile = \"meter\"\nprefix = \"b_\"\n");
  EXPECT_EQ(words(loaded), Lines{});
  EXPECT_EQ(attributes(loaded), (Lines{"0:a_volts", "0:a_relay", "1:b_volts", "1:b_relay"}));
  EXPECT_EQ(commands(loaded), (Lines{"a_set-relay", "b_set-relay"}));
}

TEST_F(ProfilesTest, WithoutOneTheUnitThatTakesAProfileAgainIsNamed) {
  write_meter("[[register]]\nattribute = \"volts\"\ntable = \"holding\"\naddress = 10\n");
  const Loaded loaded = load(
      "[[plugin.unit]]\naddress = 3\nprofile = \"meter\"\n"
      "[[plugin.unit]]\naddress = 4\nprofile = \"meter\"\n");
  EXPECT_EQ(words(loaded),
            Lines{"~/etc/fieldpost.toml:13:11: plugin.unit.register.attribute: 'volts' is already "
                  "an attribute of device 'gateway', by ~/etc/fieldpost.toml:10:11; a prefix "
                  "beside profile tells them apart"});
}

TEST_F(ProfilesTest, WhatTheUnitSaysItselfGoesBefore) {
  write_meter("address = 9\n" + kMeter);
  const Loaded loaded = load(
      "[[plugin.unit]]\naddress = 3\nprofile = \"meter\"\nprefix = \"a_\"\n"
      "[[plugin.unit.register]]\nattribute = \"a_volts\"\n"
      "table = \"holding\"\naddress = 77\n"
      "[[plugin.unit.register]]\nattribute = \"more\"\n"
      "table = \"holding\"\naddress = 78\n");
  EXPECT_EQ(words(loaded), Lines{});
  EXPECT_EQ(attributes(loaded), (Lines{"0:a_relay", "0:a_volts", "0:more"}));
  const auto& sections = loaded.config.plugins[0].instance.sections;
  EXPECT_EQ(sections[1].values.at("address"), Value(3.0));
  EXPECT_EQ(sections[3].values.at("address"), Value(77.0));
}

TEST_F(ProfilesTest, TheSitesOwnGoesBeforeTheOneThatIsInstalled) {
  write_meter(kMeter);
  scratch.write("etc/profiles/modbus/meter.toml",
                "[[register]]\nattribute = \"own\"\ntable = \"holding\"\naddress = 1\n");
  const Loaded loaded = load("[[plugin.unit]]\naddress = 3\nprofile = \"meter\"\n");
  EXPECT_EQ(words(loaded), Lines{});
  EXPECT_EQ(attributes(loaded), Lines{"0:own"});
}

TEST_F(ProfilesTest, OneThatIsNotThereIsNamedWithItsNearest) {
  write_meter(kMeter);
  const Loaded loaded = load("[[plugin.unit]]\naddress = 3\nprofile = \"metre\"\n");
  EXPECT_EQ(words(loaded),
            Lines{"~/etc/fieldpost.toml:10:11: plugin.unit.profile: no profile of modbus is called "
                  "'metre'; did you mean 'meter'? (there is no metre.toml in "
                  "~/etc/profiles/modbus, ~/share/modbus)"});
  EXPECT_FALSE(loaded.usable());
}

TEST_F(ProfilesTest, AreListedWithTheirTitles) {
  write_meter(kMeter);
  scratch.write("share/modbus/broken.toml", "title = ");
  scratch.write("own/modbus/meter.toml", "title = \"Our meter\"");
  scratch.write("share/i2c/chip.toml", "title = \"A chip\"");
  EXPECT_EQ(list_profiles({scratch / "own", scratch / "share", scratch / "none"}, "modbus"),
            (std::map<std::string, std::string>{{"meter", "Our meter"}, {"broken", ""}}));
}

TEST_F(ProfilesTest, WhatIsWrongInOneIsSaidOnceAtItsPlace) {
  write_meter(
      "title = 1\nname = \"x\"\n[[register]]\nattribute = \"volts\"\ntabel = \"coil\"\n"
      "table = \"holding\"\naddress = 70000\nsource = 3\ndevice = \"gateway\"\n");
  const Loaded loaded = load(
      "[[plugin.unit]]\naddress = 3\nprofile = \"meter\"\n"
      "[[plugin.unit]]\naddress = 4\nprofile = \"meter\"\nprefix = \"b\"\n");
  EXPECT_EQ(words(loaded),
            (Lines{"~/share/modbus/meter.toml:1:9: plugin.unit.title: expected text, got 1",
                   "~/share/modbus/meter.toml:2:1: plugin.unit.name: a profile says what a device "
                   "has, not which one it is; this belongs in the configuration",
                   "~/share/modbus/meter.toml:5:1: plugin.unit.register.tabel: unknown key; did "
                   "you mean 'table'?",
                   "~/share/modbus/meter.toml:7:11: plugin.unit.register.address: expected a whole "
                   "number from 0 to 65535, got 70000",
                   "~/share/modbus/meter.toml:8:10: plugin.unit.register.source: expected text, "
                   "got 3",
                   "~/share/modbus/meter.toml:9:1: plugin.unit.register.device: a profile says "
                   "what a device has, not which one it is; this belongs in the configuration"}));
}

TEST_F(ProfilesTest, WhatThePluginObjectsToIsSaidAtItsPlace) {
  write_meter(
      "[[register]]\nattribute = \"v\"\ntable = \"coil\"\naddress = 1\n"
      "type = \"impossible\"\n");
  EXPECT_EQ(words(load("[[plugin.unit]]\naddress = 3\nprofile = \"meter\"\n")),
            Lines{"~/share/modbus/meter.toml:5:8: plugin.unit.register.type: no coil holds an "
                  "impossible"});
}

TEST_F(ProfilesTest, ASyntaxErrorIsSaidAtItsPlace) {
  write_meter("[[register]]\nattribute = volts\n");
  const Lines lines = words(load("[[plugin.unit]]\naddress = 3\nprofile = \"meter\"\n"));
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].rfind("~/share/modbus/meter.toml:2:", 0), 0u) << lines[0];
}

TEST_F(ProfilesTest, ANameIsNoPathAndAPrefixIsNotAlone) {
  EXPECT_EQ(words(load("[[plugin.unit]]\naddress = 3\nprofile = \"../meter\"\n")).size(), 1u);
  EXPECT_EQ(words(load("[[plugin.unit]]\naddress = 3\nprefix = \"a_\"\n")),
            Lines{"~/etc/fieldpost.toml:10:1: plugin.unit.prefix: expected profile beside it"});
  write_meter(kMeter);
  EXPECT_EQ(
      words(load("[[plugin.unit]]\naddress = 3\nprofile = \"meter\"\nprefix = \"a b\"\n")).at(0),
      "~/etc/fieldpost.toml:11:10: plugin.unit.prefix: expected 1 to 255 of 0-9, a-z, A-Z, _ "
      "and -, got \"a b\"");
}

// An upgrade may change a profile, and the site may break its own.
TEST_F(ProfilesTest, AKeptConfigurationKeepsItsProfiles) {
  write_meter(kMeter);
  const Loaded loaded = load("[[plugin.unit]]\naddress = 3\nprofile = \"meter\"\n");
  ASSERT_EQ(words(loaded), Lines{});
  const std::string kept = scratch / "state/config";
  std::filesystem::create_directory(scratch / "state");
  ASSERT_TRUE(keep_config(loaded, kept));
  // What is tried by `fieldpost apply` is compared with these: one of a package is no part of it.
  EXPECT_EQ(kept_files(kept), files_of(loaded));
  EXPECT_EQ(files_of(loaded).size(), 1u);

  write_meter("broken");
  EXPECT_FALSE(load("[[plugin.unit]]\naddress = 3\nprofile = \"meter\"\n").usable());
  const Loaded again = load_config(kept, probe, {scratch / "share"});
  EXPECT_EQ(words(again), Lines{});
  EXPECT_TRUE(diff(loaded.config, again.config).empty());

  // And takes up a change of one.
  write_meter("[[register]]\nattribute = \"own\"\ntable = \"holding\"\naddress = 1\n");
  const Loaded changed = load("[[plugin.unit]]\naddress = 3\nprofile = \"meter\"\n");
  EXPECT_EQ(diff(loaded.config, changed.config).changed.size(), 1u);
  ASSERT_TRUE(keep_config(changed, kept));
  EXPECT_EQ(attributes(load_config(kept, probe)), Lines{"0:own"});
}

TEST_F(ProfilesTest, TheSitesOwnAreFilesOfTheConfiguration) {
  const std::string own = "[[register]]\nattribute = \"own\"\ntable = \"holding\"\naddress = 1\n";
  write_meter(kMeter);
  scratch.write("etc/profiles/modbus/meter.toml", own);
  scratch.write("etc/profiles/i2c/unused.toml", "not looked into");
  scratch.write("etc/profiles/i2c/.unused.toml.swp", "of an editor");
  scratch.write("etc/profiles/i2c/.hidden.toml", "of an editor");
  scratch.write("etc/profiles/README.toml", "words");
  const Loaded loaded = load("[[plugin.unit]]\naddress = 3\nprofile = \"meter\"\n");
  ASSERT_EQ(words(loaded), Lines{});
  ConfigFiles files = files_of(loaded);
  files.erase("fieldpost.toml");
  EXPECT_EQ(files, (ConfigFiles{{"profiles/i2c/unused.toml", "not looked into"},
                                {"profiles/modbus/meter.toml", own}}));
  std::filesystem::create_directory(scratch / "state");
  ASSERT_TRUE(keep_config(loaded, scratch / "state/config"));
  EXPECT_EQ(kept_files(scratch / "state/config"), files_of(loaded));
}

// What was rolled back may be in place still.
TEST_F(ProfilesTest, AnInstalledOneThatIsKeptGoesBeforeOneOfTheSite) {
  write_meter(kMeter);
  const Loaded loaded = load("[[plugin.unit]]\naddress = 3\nprofile = \"meter\"\n");
  std::filesystem::create_directory(scratch / "state");
  ASSERT_TRUE(keep_config(loaded, scratch / "state/config"));
  scratch.write("etc/profiles/modbus/meter.toml", "broken");
  const Loaded again =
      load_config(scratch / "state/config", probe, {scratch / "etc/profiles", scratch / "share"});
  EXPECT_EQ(words(again), Lines{});
  EXPECT_TRUE(diff(loaded.config, again.config).empty());
}

}  // namespace
}  // namespace fieldpost
