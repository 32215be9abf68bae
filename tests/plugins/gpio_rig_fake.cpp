// SPDX-License-Identifier: Apache-2.0
//
// gpio_rig.hpp and the plugin's lines.hpp over eight lines in memory. Edges wake an eventfd, like
// those of a real line; an unplugged chip says nothing to who waits, like libgpiod 1.6's.
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <deque>
#include <functional>
#include <optional>

#include "gpio_rig.hpp"
#include "lines.hpp"

namespace {

using gpio::LineError;

struct FakeLine {
  std::string name, holder;
  bool pulled = false;          // from outside
  std::optional<bool> output;   // driven by the chip
  std::optional<bool> shorted;  // whatever else
  std::vector<std::string> driven;
  // Of the holder that wants edges:
  gpio::Edge edge = gpio::Edge::None;
  bool active_low = false;
  int event_fd = -1;
  uint32_t sequence = 0;
  std::deque<gpio::EdgeEvent> edges;
  std::function<void()> on_read;

  bool voltage() const { return shorted.value_or(output.value_or(pulled)); }
};

struct World {
  std::array<FakeLine, 8> lines;
  bool plugged = true;
  int generation = 0;  // counts plugging in
};
World world;
gpio::EdgeBuffer buffer{.numbered = true, .edges = 1024};

int64_t monotonic_now() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * int64_t{1'000'000'000} + t.tv_nsec;
}

void report_edge(FakeLine& line) {
  const bool rising = line.voltage() != line.active_low;
  const bool wanted = line.edge == gpio::Edge::Both ||
                      line.edge == (rising ? gpio::Edge::Rising : gpio::Edge::Falling);
  if (!wanted || !world.plugged) return;
  uint64_t one = 1;
  const uint32_t number = buffer.numbered ? ++line.sequence : 0;
  if (line.edges.size() >= buffer.edges) {
    if (!buffer.numbered) return;
    line.edges.pop_front();
    (void)!read(line.event_fd, &one, sizeof one);
  }
  line.edges.push_back({rising, monotonic_now(), number});
  one = 1;
  (void)!write(line.event_fd, &one, sizeof one);
}

void change(FakeLine& line, auto&& how) {
  const bool before = line.voltage();
  how();
  if (line.voltage() != before) report_edge(line);
}

class HeldLine final : public gpio::Line {
 public:
  HeldLine(const gpio::ChipInfo& chip, unsigned offset, bool active_low)
      : chip_(chip), offset_(offset), generation_(world.generation), active_low_(active_low) {
    mine().holder = "fieldpost";
  }
  ~HeldLine() override {
    if (mine().event_fd >= 0) close(mine().event_fd);
    FakeLine& line = mine();
    line.edge = gpio::Edge::None;
    line.event_fd = -1;
    line.edges.clear();
    line.holder.clear();
    change(line, [&] { line.output.reset(); });
  }
  HeldLine(const HeldLine&) = delete;
  HeldLine& operator=(const HeldLine&) = delete;

  bool level() override {
    check("read");
    if (mine().on_read) mine().on_read();
    return mine().voltage() != active_low_;
  }
  void set(bool level) override {
    check("set");
    drive("set ", level);
  }
  void drive(const char* how, bool level) {
    const bool high = level != active_low_;
    mine().driven.push_back(how + std::string(high ? "high" : "low"));
    change(mine(), [&] { mine().output = high; });
  }
  void want_edges(gpio::Edge edge) {
    FakeLine& line = mine();
    line.edge = edge;
    line.active_low = active_low_;
    line.sequence = 0;
    line.event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
  }
  size_t read_edges(std::span<gpio::EdgeEvent> events) override {
    check("read edges of");
    size_t n = 0;
    uint64_t one = 0;
    while (n < events.size() && !mine().edges.empty()) {
      events[n++] = mine().edges.front();
      mine().edges.pop_front();
      (void)!read(fd(), &one, sizeof one);
    }
    return n;
  }
  int fd() const override { return world.lines[offset_].event_fd; }

