// SPDX-License-Identifier: Apache-2.0
#include "supervisor/probe.hpp"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <utility>

#include "base/text.hpp"
#include "model/names.hpp"
#include "supervisor/throwaway_host.hpp"
#include "supervisor/vet.hpp"

namespace fieldpost {
namespace {

constexpr size_t kMaxAnswers = 1'000;  // messages of one host

Error too_slow(nanoseconds patience) {
  return {Errc::Timeout, "the plugin did not answer within " + about(patience)};
}

// Everything up to the end of file. Errors: Timeout, Invalid, Io.
Result<std::vector<message::Any>> receive_all(ThrowawayHost& host, BootTime deadline,
                                              nanoseconds patience) {
  std::vector<message::Any> all;
  while (all.size() < kMaxAnswers) {
    auto message = host.next(deadline);
    if (!message && message.error().code == Errc::Timeout) return too_slow(patience);
    if (!message) return message.error();
    if (!*message) return all;
    all.push_back(**std::move(message));
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
  const BootTime deadline = BootClock::now() + patience_;
  auto host = FP_TRY(ThrowawayHost::start(plugin_host_, verb, plugin_dir_ + "/" + type + ".so"));
  if (config != nullptr) FP_CHECK_OK(host.send(message::Configure{*config}, deadline));
  auto answers = FP_TRY(receive_all(host, deadline, patience_));
  const bool refused = refusal_in(answers).has_value();
  const auto end = host.wait(deadline);
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
