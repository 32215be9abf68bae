// SPDX-License-Identifier: Apache-2.0
#include "cli/first_state.hpp"

#include <iostream>
#include <string>
#include <thread>

#include "base/text.hpp"
#include "cli/client.hpp"
#include "cli/json_words.hpp"

namespace fieldpost::cli {
namespace {

using Steady = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kLookEvery(200);

std::string with_reason(std::string words, const std::string& reason) {
  return reason.empty() ? words : std::move(words) + ": " + reason;
}

std::string line_of(const Json& uplink) {
  const std::string words = text_of(uplink, "state") + " " + text_of(uplink, "url");
  const std::string reason = text_of(uplink, "reason");
  return with_reason(words, reason.empty() ? text_of(uplink, "step") : reason);
}

// Why it is not what was set up that runs; empty: it is.
std::string difference(const Json& status, const std::string& device_id) {
  if (const std::string trouble = text_of(status["config"], "trouble"); !trouble.empty())
    return trouble;
  const std::string runs = text_of(status["gateway"], "device_id");
  return runs == device_id ? "" : "the agent runs as " + runs + " still, not as " + device_id;
}

// Why nothing has been acknowledged yet, by a status: docs/control-protocol.md.
std::string obstacle(const Json& status) {
  const Json& uplink = status["uplink"];
  if (uplink["state"] != "connected") return line_of(uplink);
  if (text_of(status["clock"], "stamps") == "none") {
    return with_reason("connected, but the time is not known yet",
                       text_of(status["clock"], "reason"));
  }
  if (status["outbox"]["waiting"] == 0) {
    for (const Json& plugin : status["plugins"]) {
      if (text_of(plugin, "state") != "up") {
        return with_reason("connected, but the plugin '" + text_of(plugin, "name") + "' is " +
                               text_of(plugin, "state"),
                           text_of(plugin, "reason"));
      }
    }
  }
  return uplink.value("held_back", false)
             ? "connected; a first message waits up to 15 s, within the broker's limits"
             : "connected; the first state is on its way";
}

// What is in the way; empty: nothing.
std::string look(const Paths& paths, const std::string& device_id, const Before& before) {
  auto client = ControlClient::connect(paths, false);
  if (!client) return client.error().message;
  const auto answer = client->ask(Json{{"do", "status"}}, std::chrono::seconds(2));
  if (!answer) return answer.error().message;
  const Json& status = (*answer)["status"];
  // Until then it runs on what was there before, which is no success.
  if (status["config"]["loads"] <= before.loads) return "the agent reads its configuration";
  // What others have said is acknowledged as well.
  if (std::string why = difference(status, device_id); !why.empty()) return why;
  return status["uplink"]["readings"] > before.readings ? "" : obstacle(status);
}

}  // namespace

Result<> await_first_state(const Paths& paths, const std::string& device_id, const Before& before,
                           std::chrono::nanoseconds limit) {
  const auto start = Steady::now();
  std::string said;
  for (;; std::this_thread::sleep_for(kLookEvery)) {
    const std::string now = look(paths, device_id, before);
    const auto passed = Steady::now() - start;
    if (now.empty()) {
      std::cout << "the broker has acknowledged the first state, after " << about(passed) << "\n";
      return {};
    }
    if (now != said) std::cout << "  " << now << "\n" << std::flush;
    said = now;
    if (passed > limit) {
      return Error{Errc::Timeout, "no state was acknowledged within " + format_duration(limit) +
                                      ". Last: " + said};
    }
  }
}

}  // namespace fieldpost::cli
