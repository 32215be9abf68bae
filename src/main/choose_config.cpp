// SPDX-License-Identifier: Apache-2.0
#include "main/choose_config.hpp"

#include <utility>

#include "base/log.hpp"
#include "base/message_ids.hpp"

namespace fieldpost {

void log_problems(const std::vector<Problem>& problems) {
  for (const Problem& p : problems) {
    const bool works = p.severity == Problem::Severity::Warning;
    log::write(works ? log::Level::Warning : log::Level::Error, "configuration",
               {{"FP_REASON", to_string(p)}});
  }
}

namespace {

// What a store drops for want of room or for its age no rollback brings back, so a configuration on
// trial gets the outbox of the earlier one.
Config with_earlier_outbox(Config config, const Paths& paths, PluginProbe& probe) {
  const Loaded earlier = load_config(paths.last_good_config(), probe, paths.profile_folders());
  if (!earlier.usable() || earlier.config.outbox == config.outbox) return config;
  log::notice("[outbox] of a configuration on trial takes effect at the first start after it");
  config.outbox = earlier.config.outbox;
  return config;
}

// The earlier one is to run, and is lost or broken. All that was applied is better than nothing; a
// part of it nobody has ever wanted.
Chosen without_earlier(const Loaded& in_place, const Loaded& earlier, const ConfigTrial& trial) {
  const std::string lost =
      "the earlier one cannot be used: " +
      (earlier.files.empty() ? "it is not there any more" : earlier.why_unusable());
  log::error("the earlier configuration cannot be used", {{"FP_REASON", lost}});
  if (in_place.usable() && trial.is_whole(in_place)) {
    return {in_place.config, "running on an applied configuration that was rolled back (" +
                                 trial.view().reason + "), because " + lost +
                                 "; `fieldpost apply --keep` keeps it"};
  }
  return {std::nullopt,
          "what is in place is but a part of what was applied, or an edit of it, and " + lost};
}

}  // namespace

Chosen choose_config(const Paths& paths, ConfigTrial& trial, PluginProbe& probe, BootTime now) {
  const Loaded in_place = load_config(paths.config, probe, paths.profile_folders());
  // As it was installed, which is not something that is wrong.
  const bool is_not_set_up = !in_place.usable() && !in_place.set_up;
  if (!is_not_set_up) log_problems(in_place.problems);
  const auto ruling = trial.rule(in_place, now);
  if (ruling == ConfigTrial::Ruling::Earlier) {
    Loaded earlier = load_config(paths.last_good_config(), probe, paths.profile_folders());
    if (earlier.usable()) return {std::move(earlier.config), trial.why()};
    return without_earlier(in_place, earlier, trial);
  }
  if (is_not_set_up) return {std::nullopt, kNotSetUp};
  if (!in_place.usable()) return {std::nullopt, in_place.why_unusable()};
  trial.keep(in_place, ruling);
  if (ruling != ConfigTrial::Ruling::OnTrial) return {in_place.config, ""};
  return {with_earlier_outbox(in_place.config, paths, probe), ""};
}

Chosen fall_back(const Paths& paths, Chosen chosen, PluginProbe& probe) {
  Loaded last = load_config(paths.last_good_config(), probe, paths.profile_folders());
  if (!last.usable()) return chosen;
  log::error("the configuration has errors; running on the last one that worked",
             {message_id::kLastGoodConfig});
  return {std::move(last.config),
          "running on the last configuration that worked, because: " + chosen.trouble};
}

}  // namespace fieldpost
