// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace fieldpost {

enum class Files { AsItMay, ToRead };

// From now on system calls that a plugin with these needs (model/sandbox.hpp) has no business with
// fail with EPERM, for this process and what it starts:
//   always          what looks into other processes, changes the system or opens a wide door into
//                   the kernel: ptrace, bpf, io_uring, namespaces, …
//   without network socket(), and a socketpair() of any but streams, as one for datagrams reaches
//                   others, too; with it, all families but the internet's and local ones
//   without exec    running a program, a second process, and signals to any other, those included
//                   that the kernel sends on behalf of a descriptor (F_SETOWN); changes to a file
//                   that take no opening of it: truncate, chmod, chown, utimes, attributes
//   Files::ToRead   opening a file for anything but reading; making, renaming, removing one
// System calls of another architecture (i386 on amd64) end the process. Not an allow list: what a
// device library calls is not known here, and the unit has one.
// Call it while there is one thread, after PR_SET_NO_NEW_PRIVS. False: this kernel has no seccomp
// filters.
bool filter_calls(uint32_t needs, Files files = Files::AsItMay);

}  // namespace fieldpost
