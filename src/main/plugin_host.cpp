// SPDX-License-Identifier: Apache-2.0
//
// plugin-host: the process in which one plugin lives. Started by the supervisor, never by hand:
//   plugin-host describe FILE.so   says what the plugin is
//   plugin-host check FILE.so      says what it declares for a configuration; opens no device
//   plugin-host run FILE.so        runs it until SIGTERM or the end of file
// or, where it is a unit of its own (docs/decisions/0014), by systemd: then `run`, with the socket
// that the agent has connected to. Descriptor 3 is a SOCK_SEQPACKET socket to the supervisor
// (model/message.hpp), 2 is for the log, 0 and 1 are /dev/null. Exit status: see HostExit
// (host/runner.hpp).
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <string_view>

#include "host/call_filter.hpp"
#include "host/channel.hpp"
#include "host/file_wall.hpp"
#include "host/heartbeat.hpp"
#include "host/limits.hpp"
#include "host/loader.hpp"
#include "host/runner.hpp"
#include "host/stop_signal.hpp"

namespace fieldpost {
namespace {

constexpr int kSocket = 3;

int usage() {
  (void)std::fputs(
      "usage: plugin-host describe|check|run FILE.so\n"
      "This program is started by fieldpostd, or by systemd for it, with a socket as descriptor 3. "
      "To look at a\nplugin, use 'fieldpost plugins help TYPE'; to try a configuration, 'fieldpost "
      "check'.\n",
      stderr);
  return static_cast<int>(HostExit::Usage);
}

bool is_socket_of_supervisor(int fd) {
  int type = 0;
  socklen_t size = sizeof type;
  return ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET;
}

// True if the supervisor was already gone.
bool follow_parent() {
  const pid_t parent = ::getppid();
  (void)::prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
  return ::getppid() != parent;
}

// Before any of the plugin's code runs: its constructors are that, too.
Confinement confine(const Sandbox& sandbox) {
  if (!sandbox.on) return {};
  const bool files = hide_files(sandbox.hidden);  // opens folders, so it comes first
  return {.calls = filter_calls(sandbox.needs), .files = files};
}

// The same for one that is only asked about itself or a configuration. It keeps no secret that it
// might have read: it can write nowhere and talk to nobody.
void confine_to_answers() {
  (void)forbid_writing();
  (void)filter_calls(0, Files::ToRead);
}

HostExit refuse(Channel& channel, const std::string& why) {
  (void)channel.send(message::Refused{message::Refused::Kind::Lasting, why});
  return HostExit::Refused;
}

HostExit describe(Channel& channel, const std::string& path) {
  confine_to_answers();
  const auto plugin = load_plugin(path);
  if (!plugin) return refuse(channel, plugin.error().message);
  const auto sent = channel.send(message::Described{plugin->info});
  return sent ? HostExit::Done : HostExit::Protocol;
}

HostExit check(Channel& channel, const std::string& path, message::Configure wanted) {
  confine_to_answers();
  const auto plugin = load_plugin(path);
  if (!plugin) return refuse(channel, plugin.error().message);
  return Runner(*plugin, channel, std::move(wanted)).check();
}

HostExit run(Channel& channel, const std::string& path, message::Configure wanted) {
  const Sandbox& sandbox = wanted.config.sandbox;
  (void)channel.send(message::Confined{confine(sandbox)});
  const auto plugin = load_plugin(path);
  if (!plugin) return refuse(channel, plugin.error().message);
  if (sandbox.on && (plugin->info.needs & ~sandbox.needs) != 0) {
    return refuse(channel, "it needs more than when the configuration was read (" +
                               words_of_needs(plugin->info.needs) +
                               "); `fieldpost reload` reads it again");
  }
  return Runner(*plugin, channel, std::move(wanted)).run();
}

HostExit serve(std::string_view verb, const std::string& path) {
  Channel channel(kSocket, Heartbeat::from_environment());  // before the sandbox: opens a socket
  if (verb == "describe") return describe(channel, path);
  auto wanted = receive_config(channel);
  if (!wanted) return wanted.error();
  return verb == "check" ? check(channel, path, *std::move(wanted))
                         : run(channel, path, *std::move(wanted));
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
  limit_process();
  (void)::fcntl(kSocket, F_SETFD, FD_CLOEXEC);  // not for programs that the plugin starts
  const HostExit end = serve(verb, argv[2]);
  // Not exit(): destructors and exit handlers of a plugin may crash or hang, and nothing of ours
  // is left to be written.
  ::_exit(static_cast<int>(end));
}
