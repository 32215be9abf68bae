// SPDX-License-Identifier: Apache-2.0
//
// What the file system that holds the outbox has to do with a trouble, in words.
#pragma once

#include <string>

namespace fieldpost {

// A warning if what is in the folder does not outlive a reboot, or may not: it is on a tmpfs, an
// overlay or a file system that is read-only. Empty: nothing to say, or the folder cannot be looked
// at.
std::string why_not_lasting(const std::string& folder);

// Why this process may not write the file or its folder, if that can be told, and what to do.
// Empty: it cannot.
std::string why_not_writable(const std::string& file);

}  // namespace fieldpost
