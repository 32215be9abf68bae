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
#include <mutex>
#include <vector>

#include "base/text.hpp"

namespace fieldpost::log {
namespace {

std::atomic<Level> max_level{Level::Info};

struct Recorder {
  std::mutex mutex;
  std::function<void(Level, std::string_view)> take;  // guarded by mutex
};
Recorder& recorder() {
  static Recorder the_recorder;
  return the_recorder;
}

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

// For readers without fields: those that the sentence does not have are behind it.
std::string with_fields(std::string line, Fields fields) {
  for (const Field& f : fields) {
    if (!f.key.name.starts_with("FP_")) continue;
    if (f.key.name == "FP_PLUGIN" || f.key.name == "FP_REASON") continue;
    line += " " + std::string(f.key.name) + "=" + printable(f.value);
  }
  return line;
}

void write_stderr(Level level, std::string_view text) {
  constexpr std::string_view kNames[] = {"", "", "", "error", "warning", "notice", "info", "debug"};
  std::string line(kNames[static_cast<int>(level)]);
  line += ": " + std::string(text) + "\n";
  (void)::write(STDERR_FILENO, line.data(), line.size());  // nothing is left to tell it to
}

void record(Level level, std::string_view line) {
  Recorder& r = recorder();
  const std::scoped_lock lock(r.mutex);
  if (r.take) r.take(level, line);
}

}  // namespace

void set_level(Level level) { max_level = level; }

void set_recorder(std::function<void(Level, std::string_view)> take) {
  Recorder& r = recorder();
  const std::scoped_lock lock(r.mutex);
  r.take = std::move(take);
}

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
  const bool keep = level <= Level::Warning;
  if (kJournal) write_journal(level, text, fields, where);
  if (kJournal && !keep) return;
  const std::string line = with_fields(text, fields);
  if (!kJournal) write_stderr(level, line);
  if (keep) record(level, line);
}

}  // namespace fieldpost::log
