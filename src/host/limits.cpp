// SPDX-License-Identifier: Apache-2.0
#include "host/limits.hpp"

#include <sys/prctl.h>
#include <sys/resource.h>

namespace fieldpost {
namespace {

constexpr rlim_t kMib = rlim_t{1} << 20;
constexpr rlim_t kDescriptors = 256;
constexpr rlim_t kFile = 64 * kMib;  // that it writes; a larger one ends it (SIGXFSZ)
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
constexpr rlim_t kMemory = 256 * kMib;  // address space; a leak ends in this process
#endif

void limit(decltype(RLIMIT_CORE) resource, rlim_t value) {
  rlimit now{};
  if (::getrlimit(resource, &now) != 0) return;
  const rlim_t bounded =
      now.rlim_max == RLIM_INFINITY || value < now.rlim_max ? value : now.rlim_max;
  const rlimit wanted{bounded, bounded};
  (void)::setrlimit(resource, &wanted);  // lowering cannot fail
}

}  // namespace

void limit_process() {
  limit(RLIMIT_CORE, 0);  // a core would hold what the plugin has read
  limit(RLIMIT_NOFILE, kDescriptors);
  limit(RLIMIT_FSIZE, kFile);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  limit(RLIMIT_AS, kMemory);  // sanitizers reserve terabytes of it
#endif
  // Not RLIMIT_NPROC: it counts what the user runs elsewhere, too. The unit has TasksMax.
  (void)::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  (void)::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

}  // namespace fieldpost
