// SPDX-License-Identifier: Apache-2.0
//
// What the limiter knows of the last window, in a file of the run directory: a mapping, so that it
// costs no call and survives whatever ends this process.
#pragma once

#include <memory>
#include <string>

#include "uplink/limiter.hpp"

namespace fieldpost {

class SentFile {
 public:
  // The records that an earlier process of this boot has left there, or empty ones. Where no file
  // can be had, and logged then, they end with the process.
  SentFile(const std::string& folder, const std::string& boot_id);
  ~SentFile();
  SentFile(const SentFile&) = delete;
  SentFile& operator=(const SentFile&) = delete;

  Limiter::Records records();
  // Until when half of the limits hold; in the past: they hold in full.
  void set_slow_until(BootTime time);
  BootTime slow_until() const;
  // Whether nothing is known of what an earlier process has sent.
  bool begun() const { return begun_; }

 private:
  struct Content;
  const Content& content() const { return mapped_ != nullptr ? *mapped_ : *memory_; }
  Result<> open(const std::string& folder, const std::string& boot_id);

  Content* mapped_ = nullptr;
  std::unique_ptr<Content> memory_;  // instead
  bool begun_ = true;
};

}  // namespace fieldpost
