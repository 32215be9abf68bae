// SPDX-License-Identifier: Apache-2.0
//
// The control sockets: one to read, one to act. Both speak the same protocol, JSON lines: a
// request is an object with "do", the answer an object with "ok" and, if that is false, "error".
// Who may open which socket is decided by file permissions alone: inside the unit's user namespace
// SO_PEERCRED shows nobody. docs/control-protocol.md lists the requests.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "base/event_loop.hpp"
#include "base/json.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace fieldpost {

enum class ControlRight : uint8_t { Read, Act };

class ControlServer {
 public:
  static constexpr size_t kMaxRequest = size_t{1}
                                        << 20;   // bytes of a line; longer: refused, closed
  static constexpr size_t kMaxConnections = 32;  // of each socket; more are refused with words
  // Unread answers; a connection that has more waiting is closed, and one that watches loses lines
  // from a quarter of it on, and is told how many.
  static constexpr size_t kMaxBacklog = size_t{8} << 20;
  // Of accepting, when the process has no descriptor left for one more.
  static constexpr std::chrono::milliseconds kPause{500};

  // Answers one request. Sets `*watch` to subscribe the connection to broadcast(). `passed` is the
  // descriptor that came with the request (SCM_RIGHTS), if one did.
  using Handler =
      std::function<Json(const Json& request, ControlRight right, bool* watch, UniqueFd passed)>;

  ControlServer(EventLoop& loop, Handler handler) : loop_(&loop), handler_(std::move(handler)) {}
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

  // Serves a listening socket that systemd or listen_unix() made, in the place of the one before.
  // Not from within a Handler. Errors: Io.
  Result<> serve(UniqueFd listener, ControlRight right);

  // From within a Handler whose answer comes later: what it returns is ignored, and answer() is to
  // be called with this number. Until then the connection's next requests wait, unread beyond
  // kMaxRequest bytes.
  uint64_t defer();
  // Does nothing where the connection is gone.
  void answer(uint64_t deferred, const Json& answer);
  // Whether whoever asked still waits.
  bool awaits(uint64_t deferred) const;

  bool has_watchers() const;
  // One line to every connection that watches.
  void broadcast(const std::string& line);

 private:
  struct Connection {
    UniqueFd fd;
    ControlRight right;
    std::string in, out;
    UniqueFd passed;  // that the next request brings
    bool watching = false;
    uint64_t deferred = 0;  // the answer that is awaited; 0: none
    bool ended = false;     // nothing more comes from it
    int64_t dropped = 0;    // lines that did not fit
    bool closing = false;   // when `out` is empty
    Source readable, writable;
  };
  struct Listener {
    UniqueFd fd;
    ControlRight right;
    Source readable;
    Source resume;  // after a pause
  };
  void on_accept(Listener& listener);
  void pause(Listener& listener);
  void on_readable(Connection& connection);
  void take_lines(Connection& connection);
  void go_on(Connection& connection);
  void on_line(Connection& connection, std::string_view line);
  void send(Connection& connection, std::string_view line);
  void flush(Connection& connection);
  void close_later(Connection& connection);
  void reap();

  EventLoop* loop_;
  Handler handler_;
  std::list<Listener> listeners_;
  std::list<Connection> connections_;  // a list: sources hold references
  Connection* asking_ = nullptr;       // whose request the handler has
  uint64_t deferrals_ = 0;             // so far; their numbers
  Source reaper_;                      // closes connections outside their own callbacks
  Source resumer_;                     // takes up requests behind one that was deferred
};

// Makes a listening socket at `path`, mode 0660, replacing one that nobody serves any more. With
// `group`, gives it to that group if the process may. Errors: Unavailable (somebody serves it), Io.
Result<UniqueFd> listen_unix(const std::string& path, const std::string& group);

}  // namespace fieldpost
