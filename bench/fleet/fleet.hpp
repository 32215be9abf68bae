// SPDX-License-Identifier: Apache-2.0
//
// Many gateways that lost their broker at the same moment, and how they come back: a simulation in
// steps of 10 ms. What decides when a gateway dials again is handed in, so that the agent's own
// code is what is simulated. The network takes no time: an attempt is answered at once.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>

#include "uplink/redial.hpp"

namespace fieldpost::bench {

using std::chrono::milliseconds;

// Of one gateway: how long it waits after this drop.
using Dialler = std::function<milliseconds(const Drop&)>;
// Makes one for each gateway. No pause may be longer than an hour.
using Policy = std::function<Dialler(uint64_t seed)>;

// What the broker does with a connection that is one too many.
enum class Excess : uint8_t {
  Refuse,  // turns it away, no more
  Ban,     // and does not let this gateway in for 30 s, twice as long with each breach, up to 1 h
  Count,   // turns it away, and counts it: only who comes when few come is let in
};

struct Scenario {
  int applications = 1;
  int gateways = 100'000;  // in all; each application has as many
  int limit = 300;         // new connections of one application in any `window`
  milliseconds window{15'000};
  Excess excess = Excess::Ban;
  Drop::By refusal = Drop::By::Refusal;  // CONNACK 5, or By::Broker: closed without a word
  milliseconds down{10'000};             // from the moment it drops all until it listens again
  // It dies so often, and each time but the last is up for so long only.
  int deaths = 1;
  milliseconds up{};
  milliseconds give_up{std::chrono::hours(24)};
};

struct Outcome {
  // Attempts while the broker listens: each is a TCP and, most often, a TLS handshake.
  int64_t attempts = 0;
  int64_t peak = 0;        // of them, in one second
  int64_t peak_later = 0;  // of them, in one second, 2 min after the broker is back or later
  int64_t refused = 0;
  int64_t in_vain = 0;  // attempts while it did not listen
  int not_back = 0;     // gateways that were out when the simulation gave up
  // From the moment the broker listens for good until so many are back, or -1.
  milliseconds half{-1}, most{-1}, all{-1};  // 50 %, 99 %, 100 %
};

Outcome simulate(const Scenario& scenario, const Policy& policy);

}  // namespace fieldpost::bench
