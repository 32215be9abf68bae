// SPDX-License-Identifier: Apache-2.0
#include <ctime>
#include <iostream>

#include "base/text.hpp"
#include "cli/assignments.hpp"
#include "cli/cli.hpp"
#include "cli/client.hpp"

namespace fieldpost::cli {
namespace {

// Milliseconds as they are, or an RFC 3339 time in UTC with optional fractions.
Result<int64_t> parse_time(const std::string& text) {
  if (const auto number = parse_number(text)) return static_cast<int64_t>(*number);
  std::tm tm{};
  const char* const rest = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &tm);
  double fraction = 0;
  if (rest != nullptr) {
    std::string tail(rest);
    if (tail.ends_with('Z')) {
      tail.pop_back();
      const auto parsed = tail.empty() ? Result<double>(0.0) : parse_number("0" + tail);
      if (parsed && *parsed < 1) {
        fraction = *parsed;
        return static_cast<int64_t>(::timegm(&tm)) * 1000 + static_cast<int64_t>(fraction * 1000);
      }
    }
  }
  return Error{Errc::Invalid,
               "--time: expected milliseconds since 1970 or 2026-01-31T12:00:00Z, got '" +
                   printable(text, 60) + "'"};
}

Result<Json> from_words(const Call& call) {
  Json data = Json::object();
  for (size_t i = 1; i < call.words.size(); ++i) {
    auto [attribute, value] = FP_TRY(parse_assignment(call.words[i], "ATTR=VALUE"));
    data[attribute] = std::move(value);
  }
  Json request{{"do", "send"}, {"device", call.words[0]}, {"data", std::move(data)}};
  if (call.given.count("time") > 0) {
    request["time"] = FP_TRY(parse_time(call.given["time"].as<std::string>()));
  }
  return request;
}

int send_lines(ControlClient& client) {
  int failed = 0;
  size_t number = 0;
  for (std::string line; std::getline(std::cin, line);) {
    ++number;
    if (line.empty()) continue;
    auto request = parse_json(line);
    if (request && request->is_object()) {
      (*request)["do"] = "send";
      const auto answer = client.ask(*request);
      if (answer) continue;
      request = answer.error();
    } else {
      request = Error{Errc::Invalid, "expected a JSON object"};
    }
    if (request.error().code == Errc::Unavailable) return fail(request.error().message);
    failed = fail("line " + std::to_string(number) + ": " + request.error().message);
  }
  return failed;
}

}  // namespace

int send(const Call& call) {
  auto request = call.words.empty() ? Result<Json>(Json()) : from_words(call);
  if (!request) return fail(request.error().message), kUsage;
  if (call.words.size() == 1) return fail("expected DEVICE ATTR=VALUE…"), kUsage;
  auto client = ControlClient::connect(call.paths, true);
  if (!client) return fail(client.error().message);
  if (call.words.empty()) return send_lines(*client);
  const auto answer = client->ask(*request);
  return answer ? 0 : fail(answer.error().message);
}

}  // namespace fieldpost::cli
