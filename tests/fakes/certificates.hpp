// SPDX-License-Identifier: Apache-2.0
//
// Certificates made by the openssl program, for one test.
#pragma once

#include <string>

#include "fakes/test_env.hpp"

namespace fieldpost::test {

struct Certificate {
  std::string file, key;
};

class Authority {
 public:
  Authority();
  const std::string& ca_file() const { return ca_.file; }
  // For a host name or address ("DNS:localhost", "IP:127.0.0.1"), valid from and for so many days
  // from now; both may be negative.
  Certificate issue(const std::string& subject, int from_days = -1, int to_days = 30) const;
  // One that nobody but itself vouches for.
  Certificate self_signed(const std::string& subject) const;

 private:
  TempDir folder_;
  Certificate ca_;
};

}  // namespace fieldpost::test
