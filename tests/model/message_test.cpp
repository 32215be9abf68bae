// SPDX-License-Identifier: Apache-2.0
#include "model/message.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <random>

#include "base/seqpacket.hpp"
#include "fakes/test_env.hpp"

namespace fieldpost {
namespace {

using message::Any;
using Frames = std::vector<std::vector<std::byte>>;

Frames encoded(const Any& message, uint64_t sequence = 0) {
  Frames frames;
  const auto r = encode(message, sequence, frames);
  EXPECT_TRUE(r) << r.error().message;
  return frames;
}

Result<std::optional<Any>> feed_all(message::Decoder& decoder, const Frames& frames) {
  Result<std::optional<Any>> last = std::optional<Any>{};
  for (const auto& frame : frames) last = decoder.feed(frame);
  return last;
}

InstanceConfig some_config() {
  InstanceConfig config{.name = "boiler", .interval = std::chrono::seconds(1)};
  config.sections.push_back({0, "", {{"url", std::string("tcp://127.0.0.1:502")}, {"unit", 1.0}}});
  config.sections.push_back({0, "register", {{"attribute", std::string("t")}, {"on", true}}});
  config.units = {0};
  config.sandbox = {.on = true, .needs = kNeedsNetwork, .hidden = {"/var/lib/fieldpost"}};
  return config;
}

std::vector<Any> one_of_each() {
  PluginInfo info{.type = "sim", .version = "1", .summary = "s", .abi_minor = 1, .needs = 3};
  info.options.push_back({.name = "x",
                          .type = OptionType::Choice,
                          .fallback = "a",
                          .choices = {"a", "b"},
                          .min = -1,
                          .max = 1e300,
                          .exclusive = true});
  info.tables.push_back({"signal", true, "h", info.options});
  info.attributes.push_back({"a", DataType::String, "V", "help"});
  info.commands.push_back({"set", "help", info.options, "out", "a", true});
  Declaration declaration;
  declaration.attributes.push_back({info.attributes[0], 1, 2});
  declaration.commands.push_back({info.commands[0], 0, 3});
  const Sample sample{BootTime(std::chrono::nanoseconds(123456789)),
                      {{0, Quality::Good, 21.5, ""},
                       {1, Quality::Good, true, ""},
                       {2, Quality::Good, std::string("grün\n"), ""},
                       {70'000, Quality::CommError, 0.0, "exception 2"},
                       {3, Quality::Good, -std::numeric_limits<double>::denorm_min(), ""}}};
  return {message::Configure{some_config(), {{"total", INT64_MIN}, {"n", 7}}},
          message::Call{7, 2, {Value(1.0), std::nullopt, Value(std::string("x"))}},
          message::Ping{},
          message::Described{info},
          message::Problem{3, "address", "overlaps"},
          message::Declared{declaration},
          message::Ready{},
          message::Refused{message::Refused::Kind::Passing, "no such file"},
          message::Samples{{sample, sample}},
          message::UnitState{2, false, "silent"},
          message::Outcome{UINT64_MAX, message::Outcome::Status::Failed, Value(false), "why"},
          message::Pong{},
          message::Confined{{.calls = true}},
          message::Held{BootTime(std::chrono::nanoseconds(5)), {0, 300, 7}, {1}, {2}},
          message::Renew{},
          message::Keep{{{"total", INT64_MAX}}},
          message::ReadOnce{9, some_config()},
          message::GuestReading{9, "", true, "", {"a", "b"}, {sample}},
          message::Punctuality{600, 3, std::chrono::milliseconds(2), BootClock::duration(9),
                               BootClock::duration(15)},
          message::BrokerHeard{BootTime(std::chrono::nanoseconds(7))},
          message::Remark{300, "lower bound"}};
}

TEST(Message, EachComesBackAsItWas) {
  message::Decoder decoder;
  uint64_t sequence = 41;
  for (const Any& m : one_of_each()) {
    Frames frames;
    ASSERT_TRUE(encode(m, sequence, frames));
    const auto back = feed_all(decoder, frames);
    ASSERT_TRUE(back) << back.error().message;
    ASSERT_TRUE(*back);
    EXPECT_TRUE(**back == m) << "type " << m.index();
  }
  EXPECT_EQ(one_of_each().size(), std::variant_size_v<Any>);
}

TEST(Message, ALongOneTravelsInSeveralFramesAndATooLongOneNotAtAll) {
  message::Samples samples;
  for (uint32_t i = 0; i < 12; ++i) {
    samples.samples.push_back({BootTime(), {{i, Quality::Good, std::string(60'000, 'x'), ""}}});
  }
  const Frames frames = encoded(samples);
  EXPECT_GT(frames.size(), 5u);
  for (const auto& frame : frames) EXPECT_LE(frame.size(), kMaxDatagram);
  message::Decoder decoder;
  const auto back = feed_all(decoder, frames);
  ASSERT_TRUE(back && *back);
  EXPECT_TRUE(std::get<message::Samples>(**back) == samples);

  for (uint32_t i = 0; i < 12; ++i) samples.samples.push_back(samples.samples[0]);
  uint64_t sequence = 0;
  Frames none;
  const auto r = encode(samples, sequence, none);
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().code, Errc::Full);
  EXPECT_TRUE(none.empty());
}

TEST(Message, AMissingFrameIsNoticed) {
  message::Decoder decoder;
  ASSERT_TRUE(decoder.feed(encoded(message::Ping{}, 0)[0]));
  const auto r = decoder.feed(encoded(message::Ping{}, 2)[0]);
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().message, "frame 2 where 1 was due");
}

TEST(Message, WhatIsNotAFrameIsNamed) {
  const auto complaint = [](std::vector<std::byte> frame) {
    message::Decoder decoder;
    const auto r = decoder.feed(frame);
    return r ? std::string("accepted") : r.error().message;
  };
  auto frame = encoded(message::UnitState{1, true, ""})[0];
  EXPECT_EQ(complaint({}), "a truncated frame of 0 bytes");
  auto changed = frame;
  changed[0] = std::byte{0};
  EXPECT_EQ(complaint(changed), "a frame that does not start with 'FP'");
  changed = frame;
  changed[2] = std::byte{9};
  EXPECT_EQ(complaint(changed), "a frame of version 9 instead of 1");
  changed = frame;
  changed[3] = std::byte{99};
  EXPECT_EQ(complaint(changed), "a message of unknown type 99");
  changed = frame;
  changed.push_back(std::byte{0});
  EXPECT_EQ(complaint(changed), "a message of type 9 with bytes left over");
  changed = frame;
  changed.pop_back();
  EXPECT_EQ(complaint(changed), "a message of type 9 with a malformed body");
}

// Numbers that are not finite and text that is not UTF-8 stop at the decoder.
TEST(Message, IllegalValuesAreRefused) {
  for (const Value& bad : {Value(std::numeric_limits<double>::quiet_NaN()),
                           Value(std::numeric_limits<double>::infinity()),
                           Value(std::string("\xff")), Value(std::string(kMaxText + 1, 'x'))}) {
    message::Samples samples{{{BootTime(), {{0, Quality::Good, bad, ""}}}}};
    message::Decoder decoder;
    EXPECT_FALSE(decoder.feed(encoded(samples)[0]));
  }
}

// Whatever mutation makes of a message, the decoder answers, and what it accepts encodes again to
// the same bytes: there is one form of everything.
TEST(Message, MutationsAreRefusedOrCanonical) {
  const uint64_t seed = test::seed();
  SCOPED_TRACE("FIELDPOST_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  const auto all = one_of_each();
  const int rounds = test::is_long() ? 1'000'000 : 50'000;
  int accepted = 0;
  for (int i = 0; i < rounds; ++i) {
    auto frame = encoded(all[random() % all.size()])[0];
    for (uint64_t n = random() % 4 + 1; n > 0; --n) {
      switch (random() % 3) {
        case 0:
          frame[random() % frame.size()] = static_cast<std::byte>(random());
          break;
        case 1:
          frame.resize(random() % (frame.size() + 1) + 1);
          break;
        default:
          frame.insert(frame.begin() + static_cast<ptrdiff_t>(random() % frame.size()),
                       static_cast<std::byte>(random()));
      }
    }
    message::Decoder decoder;
    const auto back = decoder.feed(frame);
    if (!back || !*back) continue;
    ++accepted;
    uint64_t sequence = 0;
    std::memcpy(&sequence, frame.data() + 8, sizeof sequence);
    EXPECT_EQ(encoded(**back, sequence)[0], frame);
  }
  EXPECT_GT(accepted, 0);
}

}  // namespace
}  // namespace fieldpost
