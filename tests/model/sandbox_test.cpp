// SPDX-License-Identifier: Apache-2.0
#include "model/sandbox.hpp"

#include <gtest/gtest.h>

namespace fieldpost {
namespace {

Sandbox hiding(std::vector<std::string> paths) { return {.hidden = std::move(paths)}; }

TEST(Sandbox, LeavesOpenWhatItHidesNeitherItselfNorByAFolder) {
  const Sandbox in_force = hiding({"/var/lib/fieldpost", "/data/key"});
  for (const std::vector<std::string>& paths :
       {std::vector<std::string>{}, {"/data/key"}, {"/data/key", "/var/lib/fieldpost/keys/a"}}) {
    EXPECT_FALSE(leaves_open(in_force, hiding(paths)));
  }
  for (const std::vector<std::string>& paths :
       {std::vector<std::string>{"/data/key-2"}, {"/data"}, {"/data/key", "/srv/key"}}) {
    EXPECT_TRUE(leaves_open(in_force, hiding(paths))) << paths.back();
  }
  EXPECT_TRUE(leaves_open(hiding({}), in_force));
}

}  // namespace
}  // namespace fieldpost
