// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/eventfd.h>

#include <cstddef>
#include <mutex>
#include <utility>
#include <vector>

#include "base/unique_fd.hpp"

namespace fieldpost {

// The only way a thread reaches another: it posts values, the owner drains them when fd() is
// readable. Never blocks. At the limit post() refuses, and the caller says what that means (a
// sample is counted as lost, a status is superseded by the next one anyway).
template <class T>
class Mailbox {
 public:
  explicit Mailbox(size_t limit) : limit_(limit) {}

  // Any thread. False, and `value` untouched, when the box is full.
  bool post(T&& value) {
    {
      const std::scoped_lock lock(mutex_);
      if (items_.size() >= limit_) return false;
      items_.push_back(std::move(value));
    }
    ring();
    return true;
  }

  // Any thread. Like post, but first offers the newest waiting item to `merge(T& waiting, T&
  // value)`, which returns true if it has taken the value in: how a box stays small while its
  // owner is held up.
  template <class Merge>
  bool post_or_merge(T&& value, Merge merge) {
    {
      const std::scoped_lock lock(mutex_);
      if (!items_.empty() && merge(items_.back(), value)) return true;
      if (items_.size() >= limit_) return false;
      items_.push_back(std::move(value));
    }
    ring();
    return true;
  }

  // The owning thread. Everything posted so far, oldest first.
  std::vector<T> take_all() {
    eventfd_t ignored = 0;
    ::eventfd_read(event_.get(), &ignored);  // EAGAIN when already drained: harmless
    const std::scoped_lock lock(mutex_);
    return std::exchange(items_, {});
  }

  int fd() const { return event_.get(); }

 private:
  void ring() { ::eventfd_write(event_.get(), 1); }

  size_t limit_;
  UniqueFd event_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  std::mutex mutex_;
  std::vector<T> items_;  // guarded by mutex_
};

}  // namespace fieldpost
