// SPDX-License-Identifier: Apache-2.0
//
// Readings that leave on custom topics as well: each waits a second time, under a device that is
// none (model/custom_device.hpp), so that all that holds for readings holds for them. Main thread.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "config/config.hpp"
#include "model/reading.hpp"
#include "model/symbol.hpp"

namespace fieldpost {

class CustomCopies {
 public:
  // Devices and attributes of samples are symbols of this table.
  explicit CustomCopies(SymbolTable& symbols) : symbols_(&symbols) {}

  void configure(const Config& config);
  // Adds to `samples`, behind them, what [[publish]] asks for.
  void add_to(std::vector<DeviceSample>& samples);

 private:
  // The devices that an attribute's readings wait under as well.
  const std::vector<Symbol>& copies_of(Symbol device, Symbol attribute);

  SymbolTable* symbols_;
  std::vector<PublishConfig> entries_;
  std::unordered_map<std::string, std::string> names_;  // of devices, by Losant id
  // As far as they have been asked for: by device, then by attribute.
  std::unordered_map<Symbol, std::unordered_map<Symbol, std::vector<Symbol>>> known_;
};

}  // namespace fieldpost
