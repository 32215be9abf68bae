// SPDX-License-Identifier: Apache-2.0
//
// A seccomp filter in the kernel's own form: a list of comparisons. libseccomp would cost each host
// memory, and what it adds, other architectures in one filter, is what is to be refused.
#include "host/call_filter.hpp"

#include <asm/sockios.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bit>
#include <initializer_list>
#include <vector>

#include "model/sandbox.hpp"

namespace fieldpost {
namespace {

#if defined(__x86_64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
constexpr uint32_t kForeignCall = 0x40000000;  // of the x32 ABI, which has the same architecture
#elif defined(__aarch64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#elif defined(__arm__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_ARM;
#elif defined(__riscv) && __riscv_xlen == 64
constexpr uint32_t kArchitecture = AUDIT_ARCH_RISCV64;
#else
#error "its AUDIT_ARCH_ is needed here, and whether it has one call for all of sockets (i386 has)"
#endif

// Arguments are 64 bits wide; all that are compared here are 32, the lower half.
static_assert(std::endian::native == std::endian::little);

constexpr uint32_t kRefused = SECCOMP_RET_ERRNO | EPERM;
constexpr uint32_t kNamespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                                 CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;

constexpr uint32_t kAnyFlag = ~uint32_t{0};  // a process has its exit signal, a thread its flags

constexpr int kRefusedToAll[] = {
    // Other processes.
    SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_pidfd_getfd, SYS_kcmp,
    SYS_process_madvise, SYS_process_mrelease,
    // What opens much of the kernel.
    SYS_bpf, SYS_perf_event_open, SYS_userfaultfd, SYS_io_uring_setup, SYS_io_uring_enter,
    SYS_io_uring_register, SYS_keyctl, SYS_add_key, SYS_request_key,
    // The system.
    SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_kexec_load,
#ifdef SYS_kexec_file_load
    SYS_kexec_file_load,
#endif
    SYS_reboot, SYS_swapon, SYS_swapoff, SYS_acct,
    // Views of the file system, and names for files that go round them.
    SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, SYS_move_mount, SYS_open_tree, SYS_fsopen,
    SYS_fsconfig, SYS_fsmount, SYS_fspick, SYS_mount_setattr, SYS_setns, SYS_unshare,
    SYS_open_by_handle_at};

constexpr int kRefusedWithoutExec[] = {
    SYS_execve, SYS_execveat,
#ifdef SYS_fork  // not on arm64
    SYS_fork,   SYS_vfork,
#endif
    SYS_tkill,  SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo, SYS_pidfd_send_signal};

// What Landlock leaves open of a file that it hides: its mode, owner, times, attributes, and before
// Linux 6.2 its length. ftruncate() is not among them: it takes a file that was opened for writing.
// Numbers that the headers here may not know are the same on every architecture.
constexpr int kFchmodat2 = 452, kSetxattrat = 463, kRemovexattrat = 466, kFileSetattr = 469;
constexpr int kChangesUnopened[] = {
    // Length, mode, owner, times.
    SYS_truncate, SYS_fchmod, SYS_fchmodat, kFchmodat2, SYS_fchown, SYS_fchownat, SYS_utimensat,
#ifdef SYS_chmod  // not on arm64
    SYS_chmod, SYS_chown, SYS_lchown, SYS_utimes, SYS_futimesat,
#endif
#ifdef SYS_utime
    SYS_utime,
#endif
#ifdef SYS_truncate64  // on 32 bits
    SYS_truncate64, SYS_chown32, SYS_fchown32, SYS_lchown32, SYS_utimensat_time64,
#endif
    // Attributes.
    SYS_setxattr, SYS_lsetxattr, SYS_fsetxattr, kSetxattrat, SYS_removexattr, SYS_lremovexattr,
    SYS_fremovexattr, kRemovexattrat, kFileSetattr};

constexpr int kChangesFolders[] = {
#ifdef SYS_rename  // not on arm64
    SYS_rename,    SYS_unlink,   SYS_rmdir,   SYS_mkdir,  SYS_link,      SYS_symlink,
    SYS_mknod,     SYS_creat,
#endif
#ifdef SYS_renameat
    SYS_renameat,
#endif
    SYS_renameat2, SYS_unlinkat, SYS_mkdirat, SYS_linkat, SYS_symlinkat, SYS_mknodat};

constexpr uint32_t argument(size_t n) {
  return static_cast<uint32_t>(offsetof(seccomp_data, args) + n * sizeof(uint64_t));
}

class Program {
 public:
  Program() {
    load(offsetof(seccomp_data, arch));
    // A jump skips its first number of instructions if the comparison holds, else its second.
    jump(BPF_JEQ, kArchitecture, 1, 0);
    end(SECCOMP_RET_KILL_PROCESS);
    load(offsetof(seccomp_data, nr));
#ifdef __x86_64__
    jump(BPF_JGE, kForeignCall, 0, 1);
    end(SECCOMP_RET_KILL_PROCESS);
#endif
  }

