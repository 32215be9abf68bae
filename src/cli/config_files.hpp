// SPDX-License-Identifier: Apache-2.0
//
// The files of a configuration where they are in place: what `fieldpost apply` reads and replaces.
#pragma once

#include <string>

#include "config/load.hpp"

namespace fieldpost::cli {

// Where the files of a configuration are, by the names of ConfigFiles; `config` is its file or
// folder (load_config()).
class ConfigPlace {
 public:
  explicit ConfigPlace(const std::string& config);

  std::string path_of(const std::string& name) const;
  // Errors: whatever keeps one of them from being read.
  Result<ConfigFiles> read() const;
  // Makes the files what `wanted` says, one after the other: what is new or has changed is
  // replaced, the rest of what read() gives removed; all of it is on the disk then. Owner and mode
  // stay; a new file is for everybody to read. Errors: Io, Full; some of the files may have changed.
  Result<> put(const ConfigFiles& wanted) const;
  // Whether this user may put files there. Errors: Io.
  Result<> may_put() const;

 private:
  std::string main_file_, drop_ins_;
};

// A configuration to be put in place: `path` is a file for conf.d, or a folder. `present`: what is
// there; what `path` does not replace stays. Errors: Invalid (neither), Io.
Result<ConfigFiles> with_changes(const std::string& path, const ConfigFiles& present);

}  // namespace fieldpost::cli
