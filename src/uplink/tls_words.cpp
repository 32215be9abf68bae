// SPDX-License-Identifier: Apache-2.0
#include "uplink/tls_words.hpp"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <array>
#include <ctime>

namespace fieldpost {
namespace {

// As certificates and servers know it.
std::string certified_name(const std::string& host) {
  std::string name = host.substr(0, host.find('%'));
  if (name.ends_with('.')) name.pop_back();
  return name;
}

bool is_numeric(const std::string& host) {
  in6_addr address{};
  return ::inet_pton(AF_INET, host.c_str(), &address) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

std::string to_text(const tm& time) {
  std::array<char, 32> text{};
  const size_t n = std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M UTC", &time);
  return {text.data(), n};
}

std::string to_text(const ASN1_TIME* time) {
  tm parts{};
  return ASN1_TIME_to_tm(time, &parts) == 1 ? to_text(parts) : "?";
}

std::string our_clock() {
  const time_t now = std::time(nullptr);
  tm parts{};
  ::gmtime_r(&now, &parts);
  return "; our clock says " + to_text(parts);
}

}  // namespace

std::string openssl_version() { return OpenSSL_version(OPENSSL_VERSION_STRING); }

Result<> expect_host(ssl_st* ssl, const std::string& host) {
  const std::string name = certified_name(host);
  if (is_numeric(name)) {
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name.c_str()) == 1) return {};
    return Error{Errc::Invalid, "cannot check certificates for '" + host + "'"};
  }
  SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  if (SSL_set1_host(ssl, name.c_str()) == 1 &&
      SSL_set_tlsext_host_name(ssl, name.c_str()) == 1) {  // NOLINT: OpenSSL's macro casts
    return {};
  }
  return Error{Errc::Invalid, "'" + host + "' is not a host name"};
}

std::string words_of_refusal(x509_store_ctx_st* context, const std::string& host) {
  const X509* certificate = X509_STORE_CTX_get_current_cert(context);
  const int error = X509_STORE_CTX_get_error(context);
  switch (error) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return "the certificate is not for " + host;
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return "the certificate is not yet valid (from " + to_text(X509_get0_notBefore(certificate)) +
             ")" + our_clock();
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return "the certificate has expired (" + to_text(X509_get0_notAfter(certificate)) + ")" +
             our_clock();
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
      return "the certificate is self-signed, and not one that we trust";
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
      return "the certificate is signed by an authority that we do not trust";
    default:
      return std::string("the certificate is refused: ") + X509_verify_cert_error_string(error);
  }
}

std::string words_of_tls_error(int error) {
  const auto code = static_cast<unsigned long>(static_cast<unsigned>(error));
  const char* text = ERR_reason_error_string(code);
  const std::string openssl = text != nullptr ? std::string(" (") + text + ")" : "";
  switch (ERR_GET_REASON(code)) {
    case SSL_R_WRONG_VERSION_NUMBER:
      return "the other side does not speak TLS";
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
      return "the broker speaks no TLS from 1.2 on" + openssl;
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
      return "the broker wants a certificate of ours (uplink.cert_file, uplink.key_file)" + openssl;
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
      return "the broker refused the handshake: no cipher in common, or it wants a certificate of "
             "ours" +
             openssl;
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
      return "the broker does not know the authority that signed our certificate" + openssl;
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
      return "our certificate has expired, says the broker" + openssl;
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
      return "the broker does not accept our certificate" + openssl;
    default:
      return "TLS failed" + openssl;
  }
}

}  // namespace fieldpost
