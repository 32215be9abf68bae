// SPDX-License-Identifier: Apache-2.0
//
// Plugins as files: loaded the way the host loads them, and looked at with nm.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>

#include "fakes/fake_host.hpp"

namespace {

using fieldpost::fakes::FakeHost;
using fieldpost::fakes::Row;
namespace fs = std::filesystem;

std::string build_dir() {
  const char* dir = getenv("FIELDPOST_BUILD_DIR");  // NOLINT(concurrency-mt-unsafe)
  if (dir == nullptr) throw std::runtime_error("FIELDPOST_BUILD_DIR is not set; run by ctest");
  return dir;
}

// Stays loaded to the end, so that tables can be pointed at.
const fp_plugin& load(const std::string& path) {
  void* module = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (module == nullptr) throw std::runtime_error(dlerror());  // NOLINT(concurrency-mt-unsafe)
  const auto get = reinterpret_cast<const fp_plugin* (*)()>(dlsym(module, "fp_plugin_get"));
  if (get == nullptr) throw std::runtime_error(path + " has no fp_plugin_get");
  return *get();
}

std::vector<std::string> symbols(const std::string& which, const std::string& path) {
  const std::string command = "nm -D " + which + " --format=posix '" + path + "'";
  // NOLINTNEXTLINE(cert-env33-c): a constant but for the path of our own build
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  std::vector<std::string> names;
  std::array<char, 4096> line{};
  while (fgets(line.data(), line.size(), pipe.get()) != nullptr) {
    const std::string text = line.data();
    names.push_back(text.substr(0, text.find(' ')));
  }
  return names;
}

class Module : public testing::TestWithParam<std::string> {
 protected:
  std::string path() const {
    const std::string example = build_dir() + "/examples/" + GetParam() + ".so";
    return fs::exists(example) ? example : build_dir() + "/plugins/" + GetParam() + ".so";
  }
};

TEST_P(Module, ExportsOneSymbolAndNeedsNoneOfOurs) {
  EXPECT_EQ(symbols("--defined-only", path()), std::vector<std::string>{"fp_plugin_get"});
  const auto wanted = symbols("--undefined-only", path());
  EXPECT_FALSE(wanted.empty());
  for (const std::string& symbol : wanted) {
    EXPECT_EQ(symbol.find("fieldpost"), std::string::npos) << symbol;
    EXPECT_FALSE(symbol.starts_with("fp_")) << symbol;
  }
}

TEST_P(Module, IsCalledAsItsFileAndSpeaksThisAbi) {
  const fp_plugin& plugin = load(path());
  EXPECT_EQ(plugin.type, GetParam());
  EXPECT_EQ(plugin.abi_major, FP_ABI_MAJOR);
  EXPECT_EQ(plugin.abi_minor, FP_ABI_MINOR);
  EXPECT_EQ(plugin.size, sizeof(fp_plugin));
  EXPECT_NE(plugin.open, nullptr);
  EXPECT_NE(plugin.close, nullptr);
  EXPECT_TRUE(plugin.poll != nullptr || plugin.on_event != nullptr);
}

INSTANTIATE_TEST_SUITE_P(All, Module, testing::Values(FIELDPOST_MODULES),
                         [](const auto& param_info) { return param_info.param; });

class Example : public testing::Test {};

TEST_F(Example, ThermalReadsThousandthsOfADegree) {
  const fs::path zone = fs::path(testing::TempDir()) /
                        ("zone-" + std::to_string(testing::UnitTest::GetInstance()->random_seed()) +
                         "-" + std::to_string(getpid()));
  std::ofstream(zone) << "42500\n";
  FakeHost host(Row({{"path", zone.string()}}), load(build_dir() + "/examples/thermal.so"));
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  EXPECT_EQ(host.poll(), FP_OK) << host.trouble();
  EXPECT_EQ(host.number("temperature"), 42.5);
  fs::remove(zone);
  EXPECT_EQ(host.poll(), FP_E_IO);
  EXPECT_NE(host.error.find(zone.string()), std::string::npos) << host.error;
  EXPECT_EQ(host.samples.size(), 1u);
}

TEST_F(Example, UptimeInPlainCCounts) {
  FakeHost host(Row({}), load(build_dir() + "/examples/uptime.so"));
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  EXPECT_EQ(host.poll(), FP_OK) << host.trouble();
  EXPECT_GT(host.number("uptime").value_or(0), 0);
}

}  // namespace
