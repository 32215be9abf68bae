// SPDX-License-Identifier: Apache-2.0
#include "cli/outcome.hpp"

#include <chrono>

#include "base/text.hpp"
#include "cli/json_words.hpp"

namespace fieldpost::cli {

std::string outcome_words(const Json& outcome) {
  std::string words = text_of(outcome, "status");
  if (outcome.contains("value")) words += ", value " + value_words(outcome["value"]);
  if (const std::string why = text_of(outcome, "reason"); !why.empty()) words += ": " + why;
  return words;
}

Result<Json> run_by_agent(ControlClient& agent, const std::string& device, const std::string& name,
                          const Json& payload, nanoseconds limit) {
  Json request{{"do", "command"}, {"device", device}, {"name", name}};
  if (!payload.is_null()) request["payload"] = payload;
  auto answer = agent.ask(request, std::chrono::ceil<std::chrono::milliseconds>(limit));
  if (!answer &&
      (answer.error().code == Errc::Timeout || answer.error().code == Errc::Unavailable)) {
    const std::string why = answer.error().code == Errc::Timeout
                                ? "no outcome within " + about(limit)
                                : answer.error().message;
    return Error{answer.error().code, why +
                                          ": whether it takes effect is not known; look at  "
                                          "fieldpost commands history"};
  }
  if (!answer) return answer.error();
  return std::move((*answer)["outcome"]);
}

}  // namespace fieldpost::cli
