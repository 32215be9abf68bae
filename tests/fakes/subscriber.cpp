// SPDX-License-Identifier: Apache-2.0
#include "fakes/subscriber.hpp"

#include <mosquitto.h>

#include <atomic>
#include <mutex>
#include <stdexcept>

#include "fakes/process.hpp"

namespace fieldpost::test {

struct Subscriber::Impl {
  std::string topic;
  mosquitto* client = nullptr;
  std::atomic<bool> subscribed = false;
  mutable std::mutex mutex;
  std::vector<Message> messages;  // guarded by mutex
};

namespace {
template <class Impl>
Impl& impl_of(void* user) {
  return *static_cast<Impl*>(user);
}
}  // namespace

Subscriber::Subscriber(uint16_t port, const std::string& topic, const std::string& ca_file)
    : impl_(std::make_unique<Impl>()) {
  mosquitto_lib_init();
  impl_->topic = topic;
  // Not a clean session: what arrives while the broker restarts is kept for us.
  static std::atomic<int> number = 0;
  const std::string id = "subscriber-" + std::to_string(++number);
  impl_->client = mosquitto_new(id.c_str(), false, impl_.get());
  mosquitto* m = impl_->client;
  mosquitto_username_pw_set(m, kPlatformUser.c_str(), kPlatformPassword.c_str());
  if (!ca_file.empty()) mosquitto_tls_set(m, ca_file.c_str(), nullptr, nullptr, nullptr, nullptr);
  mosquitto_connect_callback_set(m, [](mosquitto* client, void* user, int code) {
    if (code == 0) {
      mosquitto_subscribe(client, nullptr, impl_of<Impl>(user).topic.c_str(), 1);
    }
  });
  mosquitto_disconnect_callback_set(
      m, [](mosquitto*, void* user, int) { impl_of<Impl>(user).subscribed = false; });
  mosquitto_subscribe_callback_set(m, [](mosquitto*, void* user, int, int, const int*) {
    impl_of<Impl>(user).subscribed = true;
  });
  mosquitto_message_callback_set(m, [](mosquitto*, void* user, const mosquitto_message* message) {
    Impl& impl = impl_of<Impl>(user);
    const std::scoped_lock lock(impl.mutex);
    impl.messages.push_back(
        {message->topic,
         {static_cast<const char*>(message->payload), static_cast<size_t>(message->payloadlen)}});
  });
  if (mosquitto_connect(m, ca_file.empty() ? "127.0.0.1" : "localhost", port, 30) != 0 ||
      mosquitto_loop_start(m) != 0 || !wait_subscribed()) {
    throw std::runtime_error("the subscriber cannot subscribe");
  }
}

Subscriber::~Subscriber() {
  mosquitto_disconnect(impl_->client);
  mosquitto_loop_stop(impl_->client, false);
  mosquitto_destroy(impl_->client);
}

std::vector<Message> Subscriber::messages() const {
  const std::scoped_lock lock(impl_->mutex);
  return impl_->messages;
}

size_t Subscriber::count() const {
  const std::scoped_lock lock(impl_->mutex);
  return impl_->messages.size();
}

bool Subscriber::wait_subscribed() const {
  return eventually([this] { return impl_->subscribed.load(); });
}

void Subscriber::publish(const std::string& topic, const std::string& payload, bool retain) {
  mosquitto_publish(impl_->client, nullptr, topic.c_str(), static_cast<int>(payload.size()),
                    payload.data(), 1, retain);
}

}  // namespace fieldpost::test
