// SPDX-License-Identifier: Apache-2.0
#include "supervisor/probe.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <utility>

#include "base/seqpacket.hpp"
#include "base/spawn.hpp"
#include "base/text.hpp"
#include "base/unique_fd.hpp"
#include "model/names.hpp"
#include "supervisor/exit_reason.hpp"
#include "supervisor/start_host.hpp"
#include "supervisor/vet.hpp"

namespace fieldpost {
namespace {

constexpr size_t kMaxAnswers = 1'000;  // messages of one host

// True if `fd` is ready before `deadline`.
bool ready(int fd, short events, BootTime deadline) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - BootClock::now());
    if (left.count() <= 0) return false;
    pollfd watched{fd, events, 0};
    const int n = ::poll(&watched, 1, static_cast<int>(left.count()));
    if (n > 0) return true;
    if (n < 0 && errno != EINTR) return false;
  }
}

// A child that is not left behind.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid), ended_(open_pidfd(pid).value_or(UniqueFd())) {}
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (pid_ <= 0) return;
    ::kill(-pid_, SIGKILL);
    (void)reap();
  }
  // Waits for its end, and tells how it came; nothing if it did not come in time.
  std::optional<std::string> wait(BootTime deadline) {
    if (!ready(ended_.get(), POLLIN, deadline)) return std::nullopt;
    return reap();
  }

 private:
  std::string reap() {
    siginfo_t info{};
    while (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT) != 0 &&
           errno == EINTR) {
    }
    ::kill(-pid_, SIGKILL);  // what the plugin started; the group is its own until it is reaped
    (void)::waitid(P_PID, static_cast<id_t>(pid_), nullptr, WEXITED);
    pid_ = -1;
    return exit_reason(info);
  }
  pid_t pid_;
  UniqueFd ended_;
};

Error too_slow(nanoseconds patience) {
  return {Errc::Timeout, "the plugin did not answer within " + about(patience)};
}

Result<> send_all(int fd, const message::Any& message, BootTime deadline) {
  uint64_t sequence = 0;
  std::vector<std::vector<std::byte>> frames;
  FP_CHECK_OK(message::encode(message, sequence, frames));
  for (const auto& frame : frames) {
    for (;;) {
      const auto sent = send_datagram(fd, frame, false);
      if (sent || sent.error().code == Errc::Unavailable) break;  // gone: its exit tells why
      if (sent.error().code != Errc::Full) return sent.error();
      if (!ready(fd, POLLOUT, deadline)) return Error{Errc::Timeout, "it does not read"};
    }
  }
  return {};
}

// Everything up to the end of file. Errors: Timeout, Invalid, Io.
Result<std::vector<message::Any>> receive_all(int fd, BootTime deadline, nanoseconds patience) {
  std::vector<message::Any> all;
  message::Decoder decoder;
  std::vector<std::byte> buffer(kMaxDatagram);
  while (all.size() < kMaxAnswers) {
    if (!ready(fd, POLLIN, deadline)) return too_slow(patience);
    const auto frame = FP_TRY(receive_datagram(fd, buffer, false));
    if (frame.empty()) return all;
    auto message = FP_TRY(decoder.feed(frame));
    if (message) all.push_back(*std::move(message));
  }
  return Error{Errc::Invalid, "the plugin does not stop answering"};
}

// The refusal among the answers, if there is one.
std::optional<Error> refusal_in(const std::vector<message::Any>& answers) {
  for (const message::Any& answer : answers) {
    if (const auto* refused = std::get_if<message::Refused>(&answer)) {
      return Error{Errc::Invalid, printable(refused->reason)};
    }
  }
  return std::nullopt;
}

}  // namespace

Probe::Probe(std::string plugin_host, std::string plugin_dir, nanoseconds patience)
    : plugin_host_(std::move(plugin_host)),
      plugin_dir_(std::move(plugin_dir)),
      patience_(patience) {}

