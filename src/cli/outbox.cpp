// SPDX-License-Identifier: Apache-2.0
//
// `outbox`: what waits for the broker. Of a running agent through its control socket, which writes
// into a pipe of ours; else, or of a copy, by reading the file.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <functional>
#include <iostream>
#include <optional>

#include "base/text.hpp"
#include "cli/cli.hpp"
#include "cli/client.hpp"
#include "cli/outbox_text.hpp"
#include "store/exports.hpp"
#include "store/outbox_file.hpp"
#include "store/restore.hpp"

namespace fieldpost::cli {
namespace {

constexpr size_t kWriteAtOnce = size_t{1} << 16;

std::string option(const Call& call, const char* name) {
  return call.given.count(name) > 0 ? call.given[name].as<std::string>() : std::string();
}

std::string database_of(const Call& call) {
  const std::string file = option(call, "file");
  return file.empty() ? option(call, "state-dir") + "/outbox.db" : file;
}

// With what stage 1 has, unless a copy was named.
Result<OutboxFile> open_file(const Call& call) {
  const std::string path = database_of(call);
  auto file = OutboxFile::open(path);
  if (!file && file.error().code == Errc::Unavailable) {
    return Error{Errc::Unavailable, file.error().message +
                                        ": stop the agent (systemctl stop fieldpost), or give a "
                                        "copy of it with --file"};
  }
  if (!file) return std::move(file).error();
  if (option(call, "file").empty()) FP_CHECK_OK(file->add_stage(call.paths.stage_dir()));
  return file;
}

// The running agent; nothing if the file is to be read instead.
Result<std::optional<ControlClient>> agent_of(const Call& call) {
  if (!option(call, "file").empty()) return std::optional<ControlClient>();
  auto client = ControlClient::connect(call.paths, false);
  if (client) {
    // One that waits for a configuration has not opened it.
    const auto answer = client->ask(Json{{"do", "status"}});
    if (answer || answer.error().code != Errc::NotFound) return std::optional(*std::move(client));
  } else if (client.error().code != Errc::NotFound) {
    return std::move(client).error();
  }
  return std::optional<ControlClient>();
}

// Where an export goes to.
class Output {
 public:
  // stdout if `path` is empty.
  static Result<Output> open(const std::string& path) {
    if (path.empty()) return Output(UniqueFd(::dup(STDOUT_FILENO)), "stdout");
    UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640));
    if (!fd) return Error::from_errno(errno, "open '" + path + "'");
    return Output(std::move(fd), path);
  }
  Result<> write(std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t n = ::write(fd_.get(), bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return Error::from_errno(errno, "write '" + path_ + "'");
      bytes.remove_prefix(static_cast<size_t>(n));
    }
    return {};
  }

 private:
  Output(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
  UniqueFd fd_;
  std::string path_;
};

struct Pipe {
  UniqueFd read, write;
  static Result<Pipe> make() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return Error::from_errno(errno, "make a pipe");
    return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
  }
};

