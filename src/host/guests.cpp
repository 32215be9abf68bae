// SPDX-License-Identifier: Apache-2.0
#include "host/guests.hpp"

#include <algorithm>
#include <utility>

#include "base/text.hpp"
#include "host/host_api.hpp"
#include "host/invoke.hpp"

namespace fieldpost {
namespace {

// One of them, from its configuration to its end.
class Visit {
 public:
  Visit(const Plugin& plugin, LineLog& log, Heartbeat& heart, const InstanceConfig& config)
      : plugin_(plugin),
        heart_(heart),
        api_(config, {}, log, [this](message::Samples&& samples) { take(std::move(samples)); }) {}
  Visit(const Visit&) = delete;
  Visit& operator=(const Visit&) = delete;
  ~Visit() {
    if (instance_ != nullptr) invoke(heart_, plugin_.calls.close, instance_);
  }

  // Says what is in the way of reading; nothing else is called then.
  std::string open(const InstanceConfig& config) {
    if (plugin_.calls.declare == nullptr || plugin_.calls.poll == nullptr) {
      return "this plugin cannot read for others while it runs";
    }
    const fp_status declared = invoke(heart_, plugin_.calls.declare, api_.raw());
    if (const auto problems = api_.take_problems(); !problems.empty()) return problems[0].text;
    if (declared != FP_OK) return why(declared);
    if (!api_.declaration().commands.empty()) {
      return "it has outputs, and a guest on the line of another instance drives nothing";
    }
    api_.filter_by(ReportFilter(api_.declaration(), config));
    api_.enter(HostApi::Phase::Opening);
    const fp_status opened = invoke(heart_, plugin_.calls.open, api_.raw(), &instance_);
    return opened == FP_OK ? "" : why(opened);
  }

  void read(message::GuestReading& ret) {
    api_.enter(HostApi::Phase::Running);
    const fp_status status = invoke(heart_, plugin_.calls.poll, instance_, 0U);
    ret.good = status == FP_OK;
    if (!ret.good) ret.reason = why(status);
    take(api_.take_samples());
    for (const Declaration::Attribute& a : api_.declaration().attributes) {
      ret.attributes.push_back(a.spec.name);
    }
    ret.samples = std::move(samples_);
  }

 private:
  std::string why(fp_status status) {
    std::string error = api_.take_error();
    return error.empty() ? meaning(status) : error;
  }
  void take(message::Samples&& samples) {
    std::ranges::move(samples.samples, std::back_inserter(samples_));
  }

  const Plugin& plugin_;
  Heartbeat& heart_;
  std::vector<Sample> samples_;
  HostApi api_;
  void* instance_ = nullptr;
};

}  // namespace

std::optional<message::GuestReading> Guests::add(message::ReadOnce&& guest) {
  const InstanceConfig& config = guest.config;
  const auto inside = [&](uint32_t section) { return section < config.sections.size(); };
  message::GuestReading refusal{.id = guest.id};
  if (waiting_.size() >= kMaxWaiting) {
    refusal.refused = "others wait for this line already: try again later";
  } else if (config.units.size() != 1 || !inside(config.units[0]) || !config.reports.empty() ||
             !std::ranges::all_of(config.sections, inside, &ConfigSection::parent)) {
    refusal.refused = "expected the sections of one unit";
  } else {
    waiting_.push_back(std::move(guest));
    return std::nullopt;
  }
  return refusal;
}

std::optional<BootTime> Guests::due(BootTime now, std::optional<BootTime> busy) const {
  if (waiting_.empty()) return std::nullopt;
  if (!busy || now + taken_ <= *busy) return now;
  return std::max(now, ended_ + kRest * taken_);
}

message::GuestReading Guests::read_next() {
  const message::ReadOnce guest = std::move(waiting_.front());
  waiting_.pop_front();
  message::GuestReading reading{.id = guest.id};
  const BootTime began = BootClock::now();
  {
    Visit visit(plugin_, log_, heart_, guest.config);
    reading.refused = visit.open(guest.config);
    if (reading.refused.empty()) visit.read(reading);
  }
  ended_ = BootClock::now();
  taken_ = ended_ - began;
  return reading;
}

}  // namespace fieldpost
