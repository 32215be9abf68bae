// SPDX-License-Identifier: Apache-2.0
#include "uplink/sent_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <type_traits>

#include "base/log.hpp"
#include "base/unique_fd.hpp"

namespace fieldpost {

// The layout is that of this machine and this version: nobody else reads it.
struct SentFile::Content {
  static constexpr std::array<char, 8> kMagic = {'f', 'p', 's', 'e', 'n', 't', '0', '1'};
  std::array<char, 8> magic{};
  std::array<char, 40> boot{};  // stamps of another boot mean nothing
  std::array<Limiter::Record, Limiter::kRecords> records{};
  int64_t slow_until_ns = 0;  // BootTime
};

SentFile::SentFile(const std::string& folder, const std::string& boot_id) {
  if (const auto opened = open(folder, boot_id); !opened) {
    log::warning("the rate limits do not survive a restart of the agent",
                 {{"FP_REASON", opened.error().message}});
    memory_ = std::make_unique<Content>();
  }
}

Result<> SentFile::open(const std::string& folder, const std::string& boot_id) {
  static_assert(std::is_trivially_copyable_v<Content>);
  const std::string path = folder + "/sent";
  (void)::mkdir(folder.c_str(), 0700);  // the transport, which needs it as well, says what is wrong
  const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return Error::from_errno(errno, "open '" + path + "'");
  // A hole in it would end us by a signal when the file system is full.
  if (const int code = ::posix_fallocate(fd.get(), 0, sizeof(Content)); code != 0) {
    return Error::from_errno(code, "make room in '" + path + "'");
  }
  void* at = ::mmap(nullptr, sizeof(Content), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (at == MAP_FAILED) return Error::from_errno(errno, "map '" + path + "'");
  mapped_ = static_cast<Content*>(at);
  std::array<char, 40> boot{};
  std::copy_n(boot_id.begin(), std::min(boot_id.size(), boot.size()), boot.begin());
  begun_ = mapped_->magic != Content::kMagic || mapped_->boot != boot;
  if (!begun_) return {};
  *mapped_ = Content{};
  mapped_->boot = boot;
  mapped_->magic = Content::kMagic;
  return {};
}

SentFile::~SentFile() {
  if (mapped_ != nullptr) ::munmap(mapped_, sizeof(Content));
}

Limiter::Records SentFile::records() {
  return mapped_ != nullptr ? mapped_->records : memory_->records;
}

void SentFile::set_slow_until(BootTime time) {
  (mapped_ != nullptr ? *mapped_ : *memory_).slow_until_ns = time.time_since_epoch().count();
}

BootTime SentFile::slow_until() const { return BootTime(nanoseconds(content().slow_until_ns)); }

}  // namespace fieldpost
