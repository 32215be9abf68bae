// SPDX-License-Identifier: Apache-2.0
//
// Which files are read, how they are merged, what is kept of them, and secrets.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <chrono>

#include "config/diff.hpp"
#include "config/load.hpp"
#include "config/scratch.hpp"
#include "config/secret.hpp"
#include "fakes/fake_probe.hpp"

namespace fieldpost {
namespace {

using namespace std::chrono_literals;
using Lines = std::vector<std::string>;

class Files : public testing::Test {
 protected:
  Lines words(const Loaded& loaded) const { return scratch.words(loaded.problems); }
  Lines words_of(const std::string& path) { return words(load_config(path, probe)); }

  Scratch scratch;
  FakeProbe probe;
};

TEST_F(Files, ScalarsOverrideAndRowsAppendInTheOrderOfNames) {
  scratch.write("fieldpost.toml", kHead +
                                      "[uplink]\nurl = \"mqtt://a\"\nwindow_messages = 1\n"
                                      "[[plugin]]\nname = \"one\"\ntype = \"sim\"\n");
  scratch.write("conf.d/20-b.toml", "[uplink]\nurl = \"mqtt://c\"\n");
  scratch.write("conf.d/10-a.toml",
                "[uplink]\nurl = \"mqtt://b\"\nkeepalive = \"9s\"\n"
                "[[plugin]]\nname = \"two\"\ntype = \"sim\"\n"
                "options.attribute = \"w\"\n");
  scratch.write("conf.d/.hidden.toml", "broken");
  scratch.write("conf.d/README", "broken");
  scratch.write("conf.d/30.toml~", "broken");
  for (const std::string& path : {scratch.path(), scratch / "fieldpost.toml"}) {
    const Loaded loaded = load_config(path, probe);
    EXPECT_EQ(words(loaded), Lines{});
    EXPECT_EQ(loaded.config.uplink.brokers.at(0).host, "c");
    EXPECT_EQ(loaded.config.uplink.keepalive, 9s);
    EXPECT_EQ(loaded.config.uplink.window_messages, 1);
    ASSERT_EQ(loaded.config.plugins.size(), 2u);
    EXPECT_EQ(loaded.config.plugins[0].name, "one");
    EXPECT_EQ(loaded.config.plugins[1].name, "two");
    EXPECT_EQ(loaded.files.size(), 3u);
  }
}

TEST_F(Files, MessagesPointIntoTheFileThatWins) {
  scratch.write("fieldpost.toml", kHead +
                                      "[uplink]\nkeepalive = 1\n[[plugin]]\nname = \"one\"\n"
                                      "type = \"sim\"\n");
  scratch.write("conf.d/a.toml",
                "[uplink]\n\n  keepalive = 2\n[[plugin]]\nname = \"one\"\n"
                "type = \"sim\"\noptions.attribute = \"w\"\n[uplnk]\n");
  EXPECT_EQ(
      words_of(scratch.path()),
      (Lines{"~/conf.d/a.toml:3:15: uplink.keepalive: expected a duration such as \"5s\" from "
             "5s to 18h, got 2",
             "~/conf.d/a.toml:5:8: plugin.name: 'one' is already used at "
             "~/fieldpost.toml:7:8",
             "~/conf.d/a.toml:8:2: uplnk: unknown key; did you mean 'uplink'?"}));
}

TEST_F(Files, RowsOfAForeignFileAreExplained) {
  scratch.write("fieldpost.toml", kHead + "[[plugin]]\nname = \"one\"\ntype = \"sim\"\n");
  scratch.write("conf.d/a.toml", "[[plugin.register]]\naddress = 1\n");
  EXPECT_EQ(words_of(scratch.path()),
            Lines{"~/conf.d/a.toml:1:3: plugin: expected [[plugin]], got [plugin]; "
                  "[[plugin.register]] must follow its [[plugin]] in the same file"});
}

TEST_F(Files, AFolderMayDoWithDropInsAlone) {
  scratch.write("conf.d/10-gateway.toml", kHead);
  EXPECT_EQ(words_of(scratch.path()), Lines{});
  EXPECT_EQ(words_of(scratch / "fieldpost.toml"), Lines{"~/fieldpost.toml: does not exist"});
}

TEST_F(Files, ReportsWhatCannotBeReadAndNothingThatMayBeInIt) {
  scratch.write("fieldpost.toml", "config_version = \n");
  scratch.write("conf.d/a.toml",
                "[[plugin]]\nname = \"a\"\ntype = \"sim\"\ndevice = \"boiler\"\n"
                "interval = 5\n");
  scratch.write("conf.d/b.toml", "x = [\n");
  scratch.write("conf.d/c.toml", "# caf\xe9\n");
  scratch.write("conf.d/d.toml", std::string((size_t{1} << 20) + 1, '#'));
  std::filesystem::create_directory(scratch / "conf.d/e.toml");
  ASSERT_EQ(::mkfifo((scratch / "conf.d/f.toml").c_str(), 0600), 0);
  std::filesystem::create_symlink("nowhere", scratch / "conf.d/g.toml");
  const std::string interval =
      "~/conf.d/a.toml:5:12: plugin.interval: expected a duration from 10ms to 24h, or \"0s\", got "
      "5";
  EXPECT_EQ(
      words_of(scratch.path()),
      (Lines{"~/fieldpost.toml:1:18: syntax error in key-value pair: expected value, saw '\\n'",
             interval, "~/conf.d/b.toml:1:7: syntax error in array: encountered end-of-file",
             "~/conf.d/c.toml:1:6: not UTF-8; save the file in that encoding",
             "~/conf.d/d.toml: is too large: expected at most 1048576 bytes, got 1048577",
             "~/conf.d/e.toml: is a folder, not a file", "~/conf.d/f.toml: is not a regular file",
             "~/conf.d/g.toml: does not exist"}));
}

TEST_F(Files, SaysSoWhenThereIsNothing) {
  EXPECT_EQ(words_of(scratch / "nowhere.toml"), Lines{"~/nowhere.toml: does not exist"});
  EXPECT_EQ(words_of(scratch.path()), Lines{"~/fieldpost.toml: does not exist"});
  EXPECT_EQ(words_of(""), Lines{"the path of the configuration is empty"});
  scratch.write("empty.toml", "");
  EXPECT_EQ(words_of(scratch / "empty.toml").size(), 2u);
}

// A machine on which nobody has said anything yet is not one with a mistake.
TEST_F(Files, KnowsWhatIsNotSetUp) {
  const auto is_set_up = [&] { return load_config(scratch.path(), probe).set_up; };
  scratch.write("fieldpost.toml", example_config());  // what the package installs
  EXPECT_FALSE(is_set_up());
  scratch.write("conf.d/a.toml", "[[plugin]]\nname = \"x\"\ntype = \"none\"\n");
  EXPECT_FALSE(is_set_up());
  for (const char* id : {"\"575ecf887ae143cd83dc4aa2\"", "\"wrong!\"", "5"}) {
    scratch.write("conf.d/b.toml", std::string("[gateway]\ndevice_id = ") + id + "\n");
    EXPECT_TRUE(is_set_up()) << id;
  }
  scratch.write("conf.d/b.toml", "[gateway]\ndevice_id = \"\"\n");
  EXPECT_FALSE(is_set_up());
  scratch.write("conf.d/b.toml", "[gateway\n");  // it may well be said here
  EXPECT_TRUE(is_set_up());
}

// The library (3.3) recurses for every part of a dotted key: 300,000 of them ended the process.
TEST_F(Files, SurvivesKeysOfAbsurdDepth) {
  std::string dotted = "a";
  for (int i = 0; i < 300'000; ++i) dotted += ".a";
  const Lines refused{"~/f.toml:1:34: a key of more than 16 dots; nothing is nested that deeply"};
  EXPECT_EQ(words_of(scratch.write("f.toml", dotted + " = 1\n")), refused);
  EXPECT_EQ(words_of(scratch.write("f.toml", "[" + dotted + "]\n")),
            Lines{"~/f.toml:1:35: a key of more than 16 dots; nothing is nested that deeply"});
  EXPECT_EQ(words_of(scratch.write("f.toml", "x=''''''''''\n" + dotted + " = 1\n"))[0],
            "~/f.toml:2:34: a key of more than 16 dots; nothing is nested that deeply");
  EXPECT_NE(words_of(scratch.write("f.toml", "x = " + std::string(300'000, '[')))[0], "");
  const std::string text(100'000, '.');
  EXPECT_EQ(words_of(scratch.write("f.toml", kHead + "[[plugin]]\nname = \"a\"\ntype = \"sim\"\n" +
                                                 "options.file = '''x" + text + "''''' # " + text +
                                                 "\n")),
            Lines{"~/f.toml:7:16: plugin.options.file: expected at most 65536 bytes of text, got "
                  "100003"});
}

// ---- What is kept.

TEST_F(Files, KeepsWhatRanAndGivesItBack) {
  scratch.write("etc/demo.toml", kHead +
                                     "[[device]]\nname = \"b\"\n"
                                     "id = \"575ecf887ae143cd83dc4aa3\"\n"
                                     "[[plugin]]\nname = \"one\"\ntype = \"sim\"\n");
  scratch.write("etc/conf.d/a.toml",
                "[[plugin]]\nname = \"two\"\ntype = \"sim\"\n"
                "device = \"b\"\ninterval = \"10s\"\n");
  const Loaded loaded = load_config(scratch / "etc/demo.toml", probe);
  ASSERT_EQ(words(loaded), Lines{});
  const std::string kept = scratch / "state/config";
  std::filesystem::create_directory(scratch / "state");
  EXPECT_EQ(kept_from(kept), "");
  ASSERT_TRUE(keep_config(loaded, kept));
  EXPECT_EQ(scratch.words(kept_from(kept)), "~/etc/demo.toml");

  const Loaded again = load_config(kept, probe);
  EXPECT_EQ(words(again), Lines{});
  const ConfigDiff none = diff(loaded.config, again.config);
  EXPECT_TRUE(none.empty());
  EXPECT_EQ(none.unchanged.size(), 2u);
  EXPECT_EQ(scratch.words(again.config.devices[1].location.file), "~/state/config/fieldpost.toml");
  EXPECT_EQ(again.files.size(), 2u);

  // Running on what is kept does not make the copy its own origin.
  ASSERT_TRUE(keep_config(again, kept));
  EXPECT_EQ(scratch.words(kept_from(kept)), "~/etc/demo.toml");
}

TEST_F(Files, KeepingReplacesTheWholeFolderAndOnlyWhenItMust) {
  scratch.write("fieldpost.toml", kHead);
  scratch.write("conf.d/old.toml", "[gateway]\nname = \"old\"\n");
  const std::string kept = scratch / "kept";
  ASSERT_TRUE(keep_config(load_config(scratch.path(), probe), kept));
  EXPECT_EQ(load_config(kept, probe).config.gateway.name, "old");
  const auto inode = [&] {
    struct stat info {};
    EXPECT_EQ(::stat((kept + "/fieldpost.toml").c_str(), &info), 0);
    return std::pair(info.st_ino, info.st_mtim.tv_nsec);
  };
  const auto before = inode();
  ASSERT_TRUE(keep_config(load_config(scratch.path(), probe), kept));
  EXPECT_EQ(inode(), before);

  std::filesystem::remove(scratch / "conf.d/old.toml");
  scratch.write("kept.new/conf.d/torn.toml", "left by a power cut");
  ASSERT_TRUE(keep_config(load_config(scratch.path(), probe), kept));
  const Loaded again = load_config(kept, probe);
  EXPECT_EQ(words(again), Lines{});
  EXPECT_EQ(again.config.gateway.name, "gateway");
  EXPECT_FALSE(std::filesystem::exists(kept + ".new"));
}

TEST_F(Files, KeepsNothingThatDoesNotWork) {
  scratch.write("fieldpost.toml", kHead + "nonsense = 1\n");
  const auto kept = keep_config(load_config(scratch.path(), probe), scratch / "kept");
  ASSERT_FALSE(kept);
  EXPECT_EQ(kept.error().code, Errc::Invalid);
  EXPECT_FALSE(std::filesystem::exists(scratch / "kept"));
  scratch.write("good/fieldpost.toml", kHead);
  scratch.write("file", "");
  const auto blocked = keep_config(load_config(scratch / "good", probe), scratch / "file/config");
  ASSERT_FALSE(blocked);
  EXPECT_EQ(blocked.error().code, Errc::Io);
}

// A broken configuration and, at the same start, a secret that moved and plugins that were
// upgraded: the site still reads what it can.
TEST_F(Files, WhatChangedAroundAKeptCopyCostsAsLittleAsItCan) {
  const std::string key = scratch.write("key", "x");
  scratch.write("fieldpost.toml", kHead + "[uplink]\naccess_key_file = \"" + key +
                                      "\"\n[[plugin]]\nname = \"a\"\ntype = \"sim\"\n"
                                      "options.count = 2\n"
                                      "[[plugin]]\nname = \"b\"\ntype = \"gpio\"\n"
                                      "[[plugin]]\nname = \"c\"\ntype = \"modbus\"\n"
                                      "options.url = \"tcp://h\"\n");
  const std::string kept = scratch / "kept";
  ASSERT_TRUE(keep_config(load_config(scratch.path(), probe), kept));

  std::filesystem::remove(key);
  PluginInfo upgraded;
  upgraded.type = "sim";
  probe.add(upgraded);
  PluginProbe::Verdict complaint;
  complaint.complaints.push_back({0, "chip", "no longer understood"});
  probe.verdicts.insert_or_assign("gpio", complaint);
  EXPECT_FALSE(load_config(scratch.path(), probe).usable());
  const Loaded again = load_config(kept, probe);
  EXPECT_TRUE(again.usable());
  EXPECT_EQ(words(again),
            (Lines{"~/kept/fieldpost.toml:5:19: warning: uplink.access_key_file: '~/key' does not "
                   "exist",
                   "~/kept/fieldpost.toml:9:9: plugin.options.count: unknown key",
                   "~/kept/fieldpost.toml:10:1: plugin.options.chip: no longer understood"}));
  ASSERT_EQ(again.config.plugins.size(), 3u);
  EXPECT_EQ(again.config.plugins[0].failed, "plugin.options.count: unknown key");
  EXPECT_EQ(again.config.plugins[1].failed, "plugin.options.chip: no longer understood");
  EXPECT_EQ(again.config.plugins[2].failed, "");
}

// ---- Secrets.

constexpr const char* kKey = "0c0d5f2c-6a3b-4d7e-9f10-123456789abc";
const std::string kSecret(64, 'a');

class Secrets : public Files {
 protected:
  void TearDown() override { ::unsetenv("CREDENTIALS_DIRECTORY"); }
  Lines with(const std::string& key, const std::string& secret) {
    scratch.write("key", key);
    scratch.write("secret", secret);
    return words_of(scratch.write("f.toml", kHead + "[uplink]\naccess_key_file = \"" +
                                                (scratch / "key") + "\"\naccess_secret_file = \"" +
                                                (scratch / "secret") + "\"\n"));
  }
};

TEST_F(Secrets, AreOneLineOfText) {
  EXPECT_EQ(with(kKey, kSecret), Lines{});
  EXPECT_EQ(with(std::string(kKey) + "\n", kSecret + "\r\n"), Lines{});
  EXPECT_EQ(read_secret(scratch / "secret").value(), kSecret);
  const std::string key = "~/f.toml:5:19: uplink.access_key_file: '~/key' ";
  EXPECT_EQ(with("", kSecret), Lines{key + "is empty"});
  EXPECT_EQ(with("\n", kSecret), Lines{key + "is empty"});
  EXPECT_EQ(with("a\nb\n", kSecret), Lines{key + "has several lines; expected one"});
  EXPECT_EQ(with("a\tb", kSecret), Lines{key + "holds control characters; expected text"});
  EXPECT_EQ(with("a\xff", kSecret), Lines{key + "holds control characters; expected text"});
  EXPECT_EQ(with(std::string(5000, 'x'), kSecret),
            Lines{key + "is too large: expected at most 4096 bytes, got 5000"});
}

TEST_F(Secrets, HaveFormsThatLosantGivesThem) {
  EXPECT_TRUE(is_losant_key("7c2c1a0e-61b5-4b36-9a5e-2a9d4b1f0c55"));
  for (const char* no :
       {"", "7c2c1a0e61b54b369a5e2a9d4b1f0c55", "7c2c1a0e-61b5-4b36-9a5e-2a9d4b1f0c5",
        "7c2c1a0e-61b5-4b36-9a5e-2a9d4b1f0c5g"}) {
    EXPECT_FALSE(is_losant_key(no)) << no;
  }
  EXPECT_TRUE(is_losant_secret(std::string(64, 'A')));
  EXPECT_FALSE(is_losant_secret(std::string(63, 'a')));
  EXPECT_FALSE(is_losant_secret(std::string(64, 'x')));
  EXPECT_TRUE(check_secret("any text"));
  EXPECT_EQ(check_secret(std::string(5000, 'a')).error().message,
            "is too long; expected at most 4 KiB");
}

TEST_F(Secrets, OfAnotherFormThanLosantsAreAWarning) {
  EXPECT_EQ(with("me", "hunter2"),
            (Lines{"~/f.toml:5:19: warning: uplink.access_key_file: what '~/key' holds does not "
                   "look like a Losant access key (a UUID)",
                   "~/f.toml:6:22: warning: uplink.access_secret_file: what '~/secret' holds does "
                   "not look like a Losant access secret (64 hex digits)"}));
  EXPECT_TRUE(load_config(scratch / "f.toml", probe).usable());
}

TEST_F(Secrets, ThatEverybodyCanReadAreAWarning) {
  ASSERT_EQ(with(kKey, kSecret), Lines{});
  std::filesystem::permissions(scratch / "secret", std::filesystem::perms(0644));
  EXPECT_EQ(
      words_of(scratch / "f.toml"),
      Lines{"~/f.toml:6:22: warning: uplink.access_secret_file: everybody on this machine can "
            "read '~/secret'; chmod o= takes that away"});
}

TEST_F(Secrets, NeedAUserName) {
  scratch.write("secret", kSecret);
  EXPECT_EQ(
      words_of(scratch.write(
          "f.toml", kHead + "[uplink]\naccess_secret_file = \"" + (scratch / "secret") + "\"\n")),
      Lines{"~/f.toml:5:1: uplink.access_secret_file: expected access_key_file beside it: MQTT "
            "knows no password without a user name"});
}

TEST_F(Secrets, ComeFromSystemdUnlessAFileIsNamed) {
  scratch.write("credentials/fieldpost_access_key", kKey);
  scratch.write("credentials/fieldpost_access_secret", kSecret);
  ::setenv("CREDENTIALS_DIRECTORY", (scratch / "credentials").c_str(), 1);
  const std::string file = scratch.write("f.toml", kHead);
  Loaded loaded = load_config(file, probe);
  EXPECT_EQ(words(loaded), Lines{});
  EXPECT_EQ(loaded.config.uplink.access_key_file, scratch / "credentials/fieldpost_access_key");
  EXPECT_EQ(loaded.config.uplink.access_secret_file,
            scratch / "credentials/fieldpost_access_secret");

  EXPECT_EQ(with(kKey, kSecret), Lines{});
  EXPECT_EQ(load_config(scratch / "f.toml", probe).config.uplink.access_key_file, scratch / "key");

  scratch.write("f.toml", kHead);
  scratch.write("credentials/fieldpost_access_secret", "two\nlines\n");
  EXPECT_EQ(words_of(file),
            Lines{"~/credentials/fieldpost_access_secret: uplink.access_secret_file: "
                  "'~/credentials/fieldpost_access_secret' has several lines; "
                  "expected one"});
  std::filesystem::remove_all(scratch / "credentials");
  loaded = load_config(file, probe);
  EXPECT_EQ(words(loaded), Lines{});
  EXPECT_EQ(loaded.config.uplink.access_key_file, "");
}

TEST_F(Secrets, ThatOthersCanChangeAreAWarningAndAGroupThatReadsIsNot) {
  ASSERT_EQ(with(kKey, kSecret), Lines{});
  std::filesystem::permissions(scratch / "secret", std::filesystem::perms(0640));
  EXPECT_EQ(words_of(scratch / "f.toml"), Lines{});
  std::filesystem::permissions(scratch / "secret", std::filesystem::perms(0620));
  EXPECT_EQ(words_of(scratch / "f.toml"),
            Lines{"~/f.toml:6:22: warning: uplink.access_secret_file: others can change "
                  "'~/secret'; chmod go-w takes that away"});
}

TEST_F(Secrets, OfAClientsCertificateAreGuardedAlike) {
  const std::string cert = scratch.write("cert", "x");
  const std::string key = scratch.write("key", "x");
  const std::string file = scratch.write(
      "f.toml", kHead + "[uplink]\ncert_file = \"" + cert + "\"\nkey_file = \"" + key + "\"\n");
  EXPECT_EQ(words_of(file), Lines{});
  std::filesystem::permissions(key, std::filesystem::perms(0644));
  EXPECT_EQ(words_of(file), Lines{"~/f.toml:6:12: warning: uplink.key_file: everybody on this "
                                  "machine can read '~/key'; chmod o= takes that away"});
}

TEST_F(Secrets, BelowEtcAreNotKeptFromPlugins) {
  const std::string there = scratch / "link";
  std::filesystem::create_symlink("/etc/passwd", there);
  EXPECT_EQ(words_of(scratch.write("f.toml", kHead + "[uplink]\ncert_file = \"/etc/passwd\"\n" +
                                                 "key_file = \"" + there + "\"\n")),
            (Lines{"~/f.toml:6:12: warning: uplink.key_file: everybody on this machine can read "
                   "'~/link'; chmod o= takes that away",
                   "~/f.toml:6:12: warning: uplink.key_file: plugins can read '~/link' as the "
                   "agent can, like all below /etc; they are kept from what lies in "
                   "/etc/fieldpost/credentials if this key is left out"}));
  UplinkConfig uplink;
  EXPECT_EQ(secrets_to_hide(uplink), Lines{});
  uplink.access_key_file = "/etc/fieldpost/none";
  uplink.access_secret_file = "/srv/../etc/none";
  uplink.proxy_login_file = "/etcetera/none";
  uplink.key_file = there;
  EXPECT_EQ(secrets_to_hide(uplink), Lines{"/etcetera/none"});
}

TEST_F(Secrets, ForProxyAndCertificateComeFromSystemdAsWell) {
  for (const char* name : {"proxy_login", "client_cert", "client_key"}) {
    scratch.write(std::string("credentials/fieldpost_") + name, "a:b");
  }
  ::setenv("CREDENTIALS_DIRECTORY", (scratch / "credentials").c_str(), 1);
  const Loaded loaded =
      load_config(scratch.write("f.toml", kHead + "[uplink]\nproxy = \"http://h:3128\"\n"), probe);
  EXPECT_EQ(words(loaded), Lines{});
  const UplinkConfig& uplink = loaded.config.uplink;
  EXPECT_EQ(uplink.proxy_host, "h");
  EXPECT_EQ(uplink.proxy_port, 3128);
  EXPECT_EQ(uplink.proxy_login_file, scratch / "credentials/fieldpost_proxy_login");
  EXPECT_EQ(uplink.cert_file, scratch / "credentials/fieldpost_client_cert");
  EXPECT_EQ(uplink.key_file, scratch / "credentials/fieldpost_client_key");
}

}  // namespace
}  // namespace fieldpost
