// SPDX-License-Identifier: Apache-2.0
//
// The parts of docs/man/fieldpost.1 that say what `fieldpost COMMAND --help` says are made from the
// same tables; FIELDPOST_REWRITE=1 makes them anew.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>
#include <sstream>

#include "cli/cli.hpp"
#include "fakes/test_env.hpp"

namespace fieldpost::cli {
namespace {

const std::string kBegin = ".\\\" from the tables of src/cli/cli.cpp\n";
const std::string kEnd = ".\\\" to here\n";

std::string page() { return test::source_dir() + "/docs/man/fieldpost.1"; }
std::string content_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
  }
  return out;
}

// A paragraph: what stands in `…` is bold.
std::string prose(std::string_view text) {
  constexpr size_t kWidth = 98;
  std::string out, line;
  std::istringstream words{std::string(text)};
  for (std::string word; words >> word;) {
    if (!line.empty() && line.size() + 1 + word.size() > kWidth) {
      out += line + "\n";
      line.clear();
    }
    line += (line.empty() ? "" : " ") + word;
  }
  out += line + "\n";
  std::string marked;
  bool bold = false;
  for (const char c : escaped(out)) {
    if (c == '`') {
      bold = !bold;
      marked += bold ? "\\fB" : "\\fR";
    } else {
      if ((c == '.' || c == '\'') && (marked.empty() || marked.back() == '\n')) marked += "\\&";
      marked += c;
    }
  }
  return marked;
}

// "PATH" and its default of "PATH (=/etc/fieldpost)"; empty for a switch.
std::pair<std::string, std::string> parameter_of(const po::option_description& option) {
  const std::string form = option.format_parameter();
  const size_t begin = form.find(" (=");
  if (begin == std::string::npos) return {form, ""};
  return {form.substr(0, begin), form.substr(begin + 3, form.size() - begin - 4)};
}

std::string entries(const po::options_description& options) {
  std::string out;
  for (const auto& option : options.options()) {
    const auto [value, fallback] = parameter_of(*option);
    out += ".TP\n.B " + escaped("--" + option->long_name()) +
           (value.empty() ? "" : " \\fI" + escaped(value) + "\\fR") + "\n";
    std::string text = option->description();
    text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
    out += prose(text + (fallback.empty() ? "." : ". Default: " + fallback + "."));
  }
  return out;
}

std::string commands() {
  std::string out = ".SH COMMANDS\n";
  for (const Subcommand& c : subcommands()) {
    out += ".SS " + escaped(c.name) + (c.words.empty() ? "" : " " + escaped(c.words)) + "\n";
    out += prose(std::string(c.summary) + ". " + std::string(c.help));
    if (c.options == nullptr) continue;
    po::options_description options;
    c.options(options);
    out += entries(options);
  }
  Paths paths;  // those of an installed system; where plugins are is the package's business
  return out + ".SH OPTIONS\nEvery command takes these.\n" + entries(common_options(paths));
}

TEST(Manual, SaysWhatTheHelpSays) {
  const std::string found = content_of(page());
  const size_t begin = found.find(kBegin);
  const size_t end = found.find(kEnd);
  ASSERT_TRUE(begin != std::string::npos && end != std::string::npos && begin < end);
  const std::string made = found.substr(0, begin) + kBegin + commands() + found.substr(end);
  if (::getenv("FIELDPOST_REWRITE") != nullptr) std::ofstream(page(), std::ios::binary) << made;
  EXPECT_EQ(content_of(page()), made) << "FIELDPOST_REWRITE=1 manual_test makes it anew";
}

}  // namespace
}  // namespace fieldpost::cli
