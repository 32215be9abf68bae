// SPDX-License-Identifier: Apache-2.0
#include "store/exports.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "base/text.hpp"
#include "store/wall.hpp"

namespace fieldpost {
namespace {

// Of one slice: a few milliseconds of work.
constexpr size_t kSlicePoints = 2000;
constexpr size_t kSliceRows = 1000;  // of which only the beginning is read

// A pipe and nothing else: writing to a file would wait for a disk, and to a terminal for a person.
Result<> make_ready(int fd) {
  struct stat info {};
  const int flags = ::fcntl(fd, F_GETFL);
  if (fd < 0 || flags < 0 || ::fstat(fd, &info) != 0 || !S_ISFIFO(info.st_mode) ||
      (flags & O_ACCMODE) == O_RDONLY) {
    return Error{Errc::Invalid, "expected the write end of a pipe with the request"};
  }
  if (::fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) return Error::from_errno(errno, "set a pipe");
  return {};
}

}  // namespace

Json to_json(const std::string& id, const std::string& name, const Outbox::DeviceCount& count,
             int64_t staged) {
  Json json{{"id", id}};
  if (!name.empty()) json["name"] = name;
  json["readings"] = count.readings + staged;
  json["staged"] = staged;
  json["rows"] = count.rows;
  if (count.oldest_utc_ms != 0) json["oldest"] = format_utc(count.oldest_utc_ms);
  if (count.newest_utc_ms != 0) json["newest_row"] = format_utc(count.newest_utc_ms);
  return json;
}

// ---- Any thread.

Result<int64_t> Exports::admit(ExportRequest request) {
  FP_CHECK_OK(make_ready(request.pipe.get()));
  const std::scoped_lock lock(mutex_);
  if (running_ >= kMost) {
    return Error{
        Errc::Unavailable,
        std::to_string(kMost) + " exports are running already; try again when one has ended"};
  }
  Job& job = admitted_.emplace_back();
  job.number = ++last_number_;
  job.request = std::move(request);
  ++running_;
  outcomes_.emplace_back(job.number, ExportOutcome());
  if (outcomes_.size() > kRemembered) outcomes_.pop_front();
  return job.number;
}

Result<ExportOutcome> Exports::outcome(int64_t number) const {
  const std::scoped_lock lock(mutex_);
  const auto found =
      std::ranges::find(outcomes_, number, &std::pair<int64_t, ExportOutcome>::first);
  if (found == outcomes_.end()) return Error{Errc::NotFound, "there was no such export"};
  return found->second;
}

// ---- The store thread.

void Exports::take_admitted() {
  const std::scoped_lock lock(mutex_);
  for (Job& job : admitted_) {
    if (job.request.format) {
      job.text.emplace(*job.request.format, std::move(job.request.names));
      job.out = job.text->head();
    }
    jobs_.push_back(std::move(job));
  }
  admitted_.clear();
}

bool Exports::has_work() const {
  {
    const std::scoped_lock lock(mutex_);
    if (!admitted_.empty()) return true;
  }
  return std::ranges::any_of(jobs_, [](const Job& job) { return !job.blocked; });
}

void Exports::add_waited(std::vector<pollfd>& fds) const {
  for (const Job& job : jobs_) {
    if (job.blocked) fds.push_back({.fd = job.request.pipe.get(), .events = POLLOUT, .revents = 0});
  }
}

void Exports::work(Outbox* outbox, const std::string& trouble, const StageLog& stage,
                   const Handover& handover) {
  take_admitted();
  for (auto job = jobs_.begin(); job != jobs_.end();) {
    bool going_on = true;
    if (job->out.empty() && !job->complete) {
      if (outbox == nullptr && job->outcome.trouble.empty()) {
        job->outcome.trouble = "the outbox on the disk is not open" +
                               (trouble.empty() ? "" : ": " + trouble) +
                               "; what is on the disk is missing";
      }
      if (const auto made = produce(*job, outbox, stage, handover); !made) {
        job->outcome.trouble = made.error().message;
        job->complete = true;
      }
    }
    if (!write(*job) || (job->complete && job->out.empty())) going_on = false;
    if (going_on) {
      ++job;
    } else {
      end(*job);
      job = jobs_.erase(job);
    }
  }
}

// Rows first, and again whenever a flush has made new ones: what has gone from stage 1 to the disk
// comes from there, and the place in the outbox says from where on.
Result<> Exports::produce(Job& job, Outbox* outbox, const StageLog& stage,
                          const Handover& handover) {
  if (!job.to) job.to = stage.newest();
  if (outbox != nullptr) {
    if (!job.last && stage.flushed_up_to() >= *job.to) job.last = outbox->newest_place();
    if (!FP_TRY(read_rows(job, *outbox, handover))) return {};
    if (job.last) return complete(job), Result<>();
  }
  FP_CHECK_OK(read_stage(job, stage));
  return {};
}

// True: there are no more rows that are wanted.
Result<bool> Exports::read_rows(Job& job, Outbox& outbox, const Handover& handover) {
  const auto over = [&job] { return job.last && job.place >= *job.last; };
  if (over()) return true;
  if (!job.text) {
    const bool more = FP_TRY(outbox.count(job.place, kSliceRows, job.counts));
    return !more || over();
  }
  Outbox::Look look = FP_TRY(outbox.look(job.place, kSlicePoints, handover, job.seen));
  job.place = look.place;
  job.outcome.damaged_rows += look.damaged_rows;
  for (const WaitingReadings& readings : look.readings) add(job, readings);
  return look.end || over();
}

Result<> Exports::read_stage(Job& job, const StageLog& stage) {
  const WallView wall(stage.epochs());
  const std::vector<Staged> staged = FP_TRY(stage.look(job.sample, kSlicePoints));
  for (const Staged& s : staged) {
    add(job, waiting_of(s, wall));
    job.sample = s.number;
  }
  if (staged.empty() || staged.back().number >= *job.to) complete(job);
  return {};
}

void Exports::add(Job& job, const WaitingReadings& readings) {
  if (!job.text) {
    job.staged[*readings.device] += static_cast<int64_t>(readings.readings());
    return;
  }
  if (!job.request.device.empty() && job.request.device != *readings.device) return;
  job.outcome.readings += static_cast<int64_t>(readings.readings());
  job.text->add(readings, job.out);
}

void Exports::complete(Job& job) {
  job.complete = true;
  if (job.text) return;
  for (const auto& [device, readings] : job.staged) job.counts.try_emplace(device);
  Json devices = Json::array();
  for (const auto& [device, count] : job.counts) {
    const auto name = job.request.names.find(device);
    const bool named = name != job.request.names.end();
    devices.push_back(to_json(device, named ? name->second : "", count, job.staged[device]));
  }
  job.out += dump_json(Json{{"devices", std::move(devices)}}) + "\n";
}

// What a flush brings to the disk of what was read already is not wanted a second time.
void Exports::flushed(std::span<const Outbox::Made> made) {
  for (Job& job : jobs_) {
    for (const Outbox::Made& row : made) {
      for (const Handover::Member& m : row.members) {
        if (m.number <= job.sample) job.seen.leave_out(row.row, m.ms);
      }
    }
  }
}

bool Exports::write(Job& job) {
  job.blocked = false;
  while (job.written < job.out.size()) {
    const ssize_t n =
        ::write(job.request.pipe.get(), job.out.data() + job.written, job.out.size() - job.written);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return job.blocked = true;
    if (n < 0) {
      job.outcome.trouble = "the reader: " + std::generic_category().message(errno);
      return false;
    }
    job.written += static_cast<size_t>(n);
  }
  job.out.clear();
  job.written = 0;
  return true;
}

// The outcome first: whoever reads to the end of the pipe asks for it then.
void Exports::end(Job& job) {
  job.outcome.ended = true;
  {
    const std::scoped_lock lock(mutex_);
    --running_;
    for (auto& [number, outcome] : outcomes_) {
      if (number == job.number) outcome = job.outcome;
    }
  }
  job.request.pipe = UniqueFd();
}

void Exports::end_all(const std::string& why) {
  take_admitted();
  for (Job& job : jobs_) {
    job.outcome.trouble = why;
    end(job);
  }
  jobs_.clear();
}

}  // namespace fieldpost
