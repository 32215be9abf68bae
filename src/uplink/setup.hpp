// SPDX-License-Identifier: Apache-2.0
//
// What the uplink's options mean for its parts: how the line connects and which topics it uses, how
// much may be sent, how long to wait after a failure.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "uplink/credentials.hpp"
#include "uplink/lanes.hpp"
#include "uplink/line.hpp"
#include "uplink/redial.hpp"
#include "uplink/uplink.hpp"

namespace fieldpost {

Lanes::Options lane_options(const Uplink::Options& options);
// The first pause after a failure, and the longest.
std::pair<Redial::Duration, Redial::Duration> pauses(const Uplink::Options& options);
Line::Options line_options(const Uplink::Options& options, const BrokerAddress& broker,
                           Credentials credentials);
// What was sent may wait so long for the other machine. libmosquitto tests a silent line after a
// keepalive and up to a second: with this, one that went dead is noticed after one and a half.
std::chrono::milliseconds lost_after(std::chrono::nanoseconds keepalive);
// Messages, of all kinds, that may be unacknowledged.
int max_in_flight(const Uplink::Options& options);
// Whether what differs can only be had with a new connection.
bool needs_reconnect(const Uplink::Options& before, const Uplink::Options& after);

std::string state_topic(std::string_view device_id);
// The device whose state topic that is; nothing if it is none. Points into `topic`.
std::optional<std::string_view> stating_device(std::string_view topic);
// The command topics of all devices, and those of [[subscribe]], each once.
std::vector<Subscription> subscriptions(const Uplink::Options& options);
// The device that a command on this topic is for; nothing if it is no topic of commands. Points
// into `topic`.
std::optional<std::string_view> commanded_device(std::string_view topic);

}  // namespace fieldpost
