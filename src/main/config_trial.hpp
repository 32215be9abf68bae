// SPDX-License-Identifier: Apache-2.0
//
// `fieldpost apply`: a configuration that is put in place on trial, and given up unless the broker
// acknowledges a publish in time. The files in /etc are the command line's to write; what is here
// rules whether they are used. A file in the state directory remembers it over kills, restarts and
// power cuts: docs/decisions/0012.
//
// The earlier configuration is the one that is kept as the last good one: as long as a trial is
// open nothing is kept there.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "config/load.hpp"

namespace fieldpost {

// Owned by one thread at a time: the main thread until the loop runs, then the loader.
class ConfigTrial {
 public:
  enum class State : uint8_t { None, Pending, Confirmed, RolledBack };
  enum class Ruling : uint8_t {
    Usual,    // what is in place is a configuration like any other
    OnTrial,  // it is to be run, and not to be kept
    Earlier,  // the last good one is to be run instead; see why()
  };
  // What whoever puts the files back is to know of them again, by name: who may read them.
  using FileNotes = std::map<std::string, std::string>;
  // For people, and for the main thread, which is not to look at the rest.
  struct View {
    State state = State::None;
    bool running = false;                // Pending: it is in place, and runs
    bool refused = false;                // RolledBack: it is in place, and does not run
    std::optional<nanoseconds> confirm;  // Pending: the time it has; nothing: no rollback
    BootTime until{};                    // Pending: when that is over
    BootTime confirm_from{};             // Pending: not before, as the disk has just refused it
    std::string reason;                  // RolledBack: why; Pending: why it does not run
    int64_t ended_ms = 0;                // Confirmed, RolledBack: when, UTC
    FileNotes notes;                     // Pending, and RolledBack: of the earlier files
  };
  struct Options {
    std::string path;       // of the file that remembers
    std::string last_good;  // the folder of the last good configuration
    std::string boot_id;
    // write_file_atomically(), but for tests.
    std::function<Result<>(const std::string& path, std::string_view content)> save;
  };

  // A file that cannot be understood counts as none, and is told of in the log.
  explicit ConfigTrial(Options options);

  // `files` are about to be put in place. On success that is on the disk: from now on nothing but
  // these files or the earlier ones will be run. The same files again change nothing, nor do the
  // earlier ones. `notes`: of those that are in place. Errors: Unavailable (others are on trial;
  // the earlier ones could not be kept), Full, Io.
  Result<> begin(ConfigFiles files, std::optional<nanoseconds> confirm, BootTime now,
                 FileNotes notes = {});
  // What to do with what is in place now. Rolls back what is overdue or cannot be used.
  Ruling rule(const Loaded& in_place, BootTime now);
  // What was ruled to be on trial has proved itself. Nothing happens if nothing is. Errors: Full,
  // Io: it is on trial as before; try again at view().confirm_from.
  Result<> confirm(BootTime now);
  // By hand. What is on trial is given up by the next rule().
  void give_up() { given_up_ = true; }
  // By hand: what is in place is from now on a configuration like any other. Errors: Invalid
  // (nothing is on trial or refused), Full, Io.
  Result<> accept(BootTime now);

  // Keeps a configuration as the last good one, unless it is on trial: then when it is confirmed.
  void keep(const Loaded& loaded, Ruling ruling);

  // Whether all that was applied is in place, and nothing else.
  bool is_whole(const Loaded& in_place) const { return files_of(in_place) == files_; }

  const View& view() const { return view_; }
  std::string why() const;  // the earlier one is run, in words

 private:
  void read();
  Result<> save();
  void begin_anew_after_boot(BootTime now);
  void roll_back(std::string reason, const ConfigFiles& in_place, BootTime now);
  Result<> end(State state, BootTime now);
  std::string why_over(const Loaded& in_place, bool complete, BootTime now) const;
  bool is_refused(const ConfigFiles& files) const;
  Ruling rule_ended(const ConfigFiles& files);
  Ruling rule_pending(const Loaded& in_place, const ConfigFiles& files, BootTime now);

  Options options_;
  View view_;
  ConfigFiles files_;  // Pending: those on trial; RolledBack: those that were
  ConfigFiles found_;  // RolledBack: those that were in place then
  std::string boot_;   // Pending: which one `until` belongs to
  int boots_ = 0;      // Pending: in how many it was tried before
  bool given_up_ = false;
  std::optional<Loaded> unkept_;  // that runs on trial
  std::string confirm_trouble_;   // why it could not be noted that it has proved itself
  nanoseconds confirm_pause_{};   // that was the last one between two attempts
  std::string keep_trouble_;      // why what runs is not the last good one
};

}  // namespace fieldpost
