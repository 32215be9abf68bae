// SPDX-License-Identifier: Apache-2.0
//
// A broker that behaves like Losant's: Debian's mosquitto with the plugin of tests/broker. When it
// goes, what it has recorded is judged, and each finding is a failure of the test.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "fakes/broker.hpp"

namespace fieldpost::test {

// In the forms of Losant's; good for every device.
inline const std::string kAccessKey = "7c2c1a0e-61b5-4b36-9a5e-2a9d4b1f0c55";
inline const std::string kAccessSecret = "5ec2e7" + std::string(58, '0');

struct LosantOptions {
  std::string gateway = "575ecf887ae143cd83dc4aa2";  // the device that connects
  std::vector<std::string> peripherals;              // ids of those behind it
  // Of each device; the types are Losant's: number, string, boolean, gps, blob.
  std::map<std::string, std::string> attributes = {{"n", "number"}};
  std::vector<std::string> topics = {"answers/#"};  // free ones, for publish and subscribe
  bool unlimited = false;                           // no limits of rates
  double time_scale = 1;                            // of windows and refusals
  std::vector<std::string> allow;  // kinds of findings that are no failure (check_record.py)
  // TLS on both ports with this certificate and key; empty: plain.
  std::string certificate, key;
};

// Where settings and record are; made before the broker starts.
struct LosantHome {
  TempDir home;
  uint16_t websocket = free_port();
};

class LosantBroker : private LosantHome, public Broker {
 public:
  using Options = LosantOptions;
  // As Broker's, and throws if the plugin has not been built.
  explicit LosantBroker(const Options& options = {});
  LosantBroker(const LosantBroker&) = delete;
  LosantBroker& operator=(const LosantBroker&) = delete;
  ~LosantBroker();  // stops and judges

  uint16_t websocket_port() const { return websocket; }
  // The lines about one kind of event so far (tests/broker/record.hpp).
  std::vector<Json> record(const std::string& event) const;

 private:
  std::vector<std::string> allow_;
};

}  // namespace fieldpost::test
