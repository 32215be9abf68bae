// SPDX-License-Identifier: Apache-2.0
#include "host/runner.hpp"

#include <malloc.h>
#include <poll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "host/invoke.hpp"
#include "host/stop_signal.hpp"

namespace fieldpost {
namespace {

using std::chrono::seconds;

constexpr int kMessagesInARow = 16;                // before a poll that is due gets its turn
constexpr nanoseconds kLongestWait = seconds(10);  // poll(2) does not count a suspended machine
constexpr nanoseconds kKeepEvery = seconds(1);     // that no reading tells of

// What a plugin has that does not declare for itself: all of its tables. Attributes are counted
// unit by unit; commands are the first unit's.
Declaration declare_all(const PluginInfo& info, const InstanceConfig& config) {
  Declaration all;
  for (uint32_t unit = 0; unit < config.units.size(); ++unit) {
    for (const AttributeSpec& spec : info.attributes) {
      all.attributes.push_back({spec, unit, config.units[unit]});
    }
  }
  for (const CommandSpec& spec : info.commands) all.commands.push_back({spec, 0, config.units[0]});
  return all;
}

// As the readings leave here, which a scale of the host's may have changed.
Declaration in_units_of(Declaration declaration, const InstanceConfig& config) {
  for (Declaration::Attribute& attribute : declaration.attributes) {
    attribute.spec.unit = unit_of_measure(attribute.spec, report_rule(attribute, config));
  }
  return declaration;
}

// Indices that go nowhere would be found out later, in the middle of something.
bool is_sound(const InstanceConfig& config) {
  const auto inside = [&](uint32_t section) { return section < config.sections.size(); };
  return !config.units.empty() && !config.sections.empty() &&
         (config.reports.empty() || config.reports.size() == config.sections.size()) &&
         std::ranges::all_of(config.units, inside) &&
         std::ranges::all_of(config.sections, inside, &ConfigSection::parent);
}

// An exit status alone says nothing to whoever reads the journal of a unit.
HostExit give_up(LineLog& log, const std::string& why) {
  log.write(3, "cannot follow the agent: " + why + "; are agent and plugin-host of one version?");
  return HostExit::Protocol;
}

}  // namespace

std::expected<message::Configure, HostExit> receive_config(Channel& channel) {
  LineLog log(STDERR_FILENO);
  auto message = channel.wait_for_message();
  if (!message && message.error().code == Errc::Unavailable) return std::unexpected(HostExit::Done);
  if (!message) return std::unexpected(give_up(log, message.error().message));
  auto* configure = std::get_if<message::Configure>(&*message);
  if (configure == nullptr) {
    return std::unexpected(give_up(log, "its first message is no configuration"));
  }
  if (!is_sound(configure->config)) {
    return std::unexpected(give_up(log, "its configuration names a row that is not there"));
  }
  return std::move(*configure);
}

Runner::Runner(const Plugin& plugin, Channel& channel, message::Configure wanted)
    : plugin_(plugin),
      channel_(channel),
      log_(STDERR_FILENO),
      config_(std::move(wanted.config)),
      guests_(plugin_, log_, channel_.heart()) {
  ::prctl(PR_SET_NAME, config_.name.c_str());  // for people who look at ps and top
  api_ = std::make_unique<HostApi>(config_, wanted.kept, log_, [this](message::Samples&& samples) {
    send_kept();
    send(std::move(samples));
  });
  config_.sections = {};  // the plugin's to ask for, and nobody else's
  health_.resize(config_.units.size());
}

HostExit Runner::check() { return declare(true).value_or(HostExit::Done); }

HostExit Runner::run() {
  if (const auto end = declare(false)) return *end;
  if (const auto end = open()) return *end;
  serve();
  return close();
}

std::optional<HostExit> Runner::declare(bool go_on_with_problems) {
  fp_status status = FP_OK;
  if (plugin_.calls.declare == nullptr) {
    api_->adopt(declare_all(plugin_.info, config_));
  } else {
    status = invoke(channel_.heart(), plugin_.calls.declare, api_->raw());
  }
  const std::string error = api_->take_error();
  const auto problems = api_->take_problems();
  for (const message::Problem& problem : problems) send(problem);
  if (status != FP_OK && status != FP_E_INVALID) {
    return refuse(Refusal::Kind::Fault, "declare: " + (error.empty() ? meaning(status) : error));
  }
  if (status == FP_E_INVALID && problems.empty()) {
    const std::string why = error.empty() ? meaning(status) : error;
    if (!go_on_with_problems) return refuse(Refusal::Kind::Lasting, why);
    send(message::Problem{0, "", why});
  }
  if (!problems.empty() && !go_on_with_problems) {
    return refuse(Refusal::Kind::Lasting, problems.front().text);
  }
  send(message::Declared{in_units_of(api_->declaration(), config_)});
  return ended_;
}

std::optional<HostExit> Runner::open() {
  api_->filter_by(ReportFilter(api_->declaration(), config_));
  api_->enter(HostApi::Phase::Opening);
  const fp_status status = invoke(channel_.heart(), plugin_.calls.open, api_->raw(), &instance_);
  const std::string error = api_->take_error();
  if (status == FP_OK) {
    if (const std::string why = api_->difference(); !why.empty()) {
      return refuse(Refusal::Kind::Fault, "open declared something else than declare: " + why);
    }
    api_->enter(HostApi::Phase::Running);
    send(message::Ready{});
    if (!finish_call(FP_OK, "open")) return HostExit::Refused;
    ::malloc_trim(0);  // what the configuration took on its way
    const nanoseconds interval = plugin_.calls.poll == nullptr ? nanoseconds{} : config_.interval;
    const nanoseconds phase = config_.align ? Schedule::phase_aligned(wall_offset(), interval)
                                            : Schedule::phase_of(config_.name, interval);
    schedule_ = std::make_unique<Schedule>(config_.units.size(), interval, BootClock::now(), phase);
    guard_ = OutputGuard(api_->declaration(), config_.guards, BootClock::now());
    return std::nullopt;
  }
  const Refusal::Kind kind = status == FP_E_IO            ? Refusal::Kind::Passing
                             : status == FP_E_INVALID     ? Refusal::Kind::Lasting
                             : status == FP_E_UNSUPPORTED ? Refusal::Kind::Lasting
                                                          : Refusal::Kind::Fault;
  return refuse(kind, error.empty() ? meaning(status) : error);
}

HostExit Runner::close() {
  if (ended_ == HostExit::Refused) return HostExit::Refused;  // a broken plugin is left as it is
  StopSignal::raise();  // what follows gets its second, not more
  drive_at_stop();
  invoke(channel_.heart(), plugin_.calls.close, instance_);
  // Also to one that has hung up, but still listens.
  if (api_->has_kept()) (void)channel_.send(api_->take_kept());
  return ended_.value_or(HostExit::Done);
}

// ---- Serving.

void Runner::serve() {
  while (!ended_ && !StopSignal::raised()) {
    channel_.heart().beat(BootClock::now());
    if (config_.align) {  // the clock may have been set, or be on its way to another time
      schedule_->move_to(Schedule::phase_aligned(wall_offset(), config_.interval),
                         BootClock::now());
    }
    const auto due = schedule_->next();
    wait(due);
    if (StopSignal::raised()) return;
    if (socket_ready_) read_messages();
    if (!ended_ && (drive_due() || run_waiting_call())) continue;  // by way of the messages
    if (!ended_ && event_ready_) run_event();
    if (!ended_ && due && BootClock::now() >= due->when) poll_unit(*due);
    if (kept_due_ && BootClock::now() >= *kept_due_) send_kept();
    if (!ended_ && !socket_ready_) serve_guest();
    log_.summarise(BootClock::now());
  }
}

void Runner::wait(std::optional<Schedule::Due> due) {
  const BootTime now = BootClock::now();
  const bool paused = now < event_resume_;
  BootTime until = now + std::min(kLongestWait, channel_.heart().period());
  if (due) until = std::min(until, due->when);
  if (const auto guest = guests_.due(now, busy_at(due))) until = std::min(until, *guest);
  if (const auto guard = guard_.next()) until = std::min(until, *guard);
  if (!waiting_.empty()) until = now;
  if (paused) until = std::min(until, event_resume_);
  if (kept_due_) until = std::min(until, *kept_due_);
  const nanoseconds left = std::max(until - now, nanoseconds{});
  const auto whole = std::chrono::duration_cast<seconds>(left);
  const timespec timeout{whole.count(), (left - whole).count()};
  pollfd watched[] = {{channel_.fd(), POLLIN, 0},
                      {StopSignal::fd(), POLLIN, 0},
                      {paused ? -1 : event_fd_, POLLIN, 0}};
  const int n = ::ppoll(watched, std::size(watched), &timeout, nullptr);
  // A plugin that closes what is not its own would otherwise make this loop spin.
  if (n > 0 && (watched[1].revents & POLLNVAL) != 0) {
    ended_ = refuse(Refusal::Kind::Fault, "the plugin closed a descriptor that is not its own");
    return;
  }
  socket_ready_ = n > 0 && watched[0].revents != 0;
  event_ready_ = n > 0 && watched[2].revents != 0;
  if (event_ready_ && (watched[2].revents & POLLNVAL) != 0) {
    event_ready_ = false;
    ended_ = refuse(Refusal::Kind::Fault, "event_fd is not an open descriptor");
  }
}

void Runner::read_messages() {
  for (int i = 0; i < kMessagesInARow && !ended_ && !StopSignal::raised(); ++i) {
    auto message = channel_.receive();
    if (!message) {
      const bool gone = message.error().code == Errc::Unavailable;
      ended_ = gone ? HostExit::Done : give_up(log_, message.error().message);
      return;
    }
    if (!*message) return;  // nothing more, or the rest of a long message is still to come
    handle(**message);
  }
}

void Runner::handle(const message::Any& message) {
  if (const auto* call = std::get_if<message::Call>(&message)) {
    const bool waits = !waiting_.empty() || guard_.is_due(BootClock::now());
    return waits ? waiting_.push_back(*call) : run_call(*call);
  }
  if (std::holds_alternative<message::Ping>(message)) return send(message::Pong{});
  if (std::holds_alternative<message::Renew>(message)) return api_->filter().renew();
  if (const auto* h = std::get_if<message::BrokerHeard>(&message)) return guard_.on_heard(h->time);
  if (const auto* guest = std::get_if<message::ReadOnce>(&message)) {
    const auto refusal = guests_.add(message::ReadOnce(*guest));
    return refusal ? send(*refusal) : void();
  }
  ended_ = give_up(log_, "it sent a message out of turn");
}

void Runner::poll_unit(const Schedule::Due& due) {
  const uint32_t unit = due.unit;
  const BootTime began = BootClock::now();
  api_->filter().poll_begins(unit);
  const fp_status status = invoke(channel_.heart(), plugin_.calls.poll, instance_, unit);
  api_->filter().poll_ends(status == FP_OK);
  if (!finish_call(status, "poll")) return;
  const BootTime now = BootClock::now();
  if (status == FP_OK) {
    note_poll(due, began, now);
  } else {
    schedule_->silent(unit, now);
  }
  report_unit(unit, status == FP_OK, error_);
}

std::optional<BootTime> Runner::busy_at(const std::optional<Schedule::Due>& due) {
  return due ? std::optional(due->when) : std::nullopt;
}

// Whatever the instance has to do, its calls and the polls that are due, goes before.
void Runner::serve_guest() {
  const BootTime now = BootClock::now();
  const auto turn = guests_.due(now, busy_at(schedule_->next()));
  if (!turn || *turn > now) return;
  read_messages();  // first: a ping that came meanwhile would wait for two calls
  if (!ended_) send(guests_.read_next());
}

void Runner::run_event() {
  const fp_status status = invoke(channel_.heart(), plugin_.calls.on_event, instance_);
  if (!finish_call(status, "on_event")) return;
  if (status == FP_OK) {
    event_pause_ = nanoseconds{};
    return;
  }
  // The descriptor stays readable, so without a pause this would spin.
  event_pause_ = std::clamp(event_pause_ * 2, Schedule::kFirstPause, Schedule::kLongestPause);
  event_resume_ = BootClock::now() + event_pause_;
  log_.write(4, "events: " + error_);
}

void Runner::report_unit(uint32_t unit, bool good, const std::string& reason) {
  UnitHealth& health = health_[unit];
  if (health.known && health.good == good && health.reason == reason) return;
  health = {true, good, reason};
  send(message::UnitState{unit, good, reason});
}

void Runner::note_poll(const Schedule::Due& due, BootTime began, BootTime ended) {
  punctuality_.add(due.when, began, ended, schedule_->answered(due.unit, ended));
  const auto told = punctuality_.take(ended);
  if (!told) return;
  send(*told);
  if (told->skipped == 0) return;
  log_.write(4, "polling takes longer than the interval: " + std::to_string(told->skipped) +
                    " polls were skipped");
}

bool Runner::finish_call(fp_status status, const char* what) {
  error_ = api_->take_error();
  for (message::Remark& remark : api_->take_remarks()) send(std::move(remark));
  if (status == FP_OK) {
    error_.clear();
  } else if (error_.empty()) {
    error_ = meaning(status);
  }
  auto samples = api_->take_samples();
  if (!samples.samples.empty()) {
    send_kept();
    send(std::move(samples));
  } else if (api_->has_kept() && !kept_due_) {
    kept_due_ = BootClock::now() + kKeepEvery;
  }
  if (auto held = api_->filter().take_held()) send(*std::move(held));
  const bool known = (status <= FP_OK && status >= FP_E_UNSUPPORTED) || status == FP_E_UNCERTAIN;
  if (!known) {
    ended_ = refuse(Refusal::Kind::Fault, std::string(what) + ": " + error_);
    return false;
  }
  if (plugin_.calls.event_fd != nullptr)
    event_fd_ = invoke(channel_.heart(), plugin_.calls.event_fd, instance_);
  return !ended_;
}

// Before the readings that tell of it: what is published is never ahead of what is kept.
void Runner::send_kept() {
  kept_due_.reset();
  if (api_->has_kept()) send(api_->take_kept());
}

void Runner::send(const message::Any& message) {
  if (ended_) return;
  const auto sent = channel_.send(message);
  if (sent) return;
  if (sent.error().code == Errc::Full) {
    log_.write(3, "a message was dropped: " + sent.error().message);
  } else {
    ended_ = HostExit::Done;  // nobody listens any more
    StopSignal::raise();      // and the plugin may be in the middle of a call
  }
}

HostExit Runner::refuse(Refusal::Kind kind, const std::string& reason) {
  send(message::Refused{kind, reason});
  return HostExit::Refused;
}

}  // namespace fieldpost
