// SPDX-License-Identifier: Apache-2.0
//
// Writes what waits for the broker into pipes, while the agent runs: `fieldpost outbox export` and
// `outbox status`. The store thread writes a slice at a time between its other work, so flushes and
// fetches are never held up by more than one slice, and never by a reader: a pipe that is full
// waits for its reader, one whose reader has gone ends. SIGPIPE must be ignored.
//
// An export brings every reading that waits when it begins and still waits when its turn comes,
// once: first the rows of the disk, then what is in stage 1 alone. What a flush takes from the one
// to the other meanwhile is followed there.
#pragma once

#include <poll.h>

#include <cstdint>
#include <deque>
#include <list>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "store/export_text.hpp"
#include "store/handover.hpp"
#include "store/outbox.hpp"
#include "store/stage_log.hpp"

namespace fieldpost {

struct ExportRequest {
  UniqueFd pipe;  // its write end
  // Nothing: no readings but one JSON object with the counts of each device.
  std::optional<ExportFormat> format;
  std::string device;  // Losant id; empty: all
  DeviceNames names;
};

struct ExportOutcome {
  bool ended = false;
  int64_t readings = 0;
  int64_t damaged_rows = 0;  // that could not be decoded and are missing
  std::string trouble;       // why it is not complete; empty: it is
};

// What is known of a device that has something waiting; `staged` are its readings in stage 1 alone.
Json to_json(const std::string& id, const std::string& name, const Outbox::DeviceCount& count,
             int64_t staged);

class Exports {
 public:
  static constexpr size_t kMost = 2;        // at a time
  static constexpr size_t kRemembered = 8;  // outcomes

  // ---- Any thread.

  // Its number, for outcome(). Errors: Invalid (no pipe), Unavailable (kMost are running).
  Result<int64_t> admit(ExportRequest request);
  // Errors: NotFound.
  Result<ExportOutcome> outcome(int64_t number) const;

  // ---- The store thread.

  // A slice of each that does not wait for its reader. `outbox` is nullptr while it is not open;
  // `trouble` says why, then.
  void work(Outbox* outbox, const std::string& trouble, const StageLog& stage,
            const Handover& handover);
  bool has_work() const;  // work() would do something without a reader doing something first
  // Pipes that are waited for.
  void add_waited(std::vector<pollfd>& fds) const;
  // Stage 1 has given these rows to the disk.
  void flushed(std::span<const Outbox::Made> made);
  void end_all(const std::string& why);

 private:
  struct Job {
    int64_t number = 0;
    ExportRequest request;
    std::optional<ExportText> text;
    std::string out;     // that the pipe has not taken yet
    size_t written = 0;  // of it
    bool blocked = false;
    bool complete = false;                  // nothing comes after `out`
    int64_t place = 0;                      // in the outbox
    std::optional<int64_t> last;            // place after which nothing is wanted
    int64_t sample = 0;                     // up to this number, stage 1 was read
    std::optional<int64_t> to;              // the last number wanted
    Handover seen;                          // what was read of stage 1 and stands in rows now
    Outbox::DeviceCounts counts;            // of the disk
    std::map<std::string, int64_t> staged;  // readings
    ExportOutcome outcome;
  };
  void take_admitted();
  Result<> produce(Job& job, Outbox* outbox, const StageLog& stage, const Handover& handover);
  static Result<bool> read_rows(Job& job, Outbox& outbox, const Handover& handover);
  static Result<> read_stage(Job& job, const StageLog& stage);
  static void add(Job& job, const WaitingReadings& readings);
  static void complete(Job& job);
  static bool write(Job& job);  // false: it is over
  void end(Job& job);

  mutable std::mutex mutex_;  // guards what follows up to jobs_
  std::vector<Job> admitted_;
  std::deque<std::pair<int64_t, ExportOutcome>> outcomes_;
  size_t running_ = 0;
  int64_t last_number_ = 0;
  std::list<Job> jobs_;
};

}  // namespace fieldpost
