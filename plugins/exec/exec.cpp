// SPDX-License-Identifier: Apache-2.0
//
// exec: any program that prints JSON lines. README.md is its manual, docs/exec-protocol.md says
// what the lines are. All is driven by events: nothing here waits but a command for its answer.
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <set>
#include <system_error>

#include "plan.hpp"
#include "program.hpp"
#include "run.hpp"
#include "tables.hpp"

namespace exec {
namespace {

namespace sdk = fieldpost::sdk;

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kFirstPause = kSecond, kLongestPause = 60 * kSecond;  // before a restart
constexpr int64_t kRanWell = 60 * kSecond;            // after so long the pauses begin anew
constexpr int64_t kGoodbye = kSecond;                 // between its last byte and its end
constexpr int64_t kComplainEvery = 10 * kSecond;      // of lines that were left out
constexpr int64_t kThrottledEvery = 60 * kSecond;     // between log lines about a flood
constexpr int kBadInARow = 10;                        // lines; then the unit counts as failing
constexpr size_t kQuoted = 120;                       // bytes of a line in the log
constexpr size_t kNamesTold = 100;                    // of attributes that were not declared
constexpr int kWarning = 4, kNotice = 5, kDebug = 7;  // syslog(3)

Fd checked(int fd, const char* what) {
  if (fd < 0) throw std::system_error(errno, std::generic_category(), what);
  return Fd(fd);
}

// SIGCHLD says when to look at the program. SIGPIPE would end the host where the program has
// closed its stdin. The program has neither blocked: start() sees to that.
Fd watch_children() {
  sigset_t blocked, child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  blocked = child;
  sigaddset(&blocked, SIGPIPE);
  (void)pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
  (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  return checked(signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK), "signalfd");
}

std::string seconds(int64_t ns) {
  std::string text = std::to_string(static_cast<double>(ns) / kSecond);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text + " s";
}

class Exec {
 public:
  using Plan = exec::Plan;

  Exec(sdk::Host& host, const Plan& plan)
      : plan_(plan),
        epoll_(checked(epoll_create1(EPOLL_CLOEXEC), "epoll_create1")),
        timer_(
            checked(timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK), "timerfd_create")),
        children_(watch_children()) {
    watch(epoll_, timer_.get());
    watch(epoll_, children_.get());
    if (plan_.mode == Mode::Stream) start_program(host);
    arm();
  }

  // Mode poll: starts a run, and tells how the one before has ended. Mode stream: tells how it is.
  void poll(sdk::Host& host) {
    pump(host);
    if (plan_.mode == Mode::Poll && !run_) start_program(host);
    arm();
    if (!fault_.empty()) throw sdk::IoError(fault_);
  }

  int event_fd() const { return epoll_.get(); }

  void on_event(sdk::Host& host) {
    pump(host);
    arm();
  }

  std::optional<sdk::Value> command(sdk::Host& host, const sdk::Call& call) {
    const CommandRow& row = plan_.commands.at(call.command());
    pump(host);
    waiting_for_ = ++last_id_;
    answer_.reset();
    const std::string why_not =
        ask(host, command_line_of(last_id_, row.name, argument_of(row, call)));
    waiting_for_ = 0;
    arm();
    if (!why_not.empty()) throw sdk::IoError(why_not);
    if (!answer_->is_done) {
      throw sdk::IoError(answer_->reason.empty() ? "the program says no more than that it failed"
                                                 : answer_->reason);
    }
    return read_back(host, row);
  }

 private:
  // ---- Events.

  void pump(sdk::Host& host) {
    uint64_t expirations = 0;
    (void)!read(timer_.get(), &expirations, sizeof expirations);  // EAGAIN: not expired
    signalfd_siginfo signal{};
    while (read(children_.get(), &signal, sizeof signal) > 0) continue;
    const int64_t now = boot_now();
    if (run_) serve(host, now);
    if (!run_ && plan_.mode == Mode::Stream && now >= start_at_) start_program(host);
  }

  void serve(sdk::Host& host, int64_t now) {
    run_->serve(
        now, [&](std::string_view line, bool whole) { take_line(host, line, whole, now); },
        [&](std::string_view line, bool) { host.log(kNotice, line); });
    if (run_->is_throttled()) tell_throttled(host, now);
    if (const auto limit = time_limit(); limit && now >= *limit) {
      const std::string why = overrun();
      run_->stop(now, why);
      // Now, not when it has gone: one that the kernel does not let go never has.
      if (why != fault_) {
        fail(host, why, plan_.mode == Mode::Poll ? printed_ : std::vector<bool>());
      }
    }
    if (run_->is_gone()) finish(host, now);
  }

  // Until when the program has to end, or to print something. Of one that ends, stdout is closed
  // a moment before.
  std::optional<int64_t> time_limit() const {
    if (!run_->is_running()) return {};
    if (plan_.mode == Mode::Poll) return run_->began() + plan_.timeout;
    if (const auto closed = run_->closed_stdout()) return *closed + kGoodbye;
    if (!plan_.silence) return {};
    return run_->last_line() + *plan_.silence;
  }

