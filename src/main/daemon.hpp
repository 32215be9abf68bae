// SPDX-License-Identifier: Apache-2.0
//
// The supervisor process put together: which part hands what to which. Main thread, except where
// a sink says otherwise; other threads reach it through mail_.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "base/event_loop.hpp"
#include "base/mailbox.hpp"
#include "base/time_sync.hpp"
#include "cli/paths.hpp"
#include "commands/custom_commands.hpp"
#include "commands/own_commands.hpp"
#include "commands/router.hpp"
#include "config/load.hpp"
#include "main/black_box.hpp"
#include "main/choose_config.hpp"
#include "main/clock_keeper.hpp"
#include "main/config_trial.hpp"
#include "main/publish_proof.hpp"
#include "main/traffic_counts.hpp"
#include "store/command_log.hpp"
#include "store/drain_rate.hpp"
#include "store/store.hpp"
#include "supervisor/condition.hpp"
#include "supervisor/control.hpp"
#include "supervisor/custom_copies.hpp"
#include "supervisor/health.hpp"
#include "supervisor/local_state.hpp"
#include "supervisor/rate.hpp"
#include "supervisor/supervisor.hpp"
#include "uplink/uplink.hpp"

namespace fieldpost {

class Daemon {
 public:
  // `config` is usable. `trouble` says what is wrong with the configuration that was to be used,
  // when `config` is another one instead; else it is empty. `trial` is the loader's from now on.
  Daemon(EventLoop& loop, Paths paths, Config config, std::string trouble, const BlackBox& box,
         ConfigTrial& trial);
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  // Starts threads, hosts, sockets and signals. Errors: what cannot be lived without (the control
  // sockets, the run directory); nothing is running then.
  Result<> start();

  // After the loop has ended: ends the threads. False if one is stuck in the kernel, or waits for a
  // plugin that is being asked about a configuration; the process must then be left without
  // running destructors.
  bool finish();

 private:
  struct Delivery {
    Publication publication;
    bool delivered = false;
  };
  struct ClockNews {};  // store_->clock() is another
  // What the loader does, a step at a time: all that waits for plugins or the configuration's disk.
  struct Reload {};
  struct BeginTrial {
    ConfigFiles files;
    ConfigTrial::FileNotes notes;
    std::optional<nanoseconds> confirm;
  };
  struct ConfirmTrial {};
  struct EndTrial {
    bool keep = false;
  };
  using LoaderStep = std::variant<Reload, BeginTrial, ConfirmTrial, EndTrial>;
  struct LoaderNews {
    std::optional<Chosen> chosen;      // if it has read the configuration
    std::optional<std::string> begun;  // a trial; else why not
    ConfigTrial::View trial;
    ConfigFiles last_good;
  };
  using Mail = std::variant<UplinkStatus, IncomingCommand, Delivery, ClockNews>;

  void keep_sockets();  // sockets.cpp
  Result<> watch_signals();
  Store::Sinks store_sinks();
  Uplink::Sinks uplink_sinks();
  Supervisor::Sinks supervisor_sinks();

  bool post(Mail mail);  // any thread; false: there was no room
  void on_mail();
  void on(UplinkStatus&& status);
  void on(IncomingCommand&& command);
  void on(Delivery&& delivery);
  void on(ClockNews&&);
  void on(const TimeSyncState& state);
  void on(LoaderNews&& news);
  void on(Chosen&& chosen);

  void keep(std::vector<DeviceSample> samples);
  // Commands: commands.cpp.
  void take_command(IncomingCommand command);                              // the uplink thread
  void take_message(const IncomingMessage& message);                       // the uplink thread
  void admit(IncomingCommand command);                                     // the uplink thread
  void refuse(const IncomingCommand& command, const std::string& reason);  // the uplink thread
  void on_refused();
  Json run_local(const Json& request);
  Json list_commands() const;
  Json read_once(const Json& request);
  void on(message::GuestReading&& reading);
  void resume_commands();
  void watch_commands();
  void on_report(const CommandReport& report);
  void log_report(const CommandReport& report);
  void update_routes();
  void on_reading(const Instance& instance, const Sample& sample);
  void on_second();
  void tell_systemd();
  void on_watchdog();
  Result<> watch_clock();
  void reload();
  void load(LoaderStep step);
  void stop();
  // fieldpost apply: apply.cpp.
  LoaderNews take(LoaderStep&& step);  // the loader's thread
  void watch_trial();
  void watch_for_proof();
  Json begin_trial(const Json& request);
  Json earlier_files() const;
  Json trial_json() const;

