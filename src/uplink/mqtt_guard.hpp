// SPDX-License-Identifier: Apache-2.0
//
// Looks at the fixed headers of what a broker sends, before libmosquitto sees them: it allocates
// whatever a header announces, up to 256 MB.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/result.hpp"

namespace fieldpost {

class MqttGuard {
 public:
  // The largest payload we take, and the longest topic with what belongs to it.
  static constexpr uint32_t kMaxPayload = uint32_t{1} << 20;
  static constexpr uint32_t kMaxPacket = kMaxPayload + 65'535 + 4;

  // The next bytes of the stream, cut anywhere. Errors: Invalid, with what is wrong; nothing of
  // these bytes may be passed on then.
  Result<> feed(std::span<const std::byte> bytes);

 private:
  Result<> feed_type(uint8_t byte);
  Result<> feed_length(uint8_t byte);

  enum class Expect : uint8_t { Type, Length, Body };
  Expect expect_ = Expect::Type;
  uint8_t type_ = 0;
  int length_bytes_ = 0;
  uint32_t remaining_ = 0;  // of the body
};

}  // namespace fieldpost
