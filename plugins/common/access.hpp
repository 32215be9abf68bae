// SPDX-License-Identifier: Apache-2.0
//
// Why a device file could not be opened, in words that end in what to do. Shared by the plugins
// that open one.
#pragma once

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

namespace plugin_common {

// The name of the user this process runs as.
inline std::string user_name() {
  const passwd* entry = getpwuid(geteuid());  // NOLINT(concurrency-mt-unsafe): one thread
  return entry != nullptr ? entry->pw_name : std::to_string(geteuid());
}

// For EACCES and EPERM on `path`. `usual_group` is the one that distributions give such files to,
// `subsystem` the kernel's word for a udev rule.
inline std::string no_permission(const std::string& path, const std::string& usual_group,
                                 const std::string& subsystem) {
  std::string group;
  struct stat node {};
  if (stat(path.c_str(), &node) == 0 && node.st_gid != 0) {
    const auto* entry = getgrgid(node.st_gid);  // NOLINT(concurrency-mt-unsafe): one thread
    if (entry != nullptr) group = entry->gr_name;
  }
  const std::string why = "no permission to open " + path + ": ";
  if (!group.empty()) {
    return why + "add the user to its group (adduser " + user_name() + " " + group +
           ") and start the service again";
  }
  return why + "it belongs to root alone; give it to group " + usual_group +
         " with a udev rule (SUBSYSTEM==\"" + subsystem + "\", GROUP=\"" + usual_group +
         "\", MODE=\"0660\") and add the user to that group (adduser " + user_name() + " " +
         usual_group + ")";
}

}  // namespace plugin_common
