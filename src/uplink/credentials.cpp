// SPDX-License-Identifier: Apache-2.0
#include "uplink/credentials.hpp"

#include <algorithm>

#include "base/file.hpp"
#include "base/text.hpp"

namespace fieldpost {
namespace {

constexpr size_t kLimit = 4096;

Result<std::string> read_line(const std::string& path) {
  std::string text = FP_TRY(read_file(path, kLimit));
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) {
    text.pop_back();
  }
  if (text.empty()) return Error{Errc::Invalid, "'" + path + "' is empty"};
  const bool one_line =
      std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20; });
  if (!one_line || !is_utf8(text)) {
    return Error{Errc::Invalid, "'" + path + "' must hold one line of text"};
  }
  return text;
}

}  // namespace

Result<Credentials> read_credentials(const std::string& key_file, const std::string& secret_file) {
  if (key_file.empty()) return Credentials{};
  Credentials credentials;
  credentials.key = FP_TRY(read_line(key_file).context("access key"));
  if (!secret_file.empty()) {
    credentials.secret = FP_TRY(read_line(secret_file).context("access secret"));
  }
  return credentials;
}

}  // namespace fieldpost
