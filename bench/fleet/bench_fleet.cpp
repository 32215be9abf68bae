// SPDX-License-Identifier: Apache-2.0
//
// One run of the fleet's simulation; prints its outcome as one JSON object. run.py makes tables.
//
//   bench_fleet [NAME=VALUE…]
//
//   policy=agent            the agent's own Redial, with its defaults
//          judging:MIN      the same, with this cap (minutes) instead of five
//          spread:S         the agent's, but for its first pause: anything from one second to S
//          eager            the agent's, but each connection ends the series, however short it was
//          backoff:MIN      exponential with full jitter and this cap, whatever the broker says
//          doubling:MIN     the same without jitter
//          fixed:S          every S seconds
//   gateways=N applications=N limit=N window=S down=S deaths=N up=S
//   give_up=HOURS (24)
//   excess=refuse|ban|count refusal=connack|close
#include <algorithm>
#include <charconv>
#include <cinttypes>
#include <cstdio>
#include <exception>
#include <map>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "config/tables.hpp"
#include "fleet/fleet.hpp"
#include "model/option.hpp"

namespace fieldpost::bench {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr milliseconds kFirst = seconds(1);  // as src/uplink/setup.cpp has it

// What the agent has where the configuration does not say.
milliseconds default_cap() {
  Config config;
  const CoreSection& uplink = *find_section("uplink");
  for (const CoreOption& option : uplink.options) {
    if (option.spec.name != "backoff_max") continue;
    option.store(uplink.object(config), parse_option(option.spec, *option.spec.fallback).value());
  }
  return std::chrono::duration_cast<milliseconds>(config.uplink.backoff_max);
}

Policy judging(milliseconds cap) {
  return [=](uint64_t seed) -> Dialler {
    return [redial = Redial(kFirst, cap, seed)](const Drop& drop) mutable {
      return redial.on_drop(drop).pause;
    };
  };
}

Policy spread(milliseconds longest_first) {
  return [=](uint64_t seed) -> Dialler {
    return [redial = Redial(kFirst, default_cap(), seed), random = std::minstd_rand(seed),
            longest_first, first = true](const Drop& drop) mutable {
      const milliseconds pause = redial.on_drop(drop).pause;
      if (!std::exchange(first, false)) return pause;
      return milliseconds(
          std::uniform_int_distribution(kFirst.count(), longest_first.count())(random));
    };
  };
}

Policy eager() {
  return [](uint64_t seed) -> Dialler {
    return [redial = Redial(kFirst, default_cap(), seed)](const Drop& drop) mutable {
      if (drop.accepted) redial.reset();
      return redial.on_drop(drop).pause;
    };
  };
}

Policy backoff(milliseconds cap) {
  return [=](uint64_t seed) -> Dialler {
    return [pauses = Backoff(kFirst, cap, seed)](const Drop&) mutable { return pauses.next(); };
  };
}

Policy doubling(milliseconds cap) {
  return [=](uint64_t) -> Dialler {
    return [next = kFirst, cap](const Drop&) mutable {
      return std::exchange(next, std::min(cap, next * 2));
    };
  };
}

Policy fixed(milliseconds pause) {
  return [=](uint64_t) -> Dialler { return [=](const Drop&) { return pause; }; };
}

[[noreturn]] void complain(std::string_view argument) {
  throw std::invalid_argument("what is '" + std::string(argument) +
                              "'? The top of bench_fleet.cpp says what there is");
}

int number(std::string_view text, int least = 0) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < least) complain(text);
  return value;
}

Policy policy_of(std::string_view text) {
  if (text == "agent") return judging(default_cap());
  if (text == "eager") return eager();
  const size_t colon = std::min(text.find(':'), text.size());
  const std::string_view name = text.substr(0, colon);
  const int value = number(text.substr(std::min(colon + 1, text.size())));
  if (value > 60) complain(text);  // the simulation knows no longer pause than an hour
  if (name == "judging") return judging(minutes(value));
  if (name == "spread") return spread(seconds(value));
  if (name == "backoff") return backoff(minutes(value));
  if (name == "doubling") return doubling(minutes(value));
  if (name == "fixed") return fixed(seconds(value));
  complain(text);
}

Excess excess_of(std::string_view text) {
  if (text == "refuse") return Excess::Refuse;
  if (text == "ban") return Excess::Ban;
  if (text == "count") return Excess::Count;
  complain(text);
}

Drop::By refusal_of(std::string_view text) {
  if (text == "connack") return Drop::By::Refusal;
  if (text == "close") return Drop::By::Broker;
  complain(text);
}

struct Run {
  Scenario scenario;
  Policy policy = policy_of("agent");
};

using Setter = void (*)(Run&, std::string_view);
const std::map<std::string_view, Setter> kSetters{
    {"policy", [](Run& r, std::string_view v) { r.policy = policy_of(v); }},
    {"gateways", [](Run& r, std::string_view v) { r.scenario.gateways = number(v, 1); }},
    {"applications", [](Run& r, std::string_view v) { r.scenario.applications = number(v, 1); }},
    {"limit", [](Run& r, std::string_view v) { r.scenario.limit = number(v, 1); }},
    {"window", [](Run& r, std::string_view v) { r.scenario.window = seconds(number(v, 1)); }},
    {"down", [](Run& r, std::string_view v) { r.scenario.down = seconds(number(v)); }},
    {"deaths", [](Run& r, std::string_view v) { r.scenario.deaths = number(v, 1); }},
    {"up", [](Run& r, std::string_view v) { r.scenario.up = seconds(number(v)); }},
    {"give_up", [](Run& r, std::string_view v) { r.scenario.give_up = hours(number(v)); }},
    {"excess", [](Run& r, std::string_view v) { r.scenario.excess = excess_of(v); }},
    {"refusal", [](Run& r, std::string_view v) { r.scenario.refusal = refusal_of(v); }},
};

void print(const Outcome& o) {
  const auto s = [](milliseconds ms) {
    return ms.count() < 0 ? -1. : static_cast<double>(ms.count()) / 1000;
  };
  std::printf("{\"attempts\": %" PRId64 ", \"peak\": %" PRId64 ", \"peak_later\": %" PRId64
              ", \"refused\": %" PRId64 ", \"in_vain\": %" PRId64
              ", \"not_back\": %d, \"half_s\": %.1f, \"most_s\": %.1f, \"all_s\": %.1f}\n",
              o.attempts, o.peak, o.peak_later, o.refused, o.in_vain, o.not_back, s(o.half),
              s(o.most), s(o.all));
}

Run run_of(std::span<char*> arguments) {
  Run run;
  for (const std::string_view argument : arguments) {
    const size_t equals = std::min(argument.find('='), argument.size());
    const auto setter = kSetters.find(argument.substr(0, equals));
    if (setter == kSetters.end() || equals == argument.size()) complain(argument);
    setter->second(run, argument.substr(equals + 1));
  }
  return run;
}

}  // namespace
}  // namespace fieldpost::bench

int main(int argc, char** argv) {
  using namespace fieldpost::bench;
  try {
    const Run run = run_of(std::span(argv, static_cast<size_t>(argc)).subspan(1));
    print(simulate(run.scenario, run.policy));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_fleet: %s\n", error.what());
    return 2;
  }
}
