// SPDX-License-Identifier: Apache-2.0
//
// All instances and their hosts. Knows neither SQLite nor MQTT: what hosts bring goes to sinks.
// Main thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/event_loop.hpp"
#include "base/json.hpp"
#include "config/config.hpp"
#include "supervisor/host_process.hpp"
#include "supervisor/instance.hpp"
#include "supervisor/kept_values.hpp"
#include "supervisor/state_notes.hpp"

namespace fieldpost {

class Supervisor {
 public:
  struct Options {
    std::string plugin_dir;
    std::string plugin_host;
  };
  struct Sinks {
    std::function<void(std::vector<DeviceSample>&&)> samples;
    // Every reading as it comes, good or not, only while somebody watches; see watch().
    std::function<void(const Instance&, const Sample&)> readings;
    std::function<void(const message::Outcome&)> outcome;
    // An instance went up or down, or is another: routes are to be made anew.
    std::function<void()> changed;
    std::function<void(std::string_view instance, std::string_view reason)> down;
    std::function<void(message::GuestReading&&)> guest;  // what read_once() asked for
  };

  Supervisor(EventLoop& loop, Options options, Sinks sinks, SymbolTable& symbols);
  ~Supervisor();
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  // Makes the running instances those of `config`: stops what is gone, restarts what changed
  // (also where the plugin's file did, or a file is to be hidden that it could read), starts what
  // is new, and leaves alone what is the same. Keeps a copy.
  void apply(const Config& config);

  // Ends every host; `done` is called when all are gone, at the latest after the hosts' grace.
  void stop(std::function<void()> done);

  // Errors: NotFound, Unavailable (its host is not up; the message says why), Full.
  Result<> call(std::string_view instance, message::Call call);
  // Has the instance of this type that has this line, by one of its options (bus_of()), read for
  // somebody else. Errors: NotFound (none has), Unavailable, Full.
  Result<> read_once(std::string_view type, const std::string& option, const std::string& line,
                     message::ReadOnce guest);
  // It will be up in a moment, or turn out not to be.
  bool is_starting(std::string_view instance) const;

  // Ends the instance's host and starts it anew; one that waits for its next start, starts now.
  // Errors: NotFound, Unavailable (it cannot run; the message says why).
  Result<> restart(std::string_view instance);

  // To samples that the agent takes of itself, where `uplink.meta` asks for it: the quality of what
  // their devices have, so that a change of it arrives though no reading does.
  void add_meta(std::vector<DeviceSample>& samples);

  void watch(bool on) { watching_ = on; }

  // When something came from the broker last. Hosts whose outputs go by it are told.
  void on_broker_heard(BootTime time);

  struct Entry {
    std::unique_ptr<PluginConfig> config;  // at a stable address: `instance` refers to it
    Instance instance;
    std::unique_ptr<HostProcess> host;  // none: the instance cannot run, config->failed says why
  };
  // One for each plugin of the configuration, in its order.
  const std::vector<std::unique_ptr<Entry>>& entries() const { return entries_; }
  int up() const;  // how many hosts are up

  // What plugins keep. Whoever stores it stores what is new before the samples that come after it,
  // and restores it before the first apply().
  KeptValues& kept() { return kept_; }

 private:
  std::string path_of(const std::string& type) const;  // of the plugin's file
  std::string why_anew(const Entry& entry, const PluginConfig& wanted) const;
  std::unique_ptr<Entry> make(const PluginConfig& plugin);
  Result<Entry*> find(std::string_view instance);  // with a host
  void retire(std::unique_ptr<Entry> entry);
  HostProcess::Sinks sinks_of(Entry& entry);
  void on_state(Entry& entry);
  void on_keep(const Entry& entry, const message::Keep& keep);
  // Forgets retired hosts that have ended, and when none is left starts what is to run: the new
  // host of a bus must not meet the old one there.
  void settle();

  EventLoop* loop_;
  Options options_;
  Sinks sinks_;
  SymbolTable* symbols_;
  Config config_;
  std::vector<std::unique_ptr<Entry>> entries_;
  std::vector<std::unique_ptr<Entry>> retired_;  // being stopped
  StateNotes notes_;
  KeptValues kept_;
  Source settler_;                 // settle() runs outside the hosts' own callbacks
  std::function<void()> stopped_;  // set once stop() was called
  bool watching_ = false;
  BootTime broker_heard_{};
};

// What `fieldpost status` shows of one instance.
Json to_json(const Supervisor::Entry& entry, BootTime now);

}  // namespace fieldpost
