// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace fieldpost {

// What the process of any plugin must not have, also where its sandbox is off: memory, descriptors
// and files without end, a core, privileges of programs that have some, and others that look into
// it. The limits count for what it starts, too. They are set here and not left to the memory
// controller, which stock Raspberry Pi OS does not have.
void limit_process();

}  // namespace fieldpost
