// SPDX-License-Identifier: Apache-2.0
//
// bus.hpp over i2c-dev. Adapters that only speak SMBus (PC chipsets, the kernel's i2c-stub) have no
// plain transfers: there a transfer is made of the SMBus command that puts the same bytes on the
// wire, if there is one.
#include "bus.hpp"

#include <fcntl.h>
#include <linux/i2c-dev.h>
#include <linux/i2c.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <thread>

#include "../common/access.hpp"

namespace i2c {
namespace {

BusError failed(int errno_value) { return {errno_value, explain(errno_value)}; }

std::string buses_here() {
  std::string all;
  std::error_code error;
  for (std::filesystem::directory_iterator i("/dev", error), end; !error && i != end;
       i.increment(error)) {
    const std::string name = i->path().filename();
    if (name.starts_with("i2c-")) all += (all.empty() ? "" : ", ") + i->path().string();
  }
  return all;
}

BusError open_error(const std::string& path, int errno_value) {
  if (errno_value == EACCES || errno_value == EPERM) {
    return {errno_value, plugin_common::no_permission(path, "i2c", "i2c-dev")};
  }
  if (errno_value == ENOENT) {
    const std::string others = buses_here();
    return {errno_value, "there is no " + path + (others.empty() ? "" : " (but " + others + ")") +
                             ": switch the bus on (raspi-config, Interface Options, I2C) and load "
                             "the module i2c-dev"};
  }
  return {errno_value, "cannot open " + path + ": " + std::generic_category().message(errno_value)};
}

class DevBus final : public Bus {
 public:
  explicit DevBus(const std::string& path) : fd_(open(path.c_str(), O_RDWR | O_CLOEXEC)) {
    if (fd_ < 0) throw open_error(path, errno);
    if (ioctl(fd_, I2C_FUNCS, &functions_) < 0) {
      const int error = errno;
      close(fd_);
      throw BusError(error,
                     path + " is not an I2C bus (" + std::generic_category().message(error) + ")");
    }
  }
  ~DevBus() override { close(fd_); }
  DevBus(const DevBus&) = delete;
  DevBus& operator=(const DevBus&) = delete;

  void transfer(uint8_t address, std::span<const uint8_t> out, std::span<uint8_t> in) override {
    select(address);
    if ((functions_ & I2C_FUNC_I2C) != 0) {
      plain(address, out, in);
    } else {
      smbus(out, in);
    }
  }

  // Of the device file, so that it holds among processes: the kernel's own lock covers one
  // transfer.
  void lock() override {
    while (flock(fd_, LOCK_EX) != 0) {
      if (errno != EINTR) throw failed(errno);
    }
  }
  void unlock() override { (void)flock(fd_, LOCK_UN); }
  void pause(std::chrono::milliseconds time) override { std::this_thread::sleep_for(time); }

 private:
  // Also tells whether a kernel driver has the chip, which plain transfers do not ask.
  void select(uint8_t address) {
    if (selected_ == address) return;
    selected_ = 0;
    if (ioctl(fd_, I2C_SLAVE, static_cast<unsigned long>(address)) < 0) throw failed(errno);
    selected_ = address;
  }

  void plain(uint8_t address, std::span<const uint8_t> out, std::span<uint8_t> in) const {
    std::array<i2c_msg, 2> messages{};
    uint32_t n = 0;
    if (!out.empty()) {
      // The kernel does not write into what it sends.
      messages[n++] = {address, 0, static_cast<uint16_t>(out.size()),
                       const_cast<uint8_t*>(out.data())};  // NOLINT
    }
    if (!in.empty()) {
      messages[n++] = {address, I2C_M_RD, static_cast<uint16_t>(in.size()), in.data()};
    }
    i2c_rdwr_ioctl_data request{messages.data(), n};
    const int done = ioctl(fd_, I2C_RDWR, &request);
    if (done < 0) throw failed(errno);
    if (static_cast<uint32_t>(done) != n) throw failed(EREMOTEIO);
  }

  void smbus(std::span<const uint8_t> out, std::span<uint8_t> in) const {
    i2c_smbus_data data{};
    if (in.empty()) {
      write_smbus(out, data);
      return;
    }
    if (out.size() > 1 || (out.empty() && in.size() > 1)) throw failed(EOPNOTSUPP);
    if (out.empty()) {
      command(I2C_SMBUS_READ, 0, I2C_SMBUS_BYTE, data);
      in[0] = data.byte;
    } else if (in.size() == 1) {
      command(I2C_SMBUS_READ, out[0], I2C_SMBUS_BYTE_DATA, data);
      in[0] = data.byte;
    } else if (in.size() == 2) {
      command(I2C_SMBUS_READ, out[0], I2C_SMBUS_WORD_DATA, data);
      in[0] = static_cast<uint8_t>(data.word & 0xFF);  // SMBus: the low byte comes first
      in[1] = static_cast<uint8_t>(data.word >> 8);
    } else {
      read_block(out[0], in, data);
    }
  }

  void write_smbus(std::span<const uint8_t> out, i2c_smbus_data& data) const {
    if (out.size() == 1) {
      command(I2C_SMBUS_WRITE, out[0], I2C_SMBUS_BYTE, data);
    } else if (out.size() == 2) {
      data.byte = out[1];
      command(I2C_SMBUS_WRITE, out[0], I2C_SMBUS_BYTE_DATA, data);
    } else if (out.size() == 3) {
      data.word = static_cast<uint16_t>(out[1] | out[2] << 8);
      command(I2C_SMBUS_WRITE, out[0], I2C_SMBUS_WORD_DATA, data);
    } else {
      if (out.size() - 1 > I2C_SMBUS_BLOCK_MAX) throw failed(EOPNOTSUPP);
      data.block[0] = static_cast<uint8_t>(out.size() - 1);
      std::ranges::copy(out.subspan(1), data.block + 1);
      command(I2C_SMBUS_WRITE, out[0], I2C_SMBUS_I2C_BLOCK_DATA, data);
    }
  }

  void read_block(uint8_t reg, std::span<uint8_t> in, i2c_smbus_data& data) const {
    if (in.size() > I2C_SMBUS_BLOCK_MAX) throw failed(EOPNOTSUPP);
    data.block[0] = static_cast<uint8_t>(in.size());
    command(I2C_SMBUS_READ, reg, I2C_SMBUS_I2C_BLOCK_DATA, data);
    if (data.block[0] < in.size()) {
      throw BusError(EIO, "answered " + std::to_string(data.block[0]) + " bytes instead of " +
                              std::to_string(in.size()));
    }
    std::copy_n(data.block + 1, in.size(), in.begin());
  }

  void command(uint8_t direction, uint8_t reg, uint32_t size, i2c_smbus_data& data) const {
    i2c_smbus_ioctl_data request{direction, reg, size, &data};
    if (ioctl(fd_, I2C_SMBUS, &request) < 0) throw failed(errno);
  }

  int fd_;
  unsigned long functions_ = 0;
  uint8_t selected_ = 0;  // address that the descriptor is set to; 0: none
};

}  // namespace

std::unique_ptr<Bus> open_bus(const std::string& bus) {
  return std::make_unique<DevBus>(bus_path(bus));
}

}  // namespace i2c
