// SPDX-License-Identifier: Apache-2.0
#include "cli/mask.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "cli/masked_config.hpp"
#include "fakes/test_env.hpp"

namespace fieldpost::cli {
namespace {

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
  const std::string out = masked_config(
      "x.toml",
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
          "options.args = [\"--password\", \"--secret=in-an-argument\", '--pin', 'behind']\n"
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
                "12: plugin.options.args = [\"--password\", \"--secret=***\", \"--pin\", \"***\"]\n"
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
