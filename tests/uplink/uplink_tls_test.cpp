// SPDX-License-Identifier: Apache-2.0
//
// TLS: what is accepted, and in which words the rest is refused.
#include <gtest/gtest.h>

#include "fakes/broker.hpp"
#include "fakes/cable.hpp"
#include "fakes/certificates.hpp"
#include "fakes/losant_broker.hpp"
#include "fakes/mqtt_server.hpp"
#include "uplink/harness.hpp"

namespace fieldpost::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using State = UplinkStatus::State;

class UplinkTls : public ::testing::Test {
 protected:
  // Expects a broker with this certificate to be refused.
  void expect_refused(const Certificate& certificate, const std::string& ca_file,
                      const std::string& words) {
    const Broker broker({.certificate = certificate.file, .key = certificate.key, .extra = {}});
    Harness harness(broker.port());
    use_tls(harness, ca_file);
    harness.start();
    EXPECT_TRUE(harness.wait_words(words)) << harness.reasons();
    EXPECT_EQ(harness.status().connections, 0);
  }
  static void use_tls(Harness& harness, const std::string& ca_file) {
    harness.broker().tls = true;
    harness.broker().host = "localhost";
    harness.options.ca_file = ca_file;
  }

  Authority authority_;
};

TEST_F(UplinkTls, DeliversOverRestarts) {
  const Certificate certificate = authority_.issue("DNS:localhost");
  LosantBroker broker({.certificate = certificate.file, .key = certificate.key});
  Harness harness(broker.port());
  use_tls(harness, authority_.ca_file());
  const Subscriber subscriber(broker.port(), "losant/#", authority_.ca_file());
  for (int i = 0; i < 100; ++i) harness.append(kGateway, 100);
  harness.start();
  ASSERT_TRUE(harness.all_acknowledged()) << harness.reasons();
  broker.stop();
  for (int i = 0; i < 100; ++i) harness.append(kGateway, 100);
  ASSERT_TRUE(harness.wait_state(State::Waiting));
  broker.start();
  ASSERT_TRUE(harness.all_acknowledged()) << harness.reasons();
  ASSERT_TRUE(eventually([&] { return harness.status().readings == 20'000; }));
  ASSERT_TRUE(subscriber.wait_subscribed());
  EXPECT_TRUE(eventually([&] { return subscriber.count() >= 2; }));
}

TEST_F(UplinkTls, AcceptsACertificateForAnAddress) {
  const Certificate certificate = authority_.issue("IP:127.0.0.1");
  const LosantBroker broker({.certificate = certificate.file, .key = certificate.key});
  Harness harness(broker.port());
  use_tls(harness, authority_.ca_file());
  harness.broker().host = "127.0.0.1";
  harness.start();
  EXPECT_TRUE(harness.wait_state(State::Connected)) << harness.reasons();
}

TEST_F(UplinkTls, ReachesABrokerByIpv6AndChecksItsAddress) {
  const Certificate certificate = authority_.issue("IP:::1");
  const Broker broker({.certificate = certificate.file, .key = certificate.key, .extra = {}});
  const Cable six({.to = broker.port(), .ipv6 = true});
  Harness harness(six.port());
  use_tls(harness, authority_.ca_file());
  harness.broker().host = "::1";
  harness.append(kGateway, 1);
  harness.start();
  EXPECT_TRUE(harness.all_acknowledged()) << harness.reasons();
}

TEST_F(UplinkTls, AWrongAuthorityIsRefused) {
  const Authority other;
  expect_refused(authority_.issue("DNS:localhost"), other.ca_file(), "that we do not trust");
}

TEST_F(UplinkTls, TheSystemsStoreDoesNotKnowOurAuthority) {
  expect_refused(authority_.issue("DNS:localhost"), "", "that we do not trust");
}

TEST_F(UplinkTls, ACertificateForAnotherNameIsRefused) {
  expect_refused(authority_.issue("DNS:broker.example"), authority_.ca_file(),
                 "TLS with localhost: the certificate is not for localhost");
}

TEST_F(UplinkTls, AnExpiredCertificateIsRefused) {
  expect_refused(authority_.issue("DNS:localhost", -30, -2), authority_.ca_file(),
                 "the certificate has expired (2");
}

TEST_F(UplinkTls, ACertificateOfTheFutureSaysWhatOurClockSays) {
  expect_refused(authority_.issue("DNS:localhost", 5, 30), authority_.ca_file(),
                 "our clock says 2");
}

TEST_F(UplinkTls, ASelfSignedCertificateIsRefused) {
  expect_refused(authority_.self_signed("DNS:localhost"), authority_.ca_file(),
                 "TLS with localhost: the certificate is self-signed");
}

TEST_F(UplinkTls, ACertificateThatBecomesValidEndsTheRefusal) {
  // As for a gateway whose clock is set later: nothing about TLS is final.
  const Certificate later = authority_.issue("DNS:localhost", 5, 30);
  const Certificate now = authority_.issue("DNS:localhost");
  Broker broker({.certificate = later.file, .key = later.key, .extra = {}});
  Harness harness(broker.port());
  use_tls(harness, authority_.ca_file());
  harness.start();
  ASSERT_TRUE(harness.wait_words("the certificate is not yet valid")) << harness.reasons();
  broker.stop();
  std::filesystem::copy_file(now.file, later.file,
                             std::filesystem::copy_options::overwrite_existing);
  std::filesystem::copy_file(now.key, later.key, std::filesystem::copy_options::overwrite_existing);
  broker.start();
  EXPECT_TRUE(harness.wait_state(State::Connected)) << harness.reasons();
}

TEST_F(UplinkTls, ABrokerThatIsAbsentAtTheFirstStartIsFoundLater) {
  const Certificate certificate = authority_.issue("DNS:localhost");
  Broker broker({.certificate = certificate.file, .key = certificate.key, .extra = {}});
  broker.stop();
  Harness harness(broker.port());
  use_tls(harness, authority_.ca_file());
  harness.append(kGateway, 1);
  harness.start();
  ASSERT_TRUE(harness.wait_words("Connection refused")) << harness.reasons();
  broker.start();
  EXPECT_TRUE(harness.all_acknowledged()) << harness.reasons();
}

// ---- A broker that wants to see a certificate.

class ClientCertificate : public UplinkTls {
 protected:
  ClientCertificate() : harness_(broker_.port()) { use_tls(harness_, authority_.ca_file()); }
  const Certificate server_ = authority_.issue("DNS:localhost");
  const Certificate ours_ = authority_.issue("DNS:gateway");
  const Broker broker_{{.certificate = server_.file,
                        .key = server_.key,
                        .extra = {},
                        .listener = "cafile " + authority_.ca_file() +
                                    "\nrequire_certificate true\nuse_identity_as_username true"}};
  Harness harness_;
};

TEST_F(ClientCertificate, LetsUsInWithoutKeyAndSecret) {
  harness_.options.cert_file = ours_.file;
  harness_.options.key_file = ours_.key;
  harness_.append(kGateway, 1);
  harness_.start();
  EXPECT_TRUE(harness_.all_acknowledged()) << harness_.reasons();
}

TEST_F(ClientCertificate, ThatIsMissingIsAskedFor) {
  harness_.start();
  EXPECT_TRUE(harness_.wait_words("the broker wants a certificate of ours (uplink.cert_file"))
      << harness_.reasons();
}

TEST_F(ClientCertificate, OfAnotherAuthorityIsRefused) {
  const Authority other;
  const Certificate theirs = other.issue("DNS:gateway");
  harness_.options.cert_file = theirs.file;
  harness_.options.key_file = theirs.key;
  harness_.start();
  EXPECT_TRUE(harness_.wait_words("the broker does not know the authority that signed our"))
      << harness_.reasons();
}

TEST_F(ClientCertificate, NeedsItsOwnKeyInTheClear) {
  harness_.options.cert_file = ours_.file;
  harness_.options.key_file = server_.key;
  harness_.start();
  EXPECT_TRUE(harness_.wait_words("holds no private key that goes with cert_file"))
      << harness_.reasons();
  // Not even a question at a terminal.
  const std::string encrypted = harness_.folder / "encrypted.key";
  run({"/usr/bin/openssl", "ec", "-aes256", "-passout", "pass:x", "-in", ours_.key, "-out",
       encrypted},
      harness_.folder / "log");
  Harness other(broker_.port());
  use_tls(other, authority_.ca_file());
  other.options.cert_file = ours_.file;
  other.options.key_file = encrypted;
  other.start();
  EXPECT_TRUE(other.wait_words("encrypted.key' holds no private key that")) << other.reasons();
}

TEST_F(ClientCertificate, IsReadAgainAtEachConnect) {
  const Authority other;
  const Certificate before = other.issue("DNS:gateway");
  harness_.options.cert_file = before.file;
  harness_.options.key_file = before.key;
  harness_.start();
  ASSERT_TRUE(harness_.wait_words("does not know the authority that signed our certificate"));
  const auto over = std::filesystem::copy_options::overwrite_existing;
  std::filesystem::copy_file(ours_.key, before.key, over);
  std::filesystem::copy_file(ours_.file, before.file, over);
  EXPECT_TRUE(harness_.wait_state(State::Connected)) << harness_.reasons();
}

// ---- OpenSSL's own server, which speaks TLS and no MQTT.

class UplinkTlsServer : public UplinkTls {
 protected:
  void serve(std::vector<std::string> options) {
    std::vector<std::string> command{
        "/usr/bin/openssl", "s_server", "-www",
        "-quiet",           "-accept",  "127.0.0.1:" + std::to_string(harness_.broker().port)};
    command.insert(command.end(), options.begin(), options.end());
    server_ = std::make_unique<Process>(command, harness_.folder / "log");
    ASSERT_TRUE(eventually([&] { return is_listening(harness_.broker().port); }));
    use_tls(harness_, authority_.ca_file());
    harness_.broker().host = "broker.example";
    harness_.options.connect_timeout = milliseconds(500);
    harness_.options.resolve = [](const std::string&) -> Result<std::vector<std::string>> {
      return std::vector<std::string>{"127.0.0.1"};
    };
    harness_.start();
  }
  const Certificate ours_ = authority_.issue("DNS:broker.example");
  Harness harness_{free_port()};
  std::unique_ptr<Process> server_;
};

// One that serves several names shows the certificate of the one it is asked for.
TEST_F(UplinkTlsServer, IsToldWhomWeWant) {
  const Certificate other = authority_.issue("DNS:other.example");
  serve({"-cert", other.file, "-key", other.key, "-servername", "broker.example", "-cert2",
         ours_.file, "-key2", ours_.key});
  EXPECT_TRUE(harness_.wait_words("log in as " + kGateway)) << harness_.reasons();
}

TEST_F(UplinkTlsServer, ThatSpeaksNoTlsFrom12OnIsRefused) {
  serve({"-cert", ours_.file, "-key", ours_.key, "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"});
  EXPECT_TRUE(harness_.wait_words("the broker speaks no TLS from 1.2 on")) << harness_.reasons();
}

TEST_F(UplinkTls, AMissingCaFileIsNamed) {
  expect_refused(authority_.issue("DNS:localhost"), "/nowhere/ca.pem",
                 "ca_file: open '/nowhere/ca.pem': No such file");
}

TEST_F(UplinkTls, ABrokerWithoutTlsIsRecognised) {
  const MqttServer server({.connack = std::nullopt});
  Harness harness(server.port());
  use_tls(harness, authority_.ca_file());
  harness.options.connect_timeout = milliseconds(300);
  harness.start();
  // It waits for MQTT and we for TLS.
  EXPECT_TRUE(harness.wait_words("TLS with localhost: no answer in 300 ms")) << harness.reasons();
}

TEST_F(UplinkTls, StopsInTimeWhileConnectedAndWhileNot) {
  const Certificate certificate = authority_.issue("DNS:localhost");
  LosantBroker broker({.certificate = certificate.file, .key = certificate.key});
  for (const bool frozen : {false, true}) {
    Harness harness(broker.port());
    use_tls(harness, authority_.ca_file());
    if (frozen) broker.freeze();
    harness.start();
    if (frozen) {
      ASSERT_TRUE(eventually([&] { return harness.status().step == "TLS with localhost"; }));
    } else {
      ASSERT_TRUE(harness.wait_state(State::Connected));
    }
    const auto before = std::chrono::steady_clock::now();
    harness.uplink->stop(milliseconds(500));
    EXPECT_LT(std::chrono::steady_clock::now() - before, milliseconds(700));
  }
  broker.thaw();
}

}  // namespace
}  // namespace fieldpost::test
