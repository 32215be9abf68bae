// SPDX-License-Identifier: Apache-2.0
#include "uplink/try_login.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "fakes/broker.hpp"
#include "fakes/certificates.hpp"
#include "fakes/losant_broker.hpp"
#include "fakes/test_env.hpp"

namespace fieldpost::test {
namespace {

using std::chrono::seconds;

class Site {
 public:
  explicit Site(uint16_t port) {
    options.run_dir = folder_ / "run";
    options.client_id = "575ecf887ae143cd83dc4aa2";
    options.keepalive = seconds(30);
    options.connect_timeout = seconds(10);
    options.access_key_file = write("key", kAccessKey);
    options.access_secret_file = write("secret", kAccessSecret);
    broker.host = "localhost";
    broker.port = port;
  }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name) << text;
    return folder_ / name;
  }
  // What went wrong; "" if nothing did.
  std::string trouble(std::chrono::milliseconds limit = seconds(30)) const {
    const auto done = try_login(options, broker, limit);
    return done ? "" : done.error().message;
  }

  Uplink::Options options;
  BrokerAddress broker;

 private:
  TempDir folder_;
};

TEST(TryLogin, IsAcceptedAndGoesAgain) {
  const Broker broker;
  const Site site(broker.port());
  EXPECT_EQ(site.trouble(), "");
  EXPECT_EQ(site.trouble(), "");  // the first one has gone in order
  EXPECT_EQ(broker.log().find("already connected"), std::string::npos) << broker.log();
}

TEST(TryLogin, SaysWhichStepFailed) {
  Site site(free_port());
  site.broker.host = "127.0.0.1";
  EXPECT_EQ(site.trouble(),
            "connect 127.0.0.1:" + std::to_string(site.broker.port) + ": Connection refused");
  site.options.access_key_file = "/nowhere/key";
  EXPECT_NE(site.trouble().find("/nowhere/key"), std::string::npos);
}

TEST(TryLogin, SaysThatTheBrokerRefusesUs) {
  const Broker broker({.extra = "allow_anonymous false"});
  const Site site(broker.port());
  EXPECT_NE(site.trouble().find("does not let us in"), std::string::npos) << site.trouble();
}

TEST(TryLogin, ChecksTheCertificateAsTheUplinkDoes) {
  const Authority authority;
  const auto certificate = authority.issue("DNS:localhost");
  const Broker broker({.certificate = certificate.file, .key = certificate.key});
  Site site(broker.port());
  site.broker.tls = true;
  EXPECT_NE(site.trouble().find("certificate"), std::string::npos) << site.trouble();
  site.options.ca_file = authority.ca_file();
  EXPECT_EQ(site.trouble(), "");
}

TEST(TryLogin, DoesNotWaitForABrokerThatSaysNothing) {
  const Broker broker;
  broker.freeze();
  const Site site(broker.port());
  const std::string trouble = site.trouble(std::chrono::milliseconds(500));
  broker.thaw();
  EXPECT_NE(trouble.find("log in as 575ecf887ae143cd83dc4aa2: no end within 500 ms"),
            std::string::npos)
      << trouble;
}

}  // namespace
}  // namespace fieldpost::test
