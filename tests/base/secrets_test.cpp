// SPDX-License-Identifier: Apache-2.0
#include "base/secrets.hpp"

#include <gtest/gtest.h>

#include <ctime>

namespace fieldpost {
namespace {

const std::string kHex64 = std::string(32, 'a') + std::string(32, '7');

TEST(Secrets, KnowsTheNamesOfSecrets) {
  for (const char* name : {"password",
                           "Password",
                           "PASSWD",
                           "db_password",
                           "passphrase",
                           "pass",
                           "pwd",
                           "token",
                           "accessToken",
                           "API_KEY",
                           "apikey",
                           "key",
                           "access_key",
                           "secret",
                           "client-secret",
                           "psk",
                           "auth",
                           "login",
                           "Authorization",
                           "community",
                           "credentials",
                           "--password",
                           "options.password",
                           "wifikey",
                           "donkeyKey",
                           "sshkeys"}) {
    EXPECT_TRUE(names_secret(name)) << name;
  }
  for (const char* name : {"access_key_file", "key_file", "token_path", "pin_count", "url", "name",
                           "keepalive", "address", "attribute", "bypass", "compass", "interval",
                           "device_id", "monkey", "Hotkeys", "table.turkey"}) {
    EXPECT_FALSE(names_secret(name)) << name;
  }
}

TEST(Secrets, MasksWhatHasTheFormOfASecret) {
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
      R"(run ["--password", "hunter2", "--fast"])",
      "password=***-and-hunter2",
      "MQTT_PASSWORD=hunter2 /usr/bin/thing",
      "GET /?token=hunter2",
      "the password hunter2 was refused",
      "plugin.options.password: expected a whole number, got hunter2",
      "password is hunter2",
      "the Password is: hunter2.",
      "the passphrase was 'hunter2 and more', they say",
      "the secret: hunter2",
      "secret => hunter2",
      "token := hunter2",
      "the password of the PLC is hunter2",
      "the password for user admin was changed to hunter2",
      "access_secret has been set to hunter2",
      "the token is now \"hunter2\"",
      "api key is hunter2",
      "the key of 40001 is hunter2",
      "register key: hunter2",
      "the register key of the PLC is hunter2",
      "the password of register key of 40001 is hunter2",
      "monkey_key=hunter2",
      "monkey_token is hunter2",
      "my-apikey: hunter2",
      "secret key: hunter2 not found",
      "secret = hunter2, not found",
      "the password is hunter2 characters long",
      "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----",
  };
  for (const std::string& text : cases) {
    const std::string out = mask_secrets(text);
    EXPECT_EQ(out.find("hunter2"), std::string::npos) << out;
    EXPECT_NE(out.find(kMasked), std::string::npos) << out;
  }
  EXPECT_EQ(mask_secrets("secret is " + kHex64 + "."), "secret is ***.");
  EXPECT_EQ(mask_secrets("the password is swordfish, not sword"), "the password is ***, not sword");
  EXPECT_EQ(mask_secrets("the passcode is 4711 characters"), "the passcode is *** characters");
  EXPECT_EQ(mask_secrets("the password is 8 or so"), "the password is *** or so");
  EXPECT_EQ(mask_secrets("password: not"), "password: ***");
  EXPECT_EQ(mask_secrets("password: not\nfound"), "password: ***\nfound");
  EXPECT_EQ(mask_secrets("password: missing"), "password: ***");
  EXPECT_EQ(mask_secrets("password=not found"), "password=*** found");
  EXPECT_EQ(mask_secrets("\"password\": not found"), "\"password\": *** found");
  EXPECT_EQ(mask_secrets("password: not swordfish"), "password: *** swordfish");
}

TEST(Secrets, LeavesTheRestReadable) {
  const std::string cases[] = {
      "a secret is not kept: 'access_secret_file' is empty",
      "uplink.access_key_file: '/etc/fieldpost/credentials/access_key' is empty",
      "no connection to the broker: connect to mqtts://broker.losant.com: Connection refused",
      "2026-11-27T21:00:00.000Z 0a1b2c3d +12s warning plc: the plugin ended FP_COUNT=3",
      "unknown key; did you mean 'table'?",
      "the password is wrong",
      "the token is not valid any more",
      "the secret of the broker is missing: the file is empty",
      "the password was refused by the broker",
      "a password is needed to log in",
      "the key is missing",
      "the pin is 17",
      "the password was changed by the operator",
      "the token to use is in the file",
      "it asks for a password",
      "secret key: not found",
      "plugin.options.token: not set, or too short",
      "access_token: about to expire",
      "the token is about to expire",
      "the token was sent to the broker",
      "the token was accepted",
      "the token was rejected: it expired",
      "the password is 8 characters long",
      "the passphrase of the PLC was 12 bytes, expected 16",
      "register key of 40001 is 7",
      "the monkey is 12",
      "monkey: 12",
      "hotkeys=F1",
      "password authentication is off",
      "boot 0a1b2c3d-0000-4000-8000-000000000001",
  };
  for (const std::string& text : cases) EXPECT_EQ(mask_secrets(text), text);
  for (const char* text : {"password=***, again", "[\"password\": \"***\"]"}) {
    EXPECT_EQ(mask_secrets(text), text) << "it is masked already";
  }
  EXPECT_EQ(mask_secrets("rtsp://admin:hunter2@10.0.0.9/video"), "rtsp://***@10.0.0.9/video");
}

// Looked through with each name anew, one of these takes from ten seconds to minutes.
TEST(Secrets, LongLinesTakeTimeInProportion) {
  constexpr size_t kBytes = 200'000;
  constexpr double kSeconds = 2;  // of the processor; ten times what the slowest takes
  const std::string parts[] = {
      "token of ",
      "key of a ",
      "token was set ",
      "token=a&",
      "token=",
      "token={",
      "token='\\'",
      "http://x?token=a;",
      "token=***;",
      "token expected ",
      "authorization ",
      "authorization",
      "://",
      "://a",
      "a@b://",
      "PRIVATE KEY-----",
      "token is \\x ",
      "token of key=1 is \\x ",
      "--password=",
      "auth=bearer ",
  };
  for (const std::string& part : parts) {
    for (const char* before : {"", "http://"}) {
      std::string text = before;
      while (text.size() < kBytes) text += part;
      const std::clock_t start = std::clock();
      (void)mask_secrets(text + std::string(kBytes, ';'));
      EXPECT_LT(static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC, kSeconds) << part;
    }
  }
}

}  // namespace
}  // namespace fieldpost
