// SPDX-License-Identifier: Apache-2.0
#include "uplink/connect.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "base/unique_fd.hpp"
#include "fakes/cable.hpp"
#include "fakes/process.hpp"

namespace fieldpost::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Steady = std::chrono::steady_clock;

// An address where connecting hangs, as behind a firewall that drops: its queue of connections
// that nobody accepts is full, and the kernel answers no more of them.
class DeafHost {
 public:
  DeafHost(const char* address, uint16_t port) {
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_port = htons(port);
    ::inet_pton(AF_INET, address, &where.sin_addr);
    const auto* raw = reinterpret_cast<const sockaddr*>(&where);
    EXPECT_EQ(::bind(listener_.get(), raw, sizeof where), 0);
    EXPECT_EQ(::listen(listener_.get(), 0), 0);
    for (int i = 0; i < 8; ++i) {
      fillers_.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      EXPECT_TRUE(::connect(fillers_.back().get(), raw, sizeof where) == 0 || errno == EINPROGRESS);
    }
  }

 private:
  UniqueFd listener_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  std::vector<UniqueFd> fillers_;
};

// Runs one Connect to its end.
struct Attempt {
  Attempt(uint16_t port, const std::vector<std::string>& addresses,
          milliseconds step_limit = seconds(10)) {
    Connect connect(
        io,
        {.host = "broker.example",
         .port = port,
         .resolve = [addresses](const std::string&) -> Result<std::vector<std::string>> {
           return addresses;
         },
         .step_limit = step_limit},
        {.step = [this](const std::string& step) { steps.push_back(step); },
         .done =
             [this](boost::asio::ip::tcp::socket socket) {
               address = socket.remote_endpoint().address().to_string();
             },
         .failed = [this](const std::string& why) { reason = why; }});
    const auto before = Steady::now();
    connect.start();
    io.run_for(seconds(20));
    took = Steady::now() - before;
  }
  boost::asio::io_context io{1};
  std::vector<std::string> steps;
  std::string address, reason;
  Steady::duration took{};
};

TEST(Connect, DoesNotWaitForAnAddressThatIsDeaf) {
  const Cable cable({});
  const DeafHost deaf("127.0.0.2", cable.port());
  const Attempt attempt(cable.port(), {"127.0.0.2", "127.0.0.1"});
  EXPECT_EQ(attempt.address, "127.0.0.1") << attempt.reason;
  EXPECT_GE(attempt.took, Connect::kStagger);
  EXPECT_LT(attempt.took, seconds(2));
}

TEST(Connect, TakesTurnsBetweenTheFamilies) {
  const Cable six({.ipv6 = true});
  const DeafHost deaf("127.0.0.2", six.port());
  const Attempt attempt(six.port(), {"127.0.0.2", "127.0.0.3", "::1"});
  EXPECT_EQ(attempt.address, "::1") << attempt.reason;
  ASSERT_GE(attempt.steps.size(), 3U);
  EXPECT_EQ(attempt.steps[2], "connect [::1]:" + std::to_string(six.port()));
}

TEST(Connect, TheFirstAddressWinsAloneWhenItAnswers) {
  const Cable first({});
  const Attempt attempt(first.port(), {"127.0.0.1", "127.0.0.2"});
  EXPECT_EQ(attempt.address, "127.0.0.1");
  EXPECT_EQ(attempt.steps.size(), 2U);  // resolve, connect
}

TEST(Connect, ARefusalMakesWayForTheNextAtOnce) {
  const Cable cable({});
  const Attempt attempt(cable.port(), {"127.0.0.2", "127.0.0.3", "127.0.0.1"});
  EXPECT_EQ(attempt.address, "127.0.0.1") << attempt.reason;
  EXPECT_LT(attempt.took, Connect::kStagger);
}

TEST(Connect, SaysWhatBecameOfEachAddressInTheirOrder) {
  const uint16_t port = free_port();
  const DeafHost deaf("127.0.0.2", port);
  const Attempt attempt(port, {"127.0.0.2", "127.0.0.3"}, milliseconds(600));
  const std::string p = std::to_string(port);
  EXPECT_EQ(attempt.reason, "connect 127.0.0.2:" + p + ": no answer in 600 ms; connect 127.0.0.3:" +
                                p + ": Connection refused");
  EXPECT_LT(attempt.took, seconds(2));
}

TEST(Connect, TriesSoManyAddressesAndNoMore) {
  const std::vector<std::string> many(100, "127.0.0.1");
  const Attempt attempt(free_port(), many);
  EXPECT_EQ(attempt.steps.size(), 1 + Connect::kMaxAddresses);
}

}  // namespace
}  // namespace fieldpost::test
