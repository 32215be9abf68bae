// SPDX-License-Identifier: Apache-2.0
#include "store/room.hpp"

#include <algorithm>

#include "base/log.hpp"
#include "base/message_ids.hpp"

namespace fieldpost {
namespace {

using namespace std::chrono_literals;

constexpr auto kIdle = 10s;       // between looks when nothing is to be done
constexpr auto kDiskPeriod = 2s;  // between looks at a disk that was full
// A disk that is full again at once (thin provisioning) is looked at less and less often.
constexpr auto kDiskPeriodMost = 32s;
constexpr auto kAgePeriod = 60s;   // between looks at ages
constexpr auto kAgeAnew = 1h;      // rows that had no age or were held are looked at again
constexpr int kAgeLooks = 500;     // rows looked at in one step
constexpr int kMostRefusals = 16;  // of one flush, each followed by steps
// A file system with less than this is full: growing the database takes kGrowBytes at once.
constexpr int64_t kFullBytes = kGrowBytes + (int64_t{256} << 10);
// And it has space again when it has this and the ballast.
constexpr int64_t kSpaceAgain = int64_t{4} << 20;
constexpr int64_t kLeastPages = 64;  // the tables themselves
// A database that shrinks is written anew; that takes its bytes from the WAL's reserve.
constexpr int64_t kPagesToShrink = 1024;

int64_t pages_for(int64_t bytes) { return bytes / kPageBytes * 5 / 4 + 32; }

}  // namespace

int64_t samples_bytes(std::span<const Staged> samples) {
  int64_t bytes = 0;
  for (const Staged& staged : samples) bytes += sample_bytes(staged.sample.points);
  return bytes;
}

Room::Room(Options options, Toll& toll)
    : options_(std::move(options)), toll_(&toll), ballast_(options_.folder) {
  const int64_t rest = options_.max_size - kWalReserve - Ballast::kBytes;
  limit_ = std::max(rest / kGrowBytes, int64_t{1}) * kGrowBytes / kPageBytes - kStepPages;
  cap_ = limit_;
}

Result<> Room::opened(Outbox& outbox) {
  if (!ballast_.is_made()) {
    if (const auto made = ballast_.make(); !made) {
      log::warning("no space is put by for a full disk", {{"FP_REASON", made.error().message}});
    }
  }
  retention_ = {};
  disk_full_ = false;
  cap_ = limit_;
  clock_set();
  return limit(outbox);
}

void Room::flushed() {
  need_ = 0;
  refusals_ = 0;
  comes_first_ = false;
  nothing_left_ = false;
  changed();
}

// ---- A step.

Result<> Room::step(Outbox& outbox, Handover& handover, BootTime now) {
  due_ = now + (ballast_.is_made() ? nanoseconds(kIdle) : nanoseconds(kDiskPeriod));
  FP_CHECK_OK(look_at_disk(outbox, now));
  const Database::Space space = FP_TRY(outbox.space());
  if (space.used() > high_mark()) working_ = true;
  comes_first_ = need_ > 0 && space.used() + need_ > cap_ && !waits_for_disk();
  if ((working_ && !waits_for_disk()) || comes_first_) {
    int64_t goal = low_mark();
    if (comes_first_) goal = std::max(std::min(goal, cap_ - need_), int64_t{0});
    if (space.used() > goal) return give(outbox, handover, (space.used() - goal) * kPageBytes);
    working_ = false;
    (void)retention_.next_step(0, 0, {});  // this search is over
  }
  if (space.used() < calm_mark()) end_episode();
  if (space.pages > limit_) FP_CHECK_OK(shrink_file(outbox, space));
  return drop_aged(outbox, handover, now);
}

Result<> Room::give(Outbox& outbox, Handover& handover, int64_t wanted) {
  const auto next_row = [&](int64_t after) { return outbox.next_row(after, handover); };
  const auto step = FP_TRY(retention_.next_step(wanted, outbox.totals().bytes, next_row));
  if (std::holds_alternative<Retention::Nothing>(step)) {
    working_ = false;
    comes_first_ = false;
    nothing_left_ = true;
    return {};
  }
  due_ = {};
  return carry_out(outbox, handover, step);
}

Result<> Room::carry_out(Outbox& outbox, Handover& handover, const Retention::Step& step) {
  if (const auto* replace = std::get_if<Retention::Replace>(&step)) {
    begin_episode();
    return reduce(outbox, handover, replace->rows, Outbox::Way::Thin);
  }
  const auto* strip = std::get_if<Retention::Strip>(&step);
  const auto* drop = std::get_if<Retention::Drop>(&step);
  if (strip == nullptr && drop == nullptr) return {};
  begin_episode();
  if (!std::exchange(episode_drops_, true)) {
    log::error("the outbox is at its limit; the oldest readings are dropped",
               {message_id::kReadingsDropped});
  }
  return strip != nullptr ? reduce(outbox, handover, strip->rows, Outbox::Way::Strip)
                          : reduce(outbox, handover, drop->rows, Outbox::Way::Drop);
}

Result<> Room::reduce(Outbox& outbox, Handover& handover, const std::vector<int64_t>& rows,
                      Outbox::Way way) {
  const auto keep = [this](Symbol device, Symbol attribute) {
    return keep_of(rules_, *device, *attribute);
  };
  FP_CHECK_OK(outbox.limit_pages(cap_ + kStepPages));
  auto reduced = outbox.reduce(rows, way, keep, handover);
  FP_CHECK_OK(limit(outbox));
  for (const Outbox::Gone& gone : FP_TRY(std::move(reduced))) {
    if (way == Outbox::Way::Thin) {
      toll_->add_thinned(gone.device, gone.attribute, gone.readings);
    } else {
      toll_->add_dropped(gone.device, gone.attribute, gone.readings);
    }
  }
  // So that the next one finds the WAL as it is now, and does not ask a full disk for more.
  return disk_full_ ? outbox.checkpoint() : Result<>();
}

// What is older than max_age, from the oldest on. Nothing is said of rows whose time nobody knows.
Result<> Room::drop_aged(Outbox& outbox, Handover& handover, BootTime now) {
  if (options_.max_age.count() == 0 || now < age_at_) return {};
  age_at_ = now + kAgePeriod;
  if (now >= age_anew_at_) {
    age_anew_at_ = now + kAgeAnew;
    age_position_ = 0;
  }
  const auto utc = outbox.to_utc_ms(in_ms(now));
  if (!utc) return {};
  std::vector<int64_t> rows;
  int64_t after = age_position_;
  int64_t readings = 0;
  bool more = true;
  for (int looks = 0; looks < kAgeLooks && readings < kMaxStepReadings; ++looks) {
    const auto row = FP_TRY(outbox.next_row(after, handover));
    const auto end = row ? outbox.end_utc_ms(*row) : std::nullopt;
    more = row && (!end || *end < *utc - in_ms(options_.max_age));
    if (!more || rows.size() == kMaxStepRows) break;
    after = row->id;
    if (end && !row->held) {
      rows.push_back(row->id);
      readings += row->readings;
    } else if (rows.empty()) {
      age_position_ = row->id;
    }
  }
  if (more) age_at_ = due_ = {};
  if (!rows.empty() && !ages_) log::warning("readings older than outbox.max_age are dropped");
  ages_ = !rows.empty() || more;
  return rows.empty() ? Result<>() : reduce(outbox, handover, rows, Outbox::Way::Drop);
}

// ---- A transaction that was refused.

Result<bool> Room::make_way(Outbox& outbox, int64_t bytes) {
  const Database::Space space = FP_TRY(outbox.space());
  // What it takes is known roughly; each refusal of the same flush asks for more.
  const int64_t need = std::min(pages_for(bytes) * (1 + refusals_ / 4), cap_);
  const bool at_cap = space.used() + need > cap_;
  if (!disk_full_ && (!at_cap || free_bytes(options_.folder) < kFullBytes)) {
    FP_CHECK_OK(disk_is_full(outbox, space.pages));
    return true;
  }
  if (!at_cap || waits_for_disk() || nothing_left_ || ++refusals_ > kMostRefusals) return false;
  need_ = need;
  comes_first_ = true;
  due_ = {};
  return true;
}

// From now on the database has what it has: in place of the limit the same rules hold for that.
Result<> Room::disk_is_full(Outbox& outbox, int64_t pages) {
  disk_full_ = true;
  const BootTime now = BootClock::now();
  disk_pause_ = now - space_again_at_ < 2 * disk_pause_
                    ? std::min<nanoseconds>(2 * disk_pause_, kDiskPeriodMost)
                    : nanoseconds(kDiskPeriod);
  disk_at_ = now + disk_pause_;
  log::error("the disk is full; the outbox goes on with the space it has",
             {message_id::kDiskFull, {"FP_PAGES", std::to_string(pages)}});
  ballast_.release();
  cap_ = std::min(limit_, std::max(pages, kLeastPages));
  FP_CHECK_OK(limit(outbox));
  (void)outbox.checkpoint();  // tried again when it must be done
  return {};
}

Result<> Room::look_at_disk(Outbox& outbox, BootTime now) {
  if (ballast_.is_made() || now < disk_at_) return {};
  disk_at_ = now + kDiskPeriod;
  if (free_bytes(options_.folder) < Ballast::kBytes + kSpaceAgain) return {};
  if (!ballast_.make()) return {};  // later, then
  if (!std::exchange(disk_full_, false)) return {};
  log::notice("the disk has space again");
  space_again_at_ = now;
  cap_ = limit_;
  nothing_left_ = false;
  return limit(outbox);
}

// It was larger than it may be now, and nearly all of it is free.
Result<> Room::shrink_file(Outbox& outbox, const Database::Space& space) {
  if (space.used() > kPagesToShrink || disk_full_) return {};
  FP_CHECK_OK(outbox.shrink_file());
  return limit(outbox);
}

// ---- What the log says of it.

void Room::begin_episode() {
  if (std::exchange(episode_, true)) return;
  episode_drops_ = false;
  episode_thinned_ = toll_->thinned();
  episode_dropped_ = toll_->dropped();
  log::warning("the outbox is near its limit; old readings are thinned",
               {message_id::kReadingsThinned, {"FP_LIMIT", std::to_string(cap_ * kPageBytes)}});
}

void Room::end_episode() {
  if (!std::exchange(episode_, false)) return;
  log::notice("the outbox has room again",
              {{"FP_THINNED", std::to_string(toll_->thinned() - episode_thinned_)},
               {"FP_DROPPED", std::to_string(toll_->dropped() - episode_dropped_)}});
}

}  // namespace fieldpost
