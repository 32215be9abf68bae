// SPDX-License-Identifier: Apache-2.0
//
// `fieldpost apply`: the daemon's part. It notes a trial before the files are put in place, waits
// for the proof, and goes back when there is none (config_trial.hpp).
#include <algorithm>
#include <cmath>
#include <utility>

#include "base/log.hpp"
#include "base/text.hpp"
#include "main/daemon.hpp"
#include "supervisor/probe.hpp"

namespace fieldpost {
namespace {

using TrialState = ConfigTrial::State;

// The answers that the uplink gives while a ping is under way may be to an earlier one; the second
// of them is certain to come after it has taken up what was handed to it before.
constexpr int kAnswers = 2;

Json refusal(std::string_view why) { return Json{{"ok", false}, {"error", why}}; }

// Nothing: it is something else.
std::optional<std::map<std::string, std::string>> texts_in(const Json& object) {
  if (!object.is_object()) return std::nullopt;
  std::map<std::string, std::string> texts;
  for (const auto& [name, text] : object.items()) {
    if (!text.is_string()) return std::nullopt;
    texts[name] = text.get<std::string>();
  }
  return texts;
}

std::string_view name_of(TrialState state) {
  switch (state) {
    case TrialState::None:
      return "none";
    case TrialState::Pending:
      return "pending";
    case TrialState::Confirmed:
      return "confirmed";
    case TrialState::RolledBack:
      return "rolled back";
  }
  return "none";
}

}  // namespace

Daemon::LoaderNews Daemon::take(LoaderStep&& step) {
  LoaderNews news;
  const auto note = [](const char* what, const Result<>& done) {
    if (!done) log::warning(what, {{"FP_REASON", done.error().message}});
  };
  const BootTime now = BootClock::now();
  bool reads = false;
  if (auto* begin = std::get_if<BeginTrial>(&step)) {
    const auto begun =
        trial_->begin(std::move(begin->files), begin->confirm, now, std::move(begin->notes));
    news.begun = begun ? "" : begun.error().message;
  } else if (std::holds_alternative<ConfirmTrial>(step)) {
    note("cannot note that the applied configuration is confirmed", trial_->confirm(now));
  } else if (const auto* end = std::get_if<EndTrial>(&step)) {
    reads = true;
    if (end->keep) {
      note("cannot note that the applied configuration stays", trial_->accept(now));
    } else {
      trial_->give_up();
    }
  } else {
    reads = true;
  }
  if (reads) {  // plugins are run and waited for, which the loop must not do
    Probe probe(paths_.plugin_host, paths_.plugin_dir);
    news.chosen = choose_config(paths_, *trial_, probe, BootClock::now());
  }
  news.trial = trial_->view();
  news.last_good = kept_files(paths_.last_good_config());
  return news;
}

// Each second.
void Daemon::watch_trial() {
  if (trial_view_.state != TrialState::Pending || loader_.joinable()) return;
  const BootTime now = BootClock::now();
  if (now >= trial_view_.until && (trial_view_.confirm || !trial_view_.running)) return reload();
  if (!trial_view_.running) return;
  if (proved_) {
    if (now >= trial_view_.confirm_from) load(ConfirmTrial{});
    return;
  }
  if (proof_) return;
  if (const uint64_t answered = uplink_->answered(); answered != answered_trial_) {
    answered_trial_ = answered;
    if (--answers_awaited_ <= 0) return void(proof_.emplace(uplink_status_));
  }
  uplink_->ping();
}

// After a configuration was handed to the uplink.
void Daemon::watch_for_proof() {
  proof_.reset();
  proved_ = false;
  if (!trial_view_.running) return;
  answers_awaited_ = kAnswers;
  answered_trial_ = uplink_->answered();
  uplink_->ping();
}

// The files are those that are about to be put in place.
Json Daemon::begin_trial(const Json& request) {
  BeginTrial begin;
  const auto files = texts_in(request.value("files", Json()));
  if (!files || files->empty()) return refusal("files: expected an object of texts");
  begin.files = *files;
  const auto notes = texts_in(request.value("notes", Json::object()));
  if (!notes) return refusal("notes: expected an object of texts");
  begin.notes = *notes;
  const Json seconds = request.value("confirm_s", Json());
  constexpr double kMost = 7 * 86400;
  if (!seconds.is_number() || !(seconds.get<double>() >= 0 && seconds.get<double>() <= kMost)) {
    return refusal("confirm_s: expected 0 to 604800 seconds");
  }
  const auto ms = std::chrono::milliseconds(std::llround(seconds.get<double>() * 1e3));
  if (ms.count() > 0) begin.confirm = ms;
  load(std::move(begin));
  return begun();
}

Json Daemon::earlier_files() const {
  if (last_good_.empty()) return refusal("no earlier configuration is kept");
  return Json{{"ok", true}, {"files", last_good_}, {"notes", trial_view_.notes}};
}

Json Daemon::trial_json() const {
  const ConfigTrial::View& view = trial_view_;
  Json json{{"applies", applies_}, {"trouble", apply_trouble_}, {"state", name_of(view.state)}};
  if (view.state == TrialState::Pending) {
    json["running"] = view.running;
    json["reason"] = view.reason;
    if (view.confirm) {
      const nanoseconds left = std::max(nanoseconds(0), view.until - BootClock::now());
      json["confirm_s"] = static_cast<double>(view.confirm->count()) / 1e9;
      json["left_s"] = static_cast<double>(left.count()) / 1e9;
    }
  } else if (view.state != TrialState::None) {
    if (view.state == TrialState::RolledBack) json["refused"] = view.refused;
    json["reason"] = view.reason;
    json["ended"] = format_utc(view.ended_ms);
  }
  return json;
}

}  // namespace fieldpost
