// SPDX-License-Identifier: Apache-2.0
#include "supervisor/one_reading.hpp"

#include <utility>

#include "base/text.hpp"
#include "supervisor/throwaway_host.hpp"
#include "supervisor/vet.hpp"

namespace fieldpost {
namespace {

constexpr nanoseconds kLastCall = std::chrono::seconds(2);  // for the plugin to close

// Takes in what the host says. A pure function of it, but for what is kept.
class Listener {
 public:
  Listener(const InstanceConfig& config, OneReading& taken) : config_(config), taken_(taken) {
    taken.silent.resize(config.units.size());
  }

  // Errors: as of read_once().
  Result<> hear(message::Any&& message) {
    return std::visit([this](auto& m) { return on(std::move(m)); }, message);
  }
  bool ready() const { return ready_; }

 private:
  Result<> on(message::Refused&& m) {
    const bool passing = m.kind == message::Refused::Kind::Passing;
    return Error{passing ? Errc::Unavailable : Errc::Invalid, printable(m.reason)};
  }
  Result<> on(message::Problem&& m) {
    return Error{Errc::Invalid,
                 (m.option.empty() ? "" : printable(m.option) + ": ") + printable(m.text)};
  }
  Result<> on(message::Declared&& m) {
    FP_CHECK_OK(vet(m.declaration, config_).context("the plugin declares"));
    taken_.declaration = std::move(m.declaration);
    taken_.attributes.resize(taken_.declaration.attributes.size());
    return {};
  }
  Result<> on(message::Ready&&) {
    ready_ = true;
    return {};
  }
  Result<> on(message::Samples&& m) {
    FP_CHECK_OK(vet(m, taken_.declaration, BootClock::now()).context("the plugin brings"));
    for (Sample& sample : m.samples) {
      for (Reading& reading : sample.readings) {
        taken_.attributes[reading.attribute] = std::move(reading);
      }
    }
    return {};
  }
  Result<> on(message::UnitState&& m) {
    if (m.unit >= taken_.silent.size()) {
      return Error{Errc::Invalid, "the plugin tells of a unit that it does not have"};
    }
    taken_.silent[m.unit].reset();
    if (!m.good) taken_.silent[m.unit] = printable(m.reason);
    return {};
  }
  template <class M>
  Result<> on(M&&) {
    return {};  // of no interest here
  }

  const InstanceConfig& config_;
  OneReading& taken_;
  bool ready_ = false;
};

}  // namespace

bool OneReading::complete() const {
  for (size_t i = 0; i < attributes.size(); ++i) {
    if (!attributes[i] && !silent[declaration.attributes[i].unit]) return false;
  }
  return true;
}

Result<OneReading> read_once(const std::string& plugin_host, const std::string& file,
                             const InstanceConfig& config, nanoseconds limit) {
  const BootTime deadline = BootClock::now() + limit;
  auto host = FP_TRY(ThrowawayHost::start(plugin_host, "run", file));
  FP_CHECK_OK(host.send(message::Configure{config}, deadline));
  OneReading taken;
  Listener listener(config, taken);
  while (!listener.ready() || !taken.complete()) {
    auto message = host.next(deadline);
    if (!message && message.error().code == Errc::Timeout) {
      if (listener.ready()) break;
      return Error{Errc::Timeout, "the plugin has not opened within " + about(limit)};
    }
    if (!message) return message.error();
    if (!*message) {
      const auto end = host.wait(deadline);
      return Error{Errc::Invalid, "the plugin ended: " + end.value_or("nobody knows how")};
    }
    FP_CHECK_OK(listener.hear(**std::move(message)));
  }
  host.hang_up();
  (void)host.wait(BootClock::now() + kLastCall);
  return taken;
}

}  // namespace fieldpost
