// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace fieldpost {

// Where things are. The defaults are those of an installed system; a program that lies in a build
// tree (bin/ or libexec/ beside plugins/) takes plugins and plugin host from there.
struct Paths {
  std::string config = "/etc/fieldpost";
  std::string state_dir = "/var/lib/fieldpost";
  std::string run_dir = "/run/fieldpost";
  std::string plugin_dir;
  std::string plugin_host;
  std::string profile_dir;  // those that are installed

  std::string status_socket() const { return run_dir + "/status.sock"; }
  std::string control_socket() const { return run_dir + "/control.sock"; }
  std::string stage_dir() const { return run_dir + "/stage"; }
  // What src/main/traffic_counts.hpp counts: for crashes, and for power cuts.
  std::string traffic() const { return run_dir + "/traffic.json"; }
  std::string stored_traffic() const { return state_dir + "/traffic.json"; }
  // What plugins keep (supervisor/kept_values.hpp): likewise.
  std::string kept() const { return run_dir + "/kept"; }
  std::string stored_kept() const { return state_dir + "/kept"; }
  std::string black_box() const { return state_dir + "/black-box.log"; }  // main/black_box.hpp
  std::string last_good_config() const { return state_dir + "/last-good-config"; }
  // For load_config(): the site's own, then those that are installed.
  std::vector<std::string> profile_folders() const;
  // What `fieldpost apply` has put in place, and what became of it.
  std::string trial() const { return state_dir + "/apply.json"; }
};
Paths default_paths();

extern const char* const kVersion;  // of the product: "0.1.0"

// Groups that may open the two control sockets.
inline constexpr const char* kReadGroup = "fieldpost";
inline constexpr const char* kActGroup = "fieldpost-operator";

}  // namespace fieldpost
