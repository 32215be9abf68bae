// SPDX-License-Identifier: Apache-2.0
#include "sysfs.hpp"

#include <fcntl.h>
#include <fieldpost/plugin.hpp>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <string_view>
#include <system_error>

namespace iio {
namespace {

namespace fs = std::filesystem;
namespace sdk = fieldpost::sdk;

constexpr std::string_view kSpace = " \t\r\n";

sdk::IoError failure(const fs::path& file, const std::string& why) {
  return sdk::IoError(file.filename().string() + ": " + why);
}

class OpenFile {
 public:
  explicit OpenFile(const fs::path& path) : fd_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  ~OpenFile() {
    if (fd_ >= 0) close(fd_);
  }
  int fd() const { return fd_; }

 private:
  const int fd_;
};

}  // namespace

std::string explain(int errno_value) {
  std::string text = std::generic_category().message(errno_value);
  switch (errno_value) {
    case EIO:  // also of w1_therm when the checksum is wrong, and of drivers that pass it on
    case EREMOTEIO:
    case ENXIO:
    case EPROTO:
    case EBADMSG:
      return "the chip did not answer, or with a wrong checksum (" + text + ")";
    case ENODEV:
      return "the chip is gone from its bus (" + text + ")";
    case ENODATA:  // hwmon/sysfs-interface.rst: "when disabled the sensor read will return
                   // -ENODATA"
      return "there is no value (" + text + "): is the channel switched off?";
    case EAGAIN:
      return "no value yet, or the bus is taken (" + text + ")";
    case EBUSY:
      return "something else has the chip (" + text + "): is its buffer in use?";
    case ETIMEDOUT:
      return "the chip took too long (" + text + ")";
    default:
      return text;
  }
}

std::optional<std::string> read_text(const fs::path& path) {
  const OpenFile file(path);
  if (file.fd() < 0) {
    if (errno == ENOENT) return {};
    throw failure(path, explain(errno));
  }
  std::array<char, 4096> bytes{};  // no file of sysfs with one value has more
  ssize_t count = 0;
  do {
    count = read(file.fd(), bytes.data(), bytes.size());
  } while (count < 0 && errno == EINTR);
  if (count < 0) throw failure(path, explain(errno));
  const std::string_view text(bytes.data(), static_cast<size_t>(count));
  const size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) throw failure(path, "is empty, the driver gave nothing");
  return std::string(text.substr(first, text.find_last_not_of(kSpace) + 1 - first));
}

std::optional<double> read_number(const fs::path& file) {
  const auto text = read_text(file);
  if (!text) return {};
  double value = 0;
  const char* const end = text->data() + text->size();
  const auto done = std::from_chars(text->data(), end, value);
  if (done.ec != std::errc{} || done.ptr != end || !std::isfinite(value)) {
    throw failure(file, "expected a number, but it says '" + text->substr(0, 40) + "'");
  }
  return value;
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    names.push_back(it->path().filename().string());
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    throw sdk::IoError("cannot list '" + folder.string() + "': " + error.message());
  }
  std::ranges::sort(names);
  return names;
}

}  // namespace iio
