// SPDX-License-Identifier: Apache-2.0
#include "cli/paths.hpp"

#include <filesystem>

namespace fieldpost {

const char* const kVersion = FIELDPOST_VERSION;

std::vector<std::string> Paths::profile_folders() const {
  const std::filesystem::path given = config;
  const auto folder = given.extension() == ".toml" ? given.parent_path() : given;
  return {folder / "profiles", Paths().config + "/profiles", profile_dir};
}

Paths default_paths() {
  Paths paths;
  paths.plugin_dir = FIELDPOST_PLUGIN_DIR;
  paths.plugin_host = FIELDPOST_LIBEXEC_DIR "/plugin-host";
  paths.profile_dir = FIELDPOST_PROFILE_DIR;
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return paths;
  const auto tree = self.parent_path().parent_path();
  if (std::filesystem::is_directory(tree / "plugins", error) &&
      std::filesystem::exists(tree / "libexec/plugin-host", error)) {
    paths.plugin_dir = tree / "plugins";
    paths.plugin_host = tree / "libexec/plugin-host";
    paths.profile_dir = tree / "profiles";
  }
  return paths;
}

}  // namespace fieldpost
