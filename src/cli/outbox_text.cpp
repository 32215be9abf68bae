// SPDX-License-Identifier: Apache-2.0
#include "cli/outbox_text.hpp"

#include <cstdio>
#include <iostream>
#include <string>

#include "base/text.hpp"
#include "cli/json_words.hpp"
#include "model/custom_device.hpp"

namespace fieldpost::cli {
namespace {

void print_drain(const Json& o) {
  std::cout << "drain     ";
  if (!o.value("running", false)) {
    std::cout << "no agent runs\n";
  } else if (text_of(o, "uplink") != "connected") {
    const std::string why = text_of(o, "uplink_reason");
    std::cout << "not connected" << (why.empty() ? "" : ": " + why) << "\n";
  } else if (!o.contains("drained_in_s")) {
    std::cout << "not at the pace of the last 30 s: no more is delivered than comes in\n";
  } else if (o["stored"] == 0) {
    std::cout << "nothing waits on the disk\n";
  } else {
    std::cout << "in " << ago(o["drained_in_s"]) << " at the pace of the last 30 s\n";
  }
}

}  // namespace

std::string disk_line(const Json& disk) {
  std::string line =
      format_size(disk["recent_written"].get<int64_t>()) + " written in " + ago(disk["recent_s"]);
  if (disk.contains("per_reading")) {
    char each[40];
    (void)std::snprintf(each, sizeof each, "%.1f", disk["per_reading"].get<double>());
    line += std::string(", ") + each + " bytes a reading";
  }
  return line;
}

void print_outbox_status(const Json& o) {
  std::cout << "outbox    " << o["waiting"] << " readings waiting: " << o["stored"] << " in "
            << o["rows"] << " rows on the disk, " << o["staged"] << " in memory\n          "
            << format_size(o["file_bytes"].get<int64_t>()) << " on the disk";
  if (o.contains("oldest")) {
    std::cout << "; rows begin at " << text_of(o, "oldest") << " to " << text_of(o, "newest_row");
  }
  std::cout << "\n";
  print_drain(o);
  if (o.contains("disk")) std::cout << "disk      " << disk_line(o["disk"]) << "\n";
  if (const std::string t = text_of(o, "trouble"); !t.empty())
    std::cout << "          " << t << "\n";
  for (const Json& d : o["devices"]) {
    const std::string name = text_of(d, "name");
    std::cout << (name.empty() ? shown_device(text_of(d, "id"))
                               : name + " (" + text_of(d, "id") + ")")
              << "\n  " << d["readings"] << " readings, " << d["staged"] << " of them in memory, "
              << d["rows"] << " rows";
    if (d.contains("oldest")) std::cout << ", oldest row " << text_of(d, "oldest");
    std::cout << "\n";
  }
}

}  // namespace fieldpost::cli
