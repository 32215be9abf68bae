// SPDX-License-Identifier: Apache-2.0
#include "cli/scan.hpp"

#include <algorithm>
#include <iostream>

#include "base/text.hpp"
#include "cli/cli.hpp"
#include "cli/line.hpp"
#include "cli/written_instance.hpp"

namespace fieldpost::cli {
namespace {

constexpr int kLastUnit = 247;  // Modbus over serial line V1.02, 2.2

// Each unit is asked for one register; an exception is an answer, too.
Result<Scan> scan_modbus(const Call& call, const std::string& url) {
  const std::string wait = call.given["timeout"].as<std::string>();
  const auto timeout = FP_TRY(parse_duration(wait).context("--timeout"));
  std::vector<Setting> settings{{"url", url}, {"timeout", wait}};
  for (int unit = 1; unit <= kLastUnit; ++unit) {
    settings.push_back({"unit.address", std::to_string(unit)});
    settings.push_back({"unit.register.attribute", "unit" + std::to_string(unit)});
    settings.push_back({"unit.register.table", "holding"});
    settings.push_back({"unit.register.address", "0"});
  }
  const Config config = FP_TRY(load_written(call.paths, "modbus", settings));
  // A unit that is silent costs a time-out; on a serial line the next must not get its late answer.
  const nanoseconds limit = kLastUnit * 2 * timeout + std::chrono::seconds(10);
  std::cerr << "asking units 1 to " << kLastUnit << ", for " << about(limit) << " at most\n";
  const OneReading taken = FP_TRY(read_wherever(call.paths, config.plugins[0], limit));
  Scan scan;
  for (size_t i = 0; i < taken.attributes.size(); ++i) {
    if (!taken.attributes[i]) continue;
    const bool good = taken.attributes[i]->quality == Quality::Good;
    scan.found.push_back({.name = "unit " + std::to_string(i + 1),
                          .about = good ? "answers" : printable(taken.attributes[i]->detail),
                          .user = {}});
  }
  scan.hint = scan.found.empty()
                  ? "no unit answers: " + taken.silent[0].value_or("none was asked in time")
                  : "fieldpost modbus probe " + url + " --unit N --address N";
  return scan;
}

Result<Scan> look(const Call& call) {
  const std::string& what = call.words[0];
  const std::string where = call.words.size() > 1 ? call.words[1] : "";
  if (what == "modbus") {
    if (where.empty()) return Error{Errc::Invalid, "expected a URL: fieldpost scan modbus URL"};
    return scan_modbus(call, where);
  }
  if (what == "i2c") return scan_i2c("", where);
  if (!where.empty()) return Error{Errc::Invalid, "scan " + what + " takes nothing more"};
  if (what == "serial") return scan_serial("");
  if (what == "iio") return scan_iio("");
  if (what == "gpio") return scan_gpio("");
  return Error{Errc::Invalid,
               "expected one of serial, i2c, gpio, iio, modbus, got '" + printable(what, 40) + "'"};
}

void print(const Scan& scan) {
  size_t width = 0;
  for (const Found& found : scan.found) width = std::max(width, found.name.size());
  for (const Found& found : scan.found) {
    std::string line = found.name;
    line.resize(width, ' ');
    if (!found.about.empty()) line += "  " + found.about;
    std::cout << line << (found.user.empty() ? "" : "  used by " + found.user) << "\n";
  }
  for (const std::string& trouble : scan.troubles) std::cerr << trouble << "\n";
  if (!scan.hint.empty()) std::cout << (scan.found.empty() ? "" : "\n") << scan.hint << "\n";
}

}  // namespace

void scan_options(po::options_description& o) {
  o.add_options()("json", "print JSON");
  o.add_options()("timeout", po::value<std::string>()->default_value("300ms")->value_name("TIME"),
                  "modbus: how long a unit may take to answer");
}

int scan(const Call& call) {
  const auto found = look(call);
  if (!found) {
    (void)fail(found.error().message);
    return found.error().code == Errc::Invalid ? kUsage : kFailed;
  }
  if (call.json()) {
    Json list = Json::array();
    for (const Found& f : found->found) {
      list.push_back({{"name", f.name}, {"about", f.about}, {"user", f.user}});
    }
    std::cout << Json{{"found", list}, {"troubles", found->troubles}, {"hint", found->hint}}.dump(2)
              << "\n";
  } else {
    print(*found);
  }
  return found->found.empty() ? kFailed : 0;
}

}  // namespace fieldpost::cli
