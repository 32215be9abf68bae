// SPDX-License-Identifier: Apache-2.0
//
// Result<T>: a value or an Error. The only way a fallible function reports failure inside the
// daemon; exceptions are for bugs, and stop at main(), at a loop callback and at the plugin ABI.
#pragma once

#include <cerrno>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace fieldpost {

// What a caller may branch on. A new enumerator needs a caller that treats it differently.
enum class Errc : uint8_t { Invalid, NotFound, Timeout, Unavailable, Full, Corrupt, Io };

struct Error {
  Errc code;
  std::string message;  // "open '/dev/i2c-1': No such file or directory"

  // `what` names the operation and its object; errno_value is appended as text.
  static Error from_errno(int errno_value, std::string_view what) {
    const Errc code = errno_value == ENOENT   ? Errc::NotFound
                      : errno_value == ENOSPC ? Errc::Full
                                              : Errc::Io;
    return {code, std::string(what) + ": " + std::generic_category().message(errno_value)};
  }
};

// Derives from std::expected for one reason: the class is [[nodiscard]], so dropping an error on
// the floor is a compiler warning, not a habit.
template <class T = void>
class [[nodiscard]] Result : public std::expected<T, Error> {
  using Base = std::expected<T, Error>;

 public:
  using Base::Base;
  Result() = default;
  Result(Error error) : Base(std::unexpect, std::move(error)) {}

  // Prefixes the message: outermost operation first, root cause last.
  Result context(std::string_view what) && {
    if (!this->has_value()) this->error().message.insert(0, std::string(what) + ": ");
    return std::move(*this);
  }
};

}  // namespace fieldpost

// Unwraps a Result<T> (T not void) or returns its error to the caller. Do not nest.
#define FP_TRY(...)                                      \
  __extension__({                                        \
    auto fp_result = (__VA_ARGS__);                      \
    if (!fp_result) return std::move(fp_result).error(); \
    *std::move(fp_result);                               \
  })

// The same for Result<void>.
#define FP_CHECK_OK(...)                              \
  do {                                                \
    if (auto fp_result = (__VA_ARGS__); !fp_result) { \
      return std::move(fp_result).error();            \
    }                                                 \
  } while (false)
