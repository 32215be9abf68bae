// SPDX-License-Identifier: Apache-2.0
//
// The black box: the newest warnings and errors in a small file of the state directory, which is
// there after a reboot when the journal is not (it is in memory on Raspberry Pi OS), and how the
// run before this one ended. docs/field-service.md has its format.
#pragma once

#include <atomic>
#include <chrono>
#include <mutex>
#include <optional>
#include <semaphore>
#include <string>
#include <string_view>
#include <thread>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "base/mailbox.hpp"

namespace fieldpost {

// What the file says of the run before.
struct LastRun {
  enum class Ended : uint8_t {
    Unknown,  // the file cannot be read
    None,     // there was none, or the file is gone with what it was on
    Stopped,  // it was told to end, and did
    Crashed,  // in this boot, without a word
    CutOff,   // in another boot, without a word: the power failed, or the machine was reset
  };
  Ended ended = Ended::Unknown;
  std::string last_word;  // when it wrote last, RFC 3339; may be empty
  std::string seen_as;    // of one that crashed: what systemd says of its end; may be empty
};
std::string_view name_of(LastRun::Ended ended);  // "unknown", "none", "stopped", …
// `content` of a black box, as seen in the boot with this id.
LastRun last_run(std::string_view content, std::string_view boot_id);

// Adds whole lines to a black box, on the disk when it returns. A torn end, which a power cut
// leaves, is written over. Longer than kMostBytes it is cut to the newest kKeptBytes, in one step.
// Waits for the disk. Errors: Full, Io.
Result<> add_to_black_box(const std::string& path, std::string_view lines);

// A thread of its own waits for the disk; nobody else does.
class BlackBox {
 public:
  static constexpr size_t kKeptBytes = size_t{64} << 10;
  static constexpr size_t kMostBytes = size_t{96} << 10;

  struct Options {
    std::string path;
    std::string boot_id;
    std::string start_words;  // behind "start" in the file: what runs here
    std::string boot_reason;  // main/boot_reason.hpp
    // Where the unit leaves what systemd saw of the last end: RESULT CODE STATUS, as
    // systemd.exec(5) has them. Read at a start that follows a crash. Empty: nowhere.
    std::string ended_path = {};
    // Warnings are written together, that long after the first at most. An error is written at
    // once, but no sooner than `pause` after the last time, also that of the process before.
    nanoseconds batch = std::chrono::minutes(1);
    nanoseconds pause = std::chrono::seconds(10);
  };
  struct View {
    LastRun last_run;
    std::string boot_reason;
    std::string trouble;  // why it cannot be written; empty: it can
  };

  // Takes what is logged from now on; keeps it until start().
  explicit BlackBox(Options options);
  // Without stop(), what was not written is lost.
  ~BlackBox();
  BlackBox(const BlackBox&) = delete;
  BlackBox& operator=(const BlackBox&) = delete;

  // Begins to write, and says in the log how the last run ended. The signals that end the process
  // are to be blocked by then.
  void start();
  // Writes what is left and, unless it was not `as_told`, that this run has ended as it should.
  // False if the disk does not take it within `limit`: the process must then be left without
  // running destructors.
  bool stop(std::chrono::milliseconds limit, bool as_told = true);

  View view() const;  // any thread

 private:
  struct Line {
    BootTime time;
    log::Level level = log::Level::Warning;
    std::string text;
  };
  void run();  // this and the following: the thread
  void look_back();
  void add(BootTime time, std::string_view word, std::string_view text);
  void take_mail();
  void wait() const;
  void write();

  const Options options_;
  const std::string boot_;  // the beginning of its id, for each line
  Mailbox<Line> mail_{1000};
  std::atomic<int64_t> left_out_{0};  // for want of room there
  std::atomic<bool> ending_{false};
  std::atomic<bool> last_words_{false};  // by stop()
  std::atomic<bool> as_told_{false};
  std::binary_semaphore ended_{0};
  mutable std::mutex mutex_;
  View view_;  // guarded by mutex_
  std::string pending_;
  std::optional<BootTime> due_;
  BootTime written_at_{};
  std::thread thread_;
};

}  // namespace fieldpost
