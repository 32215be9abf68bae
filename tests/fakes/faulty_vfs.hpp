// SPDX-License-Identifier: Apache-2.0
//
// SQLite's view of the disk, with faults: while it lives, every database opened in this process
// goes through it. A policy sees each call before the real one and decides what becomes of it.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

namespace fieldpost::testing {

class FaultyVfs {
 public:
  enum class Op : uint8_t { Open, Read, Write, Truncate, Grow, Sync, Delete };
  struct Call {
    Op op;
    const char* path;  // of the file
    int64_t offset;    // of Read and Write; the size, of Truncate and Grow
    int size;          // bytes, of Read and Write
    const void* data;  // of Write
    int flags;         // of Open, Sync and Delete, as SQLite gives them
    int64_t number;    // of this call, from 1, since the last set_policy()
  };
  // In the place of a result code: half of a Write reaches the file, then it fails; or a Sync is
  // not done, and said to be.
  static constexpr int kHalf = -1;
  static constexpr int kPretend = -2;
  // SQLITE_OK lets the call through; anything else is what SQLite gets to see instead. Runs on the
  // thread that uses the database, and may block: that is what a stalled disk does.
  using Policy = std::function<int(const Call&)>;

  FaultyVfs();   // becomes SQLite's default
  ~FaultyVfs();  // all databases must be closed
  FaultyVfs(const FaultyVfs&) = delete;
  FaultyVfs& operator=(const FaultyVfs&) = delete;

  void set_policy(Policy policy);  // none: all goes through
  int64_t calls() const;           // since the last set_policy()
  int64_t syncs() const;           // of them, those that sync a file

  // Whether the call changes the disk.
  static bool changing(Op op) { return op != Op::Read; }
  // The n-th changing call fails with `code`; with `for_good`, so do those after it.
  static Policy fail_nth(int64_t n, int code, bool for_good = false);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// A gate for a policy: calls wait while it is closed.
class Gate {
 public:
  void close() {
    const std::scoped_lock lock(mutex_);
    open_ = false;
    stopped_ = 0;
  }
  void open() {
    const std::scoped_lock lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void pass() {
    std::unique_lock lock(mutex_);
    if (!open_) ++stopped_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
  }
  // Until a call has met the gate since it was closed.
  void wait_for_stopped() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return stopped_ > 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = true;
  int stopped_ = 0;
};

}  // namespace fieldpost::testing
