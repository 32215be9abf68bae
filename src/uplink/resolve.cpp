// SPDX-License-Identifier: Apache-2.0
#include "uplink/resolve.hpp"

#include <netdb.h>
#include <sys/eventfd.h>

#include <array>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "base/unique_fd.hpp"

namespace fieldpost {
namespace {

// Threads in a resolver. Process-wide, because what it bounds, threads, is so as well.
std::atomic<int> running = 0;

Result<std::vector<std::string>> call(const Resolver& resolver, const std::string& host) {
  try {
    return resolver(host);
  } catch (const std::exception& e) {
    return Error{Errc::Io, e.what()};
  }
}

}  // namespace

Result<std::vector<std::string>> system_resolver(const std::string& host) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* first = nullptr;
  const int r = ::getaddrinfo(host.c_str(), nullptr, &hints, &first);
  if (r == EAI_SYSTEM) return Error::from_errno(errno, "getaddrinfo");
  if (r != 0) return Error{Errc::NotFound, ::gai_strerror(r)};
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> list(first, &::freeaddrinfo);
  std::vector<std::string> addresses;
  for (const addrinfo* a = list.get(); a != nullptr; a = a->ai_next) {
    std::array<char, NI_MAXHOST> text{};
    if (::getnameinfo(a->ai_addr, a->ai_addrlen, text.data(), text.size(), nullptr, 0,
                      NI_NUMERICHOST) == 0) {
      addresses.emplace_back(text.data());
    }
  }
  if (addresses.empty()) return Error{Errc::NotFound, "the name has no address"};
  return addresses;
}

struct Lookup::Shared {
  UniqueFd done{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  std::mutex mutex;
  Result<std::vector<std::string>> result;  // guarded by mutex
};

Result<Lookup> Lookup::start(Resolver resolver, std::string host) {
  if (running.fetch_add(1) >= kMaxRunning) {
    --running;
    return Error{Errc::Unavailable,
                 std::to_string(kMaxRunning) + " earlier lookups have not ended yet"};
  }
  auto shared = std::make_shared<Shared>();
  if (!shared->done) {
    --running;
    return Error::from_errno(errno, "eventfd");
  }
  try {
    std::thread([shared, resolver = std::move(resolver), host = std::move(host)] {
      auto result = call(resolver, host);
      {
        const std::scoped_lock lock(shared->mutex);
        shared->result = std::move(result);
      }
      ::eventfd_write(shared->done.get(), 1);
      --running;
    }).detach();
  } catch (const std::system_error& e) {
    --running;
    return Error{Errc::Io, std::string("start a thread: ") + e.what()};
  }
  return Lookup(std::move(shared));
}

int Lookup::fd() const { return shared_->done.get(); }

Result<std::vector<std::string>> Lookup::take() {
  const std::scoped_lock lock(shared_->mutex);
  return std::exchange(shared_->result, std::vector<std::string>{});
}

}  // namespace fieldpost
