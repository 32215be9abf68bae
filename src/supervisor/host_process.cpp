// SPDX-License-Identifier: Apache-2.0
#include "supervisor/host_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "base/backoff.hpp"
#include "base/log.hpp"
#include "base/seqpacket.hpp"
#include "base/spawn.hpp"
#include "base/text.hpp"
#include "supervisor/crash_budget.hpp"
#include "supervisor/exit_reason.hpp"
#include "supervisor/host_conversation.hpp"
#include "supervisor/host_log.hpp"
#include "supervisor/start_host.hpp"
#include "supervisor/stderr_reader.hpp"

namespace fieldpost {
namespace {

using std::chrono::milliseconds, std::chrono::seconds;

constexpr nanoseconds kTimeToExit = seconds(1);  // after it has said or shown that it is ending
constexpr nanoseconds kStall = seconds(1);       // of our loop, after which nobody is judged
constexpr int kStderrLeftBehind = 32;            // blocks: more than a pipe holds

}  // namespace

struct HostProcess::Impl {
  Impl(EventLoop& l, Options o, Sinks s)
      : loop(l),
        options(std::move(o)),
        sinks(std::move(s)),
        backoff(std::chrono::ceil<milliseconds>(options.timing.first_pause),
                std::chrono::ceil<milliseconds>(options.timing.longest_pause)),
        budget(static_cast<size_t>(options.timing.exits),
               std::chrono::ceil<seconds>(options.timing.stable)) {}
  ~Impl() { bury(); }

  void fire(HostEvent event);
  void act(HostAction action);
  void tell();
  void arm(nanoseconds delay);
  void on_timer();
  void wait_for_next_start(nanoseconds pause);

  void spawn();
  Result<> try_spawn();
  Result<> connect(UniqueFd socket);
  Result<> admit_call() const;
  bool is_unit() const { return !options.socket.empty(); }
  Result<> watch(pid_t pid);
  void condemn(const std::string& why);
  void bury();

  void on_message(message::Any&& message);
  void on_end_of_file();
  void on_stderr();
  void on_exit(const siginfo_t& info);
  void end_unit_later();
  struct End {
    std::string reason;    // for people
    bool by_exit = false;  // not by a signal
  };
  void wind_up(const End& end);
  HostEvent judge(const End& end, BootTime now);
  void forget_past_if_stable(BootTime now);
  void check_life();
  void check_life_after(nanoseconds delay);

  EventLoop& loop;
  Options options;
  Sinks sinks;
  Status status;
  bool wanted = false;
  Backoff backoff;
  CrashBudget budget;
  bool overdrawn = false;
  std::pair<HostState, std::string> told{HostState::Down, ""};

  // Of the running process.
  std::unique_ptr<HostLink> link;
  std::unique_ptr<StderrReader> stderr_reader;
  Source exit_source, stderr_source, timer, life;
  bool alive = false;  // it has not ended, as far as we know; a unit has no pid
  std::unique_ptr<HostConversation> said;
  bool spoke = false;       // it has said something
  std::string kill_reason;  // why we killed it; empty: we did not
  bool end_of_file = false;
  std::optional<BootTime> up_since;
  BootTime heard{};                   // when it last said something
  std::optional<BootTime> ping_sent;  // and nothing was heard since
  BootTime life_due{};

