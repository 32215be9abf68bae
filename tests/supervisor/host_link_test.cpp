// SPDX-License-Identifier: Apache-2.0
//
// What no host should send, in numbers, against the code that reads it in the supervisor.
#include "supervisor/host_link.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <random>
#include <span>

#include "base/seqpacket.hpp"
#include "fakes/sanitizer.hpp"
#include "fakes/test_env.hpp"

namespace fieldpost {
namespace {

using Bytes = std::vector<std::byte>;
using Random = std::mt19937_64;

int count() { return test::turns(test::is_long() ? 1'000'000 : 20'000); }

// One message of each type, as frames whose sequence begins at 0.
std::vector<Bytes> valid_frames() {
  Declaration declaration;
  declaration.attributes.push_back({{"counter", DataType::Number, "V", "help"}, 0, 0});
  declaration.commands.push_back(
      {{"set", "help", {OptionSpec{.name = "value"}}, "o", "", true}, 0, 0});
  PluginInfo info;
  info.type = "puppet";
  info.options.push_back({.name = "mode", .fallback = "good", .choices = {"a", "b"}});
  InstanceConfig config;
  config.name = "x";
  config.sections.push_back({0, "", {{"mode", std::string("good")}, {"n", 1.0}}});
  const Sample sample{BootTime(std::chrono::seconds(1)),
                      {{0, Quality::Good, 1.5, ""}, {0, Quality::CommError, {}, "why"}}};
  const message::Any all[] = {message::Configure{config},
                              message::Call{1, 0, {Value(1.0), std::nullopt}},
                              message::Ping{},
                              message::Described{info},
                              message::Problem{0, "mode", "text"},
                              message::Declared{declaration},
                              message::Ready{},
                              message::Refused{message::Refused::Kind::Passing, "why"},
                              message::Samples{{sample, sample}},
                              message::UnitState{0, false, "why"},
                              message::Outcome{1, {}, Value(std::string("text")), ""},
                              message::Pong{}};
  std::vector<Bytes> frames;
  for (const message::Any& message : all) {
    uint64_t sequence = 0;
    (void)message::encode(message, sequence, frames);
  }
  return frames;
}

void mutate(Bytes& frame, Random& random) {
  const auto any = [&](size_t n) { return static_cast<size_t>(random() % std::max<size_t>(n, 1)); };
  for (size_t i = 0, n = 1 + any(4); i < n; ++i) {
    switch (any(5)) {
      case 0:
        if (!frame.empty()) frame[any(frame.size())] = static_cast<std::byte>(random());
        break;
      case 1:
        if (!frame.empty()) frame[any(frame.size())] ^= static_cast<std::byte>(1u << any(8));
        break;
      case 2:
        frame.resize(any(frame.size() + 1));
        break;
      case 3:
        frame.insert(frame.begin() + static_cast<std::ptrdiff_t>(any(frame.size() + 1)),
                     static_cast<std::byte>(random()));
        break;
      default:  // a length or a count as large as can be
        if (frame.size() > message::kHeaderSize) {
          frame[message::kHeaderSize + any(frame.size() - message::kHeaderSize)] = std::byte{0xFF};
        }
    }
  }
}

class HostLinkTest : public testing::Test {
 protected:
  void SetUp() override {
    auto loop = EventLoop::create();
    ASSERT_TRUE(loop);
    loop_.emplace(*std::move(loop));
  }

  // What a link says of a host that sends `datagram` and goes: "" if it accepted it.
  std::string verdict(std::span<const std::byte> datagram) {
    auto pair = make_seqpacket_pair();
    EXPECT_TRUE(pair);
    std::string said;
    int messages = 0;
    HostLink link(
        *loop_, std::move(pair->first),
        {[&](message::Any&&) { ++messages; }, [&](const std::string& why) { said = why; }, [] {}},
        {});
    EXPECT_EQ(::send(pair->second.get(), datagram.data(), datagram.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(datagram.size()));
    pair->second = UniqueFd();
    link.drain();
    EXPECT_LE(messages + (said.empty() ? 0 : 1), 1);
    return said;
  }

  std::optional<EventLoop> loop_;
};

TEST_F(HostLinkTest, TruncatedDatagramsAreRefused) {
  Random random(test::seed());
  const auto frames = valid_frames();
  for (int i = 0; i < count(); ++i) {
    Bytes frame = frames[random() % frames.size()];
    const size_t keep = 1 + random() % (frame.size() - 1);
    frame.resize(keep);
    ASSERT_NE(verdict(frame), "") << "at " << i;
  }
}

TEST_F(HostLinkTest, OversizedDatagramsAreRefused) {
  const Bytes longest(kMaxDatagram + 1'000);
  for (int i = 0; i < count(); ++i) {
    const size_t size = kMaxDatagram + 1 + static_cast<size_t>(i % 1'000);
    ASSERT_EQ(verdict(std::span(longest).first(size)),
              "sent a datagram of " + std::to_string(size) + " bytes");
  }
}

TEST_F(HostLinkTest, OtherVersionsAreRefused) {
  Random random(test::seed());
  const auto frames = valid_frames();
  for (int i = 0; i < count(); ++i) {
    Bytes frame = frames[random() % frames.size()];
    frame[2] = static_cast<std::byte>(2 + random() % 254);
    ASSERT_NE(verdict(frame).find("instead of 1"), std::string::npos) << "at " << i;
  }
}

TEST_F(HostLinkTest, RandomDatagramsAreRefused) {
  const uint64_t seed = test::seed();
  Random random(seed);
  for (int i = 0; i < count(); ++i) {
    Bytes datagram(1 + random() % 512);
    for (std::byte& b : datagram) b = static_cast<std::byte>(random());
    ASSERT_NE(verdict(datagram), "") << "seed " << seed << " at " << i;
  }
}

// There is a verdict or a message (or more frames would have to follow), never both and never a
// crash; that what decodes also encodes is the codec's own test.
TEST_F(HostLinkTest, MutatedMessagesAreRefusedOrTaken) {
  const uint64_t seed = test::seed();
  SCOPED_TRACE("seed " + std::to_string(seed));
  Random random(seed);
  const auto frames = valid_frames();
  int refused = 0;
  for (int i = 0; i < count(); ++i) {
    Bytes frame = frames[random() % frames.size()];
    mutate(frame, random);
    if (frame.empty()) continue;  // an end of file to the reader
    refused += verdict(frame).empty() ? 0 : 1;
  }
  EXPECT_GT(refused, count() / 2);
  EXPECT_LT(refused, count());
}

TEST_F(HostLinkTest, ALongMessageGoesThroughASmallBuffer) {
  auto pair = make_seqpacket_pair();
  ASSERT_TRUE(pair);
  HostLink link(*loop_, std::move(pair->first), {[](message::Any&&) {}, {}, {}}, {});
  message::Call call{1, 0, {}};
  for (int i = 0; i < 15; ++i) call.args.emplace_back(std::string(65'000, 'x'));
  ASSERT_TRUE(link.start());
  ASSERT_TRUE(link.send(call));
  message::Decoder decoder;
  Bytes buffer(kMaxDatagram);
  std::optional<message::Any> received;
  for (int i = 0; i < 100 && !received; ++i) {
    ASSERT_TRUE(loop_->run_once(std::chrono::milliseconds(10)));
    while (const auto frame = receive_datagram(pair->second.get(), buffer, false)) {
      auto message = decoder.feed(*frame);
      ASSERT_TRUE(message);
      if (*message) received = *std::move(*message);
    }
  }
  ASSERT_TRUE(received);
  EXPECT_EQ(std::get<message::Call>(*received), call);
}

TEST_F(HostLinkTest, WhatIsNotTakenIsBounded) {
  auto pair = make_seqpacket_pair();
  ASSERT_TRUE(pair);
  HostLink link(*loop_, std::move(pair->first), {[](message::Any&&) {}, {}, {}}, {});
  ASSERT_TRUE(link.start());
  const message::Call call{1, 0, {Value(std::string(60'000, 'x'))}};
  int sent = 0;
  while (sent < 10'000 && link.send(call)) ++sent;
  EXPECT_GE(sent, static_cast<int>(HostLink::kMaxQueued));
  EXPECT_LT(sent, 200);
}

}  // namespace
}  // namespace fieldpost
