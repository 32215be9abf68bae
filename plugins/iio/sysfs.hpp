// SPDX-License-Identifier: Apache-2.0
//
// Reading the files of sysfs: one value each, made by a driver while it is read.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace iio {

// Of a file, its text without the white space around it; none if there is no such file. May block
// as long as the chip takes. Throws IoError: why it cannot be read, beginning with its name.
std::optional<std::string> read_text(const std::filesystem::path& file);

// The same of one that holds a number, and nothing else.
std::optional<double> read_number(const std::filesystem::path& file);

// What a driver means when reading fails so.
std::string explain(int errno_value);

// The names in a folder, sorted; none if there is no such folder. Throws IoError.
std::vector<std::string> names_in(const std::filesystem::path& folder);

}  // namespace iio
