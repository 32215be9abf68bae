// SPDX-License-Identifier: Apache-2.0
#include "main/black_box.hpp"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>

#include "base/file.hpp"
#include "base/message_ids.hpp"
#include "base/text.hpp"
#include "base/unique_fd.hpp"

namespace fieldpost {
namespace {

using namespace std::chrono_literals;

constexpr size_t kLongest = size_t{1} << 20;  // what is longer is not ours
constexpr size_t kBootDigits = 8;             // of its id
constexpr std::string_view kStart = "start";
constexpr std::string_view kStop = "stop";

// TIME BOOT UPTIME WORD TEXT
struct Entry {
  std::string_view time, boot, word;
};

std::string_view next_word(std::string_view& rest) {
  const size_t end = std::min(rest.find(' '), rest.size());
  const std::string_view word = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return word;
}

// Nothing: what a disk made of a line.
std::optional<Entry> parse(std::string_view line) {
  if (!is_utf8(line) || line.find('\0') != std::string_view::npos) return std::nullopt;
  Entry entry;
  entry.time = next_word(line);
  entry.boot = next_word(line);
  (void)next_word(line);
  entry.word = next_word(line);
  const bool sound = entry.time.ends_with('Z') && entry.boot.size() == kBootDigits &&
                     (entry.word == kStart || entry.word == kStop || entry.word == "warning" ||
                      entry.word == "error");
  return sound ? std::optional(entry) : std::nullopt;
}

// Without what follows the last whole line.
std::string_view whole_lines(std::string_view text) {
  const size_t end = text.rfind('\n');
  return end == std::string_view::npos ? std::string_view() : text.substr(0, end + 1);
}

// At most `limit` bytes from the end, without the first line if that is cut.
std::string_view newest(std::string_view lines, size_t limit) {
  if (lines.size() <= limit) return lines;
  const size_t begin = lines.find('\n', lines.size() - limit - 1);
  return lines.substr(std::min(begin, lines.size() - 1) + 1);
}

Result<> write_at(const UniqueFd& fd, size_t begin, std::string_view lines,
                  const std::string& path) {
  const auto failed = [&](const char* what) {
    const int why = errno;
    (void)::ftruncate(fd.get(), static_cast<off_t>(begin));  // half a line is of no use
    return Error::from_errno(why, std::string(what) + " '" + path + "'");
  };
  if (::ftruncate(fd.get(), static_cast<off_t>(begin)) != 0) return failed("cut");
  size_t at = begin;
  while (!lines.empty()) {
    const ssize_t n = ::pwrite(fd.get(), lines.data(), lines.size(), static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failed("write");
    lines.remove_prefix(static_cast<size_t>(n));
    at += static_cast<size_t>(n);
  }
  if (::fdatasync(fd.get()) != 0) return failed("sync");
  return {};
}

// "watchdog killed ABRT" as words.
std::string seen_by_systemd(const std::string& path) {
  const auto text = read_file(path, 200);
  if (!text) return "";
  std::string_view rest = std::string_view(*text).substr(0, text->find('\n'));
  const std::string result(next_word(rest));
  const std::string code(next_word(rest));
  if (result.empty() || result == "success") return "";
  return "systemd saw: " + result +
         (code.empty() ? "" : " (" + code + (rest.empty() ? "" : " ") + std::string(rest) + ")");
}

// Signals are for the main loop.
std::thread start_thread(auto run) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread thread(run);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return thread;
}

}  // namespace

std::string_view name_of(LastRun::Ended ended) {
  constexpr std::string_view kNames[] = {"unknown", "none", "stopped", "crashed", "cut-off"};
  return kNames[static_cast<int>(ended)];
}

LastRun last_run(std::string_view content, std::string_view boot_id) {
  std::string_view rest = whole_lines(content);
  while (!rest.empty()) {
    rest.remove_suffix(1);
    const size_t begin = rest.rfind('\n') + 1;  // of npos: 0
    const auto entry = parse(rest.substr(begin));
    rest = rest.substr(0, begin);
    if (!entry) continue;
    const bool same = entry->boot == boot_id.substr(0, kBootDigits);
    return {entry->word == kStop ? LastRun::Ended::Stopped
            : same               ? LastRun::Ended::Crashed
                                 : LastRun::Ended::CutOff,
            std::string(entry->time)};
  }
  return {LastRun::Ended::None, ""};
}

Result<> add_to_black_box(const std::string& path, std::string_view lines) {
  const auto content = read_file(path, kLongest);
  // Not the folder alone, but what is no file of ours, is made anew with the first lines.
  const bool anew =
      !content && (content.error().code == Errc::NotFound || content.error().code == Errc::Invalid);
  if (!content && !anew) return content.error();
  const std::string_view old = anew ? std::string_view() : whole_lines(*content);
  if (anew || old.size() + lines.size() > BlackBox::kMostBytes) {
    const std::string all = std::string(old) + std::string(lines);
    return write_file_atomically(path, newest(all, BlackBox::kKeptBytes));
  }
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY));
  if (!fd) return Error::from_errno(errno, "open '" + path + "'");
  return write_at(fd, old.size(), lines, path);
}

BlackBox::BlackBox(Options options)
    : options_(std::move(options)), boot_(options_.boot_id.substr(0, kBootDigits)) {
  view_.boot_reason = options_.boot_reason;
  log::set_recorder([this](log::Level level, std::string_view line) {
    if (!mail_.post({BootClock::now(), level, std::string(line)})) ++left_out_;
  });
}

