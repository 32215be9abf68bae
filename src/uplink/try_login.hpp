// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"
#include "model/broker_address.hpp"
#include "uplink/uplink.hpp"

namespace fieldpost {

// Dials this broker and logs in as the uplink would, subscribes to nothing, sends nothing, and says
// goodbye. Waits for it, at most as long as the options' connect_timeout for each step and `limit`
// for all. Not while an agent is connected under the same id: the broker would throw that one out.
// Errors: Unavailable, with the step that failed and why, in the words of the status; those of
// read_credentials().
Result<> try_login(const Uplink::Options& options, const BrokerAddress& broker,
                   std::chrono::milliseconds limit);

}  // namespace fieldpost
