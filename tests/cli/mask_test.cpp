// SPDX-License-Identifier: Apache-2.0
#include "cli/mask.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "cli/masked_config.hpp"
#include "fakes/test_env.hpp"

namespace fieldpost::cli {
namespace {

const std::string kHex64 = std::string(32, 'a') + std::string(32, '7');

std::string masked(const std::string& text) { return Mask().text(text); }

TEST(Mask, KnowsTheNamesOfSecrets) {
  for (const char* name :
       {"password",    "Password",   "PASSWD",          "db_password",   "passphrase",
        "pass",        "pwd",        "token",           "accessToken",   "API_KEY",
        "apikey",      "key",        "access_key",      "secret",        "client-secret",
        "psk",         "auth",       "login",           "Authorization", "community",
        "credentials", "--password", "options.password"}) {
    EXPECT_TRUE(names_secret(name)) << name;
  }
  for (const char* name :
       {"access_key_file", "key_file", "token_path", "pin", "url", "name", "keepalive", "address",
        "attribute", "bypass", "compass", "interval", "device_id"}) {
    EXPECT_FALSE(names_secret(name)) << name;
  }
}

TEST(Mask, MasksWhatHasTheFormOfASecret) {
  const std::string cases[] = {
      "connect to rtsp://admin:hunter2@10.0.0.9/video: refused",
      "url=mqtt://hunter2@broker",
      "password=hunter2",
      "password = \"hunter2\"",
      "password = 'hunter2 and more'",
      "\"password\": \"a \\\" hunter2\", \"next\": 1",
      "{\\\"password\\\":\\\"hunter2\\\",\\\"next\\\":1}",
      "Authorization: Bearer hunter2",
      "auth=Bearer hunter2",
      "auth = {user = \"x\", word = \"hunter2\"}",
      "run --password hunter2 --fast",
      "run --api-key='hunter2 x'",
      "MQTT_PASSWORD=hunter2 /usr/bin/thing",
      "GET /?token=hunter2",
      "the password hunter2 was refused",
      "plugin.options.password: expected a whole number, got hunter2",
      "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----",
  };
  for (const std::string& text : cases) {
    const std::string out = masked(text);
    EXPECT_EQ(out.find("hunter2"), std::string::npos) << out;
    EXPECT_NE(out.find(kMasked), std::string::npos) << out;
  }
  EXPECT_EQ(masked("secret is " + kHex64 + "."), "secret is ***.");
}

TEST(Mask, LeavesTheRestReadable) {
  const std::string cases[] = {
      "a secret is not kept: 'access_secret_file' is empty",
      "uplink.access_key_file: '/etc/fieldpost/credentials/access_key' is empty",
      "no connection to the broker: connect to mqtts://broker.losant.com: Connection refused",
      "2026-11-27T21:00:00.000Z 0a1b2c3d +12s warning plc: the plugin ended FP_COUNT=3",
      "unknown key; did you mean 'table'?",
      "boot 0a1b2c3d-0000-4000-8000-000000000001",
  };
  for (const std::string& text : cases) EXPECT_EQ(masked(text), text);
  EXPECT_EQ(masked("rtsp://admin:hunter2@10.0.0.9/video"), "rtsp://***@10.0.0.9/video");
}

TEST(Mask, MasksWhatItKnowsWhereverItStands) {
  Mask mask;
  mask.learn("correct horse");
  mask.learn("correct horse battery");
  mask.learn("tab\there");
  mask.learn("abc");  // too short
  EXPECT_EQ(mask.text("xcorrect horse battery, correct horse"), "x***, ***");
  EXPECT_EQ(mask.text("as logs write it: tab\\x09here; as JSON does: tab\\there"),
            "as logs write it: ***; as JSON does: ***");
  EXPECT_EQ(mask.text("abc"), "abc");
  mask.learn_from("rtsp://admin:hunter2@camera/");
  EXPECT_EQ(mask.text("sent hunter2"), "sent ***");
}

TEST(Mask, JsonIsMaskedByNameAndByText) {
  Mask mask;
  mask.learn("hunter2");
  const Json json{{"a", {{"password", {1, 2}}, {"b", Json::array({"x hunter2", 3, true})}}},
                  {"c", 1}};
  EXPECT_EQ(dump_json(mask.json(json)), R"({"a":{"password":"***","b":["x ***",3,true]},"c":1})");
}

TEST(MaskedConfig, ListsWhatIsSetWithoutSecrets) {
  const test::TempDir dir;
  std::ofstream(dir / "key") << "from-a-file\n";
  std::ofstream(dir / "login") << "me:from-a-login\r\n";
  Mask mask;
  const std::string out =
      masked_config("x.toml",
                    "# the password is in-a-comment\n"
                    "[uplink]\n"
                    "url = \"mqtt://broker\"  # once-was-here\n"
                    "access_key_file = \"" +
                        (dir / "key") +
                        "\"\n"
                        "proxy_login_file = \"" +
                        (dir / "login") +
                        "\"\n"
                        "[[plugin]]\n"
                        "options.password = '''many\nlines'''\n"
                        "options.pass = 123456\n"
                        "options.auth = { user = 'me', word = 'in-a-table' }\n"
                        "options.tokens = ['in-a-list', 7]\n"
                        "options.args = [\"--password\", \"--secret=in-an-argument\"]\n"
                        "options.on = true\n",
                    mask);
  EXPECT_EQ(out,
            "3: uplink.url = \"mqtt://broker\"\n"
            "4: uplink.access_key_file = \"" +
                (dir / "key") +
                "\"\n"
                "5: uplink.proxy_login_file = \"" +
                (dir / "login") +
                "\"\n"
                "6: [[plugin]]\n"
                "7: plugin.options.password = \"***\"\n"
                "9: plugin.options.pass = \"***\"\n"
                "10: plugin.options.auth.user = \"***\"\n"
                "10: plugin.options.auth.word = \"***\"\n"
                "11: plugin.options.tokens = [\"***\", \"***\"]\n"
                "12: plugin.options.args = [\"--password\", \"--secret=***\"]\n"
                "13: plugin.options.on = true\n");
  for (const char* secret : {"many\\x0alines", "many\\nlines", "123456", "in-a-table", "in-a-list",
                             "in-an-argument", "from-a-file", "from-a-login"}) {
    EXPECT_EQ(mask.text("x " + std::string(secret) + " y"), "x *** y");
  }
}

TEST(MaskedConfig, OfAnErrorOnlyTheLineIsSaid) {
  Mask mask;
  EXPECT_EQ(masked_config("x.toml", "a = 1\npassword = \"hunter2\n", mask),
            "syntax error in line 2\n");
}

}  // namespace
}  // namespace fieldpost::cli
