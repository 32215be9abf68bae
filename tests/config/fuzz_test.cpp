// SPDX-License-Identifier: Apache-2.0
//
// Mutated configurations: whatever a slip of the editor, a torn file or a merge conflict makes of
// one is answered in words.
#include <gtest/gtest.h>

#include <iostream>
#include <random>
#include <string>

#include "base/text.hpp"
#include "config/load.hpp"
#include "config/node.hpp"
#include "config/scratch.hpp"
#include "fakes/fake_probe.hpp"
#include "fakes/test_env.hpp"

namespace fieldpost {
namespace {

const std::string kValid =
    kHead +
    "[uplink]\nurl = \"mqtts://h:1\"\nkeepalive = '30s'\nwindow_bytes = \"64KiB\"\n"
    "[[device]]\nname = \"b\"\nid = \"575ecf887ae143cd83dc4aa3\"\n"
    "[[plugin]]\nname = \"meters\"\ntype = \"modbus\"\noptions.url = \"rtu:///dev/null\" # x\n"
    "[[plugin.unit]]\naddress = 3\ndevice = \"b\"\n"
    "[[plugin.unit.register]]\nattribute = \"p\"\ntable = \"holding\"\naddress = 0x10\n"
    "[[plugin]]\nname = \"s\"\ntype = \"sim\"\noptions = { attribute = \"x\", count = 3 }\n";

const char* const kPieces[] = {"[[plugin]]\n",
                               "[",
                               "]",
                               "[[",
                               "]]",
                               "\"",
                               "'''",
                               "\"\"\"",
                               "{",
                               "}",
                               "=",
                               ".",
                               ",",
                               "\n",
                               "#",
                               "nan",
                               "1e400",
                               "-0",
                               "\\u0000",
                               "[plugin]\n",
                               "options.x.y = 1\n",
                               "1979-05-27T07:32:00Z",
                               "[[plugin.unit]]\n",
                               "[device]\n",
                               "\xff",
                               "\xef\xbb\xbf",
                               "\r\n",
                               "[[gateway]]\n",
                               "plugin = []\n",
                               "99999999999999999999",
                               "true",
                               "[[plugin.unit.register]]\n",
                               "\xe2\x82\xac",
                               "a.a.a.a.a.a.a.a."};

class Mutator {
 public:
  explicit Mutator(uint64_t seed) : random_(seed) {}

  std::string next() {
    std::string text = kValid;
    for (size_t n = 1 + below(4); n > 0; --n) mutate(text);
    return text;
  }

 private:
  size_t below(size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(random_); }

  void mutate(std::string& text) {
    const size_t at = below(text.size() + 1);
    const size_t length = std::min(below(40), text.size() - at);
    switch (below(6)) {
      case 0:
        text.erase(at, length);
        break;
      case 1:
        text.insert(at, kPieces[below(std::size(kPieces))]);
        break;
      case 2:
        text.insert(below(text.size() + 1), std::string(text, at, length));
        break;
      case 3:
        if (at < text.size()) text[at] = static_cast<char>(below(256));
        break;
      case 4:
        text.replace(at, length, kPieces[below(std::size(kPieces))]);
        break;
      default:
        text.resize(at);
        text += kPieces[below(std::size(kPieces))];
    }
  }

  std::mt19937_64 random_;
};

TEST(Fuzz, EveryMutationIsAnsweredInWords) {
  const uint64_t seed = test::seed();
  const int rounds = test::is_long() ? 50'000 : 3'000;
  std::cout << "seed " << seed << ", " << rounds << " rounds\n";
  Mutator mutator(seed);
  const Scratch scratch;
  FakeProbe probe;
  int usable = 0;
  int refused = 0;
  for (int round = 0; round < rounds; ++round) {
    const std::string toml = mutator.next();
    SCOPED_TRACE(testing::Message() << "round " << round << ":\n" << printable(toml, 4000));
    probe.declared.clear();
    const Loaded loaded = load_config(scratch.write("f.toml", toml), probe);
    loaded.usable() ? ++usable : ++refused;
    for (const Problem& problem : loaded.problems) {
      EXPECT_EQ(problem.location.file, scratch / "f.toml");
      EXPECT_GT(problem.location.line, 0);
      EXPECT_GT(problem.location.column, 0);
      EXPECT_EQ(printable(problem.text, 100'000), problem.text);
    }
    for (const PluginConfig& plugin : loaded.config.plugins) {
      EXPECT_EQ(plugin.section_device.size(), plugin.instance.sections.size());
      EXPECT_EQ(plugin.section_keep.size(), plugin.instance.sections.size());
      EXPECT_EQ(plugin.attribute_device.size(), plugin.declaration.attributes.size());
    }
    if (HasFailure()) return;
  }
  std::cout << usable << " usable\n";
  // A fuzzer that meets only one of them tests nothing.
  EXPECT_GT(usable, rounds / 1000);
  EXPECT_GT(refused, rounds / 100);
}

}  // namespace
}  // namespace fieldpost
