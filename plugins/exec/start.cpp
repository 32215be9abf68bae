// SPDX-License-Identifier: Apache-2.0
#include "start.hpp"

#include <fcntl.h>
#include <fieldpost/plugin.hpp>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>
#include <system_error>

#include "executable.hpp"

namespace exec {
namespace {

using fieldpost::sdk::IoError;

struct Pipe {
  Fd read, write;
};

Pipe make_pipe() {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) {
    throw IoError("no pipe for the program: " + std::generic_category().message(errno));
  }
  return {Fd(fds[0]), Fd(fds[1])};
}

// What the child tells before it ends, if it could not become the program.
struct Failure {
  int error = 0;
  int step = 0;
};
enum Step : int { kDescriptors, kFolder, kExecute };

[[noreturn]] void give_up(int report, int step) {
  const Failure failure{errno, step};
  (void)!write(report, &failure, sizeof failure);
  _exit(127);
}

void reset_signals() {
  // A signal that was ignored would stay so; handlers the kernel resets by itself.
  for (int number = 1; number < NSIG; ++number) (void)signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  (void)pthread_sigmask(SIG_SETMASK, &none, nullptr);
}

// In the child. The process has one thread, so anything may be called here.
[[noreturn]] void become(const ProgramSpec& spec, const int (&std_fds)[3], pid_t parent,
                         int report) {
  reset_signals();
  (void)setsid();
  (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  if (getppid() != parent) _exit(127);  // it was too late for that
  for (int fd = 0; fd < 3; ++fd) {
    if (dup2(std_fds[fd], fd) < 0) give_up(report, kDescriptors);
  }
  // Ours are all O_CLOEXEC; those of a library may not be. Kernels before 5.11 do without.
  (void)syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);
  if (chdir(spec.cwd.c_str()) != 0) give_up(report, kFolder);
  std::vector<char*> argv, env;
  for (const std::string& word : spec.argv) argv.push_back(const_cast<char*>(word.c_str()));
  for (const std::string& entry : spec.env) env.push_back(const_cast<char*>(entry.c_str()));
  argv.push_back(nullptr);
  env.push_back(nullptr);
  execve(spec.path.c_str(), argv.data(), env.data());
  give_up(report, kExecute);
}

std::string words_of(const Failure& failure, const ProgramSpec& spec) {
  const std::string why = std::generic_category().message(failure.error);
  if (failure.step == kFolder) return "cwd " + spec.cwd + ": " + why + unseen_note(spec.cwd + "/");
  if (failure.step == kDescriptors) return "no descriptors for the program: " + why;
  return "cannot run " + spec.path + ": " + why + unseen_note(spec.path);
}

void set_nonblocking(const Fd& fd) { (void)fcntl(fd.get(), F_SETFL, O_NONBLOCK); }

}  // namespace

Started start(const ProgramSpec& spec) {
  Pipe in = spec.has_stdin ? make_pipe() : Pipe{Fd(open("/dev/null", O_RDONLY | O_CLOEXEC)), Fd()};
  Pipe out = make_pipe(), err = make_pipe(), report = make_pipe();
  const int std_fds[3] = {in.read.get(), out.write.get(), err.write.get()};
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) {
    throw IoError("cannot start " + spec.path + ": " + std::generic_category().message(errno));
  }
  if (pid == 0) become(spec, std_fds, parent, report.write.get());

  report.write.reset();
  Failure failure;
  ssize_t n = 0;
  do n = read(report.read.get(), &failure, sizeof failure);
  while (n < 0 && errno == EINTR);
  if (n > 0) {
    while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) continue;
    throw IoError(words_of(failure, spec));
  }
  if (in.write.is_open()) set_nonblocking(in.write);
  set_nonblocking(out.read);
  // One page: what waits for a reader is not old, and an answer is not far behind a flood.
  (void)fcntl(out.read.get(), F_SETPIPE_SZ, 4096);
  set_nonblocking(err.read);
  return {pid, std::move(in.write), std::move(out.read), std::move(err.read)};
}

}  // namespace exec
