// SPDX-License-Identifier: Apache-2.0
//
// Reads a kernel thermal zone. A plugin in 30 lines; docs/plugin-guide.md starts from it.
#include <fieldpost/plugin.hpp>

#include <fstream>

using namespace fieldpost::sdk;

constexpr fp_option kOptions[] = {
    Option{.name = "path",
           .fallback = "/sys/class/thermal/thermal_zone0/temp",
           .help = "The file to read, in thousandths of a degree."},
};
constexpr fp_attribute kAttributes[] = {
    Attribute{.name = "temperature", .unit = "degC", .help = "Temperature of the zone."},
};

struct Thermal {
  explicit Thermal(Host& host) : path(host.options().text("path")) {}

  void poll(Host& host) {
    std::ifstream file(path);  // opened each time: sysfs gives one value per open
    double thousandths = 0;
    if (!(file >> thousandths)) throw IoError("cannot read a number from " + path);
    host.emit(0, thousandths / 1000);  // 0: the first of kAttributes
  }

  std::string path;
};

FP_PLUGIN(Thermal, {.type = "thermal",
                    .version = "1.0.0",
                    .summary = "Reads a thermal zone.",
                    .options = kOptions,
                    .attributes = kAttributes})
