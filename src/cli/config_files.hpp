// SPDX-License-Identifier: Apache-2.0
//
// The files of a configuration where they are in place: what `fieldpost apply` reads and replaces.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <map>
#include <string>
#include <vector>

#include "config/load.hpp"

namespace fieldpost::cli {

// Who may read what: of files, by the names of ConfigFiles.
struct FileRights {
  mode_t mode = 0;
  uid_t uid = 0;
  gid_t gid = 0;
  bool operator==(const FileRights&) const = default;
};
using Rights = std::map<std::string, FileRights>;
// Each as text, "0640 0 995": mode, owner and group. What cannot be understood is left out.
std::map<std::string, std::string> to_texts(const Rights& rights);
Rights rights_in(const std::map<std::string, std::string>& texts);

// Where the files of a configuration are, by the names of ConfigFiles; `config` is its file or
// folder (load_config()).
class ConfigPlace {
 public:
  // `group` is that of the agent, which has to read them.
  explicit ConfigPlace(const std::string& config, gid_t group = ::getegid());

  std::string path_of(const std::string& name) const;
  std::string folder() const;
  // Errors: whatever keeps one of them from being read.
  Result<ConfigFiles> read() const;
  // Those of the files that are there.
  Rights rights() const;
  // For files that are not there yet, and come from `path` (with_changes()): for everybody to read
  // if the source is, else for this user and the agent.
  Rights rights_like(const std::string& path) const;
  // Makes the files what `wanted` says, one after the other: what is new or has changed is
  // replaced, the rest of what read() gives removed; all of it is on the disk then. Owner and mode
  // stay; a new file gets those of `fresh`, or is for this user and the agent to read. Errors:
  // Invalid (a name that is none of ConfigFiles: nothing has changed), Io, Full; some of the files
  // may have changed.
  Result<> put(const ConfigFiles& wanted, const Rights& fresh = {}) const;
  // Whether this user may put files there. Errors: Io.
  Result<> may_put() const;

 private:
  FileRights narrow() const;
  Result<std::vector<std::string>> names() const;

  std::string main_file_;
  gid_t group_;
};

// A configuration to be put in place: `path` is a file for conf.d, or a folder, which has profiles
// of its own or leaves those that are there. `present`: what is there; what `path` does not replace
// stays. Errors: Invalid (neither), Io.
Result<ConfigFiles> with_changes(const std::string& path, const ConfigFiles& present);

}  // namespace fieldpost::cli
