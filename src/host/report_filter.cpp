// SPDX-License-Identifier: Apache-2.0
#include "host/report_filter.hpp"

#include <algorithm>
#include <cmath>

#include "base/text.hpp"

namespace fieldpost {
namespace {

ReportRule rule_of(const Declaration::Attribute& attribute, const InstanceConfig& config) {
  const auto named =
      std::ranges::find(config.named_reports, attribute.spec.name, &NamedReportRule::attribute);
  if (named != config.named_reports.end()) return named->rule;
  // Without a row of its own it belongs to its unit.
  const uint32_t section =
      attribute.section != 0 ? attribute.section : config.units[attribute.unit];
  return section < config.reports.size() ? config.reports[section] : ReportRule();
}

void make_bad(Reading& reading, Quality quality, std::string why) {
  reading.quality = quality;
  reading.value = {};
  reading.detail = std::move(why);
}

bool differs(const ReportRule& rule, const Value& now, const Value& before) {
  const auto* number = std::get_if<double>(&now);
  const auto* old = std::get_if<double>(&before);
  if (number == nullptr || old == nullptr) return now != before;
  const double band = std::max(rule.deadband, rule.deadband_percent / 100 * std::abs(*old));
  return band > 0 ? std::abs(*number - *old) > band : *number != *old;
}

}  // namespace

ReportFilter::ReportFilter(const Declaration& declaration, const InstanceConfig& config)
    : slack_(config.interval / 2) {
  for (const Declaration::Attribute& attribute : declaration.attributes) {
    attributes_.push_back({.rule = rule_of(attribute, config)});
  }
}

void ReportFilter::apply(Sample& sample) {
  std::erase_if(sample.readings, [&](Reading& reading) {
    Attribute& attribute = attributes_[reading.attribute];
    judge(attribute, reading, sample.time);
    if (!is_news(attribute, reading, sample.time)) return true;
    if (attribute.rule.when != ReportRule::When::Always) attribute.last = reading;
    attribute.left = sample.time;
    attribute.has_left = true;
    return false;
  });
}

void ReportFilter::judge(Attribute& attribute, Reading& reading, BootTime time) {
  const ReportRule& rule = attribute.rule;
  if (reading.quality != Quality::Good) return;
  if (const auto* number = std::get_if<double>(&reading.value)) {
    if (rule.has_min && *number < rule.min) {
      return make_bad(reading, Quality::OutOfRange,
                      format_number(*number) + " is below valid_min, " + format_number(rule.min));
    }
    if (rule.has_max && *number > rule.max) {
      return make_bad(reading, Quality::OutOfRange,
                      format_number(*number) + " is above valid_max, " + format_number(rule.max));
    }
  }
  if (rule.expect_change.count() <= 0) return;
  if (!attribute.is_watched || reading.value != attribute.watched || time < attribute.since) {
    attribute.is_watched = true;
    attribute.watched = reading.value;
    attribute.since = time;
  } else if (time - attribute.since >= rule.expect_change) {
    make_bad(reading, Quality::Stuck,
             "the same for " + format_duration(rule.expect_change) + " or longer");
  }
}

bool ReportFilter::is_news(const Attribute& attribute, const Reading& reading,
                           BootTime time) const {
  const ReportRule& rule = attribute.rule;
  if (rule.when == ReportRule::When::Always || !attribute.has_left) return true;
  if (time < attribute.left || reading.quality != attribute.last.quality) return true;
  // Of one that is not good only the words count; now and then they are repeated for the status.
  const bool is_good = reading.quality == Quality::Good;
  if (!is_good && reading.detail != attribute.last.detail) return true;
  if (is_good && differs(rule, reading.value, attribute.last.value)) return true;
  return rule.when == ReportRule::When::ChangeOrPeriod &&
         time - attribute.left >= rule.period - std::min(slack_, rule.period / 2);
}

}  // namespace fieldpost
