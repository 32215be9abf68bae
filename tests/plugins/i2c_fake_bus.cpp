// SPDX-License-Identifier: Apache-2.0
#include "i2c_fake_bus.hpp"

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <utility>

namespace i2c {
namespace fakes {

World world;

void fail(int error) { throw BusError(error, explain(error)); }

void Memory::put(uint8_t from, const Bytes& content) {
  for (const uint8_t byte : content) bytes[from++] = byte;
}

void Memory::operator()(std::span<const uint8_t> out, std::span<uint8_t> in) {
  uint8_t at = out[0];
  for (const uint8_t byte : out.subspan(1)) bytes[at++] = byte;
  for (uint8_t& byte : in) byte = bytes[at++];
}

namespace {

void with_registers(FakeChip& chip, std::span<const uint8_t> out, std::span<uint8_t> in) {
  Bytes& bytes = chip.registers[out[0]];
  if (in.empty() && !chip.deaf) bytes.assign(out.begin() + 1, out.end());
  if (in.size() > bytes.size()) fail(EREMOTEIO);
  std::copy_n(bytes.begin(), in.size(), in.begin());
}

class FakeBus final : public Bus {
 public:
  void transfer(uint8_t address, std::span<const uint8_t> out, std::span<uint8_t> in) override {
    if (!world.locked) ++world.unlocked_transfers;
    const auto found = world.chips.find(address);
    if (found == world.chips.end()) fail(EREMOTEIO);
    FakeChip& chip = found->second;
    ++chip.transfers;
    if (!chip.errors.empty()) {
      const int error = chip.errors.front();
      chip.errors.pop_front();
      if (error != 0) fail(error);
    }
    if (chip.speaks) {
      chip.speaks(out, in);
    } else {
      with_registers(chip, out, in);
    }
  }
  void lock() override {
    if (std::exchange(world.locked, true)) throw std::logic_error("locked twice");
  }
  void unlock() override { world.locked = false; }
  void pause(std::chrono::milliseconds time) override {
    if (world.locked) throw std::logic_error("a pause while the bus is locked");
    world.paused += time;
  }
};

}  // namespace
}  // namespace fakes

std::unique_ptr<Bus> open_bus(const std::string& bus) {
  if (fakes::world.open_error != 0) {
    throw BusError(fakes::world.open_error, "there is no " + bus_path(bus));
  }
  ++fakes::world.opened;
  return std::make_unique<fakes::FakeBus>();
}

}  // namespace i2c
