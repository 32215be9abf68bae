// SPDX-License-Identifier: Apache-2.0
#include "main/config_trial.hpp"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <string_view>
#include <tuple>
#include <utility>

#include "base/file.hpp"
#include "base/json.hpp"
#include "base/log.hpp"
#include "base/text.hpp"

namespace fieldpost {
namespace {

using State = ConfigTrial::State;
using Ruling = ConfigTrial::Ruling;

// JSON writes a byte with up to six; a request with the files is at most 1 MiB long.
constexpr size_t kMaxState = size_t{8} << 20;
// A configuration that brings the whole machine down would get its time anew for ever.
constexpr int kMaxBoots = 3;
// Without a rollback: how long putting the files in place may take.
constexpr std::chrono::minutes kPutInPlace(10);
// Between two attempts to note that one has proved itself: twice as long each time.
constexpr nanoseconds kFirstPause = std::chrono::seconds(1);
constexpr nanoseconds kLongestPause = std::chrono::minutes(1);

constexpr std::array<std::pair<State, const char*>, 3> kStates{
    {{State::Pending, "pending"},
     {State::Confirmed, "confirmed"},
     {State::RolledBack, "rolled back"}}};

State state_of(const std::string& name) {
  for (const auto& [state, known] : kStates) {
    if (name == known) return state;
  }
  return State::None;
}

// Nothing: there is no such file.
std::optional<std::string_view> content(const ConfigFiles& in, const std::string& name) {
  const auto it = in.find(name);
  return it == in.end() ? std::optional<std::string_view>() : it->second;
}

// Whether each file is as in one of these, or missing as there.
bool is_mixture(const ConfigFiles& files, std::initializer_list<const ConfigFiles*> sets) {
  ConfigFiles all = files;
  for (const ConfigFiles* set : sets) all.insert(set->begin(), set->end());
  return std::ranges::all_of(all, [&](const auto& file) {
    return std::ranges::any_of(sets, [&](const ConfigFiles* set) {
      return content(files, file.first) == content(*set, file.first);
    });
  });
}

// The first one that is, in words.
std::string difference(const ConfigFiles& is, const ConfigFiles& should_be) {
  ConfigFiles all = is;
  all.insert(should_be.begin(), should_be.end());
  for (const auto& [name, ignored] : all) {
    if (!is.contains(name)) return name + " is missing or cannot be read";
    if (!should_be.contains(name)) return name + " is not one of them";
    if (is.at(name) != should_be.at(name)) return name + " is another";
  }
  return "";
}

std::string not_as_applied(const Loaded& in_place, const ConfigFiles& applied) {
  const std::string why = in_place.why_unusable();
  return "the files in place are not those that were applied: " +
         difference(files_of(in_place), applied) + (why.empty() ? "" : " (" + why + ")");
}

BootTime from_ms(int64_t ms) { return BootTime(std::chrono::milliseconds(ms)); }

}  // namespace

ConfigTrial::ConfigTrial(Options options) : options_(std::move(options)) {
  if (!options_.save) {
    options_.save = [](const std::string& path, std::string_view content) {
      return write_file_atomically(path, content);
    };
  }
  read();
}

void ConfigTrial::read() {
  const auto text = read_file(options_.path, kMaxState);
  if (!text && text.error().code == Errc::NotFound) return;
  const auto json = text ? parse_json(*text) : Result<Json>(text.error());
  try {
    if (!json) throw std::runtime_error(json.error().message);
    View view{.state = state_of(json->at("state"))};
    view.reason = json->value("reason", "");
    view.ended_ms = json->value("ended_ms", int64_t{0});
    view.until = from_ms(json->value("until_ms", int64_t{0}));
    view.notes = json->value("notes", FileNotes());
    if (json->contains("confirm_ms"))
      view.confirm = std::chrono::milliseconds(json->at("confirm_ms").get<int64_t>());
    files_ = json->value("files", ConfigFiles());
    found_ = json->value("found", ConfigFiles());
    boot_ = json->value("boot", "");
    boots_ = json->value("boots", 0);
    view_ = std::move(view);
  } catch (const std::exception& e) {  // of another form than we write
    log::warning("what is known of an applied configuration cannot be read",
                 {{"FP_PATH", options_.path}, {"FP_REASON", e.what()}});
  }
}

Result<> ConfigTrial::save() {
  Json json{{"state", nullptr}};
  for (const auto& [state, name] : kStates) {
    if (state == view_.state) json["state"] = name;
  }
  if (!files_.empty()) json["files"] = files_;
  if (!found_.empty()) json["found"] = found_;
  if (!view_.notes.empty()) json["notes"] = view_.notes;
  if (view_.state == State::Pending) {
    if (view_.confirm) json["confirm_ms"] = in_ms(*view_.confirm);
    json["until_ms"] = in_ms(view_.until);
    json["boot"] = boot_;
    json["boots"] = boots_;
  } else {
    json["reason"] = view_.reason;
    json["ended_ms"] = view_.ended_ms;
  }
  return options_.save(options_.path, dump_json(json) + "\n");
}

Result<> ConfigTrial::begin(ConfigFiles files, std::optional<nanoseconds> confirm, BootTime now,
                            FileNotes notes) {
  if (view_.state == State::Pending) {
    if (files == files_) return {};
    return Error{Errc::Unavailable,
                 "another configuration is on trial; wait for its end, or end it with "
                 "fieldpost apply --rollback or --keep"};
  }
  if (!keep_trouble_.empty() || kept_files(options_.last_good).empty()) {
    return Error{Errc::Unavailable,
                 "the configuration that runs could not be kept, so there would be no way back" +
                     (keep_trouble_.empty() ? "" : ": " + keep_trouble_)};
  }
  given_up_ = false;
  // They run. What was refused stays so until rule() finds them in place: they are put there one
  // by one, and that may be cut short.
  if (files == kept_files(options_.last_good)) return {};
  // Of earlier ones that were never put back it is known from before.
  if (view_.refused) notes.insert(view_.notes.begin(), view_.notes.end());
  auto before = std::tuple(view_, files_, std::exchange(found_, {}));
  view_ = {.state = State::Pending,
           .confirm = confirm,
           .until = now + confirm.value_or(kPutInPlace),
           .notes = std::move(notes)};
  files_ = std::move(files);
  boot_ = options_.boot_id;
  boots_ = 0;
  confirm_trouble_.clear();
  confirm_pause_ = {};
  auto saved = save();
  if (saved) {
    log::notice("a configuration is put in place on trial",
                {{"FP_CONFIRM", confirm ? format_duration(*confirm) : "none"}});
  } else {
    std::tie(view_, files_, found_) = std::move(before);
  }
  return saved;
}

Ruling ConfigTrial::rule(const Loaded& in_place, BootTime now) {
  view_.running = false;
  unkept_.reset();
  const ConfigFiles files = files_of(in_place);
  const auto ruling =
      view_.state == State::Pending ? rule_pending(in_place, files, now) : rule_ended(files);
  view_.refused = view_.state == State::RolledBack && ruling == Ruling::Earlier;
  return ruling;
}

// Whether what is in place has still something of what was rolled back, which nobody has mended.
bool ConfigTrial::is_refused(const ConfigFiles& files) const {
  const ConfigFiles earlier = kept_files(options_.last_good);
  if (files == earlier) return false;
  // It is left where files were being put in place or back when that was cut short.
  if (is_mixture(files, {&files_, &found_, &earlier})) return true;
  ConfigFiles either = files_;
  either.insert(earlier.begin(), earlier.end());
  bool has_some = false;
  for (const auto& [name, ignored] : either) {
    const auto was = content(earlier, name);
    if (content(files_, name) == was) continue;  // not what the trial was about
    const auto is = content(files, name);
    if (is == was) continue;
    if (is != content(files_, name) && is != content(found_, name)) return false;  // mended
    has_some = true;
  }
  return has_some;
}

Ruling ConfigTrial::rule_ended(const ConfigFiles& files) {
  given_up_ = false;
  if (view_.state != State::RolledBack || files_.empty()) return Ruling::Usual;
  if (is_refused(files)) return Ruling::Earlier;
  view_.notes.clear();
  files_.clear();
  found_.clear();
  if (const auto saved = save(); !saved) {
    log::warning("cannot note that the files have changed", {{"FP_REASON", saved.error().message}});
  }
  return Ruling::Usual;
}

Ruling ConfigTrial::rule_pending(const Loaded& in_place, const ConfigFiles& files, BootTime now) {
  if (boot_ != options_.boot_id) begin_anew_after_boot(now);
  const bool complete = files == files_;
  std::string reason = why_over(in_place, complete, now);
  given_up_ = false;
  if (!reason.empty()) roll_back(std::move(reason), files, now);
  if (files == kept_files(options_.last_good)) return Ruling::Usual;
  if (view_.state == State::RolledBack) return Ruling::Earlier;
  view_.reason = complete ? "" : not_as_applied(in_place, files_);
  if (!complete) return Ruling::Earlier;
  if (!view_.confirm && end(State::Confirmed, now)) return Ruling::Usual;
  view_.running = true;
  return Ruling::OnTrial;
}

// Empty: it is not.
std::string ConfigTrial::why_over(const Loaded& in_place, bool complete, BootTime now) const {
  if (given_up_) return "by hand";
  if (complete && !in_place.usable()) return "it cannot be used: " + in_place.why_unusable();
  if (!complete && now >= view_.until) return not_as_applied(in_place, files_);
  if (!view_.confirm) return "";
  if (boots_ >= kMaxBoots) {
    return "no publish was acknowledged in " + std::to_string(kMaxBoots) + " boots";
  }
  if (now < view_.until) return "";
  if (!confirm_trouble_.empty())
    return "a publish was acknowledged, but that could not be noted: " + confirm_trouble_;
  return "no publish was acknowledged in " + format_duration(*view_.confirm);
}

// The clock of a boot says nothing in the next one, and the wall clock may have been set.
void ConfigTrial::begin_anew_after_boot(BootTime now) {
  boot_ = options_.boot_id;
  ++boots_;
  view_.until = now + view_.confirm.value_or(kPutInPlace);
  if (const auto saved = save(); !saved) {
    log::warning("cannot note how long a configuration has been on trial",
                 {{"FP_REASON", saved.error().message}});
  }
}

// What is in place now is not used either until it changes: an edit that nobody has tried.
void ConfigTrial::roll_back(std::string reason, const ConfigFiles& in_place, BootTime now) {
  log::error("the applied configuration is rolled back", {{"FP_REASON", reason}});
  view_.reason = std::move(reason);
  found_ = in_place;
  view_.state = State::RolledBack;
  view_.ended_ms = utc_ms(now);
  if (const auto saved = save(); !saved) {  // it is overdue at the next start as well
    log::warning("cannot note the rollback", {{"FP_REASON", saved.error().message}});
  }
}

Result<> ConfigTrial::confirm(BootTime now) {
  if (view_.state != State::Pending || !unkept_) return {};
  if (auto noted = end(State::Confirmed, now); !noted) {
    confirm_trouble_ = noted.error().message;
    confirm_pause_ = std::clamp(2 * confirm_pause_, kFirstPause, kLongestPause);
    view_.confirm_from = now + confirm_pause_;
    return noted;
  }
  log::notice("the applied configuration is confirmed: a publish was acknowledged");
  keep(*std::exchange(unkept_, {}), Ruling::Usual);
  return {};
}

Result<> ConfigTrial::accept(BootTime now) {
  if (view_.state == State::Pending || view_.refused) return end(State::Confirmed, now);
  return Error{Errc::Invalid,
               "no configuration is on trial, and nothing that was rolled back is in place"};
}

Result<> ConfigTrial::end(State state, BootTime now) {
  auto before = std::tuple(view_, std::exchange(files_, {}), std::exchange(found_, {}));
  view_ = {.state = state, .ended_ms = utc_ms(now)};
  auto saved = save();
  if (!saved) std::tie(view_, files_, found_) = std::move(before);
  return saved;
}

void ConfigTrial::keep(const Loaded& loaded, Ruling ruling) {
  if (ruling == Ruling::OnTrial) unkept_ = loaded;
  if (ruling != Ruling::Usual) return;
  const auto kept = keep_config(loaded, options_.last_good);
  keep_trouble_ = kept ? "" : kept.error().message;
  if (!kept) {
    log::warning("cannot keep this configuration as the last good one",
                 {{"FP_REASON", keep_trouble_}});
  }
}

std::string ConfigTrial::why() const {
  if (view_.state == State::Pending) {
    return "running on the earlier configuration: " + view_.reason +
           "; `fieldpost apply --rollback` puts the earlier ones back";
  }
  return "running on the earlier configuration, because the applied one was rolled back: " +
         view_.reason + "; `fieldpost apply --rollback` puts its files back too";
}

}  // namespace fieldpost
