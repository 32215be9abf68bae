// SPDX-License-Identifier: Apache-2.0
//
// Keeps the outbox within its bounds: `max_size` bytes on the disk, `max_age`, and what the file
// system has. Store/retention.hpp says what gives way; this says when, a step at a time between
// other work, and what to do about a disk that is full of other things. Belongs to the store
// thread.
//
// `max_size` is shared out like this:
//   kWalReserve       the WAL: kWalFrames, and one transaction (kMaxFlushBytes and what SQLite
//   adds) Ballast::kBytes   put by for a full file system the rest          pages of the database,
//   in whole kGrowBytes: max_page_count. The last kStepPages
//                     are for steps: at the limit what makes room must have some
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "model/keep.hpp"
#include "store/ballast.hpp"
#include "store/outbox.hpp"
#include "store/retention.hpp"
#include "store/toll.hpp"

namespace fieldpost {

class Room {
 public:
  static constexpr int64_t kWalReserve = int64_t{4} << 20;
  // Of one transaction that brings samples, as they count in sample_bytes(); a sample that is
  // larger goes alone.
  static constexpr int64_t kMaxFlushBytes = int64_t{1} << 20;

  static constexpr int64_t kStepPages = 16;

  struct Options {
    std::string folder;
    int64_t max_size = 0;
    nanoseconds max_age{};  // 0: none
  };
  // `toll` counts what is given up, and outlives this.
  Room(Options options, Toll& toll);

  // As long as there is another place for what a full disk does not take, nothing is given up for
  // it: such a disk may have space again tomorrow.
  void set_patient(bool patient) { patient_ = patient; }
  // What is not named is kept as before: its readings may wait although nothing reads it any more.
  void set_keep(KeepRules rules) {
    rules.merge(rules_);
    rules_ = std::move(rules);
  }
  // The outbox was opened: from now on it is bounded.
  Result<> opened(Outbox& outbox);
  // Something was written.
  void changed() { due_ = BootTime{}; }
  void clock_set() { age_anew_at_ = age_at_ = due_ = BootTime{}; }

  // When step() has something to do.
  BootTime due() const { return due_; }
  // Whether it must have done so before a flush that was Full is tried again.
  bool comes_first() const { return comes_first_; }
  // One step, a transaction at most. Errors: Full, Io, Corrupt.
  Result<> step(Outbox& outbox, Handover& handover, BootTime now);

  // A transaction that brings so many bytes of samples was Full. True: it may be tried again, now
  // or after comes_first(). False: nothing more can be given. Errors: Full, Io.
  Result<bool> make_way(Outbox& outbox, int64_t bytes);
  // A flush has found its place.
  void flushed();

 private:
  Result<> limit(Outbox& outbox) { return outbox.limit_pages(cap_); }
  // In pages.
  int64_t high_mark() const { return cap_ * 97 / 100; }
  bool waits_for_disk() const { return disk_full_ && patient_; }
  int64_t low_mark() const { return cap_ * 90 / 100; }
  int64_t calm_mark() const { return cap_ * 80 / 100; }

  Result<> give(Outbox& outbox, Handover& handover, int64_t wanted);
  Result<> carry_out(Outbox& outbox, Handover& handover, const Retention::Step& step);
  Result<> reduce(Outbox& outbox, Handover& handover, const std::vector<int64_t>& rows,
                  Outbox::Way way);
  Result<> drop_aged(Outbox& outbox, Handover& handover, BootTime now);
  Result<> shrink_file(Outbox& outbox, const Database::Space& space);
  Result<> disk_is_full(Outbox& outbox, int64_t pages);
  Result<> look_at_disk(Outbox& outbox, BootTime now);
  void begin_episode();
  void end_episode();

  Options options_;
  Toll* toll_;
  KeepRules rules_;
  Ballast ballast_;
  Retention retention_;
  int64_t limit_ = 0;  // pages that max_size allows, a few for the steps themselves apart
  int64_t cap_ = 0;    // pages that there may be now: the limit, or what a full disk has
  int64_t need_ = 0;   // pages that a flush was refused
  int refusals_ = 0;   // of this flush
  bool working_ = false;
  bool comes_first_ = false;
  bool nothing_left_ = false;  // to give, when it was last looked for
  bool disk_full_ = false;
  bool patient_ = false;
  BootTime due_{};
  BootTime disk_at_{};  // when to look at the disk again
  BootTime space_again_at_{};
  nanoseconds disk_pause_{};
  BootTime age_at_{};         // when to look at ages again
  BootTime age_anew_at_{};    // and from the oldest row on
  bool ages_ = false;         // some were too old when it was last looked
  int64_t age_position_ = 0;  // rows up to it have no age, or are held
  // An episode: from the first thing that is given up until there is room again.
  bool episode_ = false;
  bool episode_drops_ = false;
  int64_t episode_thinned_ = 0, episode_dropped_ = 0;  // the toll at its beginning
};

// As sample_bytes() counts them.
int64_t samples_bytes(std::span<const Staged> samples);

}  // namespace fieldpost