BlackBox::~BlackBox() {
  log::set_recorder({});
  ending_ = true;
  (void)mail_.post({});  // wakes it; a full box has
  if (thread_.joinable()) thread_.join();
}

void BlackBox::start() {
  thread_ = start_thread([this] { run(); });
}

bool BlackBox::stop(std::chrono::milliseconds limit, bool as_told) {
  if (!thread_.joinable()) return true;
  log::set_recorder({});
  as_told_ = as_told;
  last_words_ = true;
  ending_ = true;
  (void)mail_.post({});
  if (!ended_.try_acquire_for(limit)) return false;
  thread_.join();
  return true;
}

BlackBox::View BlackBox::view() const {
  const std::scoped_lock lock(mutex_);
  return view_;
}

// ---- The thread.

void BlackBox::run() {
  pthread_setname_np(pthread_self(), "black-box");
  look_back();
  while (!ending_) {
    take_mail();
    if (due_ && BootClock::now() >= *due_) write();
    if (!ending_) wait();
  }
  if (last_words_) {
    take_mail();
    if (as_told_) add(BootClock::now(), kStop, "as it was told to");
    write();
  }
  ended_.release();
}

void BlackBox::look_back() {
  const auto content = read_file(options_.path, kLongest);
  LastRun last;
  if (content) {
    last = last_run(*content, options_.boot_id);
  } else if (content.error().code == Errc::NotFound) {
    last.ended = LastRun::Ended::None;
  }
  if (last.ended == LastRun::Ended::Crashed) {
    last.seen_as = printable(seen_by_systemd(options_.ended_path), 200);
  }
  {
    const std::scoped_lock lock(mutex_);
    view_.last_run = last;
  }
  const BootTime now = BootClock::now();
  const std::string& reason = options_.boot_reason;
  add(now, kStart, options_.start_words + (reason.empty() ? "" : "; this boot: " + reason));
  // That this run began is on the disk before it can end without a word; but where the file says
  // already that one has begun in this boot, an agent that crashes each second writes no more.
  due_ = now;
  if (last.ended == LastRun::Ended::Crashed) {
    const auto age =
        std::chrono::milliseconds(utc_ms(now) - file_stamp(options_.path).mtime_ns / 1'000'000);
    if (age >= 0ms &&
        age < options_.pause) {  // else the clock was set meanwhile, or it is long ago
      written_at_ = now - age;
      due_ = written_at_ + options_.pause;
    }
    const std::string seen = last.seen_as.empty() ? "" : ": " + last.seen_as;
    log::warning("the agent had crashed or was killed, and runs again" + seen,
                 {message_id::kLastRunCrashed, {"FP_LAST_WORD", last.last_word}});
  } else if (last.ended == LastRun::Ended::CutOff) {
    log::warning("the power was cut or the machine was reset while the agent ran",
                 {message_id::kLastRunCutOff, {"FP_LAST_WORD", last.last_word}});
  } else if (last.ended == LastRun::Ended::Stopped) {
    log::info("the last run was stopped as it should be", {{"FP_LAST_WORD", last.last_word}});
  } else if (last.ended == LastRun::Ended::None) {
    log::info("no earlier run is known");
  }
}

void BlackBox::add(BootTime time, std::string_view word, std::string_view text) {
  const auto uptime_ms = in_ms(time);
  pending_ += format_utc(utc_ms(time)) + " " + boot_ + " +" + std::to_string(uptime_ms / 1000) +
              "s " + std::string(word) + " " + printable(text, 2000) + "\n";
  if (pending_.size() > kKeptBytes) pending_ = newest(pending_, kKeptBytes);
}

void BlackBox::take_mail() {
  for (const Line& line : mail_.take_all()) {
    if (line.text.empty()) continue;  // only to wake us
    const bool error = line.level <= log::Level::Error;
    add(line.time, error ? "error" : "warning", line.text);
    const BootTime at = error ? written_at_ + options_.pause : line.time + options_.batch;
    due_ = std::min(due_.value_or(at), at);
  }
  if (const int64_t n = left_out_.exchange(0); n > 0) {
    add(BootClock::now(), "warning", std::to_string(n) + " messages came too fast to be kept");
  }
}

void BlackBox::wait() const {
  pollfd mail{.fd = mail_.fd(), .events = POLLIN, .revents = 0};
  if (!due_) {
    ::poll(&mail, 1, -1);
    return;
  }
  const auto left = std::max<nanoseconds>(*due_ - BootClock::now(), 0ns);
  const timespec timeout{.tv_sec = left / 1s, .tv_nsec = (left % 1s).count()};
  ::ppoll(&mail, 1, &timeout, nullptr);
}

void BlackBox::write() {
  const auto done = add_to_black_box(options_.path, pending_);
  written_at_ = BootClock::now();
  due_.reset();
  if (done) {
    pending_.clear();
  } else {
    due_ = written_at_ + options_.batch;
  }
  const std::string trouble = done ? "" : done.error().message;
  std::string before;
  {
    const std::scoped_lock lock(mutex_);
    before = std::exchange(view_.trouble, trouble);
  }
  if (before.empty() && !trouble.empty()) {
    log::warning("the black box cannot be written; warnings would not survive a reboot",
                 {message_id::kBlackBoxUnwritable, {"FP_REASON", trouble}});
  } else if (!before.empty() && trouble.empty()) {
    log::notice("the black box works again");
  }
}

}  // namespace fieldpost
