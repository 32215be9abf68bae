// SPDX-License-Identifier: Apache-2.0
#include "main/daemon.hpp"

#include <signal.h>
#include <systemd/sd-daemon.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "base/log.hpp"
#include "base/message_ids.hpp"
#include "base/notify.hpp"
#include "base/text.hpp"
#include "cli/uplink_options.hpp"
#include "config/secret.hpp"
#include "main/sockets.hpp"
#include "supervisor/probe.hpp"

namespace fieldpost {
namespace {

using namespace std::chrono_literals;

// SIGTERM ends within 3 s whatever devices, disk and broker do: hosts have 1 s of their own and
// are killed then, which leaves this for the two threads.
constexpr auto kHostsLimit = 1800ms;
constexpr auto kUplinkLimit = 300ms;
constexpr auto kStoreLimit = 700ms;

// What is not for plugins: the outbox and what the agent keeps beside it, secrets, the broker's
// side of the line.
void hide_from_plugins(Config& config, const Paths& paths) {
  const char* const credentials = ::secure_getenv("CREDENTIALS_DIRECTORY");
  std::vector<std::string> hidden = secrets_to_hide(config.uplink);
  for (const std::string& path :
       {paths.state_dir, paths.run_dir, std::string(credentials == nullptr ? "" : credentials)}) {
    std::error_code error;
    const auto real = std::filesystem::weakly_canonical(path, error);
    if (!path.empty() && !error) hidden.push_back(real);
  }
  for (PluginConfig& plugin : config.plugins) plugin.instance.sandbox.hidden = hidden;
}

bool trusts_clock(const Config& config) { return config.clock.trust == "always"; }

}  // namespace

Daemon::Daemon(EventLoop& loop, Paths paths, Config config, std::string trouble,
               const BlackBox& box, ConfigTrial& trial)
    : loop_(&loop),
      paths_(std::move(paths)),
      config_(std::move(config)),
      config_trouble_(std::move(trouble)),
      black_box_(&box),
      own_commands_(own_actions()),
      router_(config_.commands,
              {.starting =
                   [this](const CommandRoute& route) {
                     return supervisor_.is_starting(route.instance);
                   },
               .accepted =
                   [this](uint64_t number) {
                     return command_log_->step(number, CommandStatus::Accepted);
                   },
               .call =
                   [this](const CommandRoute& route, message::Call call) {
                     return supervisor_.call(route.instance, std::move(call));
                   },
               .own =
                   [this](const CommandRoute& route, const auto& arguments) {
                     return own_commands_.run(route, arguments, BootClock::now());
                   },
               .report = [this](const CommandReport& report) { on_report(report); },
               .utc = [this](BootTime time) -> std::optional<int64_t> {
                 if (!time_sync_ || !time_sync_->state().synchronised) return std::nullopt;
                 return utc_ms(time);
               }}),
      supervisor_(loop, {paths_.plugin_dir, paths_.plugin_host}, supervisor_sinks(), symbols_),
      control_(loop,
               [this](const Json& request, ControlRight right, bool* watch, UniqueFd passed) {
                 return handle(request, right, watch, std::move(passed));
               }),
      trial_(&trial),
      trial_view_(trial.view()),
      last_good_(kept_files(paths_.last_good_config())) {
  hide_from_plugins(config_, paths_);
  if (trial_view_.running) proof_.emplace();  // nothing was sent before
}

Daemon::~Daemon() {
  if (loader_.joinable()) loader_.join();
}

Result<> Daemon::start() {
  FP_CHECK_OK(open_control(control_, paths_));
  FP_CHECK_OK(watch_signals());
  const std::string boot = FP_TRY(boot_id());
  const OutboxConfig& outbox = config_.outbox;
  const bool disk_first = outbox.durability == "disk";
  store_ = std::make_unique<Store>(
      Store::Options{.folder = paths_.state_dir,
                     .run_folder = paths_.stage_dir(),
                     .boot_id = boot,
                     .flush_interval = disk_first ? outbox.commit_delay : outbox.flush_interval,
                     .disk_first = disk_first,
                     .stage_bytes = outbox.stage_size,
                     .max_size = outbox.max_size,
                     .max_age = outbox.max_age,
                     .notes = {{.path = paths_.stored_traffic()},
                               {.path = paths_.stored_kept(), .period = outbox.persist_interval}}},
      store_sinks(), symbols_);
  store_->set_keep(keep_rules(config_));
  load_traffic();
  load_kept(boot);
  command_log_ = std::make_unique<CommandLog>(
      CommandLog::Options{.folder = paths_.stage_dir(), .boot_id = boot});
  configure_custom();  // before messages can come
  uplink_ = std::make_unique<Uplink>(uplink_options(config_, paths_.run_dir), uplink_sinks());
  uplink_->start();
  FP_CHECK_OK(watch_clock());
  sources_.push_back(FP_TRY(loop_->on_readable(mail_.fd(), [this] { on_mail(); })));
  sources_.push_back(FP_TRY(loop_->on_readable(refused_.fd(), [this] { on_refused(); })));
  sources_.push_back(FP_TRY(loop_->on_readable(loaded_.fd(), [this] {
    for (LoaderNews& news : loaded_.take_all()) on(std::move(news));
  })));
  sources_.push_back(FP_TRY(loop_->every(1s, [this] { on_second(); })));
  uint64_t watchdog_usec = 0;
  if (sd_watchdog_enabled(0, &watchdog_usec) > 0) {
    sources_.push_back(FP_TRY(
        loop_->every(std::chrono::microseconds(watchdog_usec / 3), [this] { on_watchdog(); })));
  }
  store_->start();
  local_state_.configure(config_);
  configure_health();
  supervisor_.apply(config_);
  resume_commands();
  log::info("started", {{"FP_DEVICE_ID", config_.gateway.device_id},
                        {"FP_PLUGINS", std::to_string(config_.plugins.size())}});
  tell_systemd();
  return {};
}

Result<> Daemon::watch_signals() {
  sources_.push_back(FP_TRY(loop_->on_signal(SIGTERM, [this] { stop(); })));
  sources_.push_back(FP_TRY(loop_->on_signal(SIGINT, [this] { stop(); })));
  sources_.push_back(FP_TRY(loop_->on_signal(SIGHUP, [this] { reload(); })));
  return {};
}

// ---- What each part hands on.

Store::Sinks Daemon::store_sinks() {  // on any thread of the store's callers
  return {.committed = [this](int64_t newest) { uplink_->on_committed(newest); },
          .stored = [this](int64_t newest_row) { uplink_->on_stored(newest_row); },
          .chunks = [this](Fetched fetched) { uplink_->on_fetched(std::move(fetched)); },
          .backlog = [this] { uplink_->on_backlog(); },
          .status = [](const StoreStatus&) {},  // asked for when somebody wants to know
          .clock = [this] { post(ClockNews{}); }};
}

Uplink::Sinks Daemon::uplink_sinks() {  // on the uplink thread
  return {
      .fetch = [this](Lane lane, int64_t after,
                      size_t max_points) { store_->fetch(lane, after, max_points); },
      .acknowledge = [this](std::vector<int64_t> rows) { store_->acknowledge(std::move(rows)); },
      .set_aside = [this](DeviceIds devices) { store_->set_aside(std::move(devices)); },
      .command = [this](IncomingCommand command) { take_command(std::move(command)); },
      .message = [this](const IncomingMessage& message) { take_message(message); },
      .status = [this](const UplinkStatus& status) { post(status); },
      .sent = [this](std::string_view device,
                     size_t bytes) { traffic_.count(device, bytes, utc_ms(BootClock::now())); },
      .published =
          [this](const Publication& publication, bool delivered) {
            post(Delivery{publication, delivered});
          }};
}

Supervisor::Sinks Daemon::supervisor_sinks() {
  return {.samples =
              [this](std::vector<DeviceSample>&& samples) {
                save_kept();  // what is published is never ahead of it
                keep(std::move(samples));
              },
          .readings = [this](const Instance& i, const Sample& s) { on_reading(i, s); },
          .outcome =
              [this](const message::Outcome& outcome) {
                save_kept();
                router_.on_outcome(outcome);
              },
          .changed = [this] { update_routes(); },
          .down = [this](std::string_view instance,
                         std::string_view reason) { router_.on_instance_down(instance, reason); },
          .guest = [this](message::GuestReading&& reading) { on(std::move(reading)); }};
}

bool Daemon::post(Mail mail) {
  const bool kept = mail_.post_or_merge(std::move(mail), [](Mail& waiting, Mail& next) {
    // The newest status is the only one that counts.
    if (!std::holds_alternative<UplinkStatus>(next) || waiting.index() != next.index())
      return false;
    waiting = std::move(next);
    return true;
  });
  if (!kept) log::warning("the main loop is held up; a message of another thread was dropped");
  return kept;
}

void Daemon::on_mail() {
  for (Mail& mail : mail_.take_all()) {
    std::visit([this](auto& m) { on(std::move(m)); }, mail);
  }
}

void Daemon::on(UplinkStatus&& status) {
  uplink_status_ = std::move(status);
  const bool online = uplink_status_.state == UplinkStatus::State::Connected;
  clock_->on_line(online ? std::optional(BootTime(nanoseconds(uplink_status_.since_ns)))
                         : std::nullopt);
  if (proof_ && proof_->on(uplink_status_)) proved_ = true;
}

// Readings, with what of them is for custom topics.
void Daemon::keep(std::vector<DeviceSample> samples) {
  copies_.add_to(samples);
  store_->append(std::move(samples));
}

void Daemon::on(Delivery&& delivery) {
  if (delivery.delivered) return;
  if (!reports_.take(1, BootClock::now())) {
    ++reports_unlogged_;
    return;
  }
  log::warning("an answer was not delivered: the line is down, or the broker does not take it",
               {{"FP_TOPIC", delivery.publication.topic}});
}

// ---- Time.

Result<> Daemon::watch_clock() {
  clock_ = std::make_unique<ClockKeeper>(*store_, ClockKeeper::Options{.hold = config_.clock.hold});
  UniqueFd timer = FP_TRY(ClockWatch::timer());
  time_sync_ = FP_TRY(TimeSync::start(*loop_, std::move(timer), {.trusted = trusts_clock(config_)},
                                      [this](const TimeSyncState& state) { on(state); }));
  return {};
}

void Daemon::on(const TimeSyncState& state) {
  if (state.synchronised != said_synchronised_) {
    if (state.synchronised) {
      log::notice("the clock is synchronised", {{"FP_SOURCE", std::string(name_of(state.source))}});
    } else {
      log::warning("the clock is not synchronised",
                   {message_id::kClockUnsynchronised, {"FP_REASON", state.reason}});
    }
    said_synchronised_ = state.synchronised;
  }
  clock_->on_time_sync(state.synchronised);
}

void Daemon::on(ClockNews&&) { clock_->look(); }

void Daemon::on_second() {
  watch_commands();
  clock_->look();
  drain_.note(BootClock::now(), uplink_status_.readings, store_->status().appended);
  supervisor_.watch(control_.has_watchers());
  supervisor_.on_broker_heard(uplink_->heard());
  report_health();
  save_traffic();
  save_kept();
  keep_sockets();
  watch_trial();
  tell_systemd();
}

// That it is ready and how it is, if systemd does not know yet.
void Daemon::tell_systemd() {
  if (stopping_ || loader_.joinable()) return;  // it was told that; ready would end it
  std::string line = status_line();
  if (line != shown_ && notify("READY=1\nSTATUS=" + line)) shown_ = std::move(line);
}

// Fed when the uplink has answered since the last turn, and this loop runs, or it would not be
// here. The store thread is excused: it may be inside an fsync that takes as long as it takes.
void Daemon::on_watchdog() {
  const uint64_t answered = uplink_->answered();
  if (answered != answered_ || answered == 0) (void)notify("WATCHDOG=1");
  answered_ = answered;
  uplink_->ping();
}

// ---- Reload.

void Daemon::reload() { load(Reload{}); }

void Daemon::load(LoaderStep step) {
  if (stopping_) return;
  if (loader_.joinable()) {
    const bool again = std::holds_alternative<Reload>(step) && !steps_.empty() &&
                       std::holds_alternative<Reload>(steps_.back());
    if (!again) steps_.push_back(std::move(step));
    return;
  }
  const auto usec = std::chrono::duration_cast<std::chrono::microseconds>(
      std::chrono::steady_clock::now().time_since_epoch());
  (void)notify("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(usec.count()));
  shown_.clear();  // it has to be told when this is over
  loader_ = std::thread([this, step = std::move(step)]() mutable {
    (void)loaded_.post(take(std::move(step)));  // there is one loader at a time
  });
}

void Daemon::on(LoaderNews&& news) {
  loader_.join();
  trial_view_ = std::move(news.trial);
  last_good_ = std::move(news.last_good);
  if (news.begun) {
    ++applies_;
    apply_trouble_ = *std::move(news.begun);
  }
  if (news.chosen) on(*std::move(news.chosen));
  tell_systemd();
  if (steps_.empty()) return;
  LoaderStep next = std::move(steps_.front());
  steps_.pop_front();
  load(std::move(next));
}

void Daemon::on(Chosen&& chosen) {
  ++loads_;
  if (chosen.config) {
    if (chosen.config->outbox != config_.outbox) {
      log::notice("[outbox] has changed; that takes effect at the next start");
    }
    config_ = *std::move(chosen.config);
    hide_from_plugins(config_, paths_);
    config_trouble_ = std::move(chosen.trouble);
    store_->set_keep(keep_rules(config_));
    router_.set_rules(config_.commands);
    local_state_.configure(config_);
    configure_custom();
    configure_health();
    time_sync_->set_trusted(trusts_clock(config_));
    clock_->set_hold(config_.clock.hold);
    uplink_->apply(uplink_options(config_, paths_.run_dir));
    supervisor_.apply(config_);
    log::notice("the configuration was read again");
  } else {
    config_trouble_ = "the configuration has errors, the old one stays: " + chosen.trouble;
    log::error("the configuration has errors; the old one stays", {message_id::kConfigRefused});
    uplink_->reconnect();  // whoever asks for a reload waits for the line as well
  }
  watch_for_proof();
}

// ---- The end.

void Daemon::stop() {
  if (std::exchange(stopping_, true)) return;
  log::info("stopping");
  (void)notify("STOPPING=1\nSTATUS=stopping");
  auto timer = loop_->after(kHostsLimit, [this] { loop_->exit(0); });
  if (timer) stop_timer_ = *std::move(timer);
  supervisor_.stop([this] { loop_->exit(0); });
}

bool Daemon::finish() {
  uplink_->stop(kUplinkLimit);  // first: what it still learns of acknowledgements saves a re-send
  stopped_ = true;
  save_traffic();
  save_kept();
  const bool stored = store_->stop(kStoreLimit);
  if (!stored) {
    log::error("the disk did not take everything before the end",
               {{"FP_WAITING", std::to_string(store_->status().waiting())}});
  }
  // The loader's throw-away hosts follow its thread: they have asked for a parent-death signal.
  return stored && !loader_.joinable();
}

}  // namespace fieldpost
