// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"

namespace fieldpost {

// Collects what is wrong while a configuration is read, so that all of it shows in one run.
class Problems {
 public:
  void error(const Location& at, std::string text) { add(Problem::Severity::Error, at, text); }
  void instance(const Location& at, std::string text) {
    add(Problem::Severity::Instance, at, text);
  }
  void warning(const Location& at, std::string text) { add(Problem::Severity::Warning, at, text); }
  // "path: unknown key", with what it may have been meant to be. A key that looks like a secret is
  // told where secrets belong.
  void unknown_key(const Location& at, const std::string& path, std::string_view key,
                   std::span<const std::string_view> known);

  // A file could not be read: what seems to be missing may well be in it, so say nothing of it.
  void set_incomplete() { incomplete_ = true; }
  bool incomplete() const { return incomplete_; }
  size_t errors() const { return errors_; }

  // A kept copy: it ran once, so what does not fit any more has changed around it (a plugin was
  // upgraded, a secret moved). It must cost as little as it can, not the whole start.
  void set_kept() { kept_ = true; }
  bool kept() const { return kept_; }
  size_t mark() const { return all_.size(); }
  // Makes the errors since `mark` something milder. Returns the text of the first; "": none.
  std::string demote(size_t mark, Problem::Severity severity);

  // In the order of files, lines and columns.
  std::vector<Problem> take(std::span<const std::string> files);

 private:
  void add(Problem::Severity severity, const Location& at, std::string& text);

  std::vector<Problem> all_;
  size_t errors_ = 0;
  bool incomplete_ = false;
  bool kept_ = false;
};

// "; did you mean 'x'?", or nothing.
std::string did_you_mean(std::string_view name, std::span<const std::string_view> known);

// "file:line:column"; what is not known is left out.
std::string to_string(const Location& location);

}  // namespace fieldpost
