// SPDX-License-Identifier: Apache-2.0
//
// Sensirion SHT3x and SHT4x: a command, a pause, six bytes with two checksums. They need plain
// transfers: SMBus has no read of six bytes without a register.
#include "sht.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>

#include "../driver.hpp"

namespace i2c {
namespace sht {

uint8_t crc(std::span<const uint8_t> bytes) {
  uint8_t sum = 0xFF;
  for (const uint8_t byte : bytes) {
    sum = sum ^ byte;
    for (int bit = 0; bit < 8; ++bit) {
      sum = static_cast<uint8_t>((sum & 0x80) != 0 ? sum << 1 ^ 0x31 : sum << 1);
    }
  }
  return sum;
}

double temperature(uint16_t ticks) { return -45.0 + 175.0 * ticks / 65535.0; }
double humidity3(uint16_t ticks) { return 100.0 * ticks / 65535.0; }
double humidity4(uint16_t ticks) { return std::clamp(-6.0 + 125.0 * ticks / 65535.0, 0.0, 100.0); }

}  // namespace sht

namespace {

constexpr std::array<Channel, 2> kChannels = {{{"temperature", "degC"}, {"humidity", "%"}}};

struct Model {
  std::array<uint8_t, 2> measure;  // the first n are the command
  std::array<uint8_t, 2> reset;
  size_t n;
  std::chrono::milliseconds measuring;  // at most
  std::chrono::milliseconds resetting;
  double (*humidity)(uint16_t ticks);
};

// SHT3x-DIS, table 9 (high repeatability, no clock stretching), table 13 (soft reset), table
// 4: 15.5 and 1.5 ms at most.
constexpr Model kModel3 = {
    {0x24, 0x00},  {0x30, 0xA2}, 2, std::chrono::milliseconds(17), std::chrono::milliseconds(2),
    sht::humidity3};
// SHT4x, table 8 (high precision; soft reset), table 4: 8.3 and 1 ms at most.
constexpr Model kModel4 = {
    {0xFD}, {0x94}, 1, std::chrono::milliseconds(10), std::chrono::milliseconds(2), sht::humidity4};

class Sht final : public Driver {
 public:
  Sht(const Setup& setup, const Model& model) : wanted_(setup.wanted), model_(&model) {}

  // Ends whatever it was in the middle of, such as periodic measurements that another driver began.
  void start(Link& link) override {
    link.transfer(std::span(model_->reset).first(model_->n), {}, "soft reset");
    link.pause(model_->resetting);
  }

  std::vector<Measured> read(Link& link) override {
    std::array<uint8_t, 6> bytes{};
    measure(link, bytes);
    if (!is_sound(bytes)) measure(link, bytes);  // a spike on the line hits once
    if (!is_sound(bytes)) link.fail(EBADMSG, wrong_sum(bytes));
    const auto ticks = [&](size_t at) {
      return static_cast<uint16_t>(bytes[at] << 8 | bytes[at + 1]);
    };
    const std::array<double, 2> values = {sht::temperature(ticks(0)), model_->humidity(ticks(3))};
    std::vector<Measured> found;
    for (const Wanted& wanted : wanted_) found.push_back({values.at(wanted.channel)});
    return found;
  }

 private:
  void measure(Link& link, std::span<uint8_t> ret) const {
    link.transfer(std::span(model_->measure).first(model_->n), {}, "measurement");
    link.pause(model_->measuring);
    link.transfer({}, ret, "measurement");
  }

  static bool is_sound(std::span<const uint8_t, 6> bytes) {
    return sht::crc(bytes.first(2)) == bytes[2] && sht::crc(bytes.subspan(3, 2)) == bytes[5];
  }

  static std::string wrong_sum(std::span<const uint8_t, 6> bytes) {
    const size_t at = sht::crc(bytes.first(2)) == bytes[2] ? 3 : 0;
    return "wrong checksum, twice: " + hex(bytes[at + 2]) + " for " +
           hex(static_cast<unsigned>(bytes[at] << 8 | bytes[at + 1])) + ", expected " +
           hex(sht::crc(bytes.subspan(at, 2))) + "; a long or disturbed line?";
  }

  std::vector<Wanted> wanted_;
  const Model* model_;
};

}  // namespace

constinit const Driver::Kind kSht3x = {"sht3x", kChannels,
                                       [](const Setup& setup) -> std::unique_ptr<Driver> {
                                         return std::make_unique<Sht>(setup, kModel3);
                                       }};
constinit const Driver::Kind kSht4x = {"sht4x", kChannels,
                                       [](const Setup& setup) -> std::unique_ptr<Driver> {
                                         return std::make_unique<Sht>(setup, kModel4);
                                       }};

}  // namespace i2c