  // What it did to its time limit.
  std::string overrun() const {
    if (plan_.mode == Mode::Poll) return "the program did not end within " + seconds(plan_.timeout);
    if (run_->closed_stdout()) return "the program has closed its stdout, and did not end";
    return "the program printed nothing for " + seconds(*plan_.silence);
  }

  // The timer runs to whatever comes first.
  void arm() {
    int64_t next = INT64_MAX;
    if (run_) {
      next = std::min(run_->arm().value_or(next), time_limit().value_or(next));
    } else if (plan_.mode == Mode::Stream) {
      next = start_at_;
    }
    next = next == INT64_MAX ? 0 : std::max<int64_t>(next, 1);  // 0 disarms it
    const itimerspec when{{}, {next / kSecond, next % kSecond}};
    (void)timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &when, nullptr);
  }

  // ---- Beginning and end of the program.

  void start_program(sdk::Host& host) {
    const int64_t now = boot_now();
    try {
      run_ = std::make_unique<Run>(plan_.program, epoll_, now);
      ++runs_;
      printed_.assign(plan_.readings.size(), false);
      nonsense_.clear();
      bad_in_a_row_ = 0;
      if (plan_.readings.empty()) fault_.clear();  // no reading will do it
      host.log(kDebug, "started " + plan_.program.path);
    } catch (const sdk::IoError& e) {
      start_later(now, 0);
      fail(host, e.what(), {});
    }
  }

  void start_later(int64_t now, int64_t ran) {
    pause_ = ran >= kRanWell ? kFirstPause : std::clamp(pause_ * 2, kFirstPause, kLongestPause);
    start_at_ = now + pause_;
  }

  void finish(sdk::Host& host, int64_t now) {
    const std::unique_ptr<Run> run = std::move(run_);
    std::string why = run->failure();
    if (plan_.mode == Mode::Stream) {
      start_later(now, now - run->began());
      return fail(host, why.empty() ? "the program ended with status 0" : why, {});
    }
    if (why.empty() && std::ranges::find(printed_, true) == printed_.end()) {
      why = "the program printed no reading" + (nonsense_.empty() ? "" : ": " + nonsense_);
    }
    if (why.empty()) {
      fault_.clear();
    } else {
      fail(host, why, printed_);
    }
  }

  // Until a reading comes, none is there; those of `printed` have just come.
  void fail(sdk::Host& host, const std::string& why, const std::vector<bool>& printed) {
    const bool starts = plan_.mode == Mode::Stream && !run_;
    if (starts) host.log(kWarning, why + "; it is started again in " + seconds(pause_));
    if (!starts && why != fault_) host.log(kWarning, why);
    fault_ = why;
    std::vector<sdk::Reading> readings;
    for (size_t i = 0; i < plan_.readings.size(); ++i) {
      if (i < printed.size() && printed[i]) continue;
      readings.push_back(reading_of(plan_.readings[i], Missing{FP_COMM_ERROR, why}));
    }
    if (!readings.empty()) host.emit(readings);
  }

  // ---- What it prints.

  void take_line(sdk::Host& host, std::string_view line, bool whole, int64_t now) {
    if (line.find_first_not_of(" \t") == line.npos) return;
    Line parsed =
        whole ? parse_line(line)
              : Nonsense{"it is longer than " + std::to_string(Run::kOutput.line) + " bytes"};
    if (const auto* nonsense = std::get_if<Nonsense>(&parsed)) {
      return leave_out(host, line, nonsense->why, now);
    }
    bad_in_a_row_ = 0;
    if (auto* sample = std::get_if<Sample>(&parsed)) take(host, std::move(*sample));
    if (const auto* note = std::get_if<Note>(&parsed)) host.log(note->priority, note->text);
    if (auto* answer = std::get_if<Answer>(&parsed)) take(host, std::move(*answer));
  }

  void take(sdk::Host& host, Sample sample) {
    std::vector<sdk::Reading> readings;
    for (auto& [name, outcome] : sample.readings) {
      const auto found = std::ranges::find(plan_.readings, name, &Declared::name);
      if (found == plan_.readings.end()) {
        tell_undeclared(host, name);
        continue;
      }
      printed_[static_cast<size_t>(found - plan_.readings.begin())] = true;
      readings.push_back(reading_of(*found, std::move(outcome)));
    }
    if (readings.empty()) return;
    host.emit(readings, sample.boottime_ns);
    if (plan_.mode == Mode::Stream) fault_.clear();
  }

  void take(sdk::Host& host, Answer answer) {
    if (answer.id == waiting_for_ && !answer_) {
      answer_ = std::move(answer);
    } else {
      host.log(kWarning, "an answer to command " + std::to_string(answer.id) +
                             " was left out: nobody waits for it, or not any more");
    }
  }

