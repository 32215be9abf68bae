// SPDX-License-Identifier: Apache-2.0
#include "supervisor/host_conversation.hpp"

#include <utility>

#include "base/log.hpp"
#include "base/text.hpp"
#include "supervisor/vet.hpp"

namespace fieldpost {
namespace {

constexpr size_t kMaxProblems = 256;   // what a plugin-host passes on (host/host_api.cpp)
constexpr size_t kLoggedProblems = 8;  // a log is shared: who has more wrong runs the check

Error invalid(std::string what) { return {Errc::Invalid, std::move(what)}; }

}  // namespace

// One message, and the moment it came in.
struct HostConversation::Listener {
  HostConversation& self;
  HostState state;
  BootTime now;

  bool serving() const { return state == HostState::Up || state == HostState::Stopping; }

  // The plugin shares the connection, but was not there yet when this was sent.
  Result<Turn> operator()(message::Confined&& confined) const {
    if (self.confinement_) return invalid("spoke twice of its sandbox");
    self.confinement_ = confined.in_force;
    return Turn::None;
  }

  Result<Turn> operator()(message::Declared&& declared) const {
    if (self.declaration_) return invalid("declared twice");
    auto good = vet(declared.declaration, self.config_);
    if (good) good = self.sinks_.declared(declared.declaration);
    if (!good) return invalid("declared " + good.error().message);
    self.declaration_ = std::move(declared.declaration);
    return Turn::Declared;
  }

  Result<Turn> operator()(message::Ready&&) const {
    if (!self.declaration_ || self.ready_) return invalid("said it was ready when it could not be");
    if (state != HostState::Starting) return Turn::None;
    self.ready_ = true;
    return Turn::Ready;
  }

  Result<Turn> operator()(message::Samples&& samples) const {
    if (!serving() || !self.declaration_) return invalid("sent samples before it was ready");
    if (const auto good = vet(samples, *self.declaration_, now); !good) {
      return invalid("sent " + good.error().message);
    }
    self.sinks_.samples(std::move(samples));
    return Turn::None;
  }

  Result<Turn> operator()(message::Held&& held) const {
    if (!serving() || !self.declaration_) return invalid("held readings before it was ready");
    if (const auto good = vet(held, *self.declaration_, now); !good) {
      return invalid("sent " + good.error().message);
    }
    if (self.sinks_.held) self.sinks_.held(held);
    return Turn::None;
  }

  Result<Turn> operator()(message::Punctuality&& punctuality) const {
    if (!serving()) return invalid("told of its polls before it was ready");
    self.punctuality_ = punctuality;
    return Turn::None;
  }

  Result<Turn> operator()(message::Keep&& keep) const {
    if (!self.declaration_) return invalid("kept values before it had declared");
    if (const auto good = vet(keep); !good) return invalid("kept " + good.error().message);
    self.sinks_.keep(keep);
    return Turn::None;
  }

  Result<Turn> operator()(message::Remark&& remark) const {
    if (!serving() || !self.declaration_) return invalid("made a remark before it was ready");
    if (remark.attribute >= self.declaration_->attributes.size()) {
      return invalid("made a remark on an attribute that it did not declare");
    }
    remark.text = printable(remark.text);
    if (self.sinks_.remark) self.sinks_.remark(remark);
    return Turn::None;
  }

  Result<Turn> operator()(message::UnitState&& unit) const {
    if (!serving() || unit.unit >= self.config_.units.size()) {
      return invalid("sent the state of a unit that is not there");
    }
    unit.reason = printable(unit.reason);
    self.sinks_.unit_state(unit);
    return Turn::None;
  }

  Result<Turn> operator()(message::Outcome&& outcome) const {
    if (self.calls_.erase(outcome.id) == 0) return invalid("answered a call that was not made");
    outcome.reason = printable(outcome.reason);
    self.sinks_.outcome(outcome);
    return Turn::None;
  }

  Result<Turn> operator()(message::GuestReading&& reading) const {
    if (self.guests_.erase(reading.id) == 0) return invalid("read for a guest that it has not");
    reading.refused = printable(reading.refused);
    self.sinks_.guest(std::move(reading));
    return Turn::None;
  }

  Result<Turn> operator()(message::Problem&& problem) const {
    if (self.declaration_ || self.refused_) return invalid("objected when it was too late");
    if (++self.problems_ > kMaxProblems) return invalid("does not stop objecting");
    if (self.problems_ > kLoggedProblems) return Turn::None;
    log::warning("the plugin objects to its configuration",
                 {{"FP_PLUGIN", self.config_.name},
                  {"FP_REASON", printable(problem.text)},
                  {"FP_OPTION", printable(problem.option, 64)}});
    return Turn::None;
  }

  Result<Turn> operator()(message::Refused&& refusal) const {
    if (self.refused_) return invalid("refused twice");
    refusal.reason = printable(refusal.reason);
    self.refused_ = std::move(refusal);
    return Turn::Refused;
  }

  Result<Turn> operator()(message::Pong&&) const { return Turn::None; }

  template <class Other>
  Result<Turn> operator()(Other&&) const {
    return invalid("sent a message that is not for hosts to send");
  }
};

Result<HostConversation::Turn> HostConversation::hear(message::Any&& message, HostState state,
                                                      BootTime now) {
  return std::visit(Listener{*this, state, now}, std::move(message));
}

Result<> HostConversation::admit_call() const {
  if (calls_.size() + guests_.size() < kMaxCalls) return {};
  return Error{Errc::Full, "the plugin has not answered " + std::to_string(kMaxCalls) + " calls"};
}

void HostConversation::fail_calls(const std::string& reason) {
  const std::string why =
      "the plugin ended before it answered: " + (reason.empty() ? "it was stopped" : reason);
  for (const uint64_t id : std::exchange(calls_, {})) {
    sinks_.outcome({id, message::Outcome::Status::Uncertain, std::nullopt,
                    why + "; whether it took effect is not known"});
  }
  for (const uint64_t id : std::exchange(guests_, {})) {
    message::GuestReading none{.id = id};
    none.refused = why;
    sinks_.guest(std::move(none));
  }
}

}  // namespace fieldpost
