// SPDX-License-Identifier: Apache-2.0
//
// Structured log: to the journal when stderr is connected to it, else to stderr as text. Safe from
// any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace fieldpost::log {

// syslog(3). Error: someone must act. Warning: handled, but note. Notice: a state changed. Info:
// life cycle. Debug: the rest, and the only level at which values of readings appear.
enum class Level : uint8_t { Error = 3, Warning = 4, Notice = 5, Info = 6, Debug = 7 };

// A journal field name. Checked while compiling: journald drops a bad name silently at run time.
struct Key {
  std::string_view name;
  consteval Key(const char* n) : name(n) {  // NOLINT: a literal is a key
    if (name.empty() || name.front() == '_') throw "a journal field starts with A-Z or 0-9";
    for (const char c : name) {
      const bool ok = c == '_' || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
      if (!ok) throw "a journal field has only A-Z, 0-9 and _";
    }
  }
};

// What `journalctl -x` finds the explanation of a message by, in systemd/fieldpost.catalog. All of
// them: base/message_ids.hpp.
struct MessageId {
  std::string_view hex;
  consteval MessageId(const char* id) : hex(id) {  // NOLINT: a literal is an id
    if (hex.size() != 32) throw "a message id has 32 digits";
    for (const char c : hex) {
      if ((c < '0' || c > '9') && (c < 'a' || c > 'f')) throw "a message id has 0-9 and a-f";
    }
  }
};

inline constexpr Key kMessageId = "MESSAGE_ID";

struct Field {
  Key key;
  std::string value;
  Field(Key k, std::string v) : key(k), value(std::move(v)) {}
  Field(MessageId id) : key(kMessageId), value(id.hex) {}  // NOLINT: an id is a field
};
using Fields = std::initializer_list<Field>;

struct Where {
  const char* file;
  int line;
  const char* function;
  static constexpr Where here(const char* file = __builtin_FILE(), int line = __builtin_LINE(),
                              const char* function = __builtin_FUNCTION()) {
    return {file, line, function};
  }
};

// Lines above this level are dropped. Default Info. Set once, before threads start.
void set_level(Level level);
// "error", "warning", "notice", "info" or "debug"; false if it is none of them.
bool parse_level(std::string_view text, Level* ret);

// Hands on each warning and error that is logged from now on, as one line of text without its
// level. `take` is called on the thread that logs, one call at a time; it must neither log nor
// wait. An empty one ends that: after the return `take` is not called any more.
void set_recorder(std::function<void(Level, std::string_view line)> take);

// `message` is a constant sentence; what varies is a field, so that operators can filter on
// FP_PLUGIN=boiler and tests can assert on fields rather than on prose. A field named FP_REASON is
// appended to the text: it is what a person needs at once.
void write(Level level, std::string_view message, Fields fields, Where where = Where::here());

inline void error(std::string_view m, Fields f = {}, Where w = Where::here()) {
  write(Level::Error, m, f, w);
}
inline void warning(std::string_view m, Fields f = {}, Where w = Where::here()) {
  write(Level::Warning, m, f, w);
}
inline void notice(std::string_view m, Fields f = {}, Where w = Where::here()) {
  write(Level::Notice, m, f, w);
}
inline void info(std::string_view m, Fields f = {}, Where w = Where::here()) {
  write(Level::Info, m, f, w);
}
inline void debug(std::string_view m, Fields f = {}, Where w = Where::here()) {
  write(Level::Debug, m, f, w);
}

}  // namespace fieldpost::log
