// SPDX-License-Identifier: Apache-2.0
//
// What one process of a host may say, and when: it declares, is ready, brings samples, answers
// calls. Hands what is good to the sinks; what is not, ends the host. Pure: no I/O, no clock.
#pragma once

#include <optional>
#include <set>
#include <string>

#include "supervisor/host_process.hpp"

namespace fieldpost {

class HostConversation {
 public:
  static constexpr size_t kMaxCalls = 64;  // that a host has not answered yet

  // What a message means for the life of the process.
  enum class Turn { None, Declared, Ready, Refused };

  // Both outlive this object.
  HostConversation(const InstanceConfig& config, const HostProcess::Sinks& sinks)
      : config_(config), sinks_(sinks) {}

  // `state` is the process's. Errors: Invalid (what the host did that it may not, for people).
  Result<Turn> hear(message::Any&& message, HostState state, BootTime now);
  const std::optional<Declaration>& declaration() const { return declaration_; }
  const std::optional<message::Refused>& refused() const { return refused_; }
  // What its sandbox does; nothing before it has said so.
  const std::optional<Confinement>& confinement() const { return confinement_; }
  // As it was told last.
  const std::optional<message::Punctuality>& punctuality() const { return punctuality_; }

  // Errors: Full. A call that was sent waits for its outcome.
  Result<> admit_call() const;
  void sent(uint64_t call) { calls_.insert(call); }
  void sent_guest(uint64_t guest) { guests_.insert(guest); }
  // The process has ended: so have its calls.
  void fail_calls(const std::string& reason);

 private:
  struct Listener;
  const InstanceConfig& config_;
  const HostProcess::Sinks& sinks_;
  std::optional<Declaration> declaration_;
  std::optional<message::Refused> refused_;
  std::optional<Confinement> confinement_;
  std::optional<message::Punctuality> punctuality_;
  std::set<uint64_t> calls_, guests_;
  size_t problems_ = 0;
  bool ready_ = false;
};

}  // namespace fieldpost
