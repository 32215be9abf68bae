// SPDX-License-Identifier: Apache-2.0
//
// A chip of an instance: its registers and what its driver measures.
#pragma once

#include <fieldpost/plugin.hpp>

#include <memory>
#include <vector>

#include "plan.hpp"

namespace i2c {

class Chip {
 public:
  // `wire` and `row` outlive it.
  Chip(Wire& wire, const ChipRow& row);

  // Readings of all rows; those that failed say why. Errors: sdk::IoError when all did.
  std::vector<fieldpost::sdk::Reading> read();
  // Whether a row has this command.
  bool takes(uint32_t command) const;
  // Runs it; `ret_reading` is what the row says afterwards. Errors: sdk::IoError (also if that is
  // something else), sdk::ConfigError; `ret_reading` is set if it could be read.
  void run(const fieldpost::sdk::Call& call, std::optional<fieldpost::sdk::Reading>& ret_reading);

 private:
  void start();
  void read_registers(std::vector<fieldpost::sdk::Reading>& ret);
  void read_values(std::vector<fieldpost::sdk::Reading>& ret);
  void add_fault(uint32_t attribute, bool is_boolean, const std::string& why,
                 std::vector<fieldpost::sdk::Reading>& ret);
  uint32_t read(const Field& field);
  void write(const Field& field, uint32_t word);
  void write_register(const RegisterRow& row, const fieldpost::sdk::Call& call,
                      std::optional<fieldpost::sdk::Reading>& ret_reading);
  void write_value(size_t index, bool on, std::optional<fieldpost::sdk::Reading>& ret_reading);

  Link link_;
  const ChipRow* row_;
  std::unique_ptr<Driver> driver_;  // none: registers are all there is
  bool started_ = false;            // as far as is known it is set up
  bool dead_ = false;               // in this poll: nobody on the bus can speak
  std::string fault_;               // the first of this poll
};

}  // namespace i2c
