// SPDX-License-Identifier: Apache-2.0
//
// lines.hpp over the C API of libgpiod 2.x (Debian 13). One request per line: a line that is busy
// takes no other with it.
#include <fcntl.h>
#include <gpiod.h>

#include <algorithm>
#include <cerrno>
#include <new>

#include "lines.hpp"

namespace gpio {
namespace {

constexpr char kConsumer[] = "fieldpost";
constexpr size_t kBuffered = 64;  // edges taken at once
// Waiting in the kernel for one request: no more than this (GPIO_V2_LINES_MAX * 16 of
// linux/gpio.h).
constexpr size_t kWaiting = 1024;

template <auto Free>
struct Deleter {
  template <class T>
  void operator()(T* handle) const {
    Free(handle);
  }
};
using ChipHandle = std::unique_ptr<gpiod_chip, Deleter<gpiod_chip_close>>;
using ChipInfoHandle = std::unique_ptr<gpiod_chip_info, Deleter<gpiod_chip_info_free>>;
using LineInfoHandle = std::unique_ptr<gpiod_line_info, Deleter<gpiod_line_info_free>>;
using SettingsHandle = std::unique_ptr<gpiod_line_settings, Deleter<gpiod_line_settings_free>>;
using ConfigHandle = std::unique_ptr<gpiod_line_config, Deleter<gpiod_line_config_free>>;
using RequestConfigHandle =
    std::unique_ptr<gpiod_request_config, Deleter<gpiod_request_config_free>>;
using RequestHandle = std::unique_ptr<gpiod_line_request, Deleter<gpiod_line_request_release>>;
using BufferHandle =
    std::unique_ptr<gpiod_edge_event_buffer, Deleter<gpiod_edge_event_buffer_free>>;

// libgpiod's constructors fail only for want of memory.
template <class Handle, class T>
Handle owned(T* raw) {
  if (raw == nullptr) throw std::bad_alloc();
  return Handle(raw);
}

gpiod_line_bias bias_of(Bias bias) {
  switch (bias) {
    case Bias::Disabled:
      return GPIOD_LINE_BIAS_DISABLED;
    case Bias::PullUp:
      return GPIOD_LINE_BIAS_PULL_UP;
    case Bias::PullDown:
      return GPIOD_LINE_BIAS_PULL_DOWN;
    case Bias::AsIs:
      break;
  }
  return GPIOD_LINE_BIAS_AS_IS;
}

gpiod_line_edge edge_of(Edge edge) {
  switch (edge) {
    case Edge::Rising:
      return GPIOD_LINE_EDGE_RISING;
    case Edge::Falling:
      return GPIOD_LINE_EDGE_FALLING;
    case Edge::Both:
      return GPIOD_LINE_EDGE_BOTH;
    case Edge::None:
      break;
  }
  return GPIOD_LINE_EDGE_NONE;
}

ChipInfo info_of(gpiod_chip* chip, const std::string& path) {
  const ChipInfoHandle info(gpiod_chip_get_info(chip));
  if (!info) throw open_error(path, errno);
  return {path, gpiod_chip_info_get_name(info.get()), gpiod_chip_info_get_label(info.get())};
}

ConfigHandle config_of(unsigned offset, gpiod_line_settings* settings) {
  auto config = owned<ConfigHandle>(gpiod_line_config_new());
  if (gpiod_line_config_add_line_settings(config.get(), &offset, 1, settings) < 0) {
    throw std::bad_alloc();
  }
  return config;
}

class LineV2 final : public Line {
 public:
  LineV2(const ChipInfo& chip, unsigned offset, RequestHandle request, bool edges)
      : chip_(chip), offset_(offset), request_(std::move(request)) {
    if (!edges) return;
    fd_ = gpiod_line_request_get_fd(request_.get());
    // So that reading what is not there does not wait.
    fcntl(fd_, F_SETFL, fcntl(fd_, F_GETFL) | O_NONBLOCK);
    buffer_ = owned<BufferHandle>(gpiod_edge_event_buffer_new(kBuffered));
  }

  bool level() override {
    const gpiod_line_value level = gpiod_line_request_get_value(request_.get(), offset_);
    if (level == GPIOD_LINE_VALUE_ERROR) throw access_error(chip_, offset_, "read", errno);
    return level == GPIOD_LINE_VALUE_ACTIVE;
  }

  void set(bool level) override {
    if (gpiod_line_request_set_value(request_.get(), offset_, value_of(level)) < 0) {
      throw access_error(chip_, offset_, "set", errno);
    }
  }

  // Drives the line, which was taken as it is, with `level`.
  void drive(bool active_low, bool level) {
    const auto settings = owned<SettingsHandle>(gpiod_line_settings_new());
    gpiod_line_settings_set_direction(settings.get(), GPIOD_LINE_DIRECTION_OUTPUT);
    gpiod_line_settings_set_active_low(settings.get(), active_low);
    gpiod_line_settings_set_output_value(settings.get(), value_of(level));
    const ConfigHandle config = config_of(offset_, settings.get());
    if (gpiod_line_request_reconfigure_lines(request_.get(), config.get()) < 0) {
      throw access_error(chip_, offset_, "drive", errno);
    }
  }

