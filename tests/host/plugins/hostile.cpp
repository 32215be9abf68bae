// SPDX-License-Identifier: Apache-2.0
//
// A plugin that tries what none should, and reports what it got away with: in `run` as a reading,
// while it is asked about its configuration as a problem of it. HOSTILE_NEEDS is what it declares.
#include <asm/sockios.h>
#include <fcntl.h>
#include <fieldpost/plugin.hpp>
#include <signal.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <utime.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <thread>

namespace {

using namespace fieldpost::sdk;

bool opens(int family) {
  const int fd = ::socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd >= 0) ::close(fd);
  return fd >= 0;
}

// A pair can write to others than itself, such as the system's log, if it is not one of streams.
// To AF_UNIX, SOCK_RAW is another word for datagrams.
bool has_datagrams() {
  for (const int type : {SOCK_DGRAM, SOCK_RAW}) {
    int ends[2] = {-1, -1};
    if (::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) != 0) continue;
    ::close(ends[0]);
    ::close(ends[1]);
    return true;
  }
  return false;
}

// What is refused is refused with EPERM; what the kernel has looked at ends otherwise.
bool reaches_kernel(long result) { return result >= 0 || errno != EPERM; }

bool reads(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  char byte = 0;
  const bool read = fd >= 0 && ::read(fd, &byte, 1) == 1;
  if (fd >= 0) ::close(fd);
  return read;
}

bool writes(const std::string& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd >= 0) ::close(fd);
  return fd >= 0;
}

// Changes that take no opening; each leaves the file as good as it was.
std::string changes_unopened(const char* path) {
  constexpr int kFchmodat2 = 452, kSetxattrat = 463, kRemovexattrat = 466, kFileSetattr = 469;
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  std::string done;
  if (::truncate(path, 1) == 0) done += " truncate";
  if (::chmod(path, 0600) == 0 || ::fchmodat(AT_FDCWD, path, 0600, 0) == 0 ||
      ::fchmod(fd, 0600) == 0 || ::syscall(kFchmodat2, AT_FDCWD, path, 0600, 0) == 0) {
    done += " chmod";
  }
  const uid_t same = ~uid_t{0};
  if (::chown(path, same, same) == 0 || ::lchown(path, same, same) == 0 ||
      ::fchownat(AT_FDCWD, path, same, same, 0) == 0 || ::fchown(fd, same, same) == 0) {
    done += " chown";
  }
  if (::utimensat(AT_FDCWD, path, nullptr, 0) == 0 || ::utimes(path, nullptr) == 0 ||
      ::futimesat(AT_FDCWD, path, nullptr) == 0 || ::utime(path, nullptr) == 0) {
    done += " utimes";
  }
  const char* const name = "user.hostile";
  if (reaches_kernel(::setxattr(path, name, "x", 1, 0)) ||
      reaches_kernel(::lsetxattr(path, name, "x", 1, 0)) ||
      reaches_kernel(::fsetxattr(fd, name, "x", 1, 0)) ||
      reaches_kernel(::removexattr(path, name)) || reaches_kernel(::lremovexattr(path, name)) ||
      reaches_kernel(::fremovexattr(fd, name)) || reaches_kernel(::syscall(kSetxattrat, -1)) ||
      reaches_kernel(::syscall(kRemovexattrat, -1)) ||
      reaches_kernel(::syscall(kFileSetattr, -1))) {
    done += " attributes";
  }
  if (fd >= 0) ::close(fd);
  return done;
}

// To have the kernel signal it when there is something to read: all but F_SETFL and a write.
std::string aims_at(pid_t pid) {
  int ends[2] = {-1, -1};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return "";
  const int number = pid;
  const f_owner_ex owner{F_OWNER_PID, pid};
  std::string done;
  if (::fcntl(ends[0], F_SETOWN, pid) == 0) done += " owner";
  if (::fcntl(ends[0], F_SETOWN_EX, &owner) == 0) done += " owner_ex";
  if (::fcntl(ends[0], F_SETSIG, SIGKILL) == 0) done += " kill";
  if (::ioctl(ends[0], FIOSETOWN, &number) == 0) done += " owner_ioctl";
  if (::ioctl(ends[0], SIOCSPGRP, &number) == 0) done += " owner_group";
  ::close(ends[0]);
  ::close(ends[1]);
  return done;
}

// Opened to be read, which empties it all the same.
bool empties(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_TRUNC | O_CLOEXEC);
  if (fd >= 0) ::close(fd);
  return fd >= 0;
}

bool looks_into(pid_t pid) {
  const int fd = ::open(("/proc/" + std::to_string(pid) + "/mem").c_str(), O_RDONLY | O_CLOEXEC);
  if (fd >= 0) ::close(fd);
  return fd >= 0;
}

