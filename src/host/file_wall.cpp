// SPDX-License-Identifier: Apache-2.0
#include "host/file_wall.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/unique_fd.hpp"

namespace fieldpost {
namespace {

// linux/landlock.h of Debian 12 does not know all of these; their numbers are the same on every
// architecture.
constexpr long kCreateRuleset = 444, kAddRule = 445, kRestrictSelf = 446;
constexpr uint32_t kAskVersion = 1;
constexpr int kPathBeneath = 1;
struct Attributes {
  uint64_t handled;
  uint64_t handled_network;
  uint64_t scoped;
};
struct [[gnu::packed]] Beneath {
  uint64_t allowed;
  int32_t parent;
};
constexpr uint64_t bits(unsigned first, unsigned last) {
  return ((uint64_t{2} << last) - 1) & ~((uint64_t{1} << first) - 1);
}
constexpr uint64_t kWriteFile = bits(1, 1), kReadFile = bits(2, 2);
constexpr uint64_t kMakeAndRemove = bits(4, 12);
constexpr uint64_t kRefer = bits(13, 13);     // since version 2; before, it is always refused
constexpr uint64_t kTruncate = bits(14, 14);  // since version 3
constexpr uint64_t kSignals = bits(1, 1);     // in scoped, since version 6 (Linux 6.12)

class Ruleset {
 public:
  // `handled` is what is refused where no rule allows it.
  explicit Ruleset(uint64_t handled) : handled_(handled & known()) {
    // Longer than an old kernel knows it: it takes that if the rest is 0.
    const Attributes attributes{handled_, 0, version() >= 6 ? kSignals : 0};
    if (handled_ == 0) return;
    fd_ = UniqueFd(static_cast<int>(::syscall(kCreateRuleset, &attributes, sizeof attributes, 0)));
  }

  // Everything at and below `path`, which is no symbolic link: what one leads to has its own rule.
  void allow(const std::string& path) const {
    const UniqueFd fd(::open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    struct stat what {};
    if (!fd || ::fstat(fd.get(), &what) != 0 || S_ISLNK(what.st_mode)) return;
    const uint64_t fitting =
        S_ISDIR(what.st_mode) ? handled_ : handled_ & (kReadFile | kWriteFile | kTruncate);
    const Beneath rule{fitting, fd.get()};
    (void)::syscall(kAddRule, fd_.get(), kPathBeneath, &rule, 0);  // what fails stays out of reach
  }

  bool enforce() const { return fd_ && ::syscall(kRestrictSelf, fd_.get(), 0) == 0; }

 private:
  static long version() { return ::syscall(kCreateRuleset, nullptr, 0, kAskVersion); }
  static uint64_t known() {
    if (version() < 1) return 0;
    return kReadFile | kWriteFile | kMakeAndRemove | (version() >= 2 ? kRefer : 0) |
           (version() >= 3 ? kTruncate : 0);
  }
  uint64_t handled_;
  UniqueFd fd_;
};

// `folder` ends in a slash.
void allow_beside(const std::string& folder, const std::vector<std::string>& hidden,
                  const Ruleset& rules) {
  const std::unique_ptr<DIR, decltype([](DIR* d) { ::closedir(d); })> open(
      ::opendir(folder.c_str()));
  if (!open) return;
  while (const dirent* const entry = ::readdir(open.get())) {  // NOLINT(concurrency-mt-unsafe)
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    const std::string path = folder + std::string(name);
    if (std::ranges::find(hidden, path) != hidden.end()) continue;
    const bool is_above = std::ranges::any_of(
        hidden, [&](const std::string& h) { return h.starts_with(path + "/"); });
    if (is_above) {
      allow_beside(path + "/", hidden, rules);
    } else {
      rules.allow(path);
    }
  }
}

}  // namespace

bool hide_files(const std::vector<std::string>& hidden) {
  if (hidden.empty()) return false;
  const Ruleset rules(kReadFile | kWriteFile | kMakeAndRemove | kRefer | kTruncate);
  allow_beside("/", hidden, rules);
  return rules.enforce();
}

bool forbid_writing() {
  return Ruleset(kWriteFile | kMakeAndRemove | kRefer | kTruncate).enforce();
}

}  // namespace fieldpost
