// SPDX-License-Identifier: Apache-2.0
//
// One plugin for one instance, from its configuration to its end. Single-threaded: the plugin is
// called from here and from nowhere else.
#pragma once

#include <deque>
#include <expected>
#include <memory>
#include <optional>
#include <string>

#include "host/channel.hpp"
#include "host/guests.hpp"
#include "host/host_api.hpp"
#include "host/line_log.hpp"
#include "host/loader.hpp"
#include "host/output_guard.hpp"
#include "host/punctuality.hpp"
#include "host/schedule.hpp"
#include "model/message.hpp"

namespace fieldpost {

// What plugin-host exits with.
enum class HostExit : int {
  Done = 0,      // told to end, or everything that was asked for has been answered
  Refused = 1,   // the plugin cannot run; a Refused message said why
  Usage = 2,     // not started as the supervisor starts it
  Protocol = 3,  // the supervisor's messages make no sense
};

// Receives Configure, the supervisor's first message. Otherwise: what to exit with.
std::expected<message::Configure, HostExit> receive_config(Channel& channel);

class Runner {
 public:
  // `plugin` and `channel` outlive this object; the channel's heart beats between calls into the
  // plugin. StopSignal must be installed.
  Runner(const Plugin& plugin, Channel& channel, message::Configure wanted);

  // Answers what the plugin declares for the configuration. Opens nothing.
  HostExit check();
  // The same, and then opens the plugin and serves it until the end of file, SIGTERM or a fault of
  // the plugin. Closes it.
  HostExit run();

 private:
  using Refusal = message::Refused;

  std::optional<HostExit> declare(bool go_on_with_problems);
  std::optional<HostExit> open();
  void serve();
  HostExit close();

  void wait(std::optional<Schedule::Due> due);
  void read_messages();
  void handle(const message::Any& message);
  using Arguments = std::vector<std::optional<Value>>;
  void run_call(const message::Call& call);
  std::string objection_to(const message::Call& call) const;
  bool call_plugin(const Arguments& arguments, uint32_t command, message::Outcome& ret_outcome);
  void drive(const OutputGuard::Action& action);
  bool drive_due();         // whether there was something
  bool run_waiting_call();  // and this
  void drive_at_stop();
  void poll_unit(const Schedule::Due& due);
  static std::optional<BootTime> busy_at(const std::optional<Schedule::Due>& due);
  void serve_guest();
  void run_event();
  void report_unit(uint32_t unit, bool good, const std::string& reason);
  void note_poll(const Schedule::Due& due, BootTime began, BootTime ended);

  // After every call into the plugin: hands over what it emitted. False: the plugin is not to be
  // called again.
  bool finish_call(fp_status status, const char* what);
  void send_kept();
  void send(const message::Any& message);
  HostExit refuse(Refusal::Kind kind, const std::string& reason);

  const Plugin& plugin_;
  Channel& channel_;
  LineLog log_;
  InstanceConfig config_;
  std::unique_ptr<HostApi> api_;
  void* instance_ = nullptr;
  std::unique_ptr<Schedule> schedule_;
  PunctualityMeter punctuality_{BootClock::now()};
  Guests guests_;
  OutputGuard guard_;
  std::deque<message::Call> waiting_;  // for outputs to be made safe; pings are answered meanwhile

  struct UnitHealth {
    bool known = false;
    bool good = false;
    std::string reason;
  };
  std::vector<UnitHealth> health_;
  std::string error_;  // of the last call into the plugin, never empty if it failed
  int event_fd_ = -1;
  bool event_ready_ = false, socket_ready_ = false;
  BootTime event_resume_{};           // on_event failed: not called again before
  nanoseconds event_pause_{};         // the last such pause
  std::optional<BootTime> kept_due_;  // what is kept is sent then, if no reading takes it along
  std::optional<HostExit> ended_;     // why serve() is to end
};

}  // namespace fieldpost
