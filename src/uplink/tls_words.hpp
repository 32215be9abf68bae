// SPDX-License-Identifier: Apache-2.0
//
// What we ask of a broker's certificate, and in words why it did not do, or ours.
#pragma once

#include <string>

#include "base/result.hpp"

struct ssl_st;
struct x509_store_ctx_st;

namespace fieldpost {

std::string openssl_version();  // of the library that is loaded

// The certificate must be for `host`, a name or a numeric address; a name is also sent (SNI). What
// says only how to get there, an address's scope ("fe80::1%eth0") or a dot at the end, is not part
// of it.
Result<> expect_host(ssl_st* ssl, const std::string& host);

// Why a certificate is refused. To be called when OpenSSL's verification says so.
std::string words_of_refusal(x509_store_ctx_st* context, const std::string& host);

// What an error of OpenSSL's means: with TLS 1.3 the broker's refusal of our certificate comes
// after the handshake.
std::string words_of_tls_error(int error);

}  // namespace fieldpost