 private:
  FakeLine& mine() { return world.lines[offset_]; }
  void check(const char* verb) const {
    if (!world.plugged || generation_ != world.generation) {
      throw gpio::access_error(chip_, offset_, verb, ENODEV);
    }
  }
  const gpio::ChipInfo& chip_;
  unsigned offset_;
  int generation_;
  bool active_low_;
};

class FakeChip final : public gpio::Chip {
 public:
  const gpio::ChipInfo& info() const override { return info_; }
  bool present() const override { return world.plugged && generation_ == world.generation; }
  std::vector<std::string> line_names() override {
    std::vector<std::string> names;
    for (const FakeLine& line : world.lines) names.push_back(line.name);
    return names;
  }
  std::unique_ptr<gpio::Line> request_input(unsigned offset,
                                            const gpio::InputConfig& config) override {
    auto line = take(offset, config.active_low);
    if (config.edge != gpio::Edge::None) line->want_edges(config.edge);
    return line;
  }
  std::unique_ptr<gpio::Line> request_output(unsigned offset,
                                             const gpio::OutputConfig& config) override {
    auto line = take(offset, config.active_low);
    const bool level =
        config.initial == gpio::Initial::Keep ? line->level() : config.initial == gpio::Initial::On;
    line->drive("output ", level);
    return line;
  }

 private:
  std::unique_ptr<HeldLine> take(unsigned offset, bool active_low) {
    const FakeLine& line = world.lines.at(offset);
    if (!line.holder.empty()) throw gpio::request_error(info_, offset, line.holder, EBUSY);
    return std::make_unique<HeldLine>(info_, offset, active_low);
  }
  gpio::ChipInfo info_{"/dev/fake-plant", "gpiochip7", "plant"};
  int generation_ = world.generation;
};

}  // namespace

namespace gpio {

EdgeBuffer edge_buffer() { return buffer; }

std::vector<ChipInfo> list_chips() {
  std::vector<ChipInfo> chips{{"/dev/fake-soc", "gpiochip6", "soc"}};
  if (world.plugged) chips.push_back({"/dev/fake-plant", "gpiochip7", "plant"});
  return chips;
}

std::unique_ptr<Chip> open_chip(const std::string& path) {
  if (path != "/dev/fake-plant" || !world.plugged) throw open_error(path, ENOENT);
  return std::make_unique<FakeChip>();
}

}  // namespace gpio

namespace gpio_rig {

std::string unavailable() { return ""; }

void reset() {
  world = {};
  world.lines[kDoor].name = "door";
  world.lines[kPump].name = "pump";
  world.lines[kRelay].name = "relay";
  world.lines[kValve].name = "valve";
}

std::string chip() { return "plant"; }

void pull(unsigned offset, bool high) {
  FakeLine& line = world.lines.at(offset);
  change(line, [&] { line.pulled = high; });
}

bool voltage(unsigned offset) { return world.lines.at(offset).voltage(); }

std::string occupy(unsigned offset) { return world.lines.at(offset).holder = "pump-controller"; }

void vacate() {
  for (FakeLine& line : world.lines) {
    if (line.holder == "pump-controller") line.holder.clear();
  }
}

void unplug() { world.plugged = false; }

void plug() {
  world.plugged = true;
  ++world.generation;
}

std::vector<std::string> driven(unsigned offset) { return world.lines.at(offset).driven; }

void short_circuit(unsigned offset, bool high) { world.lines.at(offset).shorted = high; }

void lose_edges() {
  for (FakeLine& line : world.lines) {
    uint64_t one = 0;
    for (; !line.edges.empty(); line.edges.pop_front()) {
      (void)!read(line.event_fd, &one, sizeof one);
    }
  }
}

void buffer_edges(bool numbered, size_t room) { buffer = {.numbered = numbered, .edges = room}; }

void on_read(unsigned offset, std::function<void()> what) {
  world.lines.at(offset).on_read = std::move(what);
}

void leave_driven(unsigned offset, bool high) { world.lines.at(offset).output = high; }

}  // namespace gpio_rig
