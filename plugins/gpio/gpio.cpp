// SPDX-License-Identifier: Apache-2.0
//
// gpio: levels, edges and pulses of a GPIO chip's lines, and outputs by command. README.md is its
// manual.
//
// The chip may be absent, vanish and come back, and any line may be held by somebody else: each
// line is taken on its own, and what is missing is looked for again every few seconds by a timer of
// our own, so that neither depends on how often the host polls.
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

#include "clocks.hpp"
#include "counting.hpp"
#include "edges.hpp"
#include "plan.hpp"
#include "tables.hpp"

namespace gpio {
namespace {

namespace sdk = fieldpost::sdk;

// An unplugged chip is to be noticed within 5 s, by looking at its device file.
constexpr int64_t kLookEvery = 2'000'000'000;
constexpr int kWarning = 4, kNotice = 5;  // syslog(3)
constexpr int kReady = 64;                // lines that are looked at in one turn
constexpr size_t kBatch = 16;             // edges read at once, and
constexpr int kBatches = 16;              // as often for one line before others have their turn

class Fd {
 public:
  Fd(int fd, const char* what) : fd_(fd) {
    if (fd_ < 0) throw std::system_error(errno, std::generic_category(), what);
  }
  ~Fd() { close(fd_); }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

// A row and the line it has, or why it has none.
struct Input {
  InputRow row;
  EdgeFilter filter;
  std::unique_ptr<Line> line;
  std::string fault;
};

struct Output {
  OutputRow row;
  std::unique_ptr<Line> line;
  std::string fault;
};

// A reading with a time of its own.
struct Edged {
  int64_t at = 0;  // CLOCK_MONOTONIC
  uint32_t attribute = 0;
  bool level = false;
};

class Gpio {
 public:
  using Plan = gpio::Plan;

  Gpio(sdk::Host& host, const Plan& plan)
      : wanted_(plan.chip),
        epoll_(epoll_create1(EPOLL_CLOEXEC), "epoll_create1"),
        timer_(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK), "timerfd_create") {
    for (const InputRow& row : plan.inputs) {
      inputs_.push_back({row, EdgeFilter(row.config.edge, row.debounce_ns), nullptr, {}});
    }
    for (const OutputRow& row : plan.outputs) outputs_.push_back({row, nullptr, {}});
    for (const CounterRow& row : plan.counters) counters_.push_back(remembered(host, row));
    watch(timer_.get(), kTimer);
    look(host, monotonic_now());
    arm();
  }

  // Reads every line; those that cannot be read say why.
  void poll(sdk::Host& host) {
    pump(host);
    std::vector<sdk::Reading> readings;
    size_t failed = 0;
    const int64_t now = monotonic_now();
    for (Input& input : inputs_) {
      failed += read(input, now, readings) ? 0 : 1;
      drain_counters();
    }
    for (Output& output : outputs_) {
      failed += read(output, readings) ? 0 : 1;
      drain_counters();
    }
    for (Counter& counter : counters_) failed += gpio::read(counter, readings);
    keep(host);
    arm();
    if (readings.empty()) return;  // all of them bounce
    if (failed == readings.size()) throw sdk::IoError(readings.front().detail);
    host.emit(readings);
  }

  int event_fd() const { return epoll_.get(); }

  void on_event(sdk::Host& host) {
    pump(host);
    arm();
  }

  std::optional<sdk::Value> command(sdk::Host& host, const sdk::Call& call) {
    const auto found =
        std::ranges::find(outputs_, call.command(), [](const Output& o) { return o.row.command; });
    if (found == outputs_.end()) return set_total(host, call);
    if (!found->line) look(host, monotonic_now());
    if (!found->line) throw sdk::IoError(found->fault);
    const bool wanted = call.boolean(0);
    try {
      found->line->set(wanted);
      const bool now = found->line->level();
      host.emit(found->row.attribute, now);
      if (now != wanted) {
        throw sdk::IoError(to_string(found->row.line) + " was set to " +
                           (wanted ? "true" : "false") + " but reads " + (now ? "true" : "false") +
                           ": is something else driving it?");
      }
      return now;
    } catch (const LineError& e) {
      drop(*found, e);
      throw sdk::IoError(e.what());
    }
  }

