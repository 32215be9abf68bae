// SPDX-License-Identifier: Apache-2.0
//
// Files that a plugin is kept from, and processes that it may not signal, where the kernel has
// Landlock: Debian's has it, Raspberry Pi's has not. For this process and what it starts, from now
// on. Call these while there is one thread, after PR_SET_NO_NEW_PRIVS.
#pragma once

#include <string>
#include <vector>

namespace fieldpost {

// These files and folders can neither be read nor changed. Landlock knows only what is allowed: so
// all that lies beside them, and beside the folders above them, is allowed one by one, and what
// appears there later can be listed but not opened. Since Linux 6.12 signals reach only itself and
// what it starts. False: there is no Landlock, or nothing to
// hide.
bool hide_files(const std::vector<std::string>& hidden);

// Nothing can be written, made, renamed or removed. False: there is no Landlock.
bool forbid_writing();

}  // namespace fieldpost
