// SPDX-License-Identifier: Apache-2.0
#include "store/outbox_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

#include "base/unique_fd.hpp"
#include "store/chunk.hpp"
#include "store/item_id.hpp"
#include "store/migrations.hpp"
#include "store/page_file.hpp"
#include "store/wall.hpp"

namespace fieldpost {
namespace {

// The rows that these ids name.
void add_rows(const RowSet& ids, int64_t offset, RowSet& ret_rows) {
  for (const auto& [first, last] : ids) {
    for (int64_t id = first; id <= last; ++id) ret_rows.insert(id + offset);
  }
}

constexpr size_t kStagePoints = 10'000;  // at a time

// SQLite's locks are on these bytes of the file (sqlite3 os.h, PENDING_BYTE and what follows it);
// one that writes alone, as the agent does, holds them all.
Result<> check_not_open(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!fd) {
    if (errno == ENOENT) return {};  // the WAL may be there
    return Error::from_errno(errno, "open '" + path + "'");
  }
  struct flock lock {};
  lock.l_type = F_RDLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = 0x40000000;
  lock.l_len = 512;
  if (::fcntl(fd.get(), F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK) {
    return Error{Errc::Unavailable,
                 "'" + path + "' is open in another process (" + std::to_string(lock.l_pid) + ")"};
  }
  return {};
}

int64_t size_of(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 ? int64_t{info.st_size} : 0;
}

std::string counted(int64_t number, const char* one, const char* many) {
  return std::to_string(number) + " " + (number == 1 ? one : many);
}

}  // namespace

Result<OutboxFile> OutboxFile::open(const std::string& path) {
  FP_CHECK_OK(check_not_open(path));
  OutboxFile file(path, FP_TRY(Salvage::read(path)));
  const Salvage& salvage = file.salvage_;
  if (salvage.report().rows == 0 && salvage.meta().empty() && salvage.boots().empty()) {
    return Error{Errc::Invalid, "'" + path + "' is no outbox, or nothing of it can be read"};
  }
  const auto needed = salvage.meta().find("min_reader");
  const auto* reader =
      needed == salvage.meta().end() ? nullptr : std::get_if<int64_t>(&needed->second);
  if (reader != nullptr && *reader > newest_schema() && *reader <= salvage.schema()) {
    return Error{Errc::Invalid, "'" + path + "' was written by a newer version"};
  }
  if (const auto sound = sqlite::check_header(path); !sound) {
    file.header_trouble_ = sound.error().message;
  }
  return file;
}

OutboxFile::OutboxFile(std::string path, Salvage salvage)
    : path_(std::move(path)), salvage_(std::move(salvage)) {
  for (const auto& [id, name] : salvage_.devices()) devices_[id] = symbols_->intern(name);
  for (const auto& [id, name] : salvage_.attributes()) attributes_[id] = symbols_->intern(name);
  for (const auto& [key, epoch] : salvage_.epochs()) walls_[key.first].append(epoch);
  file_bytes_ = size_of(path_) + size_of(path_ + "-wal");
}

Result<> OutboxFile::add_stage(const std::string& folder) {
  std::vector<std::string> names = StageLog::earlier_boots(folder);
  names.emplace_back(StageLog::kThisBoot);
  for (const std::string& name : names) {
    auto log = StageLog::open_to_read(folder, name, *symbols_);
    if (!log && log.error().code == Errc::NotFound) continue;
    if (!log) return std::move(log).error();
    int64_t from = (*log)->flushed_up_to();
    const auto& boots = salvage_.boots();
    const auto boot = std::ranges::find(boots, (*log)->boot(), &Salvage::Names::value_type::second);
    if (boot != boots.end()) {  // what the disk has not heard of yet
      WallView& wall = walls_[boot->first];
      for (const Epoch& epoch : (*log)->epochs()) {
        if (wall.empty() || wall.last().since_ms < epoch.since_ms) wall.append(epoch);
      }
    }
    const auto& state = salvage_.state();
    if (state && static_cast<uint64_t>(state->stage) == (*log)->id()) {
      from = std::max(from, state->flushed);
      add_rows((*log)->notes().rows, state->stage_offset, acknowledged_);
    }
    logs_.emplace_back(*std::move(log), from);
  }
  return {};
}

const WallView* OutboxFile::wall_of(int64_t boot) const {
  const auto wall = walls_.find(boot);
  return wall == walls_.end() || wall->second.empty() ? nullptr : &wall->second;
}

Result<> OutboxFile::each(const std::function<Result<>(const WaitingReadings&)>& take) {
  rows_ = readings_ = staged_ = bad_rows_ = newer_rows_ = 0;
  FP_CHECK_OK(salvage_.each_row([&](const Salvage::Row& row) { return take_row(row, take); }));
  return each_staged([&](const WaitingReadings& readings) {
    staged_ += static_cast<int64_t>(readings.readings());
    return take(readings);
  });
}

Result<> OutboxFile::take_row(const Salvage::Row& row,
                              const std::function<Result<>(const WaitingReadings&)>& take) {
  if (is_acknowledged(row.id)) return {};
  const auto device = devices_.find(row.key.device);
  auto states = decode_chunk(row.body, row.key, [&](uint32_t id) -> Symbol {
    const auto name = attributes_.find(id);
    return name == attributes_.end() ? nullptr : name->second;
  });
  if (!states || device == devices_.end()) {
    ++(!states && states.error().code == Errc::Invalid ? newer_rows_ : bad_rows_);
    return {};
  }
  WaitingReadings readings{.device = device->second, .states = *std::move(states)};
  if (row.key.boot != 0) {
    const WallView* wall = wall_of(row.key.boot);
    readings.timed = wall != nullptr;
    if (wall != nullptr) to_wall_time(readings.states, *wall);
  }
  ++rows_;
  readings_ += static_cast<int64_t>(readings.readings());
  return take(readings);
}

Result<> OutboxFile::each_staged(
    const std::function<Result<>(const WaitingReadings&)>& take) const {
  for (const auto& [log, from] : logs_) {
    const WallView wall(log->epochs());
    for (int64_t after = from;;) {
      const auto staged = FP_TRY(log->look(after, kStagePoints));
      if (staged.empty()) break;
      after = staged.back().number;
      for (const Staged& s : staged) FP_CHECK_OK(take(waiting_of(s, wall)));
    }
  }
  return {};
}

Result<Outbox::DeviceCounts> OutboxFile::count_rows() const {
  Outbox::DeviceCounts counts;
  FP_CHECK_OK(salvage_.each_row([&](const Salvage::Row& row) -> Result<> {
    const auto device = devices_.find(row.key.device);
    if (device == devices_.end() || is_acknowledged(row.id)) return {};
    const WallView* wall = wall_of(row.key.boot);
    int64_t utc_ms = wall == nullptr ? 0 : wall->to_utc_ms(row.key.t0);
    if (row.key.boot == 0) utc_ms = row.key.t0;
    counts[*device->second].add(row.key.points, utc_ms);
    return {};
  }));
  return counts;
}

Result<std::map<std::string, int64_t>> OutboxFile::count_staged() const {
  std::map<std::string, int64_t> counts;
  FP_CHECK_OK(each_staged([&](const WaitingReadings& readings) -> Result<> {
    counts[*readings.device] += static_cast<int64_t>(readings.readings());
    return {};
  }));
  return counts;
}

std::vector<std::string> OutboxFile::damage() const {
  const SalvageReport& report = salvage_.report();
  std::vector<std::string> found;
  if (!header_trouble_.empty()) found.push_back(header_trouble_);
  if (report.unreadable_pages > 0) {
    found.push_back(counted(report.unreadable_pages, "page", "pages") +
                    " cannot be read, and it is not known what was there");
  }
  if (report.lost_rows > 0)
    found.push_back(counted(report.lost_rows, "row is", "rows are") + " damaged");
  if (report.may_repeat)
    found.emplace_back("what is in use and what is not cannot be told apart everywhere");
  if (bad_rows_ > 0)
    found.push_back(counted(bad_rows_, "row names", "rows name") + " what is not known");
  if (newer_rows_ > 0)
    found.push_back(counted(newer_rows_, "row is", "rows are") + " of a newer version");
  return found;
}

}  // namespace fieldpost
