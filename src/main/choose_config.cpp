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

Chosen choose_config(const Paths& paths, ConfigTrial& trial, PluginProbe& probe, BootTime now) {
  const Loaded in_place = load_config(paths.config, probe);
  // As it was installed, which is not something that is wrong.
  const bool is_not_set_up = !in_place.usable() && !in_place.set_up;
  if (!is_not_set_up) log_problems(in_place.problems);
  const auto ruling = trial.rule(in_place, now);
  if (ruling == ConfigTrial::Ruling::Earlier) {
    Loaded earlier = load_config(paths.last_good_config(), probe);
    if (earlier.usable()) return {std::move(earlier.config), trial.why()};
    log::error("the earlier configuration cannot be used", {{"FP_REASON", earlier.why_unusable()}});
  }
  if (is_not_set_up) return {std::nullopt, kNotSetUp};
  if (!in_place.usable()) return {std::nullopt, in_place.why_unusable()};
  trial.keep(in_place, ruling);
  return {in_place.config, ""};
}

Chosen fall_back(const Paths& paths, Chosen chosen, PluginProbe& probe) {
  Loaded last = load_config(paths.last_good_config(), probe);
  if (!last.usable()) return chosen;
  log::error("the configuration has errors; running on the last one that worked",
             {message_id::kLastGoodConfig});
  return {std::move(last.config),
          "running on the last configuration that worked, because: " + chosen.trouble};
}

}  // namespace fieldpost
