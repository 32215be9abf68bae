// SPDX-License-Identifier: Apache-2.0
//
// Bosch BME280 (temperature, pressure, humidity) and BMP280 (without humidity). Each poll asks for
// one measurement ("forced mode"): between them the chip sleeps, and what is read is never an old
// value of a chip that has lost its power. Registers: BST-BME280-DS002, 5.3 and 5.4.
#include "bme280.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>

#include "../driver.hpp"

namespace i2c {
namespace bme280 {
namespace {

uint16_t word(std::span<const uint8_t> bytes, size_t at) {
  return static_cast<uint16_t>(bytes[at] | bytes[at + 1] << 8);  // the low byte comes first
}
int16_t signed_word(std::span<const uint8_t> bytes, size_t at) {
  return static_cast<int16_t>(word(bytes, at));
}

}  // namespace

void read_pressure_part(std::span<const uint8_t, 24> bytes, Calibration& ret) {
  ret.t1 = word(bytes, 0);
  ret.t2 = signed_word(bytes, 2);
  ret.t3 = signed_word(bytes, 4);
  ret.p1 = word(bytes, 6);
  ret.p2 = signed_word(bytes, 8);
  ret.p3 = signed_word(bytes, 10);
  ret.p4 = signed_word(bytes, 12);
  ret.p5 = signed_word(bytes, 14);
  ret.p6 = signed_word(bytes, 16);
  ret.p7 = signed_word(bytes, 18);
  ret.p8 = signed_word(bytes, 20);
  ret.p9 = signed_word(bytes, 22);
}

void read_humidity_part(uint8_t a1, std::span<const uint8_t, 7> bytes, Calibration& ret) {
  ret.h1 = a1;
  ret.h2 = signed_word(bytes, 0);
  ret.h3 = bytes[2];
  // Twelve bits each, which share the byte in the middle; the highest has the sign.
  ret.h4 = static_cast<int16_t>(static_cast<int8_t>(bytes[3]) * 16 | (bytes[4] & 0x0F));
  ret.h5 = static_cast<int16_t>(static_cast<int8_t>(bytes[5]) * 16 | bytes[4] >> 4);
  ret.h6 = static_cast<int8_t>(bytes[6]);
}

double temperature(const Calibration& c, int32_t raw, double& ret_fine) {
  const double a = (raw / 16384.0 - c.t1 / 1024.0) * c.t2;
  const double b = raw / 131072.0 - c.t1 / 8192.0;
  // The datasheet's code cuts it to a whole number, and so misses its own example by 0.01 Pa.
  ret_fine = a + b * b * c.t3;
  return ret_fine / 5120.0;
}

double pressure(const Calibration& c, int32_t raw, double fine) {
  double a = fine / 2.0 - 64000.0;
  double b = a * a * c.p6 / 32768.0;
  b += a * c.p5 * 2.0;
  b = b / 4.0 + c.p4 * 65536.0;
  a = (c.p3 * a * a / 524288.0 + c.p2 * a) / 524288.0;
  a = (1.0 + a / 32768.0) * c.p1;
  if (a == 0) return std::numeric_limits<double>::quiet_NaN();
  double p = 1048576.0 - raw;
  p = (p - b / 4096.0) * 6250.0 / a;
  a = c.p9 * p * p / 2147483648.0;
  b = p * c.p8 / 32768.0;
  return p + (a + b + c.p7) / 16.0;
}

double humidity(const Calibration& c, int32_t raw, double fine) {
  double h = fine - 76800.0;
  h = (raw - (c.h4 * 64.0 + c.h5 / 16384.0 * h)) *
      (c.h2 / 65536.0 * (1.0 + c.h6 / 67108864.0 * h * (1.0 + c.h3 / 67108864.0 * h)));
  h *= 1.0 - c.h1 * h / 524288.0;
  return std::clamp(h, 0.0, 100.0);
}

}  // namespace bme280

namespace {

constexpr uint8_t kIdRegister = 0xD0, kControlHumidity = 0xF2, kStatus = 0xF3, kControl = 0xF4;
constexpr uint8_t kData = 0xF7, kCalibration = 0x88, kHumidity1 = 0xA1, kHumidity2 = 0xE1;
constexpr uint8_t kMeasuring = 0x08;
constexpr uint8_t kOnce = 0x25;  // temperature and pressure once each, forced mode
constexpr uint8_t kHumidityOnce = 0x01;
constexpr int32_t kNoNumber = 0x80000;  // what a measurement that was skipped leaves
constexpr int32_t kNoHumidity = 0x8000;
// Appendix B 9.1: 1.25 + 2.3 + (2.3 + 0.575) + (2.3 + 0.575) ms at most.
constexpr std::chrono::milliseconds kTime(10);
constexpr int kLooks = 5;
constexpr uint8_t kBmeId = 0x60, kBmpId = 0x58;

constexpr std::array<Channel, 3> kChannels = {
    {{"temperature", "degC"}, {"pressure", "Pa"}, {"humidity", "%"}}};

class Bme280 final : public Driver {
 public:
  Bme280(const Setup& setup, bool has_humidity)
      : wanted_(setup.wanted), has_humidity_(has_humidity) {}

