// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/mount.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace fieldpost::testing {

// A file system of a few MiB, of its own; gone afterwards. Only root may have one, and ext4 only
// where there are loop devices: see mounted().
class SmallFileSystem {
 public:
  enum class Kind { Tmpfs, Ext4 };

  // `folder` is there, and empty.
  SmallFileSystem(Kind kind, const std::string& folder) : path_(folder + "/mounted") {
    std::filesystem::create_directory(path_);
    mounted_ = kind == Kind::Tmpfs
                   ? ::mount("fieldpost-test", path_.c_str(), "tmpfs", 0, "size=16m") == 0
                   : mount_ext4(folder + "/image");
  }
  SmallFileSystem(const SmallFileSystem&) = delete;
  SmallFileSystem& operator=(const SmallFileSystem&) = delete;
  ~SmallFileSystem() {
    if (mounted_) ::umount2(path_.c_str(), MNT_DETACH);
  }
  bool mounted() const { return mounted_; }
  const std::string& path() const { return path_; }

  // Other people's data, to the last byte.
  void fill() const {
    std::ofstream others(path_ + "/others", std::ios::binary | std::ios::app);
    for (const size_t size : {size_t{65536}, size_t{1024}, size_t{1}}) {
      const std::string some(size, 'x');
      while (others.write(some.data(), static_cast<std::streamsize>(some.size())).flush()) {
      }
      others.clear();
    }
  }
  void clear() const { std::filesystem::remove(path_ + "/others"); }

 private:
  bool mount_ext4(const std::string& image) const {
    std::ofstream(image).close();
    std::filesystem::resize_file(image, 18 << 20);
    const std::string make = "mkfs.ext4 -q -F -m 0 -b 1024 -J size=2 '" + image + "' 2>/dev/null";
    const std::string mount = "mount -o loop '" + image + "' '" + path_ + "' 2>/dev/null";
    return std::system((make + " && " + mount).c_str()) == 0;
  }

  std::string path_;
  bool mounted_ = false;
};

}  // namespace fieldpost::testing
