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

}  // namespace
}  // namespace fieldpost