  OwnCommands::Actions own_actions();  // this and the next: health.cpp
  void configure_custom();
  void configure_health();
  GatewayFacts gateway_facts(std::span<const Service> services, BootTime now) const;
  void report_health();
  void note_troubles();
  void note_refusal(const CommandReport& report);
  void load_traffic();
  void save_traffic();  // in the run directory, and for the store to keep
  void load_kept(const std::string& boot);
  void save_kept();  // the same

  // Control requests: requests.cpp.
  Json handle(const Json& request, ControlRight right, bool* watch, UniqueFd passed);
  Json begun() const;
  Json start_export(const Json& request, UniqueFd pipe);
  Json export_outcome(const Json& request) const;
  Json status_json() const;
  Json config_json() const;
  Json last_run_json() const;
  Json uplink_json(BootTime now) const;
  Json outbox_json(BootTime now) const;
  Json clock_json(BootTime now) const;
  Json commands_json() const;
  Json custom_json() const;
  Json traffic_json() const;
  std::string status_line() const;

  EventLoop* loop_;
  Paths paths_;
  Config config_;
  std::string config_trouble_;
  const BlackBox* black_box_;
  int64_t loads_ = 0;  // how often a configuration was read, for `fieldpost reload`
  const BootTime started_ = BootClock::now();

  SymbolTable symbols_;
  Mailbox<Mail> mail_{4096};
  Mailbox<LoaderNews> loaded_{1};         // apart: a flood of other mail must not cost it its place
  std::atomic<size_t> command_bytes_{0};  // of commands in mail_
  Mailbox<CommandReport> refused_{1024};  // by the uplink thread: not even in mail_
  std::atomic<int64_t> commands_unanswered_{0};  // for want of room there, since the last log line
  Rate reports_{5, 100};                         // that are logged
  int64_t reports_unlogged_ = 0;
  Rate misfits_{1, 20};  // that are logged; the uplink thread's
  std::atomic<int64_t> misfits_unlogged_ = 0;
  LocalState local_state_{symbols_};
  CustomCopies copies_{symbols_};
  CustomCommands custom_commands_;
  Health health_{symbols_};
  OwnCommands own_commands_;
  std::unique_ptr<CommandLog> command_log_;
  CommandRouter router_;
  std::map<uint64_t, uint64_t> guests_;  // by the number the host has, who waits at control_
  uint64_t last_guest_ = 0;
  TrafficCounts traffic_;      // any thread
  std::string saved_traffic_;  // in the run directory
  BootTime traffic_saved_at_{};
  std::string boot_;              // as boot_id() gives it
  uint64_t kept_saved_ = 0;       // of supervisor_.kept().changes()
  bool kept_in_trouble_ = false;  // its file in the run directory cannot be written
  UplinkStatus uplink_status_;
  DrainRate drain_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<ClockKeeper> clock_;
  std::unique_ptr<TimeSync> time_sync_;
  std::unique_ptr<Uplink> uplink_;
  Supervisor supervisor_;
  ControlServer control_;

  std::thread loader_;                 // reads the configuration; its result comes as mail
  std::deque<LoaderStep> steps_;       // that wait for it
  ConfigTrial* trial_;                 // the loader's
  ConfigTrial::View trial_view_;       // as it was after the last step
  ConfigFiles last_good_;              // what the earlier ones are while a trial is open
  int64_t applies_ = 0;                // how often a trial was to begin, for `fieldpost apply`
  std::string apply_trouble_;          // why the last one did not
  std::optional<PublishProof> proof_;  // of the configuration on trial
  bool proved_ = false;
  int answers_awaited_ = 0;  // of the uplink, before the proof begins
  uint64_t answered_trial_ = 0;
  bool stopping_ = false;
  bool stopped_ = false;     // nothing more is sent
  uint64_t answered_ = 0;    // of the uplink, at the last watchdog turn
  std::string shown_;        // the status line that systemd has
  std::string run_trouble_;  // why the sockets are not where they should be; empty: they are
  std::optional<bool> said_synchronised_;  // in the log
  std::vector<Source> sources_;
  Source stop_timer_;
};

}  // namespace fieldpost
