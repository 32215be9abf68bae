// SPDX-License-Identifier: Apache-2.0
#include "fakes/cut_disk.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

namespace fieldpost::testing {
namespace {

namespace fs = std::filesystem;

constexpr size_t kSector = 512;

std::string read_file(const fs::path& path) {
  std::ostringstream content;
  content << std::ifstream(path, std::ios::binary).rdbuf();
  return content.str();
}

bool one_in(unsigned n, std::mt19937& random) { return random() % n == 0; }

}  // namespace

CutDisk::CutDisk(const std::string& folder, Cut cut) : folder_(folder), cut_(cut) {
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    auto file = std::make_shared<File>();
    file->synced = read_file(entry.path());
    files_[entry.path().filename()] = std::move(file);
  }
  synced_ = files_;
}

int CutDisk::on(const FaultyVfs::Call& call) {
  // What lies under this disk is not what is put to the test, and needs no sync.
  const int answer = call.op == FaultyVfs::Op::Sync ? FaultyVfs::kPretend : SQLITE_OK;
  if (!FaultyVfs::changing(call.op) || fs::path(call.path).parent_path() != folder_) return answer;
  const std::scoped_lock lock(mutex_);
  if (cut_done_) return answer;
  const bool last = is_the_cut(call);
  // A write that is under way may be there; a sync that is, promises nothing.
  if (!last || call.op != FaultyVfs::Op::Sync) record(call);
  cut_done_ = last;
  return answer;
}

void CutDisk::cut_now() {
  const std::scoped_lock lock(mutex_);
  cut_done_ = true;
}

bool CutDisk::is_the_cut(const FaultyVfs::Call& call) {
  const bool counts = !cut_.of_checkpoint ||
                      (call.op == FaultyVfs::Op::Write && fs::path(call.path).extension() == ".db");
  return counts && ++counted_ == cut_.at;
}

void CutDisk::record(const FaultyVfs::Call& call) {
  const std::string name = fs::path(call.path).filename();
  if (call.op == FaultyVfs::Op::Delete) {
    if (files_.erase(name) > 0) folder_changes_.emplace_back(name, nullptr);
    if (call.flags != 0 && !cut_.drive_lies) {
      synced_ = files_;
      folder_changes_.clear();
    }
    return;
  }
  if (call.op == FaultyVfs::Op::Open && (call.flags & SQLITE_OPEN_CREATE) == 0) return;
  std::shared_ptr<File>& file = files_[name];
  if (!file) {
    file = std::make_shared<File>();
    file->syncs_folder = (call.flags & (SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_WAL)) != 0;
    folder_changes_.emplace_back(name, file);
  }
  switch (call.op) {
    case FaultyVfs::Op::Write:
      file->changes.push_back(
          {Change::Write, call.offset,
           std::string(static_cast<const char*>(call.data), static_cast<size_t>(call.size))});
      break;
    case FaultyVfs::Op::Truncate:
      file->changes.push_back({Change::Truncate, call.offset, {}});
      break;
    case FaultyVfs::Op::Grow:
      file->changes.push_back({Change::Grow, call.offset, {}});
      break;
    case FaultyVfs::Op::Sync:
      if (!cut_.drive_lies) sync(*file);
      break;
    default:
      break;
  }
}

void CutDisk::sync(File& file) {
  for (const Change& change : file.changes) apply(change, file.synced);
  file.changes.clear();
  if (!std::exchange(file.syncs_folder, false)) return;
  synced_ = files_;
  folder_changes_.clear();
}

void CutDisk::apply(const Change& change, std::string& content) {
  const auto at = static_cast<size_t>(change.offset);
  switch (change.kind) {
    case Change::Truncate:
      content.resize(std::min(content.size(), at));
      break;
    case Change::Grow:
      content.resize(std::max(content.size(), at));
      break;
    case Change::Write:
      content.resize(std::max(content.size(), at + change.bytes.size()));
      std::ranges::copy(change.bytes, content.begin() + static_cast<ptrdiff_t>(at));
  }
}

// What was synced, and about `share` of what was written since.
std::string CutDisk::content_of(const File& file, double share, std::mt19937& random) {
  std::string content = file.synced;
  std::bernoulli_distribution is_there(share);
  std::vector<Change> pieces;  // between two truncations
  const auto write_pieces = [&] {
    std::ranges::shuffle(pieces, random);
    for (Change& piece : pieces) {
      if (!is_there(random)) continue;
      if (one_in(50, random)) piece.bytes.resize(random() % (piece.bytes.size() + 1));
      apply(piece, content);
    }
    pieces.clear();
  };
  for (const Change& change : file.changes) {
    if (change.kind == Change::Truncate) {
      write_pieces();
      if (!is_there(random)) return content;
      apply(change, content);
      continue;
    }
    if (change.kind == Change::Grow) pieces.push_back(change);
    for (size_t done = 0; done < change.bytes.size();) {
      const size_t offset = static_cast<size_t>(change.offset) + done;
      const size_t size = std::min(change.bytes.size() - done, kSector - offset % kSector);
      pieces.push_back(
          {Change::Write, static_cast<int64_t>(offset), change.bytes.substr(done, size)});
      done += size;
    }
  }
  write_pieces();
  return content;
}

void CutDisk::write_image(const std::string& folder, std::mt19937& random) const {
  Files files = synced_;
  const size_t happened = random() % (folder_changes_.size() + 1);
  for (size_t i = 0; i < happened; ++i) {
    const auto& [name, file] = folder_changes_[i];
    if (file) {
      files[name] = file;
    } else {
      files.erase(name);
    }
  }
  const double shares[] = {0, 1, std::uniform_real_distribution<>(0, 1)(random)};
  const double share = shares[random() % std::size(shares)];
  fs::create_directory(folder);
  for (const auto& [name, file] : files) {
    std::ofstream(fs::path(folder) / name, std::ios::binary) << content_of(*file, share, random);
  }
}

}  // namespace fieldpost::testing