  // Why we broke off from a unit, until it speaks to us again: till then it may still run.
  std::string broken_off;
};

// ---- The table, and what it says.

void HostProcess::Impl::fire(HostEvent event) {
  const HostStep then = step(status.state, event);
  if (then.next != status.state) {
    status.state = then.next;
    status.since = BootClock::now();
    status.retry = {};
    timer = Source();
  }
  act(then.action);
  tell();
}

void HostProcess::Impl::act(HostAction action) {
  switch (action) {
    case HostAction::None:
      return;
    case HostAction::Spawn:
      return spawn();
    case HostAction::Terminate:
      is_unit() ? link->finish() : void(::kill(status.pid, SIGTERM));
      return arm(options.timing.grace);
    case HostAction::Kill:
      link->close();
      life = Source();
      if (status.state != HostState::Stopping) status.reason = kill_reason;
      if (is_unit()) {  // what hangs there is for its watchdog to end
        broken_off = kill_reason;
        return end_unit_later();
      }
      ::kill(status.pid, SIGKILL);
      return;
    case HostAction::ArmBackoff:
      return wait_for_next_start(backoff.next());
    case HostAction::ArmLongPause:
      return wait_for_next_start(options.timing.long_pause);
  }
}

void HostProcess::Impl::tell() {
  if (told == std::pair(status.state, status.reason)) return;
  const bool other_state = told.first != status.state;
  told = {status.state, status.reason};
  if (other_state) log_state(options.config.name, status.state, status.reason, overdrawn);
  if (other_state && status.state == HostState::Down && !broken_off.empty()) {
    log::warning("the plugin's unit may still hold its bus until its watchdog ends it",
                 {{"FP_PLUGIN", options.config.name}, {"FP_REASON", broken_off}});
  }
  sinks.state();
}

void HostProcess::Impl::wait_for_next_start(nanoseconds pause) {
  status.retry = BootClock::now() + pause;
  arm(pause);
}

void HostProcess::Impl::arm(nanoseconds delay) {
  auto source =
      loop.after(std::chrono::ceil<std::chrono::microseconds>(delay), [this] { on_timer(); });
  if (source) timer = *std::move(source);
}

void HostProcess::Impl::on_timer() {
  const auto& timing = options.timing;
  if (end_of_file) {
    kill_reason = "closed its connection";
  } else if (status.state == HostState::Starting && !said->refused()) {
    kill_reason =
        said->declaration()
            ? "hung: did not open within " + about(options.config.deadline)
            : "hung: did not answer within " + about(timing.start + options.config.deadline);
  } else if (status.state == HostState::Stopping) {
    kill_reason = "did not end within " + about(timing.grace);
  }
  fire(HostEvent::Timeout);
}

// ---- The process.

void HostProcess::Impl::spawn() {
  ++status.starts;
  status.plugin = file_stamp(options.plugin);
  status.confinement.reset();
  status.punctuality.reset();
  said = std::make_unique<HostConversation>(options.config, sinks);
  kill_reason.clear();
  spoke = end_of_file = false;
  up_since = ping_sent = std::nullopt;
  if (const auto started = try_spawn(); !started) {
    bury();
    status.reason = started.error().message;
    if (is_unit()) return fire(HostEvent::Unavailable);  // its socket may come, as a device may
    const BootTime now = BootClock::now();
    overdrawn = budget.spend(now) || overdrawn;
    return fire(overdrawn ? HostEvent::ExitOften : HostEvent::Exit);
  }
  arm(options.timing.start + options.config.deadline);
}

Result<> HostProcess::Impl::connect(UniqueFd socket) {
  link = std::make_unique<HostLink>(
      loop, std::move(socket),
      HostLink::Sinks{[this](message::Any&& message) { on_message(std::move(message)); },
                      [this](const std::string& why) { condemn(why); },
                      [this] { on_end_of_file(); }},
      options.limits);
  return link->send(message::Configure{options.config, sinks.kept()}).context("configuration");
}

Result<> HostProcess::Impl::try_spawn() {
  alive = true;
  if (is_unit()) {
    UniqueFd socket =
        FP_TRY(connect_seqpacket(options.socket).context("the plugin's unit is out of reach"));
    FP_CHECK_OK(connect(std::move(socket)));
    return link->start();
  }
  auto [ours, theirs] = FP_TRY(make_seqpacket_pair());
  int ends[2] = {-1, -1};
  if (::pipe2(ends, O_CLOEXEC) != 0) return Error::from_errno(errno, "make a pipe");
  UniqueFd log_out(ends[0]);
  const UniqueFd log_in(ends[1]);
  (void)::fcntl(log_out.get(), F_SETFL, O_NONBLOCK);

  FP_CHECK_OK(connect(std::move(ours)));
  stderr_reader = std::make_unique<StderrReader>(
      std::move(log_out), [this](log::Level level, const std::string& line) {
        log::write(level, line, {{"FP_PLUGIN", options.config.name}});
      });
  status.pid =
      FP_TRY(start_host(options.plugin_host, "run", options.plugin, log_in.get(), theirs.get()));
  return watch(status.pid);
}

Result<> HostProcess::Impl::watch(pid_t pid) {
  exit_source = FP_TRY(loop.on_exit(pid, [this](const siginfo_t& info) { on_exit(info); }));
  stderr_source = FP_TRY(loop.on_readable(stderr_reader->fd(), [this] { on_stderr(); }));
  return link->start();
}

// Kills it for what it did; the exit that follows is judged by `why`.
void HostProcess::Impl::condemn(const std::string& why) {
  if (kill_reason.empty()) kill_reason = why;
  if (alive) fire(HostEvent::Timeout);
}

// Ends a process without the loop: for those that the loop cannot watch, and for the destructor.
void HostProcess::Impl::bury() {
  alive = false;
  exit_source = Source();
  stderr_source = Source();
  link.reset();
  stderr_reader.reset();
  if (status.pid <= 0) return;
  ::kill(-status.pid, SIGKILL);
  const auto gone = open_pidfd(status.pid);
  pollfd watched{gone ? gone->get() : -1, POLLIN, 0};
  (void)::poll(&watched, 1, 100);  // one that hangs in the kernel is left to init
  (void)::waitpid(status.pid, nullptr, WNOHANG);
  status.pid = -1;
}

void HostProcess::Impl::on_stderr() {
  const BootTime now = BootClock::now();
  const ssize_t n = stderr_reader->read_some(now);
  if (n < 0) stderr_source = Source();
  if (n > 0 && !link->admit_log(static_cast<size_t>(n), now)) {
    stderr_source = Source();
    condemn("writes more to its log than it may");
  }
}

void HostProcess::Impl::on_end_of_file() {
  if (!alive) return;
  if (is_unit()) return end_unit_later();
  end_of_file = true;
  if (status.state != HostState::Stopping) arm(kTimeToExit);  // the exit should be on its way
}

void HostProcess::Impl::on_exit(const siginfo_t& info) {
  // What the plugin started must not outlive its host, or each restart leaves more behind. The loop
  // reaps the host after this, so the group is still its own.
  ::kill(-info.si_pid, SIGKILL);
  status.pid = -1;
  wind_up({exit_reason(info), info.si_code == CLD_EXITED});
}

// Not at once: this is called from inside the link.
void HostProcess::Impl::end_unit_later() {
  auto source = loop.after(std::chrono::microseconds(0), [this] {
    wind_up({"its unit ended; the journal of that says why", true});
  });
  if (source) exit_source = *std::move(source);
}

void HostProcess::Impl::wind_up(const End& end) {
  const BootTime now = BootClock::now();
  alive = false;
  link->drain();  // a refusal, its last samples
  link.reset();
  for (int i = 0; i < kStderrLeftBehind && stderr_reader && stderr_reader->read_some(now) > 0;
       ++i) {
  }
  if (stderr_reader) stderr_reader->finish(now);
  // First the source: while another thread starts a program, that one has a copy of the descriptor,
  // and epoll would go on reporting it for a source that is gone.
  stderr_source = Source();
  stderr_reader.reset();
  exit_source = Source();
  life = Source();
  const HostEvent event = judge(end, now);
  said->fail_calls(status.reason);
  fire(event);
  if (status.state == HostState::Down && wanted) fire(HostEvent::Start);
}

// What the end of the process means; sets status.reason.
HostEvent HostProcess::Impl::judge(const End& end, BootTime now) {
  const bool by_itself = kill_reason.empty();
  const auto& refused = said->refused();
  status.reason = !by_itself ? kill_reason : refused ? refused->reason : end.reason;
  if (status.state == HostState::Stopping) {
    if (by_itself && end.by_exit) status.reason.clear();
    return HostEvent::Exit;
  }
  forget_past_if_stable(now);
  if (by_itself && refused && refused->kind == message::Refused::Kind::Lasting) {
    return HostEvent::Refused;
  }
  if (by_itself && refused && refused->kind == message::Refused::Kind::Passing) {
    return HostEvent::Unavailable;
  }
  // systemd closes a connection at once while the unit has a host already, say one that hangs.
  if (by_itself && is_unit() && !spoke) {
    status.reason = broken_off.empty() ? "its unit ended before it said anything" : broken_off;
    return HostEvent::Unavailable;
  }
  // Stays overdrawn until it has once been stable: otherwise each long pause would buy a new row
  // of quick restarts.
  overdrawn = budget.spend(now) || overdrawn;
  return overdrawn ? HostEvent::ExitOften : HostEvent::Exit;
}

void HostProcess::Impl::forget_past_if_stable(BootTime now) {
  if (!up_since || now - *up_since < options.timing.stable) return;
  backoff.reset();
  if (!std::exchange(overdrawn, false)) return;
  log::info("the plugin stays up, and is started at once again when it ends",
            {{"FP_PLUGIN", options.config.name}});
}

// ---- Messages.

void HostProcess::Impl::on_message(message::Any&& message) {
  heard = BootClock::now();
  if (!std::exchange(spoke, true)) broken_off.clear();
  const auto turn = said->hear(std::move(message), status.state, heard);
  if (!turn) return condemn(turn.error().message);
  status.confinement = said->confinement();
  status.punctuality = said->punctuality();
  switch (*turn) {
    case HostConversation::Turn::None:
      return;
    case HostConversation::Turn::Declared:
      if (status.state == HostState::Starting) arm(options.config.deadline);  // for open
      return;
    case HostConversation::Turn::Ready:
      up_since = heard;
      status.reason.clear();
      fire(HostEvent::Ready);
      if (status.state == HostState::Up) check_life();
      return;
    case HostConversation::Turn::Refused:
      if (alive && status.state != HostState::Stopping) arm(kTimeToExit);
      return;
  }
}

// ---- Whether it lives.

void HostProcess::Impl::check_life_after(nanoseconds delay) {
  const BootTime now = BootClock::now();
  life_due = now + delay;
  // Where it makes no difference on a whole second: all hosts are then looked at in one wake-up.
  if (delay >= 2 * kStall) life_due = std::chrono::ceil<seconds>(life_due);
  auto source = loop.after(std::chrono::ceil<std::chrono::microseconds>(life_due - now),
                           [this] { check_life(); });
  if (source) life = *std::move(source);
}

// Runs after what can be read has been read (Priority::Deadline).
void HostProcess::Impl::check_life() {
  if (status.state != HostState::Up) return;
  const BootTime now = BootClock::now();
  forget_past_if_stable(now);
  const nanoseconds deadline = options.config.deadline;
  if (ping_sent && heard < *ping_sent) {
    // We were held up or suspended ourselves: then it had no time to answer either.
    if (now - life_due > kStall) return check_life_after(deadline);
    return condemn("hung: no answer for " + about(deadline));
  }
  ping_sent.reset();
  const nanoseconds silence = std::max(options.timing.ping, deadline / 2);
  if (now - heard < silence) return check_life_after(silence - (now - heard));
  (void)link->send(message::Ping{});  // if it cannot even be queued, no answer comes: the same
  ping_sent = now;
  check_life_after(deadline);
}

// ---- The public face.

HostProcess::HostProcess(EventLoop& loop, Options options, Sinks sinks)
    : impl_(std::make_unique<Impl>(loop, std::move(options), std::move(sinks))) {}
HostProcess::~HostProcess() = default;

void HostProcess::start() {
  impl_->wanted = true;
  impl_->fire(HostEvent::Start);
}

void HostProcess::stop() {
  impl_->wanted = false;
  impl_->fire(HostEvent::Stop);
}

void HostProcess::tell(const message::BrokerHeard& heard) {
  if (impl_->status.state == HostState::Up) (void)impl_->link->send(heard);
}

void HostProcess::renew() {
  // One that does not even read this is hung, and its next process begins anew.
  if (impl_->status.state == HostState::Up) (void)impl_->link->send(message::Renew{});
}

Result<> HostProcess::Impl::admit_call() const {
  if (status.state != HostState::Up) {
    return Error{Errc::Unavailable, "the plugin is " + std::string(name_of(status.state)) +
                                        (status.reason.empty() ? "" : ": " + status.reason)};
  }
  return said->admit_call();
}

Result<> HostProcess::call(message::Call call) {
  FP_CHECK_OK(impl_->admit_call());
  const uint64_t id = call.id;
  FP_CHECK_OK(impl_->link->send(std::move(call)));
  impl_->said->sent(id);
  return {};
}

Result<> HostProcess::read_once(message::ReadOnce guest) {
  FP_CHECK_OK(impl_->admit_call());
  guest.config.deadline = impl_->options.config.deadline;
  const uint64_t id = guest.id;
  FP_CHECK_OK(impl_->link->send(std::move(guest)));
  impl_->said->sent_guest(id);
  return {};
}

const HostProcess::Status& HostProcess::status() const { return impl_->status; }

}  // namespace fieldpost