bool copies_from(pid_t pid) {
  char byte = 0;
  const iovec here{&byte, 1};
  const iovec there = here;  // if it has nothing there: EFAULT
  return ::process_vm_readv(pid, &here, 1, &there, 1, 0) == 1 || errno == EFAULT;
}

bool traces(pid_t pid) { return ::ptrace(PTRACE_SEIZE, pid, nullptr, nullptr) == 0; }

bool ends_well(pid_t child) {
  int status = -1;
  return child > 0 && ::waitpid(child, &status, 0) == child && status == 0;
}

bool forks() {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  return ends_well(child);
}

bool runs_a_program() {
  pid_t child = -1;
  char name[] = "true";
  char* argv[] = {name, nullptr};
  return ::posix_spawn(&child, "/bin/true", nullptr, nullptr, argv, nullptr) == 0 &&
         ends_well(child);
}

bool has_threads() {
  bool ran = false;
  std::thread([&] { ran = true; }).join();
  return ran;
}

// Of a family that no plugin may use, before anything was asked of this one.
const bool is_early = opens(AF_NETLINK);

// What could be done, as a list. `folder` is one with the file "secret" in it.
std::string try_all(const Section& options) {
  const auto given = static_cast<pid_t>(options.integer("pid"));
  const pid_t pid = given != 0 ? given : ::getppid();
  const std::string folder = options.text("folder");
  std::string done;
  const auto note = [&](bool succeeded, const char* what) {
    if (succeeded) done += (done.empty() ? "" : " ") + std::string(what);
  };
  note(has_threads(), "thread");
  note(::getenv("FIELDPOST_ACCESS_SECRET") != nullptr, "secret");
  note(::getenv("CREDENTIALS_DIRECTORY") != nullptr, "credentials");
  note(is_early, "early");
  note(opens(AF_UNIX), "unix");
  note(has_datagrams(), "datagrams");
  note(opens(AF_INET), "inet");
  note(opens(AF_NETLINK), "netlink");
  note(runs_a_program(), "exec");
  note(forks(), "fork");
  note(::kill(pid, 0) == 0, "signal");
  done += aims_at(pid);
  note(looks_into(pid), "memory");
  note(copies_from(pid), "copy");
  note(traces(pid), "trace");
  note(reaches_kernel(::syscall(SYS_bpf, -1, nullptr, 0)), "bpf");
  note(reaches_kernel(::syscall(SYS_keyctl, -1)), "keyctl");
  note(reaches_kernel(::syscall(SYS_io_uring_setup, 0, nullptr)), "io_uring");
  note(reaches_kernel(::syscall(SYS_unshare, CLONE_NEWUSER | CLONE_FS)), "unshare");
  note(reads(folder + "/secret"), "read");
  note(reads("/proc/self/root" + folder + "/secret"), "detour");
  note(writes(folder + "/secret"), "write");
  note(writes(folder + "/planted"), "plant");
  note(empties(folder + "/planted") || empties(folder + "/spare"), "empty");
  done += changes_unopened((folder + "/secret").c_str());
  note(::rename((folder + "/secret").c_str(), (folder + "/moved").c_str()) == 0, "rename");
  return done;
}

[[maybe_unused]] void call_as_i386() {
#ifdef __x86_64__
  long result = 20;  // getpid
  asm volatile("int $0x80" : "+a"(result) : : "memory");
#endif
}

constexpr fp_option kOptions[] = {
    Option{.name = "pid",
           .type = FP_OPT_INTEGER,
           .required = true,
           .help = "Whom to look into; 0: the agent."},
    Option{.name = "folder", .required = true, .help = "Where the file 'secret' is."},
    Option{.name = "mode", .fallback = "run", .help = "run, ask, i386 or leak."}};
constexpr fp_attribute kAttributes[] = {
    Attribute{.name = "done", .type = FP_STRING, .help = "What it got away with."}};

struct Hostile {
  struct Plan {
    explicit Plan(Declare& declare) {
      const Section options = declare.options();
      done = declare.attribute(0, options, kAttributes[0]);
      if (options.text("mode") == "ask") declare.problem(options, "mode", try_all(options));
    }
    uint32_t done = 0;
  };
  Hostile(Host&, const Plan& p) : plan(p) {}

  void poll(Host& host) {
    const std::string mode = host.options().text("mode");
    if (mode == "i386") call_as_i386();
    if (mode == "leak") {
      for (;;) kept.emplace_back(1 << 20, 'x');
    }
    if (report.empty()) report = try_all(host.options());
    host.emit(plan.done, report);
  }

  Plan plan;
  std::string report;
  std::vector<std::string> kept;
};

}  // namespace

FP_PLUGIN(Hostile, {.type = HOSTILE_TYPE,
                    .version = "1.0.0",
                    .summary = "Tries what it may not.",
                    .needs = HOSTILE_NEEDS,
                    .options = kOptions,
                    .attributes = kAttributes})
