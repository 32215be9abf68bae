// SPDX-License-Identifier: Apache-2.0
#include "base/timedate.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <optional>

#include "base/clock.hpp"
#include "base/unique_fd.hpp"
#include "fakes/timedate_bus.hpp"

namespace fieldpost {
namespace {

using namespace std::chrono_literals;
using test::TimedateBus;

// A socket at which nobody accepts, or reads.
UniqueFd mute_socket(const std::string& path) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(::listen(fd.get(), 8), 0);
  return fd;
}

class Timedate : public testing::Test {
 protected:
  Timedate() { block_signals({}); }
  void ask(const std::string& address, std::chrono::milliseconds limit = 10s) {
    auto query = TimedateQuery::ask(loop_, address, limit, [this](Result<TimedateAnswer> answer) {
      ++answers_;
      answer_ = std::move(answer);
      query_.reset();  // as users do
    });
    ASSERT_TRUE(query) << query.error().message;
    query_ = *std::move(query);
  }
  bool turn_until(const std::function<bool()>& condition, std::chrono::milliseconds limit = 20s) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    while (!condition() && std::chrono::steady_clock::now() < deadline) (void)loop_.run_once(10ms);
    return condition();
  }
  Result<TimedateAnswer> result(const std::string& address, std::chrono::milliseconds limit = 10s) {
    answer_.reset();
    ask(address, limit);
    EXPECT_FALSE(answer_) << "only from the loop";
    if (!turn_until([&] { return answer_.has_value(); })) return Error{Errc::Io, "the test waits"};
    return *answer_;
  }
  EventLoop loop_ = *EventLoop::create();
  std::unique_ptr<TimedateQuery> query_;
  std::optional<Result<TimedateAnswer>> answer_;
  int answers_ = 0;
};

TEST_F(Timedate, SaysWhatTimedatedSays) {
  TimedateBus bus(loop_);
  bus.serve();
  for (int bits = 0; bits < 8; ++bits) {
    bus.answer = {(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0};
    const auto answer = result(bus.address());
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_EQ(answer->synchronised, bus.answer.synchronised);
    EXPECT_EQ(answer->can_ntp, bus.answer.can_ntp);
    EXPECT_EQ(answer->ntp, bus.answer.ntp);
  }
  EXPECT_EQ(answers_, 8);
}

TEST_F(Timedate, NobodyThereIsAnAnswerToo) {
  const test::TempDir folder;
  const auto no_bus = result("unix:path=" + folder / "none");
  ASSERT_FALSE(no_bus);
  EXPECT_EQ(no_bus.error().code, Errc::Unavailable);
  EXPECT_EQ(no_bus.error().message, "ask timedated on the system bus: No such file or directory");
  EXPECT_EQ(result("nonsense").error().code, Errc::Unavailable);

  TimedateBus bus(loop_);
  const auto no_timedated = result(bus.address());
  ASSERT_FALSE(no_timedated);
  EXPECT_EQ(no_timedated.error().code, Errc::Unavailable);
  EXPECT_EQ(
      no_timedated.error().message,
      "ask timedated on the system bus: The name org.freedesktop.timedate1 was not provided by "
      "any .service files");
}

TEST_F(Timedate, RefusalsAndNonsenseAreErrors) {
  TimedateBus bus(loop_);
  bus.serve();
  bus.manner = TimedateBus::Manner::Refuse;
  EXPECT_EQ(result(bus.address()).error().message, "ask timedated on the system bus: not for you");
  bus.manner = TimedateBus::Manner::Ramble;
  EXPECT_EQ(result(bus.address()).error().message,
            "ask timedated on the system bus: an answer that is no set of properties");
}

TEST_F(Timedate, SilenceEndsAtTheLimitAndBlocksNothing) {
  const test::TempDir folder;
  const UniqueFd mute = mute_socket(folder / "bus");
  TimedateBus bus(loop_);
  bus.serve();
  bus.manner = TimedateBus::Manner::Silence;
  for (const std::string& address : {"unix:path=" + folder / "bus", bus.address()}) {
    int turns = 0;
    const Source ticks = *loop_.every(10ms, [&] { ++turns; });
    const BootTime start = BootClock::now();
    const auto answer = result(address, 300ms);
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, Errc::Timeout);
    EXPECT_GE(BootClock::now() - start, 300ms);
    EXPECT_GE(turns, 3);
  }
}

TEST_F(Timedate, ABusThatDiesMeanwhileIsAnError) {
  TimedateBus bus(loop_);
  bus.serve();
  bus.manner = TimedateBus::Manner::Silence;
  ask(bus.address(), 20s);
  ASSERT_TRUE(turn_until([&] { return bus.asked == 1; }));
  bus.end_bus();
  ASSERT_TRUE(turn_until([&] { return answers_ == 1; }, 10s));
  EXPECT_EQ(answer_->error().code, Errc::Unavailable);
}

TEST_F(Timedate, AQuestionThatIsDroppedIsNotAnswered) {
  TimedateBus bus(loop_);
  bus.serve();
  ask(bus.address(), 20ms);
  query_.reset();
  (void)result(bus.address());
  EXPECT_EQ(answers_, 1);
}

}  // namespace
}  // namespace fieldpost