  size_t read_edges(std::span<EdgeEvent> events) override {
    const size_t wanted = std::min(kBuffered, events.size());
    const int n = gpiod_line_request_read_edge_events(request_.get(), buffer_.get(), wanted);
    if (n < 0 && errno == EAGAIN) return 0;
    if (n < 0) throw access_error(chip_, offset_, "read edges of", errno);
    for (size_t i = 0; i < static_cast<size_t>(n); ++i) {
      gpiod_edge_event* event = gpiod_edge_event_buffer_get_event(buffer_.get(), i);
      events[i] = {gpiod_edge_event_get_event_type(event) == GPIOD_EDGE_EVENT_RISING_EDGE,
                   static_cast<int64_t>(gpiod_edge_event_get_timestamp_ns(event)),
                   static_cast<uint32_t>(gpiod_edge_event_get_line_seqno(event))};
    }
    return static_cast<size_t>(n);
  }

  int fd() const override { return fd_; }

  static gpiod_line_value value_of(bool level) {
    return level ? GPIOD_LINE_VALUE_ACTIVE : GPIOD_LINE_VALUE_INACTIVE;
  }

 private:
  const ChipInfo& chip_;
  unsigned offset_;
  RequestHandle request_;
  BufferHandle buffer_;
  int fd_ = -1;  // owned by the request
};

class ChipV2 final : public Chip {
 public:
  ChipV2(ChipHandle chip, const std::string& path)
      : chip_(std::move(chip)), info_(info_of(chip_.get(), path)), file_(path) {}

  const ChipInfo& info() const override { return info_; }
  bool present() const override { return file_.is_same(); }

  std::vector<std::string> line_names() override {
    const ChipInfoHandle info(gpiod_chip_get_info(chip_.get()));
    if (!info) throw open_error(info_.path, errno);
    std::vector<std::string> names(gpiod_chip_info_get_num_lines(info.get()));
    for (unsigned i = 0; i < names.size(); ++i) {
      const LineInfoHandle line(gpiod_chip_get_line_info(chip_.get(), i));
      if (!line) continue;
      const char* name = gpiod_line_info_get_name(line.get());
      if (name != nullptr) names[i] = name;
    }
    return names;
  }

  std::unique_ptr<Line> request_input(unsigned offset, const InputConfig& config) override {
    const auto settings = owned<SettingsHandle>(gpiod_line_settings_new());
    gpiod_line_settings_set_direction(settings.get(), GPIOD_LINE_DIRECTION_INPUT);
    gpiod_line_settings_set_active_low(settings.get(), config.active_low);
    gpiod_line_settings_set_bias(settings.get(), bias_of(config.bias));
    gpiod_line_settings_set_edge_detection(settings.get(), edge_of(config.edge));
    gpiod_line_settings_set_event_clock(settings.get(), GPIOD_LINE_CLOCK_MONOTONIC);
    return std::make_unique<LineV2>(info_, offset, request(offset, settings.get()),
                                    config.edge != Edge::None);
  }

  std::unique_ptr<Line> request_output(unsigned offset, const OutputConfig& config) override {
    const bool keep = config.initial == Initial::Keep;
    const auto settings = owned<SettingsHandle>(gpiod_line_settings_new());
    gpiod_line_settings_set_direction(
        settings.get(), keep ? GPIOD_LINE_DIRECTION_AS_IS : GPIOD_LINE_DIRECTION_OUTPUT);
    gpiod_line_settings_set_active_low(settings.get(), config.active_low);
    gpiod_line_settings_set_output_value(settings.get(),
                                         LineV2::value_of(config.initial == Initial::On));
    auto line = std::make_unique<LineV2>(info_, offset, request(offset, settings.get()), false);
    // Taken as it is, looked at, and only then driven, with what it shows: no edge.
    if (keep) line->drive(config.active_low, line->level());
    return line;
  }

 private:
  RequestHandle request(unsigned offset, gpiod_line_settings* settings) {
    const ConfigHandle lines = config_of(offset, settings);
    const auto who = owned<RequestConfigHandle>(gpiod_request_config_new());
    gpiod_request_config_set_consumer(who.get(), kConsumer);
    gpiod_request_config_set_event_buffer_size(who.get(), kWaiting);  // without edges: ignored
    RequestHandle request(gpiod_chip_request_lines(chip_.get(), who.get(), lines.get()));
    if (!request) {
      const int error = errno;
      const LineInfoHandle line(gpiod_chip_get_line_info(chip_.get(), offset));
      const char* holder = line ? gpiod_line_info_get_consumer(line.get()) : nullptr;
      throw request_error(info_, offset, holder != nullptr ? holder : "", error);
    }
    return request;
  }

  ChipHandle chip_;
  ChipInfo info_;
  DeviceFile file_;
};

}  // namespace

EdgeBuffer edge_buffer() { return {.numbered = true, .edges = kWaiting}; }

std::vector<ChipInfo> list_chips() {
  std::vector<ChipInfo> chips;
  for (const std::string& path : chip_paths()) {
    const ChipHandle chip(gpiod_chip_open(path.c_str()));
    if (chip) chips.push_back(info_of(chip.get(), path));
  }
  return chips;
}

std::unique_ptr<Chip> open_chip(const std::string& path) {
  ChipHandle chip(gpiod_chip_open(path.c_str()));
  if (!chip) throw open_error(path, errno);
  return std::make_unique<ChipV2>(std::move(chip), path);
}

}  // namespace gpio
