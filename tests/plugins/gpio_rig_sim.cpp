// SPDX-License-Identifier: Apache-2.0
//
// gpio_rig.hpp over the kernel's gpio-sim, as root in a machine that has it (Debian 12's kernel
// does not; the module can be built out of tree). Make a chip with eight lines and its four names,
// say its name in the environment, and run the test:
//
//   d=/sys/kernel/config/gpio-sim/plant; mkdir -p $d/bank0; echo 8 > $d/bank0/num_lines
//   echo plant > $d/bank0/label
//   i=0; for n in door pump relay valve; do
//     mkdir $d/bank0/line$i; echo $n > $d/bank0/line$i/name; i=$((i+1)); done
//   echo 1 > $d/live
//   FIELDPOST_GPIO_CHIP=plant gpio_sim_test
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <thread>

#include "gpio_rig.hpp"
#include "lines.hpp"

namespace gpio_rig {
namespace {

namespace fs = std::filesystem;

struct Occupied {
  std::unique_ptr<gpio::Chip> chip;
  std::unique_ptr<gpio::Line> line;
};
Occupied occupied;

fs::path config() { return fs::path("/sys/kernel/config/gpio-sim") / chip(); }

void write_text(const fs::path& path, const std::string& text) {
  std::ofstream file(path);
  if (!(file << text << std::flush)) throw std::runtime_error("cannot write " + path.string());
}

std::string read_text(const fs::path& path) {
  std::ifstream file(path);
  std::string text;
  if (!(file >> text)) throw std::runtime_error("cannot read " + path.string());
  return text;
}

fs::path attributes(unsigned offset) {
  return fs::path("/sys/devices/platform") / read_text(config() / "dev_name") /
         read_text(config() / "bank0" / "chip_name") / ("sim_gpio" + std::to_string(offset));
}

}  // namespace

std::string unavailable() {
  return chip().empty() ? "FIELDPOST_GPIO_CHIP does not name a gpio-sim chip" : "";
}

void reset() {
  vacate();
  plug();
  for (unsigned i = 0; i < 8; ++i) pull(i, false);
}

std::string chip() {
  const char* name = std::getenv("FIELDPOST_GPIO_CHIP");  // NOLINT(concurrency-mt-unsafe)
  return name != nullptr ? name : "";
}

void pull(unsigned offset, bool high) {
  // The simulator's interrupt is a bit that is looked at a moment after a pull: the next one before
  // that would be the same interrupt. Nothing tells when it was.
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  write_text(attributes(offset) / "pull", high ? "pull-up" : "pull-down");
}

bool voltage(unsigned offset) { return read_text(attributes(offset) / "value") == "1"; }

std::string occupy(unsigned offset) {
  occupied.chip = gpio::open_chip(gpio::find_chip(chip(), gpio::list_chips()));
  occupied.line = occupied.chip->request_input(offset, {});
  return "fieldpost";
}

void vacate() {
  occupied.line.reset();
  occupied.chip.reset();
}

void unplug() { write_text(config() / "live", "0"); }

void plug() {
  if (read_text(config() / "live") != "1") write_text(config() / "live", "1");
  // udev makes the device file a moment later.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  const fs::path file = "/dev/" + read_text(config() / "bank0" / "chip_name");
  while (!fs::exists(file)) {
    if (std::chrono::steady_clock::now() > deadline)
      throw std::runtime_error("no " + file.string());
    std::this_thread::yield();
  }
}

}  // namespace gpio_rig
