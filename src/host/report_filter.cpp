// SPDX-License-Identifier: Apache-2.0
#include "host/report_filter.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/text.hpp"

namespace fieldpost {
namespace {

void make_bad(Reading& reading, Quality quality, std::string why) {
  reading.quality = quality;
  reading.value = {};
  reading.detail = std::move(why);
}

// Dividing by 10 gives the double nearest to the decimal, multiplying by 0.1 does not.
double scaled(double raw, double scale) {
  if (scale == 1) return raw;
  const double divisor = std::round(1 / scale);
  if (std::abs(scale) < 1 && std::abs(divisor * scale - 1) < 1e-12) return raw / divisor;
  return raw * scale;
}

// What is too large to have digits after the point stays as it is.
double rounded(double value, uint32_t decimals) {
  if (decimals == ReportRule::kAllDigits) return value;
  const double power = std::pow(10, decimals);
  const double whole = value * power;
  constexpr double kWhole = 9007199254740992;  // 2^53: from here on all are whole numbers
  return std::abs(whole) < kWhole ? std::round(whole) / power : value;
}

void scale(const ReportRule& rule, Reading& reading) {
  auto* number = std::get_if<double>(&reading.value);
  if (number == nullptr || reading.quality != Quality::Good) return;
  const double value = rounded(scaled(*number, rule.scale) + rule.offset, rule.decimals);
  if (std::isfinite(value)) {
    *number = value;
  } else {
    make_bad(reading, Quality::OutOfRange, format_number(*number) + " is too large to be scaled");
  }
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
    attributes_.push_back({.rule = report_rule(attribute, config), .unit = attribute.unit});
    if (attribute.unit >= of_unit_.size()) of_unit_.resize(attribute.unit + size_t{1});
    of_unit_[attribute.unit].push_back(static_cast<uint32_t>(attributes_.size() - 1));
  }
  polls_.resize(config.units.size());
  of_unit_.resize(config.units.size());
}

void ReportFilter::poll_begins(uint32_t unit) {
  if (unit >= polls_.size()) return;
  polled_unit_ = unit;
  ++polls_[unit];
}

// What a good poll did not bring does not come with polls any more.
void ReportFilter::poll_ends(bool good) {
  const auto unit = std::exchange(polled_unit_, std::nullopt);
  if (!unit || !good) return;
  for (const uint32_t index : of_unit_[*unit]) {
    Attribute& attribute = attributes_[index];
    if (!attribute.is_polled || attribute.seen == polls_[*unit]) continue;
    attribute.is_polled = false;
    held_.unpolled.push_back(index);
  }
}

// Two in a row are no accident.
void ReportFilter::note_poll(uint32_t index, bool is_good) {
  Attribute& attribute = attributes_[index];
  if (polled_unit_ != attribute.unit) return;
  attribute.seen = polls_[attribute.unit];
  if (!is_good || attribute.is_polled) return;
  const uint64_t poll = polls_[attribute.unit];
  attribute.is_polled = attribute.last_poll != 0 && attribute.last_poll + 1 == poll;
  attribute.last_poll = poll;
  if (attribute.is_polled) held_.polled.push_back(index);
}

void ReportFilter::hold(uint32_t index, BootTime time) {
  held_.time = std::max(held_.time, time);
  if (std::exchange(attributes_[index].is_held, true)) return;
  held_.unchanged.push_back(index);
}

std::optional<message::Held> ReportFilter::take_held() {
  if (held_.unchanged.empty() && held_.polled.empty() && held_.unpolled.empty()) {
    return std::nullopt;
  }
  for (const uint32_t index : held_.unchanged) attributes_[index].is_held = false;
  return std::exchange(held_, {});
}

void ReportFilter::renew() {
  for (Attribute& attribute : attributes_) {
    attribute.has_left = attribute.is_polled = false;  // of the latter it is told anew, too
    attribute.last_poll = 0;
  }
}

void ReportFilter::apply(Sample& sample) {
  std::erase_if(sample.readings, [&](Reading& reading) {
    Attribute& attribute = attributes_[reading.attribute];
    scale(attribute.rule, reading);
    judge(attribute, reading, sample.time);
    const bool is_good = reading.quality == Quality::Good;
    note_poll(reading.attribute, is_good);
    if (!is_news(attribute, reading, sample.time)) {
      if (is_good) hold(reading.attribute, sample.time);
      return true;
    }
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
    if (*number < rule.min) {
      return make_bad(reading, Quality::OutOfRange,
                      format_number(*number) + " is below valid_min, " + format_number(rule.min));
    }
    if (*number > rule.max) {
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
