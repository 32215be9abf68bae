// SPDX-License-Identifier: Apache-2.0
#include "fakes/broker.hpp"

#include <signal.h>

#include <fstream>
#include <iterator>
#include <stdexcept>

namespace fieldpost::test {
namespace {

std::string mosquitto() {
  for (const char* path : {"/usr/sbin/mosquitto", "/usr/bin/mosquitto"}) {
    if (std::filesystem::exists(path)) return path;
  }
  throw std::runtime_error("mosquitto is not installed");
}

}  // namespace

Broker::Broker(Options options) : options_(std::move(options)) {
  std::ofstream config(folder_ / "mosquitto.conf");
  config << "per_listener_settings false\n"
            "allow_anonymous true\n"
            "user root\n"  // as root it would become somebody who cannot read our files
            "persistence true\n"
            "persistence_location "
         << folder_.path()
         << "/\n"
            "max_queued_messages 100000\n"
            "max_inflight_messages 0\n"
            "set_tcp_nodelay true\n"
            "log_type all\n"
         << options_.extra << "\nlistener " << port_ << " 127.0.0.1\n";
  if (!options_.certificate.empty()) {
    config << "certfile " << options_.certificate << "\nkeyfile " << options_.key << "\n";
  }
  config << options_.listener << "\n";
  config.close();
  start();
}

void Broker::start() {
  process_ = std::make_unique<Process>(
      std::vector<std::string>{mosquitto(), "-c", folder_ / "mosquitto.conf"}, folder_ / "log");
  if (!eventually([this] { return is_listening(port_); })) {
    throw std::runtime_error("mosquitto does not listen: " + log());
  }
}

void Broker::stop() {
  if (process_) process_->end(SIGTERM);
  process_.reset();
}
void Broker::kill() {
  if (process_) process_->end(SIGKILL);
  process_.reset();
}
void Broker::freeze() const { process_->signal(SIGSTOP); }
void Broker::thaw() const { process_->signal(SIGCONT); }

std::string Broker::log() const {
  std::ifstream in(folder_ / "log");
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace fieldpost::test