 private:
  // ---- Edges and time. ----

  // Takes what the lines and the timer have, and hands over what has come of it. The kernel may
  // have room for 16 edges only: they are taken first, and what is done at each edge is little.
  void pump(sdk::Host& host) {
    const int64_t now = monotonic_now();
    std::vector<Edged> edged;
    for (const epoll_event& event : ready()) take(event.data.u64, edged);
    for (Input& input : inputs_) {
      if (input.line) note(input, input.filter.on_time(now), edged);
    }
    for (Counter& counter : counters_) {
      if (counter.line) counter.pulses.on_time(now);
    }
    keep(host);
    emit(host, edged);
    if (now >= next_look_) look(host, now);
  }

  void take(uint64_t which, std::vector<Edged>& ret) {
    if (which == kTimer) {
      uint64_t expirations = 0;
      (void)!::read(timer_.get(), &expirations, sizeof expirations);
      armed_for_ = 0;
    } else if (which < inputs_.size()) {
      take_edges(inputs_[which], ret);
    } else {
      take_edges(counters_[which - inputs_.size()]);
    }
  }

  static void emit(sdk::Host& host, std::vector<Edged>& edged) {
    if (edged.empty()) return;
    const Clocks now = read_clocks();
    std::ranges::stable_sort(edged, {}, &Edged::at);
    for (const Edged& e : edged) {
      host.emit({{e.attribute, e.level, FP_GOOD, {}}}, to_boottime(e.at, now));
    }
  }

  void take_edges(Input& input, std::vector<Edged>& ret) {
    take_edges(input, [&](const EdgeEvent& e, int64_t at) {
      note(input, input.filter.on_edge(e.rising, at), ret);
    });
  }

  void take_edges(Counter& counter) {
    const size_t most =
        take_edges(counter, [&](const EdgeEvent& e, int64_t at) { counter.pulses.on_edge(e, at); });
    // Edges find no room while it is full, and only then.
    if (!buffer_.numbered && most >= buffer_.edges) counter.pulses.overrun();
  }

  // Hands over the edges that wait; returns the most that there were at once.
  template <class Row, class Use>
  size_t take_edges(Row& row, Use use) {
    std::array<EdgeEvent, kBatch> events;
    size_t most = 0;
    try {
      for (int i = 0; i < kBatches; ++i) {
        const size_t n = row.line->read_edges(events);
        const int64_t now = monotonic_now();
        for (const EdgeEvent& e : std::span(events).first(n))
          use(e, edge_time(e.monotonic_ns, now));
        most = std::max(most, n);
        if (n < events.size()) break;
      }
      // Woken for nothing: the chip is gone (Linux 6.6 and later tell so), or seems to be.
      if (most == 0) next_look_ = 0;
    } catch (const LineError& e) {
      drop(row, e);
      next_look_ = 0;
    }
    return most;
  }

  static void note(const Input& input, const std::optional<Change>& change,
                   std::vector<Edged>& ret) {
    if (change) ret.push_back({change->at, input.row.attribute, change->level});
  }

  // The timer runs to whatever comes first: a level that has stood long enough, or the next look.
  void arm() {
    int64_t next = next_look_;
    for (const Input& input : inputs_) {
      if (const auto deadline = input.filter.deadline(); input.line && deadline) {
        next = std::min(next, *deadline);
      }
    }
    for (const Counter& counter : counters_) {
      if (const auto deadline = counter.pulses.deadline(); counter.line && deadline) {
        next = std::min(next, *deadline);
      }
    }
    next = std::max<int64_t>(next, 1);  // 0 would disarm it
    if (std::exchange(armed_for_, next) == next) return;
    const itimerspec when{{}, {next / 1'000'000'000, next % 1'000'000'000}};
    (void)timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &when, nullptr);
  }

  // What waits to be read. Valid until it is asked again.
  std::span<const epoll_event> ready() {
    const int n = epoll_wait(epoll_.get(), ready_.data(), kReady, 0);
    return std::span(ready_).first(static_cast<size_t>(std::max(n, 0)));
  }

