// SPDX-License-Identifier: Apache-2.0
#define SD_JOURNAL_SUPPRESS_LOCATION
#include "base/log.hpp"

#include <sys/stat.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "base/text.hpp"

namespace fieldpost::log {
namespace {

std::atomic<Level> max_level{Level::Info};

// JOURNAL_STREAM is "device:inode" of what systemd connected stderr to (systemd.exec(5)).
bool stderr_is_journal() {
  const char* const stream = std::getenv("JOURNAL_STREAM");  // NOLINT(concurrency-mt-unsafe)
  struct stat st {};
  if (stream == nullptr || ::fstat(STDERR_FILENO, &st) != 0) return false;
  return std::string(stream) == std::to_string(st.st_dev) + ":" + std::to_string(st.st_ino);
}

std::string sentence(std::string_view message, Fields fields) {
  std::string text;
  for (const Field& f : fields) {
    if (f.key.name == "FP_PLUGIN") text += f.value + ": ";
  }
  text += message;
  for (const Field& f : fields) {
    if (f.key.name == "FP_REASON") text += ": " + f.value;
  }
  return printable(text);
}

void write_journal(Level level, const std::string& text, Fields fields, const Where& where) {
  std::vector<std::string> lines;
  lines.reserve(fields.size() + 5);
  lines.push_back("MESSAGE=" + text);
  lines.push_back("PRIORITY=" + std::to_string(static_cast<int>(level)));
  lines.push_back(std::string("CODE_FILE=") + where.file);
  lines.push_back("CODE_LINE=" + std::to_string(where.line));
  lines.push_back(std::string("CODE_FUNC=") + where.function);
  for (const Field& f : fields) lines.push_back(std::string(f.key.name) + "=" + f.value);
  std::vector<iovec> iov;
  iov.reserve(lines.size());
  for (std::string& line : lines) iov.push_back({line.data(), line.size()});
  sd_journal_sendv(iov.data(), static_cast<int>(iov.size()));
}

void write_stderr(Level level, const std::string& text, Fields fields) {
  constexpr std::string_view kNames[] = {"", "", "", "error", "warning", "notice", "info", "debug"};
  std::string line(kNames[static_cast<int>(level)]);
  line += ": " + text;
  for (const Field& f : fields) {
    if (f.key.name == "FP_PLUGIN" || f.key.name == "FP_REASON") continue;
    line += " " + std::string(f.key.name) + "=" + printable(f.value);
  }
  line += '\n';
  (void)::write(STDERR_FILENO, line.data(), line.size());  // nothing is left to tell it to
}

}  // namespace

void set_level(Level level) { max_level = level; }

bool parse_level(std::string_view text, Level* ret) {
  constexpr std::pair<std::string_view, Level> kLevels[] = {{"error", Level::Error},
                                                            {"warning", Level::Warning},
                                                            {"notice", Level::Notice},
                                                            {"info", Level::Info},
                                                            {"debug", Level::Debug}};
  for (const auto& [name, level] : kLevels) {
    if (name == text) return *ret = level, true;
  }
  return false;
}

void write(Level level, std::string_view message, Fields fields, Where where) {
  if (level > max_level.load(std::memory_order_relaxed)) return;
  static const bool kJournal = stderr_is_journal();
  const std::string text = sentence(message, fields);
  if (kJournal) {
    write_journal(level, text, fields, where);
  } else {
    write_stderr(level, text, fields);
  }
}

}  // namespace fieldpost::log
