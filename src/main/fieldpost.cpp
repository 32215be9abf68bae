// SPDX-License-Identifier: Apache-2.0
//
// fieldpost: the command line.
#include <string>
#include <vector>

#include "cli/cli.hpp"

int main(int argc, char** argv) {
  const std::vector<std::string> args(argv + 1, argv + argc);
  return fieldpost::cli::run(args);
}
