// SPDX-License-Identifier: Apache-2.0
//
// The Modbus plugin on a serial line: a pair of pseudo-terminals, with Debian's pymodbus at the far
// end, or a peer that answers what no proper device would.
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "bus.hpp"
#include "fakes/modbus_server.hpp"
#include "fakes/rtu_peer.hpp"
#include "fakes/serial_pair.hpp"
#include "modbus_rows.hpp"

namespace fieldpost::modbus_test {
namespace {

using fakes::Frame;
using fakes::ModbusServer;

class ModbusRtu : public testing::Test {
 protected:
  // A server on the other end of the cable, with two units; others do not answer.
  ModbusRtu() {
    std::vector<std::string> args{"--serial", cable.b(), "--units", "3,4"};
    for (const char* c : {"count 3 holding 0", "count 4 holding 0", "set 3 holding 9 40000"}) {
      args.insert(args.end(), {"--do", c});
    }
    server.emplace(args);
  }
  std::string url() const { return "rtu://" + cable.a() + "?baud=19200&parity=N&stop=1"; }
  Row::Tables two_units() const {
    return {{"unit",
             {unit(3, {reg("a", "holding", 0, {{"command", "write"}}), reg("c", "holding", 9)}),
              unit(4, {reg("b", "holding", 0)}), unit(5, {reg("nobody", "holding", 0)})}}};
  }
  fakes::SerialPair cable;
  std::optional<ModbusServer> server;
};

TEST_F(ModbusRtu, ReadsAndWritesUnitsOfOneLine) {
  FakeHost host({{"url", url()}, {"timeout", "200ms"}}, two_units());
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  for (int i = 1; i <= 5; ++i) {
    ASSERT_EQ(host.poll(0), FP_OK) << host.trouble();
    ASSERT_EQ(host.poll(1), FP_OK) << host.trouble();
    EXPECT_EQ(host.number("a", 0), i);
    EXPECT_EQ(host.number("b", 1), i);
  }
  EXPECT_EQ(host.poll(2), FP_E_IO);
  EXPECT_EQ(host.error, "unit 5: no answer within 200 ms");
  EXPECT_EQ(host.poll(1), FP_OK) << host.trouble();
  EXPECT_EQ(host.number("b", 1), 6);
  EXPECT_EQ(host.command("write", {{"value", 7.0}}, 0).status, FP_OK);
}

TEST_F(ModbusRtu, ALateAnswerIsNeverTakenForTheNextOne) {
  // Late by a little: an answer that a busy machine delays beyond another timeout cannot be told
  // from the next one by anybody.
  FakeHost host({{"url", url()}, {"timeout", "400ms"}}, two_units());
  ASSERT_EQ(host.open(), FP_OK);
  expect_no_late_answer_taken(host, *server, 6);
}

TEST_F(ModbusRtu, NorWhenAnotherUnitWasSilentMeanwhile) {
  Row::Tables units = two_units();
  units["unit"][2].values.emplace("timeout", std::string("20ms"));
  FakeHost host({{"url", url()}, {"timeout", "400ms"}}, units);
  ASSERT_EQ(host.open(), FP_OK);
  for (int i = 0; i < 3; ++i) {
    server->tell("delay 3 0.6 2");
    EXPECT_EQ(host.poll(0), FP_E_IO);
    EXPECT_EQ(host.poll(2), FP_E_IO) << "unit 5, which is not there";
    (void)host.poll(0);  // the first answer comes now
    ASSERT_TRUE(eventually([&] { return host.poll(0) == FP_OK && host.number("a", 0); }));
    EXPECT_EQ(host.number("a", 0), std::stod(server->tell("get 3 holding 0")));
    ASSERT_TRUE(always(host, "c", 40000));
  }
}

TEST_F(ModbusRtu, NoiseCostsAnAnswerNotAValue) {
  FakeHost host({{"url", url()}, {"timeout", "200ms"}}, two_units());
  ASSERT_EQ(host.open(), FP_OK);
  for (int i = 0; i < 5; ++i) {
    cable.spoil(1);
    ASSERT_EQ(host.poll(1), FP_OK) << host.trouble();  // asked once more
    EXPECT_EQ(host.number("b", 1), std::stod(server->tell("get 4 holding 0")));
  }
  cable.spoil(1000);
  EXPECT_EQ(host.poll(1), FP_E_IO);
  EXPECT_TRUE(host.error.starts_with("unit 4: a wrong answer")) << host.error;
  cable.spoil(0);
  EXPECT_TRUE(eventually([&] { return host.poll(1) == FP_OK; })) << host.trouble();
}

TEST_F(ModbusRtu, ACutCableIsSilenceAndHealsByItself) {
  FakeHost host({{"url", url()}, {"timeout", "100ms"}}, two_units());
  ASSERT_EQ(host.open(), FP_OK);
  ASSERT_EQ(host.poll(1), FP_OK) << host.trouble();
  cable.cut(true);
  EXPECT_EQ(host.poll(1), FP_E_IO);
  cable.cut(false);
  EXPECT_TRUE(eventually([&] { return host.poll(1) == FP_OK; })) << host.trouble();
}

TEST_F(ModbusRtu, TheLineHasOneMaster) {
  FakeHost first({{"url", url()}}, two_units());
  ASSERT_EQ(first.open(), FP_OK);
  ASSERT_EQ(first.poll(1), FP_OK) << first.trouble();
  // As another process would: within one the plugin's objects share the line.
  modbus::Bus second(modbus::parse_url(url()), std::chrono::seconds(2), {});
  const auto read = [&] {
    return second.read(4, {modbus::Table::Holding, 0, 1}, std::chrono::seconds(2));
  };
  try {
    (void)read();
    FAIL() << "two masters";
  } catch (const fieldpost::sdk::IoError& e) {
    EXPECT_NE(std::string(e.what()).find("in use by another program"), std::string::npos)
        << e.what();
  }
  first.close();
  EXPECT_EQ(read().exception, 0);
}

TEST_F(ModbusRtu, TheLineIsLeftAloneBetweenFrames) {
  for (const auto& [baud, more, least] : {std::tuple{"1200", "0s", 3.5 * 10 / 1200},
                                          {"115200", "0s", 0.00175},
                                          {"115200", "60ms", 0.060}}) {
    const fakes::SerialPair line;
    const fakes::RtuPeer peer(line.b(), [](const Frame& r) { return fakes::registers(r, 7); });
    FakeHost host({{"url", "rtu://" + line.a() + "?baud=" + baud},
                   {"request_pause", more},
                   {"timeout", "5s"},
                   {"max_gap", 0}},
                  {{"register", {reg("a", "holding", 0), reg("b", "holding", 2)}}});
    ASSERT_EQ(host.open(), FP_OK) << host.trouble();
    for (int i = 0; i < 3; ++i) ASSERT_EQ(host.poll(), FP_OK) << host.trouble();
    // The peer looks at its clock before it has written the answer, not after.
    EXPECT_GE(std::chrono::duration<double>(peer.shortest_gap()).count(), least);
  }
}

// ---- The adapter is pulled and plugged in again.

TEST(ModbusUnplugged, TheDeviceFileIsOpenedAgainWhenItIsBack) {
  const test::TempDir folder;
  const std::filesystem::path link = folder / "by-id";
  std::optional<fakes::SerialPair> line(std::in_place);
  const auto answer = [](const Frame& r) { return fakes::registers(r, 7); };
  std::optional<fakes::RtuPeer> peer(std::in_place, line->b(), answer);
  std::filesystem::create_symlink(line->a(), link);
  FakeHost host({{"url", "rtu://" + link.string()}, {"timeout", "5s"}},
                {{"register", {reg("a", "holding", 0, {{"command", "a"}})}}});
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(host.poll(), FP_OK) << host.trouble();
    EXPECT_EQ(host.number("a"), 7);
    peer.reset();
    line.reset();
    // As udev does it, the link goes a moment after the device.
    EXPECT_EQ(host.poll(), FP_E_IO);
    EXPECT_TRUE(host.error.starts_with(link.string() + ": ")) << host.error;
    std::filesystem::remove(link);
    EXPECT_EQ(host.poll(), FP_E_IO);
    EXPECT_EQ(host.error,
              link.string() + ": there is no such device file: is the adapter plugged in?");
    line.emplace();
    peer.emplace(line->b(), answer);
    std::filesystem::create_symlink(line->a(), link);
  }
  // A write is not repeated: it says what happened.
  ASSERT_EQ(host.poll(), FP_OK) << host.trouble();
  peer.reset();
  line.reset();
  const auto write = host.command("a", {{"value", 1.0}});
  EXPECT_EQ(write.status, FP_E_UNCERTAIN) << "whether it left, nobody can say";
  EXPECT_TRUE(
      write.error.starts_with("unit 1 holding 0: " + link.string() + ": the adapter is gone ("))
      << write.error;
}

TEST(ModbusUnplugged, AMissingDeviceIsNamed) {
  FakeHost host({{"url", "rtu:///dev/no-such-tty"}}, {{"register", {reg("a", "coil", 0)}}});
  ASSERT_EQ(host.open(), FP_OK);
  EXPECT_EQ(host.poll(), FP_E_IO);
  EXPECT_EQ(host.error,
            "/dev/no-such-tty: there is no such device file: is the adapter plugged in?");
}

// ---- Answers that are none.

class ModbusWrongAnswers : public testing::Test {
 protected:
  // Two registers of 7 are asked for; `reply` answers, and the right answer is `right`.
  void ask(const fakes::RtuPeer::Reply& reply) {
    const fakes::SerialPair line;
    const fakes::RtuPeer peer(line.b(), reply);
    FakeHost host({{"url", "rtu://" + line.a() + "?baud=115200"}, {"timeout", "200ms"}},
                  {{"register", {reg("a", "holding", 0), reg("b", "holding", 1)}}});
    ASSERT_EQ(host.open(), FP_OK) << host.trouble();
    status = host.poll();
    error = host.error;
    samples = host.samples;
  }
  static Frame right(const Frame& request) { return fakes::registers(request, 7); }
  // The right answer but for what `change` does to it before the CRC.
  static Frame changed(const Frame& request, const std::function<void(Frame&)>& change) {
    Frame answer = fakes::registers_bare(request, 7);
    change(answer);
    return fakes::with_crc(answer);
  }
  fp_status status = FP_OK;
  std::string error;
  std::vector<FakeHost::Sample> samples;
};

TEST_F(ModbusWrongAnswers, AreNeverValues) {
  const std::vector<std::pair<const char*, std::function<void(Frame&)>>> changes{
      {"another unit's", [](Frame& f) { f[0] = 9; }},
      {"another function's", [](Frame& f) { f[1] = 4; }},
      {"fewer registers",
       [](Frame& f) {
         f = {f[0], f[1], 2, 0, 7};
       }},
      {"more registers",
       [](Frame& f) {
         f[2] = 6, f.insert(f.end(), {0, 7});
       }},
      {"no registers",
       [](Frame& f) {
         f = {f[0], f[1], 0};
       }},
      {"half a register", [](Frame& f) { f = {f[0], f[1], 3, 0, 7, 0}; }},
      {"a count that is too great", [](Frame& f) { f[2] = 200; }},
      {"another function's exception",
       [](Frame& f) {
         f = {f[0], 0x84, 2};
       }},
  };
  for (const auto& [name, change] : changes) {
    SCOPED_TRACE(name);
    ask([&](const Frame& request) { return changed(request, change); });
    EXPECT_EQ(status, FP_E_IO);
    EXPECT_TRUE(error.starts_with("unit 1: ")) << error;
    EXPECT_TRUE(samples.empty());
    // Once, and it is asked again.
    bool first = true;
    ask([&](const Frame& request) {
      return std::exchange(first, false) ? changed(request, change) : right(request);
    });
    if (status == FP_OK) {
      EXPECT_EQ(samples.at(0).readings.at(0).value, Value(7.0));
    } else {
      EXPECT_TRUE(samples.empty());
    }
  }
}

TEST_F(ModbusWrongAnswers, AreSilenceWhenTheyAreCutShort) {
  const Frame request{1, 3, 0, 0, 0, 2, 0, 0};
  for (size_t n = 0; n < right(request).size(); ++n) {
    ask([&](const Frame& r) {
      Frame answer = right(r);
      answer.resize(n);
      return answer;
    });
    EXPECT_EQ(status, FP_E_IO) << n;
    EXPECT_EQ(error, "unit 1: no answer within 200 ms") << n;
    EXPECT_TRUE(samples.empty()) << n;
  }
}

TEST_F(ModbusWrongAnswers, NoiseIsNoValue) {
  const auto seed = test::seed();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (int i = 0; i < 20; ++i) {
    int requests = 0;
    ask([&](const Frame& request) {
      if (++requests % 2 == 0) return right(request);
      Frame noise(1 + random() % 200);
      for (uint8_t& byte : noise) byte = static_cast<uint8_t>(random());
      if (random() % 2 == 0) noise[0] = 1;  // looks like an answer for longer
      return noise;
    });
    for (const auto& sample : samples) {
      for (const auto& r : sample.readings) {
        if (r.quality == FP_GOOD) {
          EXPECT_EQ(r.value, Value(7.0));
        }
      }
    }
    if (status != FP_OK) {
      EXPECT_TRUE(samples.empty());
    }
  }
}

}  // namespace
}  // namespace fieldpost::modbus_test
