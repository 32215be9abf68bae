// SPDX-License-Identifier: Apache-2.0
#include "base/time_sync.hpp"

#include <sys/timex.h>
#include <unistd.h>

#include <utility>

namespace fieldpost {
namespace {

using namespace std::chrono_literals;

// NTP_PHASE_LIMIT of the kernel, in microseconds: what it says when nobody keeps the clock.
constexpr long kUnknownError = 16'000'000;
// Once synchronised, the cheap sources and the bus are asked for the status only.
constexpr std::chrono::milliseconds kSynchronisedPoll = 10s;
constexpr auto kSynchronisedBusPoll = 1h;

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

}  // namespace

std::string_view name_of(TimeSource source) {
  switch (source) {
    case TimeSource::None:
      return "";
    case TimeSource::Timesyncd:
      return "systemd-timesyncd";
    case TimeSource::Kernel:
      return "kernel";
    case TimeSource::Configuration:
      return "configuration";
    case TimeSource::Timedated:
      return "timedated";
  }
  return "";
}

// Not by STA_UNSYNC: services set that, too, to keep the kernel from writing the RTC (chrony
// without rtcsync); the greatest error is what timedated goes by.
std::optional<bool> kernel_synchronised() {
  timex t{};
  if (::adjtimex(&t) < 0) return std::nullopt;
  return t.maxerror < kUnknownError;
}

Result<std::unique_ptr<TimeSync>> TimeSync::start(EventLoop& loop, UniqueFd timer, Options options,
                                                  Callback callback) {
  std::unique_ptr<TimeSync> sync(new TimeSync(loop, std::move(options), std::move(callback)));
  TimeSync* const self = sync.get();
  self->watch_ = FP_TRY(ClockWatch::create(loop, std::move(timer), [self] {
    self->forget_answers();
    self->look();
  }));
  self->look_after(0ms);
  return sync;
}

TimeSync::TimeSync(EventLoop& loop, Options options, Callback callback)
    : loop_(&loop), options_(std::move(options)), callback_(std::move(callback)) {
  state_.since = BootClock::now();
  state_.reason = "not known yet";
}

void TimeSync::set_trusted(bool trusted) {
  if (std::exchange(options_.trusted, trusted) == trusted) return;
  forget_answers();
  look_after(0ms);
}

void TimeSync::forget_answers() {
  announce_ = true;
  query_.reset();
  bus_due_ = BootTime{};
}

void TimeSync::look() {
  if (const TimeSource source = cheap_source(); source != TimeSource::None) {
    query_.reset();
    conclude(source, "");
  } else if (!query_ && BootClock::now() >= bus_due_) {
    ask_bus();
  }
  look_after(state_.synchronised ? kSynchronisedPoll : options_.poll);
}

void TimeSync::look_after(std::chrono::milliseconds pause) {
  auto timer = loop_->after(pause, [this] { look(); });
  if (timer) timer_ = *std::move(timer);
}

TimeSource TimeSync::cheap_source() const {
  if (exists(options_.run_dir + "/timesync/synchronized")) return TimeSource::Timesyncd;
  if (options_.kernel().value_or(false)) return TimeSource::Kernel;
  return options_.trusted ? TimeSource::Configuration : TimeSource::None;
}

void TimeSync::ask_bus() {
  auto query = TimedateQuery::ask(*loop_, options_.bus_address, options_.bus_limit,
                                  [this](Result<TimedateAnswer> a) { on_answer(std::move(a)); });
  if (query) {
    query_ = *std::move(query);
  } else {
    on_answer(query.error());
  }
}

void TimeSync::on_answer(Result<TimedateAnswer> answer) {
  query_.reset();
  const bool synchronised = answer && answer->synchronised;
  bus_due_ = BootClock::now() +
             (synchronised ? nanoseconds(kSynchronisedBusPoll) : nanoseconds(options_.bus_poll));
  if (synchronised) {
    conclude(TimeSource::Timedated, "");
  } else {
    conclude(TimeSource::None, likely_reason(answer));
  }
}

// systemd-timesyncd's folder is there while it runs.
std::string TimeSync::likely_reason(const Result<TimedateAnswer>& answer) const {
  const char* const unreached =
      " is running but does not reach a server: no network yet, NTP (UDP port 123) is blocked, or "
      "no server is configured";
  if (exists(options_.run_dir + "/timesync")) return std::string("systemd-timesyncd") + unreached;
  if (!answer) return "no time service can be seen (" + answer.error().message + ")";
  if (answer->ntp) return std::string("a time service") + unreached;
  if (answer->can_ntp) {
    return "the time service is switched off; 'timedatectl set-ntp true' switches it on";
  }
  return "no time service is installed; install systemd-timesyncd or chrony";
}

void TimeSync::conclude(TimeSource source, std::string reason) {
  const bool synchronised = source != TimeSource::None;
  const bool changed = source != state_.source || reason != state_.reason;
  if (synchronised != state_.synchronised) state_.since = BootClock::now();
  state_.synchronised = synchronised;
  state_.source = source;
  state_.reason = std::move(reason);
  if (std::exchange(announce_, false) || changed) callback_(state_);
}

}  // namespace fieldpost
