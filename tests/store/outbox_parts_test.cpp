// SPDX-License-Identifier: Apache-2.0
//
// Rows of which a part is acknowledged. What the next process finds is what a power cut leaves:
// it knows of no handover.
#include "store/database.hpp"
#include "store/outbox.hpp"
#include "store_fixture.hpp"

namespace fieldpost {
namespace {

using testing::describe;
using testing::sample;
using testing::TempDir;
using Strings = std::vector<std::string>;

constexpr Epoch kNow{.since_ms = 0, .offset_ms = 1'700'000'000'000};

class OutboxParts : public ::testing::Test {
 protected:
  OutboxParts() { open(); }

  // Without knowledge of earlier handovers.
  void open() {
    outbox_.reset();
    handover_ = {};
    auto opened = testing::open_outbox(dir_.path(), "boot-1", kNow);
    ASSERT_TRUE(opened) << opened.error().message;
    outbox_ = *std::move(opened);
  }

  // One row of samples first..last, at 10 ms each, all of which the uplink has.
  void append_taken(int64_t first, int64_t last) {
    std::vector<Staged> staged;
    for (int64_t n = first; n <= last; ++n) {
      staged.push_back({.number = n, .sample = sample("d", n * 10, {{"a", value(n)}})});
    }
    ASSERT_TRUE(outbox_->append(staged, last));
    for (const Outbox::Made& made : outbox_->made()) handover_.add(made.row, {made.members, last});
  }

  void acknowledge(std::initializer_list<int64_t> numbers) {
    std::vector<int64_t> done;
    std::vector<Handover::Part> parts;
    for (const int64_t n : numbers) handover_.acknowledge_sample(n, done, parts);
    outbox_->take_out(parts);
    ASSERT_TRUE(outbox_->acknowledge(done));
  }

  Strings waiting() {
    return describe(outbox_->fetch(item_id::kBeforeAll, 1000, handover_).value());
  }

  // The sums that are stored with the rows, and those of the rows themselves.
  void expect_true_sums() {
    outbox_.reset();
    Database database = Database::open(dir_ / "outbox.db").value();
    auto sums = database
                    .prepare(
                        "SELECT s.rows, s.readings, s.bytes, (SELECT count(*) FROM chunk), "
                        "(SELECT sum(n) FROM chunk), "
                        "(SELECT sum(length(body) + 32) FROM chunk) FROM state s")
                    .value();
    ASSERT_TRUE(sums.step().value());
    for (int column = 0; column < 3; ++column) {
      EXPECT_EQ(sums.integer(column), sums.integer(column + 3)) << "column " << column;
    }
  }

  static double value(int64_t n) { return 0.1 * static_cast<double>(n * n); }
  static Strings lines(std::initializer_list<int64_t> numbers) {
    Strings made;
    for (const int64_t n : numbers) {
      made.push_back(describe("d", kNow.offset_ms + n * 10, Point{testing::symbol("a"), value(n)}));
    }
    return made;
  }

  TempDir dir_;
  std::optional<Outbox> outbox_;
  Handover handover_;
};

TEST_F(OutboxParts, LeaveTheDiskWithTheNextTransaction) {
  append_taken(1, 6);
  acknowledge({1, 4, 6});
  EXPECT_TRUE(outbox_->has_waiting_parts());
  EXPECT_FALSE(outbox_->has_waiting_deletes());
  EXPECT_EQ(waiting(), lines({2, 3, 5}));
  append_taken(7, 7);
  EXPECT_FALSE(outbox_->has_waiting_parts());
  EXPECT_EQ(outbox_->totals().readings, 4);
  EXPECT_EQ(outbox_->totals().acknowledged, 3);
  EXPECT_EQ(outbox_->totals().oldest_utc_ms, kNow.offset_ms + 20);
  EXPECT_EQ(waiting(), lines({2, 3, 5, 7})) << "and goes on by samples";
  expect_true_sums();
  open();
  EXPECT_EQ(outbox_->totals().readings, 4);
  EXPECT_EQ(waiting(), lines({2, 3, 5, 7}));
}

TEST_F(OutboxParts, GoStepByStepUntilTheRowIsGone) {
  append_taken(1, 4);
  for (const int64_t n : {3, 1, 4}) {
    acknowledge({n});
    ASSERT_TRUE(outbox_->flush_deletes());
  }
  EXPECT_EQ(outbox_->totals().readings, 1);
  EXPECT_EQ(waiting(), lines({2}));
  acknowledge({2});
  EXPECT_FALSE(outbox_->has_waiting_parts());
  ASSERT_TRUE(outbox_->flush_deletes());
  EXPECT_EQ(outbox_->totals().readings, 0);
  EXPECT_EQ(outbox_->totals().bytes, 0);
  EXPECT_EQ(outbox_->totals().acknowledged, 4);
  open();
  EXPECT_TRUE(waiting().empty());
}

TEST_F(OutboxParts, OfARowThatWentMeanwhileAreForgotten) {
  append_taken(1, 3);
  acknowledge({2});
  acknowledge({1, 3});  // the row, before the part was taken out of it
  ASSERT_TRUE(outbox_->flush_deletes());
  EXPECT_FALSE(outbox_->has_waiting_parts());
  EXPECT_EQ(outbox_->totals().acknowledged, 3);
  append_taken(4, 6);
  acknowledge({5});
  const std::vector<int64_t> rows{outbox_->next_row(0, handover_).value()->id};
  const auto keep_all = [](Symbol, Symbol) { return Keep::All; };
  ASSERT_TRUE(outbox_->reduce(rows, Outbox::Way::Drop, keep_all, handover_));
  EXPECT_FALSE(outbox_->has_waiting_parts());
  expect_true_sums();
}

TEST_F(OutboxParts, OfADamagedRowAreLeftInIt) {
  append_taken(1, 3);
  outbox_.reset();
  ASSERT_TRUE(Database::open(dir_ / "outbox.db").value().exec("UPDATE chunk SET body = x'00'"));
  const Handover held = handover_;
  open();
  handover_ = held;
  acknowledge({2});
  ASSERT_TRUE(outbox_->flush_deletes());
  EXPECT_FALSE(outbox_->has_waiting_parts());
  EXPECT_TRUE(waiting().empty());
  EXPECT_EQ(outbox_->totals().damaged_rows, 1);
}

}  // namespace
}  // namespace fieldpost
