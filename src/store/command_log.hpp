// SPDX-License-Identifier: Apache-2.0
//
// Commands from their receipt to their end, in stage 1: what has come is not lost without a word
// when the process ends, and what may have run is not run again. Two files (store/stage_file.hpp)
// by turns: when one is full, what has not ended goes over to the other, with the newest texts of
// what has; the rest is forgotten.
//
//   received := 1: number:varint received:i64 (ns since boot) device topic payload   (text each)
//   step     := 2: number:varint status:u8
//   whole    := 3: newest:varint         what goes over from the other file is above
//   ended    := 4: text                  what became of one, before the step that ends it
//
// A file without `whole` was not gone over to: the other one counts. Any thread; a call writes to
// memory, and waits for no disk.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "model/command.hpp"
#include "store/stage_file.hpp"

namespace fieldpost {

class CommandLog {
 public:
  // Of both files. Half of it is what commands that have not ended can take: four as large as a
  // command may be, or some ten thousand small ones.
  static constexpr int64_t kBytes = int64_t{2} << 20;

  struct Options {
    std::string folder;  // made if its parent is there
    std::string boot_id;
    int64_t bytes = kBytes;
    std::chrono::nanoseconds retry = std::chrono::seconds(2);
  };
  // What cannot be opened is tried again by the calls below, after a pause.
  explicit CommandLog(Options options);

  // What an earlier process has left: Received, not begun; Accepted, it may have run; Expired, not
  // begun and from before the machine was started. Oldest first, and each only once; they stay in
  // the log until step() ends them. To be asked now and then: a log may be opened late.
  struct Found {
    IncomingCommand command;
    CommandStatus status = CommandStatus::Received;
  };
  std::vector<Found> take_found();

  // Notes a command, before anybody hears that it has arrived. Returns its number. Errors: Full
  // (so many have not ended: it is to be refused), Unavailable (the log does not work; trouble()
  // says why. What it held is given up where a write failed: see step()).
  Result<uint64_t> received(const IncomingCommand& command);

  // Notes how far it has come; Accepted before it is handed on. A number that has ended, or 0, is
  // left alone, as is a step that was noted. If it cannot be written, the log is removed with all
  // that is in it, so that nobody takes an old step for the last one. Errors: Unavailable (nor
  // could it be removed: a command that begins now could be run a second time after a crash).
  Result<> step(uint64_t number, CommandStatus status);
  // The last step, with what became of it, for who has to know it when it comes again. The newest
  // are kept, an eighth of kBytes: some 800. Of a number that is not in the log the text alone.
  Result<> end(uint64_t number, CommandStatus status, const std::string& text);
  // The texts of an earlier process of this boot, oldest first, each only once.
  std::vector<std::string> take_ended();

  size_t open() const;          // that have not ended
  std::string trouble() const;  // why a crash would forget commands; empty: it would not

 private:
  enum Type : uint8_t { kReceived = 1, kStep = 2, kWhole = 3, kEnded = 4 };
  struct Open {
    int64_t offset = 0;  // of its record in the active file
    size_t body = 0;     // bytes of that
    CommandStatus status = CommandStatus::Received;
  };
  using Opens = std::map<uint64_t, Open>;

  // All under the lock.
  Result<> be_open();
  Result<> open_files();
  Result<> recover();
  Result<bool> read(size_t file);
  void on_record(int64_t offset, uint8_t type, std::span<const std::byte> body, bool* whole);
  void note_found(bool this_boot);
  Result<> put_whole(size_t file, Opens* moved);
  Result<> step_locked(uint64_t number, CommandStatus status);
  Result<> note_ended(const std::string& text);
  void keep_ended(std::string text);
  Result<> stay_in_place();
  Result<uint64_t> append(const IncomingCommand& command);
  bool has_room(size_t body) const;
  bool would_hold(size_t body) const;
  Result<> turn();
  Result<> abandon(const Error& why);
  void set_trouble(std::string text);

  const Options options_;
  mutable std::mutex mutex_;
  std::vector<StageFile> files_;  // two, or none: not open
  size_t active_ = 0;
  uint64_t generation_ = 0;
  uint64_t newest_ = 0;  // number
  Opens open_;
  std::map<uint64_t, IncomingCommand> reading_;  // those of open_, while a file is read
  std::vector<Found> found_;
  std::deque<std::string> ended_;  // texts that go over
  size_t ended_bytes_ = 0;         // their records
  std::vector<std::string> found_ended_;
  bool abandoned_ = false;  // what lies there is not worth reading
  BootTime retry_at_{};
  std::string trouble_;
  std::vector<std::byte> buffer_;
};

}  // namespace fieldpost