  void start(Link& link) override {
    std::array<uint8_t, 1> id{};
    link.read(kIdRegister, id);
    expect(link, id[0]);
    std::array<uint8_t, 24> bytes{};
    link.read(kCalibration, bytes);
    bme280::read_pressure_part(bytes, calibration_);
    if (has_humidity_) {
      std::array<uint8_t, 1> first{};
      std::array<uint8_t, 7> rest{};
      link.read(kHumidity1, first);
      link.read(kHumidity2, rest);
      bme280::read_humidity_part(first[0], rest, calibration_);
    }
    if (calibration_.t1 == 0 || calibration_.p1 == 0) {
      link.fail(EPROTO, "its calibration makes no sense: is it soldered well?");
    }
  }

  std::vector<Measured> read(Link& link) override {
    if (has_humidity_) link.write({kControlHumidity, kHumidityOnce});  // before kControl: 5.4.3
    link.write({kControl, kOnce});
    wait(link);
    std::array<uint8_t, 8> bytes{};
    link.read(kData, std::span(bytes).first(has_humidity_ ? 8 : 6));
    const int32_t p = bytes[0] << 12 | bytes[1] << 4 | bytes[2] >> 4;
    const int32_t t = bytes[3] << 12 | bytes[4] << 4 | bytes[5] >> 4;
    const int32_t h = bytes[6] << 8 | bytes[7];
    if (t == kNoNumber || p == kNoNumber || (has_humidity_ && h == kNoHumidity)) {
      link.fail(EPROTO, "has not measured what it was asked for: did it lose its power?");
    }
    std::array<double, 3> values{};
    double fine = 0;
    values[0] = bme280::temperature(calibration_, t, fine);
    values[1] = bme280::pressure(calibration_, p, fine);
    if (has_humidity_) values[2] = bme280::humidity(calibration_, h, fine);
    std::vector<Measured> found;
    for (const Wanted& wanted : wanted_) found.push_back({values.at(wanted.channel)});
    return found;
  }

 private:
  void expect(Link& link, uint8_t id) const {
    if (id == (has_humidity_ ? kBmeId : kBmpId)) return;
    if (id == kBmpId) link.fail(EPROTO, "is a BMP280, which has no humidity: use that driver");
    if (id == kBmeId) link.fail(EPROTO, "is a BME280: use that driver");
    link.fail(EPROTO, "is another chip: its id is " + hex(id) + ", expected " +
                          hex(has_humidity_ ? kBmeId : kBmpId));
  }

  static void wait(Link& link) {
    for (int look = 0; look < kLooks; ++look) {
      link.pause(kTime);
      std::array<uint8_t, 1> status{};
      link.read(kStatus, status);
      if ((status[0] & kMeasuring) == 0) return;
    }
    link.fail(ETIME, "does not end its measurement");
  }

  std::vector<Wanted> wanted_;
  bool has_humidity_;
  bme280::Calibration calibration_;
};

}  // namespace

constinit const Driver::Kind kBme280 = {"bme280", kChannels,
                                        [](const Setup& setup) -> std::unique_ptr<Driver> {
                                          return std::make_unique<Bme280>(setup, true);
                                        }};
constinit const Driver::Kind kBmp280 = {"bmp280", std::span(kChannels).first(2),
                                        [](const Setup& setup) -> std::unique_ptr<Driver> {
                                          return std::make_unique<Bme280>(setup, false);
                                        }};

}  // namespace i2c
