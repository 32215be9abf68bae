// SPDX-License-Identifier: Apache-2.0
#include "uplink/endpoints.hpp"

#include <algorithm>

namespace fieldpost {

using boost::asio::ip::tcp;

std::vector<tcp::endpoint> endpoints_of(const std::vector<std::string>& addresses, uint16_t port) {
  std::vector<tcp::endpoint> first, second, result;  // by family
  for (const std::string& text : addresses) {
    boost::system::error_code bad;
    const tcp::endpoint e(boost::asio::ip::make_address(text, bad), port);
    if (bad) continue;
    (first.empty() || e.protocol() == first.front().protocol() ? first : second).push_back(e);
  }
  for (size_t i = 0; i < std::max(first.size(), second.size()); ++i) {
    if (i < first.size()) result.push_back(first[i]);
    if (i < second.size()) result.push_back(second[i]);
  }
  return result;
}

std::string text_of(const tcp::endpoint& endpoint) {
  return host_and_port(endpoint.address().to_string(), endpoint.port());
}

std::string host_and_port(const std::string& host, uint16_t port) {
  std::string text = host.find(':') == host.npos ? host : "[" + host + "]";
  if (port != 0) text += ":" + std::to_string(port);
  return text;
}

}  // namespace fieldpost
