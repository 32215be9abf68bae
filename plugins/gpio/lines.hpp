// SPDX-License-Identifier: Apache-2.0
//
// GPIO lines as this plugin needs them: the narrow interface between it and libgpiod. Implemented
// by gpiod_v1.cpp (libgpiod 1.6) or gpiod_v2.cpp (2.x), whichever the build found, and by a fake in
// the tests: whoever links chooses. Knows nothing of plugins, so that other programs that hold
// lines can use the same backends. One thread.
//
// Levels are logical: true is active, whatever `active_low` makes of that on the wire.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace gpio {

// The chip or the line did not do as asked. The message is for people and says what to do.
class LineError : public std::runtime_error {
 public:
  LineError(int errno_value, const std::string& message)
      : std::runtime_error(message), code_(errno_value) {}
  int code() const { return code_; }  // an errno

 private:
  int code_;
};

enum class Bias : uint8_t { AsIs, Disabled, PullUp, PullDown };
enum class Edge : uint8_t { None, Rising, Falling, Both };
// What an output shows when it has just been taken: what it shows already, or a level.
enum class Initial : uint8_t { Keep, Off, On };

struct InputConfig {
  bool active_low = false;
  Bias bias = Bias::AsIs;
  Edge edge = Edge::None;
};

struct OutputConfig {
  bool active_low = false;
  Initial initial = Initial::Keep;
};

struct EdgeEvent {
  bool rising = false;       // became active
  int64_t monotonic_ns = 0;  // CLOCK_MONOTONIC, as the kernel stamped it
  uint32_t sequence = 0;     // counts the line's edges from 1, seen or not; 0: not known (1.6)
};

// A line that this process holds; released when destroyed, which on most chips returns an output
// to an input (a Raspberry Pi keeps it driven). Must not outlive its Chip.
class Line {
 public:
  virtual ~Line() = default;
  // Errors of all three: LineError; ENODEV when the chip has vanished.
  virtual bool level() = 0;
  virtual void set(bool level) = 0;
  // Takes what edges are there, at most events.size(), without waiting; returns how many.
  virtual size_t read_edges(std::span<EdgeEvent> events) = 0;
  // Readable when there are edges; -1 unless requested with edges.
  virtual int fd() const = 0;
};

struct ChipInfo {
  std::string path;   // "/dev/gpiochip0"
  std::string name;   // "gpiochip0"
  std::string label;  // "pinctrl-bcm2711"
};

class Chip {
 public:
  virtual ~Chip() = default;
  virtual const ChipInfo& info() const = 0;
  // The names of all lines, by offset; empty where there is none.
  virtual std::vector<std::string> line_names() = 0;
  // Errors: LineError; EBUSY names who holds the line.
  virtual std::unique_ptr<Line> request_input(unsigned offset, const InputConfig& config) = 0;
  virtual std::unique_ptr<Line> request_output(unsigned offset, const OutputConfig& config) = 0;
  // Whether the device file is still the one that was opened. An unplugged chip tells nobody that
  // waits for edges (libgpiod 1.6, Linux 6.1), so ask now and then.
  virtual bool present() const = 0;
};

// ---- Implemented by the backend that is linked. ---------------------------------------------

// How the kernel buffers the edges of a line until they are read. What finds no room is lost: of
// numbered edges the oldest, else the newest.
struct EdgeBuffer {
  bool numbered = false;  // EdgeEvent::sequence is known
  size_t edges = 0;       // for so many there is room
};
EdgeBuffer edge_buffer();
// The chips that can be opened, in the order of their numbers.
std::vector<ChipInfo> list_chips();
// Errors: LineError.
std::unique_ptr<Chip> open_chip(const std::string& path);

// ---- The same for all backends (lines.cpp). ---------------------------------------------------

// The path of the chip that a person calls `wanted`: a path, a name, a number or a label, of those
// in `chips`. Labels stay when numbers move: a Pi 5's header is gpiochip0 or gpiochip4, but always
// "pinctrl-rp1". Errors: LineError, saying what there is.
std::string find_chip(const std::string& wanted, const std::vector<ChipInfo>& chips);

// The offset of the line that is called `name`. Errors: LineError, if there is none or two.
unsigned find_line(const std::string& name, const std::vector<std::string>& names,
                   const ChipInfo& chip);

// For backends: /dev/gpiochip* without symbolic links, by number.
std::vector<std::string> chip_paths();
LineError open_error(const std::string& path, int errno_value);
// `consumer` is who holds the line, if anybody.
LineError request_error(const ChipInfo& chip, unsigned offset, const std::string& consumer,
                        int errno_value);
LineError access_error(const ChipInfo& chip, unsigned offset, const char* verb, int errno_value);

// Recognises a device file again.
class DeviceFile {
 public:
  explicit DeviceFile(std::string path);
  bool is_same() const;

 private:
  std::string path_;
  uint64_t inode_ = 0, device_ = 0;
};

}  // namespace gpio