  void refuse(int call, uint32_t how = kRefused) {
    jump(BPF_JEQ, static_cast<uint32_t>(call), 0, 1);
    end(how);
  }
  // A rule that looks at an argument decides for its call: a second one would not be reached.
  // Refused unless argument `n` is one of `values`.
  void restrict(int call, size_t n, std::initializer_list<uint32_t> values) {
    compare(call, n, values, SECCOMP_RET_ALLOW, kRefused);
  }
  // Refused if argument `n` is one of `values`.
  void refuse_if(int call, size_t n, std::initializer_list<uint32_t> values) {
    compare(call, n, values, kRefused, SECCOMP_RET_ALLOW);
  }
  // Refused where argument `n` has one of `bits`.
  void refuse_bits(int call, size_t n, uint32_t bits) {
    jump(BPF_JEQ, static_cast<uint32_t>(call), 0, 4);
    load(argument(n));
    jump(BPF_JSET, bits, 0, 1);
    end(kRefused);
    end(SECCOMP_RET_ALLOW);
  }
  // Refused where argument `n` has one of `bits`, or not one of `needed`.
  void restrict_bits(int call, size_t n, uint32_t bits, uint32_t needed) {
    jump(BPF_JEQ, static_cast<uint32_t>(call), 0, 6);
    load(argument(n));
    jump(BPF_JSET, bits, 0, 1);
    end(kRefused);
    jump(BPF_JSET, needed, 1, 0);
    end(kRefused);
    end(SECCOMP_RET_ALLOW);
  }

  bool install() {
    end(SECCOMP_RET_ALLOW);
    const sock_fprog whole{static_cast<unsigned short>(code_.size()), code_.data()};
    return ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &whole, 0, 0) == 0;
  }

 private:
  void compare(int call, size_t n, std::initializer_list<uint32_t> values, uint32_t if_one,
               uint32_t if_none) {
    jump(BPF_JEQ, static_cast<uint32_t>(call), 0, static_cast<uint8_t>(2 + 2 * values.size()));
    load(argument(n));
    for (const uint32_t value : values) {
      jump(BPF_JEQ, value, 0, 1);
      end(if_one);
    }
    end(if_none);
  }
  void load(size_t offset) {
    code_.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset)));
  }
  void jump(uint16_t comparison, uint32_t value, uint8_t if_true, uint8_t if_false) {
    const auto code = static_cast<uint16_t>(BPF_JMP | comparison | BPF_K);
    code_.push_back({code, if_true, if_false, value});
  }
  void end(uint32_t how) { code_.push_back(BPF_STMT(BPF_RET | BPF_K, how)); }

  std::vector<sock_filter> code_;
};

void keep_to_itself(Program& program) {
  const auto self = static_cast<uint32_t>(::getpid());
  for (const int call : kRefusedWithoutExec) program.refuse(call);
  for (const int call : kChangesUnopened) program.refuse(call);
  program.restrict(SYS_kill, 0, {self});
  program.restrict(SYS_tgkill, 0, {self});  // abort() and raise()
  program.restrict(SYS_prlimit64, 0, {0, self});
  // Whom the kernel signals for a descriptor, and by what: SIGKILL is one of them.
  program.refuse_if(SYS_fcntl, 1, {F_SETOWN, F_SETSIG, F_SETOWN_EX});
#ifdef SYS_fcntl64
  program.refuse_if(SYS_fcntl64, 1, {F_SETOWN, F_SETSIG, F_SETOWN_EX});
#endif
  program.refuse_if(SYS_ioctl, 1, {FIOSETOWN, SIOCSPGRP});
}

void keep_from_sockets(Program& program) {
  program.refuse(SYS_socket);
  program.refuse(SYS_bind);  // makes a file
  // A pair of streams stays one; a socket for datagrams can write to whom it likes. SOCK_RAW, which
  // is the same to AF_UNIX, has its bit; SOCK_STREAM and SOCK_SEQPACKET have not.
  program.refuse_bits(SYS_socketpair, 1, SOCK_DGRAM);
}

void keep_to_reading(Program& program) {
  constexpr uint32_t kForWriting = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC;
  for (const int call : kChangesFolders) program.refuse(call);
#ifdef SYS_open
  program.refuse_bits(SYS_open, 1, kForWriting);
#endif
  program.refuse_bits(SYS_openat, 2, kForWriting);
  program.refuse(SYS_openat2, SECCOMP_RET_ERRNO | ENOSYS);  // its flags are out of sight
}

}  // namespace

bool filter_calls(uint32_t needs, Files files) {
  const bool exec = (needs & kNeedsExec) != 0;
  Program program;
  for (const int call : kRefusedToAll) program.refuse(call);
  // Its flags are where no filter sees them; the C library falls back on clone.
  program.refuse(SYS_clone3, SECCOMP_RET_ERRNO | ENOSYS);
  program.restrict_bits(SYS_clone, 0, kNamespaces, exec ? kAnyFlag : uint32_t{CLONE_THREAD});
  if (!exec) keep_to_itself(program);
  if (files == Files::ToRead) keep_to_reading(program);
  if ((needs & kNeedsNetwork) != 0) {
    program.restrict(SYS_socket, 0, {AF_UNIX, AF_INET, AF_INET6});
  } else {
    keep_from_sockets(program);
  }
  return program.install();
}

}  // namespace fieldpost
