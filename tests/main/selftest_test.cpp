// SPDX-License-Identifier: Apache-2.0
#include "main/selftest.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "host/host_driver.hpp"

namespace fieldpost {
namespace {

// What is said of an installation with these plugins, line by line.
struct Tried {
  explicit Tried(const std::vector<std::string>& plugins, Paths paths = {}) {
    const test::TempDir dir;
    for (const std::filesystem::path path : plugins) {
      std::filesystem::copy_file(path, dir / path.filename().string());
    }
    paths.plugin_dir = dir.path();
    if (paths.plugin_host.empty()) paths.plugin_host = test::plugin_host();
    std::stringstream out;
    good = selftest(paths, out);
    for (std::string line; std::getline(out, line);) lines.push_back(line);
  }
  bool said(std::string_view words) const {
    return std::ranges::any_of(lines, [&](const auto& line) { return line.starts_with(words); });
  }
  std::string text() const {
    std::string all;
    for (const auto& line : lines) all += line + "\n";
    return all;
  }
  bool good = false;
  std::vector<std::string> lines;
};

TEST(Selftest, SaysWhatWorks) {
  const Tried tried({test::build_dir() + "/plugins/sim.so"});
  EXPECT_TRUE(tried.good) << tried.text();
  for (const char* words : {"ok      libmosquitto 2.", "ok      SQLite 3.", "ok      OpenSSL 3.",
                            "ok      libsystemd.so.0", "ok      outbox: a reading through memory",
                            "ok      plugin sim "}) {
    EXPECT_TRUE(tried.said(words)) << words << "\n" << tried.text();
  }
}

TEST(Selftest, NamesThePluginThatDoesNotWork) {
  const Tried tried({test::build_dir() + "/plugins/sim.so", test::plugin_path("wrong_major"),
                     test::plugin_path("wrong_crash")});
  EXPECT_FALSE(tried.good);
  EXPECT_TRUE(tried.said("ok      plugin sim ")) << tried.text();
  EXPECT_TRUE(tried.said("FAILED  plugin wrong_major: plugin speaks ABI 2.0")) << tried.text();
  EXPECT_TRUE(tried.said("FAILED  plugin wrong_crash: the plugin crashed")) << tried.text();
}

TEST(Selftest, NoPluginAtAllIsAFailure) {
  const Tried tried({});
  EXPECT_FALSE(tried.good);
  EXPECT_TRUE(tried.said("FAILED  plugins: there is none in ")) << tried.text();
}

TEST(Selftest, AMissingPluginHostIsAFailure) {
  Paths paths;
  paths.plugin_host = "/nowhere/plugin-host";
  const Tried tried({test::build_dir() + "/plugins/sim.so"}, paths);
  EXPECT_FALSE(tried.good);
  EXPECT_TRUE(tried.said("FAILED  plugin sim: cannot start the program")) << tried.text();
}

TEST(Selftest, AnOutboxThatCannotBeMadeIsAFailure) {
  const char* before = std::getenv("TMPDIR");
  const std::string restored = before != nullptr ? before : "/tmp";
  ::setenv("TMPDIR", "/nowhere", 1);
  std::stringstream out;
  Paths paths;
  paths.plugin_dir = test::build_dir() + "/plugins";
  paths.plugin_host = test::plugin_host();
  EXPECT_FALSE(selftest(paths, out));
  ::setenv("TMPDIR", restored.c_str(), 1);
  EXPECT_NE(out.str().find("FAILED  outbox"), std::string::npos) << out.str();
}

}  // namespace
}  // namespace fieldpost