  // `which`: an input, or a counter behind the last of these, or kTimer.
  void watch(int fd, uint64_t which) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = which;
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
      throw std::system_error(errno, std::generic_category(), "epoll_ctl");
    }
  }

  // ---- Reading. ----

  bool read(Input& input, int64_t now, std::vector<sdk::Reading>& ret) {
    if (!input.line) return failed(input, ret);
    try {
      const bool level = input.line->level();
      if (input.row.config.edge == Edge::None) {
        ret.push_back({input.row.attribute, level, FP_GOOD, {}});
        return true;
      }
      // Also repairs what lost edges have left behind. A level that does not count yet will be
      // stamped with its edge: a reading from now would be newer than that, and stand.
      (void)input.filter.on_level(level, now);
      if (input.filter.deadline()) return true;
      ret.push_back({input.row.attribute, level, FP_GOOD, {}});
      return true;
    } catch (const LineError& e) {
      drop(input, e);
      return failed(input, ret);
    }
  }

  bool read(Output& output, std::vector<sdk::Reading>& ret) {
    if (!output.line) return failed(output, ret);
    try {
      ret.push_back({output.row.attribute, output.line->level(), FP_GOOD, {}});
      return true;
    } catch (const LineError& e) {
      drop(output, e);
      return failed(output, ret);
    }
  }

  // ---- Counting.

  // Reading a line may take long (an expander on I2C): what comes meanwhile must not fill up the
  // kernel's buffers.
  void drain_counters() {
    if (counters_.empty()) return;
    for (const epoll_event& event : ready()) {
      const uint64_t which = event.data.u64;
      if (which != kTimer && which >= inputs_.size()) take_edges(counters_[which - inputs_.size()]);
    }
  }

  void keep(sdk::Host& host) {
    for (Counter& counter : counters_) gpio::keep(host, counter);
  }

  std::optional<sdk::Value> set_total(sdk::Host& host, const sdk::Call& call) {
    const auto found = std::ranges::find(counters_, std::optional(call.command()),
                                         [](const Counter& c) { return c.row.command; });
    if (found == counters_.end()) throw sdk::ConfigError("no such command");
    pump(host);  // what came before the command is not to be added to its value
    found->pulses.set(static_cast<int64_t>(call.number(0)), found->pulses.missed());
    keep(host);
    arm();
    const auto total = static_cast<double>(found->pulses.total());
    if (found->line) host.emit(found->row.total, total);
    return total;
  }

  static bool failed(const Counter& counter, std::vector<sdk::Reading>& ret) {
    return gpio::failed(counter, ret) == 0;
  }
  template <class Row>
  static bool failed(const Row& row, std::vector<sdk::Reading>& ret) {
    ret.push_back({row.row.attribute, false, FP_COMM_ERROR, row.fault});
    return false;
  }

  // ---- Having the lines. ----

  // Looks whether the chip is there, and takes the lines that are not held.
  void look(sdk::Host& host, int64_t now) {
    next_look_ = now + kLookEvery;
    if (chip_ && !chip_->present()) lose(host);
    if (!chip_ && !find(host)) return;
    std::vector<sdk::Reading> taken;
    for (Input& input : inputs_) take(host, input, taken);
    for (Output& output : outputs_) take(host, output, taken);
    for (Counter& counter : counters_) take(host, counter, taken);
    if (!taken.empty()) host.emit(taken);
  }

  bool find(sdk::Host& host) {
    try {
      chip_ = open_chip(find_chip(wanted_, list_chips()));
      names_ = chip_->line_names();
    } catch (const LineError& e) {
      chip_.reset();
      if (chip_fault_ == e.what()) return false;  // it is said once, not every time
      chip_fault_ = e.what();
      host.log(kWarning, chip_fault_);
      std::vector<sdk::Reading> readings;
      for (Input& input : inputs_) miss(input, chip_fault_, readings);
      for (Output& output : outputs_) miss(output, chip_fault_, readings);
      for (Counter& counter : counters_) miss(counter, chip_fault_, readings);
      if (!readings.empty()) host.emit(readings);
      return false;
    }
    chip_fault_.clear();
    host.log(kNotice, "opened " + chip_->info().path + " \"" + chip_->info().label + "\"");
    return true;
  }

  void lose(sdk::Host& host) {
    const std::string why = chip_->info().name + " \"" + chip_->info().label + "\" has vanished";
    host.log(kWarning, why);
    std::vector<sdk::Reading> readings;
    for (Input& input : inputs_) lose(input, why, readings);
    for (Output& output : outputs_) lose(output, why, readings);
    for (Counter& counter : counters_) lose(counter, why, readings);
    chip_.reset();  // after its lines
    host.emit(readings);
  }

  template <class Row>
  static void lose(Row& row, const std::string& why, std::vector<sdk::Reading>& ret) {
    row.line.reset();
    row.fault = why;
    failed(row, ret);
  }

  // What was there once has said that it is gone.
  template <class Row>
  static void miss(Row& row, const std::string& why, std::vector<sdk::Reading>& ret) {
    const bool said = !row.fault.empty();
    row.fault = why;
    if (!said) failed(row, ret);
  }

  template <class Row>
  void take(sdk::Host& host, Row& row, std::vector<sdk::Reading>& ret) {
    if (row.line) return;
    try {
      const LineName& name = row.row.line;
      const unsigned offset =
          name.name.empty() ? name.offset.value_or(0) : find_line(name.name, names_, chip_->info());
      if (offset >= names_.size()) {
        throw LineError(EINVAL, "no line " + std::to_string(offset) + " on " + chip_->info().name +
                                    ": it has 0 to " + std::to_string(names_.size() - 1));
      }
      ret.push_back(request(row, offset));
      if (!row.fault.empty()) host.log(kNotice, to_string(name) + " is there again");
      row.fault.clear();
    } catch (const LineError& e) {
      row.line.reset();
      if (row.fault == e.what()) return;
      row.fault = e.what();
      host.log(kWarning, to_string(row.row.line) + ": " + row.fault);
      failed(row, ret);
    }
  }

  // Each returns the first reading of the line.

  sdk::Reading request(Input& input, unsigned offset) {
    InputConfig config = input.row.config;
    config.edge = input.filter.needed();
    input.line = chip_->request_input(offset, config);
    // Edges between the request and this reading come again as events, which does no harm.
    const bool level = input.line->level();
    input.filter.start(level);
    if (input.line->fd() >= 0) {
      watch(input.line->fd(), static_cast<uint64_t>(&input - inputs_.data()));
    }
    return {input.row.attribute, level, FP_GOOD, {}};
  }

  sdk::Reading request(Output& output, unsigned offset) {
    output.line = chip_->request_output(offset, output.row.config);
    return {output.row.attribute, output.line->level(), FP_GOOD, {}};
  }

  sdk::Reading request(Counter& counter, unsigned offset) {
    InputConfig config = counter.row.config;
    config.edge = counter.pulses.needed();
    counter.line = chip_->request_input(offset, config);
    counter.pulses.start(counter.line->level(), monotonic_now());
    const auto index = static_cast<uint64_t>(&counter - counters_.data());
    watch(counter.line->fd(), inputs_.size() + index);
    return {counter.row.total, static_cast<double>(counter.pulses.total()), FP_GOOD, {}};
  }

  // A held line failed. Letting it go makes the next look take it anew.
  template <class Row>
  static void drop(Row& row, const LineError& why) {
    row.line.reset();
    row.fault = why.what();
  }

  static constexpr uint64_t kTimer = UINT64_MAX;

  std::string wanted_;
  Fd epoll_, timer_;
  int64_t next_look_ = 0;  // CLOCK_MONOTONIC, as is
  int64_t armed_for_ = 0;  // what the timer runs to; 0: nothing
  std::array<epoll_event, kReady> ready_{};
  std::unique_ptr<Chip> chip_;
  std::string chip_fault_;
  std::vector<std::string> names_;  // of the chip's lines
  const EdgeBuffer buffer_ = edge_buffer();
  std::vector<Input> inputs_;  // not resized, as epoll has their indices; after chip_: go first
  std::vector<Output> outputs_;
  std::vector<Counter> counters_;
};

}  // namespace
}  // namespace gpio

FP_PLUGIN(gpio::Gpio, {.type = "gpio",
                       .version = "0.1.0",
                       .summary = "Reads, counts and drives the lines of a GPIO chip.",
                       .needs = FP_NEEDS_DEVICES,
                       .options = gpio::kOptions,
                       .tables = gpio::kTables,
                       .attributes = gpio::kAttributes,
                       .commands = gpio::kCommands})
