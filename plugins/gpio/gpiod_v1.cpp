// SPDX-License-Identifier: Apache-2.0
//
// lines.hpp over the C API of libgpiod 1.6 (Debian 12). One request per line: a line that is busy
// takes no other with it.
#include <fcntl.h>
#include <gpiod.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "lines.hpp"

namespace gpio {
namespace {

constexpr char kConsumer[] = "fieldpost";

struct CloseChip {
  void operator()(gpiod_chip* chip) const { gpiod_chip_close(chip); }
};
using ChipHandle = std::unique_ptr<gpiod_chip, CloseChip>;

int flags_of(bool active_low, Bias bias) {
  int flags = active_low ? GPIOD_LINE_REQUEST_FLAG_ACTIVE_LOW : 0;
  if (bias == Bias::Disabled) flags |= GPIOD_LINE_REQUEST_FLAG_BIAS_DISABLE;
  if (bias == Bias::PullUp) flags |= GPIOD_LINE_REQUEST_FLAG_BIAS_PULL_UP;
  if (bias == Bias::PullDown) flags |= GPIOD_LINE_REQUEST_FLAG_BIAS_PULL_DOWN;
  return flags;
}

int request_type(Edge edge) {
  switch (edge) {
    case Edge::Rising:
      return GPIOD_LINE_REQUEST_EVENT_RISING_EDGE;
    case Edge::Falling:
      return GPIOD_LINE_REQUEST_EVENT_FALLING_EDGE;
    case Edge::Both:
      return GPIOD_LINE_REQUEST_EVENT_BOTH_EDGES;
    case Edge::None:
      break;
  }
  return GPIOD_LINE_REQUEST_DIRECTION_INPUT;
}

class LineV1 final : public Line {
 public:
  LineV1(const ChipInfo& chip, gpiod_line* line, bool edges)
      : chip_(chip), line_(line), fd_(edges ? gpiod_line_event_get_fd(line) : -1) {
    // So that reading what is not there does not wait.
    if (fd_ >= 0) fcntl(fd_, F_SETFL, fcntl(fd_, F_GETFL) | O_NONBLOCK);
  }
  ~LineV1() override { gpiod_line_release(line_); }
  LineV1(const LineV1&) = delete;
  LineV1& operator=(const LineV1&) = delete;

  bool level() override {
    const int level = gpiod_line_get_value(line_);
    if (level < 0) throw access_error(chip_, gpiod_line_offset(line_), "read", errno);
    return level != 0;
  }

  void set(bool level) override {
    if (gpiod_line_set_value(line_, level ? 1 : 0) < 0) {
      throw access_error(chip_, gpiod_line_offset(line_), "set", errno);
    }
  }

  size_t read_edges(std::span<EdgeEvent> events) override {
    std::array<gpiod_line_event, 16> raw{};
    const size_t wanted = std::min(raw.size(), events.size());
    const int n = gpiod_line_event_read_fd_multiple(fd_, raw.data(), static_cast<unsigned>(wanted));
    if (n < 0 && errno == EAGAIN) return 0;
    if (n < 0) throw access_error(chip_, gpiod_line_offset(line_), "read edges of", errno);
    for (size_t i = 0; i < static_cast<size_t>(n); ++i) {
      events[i] = {raw[i].event_type == GPIOD_LINE_EVENT_RISING_EDGE,
                   raw[i].ts.tv_sec * int64_t{1'000'000'000} + raw[i].ts.tv_nsec, 0};
    }
    return static_cast<size_t>(n);
  }

  int fd() const override { return fd_; }

 private:
  const ChipInfo& chip_;
  gpiod_line* line_;  // owned by the chip
  int fd_;            // owned by the line
};

class ChipV1 final : public Chip {
 public:
  ChipV1(ChipHandle chip, const std::string& path)
      : chip_(std::move(chip)),
        info_{path, gpiod_chip_name(chip_.get()), gpiod_chip_label(chip_.get())},
        file_(path) {}

  const ChipInfo& info() const override { return info_; }
  bool present() const override { return file_.is_same(); }

  std::vector<std::string> line_names() override {
    std::vector<std::string> names(gpiod_chip_num_lines(chip_.get()));
    for (unsigned i = 0; i < names.size(); ++i) {
      gpiod_line* line = gpiod_chip_get_line(chip_.get(), i);
      if (line != nullptr && gpiod_line_name(line) != nullptr) names[i] = gpiod_line_name(line);
    }
    return names;
  }

  std::unique_ptr<Line> request_input(unsigned offset, const InputConfig& config) override {
    gpiod_line* line =
        request(offset, request_type(config.edge), flags_of(config.active_low, config.bias), 0);
    return std::make_unique<LineV1>(info_, line, config.edge != Edge::None);
  }

  std::unique_ptr<Line> request_output(unsigned offset, const OutputConfig& config) override {
    const int flags = flags_of(config.active_low, Bias::AsIs);
    if (config.initial != Initial::Keep) {
      gpiod_line* line = request(offset, GPIOD_LINE_REQUEST_DIRECTION_OUTPUT, flags,
                                 config.initial == Initial::On ? 1 : 0);
      return std::make_unique<LineV1>(info_, line, false);
    }
    // Taken as it is, looked at, and only then driven, with what it shows: no edge.
    gpiod_line* line = request(offset, GPIOD_LINE_REQUEST_DIRECTION_AS_IS, flags, 0);
    auto taken = std::make_unique<LineV1>(info_, line, false);
    const int level = taken->level() ? 1 : 0;
    if (gpiod_line_set_config(line, GPIOD_LINE_REQUEST_DIRECTION_OUTPUT, flags, level) < 0) {
      throw access_error(info_, offset, "drive", errno);
    }
    return taken;
  }

 private:
  gpiod_line* request(unsigned offset, int type, int flags, int level) {
    gpiod_line* line = gpiod_chip_get_line(chip_.get(), offset);
    if (line == nullptr) throw request_error(info_, offset, "", errno);
    const gpiod_line_request_config config{kConsumer, type, flags};
    if (gpiod_line_request(line, &config, level) < 0) {
      const int error = errno;
      std::string holder;
      if (gpiod_line_update(line) == 0 && gpiod_line_consumer(line) != nullptr) {
        holder = gpiod_line_consumer(line);
      }
      throw request_error(info_, offset, holder, error);
    }
    return line;
  }

  ChipHandle chip_;
  ChipInfo info_;
  DeviceFile file_;
};

}  // namespace

// Linux has 16 for each line that is requested in this way (gpiolib-cdev.c, struct
// lineevent_state).
EdgeBuffer edge_buffer() { return {.numbered = false, .edges = 16}; }

std::vector<ChipInfo> list_chips() {
  std::vector<ChipInfo> chips;
  for (const std::string& path : chip_paths()) {
    const ChipHandle chip(gpiod_chip_open(path.c_str()));
    if (chip) chips.push_back({path, gpiod_chip_name(chip.get()), gpiod_chip_label(chip.get())});
  }
  return chips;
}

std::unique_ptr<Chip> open_chip(const std::string& path) {
  ChipHandle chip(gpiod_chip_open(path.c_str()));
  if (!chip) throw open_error(path, errno);
  return std::make_unique<ChipV1>(std::move(chip), path);
}

}  // namespace gpio
