// SPDX-License-Identifier: Apache-2.0
//
// The files that `fieldpost apply` replaces.
#include "cli/config_files.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/file.hpp"
#include "config/scratch.hpp"

namespace fieldpost::cli {
namespace {

std::string folder(const std::string& path) {
  std::filesystem::create_directories(path);
  return path;
}

class ConfigFilesTest : public testing::Test {
 protected:
  ConfigFilesTest() {
    scratch.write("etc/fieldpost.toml", "main\n");
    scratch.write("etc/conf.d/10-gateway.toml", "gateway\n");
    scratch.write("etc/conf.d/README", "words\n");
    scratch.write("etc/conf.d/.hidden.toml", "of an editor\n");
  }
  std::string content(const std::string& name) const {
    return read_file(scratch / ("etc/" + name), 1000).value_or("missing");
  }
  mode_t mode(const std::string& name) const {
    struct stat st {};
    EXPECT_EQ(::stat((scratch / ("etc/" + name)).c_str(), &st), 0);
    return st.st_mode & 0777;
  }

  Scratch scratch;
  const ConfigPlace place{folder(scratch / "etc")};  // which it must see as one
};

TEST_F(ConfigFilesTest, BecomeWhatIsWanted) {
  ASSERT_EQ(*place.read(),
            (ConfigFiles{{"fieldpost.toml", "main\n"}, {"conf.d/10-gateway.toml", "gateway\n"}}));
  ASSERT_TRUE(place.put({{"conf.d/20-site.toml", "site\n"}}));
  EXPECT_EQ(content("fieldpost.toml"), "missing") << "as before an apply that brought it";
  EXPECT_EQ(content("conf.d/10-gateway.toml"), "missing");
  EXPECT_EQ(content("conf.d/20-site.toml"), "site\n");
  EXPECT_EQ(content("conf.d/README"), "words\n");
  EXPECT_EQ(content("conf.d/.hidden.toml"), "of an editor\n");
}

TEST_F(ConfigFilesTest, KeepTheirModesAndNewOnesAreForTheAgentToRead) {
  std::filesystem::permissions(scratch / "etc/fieldpost.toml", std::filesystem::perms(0640));
  const mode_t umask_before = ::umask(077);
  ASSERT_TRUE(place.put({{"fieldpost.toml", "new\n"}, {"conf.d/20-site.toml", "site\n"}}));
  ::umask(umask_before);
  EXPECT_EQ(mode("fieldpost.toml"), 0640u);
  EXPECT_EQ(mode("conf.d/20-site.toml"), 0640u);
}

TEST_F(ConfigFilesTest, NewOnesAreForEverybodyToReadIfTheirSourceIs) {
  const std::string open = scratch.write("whole/conf.d/20-open.toml", "open\n");
  scratch.write("whole/conf.d/30-shut.toml", "shut\n");  // 0600, as Scratch writes them
  std::filesystem::permissions(open, std::filesystem::perms(0666));
  const std::string whole = scratch / "whole";
  ASSERT_TRUE(place.put(*with_changes(whole, *place.read()), place.rights_like(whole)));
  EXPECT_EQ(mode("conf.d/20-open.toml"), 0644u);
  EXPECT_EQ(mode("conf.d/30-shut.toml"), 0640u);
  std::filesystem::permissions(open, std::filesystem::perms(0640));
  ASSERT_TRUE(place.put({}, {}));
  ASSERT_TRUE(place.put(*with_changes(open, {}), place.rights_like(open)));
  EXPECT_EQ(mode("conf.d/20-open.toml"), 0640u);
}

TEST_F(ConfigFilesTest, OnesThatAreGoneComeBackAsTheyWere) {
  std::filesystem::permissions(scratch / "etc/fieldpost.toml", std::filesystem::perms(0604));
  const ConfigFiles before = *place.read();
  const auto noted = to_texts(place.rights());
  ASSERT_TRUE(place.put({{"conf.d/20-site.toml", "site\n"}}));
  auto rights = noted;
  rights["conf.d/90.toml"] = "nonsense";
  ASSERT_TRUE(place.put(before, rights_in(rights)));
  EXPECT_EQ(mode("fieldpost.toml"), 0604u);
  EXPECT_EQ(mode("conf.d/10-gateway.toml"), 0600u);
  EXPECT_EQ(to_texts(place.rights()), noted);
}

TEST_F(ConfigFilesTest, BelongToThoseTheyBelongedToAndNewOnesToTheAgentsGroup) {
  // Nor can it in a user namespace (scripts/roots.sh), which has few users.
  if (::chown((scratch / "etc/fieldpost.toml").c_str(), 1234, 2345) != 0)
    GTEST_SKIP() << "only root can give files away: " << std::strerror(errno);
  const ConfigPlace agents(scratch / "etc", 4321);
  const Rights noted = agents.rights();
  ASSERT_TRUE(agents.put({{"conf.d/20-site.toml", "site\n"}}));
  EXPECT_EQ(agents.rights(), (Rights{{"conf.d/20-site.toml", {0640, 0, 4321}}}));
  ASSERT_TRUE(agents.put({{"fieldpost.toml", "main\n"}}, noted));
  EXPECT_EQ(agents.rights(), (Rights{{"fieldpost.toml", {0600, 1234, 2345}}}));
}

TEST_F(ConfigFilesTest, ALinkStaysOne) {
  scratch.write("data/10.toml", "elsewhere\n");
  std::filesystem::create_symlink(scratch / "data/10.toml", scratch / "etc/conf.d/10.toml");
  ASSERT_TRUE(place.put({{"conf.d/10.toml", "new\n"}}));
  EXPECT_TRUE(std::filesystem::is_symlink(scratch / "etc/conf.d/10.toml"));
  EXPECT_EQ(*read_file(scratch / "data/10.toml", 1000), "new\n");
}

TEST_F(ConfigFilesTest, WhatDoesNotChangeIsNotWritten) {
  const FileStamp before = file_stamp(scratch / "etc/fieldpost.toml");
  ASSERT_TRUE(place.put({{"fieldpost.toml", "main\n"}, {"conf.d/10-gateway.toml", "new\n"}}));
  EXPECT_EQ(file_stamp(scratch / "etc/fieldpost.toml"), before);
}

TEST_F(ConfigFilesTest, AFileOrAFolderIsAChange) {
  const ConfigFiles present = *place.read();
  ConfigFiles wanted = present;
  wanted["conf.d/30-more.toml"] = "more\n";
  EXPECT_EQ(*with_changes(scratch.write("30-more.toml", "more\n"), present), wanted);
  wanted = present;
  wanted["fieldpost.toml"] = "new\n";
  EXPECT_EQ(*with_changes(scratch.write("fieldpost.toml", "new\n"), present), wanted);
  scratch.write("whole/conf.d/only.toml", "only\n");
  EXPECT_EQ(*with_changes(scratch / "whole", present),
            (ConfigFiles{{"fieldpost.toml", "main\n"}, {"conf.d/only.toml", "only\n"}}));
  std::filesystem::create_directories(scratch / "empty");
  for (const std::string& path :
       {scratch / "empty", scratch / "missing.toml", scratch.write("notes.txt", "")}) {
    EXPECT_FALSE(with_changes(path, present)) << path;
  }
}

TEST_F(ConfigFilesTest, TheProfilesAreSomeOfThem) {
  scratch.write("etc/profiles/i2c/door.toml", "door\n");
  scratch.write("etc/profiles/i2c/.door.toml", "of an editor\n");
  ConfigFiles wanted = *place.read();
  ASSERT_EQ(wanted.at("profiles/i2c/door.toml"), "door\n");
  ASSERT_EQ(wanted.size(), 3u);
  const auto noted = to_texts(place.rights());
  wanted.erase("profiles/i2c/door.toml");
  wanted["profiles/modbus/meter.toml"] = "meter\n";
  const mode_t umask_before = ::umask(077);
  ASSERT_TRUE(place.put(wanted));
  ::umask(umask_before);
  EXPECT_EQ(content("profiles/modbus/meter.toml"), "meter\n");
  EXPECT_EQ(mode("profiles/modbus/meter.toml"), 0640u);
  EXPECT_EQ(mode("profiles/modbus"), 0755u);
  EXPECT_EQ(content("profiles/i2c/door.toml"), "missing");
  EXPECT_EQ(content("profiles/i2c/.door.toml"), "of an editor\n");
  EXPECT_EQ(noted.at("profiles/i2c/door.toml").substr(0, 4), "0600");
}

TEST_F(ConfigFilesTest, AFolderHasProfilesOrLeavesThoseThatAreThere) {
  scratch.write("etc/profiles/i2c/door.toml", "door\n");
  const ConfigFiles present = *place.read();
  scratch.write("whole/conf.d/only.toml", "only\n");
  ConfigFiles wanted{{"fieldpost.toml", "main\n"},
                     {"conf.d/only.toml", "only\n"},
                     {"profiles/i2c/door.toml", "door\n"}};
  EXPECT_EQ(*with_changes(scratch / "whole", present), wanted);
  scratch.write("whole/profiles/modbus/meter.toml", "meter\n");
  wanted.erase("profiles/i2c/door.toml");
  wanted["profiles/modbus/meter.toml"] = "meter\n";
  EXPECT_EQ(*with_changes(scratch / "whole", present), wanted);
  scratch.write("profiles-only/profiles/modbus/meter.toml", "meter\n");
  EXPECT_FALSE(with_changes(scratch / "profiles-only", present)) << "it would empty conf.d";
}

// They come from the agent, which may not write there itself.
TEST_F(ConfigFilesTest, ANameThatLeadsElsewhereIsRefused) {
  const ConfigFiles present = *place.read();
  for (const char* name : {"", "x.toml", "conf.d/x", "conf.d/../x.toml", "conf.d/.x.toml",
                           "profiles/x.toml", "profiles/../x.toml", "profiles/i2c/../x.toml",
                           "profiles/../../x.toml", "other/x.toml", "/x.toml"}) {
    ConfigFiles wanted = present;
    wanted[name] = "x";
    EXPECT_FALSE(place.put(wanted)) << name;
    EXPECT_EQ(*place.read(), present) << name;
  }
}

TEST_F(ConfigFilesTest, AFileThatIsNamedHasItsFolderBesideIt) {
  const ConfigPlace file(scratch / "etc/fieldpost.toml");
  EXPECT_EQ(*file.read(), *place.read());
  EXPECT_EQ(file.path_of("conf.d/x.toml"), scratch / "etc/conf.d/x.toml");
  EXPECT_EQ(file.path_of("fieldpost.toml"), scratch / "etc/fieldpost.toml");
}

}  // namespace
}  // namespace fieldpost::cli
