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
  // Of the call that was sent last.
  std::optional<message::Outcome> take_outcome() { return std::exchange(outcome_, std::nullopt); }

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
  Result<> on(message::Outcome&& m) {
    m.reason = printable(m.reason);
    outcome_ = std::move(m);
    return {};
  }
  template <class M>
  Result<> on(M&&) {
    return {};  // of no interest here
  }

  const InstanceConfig& config_;
  OneReading& taken_;
  bool ready_ = false;
  std::optional<message::Outcome> outcome_;
};

// Hears one message more. False: none came before the deadline.
Result<bool> hear_one(ThrowawayHost& host, Listener& listener, BootTime deadline) {
  auto message = host.next(deadline);
  if (!message && message.error().code == Errc::Timeout) return false;
  if (!message) return message.error();
  if (!*message) {
    const auto end = host.wait(deadline);
    return Error{Errc::Invalid, "the plugin ended: " + end.value_or("nobody knows how")};
  }
  FP_CHECK_OK(listener.hear(**std::move(message)));
  return true;
}

Error not_opened(nanoseconds limit) {
  return {Errc::Timeout, "the plugin has not opened within " + about(limit)};
}

// The call has begun: whatever comes in the way, what it has done is not known.
message::Outcome run(ThrowawayHost& host, Listener& listener, message::Call call,
                     nanoseconds limit) {
  const BootTime deadline = BootClock::now() + limit;
  message::Outcome lost{.id = call.id, .status = message::Outcome::Status::Uncertain};
  const auto because = [&lost](const std::string& why) {
    lost.reason = why + "; whether it took effect is not known";
    return lost;
  };
  if (const auto sent = host.send(std::move(call), deadline); !sent) {
    return because(sent.error().message);
  }
  for (;;) {
    if (auto outcome = listener.take_outcome()) return *std::move(outcome);
    const auto heard = hear_one(host, listener, deadline);
    if (!heard) return because(heard.error().message);
    if (!*heard) return because("no outcome within " + about(limit));
  }
}

void end(ThrowawayHost& host) {
  host.hang_up();
  (void)host.wait(BootClock::now() + kLastCall);
}

// To read is to drive nothing, and what somebody writes who stands beside it is to stay: the guards
// of outputs are for who watches over them, which is the agent.
message::Configure without_guards(InstanceConfig config) {
  config.guards.clear();
  return {std::move(config)};
}

}  // namespace

bool OneReading::complete() const {
  for (size_t i = 0; i < attributes.size(); ++i) {
    if (!attributes[i] && !silent[declaration.attributes[i].unit]) return false;
  }
  return true;
}

Result<OneReading> read_once(const std::string& plugin_host, const std::string& file,
                             const InstanceConfig& config, nanoseconds limit,
                             const std::string& user) {
  const BootTime deadline = BootClock::now() + limit;
  auto host = FP_TRY(ThrowawayHost::start(plugin_host, "run", file, user));
  FP_CHECK_OK(host.send(without_guards(config), deadline));
  OneReading taken;
  Listener listener(config, taken);
  while (!listener.ready() || !taken.complete()) {
    if (FP_TRY(hear_one(host, listener, deadline))) continue;
    if (listener.ready()) break;
    return not_opened(limit);
  }
  end(host);
  return taken;
}

Result<std::vector<message::Outcome>> run_once(const std::string& plugin_host,
                                               const std::string& file,
                                               const InstanceConfig& config,
                                               const Declaration& declared,
                                               std::vector<message::Call> calls, nanoseconds limit,
                                               const std::string& user) {
  const BootTime deadline = BootClock::now() + limit;
  auto host = FP_TRY(ThrowawayHost::start(plugin_host, "run", file, user));
  FP_CHECK_OK(host.send(without_guards(config), deadline));
  OneReading taken;
  Listener listener(config, taken);
  while (!listener.ready()) {
    if (!FP_TRY(hear_one(host, listener, deadline))) return not_opened(limit);
  }
  if (taken.declaration != declared) {
    return Error{Errc::Invalid, "it declares other things than a moment ago: ask again"};
  }
  std::vector<message::Outcome> outcomes;
  for (message::Call& call : calls) {
    outcomes.push_back(run(host, listener, std::move(call), limit));
    if (outcomes.back().status != message::Outcome::Status::Done) break;
  }
  end(host);
  return outcomes;
}

}  // namespace fieldpost
