// SPDX-License-Identifier: Apache-2.0
#include "uplink/sender.hpp"

#include <gtest/gtest.h>

#include "model/symbol.hpp"

namespace fieldpost {
namespace {

class SenderTest : public ::testing::Test {
 protected:
  std::vector<Chunk> rows(int64_t first, int64_t last, const std::string& device = "d",
                          int readings = 1) {
    std::vector<Chunk> chunks;
    for (int64_t row = first; row <= last; ++row) {
      State state{.time_ms = row, .points = {}};
      for (int i = 0; i < readings; ++i) {
        state.points.push_back({names_.intern("a" + std::to_string(i)), double(row)});
      }
      chunks.push_back({.row = row,
                        .device = names_.intern(device + std::to_string(row)),
                        .states = {std::move(state)}});
    }
    return chunks;
  }
  // As the store answers.
  void answer(std::vector<Chunk> chunks) {
    const bool end = chunks.empty();
    const int64_t up_to = end ? item_id::kBeforeAll : chunks.back().row;
    sender_.on_chunks(std::move(chunks), up_to, end);
  }
  int send() {
    const auto message = sender_.take_message(900, {});
    if (!message) return 0;
    sender_.sent(*message, ++mid_);
    return mid_;
  }
  int send_all() {
    int n = 0;
    while (send() != 0) ++n;
    return n;
  }

  SymbolTable names_;
  Sender sender_{900};
  int mid_ = 0;
};

using Rows = std::vector<int64_t>;

TEST_F(SenderTest, DoesNothingUntilConnected) {
  sender_.on_committed(5);
  EXPECT_FALSE(sender_.take_fetch());
  sender_.on_connected();
  EXPECT_EQ(sender_.take_fetch(), item_id::kBeforeAll);
  EXPECT_FALSE(sender_.take_fetch());  // one at a time
}

TEST_F(SenderTest, SaysWhatAnAcknowledgementSettles) {
  sender_.on_connected();
  sender_.take_fetch();
  answer(rows(1, 3));
  EXPECT_EQ(send_all(), 3);
  const auto acknowledged = sender_.acknowledged(2);
  ASSERT_TRUE(acknowledged);
  EXPECT_EQ(acknowledged->rows, Rows{2});
  EXPECT_FALSE(sender_.acknowledged(2));  // not twice
  EXPECT_FALSE(sender_.acknowledged(99));
}

TEST_F(SenderTest, PassesOverDevicesThatMayNotSend) {
  sender_.on_connected();
  sender_.take_fetch();
  answer(rows(1, 3));
  const auto message = sender_.take_message(900, [](Symbol device) { return *device == "d2"; });
  ASSERT_TRUE(message);
  EXPECT_EQ(*message->device, "d2");
  EXPECT_FALSE(sender_.take_message(900, [](Symbol) { return false; }));
}

TEST_F(SenderTest, BeginsFromTheStartWhenToldToForget) {
  sender_.on_connected();
  sender_.take_fetch();
  answer(rows(1, 3));
  send_all();
  sender_.on_disconnected();
  sender_.forget();
  sender_.on_connected();
  EXPECT_EQ(sender_.take_fetch(), item_id::kBeforeAll);
  answer(rows(2, 3));
  EXPECT_EQ(send_all(), 2);
}

TEST_F(SenderTest, FetchesOnWhileMuchIsThereAndStopsAtTheEnd) {
  sender_.on_connected();
  sender_.on_committed(10);
  EXPECT_EQ(sender_.take_fetch(), item_id::kBeforeAll);
  answer(rows(1, 5));
  EXPECT_EQ(sender_.take_fetch(), 5);
  answer(rows(6, 10));
  EXPECT_FALSE(sender_.take_fetch());
  sender_.on_committed(11);
  EXPECT_EQ(sender_.take_fetch(), 10);
}

TEST_F(SenderTest, DoesNotFetchMoreThanItCanHold) {
  sender_.on_connected();
  sender_.on_committed(1'000);
  sender_.take_fetch();
  answer(rows(1, 200, "d", 100));
  EXPECT_FALSE(sender_.take_fetch());
}

TEST_F(SenderTest, AsksAgainAfterAnEmptyAnswerThatShouldNotBe) {
  sender_.on_connected();
  sender_.on_committed(10);
  sender_.take_fetch();
  answer({});
  EXPECT_FALSE(sender_.take_fetch());
  sender_.on_tick();
  EXPECT_EQ(sender_.take_fetch(), item_id::kBeforeAll);
}

TEST_F(SenderTest, GoesBackToTheOldestUnacknowledgedRow) {
  sender_.on_connected();
  sender_.take_fetch();
  answer(rows(1, 3));
  send_all();
  sender_.acknowledged(1);
  sender_.acknowledged(3);
  sender_.on_committed(3);
  ASSERT_EQ(sender_.take_fetch(), 3);  // its answer is still to come when the line goes
  sender_.on_disconnected();
  EXPECT_EQ(sender_.in_flight(), 0);
  sender_.on_connected();
  EXPECT_FALSE(sender_.take_fetch());
  answer(rows(4, 5));  // the answer to the old question: of no use
  EXPECT_EQ(sender_.take_fetch(), 1);
  answer(rows(2, 5));  // 3 is done, and not deleted yet
  std::vector<std::string> devices;
  while (const auto message = sender_.take_message(900, {})) {
    devices.push_back(*message->device);
    sender_.sent(*message, ++mid_);
  }
  EXPECT_EQ(devices, (std::vector<std::string>{"d2", "d4", "d5"}));
}

TEST_F(SenderTest, WaitsForMoreOnlyWhileSomethingIsOnItsWay) {
  sender_.on_connected();
  sender_.on_committed(1);
  sender_.take_fetch();
  answer(rows(1, 1));
  EXPECT_NE(send(), 0);
  sender_.on_committed(2);
  sender_.take_fetch();
  answer(rows(2, 2));
  sender_.on_committed(3);
  ASSERT_TRUE(sender_.take_fetch());
  EXPECT_EQ(send(), 0);  // row 3 may be of the same device
  sender_.acknowledged(1);
  EXPECT_NE(send(), 0);  // nothing is on its way: at once
}

}  // namespace
}  // namespace fieldpost
