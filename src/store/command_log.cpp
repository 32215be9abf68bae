// SPDX-License-Identifier: Apache-2.0
#include "store/command_log.hpp"

#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/log.hpp"
#include "model/wire.hpp"
#include "store/stage_record.hpp"

namespace fieldpost {
namespace {

constexpr size_t kFrameBytes = 9;  // of a record, beside its body (stage_file.hpp)
constexpr size_t kStepBytes = kFrameBytes + 10 + 1;  // a step's record at most
constexpr size_t kStepsToCome = 2;                   // of a command: Accepted, and the end
constexpr size_t kOverhead = 64 + kFrameBytes + 10;  // of a file: its header, and `whole`

// `Command` is const for writing.
template <class Io, class Number, class Command>
void fields_of(Io& io, Number& number, Command& command) {
  io(number);
  io(command.received);
  io(command.device_id);
  io(command.topic);
  io(command.payload);
}

std::vector<std::byte> step_body(uint64_t number, CommandStatus status) {
  return written_body([&](wire::Writer& out) {
    out(number);
    out.enumeration(status, CommandStatus::Received, CommandStatus::Duplicate);
  });
}

std::vector<std::byte> ended_body(const std::string& text) {
  return written_body([&](wire::Writer& out) { out(text); });
}

std::array<std::string, 2> paths_in(const std::string& folder) {
  return {folder + "/commands.0", folder + "/commands.1"};
}

}  // namespace

// ---- Opening.

CommandLog::CommandLog(Options options) : options_(std::move(options)) {}

std::vector<CommandLog::Found> CommandLog::take_found() {
  const std::scoped_lock lock(mutex_);
  (void)be_open();  // trouble() has it
  return std::exchange(found_, {});
}

std::vector<std::string> CommandLog::take_ended() {
  const std::scoped_lock lock(mutex_);
  (void)be_open();
  return std::exchange(found_ended_, {});
}

Result<> CommandLog::be_open() {
  if (!files_.empty()) return {};
  const BootTime now = BootClock::now();
  if (now < retry_at_) return Error{Errc::Unavailable, trouble_};
  const size_t found = found_.size();
  auto opened = open_files();
  if (!opened) {
    files_.clear();
    open_.clear();
    found_.resize(found);  // they are found once more
    retry_at_ = now + options_.retry;
  }
  set_trouble(opened ? "" : opened.error().message);
  return opened ? Result<>() : Error{Errc::Unavailable, trouble_};
}

Result<> CommandLog::open_files() {
  (void)::mkdir(options_.folder.c_str(), 0700);  // the open says what is wrong
  for (const std::string& path : paths_in(options_.folder)) {
    files_.push_back(FP_TRY(StageFile::open(path, options_.bytes / 2)));
  }
  FP_CHECK_OK(recover());
  abandoned_ = false;
  return {};
}

// Of the two the one that was gone over to last.
Result<> CommandLog::recover() {
  const uint64_t generations[] = {files_[0].header().generation, files_[1].header().generation};
  generation_ = std::max(generation_, std::max(generations[0], generations[1]));
  const size_t newer = generations[0] > generations[1] ? 0 : 1;
  for (const size_t file : {newer, 1 - newer}) {
    if (abandoned_ || generations[file] == 0 || !FP_TRY(read(file))) continue;
    active_ = file;
    const bool this_boot = files_[file].header().boot == options_.boot_id;
    note_found(this_boot);
    if (this_boot) {
      for (const std::string& text : found_ended_) keep_ended(text);
    } else {
      found_ended_.clear();
    }
    if (this_boot) return files_[1 - file].begin({});  // see turn()
    break;
  }
  open_.clear();
  return turn();
}

// False if it was not gone over to.
Result<bool> CommandLog::read(size_t file) {
  open_.clear();
  reading_.clear();
  found_ended_.clear();
  bool whole = false;
  FP_CHECK_OK(files_[file].scan([&](int64_t offset, uint8_t type, std::span<const std::byte> body) {
    on_record(offset, type, body, &whole);
  }));
  return whole;
}

// A record whose checksum holds was written by us; one that makes no sense all the same is passed
// over.
void CommandLog::on_record(int64_t offset, uint8_t type, std::span<const std::byte> body,
                           bool* whole) {
  wire::Reader in(body);
  uint64_t number = 0;
  if (type == kReceived) {
    IncomingCommand command;
    fields_of(in, number, command);
    if (!in.done()) return;
    command.number = number;
    newest_ = std::max(newest_, number);
    open_[number] = {.offset = offset, .body = body.size()};
    reading_[number] = std::move(command);
  } else if (type == kStep) {
    CommandStatus status{};
    in(number);
    in.enumeration(status, CommandStatus::Received, CommandStatus::Duplicate);
    const auto it = open_.find(number);
    if (it == open_.end()) return;
    // A word of a later version's says at least that it went on.
    it->second.status = in.done() ? status : CommandStatus::Accepted;
    if (!is_final(it->second.status)) return;
    open_.erase(it);
    reading_.erase(number);
  } else if (type == kEnded) {
    std::string text;
    in(text);
    if (in.done()) found_ended_.push_back(std::move(text));
  } else if (type == kWhole) {
    in(number);
    if (in.done()) newest_ = std::max(newest_, number);
    *whole = true;
  }
}

void CommandLog::note_found(bool this_boot) {
  for (auto& [number, command] : std::exchange(reading_, {})) {
    CommandStatus status = open_.at(number).status;
    if (!this_boot) {
      command.number = 0;
      if (status == CommandStatus::Received) status = CommandStatus::Expired;
    }
    found_.push_back({.command = std::move(command), .status = status});
  }
}

// ---- Writing.

Result<uint64_t> CommandLog::received(const IncomingCommand& command) {
  const std::scoped_lock lock(mutex_);
  FP_CHECK_OK(be_open());
  auto placed = stay_in_place();
  auto number = placed ? append(command) : Result<uint64_t>(placed.error());
  if (!number && number.error().code == Errc::Full) return number;
  set_trouble(number ? "" : number.error().message);
  if (!number) return Error{Errc::Unavailable, trouble_};
  return number;
}

// Who clears the run directory takes the files along, which go on without a name: until a crash.
Result<> CommandLog::stay_in_place() {
  for (StageFile& file : files_) {
    if (file.in_place()) continue;
    auto remade = file.remake();
    if (!remade) return Error{Errc::Unavailable, remade.error().message};
  }
  return {};
}

Result<uint64_t> CommandLog::append(const IncomingCommand& command) {
  const uint64_t number = newest_ + 1;
  const auto body = written_body([&](wire::Writer& out) { fields_of(out, number, command); });
  if (!has_room(body.size())) {
    if (!would_hold(body.size())) {
      return Error{Errc::Full, std::to_string(open_.size()) +
                                   " commands have not ended, and there is no room for more"};
    }
    FP_CHECK_OK(turn());
  }
  const auto offset = files_[active_].append(kReceived, body);
  if (!offset) {
    // Half of it may be there, and before the rest of an earlier one like it that is a whole.
    (void)abandon(offset.error());
    return offset.error();
  }
  open_[number] = {.offset = *offset, .body = body.size()};
  return newest_ = number;
}

// With the steps of all that are open.
bool CommandLog::has_room(size_t body) const {
  return files_[active_].has_room(body + (open_.size() + 1) * kStepsToCome * kStepBytes);
}

// Whether the other would have, where what has ended is forgotten.
bool CommandLog::would_hold(size_t body) const {
  constexpr size_t kEach = kFrameBytes + (1 + kStepsToCome) * kStepBytes;  // Accepted goes over too
  size_t bytes = kOverhead + ended_bytes_ + body + kEach;
  for (const auto& [number, open] : open_) bytes += open.body + kEach;
  return bytes <= static_cast<size_t>(files_[1 - active_].bytes());
}

// Goes over to the other file. The one before is emptied: should the new one be damaged, it must
// not stand up again, as it does not know what has ended since.
Result<> CommandLog::turn() {
  const size_t other = 1 - active_;
  uint64_t log = files_[active_].header().log;
  if (log == 0 && ::getrandom(&log, sizeof log, 0) != sizeof log) {
    return Error::from_errno(errno, "getrandom");
  }
  FP_CHECK_OK(
      files_[other].begin({.generation = generation_ + 1, .log = log, .boot = options_.boot_id}));
  Opens moved;
  FP_CHECK_OK(put_whole(other, &moved));
  open_ = std::move(moved);
  active_ = other;
  ++generation_;
  return files_[1 - other].begin({});
}

Result<> CommandLog::put_whole(size_t file, Opens* moved) {
  for (const std::string& text : ended_) {
    (void)FP_TRY(files_[file].append(kEnded, ended_body(text)));
  }
  for (const auto& [number, open] : open_) {
    const auto body = files_[active_].read(open.offset, buffer_);
    if (!body) continue;  // somebody wrote into the file: it is run, or was, and no crash sees it
    Open& there = (*moved)[number] = open;
    there.offset = FP_TRY(files_[file].append(kReceived, *body));
    if (open.status == CommandStatus::Received) continue;
    (void)FP_TRY(files_[file].append(kStep, step_body(number, open.status)));
  }
  const auto whole = written_body([&](wire::Writer& out) { out(newest_); });
  (void)FP_TRY(files_[file].append(kWhole, whole));
  return {};
}

Result<> CommandLog::step(uint64_t number, CommandStatus status) {
  const std::scoped_lock lock(mutex_);
  return step_locked(number, status);
}

Result<> CommandLog::end(uint64_t number, CommandStatus status, const std::string& text) {
  const std::scoped_lock lock(mutex_);
  (void)be_open();  // trouble() has it
  auto noted = note_ended(text);
  auto stepped = step_locked(number, status);
  return noted ? stepped : noted;
}

// Where the log does not work the text goes over to the next one.
Result<> CommandLog::note_ended(const std::string& text) {
  keep_ended(text);
  if (files_.empty()) return {};
  const auto body = ended_body(text);
  if (!has_room(body.size())) return would_hold(0) ? turn() : Result<>();
  const auto written = files_[active_].append(kEnded, body);
  return written ? Result<>() : abandon(written.error());
}

void CommandLog::keep_ended(std::string text) {
  ended_bytes_ += kFrameBytes + 10 + text.size();
  ended_.push_back(std::move(text));
  while (ended_bytes_ > static_cast<size_t>(options_.bytes / 8)) {
    ended_bytes_ -= kFrameBytes + 10 + ended_.front().size();
    ended_.pop_front();
  }
}

Result<> CommandLog::step_locked(uint64_t number, CommandStatus status) {
  // To a version before, which does not know the word, it must not look as if it may have run.
  if (status == CommandStatus::Duplicate) status = CommandStatus::Rejected;
  const auto it = open_.find(number);
  if (it == open_.end() || status <= it->second.status) return {};
  const auto written = files_[active_].append(kStep, step_body(number, status));
  if (!written) return abandon(written.error());
  it->second.status = status;
  if (is_final(status)) open_.erase(it);
  return {};
}

Result<> CommandLog::abandon(const Error& why) {
  set_trouble(why.message);
  files_.clear();
  open_.clear();
  abandoned_ = true;
  retry_at_ = BootClock::now() + options_.retry;
  for (const std::string& path : paths_in(options_.folder)) {
    if (::unlink(path.c_str()) == 0 || errno == ENOENT) continue;
    return Error{Errc::Unavailable, "it cannot be noted that it runs, nor " +
                                        Error::from_errno(errno, "remove '" + path + "'").message};
  }
  return {};
}

void CommandLog::set_trouble(std::string text) {
  if (text == trouble_) return;
  if (text.empty()) {
    log::notice("commands are noted again");
  } else if (trouble_.empty()) {
    log::error("commands cannot be noted: they are run, but a crash would forget them",
               {{"FP_REASON", text}});
  }
  trouble_ = std::move(text);
}

// ---- Looking.

size_t CommandLog::open() const {
  const std::scoped_lock lock(mutex_);
  return open_.size();
}

std::string CommandLog::trouble() const {
  const std::scoped_lock lock(mutex_);
  return trouble_;
}

}  // namespace fieldpost
