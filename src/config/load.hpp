// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include "config/config.hpp"

namespace fieldpost {

struct Loaded {
  Config config;                  // only meaningful without problems of Severity::Error
  std::vector<Problem> problems;  // in the order of files and lines
  // Every file that was read, with its content: what is kept as the last good configuration.
  std::vector<std::pair<std::string, std::string>> files;
  // By name, "i2c/tmp102.toml", with their content: the profiles that units have, and those of the
  // folder `profiles` beside the configuration, all that could be read. Both are kept as well.
  std::map<std::string, std::string> profiles, own_profiles;
  std::string path;       // as load_config was given it
  std::string main_file;  // fieldpost.toml, or the file that was named; it need not be in `files`
  // Somebody has said which gateway this is, rightly or not: gateway.device_id is given, or a file
  // that may have it cannot be read. False for what the package installs.
  bool set_up = true;
  bool usable() const;  // no problem of Severity::Error
  // The first of those, and how many more there are; "" if usable.
  std::string why_unusable() const;
};

// Reads `path`, a file or a folder that holds fieldpost.toml and conf.d/*.toml (for a file, the
// conf.d beside it is read too; a folder may do with conf.d alone), merges in the order of names,
// checks everything a start would check, and reports all problems at once (of a file with a syntax
// error just that one). Never touches a device or the network; runs plugins' `declare` through
// `probe`.
// `profiles` are the folders that have profiles (config/profiles.hpp), in the order in which they
// are searched, after the folder `profiles` beside the configuration.
Loaded load_config(const std::string& path, PluginProbe& probe,
                   std::vector<std::string> profiles = {});

// Keeps what was loaded in `folder`, so that a later start with a broken configuration can run on
// it: load_config(folder, …) gives the same configuration back, with locations that name the kept
// copy. What no longer fits there because something else changed (a plugin, a secret's file) costs
// an instance or is a warning, no longer an error. The folder is replaced as a whole or not at all,
// and left alone (no write) if it holds just that already. Errors: Full, Io, Invalid (not usable).
Result<> keep_config(const Loaded& loaded, const std::string& folder);
// A configuration as text: "fieldpost.toml", "conf.d/NAME" and "profiles/TYPE/NAME", each with its
// content, whatever the folder and the main file are called. Profiles that packages install are no
// part of it.
using ConfigFiles = std::map<std::string, std::string>;
// What was read; a file that could not be is missing.
ConfigFiles files_of(const Loaded& loaded);
// What is kept in `folder`; nothing if nothing is.
ConfigFiles kept_files(const std::string& folder);
// The path that a kept configuration was loaded from, for words; empty: nothing is kept there.
std::string kept_from(const std::string& folder);

// The commented example, and the manual's tables, from the same tables as parsing: all core
// sections in TOML, each key with its help, form and default.
std::string example_config();
// The reference part of docs/configuration.md.
std::string reference_manual();

}  // namespace fieldpost
