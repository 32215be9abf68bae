// SPDX-License-Identifier: Apache-2.0
#include "supervisor/discretion.hpp"

#include <gtest/gtest.h>

namespace fieldpost {
namespace {

TEST(WithoutSecrets, HidesWhatStandsWhereSecretsDo) {
  const std::pair<const char*, const char*> cases[] = {
      {"connect tcp://192.168.1.20:502: timed out", "connect tcp://192.168.1.20:502: timed out"},
      {"GET http://bob:hunter2@h/x failed", "GET http://***@h/x failed"},
      {"http://bob:a/b@c@h/", "http://***@h/"},
      {"mail to a@b of mqtt://h", "mail to a@b of mqtt://h"},
      {"Password = hunter2, again", "Password = *** again"},
      {"pwd=hun,ter;2&x' again", "pwd=*** again"},
      {"password 'hunter 2' is wrong", "password *** is wrong"},
      {"login \"hunter2", "login ***"},
      {R"(secret: "hun\"ter2", again)", "secret: ***, again"},
      {"the password is wrong", "the password is wrong"},
      {"pass: hunter2 passwd=hunter2 pin: 1234 psk=hunter2",
       "pass: *** passwd=*** pin: *** psk=***"},
      {"https://h/x?sig=hunter2&signature=hunter2&y=1", "https://h/x?sig=***&signature=***&y=1"},
      {"pin 17: busy", "pin 17: busy"},
      {R"({"api_key":"hunter 2","x":1})", R"({"api_key":***,"x":1})"},
      {"GET http://h/x?token=hunter2&y=1: gone", "GET http://h/x?token=***&y=1: gone"},
      {"token=hunter2&2", "token=***"},
      {"Authorization: Bearer hunter2", "Authorization: ***"},
      {"sent 'Authorization: Digest user=\"a\", response=\"b\"'", "sent 'Authorization: ***"},
      {"authorization Basic aHVudGVyMg==", "authorization ***"},
      {"bearer hunter2", "bearer ***"},
      {"bearer: hunter2", "bearer: ***"},
      {"key: 'hunter2", "key: ***"},
      {"token=a token=hunter2", "token=*** token=***"},
      {"access_key_file: '/etc/k' does not exist", "access_key_file: '/etc/k' does not exist"},
      {"unknown key; did you mean 'url'?", "unknown key; did you mean 'url'?"},
      {"secret=", "secret="},
      {"bearer", "bearer"},
      {"", ""},
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(without_secrets(text), expected);
}

TEST(WithoutSecrets, IsPrintableAndShort) {
  EXPECT_EQ(without_secrets("a\nb\xff"), "a\\x0ab\\xff");
  EXPECT_LE(without_secrets(std::string(100'000, 'x')).size(), 210u);
  EXPECT_EQ(without_secrets(std::string(190, ' ') + "pwd=hunter2, a long tail").find("hunter"),
            std::string::npos);
}

}  // namespace
}  // namespace fieldpost
