// SPDX-License-Identifier: Apache-2.0
//
// What a host may say. The codec has checked the form of a message; this checks its sense against
// the configuration and the declaration, so that nothing behind it meets an index that goes
// nowhere. Native code of a plugin may have written the message itself: the checks in the host are
// for its author, these are for us. Pure.
#pragma once

#include "base/result.hpp"
#include "model/message.hpp"

namespace fieldpost {

// Errors of all: Invalid, with what is wrong.
Result<> vet(const Declaration& declaration, const InstanceConfig& config);
Result<> vet(const message::Samples& samples, const Declaration& declaration, BootTime now);
Result<> vet(const message::Held& held, const Declaration& declaration, BootTime now);
Result<> vet(const message::Keep& keep);

}  // namespace fieldpost
