// SPDX-License-Identifier: Apache-2.0
//
// What a read over Modbus/TCP makes of answers that no proper device gives, and of pieces.
#include <gtest/gtest.h>
#include <modbus/modbus.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <thread>
#include <vector>

#include "../../plugins/modbus/tcp_read.hpp"
#include "base/unique_fd.hpp"

namespace fieldpost::modbus {
namespace {

using namespace std::chrono_literals;
using Bytes = std::vector<uint8_t>;

class TcpRead : public ::testing::Test {
 protected:
  TcpRead() { connect(); }
  void connect() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()), 0);
    ours_ = UniqueFd(ends[0]);
    theirs_ = UniqueFd(ends[1]);
  }
  void answer(const Bytes& bytes) {
    EXPECT_EQ(::send(theirs_.get(), bytes.data(), bytes.size(), 0),
              static_cast<ssize_t>(bytes.size()));
  }
  // 0, or errno.
  int read(const Extent& what = kTwo, std::chrono::nanoseconds timeout = 5s) {
    words_.fill(0xDEAD);
    const int n = read_over_tcp(ours_.get(), 0x8102, 17, what, timeout, words_);
    return n == what.count ? 0 : errno;
  }
  Bytes request() {
    Bytes bytes(64);
    const ssize_t n = ::recv(theirs_.get(), bytes.data(), bytes.size(), 0);
    bytes.resize(n < 0 ? 0 : static_cast<size_t>(n));
    return bytes;
  }
  bool is_over() {
    char c = 0;
    return ::recv(theirs_.get(), &c, 1, MSG_PEEK) == 0;
  }

  static constexpr Extent kTwo{Table::Holding, 0x0102, 2};
  UniqueFd ours_, theirs_;
  std::array<uint16_t, 8> words_{};
};

TEST_F(TcpRead, AsksAndTakesTheAnswer) {
  answer({0x81, 0x02, 0, 0, 0, 7, 17, 3, 4, 0x12, 0x34, 0xFF, 0xFE});
  EXPECT_EQ(read(), 0);
  EXPECT_EQ(request(), Bytes({0x81, 0x02, 0, 0, 0, 6, 17, 3, 1, 2, 0, 2}));
  EXPECT_EQ(words_[0], 0x1234);
  EXPECT_EQ(words_[1], 0xFFFE);
  EXPECT_EQ(words_[2], 0xDEAD);
}

TEST_F(TcpRead, TakesBitsFromTheLowEndOfEachByte) {
  answer({0x81, 0x02, 0, 0, 0, 5, 17, 2, 2, 0b01000001, 0b10});
  EXPECT_EQ(read({Table::Discrete, 0, 8}), EMBBADDATA) << "two bytes for eight";
  connect();
  answer({0x81, 0x02, 0, 0, 0, 4, 17, 2, 1, 0b01000001});
  EXPECT_EQ(read({Table::Discrete, 0, 7}), 0);
  EXPECT_EQ(words_[0], 1);
  EXPECT_EQ(words_[1], 0);
  EXPECT_EQ(words_[6], 1);
}

TEST_F(TcpRead, TakesAnAnswerInPieces) {
  std::jthread device([this] {
    for (const uint8_t byte : Bytes{0x81, 0x02, 0, 0, 0, 7, 17, 3, 4, 0, 1, 0, 2}) answer({byte});
  });
  EXPECT_EQ(read(), 0);
  EXPECT_EQ(words_[1], 2);
}

TEST_F(TcpRead, LeavesWhatFollowsTheAnswer) {
  answer({0x81, 0x02, 0, 0, 0, 7, 17, 3, 4, 0, 1, 0, 2, 0x81});
  EXPECT_EQ(read(), 0);
  char c = 0;
  EXPECT_EQ(::recv(ours_.get(), &c, 1, 0), 1) << "and whoever asks next finds it";
}

TEST_F(TcpRead, PassesAnExceptionOn) {
  answer({0x81, 0x02, 0, 0, 0, 3, 17, 0x83, 2});
  EXPECT_EQ(read(), EMBXILADD);
  EXPECT_FALSE(request().empty());
  EXPECT_FALSE(is_over());
  answer({0x81, 0x02, 0, 0, 0, 3, 17, 0x83, 200});
  EXPECT_EQ(read(), EMBBADEXC);
}

// Part of the second is read with the first, so the rest is not to be taken for an answer.
TEST_F(TcpRead, EndsTheConnectionAfterAnExceptionThatComesTwice) {
  for (int i = 0; i < 2; ++i) answer({0x81, 0x02, 0, 0, 0, 3, 17, 0x83, 2});
  EXPECT_EQ(read(), EMBXILADD);
  EXPECT_FALSE(request().empty());
  EXPECT_TRUE(is_over());
}

TEST_F(TcpRead, RefusesWhatIsNotTheAnswer) {
  const Bytes right = {0x81, 0x02, 0, 0, 0, 7, 17, 3, 4, 0, 1, 0, 2};
  struct Wrong {
    size_t at;
    uint8_t byte;
    const char* what;
  };
  for (const Wrong& wrong : {Wrong{1, 3, "another's id"}, Wrong{3, 1, "another protocol"},
                             Wrong{5, 8, "longer"}, Wrong{5, 2, "shorter"}, Wrong{5, 0, "empty"},
                             Wrong{7, 4, "another function"}, Wrong{8, 2, "too few bytes"}}) {
    connect();
    Bytes bytes = right;
    bytes[wrong.at] = wrong.byte;
    answer(bytes);
    EXPECT_EQ(read(), EMBBADDATA) << wrong.what;
  }
}

TEST_F(TcpRead, WaitsForTheWholeAnswerAndNoLonger) {
  answer({0x81, 0x02, 0, 0, 0, 7, 17, 3, 4, 0, 1});
  EXPECT_EQ(read(kTwo, 20ms), ETIMEDOUT);
  theirs_ = UniqueFd();
  EXPECT_EQ(read(), EPIPE);
}

TEST_F(TcpRead, SeesThatTheOtherSideHasHungUp) {
  ASSERT_EQ(::shutdown(theirs_.get(), SHUT_WR), 0);
  EXPECT_EQ(read(), ECONNRESET);
}

}  // namespace
}  // namespace fieldpost::modbus
