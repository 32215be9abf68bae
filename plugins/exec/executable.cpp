// SPDX-License-Identifier: Apache-2.0
#include "executable.hpp"

#include <fieldpost/plugin.hpp>
#include <linux/elf.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <string_view>
#include <system_error>

#include "../common/access.hpp"

namespace exec {
namespace {

using fieldpost::sdk::ConfigError;

std::string words_of(int error) { return std::generic_category().message(error); }

constexpr size_t kBeginning = 256;  // of a file; the kernel looks at no more of a #! line
std::string beginning_of(const std::string& path) {
  std::string text(kBeginning, '\0');
  std::ifstream file(path, std::ios::binary);
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  return text;
}

// Throws unless `path` is a file that this user may run.
void check_access(const std::string& path) {
  struct stat what {};
  if (stat(path.c_str(), &what) != 0) {
    throw ConfigError(path + ": " + words_of(errno) + unseen_note(path));
  }
  if (!S_ISREG(what.st_mode)) throw ConfigError(path + " is no file");
  if (access(path.c_str(), X_OK) == 0) return;
  if ((what.st_mode & 0111) == 0) {
    throw ConfigError(path + " is not executable: chmod 755 " + path);
  }
  throw ConfigError(path + " must not be run by user " + plugin_common::user_name() + " (" +
                    words_of(errno) + "): chmod 755 " + path +
                    ", and is its file system mounted noexec?");
}

// Class, byte order and machine of an ELF file. "" of what is none.
std::string machine_of(std::string_view file) {
  if (file.size() < 20 || !file.starts_with(std::string_view(ELFMAG, SELFMAG))) return "";
  return std::string(file.substr(EI_CLASS, 2)) + std::string(file.substr(18, 2));  // e_machine
}

void check_script(const std::string& path, std::string_view text) {
  const std::string_view line = text.substr(2, text.find('\n') - 2);
  if (line.ends_with('\r')) {
    throw ConfigError(path + " has the line ends of Windows, and no program is called \"" +
                      std::string(line.substr(0, line.size() - 1)) + "\\r\": sed -i 's/\\r$//' " +
                      path);
  }
  const size_t from = line.find_first_not_of(" \t");
  const std::string_view rest = from == std::string_view::npos ? "" : line.substr(from);
  const std::string interpreter(rest.substr(0, rest.find_first_of(" \t")));
  if (interpreter.empty()) throw ConfigError(path + " names no program in its #! line");
  if (access(interpreter.c_str(), X_OK) != 0) {
    throw ConfigError(path + " asks in its #! line for " + interpreter + ": " + words_of(errno));
  }
}

void check_format(const std::string& path) {
  const std::string text = beginning_of(path);
  if (text.empty()) {
    struct stat what {};
    if (stat(path.c_str(), &what) == 0 && what.st_size > 0) return;  // may be run but not be read
    throw ConfigError(path + " is empty");
  }
  if (text.starts_with("#!")) return check_script(path, text);
  const std::string machine = machine_of(text);
  if (machine.empty()) {
    throw ConfigError(path +
                      " is neither a program nor a script: a script's first line says what "
                      "runs it, such as #!/usr/bin/python3");
  }
  // A 64 bit kernel may run 32 bit programs of its family: only another family is wrong for sure.
  const std::string own = machine_of(beginning_of("/proc/self/exe"));
  if (!own.empty() && own[0] == machine[0] && own != machine) {
    throw ConfigError(path + " is for another processor");
  }
}

std::string search(const std::string& name) {
  const char* const path = getenv("PATH");  // NOLINT(concurrency-mt-unsafe): one thread
  const std::string_view all = path != nullptr ? path : "/usr/local/bin:/usr/bin:/bin";
  for (size_t from = 0; from <= all.size();) {
    const size_t to = std::min(all.find(':', from), all.size());
    const std::string candidate = std::string(all.substr(from, to - from)) + "/" + name;
    if (candidate.front() == '/' && access(candidate.c_str(), X_OK) == 0) return candidate;
    from = to + 1;
  }
  throw ConfigError("there is no program " + name + " in " + std::string(all) +
                    ": is its package installed?");
}

}  // namespace

std::string unseen_note(const std::string& path) {
  for (const char* hidden : {"/home", "/root", "/tmp", "/var/tmp"}) {
    if (path.starts_with(std::string(hidden) + "/")) {
      return "; the service sees nothing of what is below " + std::string(hidden) +
             ": /usr/local/lib and /opt are places for it";
    }
  }
  return "";
}

std::string find_executable(const std::string& name) {
  if (name.find('/') != std::string::npos && !name.starts_with('/')) {
    throw ConfigError(name + ": expected a path that starts with /, or a name without any");
  }
  std::string path = name.starts_with('/') ? name : search(name);
  check_access(path);
  check_format(path);
  return path;
}

}  // namespace exec
