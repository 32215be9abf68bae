// SPDX-License-Identifier: Apache-2.0
#include "host/loader.hpp"

#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "base/text.hpp"
#include "host/tables.hpp"

namespace fieldpost {
namespace {

// What every ABI that ever was or will be starts with: enough to say which one it is.
struct Preamble {
  uint32_t abi_major;
  uint32_t abi_minor;
  uint32_t size;
};
static_assert(offsetof(fp_plugin, abi_major) == offsetof(Preamble, abi_major));
static_assert(offsetof(fp_plugin, abi_minor) == offsetof(Preamble, abi_minor));
static_assert(offsetof(fp_plugin, size) == offsetof(Preamble, size));

constexpr size_t kSmallestPlugin = sizeof(fp_plugin);  // of ABI 0.1; stays when the struct grows
constexpr uint32_t kOldestMinor = 1;                   // of this major; nothing was altered since

Error invalid(std::string message) { return {Errc::Invalid, std::move(message)}; }

std::string version(uint32_t major, uint32_t minor) {
  return std::to_string(major) + "." + std::to_string(minor);
}

std::string last_dl_error() {
  const char* const text = ::dlerror();  // NOLINT(concurrency-mt-unsafe): one thread
  return text == nullptr ? "unknown error" : printable(text, 400);
}

std::string file_stem(const std::string& path) {
  std::string name = path.substr(path.rfind('/') + 1);
  return name.substr(0, name.rfind(".so"));
}

Result<const fp_plugin*> resolve(const std::string& path) {
  if (::access(path.c_str(), F_OK) != 0) return Error::from_errno(errno, "'" + path + "'");
  // Without a slash dlopen() would search the library path.
  const std::string file = path.find('/') == std::string::npos ? "./" + path : path;
  void* const library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return invalid("cannot be loaded: " + last_dl_error());
  void* const symbol = ::dlsym(library, "fp_plugin_get");
  if (symbol == nullptr) return invalid("is no plugin: it does not export fp_plugin_get()");
  const auto entry = reinterpret_cast<decltype(&fp_plugin_get)>(symbol);
  const fp_plugin* const descriptor = entry();
  if (descriptor == nullptr) return invalid("fp_plugin_get() returned NULL");
  return descriptor;
}

}  // namespace

Result<> check_abi(uint32_t major, uint32_t minor) {
  const std::string both = "plugin speaks ABI " + version(major, minor) + ", this gateway " +
                           version(FP_ABI_MAJOR, FP_ABI_MINOR) + ": ";
  if (major > FP_ABI_MAJOR || (major == FP_ABI_MAJOR && minor > FP_ABI_MINOR)) {
    return invalid(both + "upgrade fieldpost");
  }
  if (major != FP_ABI_MAJOR || minor < kOldestMinor) {
    return invalid(both + "upgrade or rebuild the plugin");
  }
  return {};
}

Result<Plugin> load_plugin(const std::string& path) {
  const fp_plugin* const descriptor = FP_TRY(resolve(path));
  Preamble preamble{};
  std::memcpy(&preamble, descriptor, sizeof preamble);
  FP_CHECK_OK(check_abi(preamble.abi_major, preamble.abi_minor));
  if (preamble.size < kSmallestPlugin) {
    return invalid("descriptor of " + std::to_string(preamble.size) + " bytes; ABI " +
                   version(preamble.abi_major, preamble.abi_minor) + " has at least " +
                   std::to_string(kSmallestPlugin));
  }
  Plugin plugin;
  std::memcpy(&plugin.calls, descriptor, std::min<size_t>(preamble.size, sizeof plugin.calls));
  plugin.info = FP_TRY(to_plugin_info(plugin.calls).context("descriptor"));
  if (plugin.info.type != file_stem(path)) {
    return invalid("calls itself '" + plugin.info.type + "', but its file is named '" +
                   file_stem(path) + ".so'");
  }
  return plugin;
}

}  // namespace fieldpost
