// SPDX-License-Identifier: Apache-2.0
#include "uplink/tls_words.hpp"

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

namespace fieldpost {
namespace {

std::string words_of(int reason) {
  OPENSSL_init_ssl(OPENSSL_INIT_LOAD_SSL_STRINGS, nullptr);  // as every connection does
  return words_of_tls_error(static_cast<int>(ERR_PACK(ERR_LIB_SSL, 0, reason)));
}

TEST(TlsWords, ExplainWhatABrokerRefuses) {
  EXPECT_EQ(words_of(SSL_R_WRONG_VERSION_NUMBER), "the other side does not speak TLS");
  EXPECT_TRUE(words_of(SSL_R_TLSV1_ALERT_PROTOCOL_VERSION)
                  .starts_with("the broker speaks no TLS from 1.2 on ("));
  EXPECT_TRUE(words_of(SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE)
                  .starts_with("the broker refused the handshake: no cipher in common"));
  EXPECT_TRUE(words_of(SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED)
                  .starts_with("the broker does not accept our certificate ("));
}

TEST(TlsWords, AreOpensslsOwnForTheRest) {
  EXPECT_TRUE(words_of(SSL_R_BAD_EXTENSION).starts_with("TLS failed (bad extension"))
      << words_of(SSL_R_BAD_EXTENSION);
  EXPECT_EQ(words_of_tls_error(0).find("TLS failed"), 0U);
}

// ---- What is expected of a host, and asked for.

class ExpectHost : public ::testing::Test {
 protected:
  explicit ExpectHost() : context_(SSL_CTX_new(TLS_client_method())), ssl_(SSL_new(context_)) {}
  ~ExpectHost() override {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
  }
  std::string sent_name() const {
    const char* name = SSL_get_servername(ssl_, TLSEXT_NAMETYPE_host_name);
    return name == nullptr ? "" : name;
  }
  std::string expected_name() const {
    const char* name = X509_VERIFY_PARAM_get0_host(SSL_get0_param(ssl_), 0);
    return name == nullptr ? "" : name;
  }
  std::string expected_address() const {
    char* text = X509_VERIFY_PARAM_get1_ip_asc(SSL_get0_param(ssl_));
    std::string address = text == nullptr ? "" : text;
    OPENSSL_free(text);  // NOLINT: OpenSSL's macro
    return address;
  }

  SSL_CTX* context_;
  SSL* ssl_;
};

TEST_F(ExpectHost, ANameIsSentAndExpectedWithoutTheDotAtItsEnd) {
  ASSERT_TRUE(expect_host(ssl_, "broker.example."));
  EXPECT_EQ(sent_name(), "broker.example");
  EXPECT_EQ(expected_name(), "broker.example");
  EXPECT_EQ(expected_address(), "");
}

TEST_F(ExpectHost, AnAddressIsExpectedWithoutItsScopeAndNotSent) {
  ASSERT_TRUE(expect_host(ssl_, "fe80::1%eth0"));
  EXPECT_EQ(sent_name(), "");
  EXPECT_EQ(expected_address(), "FE80:0:0:0:0:0:0:1");
}

}  // namespace
}  // namespace fieldpost
