// SPDX-License-Identifier: Apache-2.0
#include "main/boot_reason.hpp"

#include <linux/watchdog.h>

#include <array>
#include <charconv>
#include <cstdint>

#include "base/file.hpp"

namespace fieldpost {
namespace {

constexpr struct {
  uint32_t flag;
  const char* words;
} kNoted[] = {
    {WDIOF_CARDRESET, "the watchdog had reset the machine"},
    {WDIOF_POWERUNDER, "the voltage had been too low"},
    {WDIOF_POWEROVER, "the voltage had been too high"},
    {WDIOF_OVERHEAT, "it had been too hot"},
    {WDIOF_FANFAULT, "a fan had failed"},
};

std::string watchdog_words(const std::string& root) {
  const auto text = read_file(root + "/sys/class/watchdog/watchdog0/bootstatus", 64);
  uint32_t flags = 0;
  if (!text || std::from_chars(text->data(), text->data() + text->size(), flags).ec != std::errc())
    return "";
  std::string words;
  for (const auto& noted : kNoted) {
    if ((flags & noted.flag) != 0) words += (words.empty() ? "" : ", ") + std::string(noted.words);
  }
  return words;
}

// A number of the device tree: 4 bytes, the highest first.
std::string reset_words(const std::string& root) {
  const auto cell = read_file(root + "/proc/device-tree/chosen/bootloader/rsts", 64);
  if (!cell || cell->size() != 4) return "";
  uint32_t value = 0;
  for (const char c : *cell) value = value << 8 | static_cast<unsigned char>(c);
  // As it is: which of its bits outlive what is not written down for all models.
  std::array<char, 8> digits{};
  const auto end = std::to_chars(digits.begin(), digits.end(), value, 16).ptr;
  return "the reset register (PM_RSTS) says 0x" + std::string(digits.begin(), end);
}

}  // namespace

std::string boot_reason(const std::string& root) {
  const std::string noted = watchdog_words(root);
  return noted.empty() ? reset_words(root) : noted;
}

}  // namespace fieldpost
