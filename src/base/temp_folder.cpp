// SPDX-License-Identifier: Apache-2.0
#include "base/temp_folder.hpp"

#include <stdlib.h>

#include <filesystem>

namespace fieldpost {

Result<TempFolder> TempFolder::make() {
  std::error_code error;
  std::string name = (std::filesystem::temp_directory_path(error) / "fieldpost-XXXXXX").string();
  if (error || ::mkdtemp(name.data()) == nullptr) {
    return Error::from_errno(error ? error.value() : errno, "make a temporary folder (TMPDIR)");
  }
  return TempFolder(name);
}

TempFolder::~TempFolder() {
  std::error_code ignored;  // of a temporary folder
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

}  // namespace fieldpost
