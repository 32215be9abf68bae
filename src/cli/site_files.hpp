// SPDX-License-Identifier: Apache-2.0
//
// The files that `fieldpost setup` writes: one in conf.d, and the credentials. Nothing else of the
// site is touched.
#pragma once

#include <string>
#include <vector>

#include "cli/answers.hpp"
#include "cli/paths.hpp"
#include "config/load.hpp"

namespace fieldpost::cli {

class SiteFiles {
 public:
  // For the configuration at paths.config, a folder or the main file in one. Errors: NotFound,
  // Unavailable: files cannot be written there, and what to do.
  static Result<SiteFiles> find(const Paths& paths);

  // Systemd hands the credentials to the service (LoadCredential in its unit), so that only root
  // need be able to read them, and nothing names them. Elsewhere the configuration does.
  bool by_systemd() const { return by_systemd_; }
  // Key and secret are there.
  bool has_credentials() const;

  // What a start would make of all files with those that are to be written among them, without
  // writing them: it looks at a copy. Errors: Io, Full.
  Result<Loaded> check(const Answers& answers, PluginProbe& probe) const;

  // Writes them, each in one step: first the credentials, last what makes the agent use them.
  // Returns those that were written. Errors: Invalid (the file in conf.d is there, says something
  // else, and is not to be replaced: nothing was written then), Io, Full.
  Result<std::vector<std::string>> write(const Answers& answers, bool replace) const;

 private:
  SiteFiles() = default;
  std::string path(const char* name) const { return folder_ + "/" + name; }
  bool exists(const char* name) const;
  std::string drop_in_text(const Answers& answers, const std::string& folder) const;
  Result<> put_credentials(const std::string& folder, const Answers& answers) const;

  std::string folder_;                 // absolute
  std::string main_file_;              // its name; empty: the folder itself was given
  std::vector<std::string> profiles_;  // Paths::profile_folders()
  bool by_systemd_ = false;
};

}  // namespace fieldpost::cli