// Lets the agent write, and hands on what it writes. Returns the outcome it tells of.
Result<Json> export_of(ControlClient& client, const Json& request,
                       const std::function<Result<>(std::string_view)>& take) {
  Pipe pipe = FP_TRY(Pipe::make());
  const Json begun = FP_TRY(client.ask(request, std::chrono::seconds(10), pipe.write.get()));
  pipe.write = UniqueFd();
  std::array<char, kWriteAtOnce> block{};
  for (;;) {
    const ssize_t n = ::read(pipe.read.get(), block.data(), block.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Error::from_errno(errno, "read what the agent exports");
    if (n == 0) break;
    FP_CHECK_OK(take({block.data(), static_cast<size_t>(n)}));
  }
  Json outcome = FP_TRY(client.ask(Json{{"do", "export-outcome"}, {"export", begun["export"]}})
                            .context("incomplete"));
  const std::string trouble = outcome.value("trouble", std::string());
  if (!trouble.empty()) return Error{Errc::Io, "incomplete: " + trouble};
  if (outcome["damaged_rows"] != 0) {
    return Error{Errc::Corrupt,
                 "incomplete: " + outcome["damaged_rows"].dump() + " damaged rows are missing"};
  }
  return outcome;
}

// ---- status

Result<Json> status_of(ControlClient& client) {
  const Json all = FP_TRY(client.ask(Json{{"do", "status"}}))["status"];
  std::string text;
  const auto counted =
      export_of(client, Json{{"do", "export"}, {"format", "counts"}},
                [&text](std::string_view part) { return text += part, Result<>(); });
  Json o = all["outbox"];
  o["running"] = true;
  o["uplink"] = all["uplink"]["state"];
  o["uplink_reason"] = all["uplink"]["reason"];
  o["devices"] = Json::array();
  if (const auto counts = parse_json(text); counts && counts->contains("devices")) {
    o["devices"] = (*counts)["devices"];
  }
  if (!counted && o.value("trouble", std::string()).empty()) {
    o["trouble"] = "by device: " + counted.error().message;
  }
  return o;
}

Result<Json> status_of(const OutboxFile& file) {
  auto counts = FP_TRY(file.count_rows());
  auto staged = FP_TRY(file.count_staged());
  for (const auto& [device, readings] : staged) counts.try_emplace(device);
  int64_t rows = 0;
  int64_t stored = 0;
  int64_t in_stage = 0;
  Json devices = Json::array();
  for (const auto& [device, count] : counts) {
    rows += count.rows;
    stored += count.readings;
    in_stage += staged[device];
    devices.push_back(to_json(device, "", count, staged[device]));
  }
  return Json{{"running", false},
              {"waiting", stored + in_stage},
              {"staged", in_stage},
              {"stored", stored},
              {"rows", rows},
              {"file_bytes", file.file_bytes()},
              {"devices", std::move(devices)}};
}

// Of all devices, from those of each. RFC 3339 of one length sorts as the times do.
void add_oldest_and_newest(Json& o) {
  std::string oldest, newest;
  for (const Json& d : o["devices"]) {
    if (!d.contains("oldest")) continue;
    const std::string of_device = d["oldest"];
    if (oldest.empty() || of_device < oldest) oldest = of_device;
    newest = std::max<std::string>(newest, d["newest_row"]);
  }
  if (oldest.empty()) return;
  o["oldest"] = oldest;  // now: what is added to an object moves what is in it
  o["newest_row"] = newest;
}

Result<> status(const Call& call) {
  const Json o = FP_TRY(outbox_status(call));
  if (call.json()) {
    std::cout << o.dump(2) << "\n";
  } else {
    print_outbox_status(o);
  }
  return {};
}

// ---- export

Result<int64_t> export_file(const Call& call, ExportFormat format) {
  OutboxFile file = FP_TRY(open_file(call));
  const Output output = FP_TRY(Output::open(option(call, "output")));
  const std::string device = option(call, "device");
  const ExportText text(format, {});
  std::string out = text.head();
  int64_t readings = 0;
  FP_CHECK_OK(file.each([&](const WaitingReadings& waiting) -> Result<> {
    if (!device.empty() && device != *waiting.device) return {};
    readings += static_cast<int64_t>(waiting.readings());
    text.add(waiting, out);
    if (out.size() < kWriteAtOnce) return {};
    return output.write(std::exchange(out, {}));
  }));
  FP_CHECK_OK(output.write(out));
  if (const auto damage = file.damage(); !damage.empty()) {
    return Error{Errc::Corrupt,
                 "incomplete: '" + database_of(call) + "' is damaged: " + damage.front()};
  }
  return readings;
}

Result<> export_readings(const Call& call) {
  const std::string format = call.given.count("format") > 0 ? option(call, "format") : "csv";
  if (format != "csv" && format != "jsonl") {
    return Error{Errc::Invalid,
                 "--format: expected csv or jsonl, got '" + printable(format, 60) + "'"};
  }
  auto agent = FP_TRY(agent_of(call));
  int64_t readings = 0;
  if (agent) {
    const Output output = FP_TRY(Output::open(option(call, "output")));
    Json request{{"do", "export"}, {"format", format}};
    if (call.given.count("device") > 0) request["device"] = option(call, "device");
    const Json outcome = FP_TRY(export_of(
        *agent, request, [&output](std::string_view part) { return output.write(part); }));
    readings = outcome["readings"];
  } else {
    const auto as = format == "csv" ? ExportFormat::Csv : ExportFormat::Jsonl;
    readings = FP_TRY(export_file(call, as));
  }
  std::cerr << readings << " readings\n";
  return {};
}

// ---- verify, salvage

Result<> verify(const Call& call) {
  OutboxFile file = FP_TRY(open_file(call));
  FP_CHECK_OK(file.each([](const WaitingReadings&) { return Result<>(); }));
  std::cout << "'" << database_of(call) << "': " << file.rows() << " rows with " << file.readings()
            << " readings are sound";
  if (file.staged() > 0) std::cout << ", and " << file.staged() << " readings in memory";
  std::cout << "\n";
  const auto damage = file.damage();
  for (const std::string& found : damage) std::cout << "damaged: " << found << "\n";
  if (damage.empty()) return {};
  return Error{Errc::Corrupt, "the file is damaged; `fieldpost outbox salvage` reads what is left"};
}

Result<> salvage(const Call& call) {
  const std::string& path = call.words[1];
  const std::string output = option(call, "output");
  if (const auto is_outbox = OutboxFile::open(path); !is_outbox) return is_outbox.error();
  const SalvageReport report =
      output.empty() ? FP_TRY(Salvage::read(path)).report() : FP_TRY(salvage_to(path, output));
  std::cout << report.text() << "\n";
  if (!output.empty()) std::cout << "the new outbox is '" << output << "'\n";
  return {};
}

constexpr struct {
  std::string_view name;
  size_t words;
  Result<> (*run)(const Call&);
  std::string_view options;  // that it takes, each between blanks
} kTasks[] = {
    {"status", 1, status, " json file state-dir "},
    {"export", 1, export_readings, " format device output file state-dir "},
    {"verify", 1, verify, " file state-dir "},
    {"salvage", 2, salvage, " output "},
};

}  // namespace

Result<Json> outbox_status(const Call& call) {
  auto agent = FP_TRY(agent_of(call));
  Json o;
  if (agent) {
    o = FP_TRY(status_of(*agent));
  } else {
    const OutboxFile file = FP_TRY(open_file(call));
    o = FP_TRY(status_of(file));
    const auto damage = file.damage();
    if (!damage.empty()) o["trouble"] = "damaged: " + damage.front() + " (fieldpost outbox verify)";
  }
  add_oldest_and_newest(o);
  return o;
}

int outbox(const Call& call) {
  for (const auto& task : kTasks) {
    if (task.name != call.words[0]) continue;
    if (task.words != call.words.size()) break;
    for (const char* name : {"json", "format", "device", "output", "file"}) {
      if (call.given.count(name) == 0) continue;
      if (task.options.find(" " + std::string(name) + " ") != std::string_view::npos) continue;
      (void)fail("outbox " + std::string(task.name) + " takes no --" + name);
      return kUsage;
    }
    const auto done = task.run(call);
    return done ? 0 : fail(done.error().message);
  }
  (void)fail("usage: fieldpost outbox status, export, verify, or salvage FILE");
  return kUsage;
}

}  // namespace fieldpost::cli