  void leave_out(sdk::Host& host, std::string_view line, const std::string& why, int64_t now) {
    const std::string told =
        why + ": " + std::string(line.substr(0, kQuoted)) + (line.size() > kQuoted ? "…" : "");
    nonsense_ = told;
    if (++bad_in_a_row_ == kBadInARow && plan_.mode == Mode::Stream) {
      fail(host, std::to_string(kBadInARow) + " lines in a row were left out; " + told, {});
    }
    if (now < complain_at_) {
      ++not_told_;
      return;
    }
    complain_at_ = now + kComplainEvery;
    host.log(kWarning,
             "a line was left out" +
                 (not_told_ > 0 ? " (and " + std::to_string(not_told_) + " before)" : "") + ": " +
                 told);
    not_told_ = 0;
  }

  void tell_undeclared(sdk::Host& host, const std::string& name) {
    if (undeclared_.size() >= kNamesTold || !undeclared_.insert(name).second) return;
    const std::string meant = nearest(name, plan_.readings);
    host.log(kWarning, "the program prints '" + name.substr(0, kQuoted) +
                           "', which no [[plugin.reading]] declares; it is left out" +
                           (meant.empty() ? "" : ". Is '" + meant + "' meant?"));
  }

  void tell_throttled(sdk::Host& host, int64_t now) {
    if (now < throttled_at_) return;
    throttled_at_ = now + kThrottledEvery;
    host.log(kWarning, "the program prints more than " +
                           std::to_string(Run::kOutput.lines_per_second) + " lines or " +
                           std::to_string(Run::kOutput.bytes_per_second) +
                           " bytes a second: it is made to wait");
  }

  // ---- Commands.

  static std::optional<sdk::Value> argument_of(const CommandRow& row, const sdk::Call& call) {
    if (row.argument == 0) return {};
    if (row.argument == FP_BOOLEAN) return call.boolean(0);
    if (row.argument == FP_STRING) return call.text(0);
    return call.number(0);
  }

  // Hands the line over and waits for answer_, while all else goes on. Returns why there is none.
  std::string ask(sdk::Host& host, const std::string& line) {
    const int64_t deadline = boot_now() + plan_.command_timeout;
    const uint64_t run = runs_;
    size_t written = 0;
    while (!answer_) {
      if (!run_ || runs_ != run || !run_->is_running()) {
        return "the program does not run" + (fault_.empty() ? "" : ": " + fault_);
      }
      if (!run_->write(line, written)) return "the program has closed its stdin";
      const int64_t now = boot_now();
      if (now >= deadline) {
        // Half a line in its stdin would spoil the next command.
        const bool is_half = written > 0 && written < line.size();
        if (is_half) run_->stop(now, "the program does not read its stdin");
        return "the program did not answer within " + seconds(plan_.command_timeout);
      }
      wait(deadline - now, written < line.size());
      pump(host);
    }
    return "";
  }

  void wait(int64_t at_most, bool for_stdin) {
    arm();
    pollfd watched[] = {{epoll_.get(), POLLIN, 0}, {for_stdin ? run_->stdin_fd() : -1, POLLOUT, 0}};
    const timespec limit{at_most / kSecond, at_most % kSecond};
    (void)ppoll(watched, std::size(watched), &limit, nullptr);
  }

  std::optional<sdk::Value> read_back(sdk::Host& host, const CommandRow& row) {
    if (!answer_->value || !row.readback) return answer_->value;
    sdk::Reading reading = reading_of(plan_.readings[*row.readback], *answer_->value);
    host.emit(std::span(&reading, 1));
    if (reading.quality != FP_GOOD) return {};
    return std::move(reading.value);
  }

  const Plan plan_;
  Fd epoll_, timer_, children_;
  std::unique_ptr<Run> run_;   // none between two runs
  std::vector<bool> printed_;  // in it, by reading
  std::string nonsense_;       // what was wrong with the last line that was left out
  uint64_t runs_ = 0;
  int64_t start_at_ = 0, pause_ = 0;  // of the next start, in mode stream
  std::string fault_;                 // why the unit does not answer; empty: it does
  int bad_in_a_row_ = 0, not_told_ = 0;
  int64_t complain_at_ = 0, throttled_at_ = 0;  // before that, nothing is said
  std::set<std::string> undeclared_;            // names of attributes that were told
  int64_t last_id_ = 0, waiting_for_ = 0;
  std::optional<Answer> answer_;  // to the command of that id
};

}  // namespace
}  // namespace exec

FP_PLUGIN(exec::Exec, {.type = "exec",
                       .version = "0.1.0",
                       .summary = "Runs a program that prints readings as JSON lines and takes "
                                  "commands.",
                       .needs = FP_NEEDS_EXEC | FP_NEEDS_NETWORK | FP_NEEDS_DEVICES,
                       .options = exec::kOptions,
                       .tables = exec::kTables,
                       .attributes = exec::kAttributes,
                       .commands = exec::kCommands})
