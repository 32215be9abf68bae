// SPDX-License-Identifier: Apache-2.0
//
// plugin-host: the process in which one plugin lives. Started by the supervisor, never by hand:
//   plugin-host describe FILE.so   says what the plugin is
//   plugin-host check FILE.so      says what it declares for a configuration; opens no device
//   plugin-host run FILE.so        runs it until SIGTERM or the end of file
// Descriptor 3 is a SOCK_SEQPACKET socket to the supervisor (model/message.hpp), 2 is for the log,
// 0 and 1 are /dev/null. Exit status: see HostExit (host/runner.hpp).
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <string_view>

#include "host/channel.hpp"
#include "host/loader.hpp"
#include "host/runner.hpp"
#include "host/stop_signal.hpp"

namespace fieldpost {
namespace {

constexpr int kSocket = 3;
constexpr rlim_t kMemory = rlim_t{256} << 20;  // address space; a leak ends in this process
constexpr rlim_t kDescriptors = 256;

int usage() {
  (void)std::fputs(
      "usage: plugin-host describe|check|run FILE.so\n"
      "This program is started by fieldpostd, with a socket as descriptor 3. To look at a plugin,\n"
      "use 'fieldpost plugins help TYPE'; to try a configuration, 'fieldpost check'.\n",
      stderr);
  return static_cast<int>(HostExit::Usage);
}

bool is_socket_of_supervisor(int fd) {
  int type = 0;
  socklen_t size = sizeof type;
  return ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET;
}

void limit(decltype(RLIMIT_CORE) resource, rlim_t value) {
  rlimit now{};
  if (::getrlimit(resource, &now) != 0) return;
  const rlim_t bounded =
      now.rlim_max == RLIM_INFINITY || value < now.rlim_max ? value : now.rlim_max;
  const rlimit wanted{bounded, bounded};
  (void)::setrlimit(resource, &wanted);  // lowering cannot fail
}

// What the plugin's code must not have, before any of it runs.
void confine() {
  limit(RLIMIT_CORE, 0);  // a core would hold what the plugin has read
  limit(RLIMIT_NOFILE, kDescriptors);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  limit(RLIMIT_AS, kMemory);  // sanitizers reserve terabytes of it
#endif
  (void)::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  (void)::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  (void)::fcntl(kSocket, F_SETFD, FD_CLOEXEC);  // not for programs that the plugin starts
}

// True if the supervisor was already gone.
bool follow_parent() {
  const pid_t parent = ::getppid();
  (void)::prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
  return ::getppid() != parent;
}

HostExit serve(std::string_view verb, const std::string& path) {
  Channel channel(kSocket);
  const auto plugin = load_plugin(path);
  if (!plugin) {
    (void)channel.send(message::Refused{message::Refused::Kind::Lasting, plugin.error().message});
    return HostExit::Refused;
  }
  if (verb == "describe") {
    const auto sent = channel.send(message::Described{plugin->info});
    return sent ? HostExit::Done : HostExit::Protocol;
  }
  Runner runner(*plugin, channel);
  return verb == "check" ? runner.check() : runner.run();
}

}  // namespace
}  // namespace fieldpost

int main(int argc, char** argv) {
  using namespace fieldpost;
  const std::string_view verb = argc == 3 ? argv[1] : "";
  if (verb != "describe" && verb != "check" && verb != "run") return usage();
  if (!is_socket_of_supervisor(kSocket)) return usage();
  if (const auto installed = StopSignal::install(); !installed) {
    (void)std::fprintf(stderr, "<3>%s\n", installed.error().message.c_str());
    return static_cast<int>(HostExit::Usage);
  }
  if (follow_parent()) return static_cast<int>(HostExit::Done);
  confine();
  const HostExit end = serve(verb, argv[2]);
  // Not exit(): destructors and exit handlers of a plugin may crash or hang, and nothing of ours
  // is left to be written.
  ::_exit(static_cast<int>(end));
}
