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

void fail_if_due(std::deque<int>& errors) {
  if (errors.empty()) return;
  const int error = errors.front();
  errors.pop_front();
  if (error != 0) fail(error);
}

// On the bus itself and behind every channel that is open.
FakeChip& who_answers(uint8_t address) {
  std::vector<FakeChip*> all;
  const auto add = [&](std::map<uint8_t, FakeChip>& chips) {
    if (const auto it = chips.find(address); it != chips.end()) all.push_back(&it->second);
  };
  add(world.chips);
  for (auto& [mux_address, mux] : world.muxes) {
    for (auto& [channel, chips] : mux.chips) {
      if ((mux.open >> channel & 1) != 0) add(chips);
    }
  }
  if (all.empty()) fail(EREMOTEIO);
  if (all.size() > 1) throw std::logic_error("two chips answer");
  return *all.front();
}

class FakeBus final : public Bus {
 public:
  FakeBus() = default;
  ~FakeBus() override {
    if (is_mine_) world.locked = false;  // as the lock of a file that is closed
  }
  FakeBus(const FakeBus&) = delete;
  FakeBus& operator=(const FakeBus&) = delete;
  void transfer(uint8_t address, std::span<const uint8_t> out, std::span<uint8_t> in) override {
    if (!world.locked) ++world.unlocked_transfers;
    if (const auto mux = world.muxes.find(address); mux != world.muxes.end()) {
      fail_if_due(mux->second.errors);
      if (out.size() != 1 || !in.empty()) throw std::logic_error("no way to speak to a mux");
      mux->second.open = out[0];
      return;
    }
    FakeChip& chip = who_answers(address);
    ++chip.transfers;
    fail_if_due(chip.errors);
    if (chip.speaks) {
      chip.speaks(out, in);
    } else {
      with_registers(chip, out, in);
    }
  }
  void lock() override {
    if (std::exchange(world.locked, true)) throw std::logic_error("locked twice");
    is_mine_ = true;
  }
  void unlock() override {
    world.locked = is_mine_ = false;
    for (const auto& [address, mux] : world.muxes) world.left_open |= mux.open != 0;
    if (world.when_unlocked) world.when_unlocked();
  }
  void pause(std::chrono::milliseconds time) override {
    if (world.locked) throw std::logic_error("a pause while the bus is locked");
    world.paused += time;
  }

 private:
  bool is_mine_ = false;  // the lock
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