std::vector<std::string> Probe::types() {
  std::vector<std::string> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(plugin_dir_, error)) {
    const std::filesystem::path& path = entry.path();
    if (path.extension() == ".so" && is_local_name(path.stem().string())) {
      found.push_back(path.stem().string());
    }
  }
  std::ranges::sort(found);
  return found;
}

Result<FileStamp> Probe::stamp_of(const std::string& type) const {
  const FileStamp stamp =
      is_local_name(type) ? file_stamp(plugin_dir_ + "/" + type + ".so") : FileStamp{};
  if (stamp == FileStamp{}) {
    return Error{Errc::NotFound, "no plugin '" + printable(type, 80) + "' is installed"};
  }
  return stamp;
}

// Runs a host to its end and returns what it said. A host that died instead is an error, unless it
// has said why before.
Result<std::vector<message::Any>> Probe::ask(const std::string& verb, const std::string& type,
                                             const InstanceConfig* config) const {
  auto [ours, theirs] = FP_TRY(make_seqpacket_pair());
  const BootTime deadline = BootClock::now() + patience_;
  auto pid = start_host(plugin_host_, verb, plugin_dir_ + "/" + type + ".so", -1, theirs.get());
  // Not NotFound, which means that the plugin is not installed.
  if (!pid) {
    return Error{Errc::Io, "cannot start the program that runs plugins (--plugin-host): " +
                               pid.error().message};
  }
  Child child(*pid);
  theirs = UniqueFd();
  if (config != nullptr) {
    FP_CHECK_OK(send_all(ours.get(), message::Configure{*config}, deadline));
  }
  auto answers = FP_TRY(receive_all(ours.get(), deadline, patience_));
  const bool refused = refusal_in(answers).has_value();
  const auto end = child.wait(deadline);
  if (!end) return too_slow(patience_);
  if (*end != "exit status 0" && !refused) {
    return Error{Errc::Invalid, "the plugin crashed while it was asked: " + *end};
  }
  return answers;
}

Result<PluginInfo> Probe::describe(const std::string& type) {
  const FileStamp stamp = FP_TRY(stamp_of(type));
  const auto known = remembered_.find(type);
  if (known != remembered_.end() && known->second.stamp == stamp) return known->second.info;
  auto info = describe_now(type);
  // Being slow may pass; being broken does not until the file changes.
  if (info || info.error().code == Errc::Invalid) {
    remembered_.insert_or_assign(type, Remembered{stamp, info});
  }
  return info;
}

Result<PluginInfo> Probe::describe_now(const std::string& type) const {
  auto answers = FP_TRY(ask("describe", type, nullptr));
  if (auto refusal = refusal_in(answers)) return *std::move(refusal);
  for (message::Any& answer : answers) {
    if (auto* described = std::get_if<message::Described>(&answer)) return described->info;
  }
  return Error{Errc::Invalid, "the plugin said nothing about itself"};
}

Result<PluginProbe::Verdict> Probe::declare(const std::string& type, const InstanceConfig& config) {
  (void)FP_TRY(stamp_of(type));
  auto answers = FP_TRY(ask("check", type, &config));
  if (auto refusal = refusal_in(answers)) return *std::move(refusal);
  Verdict verdict;
  bool declared = false;
  for (message::Any& answer : answers) {
    if (auto* problem = std::get_if<message::Problem>(&answer)) {
      if (problem->section >= config.sections.size()) problem->section = 0;
      verdict.complaints.push_back(
          {problem->section, printable(problem->option), printable(problem->text)});
    }
    if (auto* said = std::get_if<message::Declared>(&answer)) {
      FP_CHECK_OK(vet(said->declaration, config).context("the plugin declares"));
      verdict.declaration = std::move(said->declaration);
      declared = true;
    }
  }
  if (!declared) return Error{Errc::Invalid, "the plugin declared nothing"};
  return verdict;
}

}  // namespace fieldpost
