// SPDX-License-Identifier: Apache-2.0
//
// A disk that loses its power. As the policy of a FaultyVfs it sees what SQLite writes, and at one
// call remembers what could be on the medium at that moment: what was synced, and of all the rest
// any part in any order. What comes after that call is done as always, and nobody will know of it.
//
// The rules, as of ext4 on a drive that keeps its promise to flush:
// - What a file had when it was synced is there.
// - Of each later write any of its sectors of 512 bytes may be there, in any order of writing; of a
//   sector perhaps its beginning only. No byte beside what was written changes: that is SQLite's
//   assumption PSOW (powersafe overwrite), which Debian's build makes, and so do we.
// - Truncations happen in their order; what was written after one is not there before it.
// - Files appear and vanish in their order (one journal), and surely once the folder is synced, as
//   SQLite does it: with the first sync of a new journal or WAL, and with a delete that asks for
//   it.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "fakes/faulty_vfs.hpp"

namespace fieldpost::testing {

class CutDisk {
 public:
  struct Cut {
    int64_t at = 1;              // the power fails at this changing call
    bool of_checkpoint = false;  // of those, only writes to the database itself are counted
    bool drive_lies = false;     // syncs do nothing
  };
  // What is in the folder now is on the medium.
  CutDisk(const std::string& folder, Cut cut);

  int on(const FaultyVfs::Call& call);  // lets it through
  bool is_cut() const { return cut_done_; }
  // The power fails now, if it has not yet.
  void cut_now();

  // Makes the folder, with what the medium may hold: one of the many possibilities. After the cut.
  void write_image(const std::string& folder, std::mt19937& random) const;

 private:
  struct Change {
    enum Kind : uint8_t { Write, Truncate, Grow } kind;
    int64_t offset;  // or the size
    std::string bytes;
  };
  struct File {  // whatever its name
    std::string synced;
    std::vector<Change> changes;  // since
    bool syncs_folder = false;    // with its first sync
  };
  using Files = std::map<std::string, std::shared_ptr<File>>;  // by name

  bool is_the_cut(const FaultyVfs::Call& call);
  void record(const FaultyVfs::Call& call);
  void sync(File& file);
  static void apply(const Change& change, std::string& content);
  static std::string content_of(const File& file, double share, std::mt19937& random);

  const std::string folder_;
  const Cut cut_;
  std::atomic<bool> cut_done_{false};
  std::mutex mutex_;  // guards all below until the cut; afterwards nothing changes
  int64_t counted_ = 0;
  Files files_;   // as the programs see them
  Files synced_;  // as the medium surely has them
  std::vector<std::pair<std::string, std::shared_ptr<File>>> folder_changes_;  // since; null: gone
};

}  // namespace fieldpost::testing
