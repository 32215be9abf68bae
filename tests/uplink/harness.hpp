// SPDX-License-Identifier: Apache-2.0
//
// An uplink with a store in memory behind it, and what both have seen.
#pragma once

#include <sys/stat.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "fakes/losant_broker.hpp"
#include "fakes/process.hpp"
#include "fakes/test_env.hpp"
#include "model/symbol.hpp"
#include "uplink/uplink.hpp"

namespace fieldpost::test {

inline const std::string kGateway = "575ecf887ae143cd83dc4aa2";

class Harness {
 public:
  // Options to change before start().
  Uplink::Options options;

  explicit Harness(uint16_t port) {
    options.run_dir = folder / "run";
    options.client_id = kGateway;
    options.brokers = {{.url = "", .tls = false, .host = "127.0.0.1", .port = port}};
    options.keepalive = std::chrono::seconds(30);
    options.connect_timeout = std::chrono::seconds(10);
    options.backoff_max = std::chrono::milliseconds(300);
    options.device_ids = {kGateway};
    options.access_key_file = write("access_key", kAccessKey);
    options.access_secret_file = write("access_secret", kAccessSecret);
  }
  BrokerAddress& broker() { return options.brokers.front(); }
  ~Harness() { uplink.reset(); }  // first: its thread uses the rest
  Harness(const Harness&) = delete;
  Harness& operator=(const Harness&) = delete;

  void start() {
    uplink = std::make_unique<Uplink>(
        options, Uplink::Sinks{
                     .fetch = [this](Lane lane, int64_t after,
                                     size_t points) { fetch(lane, after, points); },
                     .acknowledge = [this](const std::vector<int64_t>& done) { acknowledge(done); },
                     .set_aside =
                         [this](DeviceIds devices) {
                           const std::scoped_lock lock(mutex);
                           aside = std::move(devices);
                         },
                     .command =
                         [this](IncomingCommand command) {
                           const std::scoped_lock lock(mutex);
                           commands.push_back(std::move(command));
                         },
                     .message =
                         [this](IncomingMessage message) {
                           const std::scoped_lock lock(mutex);
                           messages_.push_back(std::move(message));
                         },
                     .status =
                         [this](const UplinkStatus& s) {
                           const std::scoped_lock lock(mutex);
                           statuses.push_back(s);
                         },
                     .published =
                         [this](const Publication& p, bool delivered) {
                           const std::scoped_lock lock(mutex);
                           (delivered ? delivered_ : given_up_).push_back(p);
                         }});
    target_ = uplink.get();
    uplink->start();
  }

  // One row: `states` states of one reading each, numbered.
  void append(const std::string& device, int states, const std::string& attribute = "n") {
    Chunk chunk;
    int64_t newest = 0;
    {
      const std::scoped_lock lock(mutex);
      chunk.row = newest = (newest_row += row_step);
      chunk.device = symbols.intern(device);
      for (int i = 0; i < states; ++i) {
        const int64_t n = ++numbers[device];
        chunk.states.push_back(
            {.time_ms = first_ms + n,
             .points = {{.attribute = symbols.intern(attribute), .value = double(n)}}});
      }
      rows.emplace(chunk.row, std::move(chunk));
    }
    if (uplink) uplink->on_committed(newest);
  }

  size_t waiting_rows() const {
    const std::scoped_lock lock(mutex);
    return rows.size();
  }
  bool all_acknowledged(std::chrono::milliseconds limit = std::chrono::seconds(20)) const {
    return eventually([this] { return waiting_rows() == 0; }, limit);
  }
  UplinkStatus status() const {
    const std::scoped_lock lock(mutex);
    return statuses.empty() ? UplinkStatus{} : statuses.back();
  }
  bool wait_state(UplinkStatus::State state,
                  std::chrono::milliseconds limit = std::chrono::seconds(20)) const {
    return eventually([&] { return status().state == state; }, limit);
  }
  // Whether a reason or step with these words has been in the status.
  bool wait_words(const std::string& words,
                  std::chrono::milliseconds limit = std::chrono::seconds(20)) const {
    return eventually(
        [&] {
          const std::scoped_lock lock(mutex);
          for (const UplinkStatus& s : statuses) {
            if (s.reason.find(words) != std::string::npos) return true;
          }
          return false;
        },
        limit);
  }
  std::string reasons() const {
    const std::scoped_lock lock(mutex);
    std::string text;
    for (const UplinkStatus& s : statuses) text += s.step + "|" + s.reason + "\n";
    return text;
  }
  std::vector<IncomingMessage> messages() const {
    const std::scoped_lock lock(mutex);
    return messages_;
  }
  DeviceIds set_aside() const {
    const std::scoped_lock lock(mutex);
    return aside;
  }
  std::vector<IncomingCommand> received() const {
    const std::scoped_lock lock(mutex);
    return commands;
  }
  size_t delivered() const {
    const std::scoped_lock lock(mutex);
    return delivered_.size();
  }
  size_t given_up() const {
    const std::scoped_lock lock(mutex);
    return given_up_.size();
  }

  TempDir folder;
  std::unique_ptr<Uplink> uplink;
  int64_t row_step = 1;  // between the ids of rows; item_id::of_sample(1) makes them samples
  // State number n is of so many ms later: not older than Losant takes, and each of its own.
  const int64_t first_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                               std::chrono::system_clock::now().time_since_epoch())
                               .count();

 private:
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(folder / name) << text << "\n";
    ::chmod((folder / name).c_str(), 0600);
    return folder / name;
  }
  // As the store answers: from another thread's point of view at any time.
  void fetch(Lane lane, int64_t after, size_t max_points) {
    std::vector<Chunk> chunks;
    int64_t up_to = after;
    {
      const std::scoped_lock lock(mutex);
      size_t points = 0;
      for (auto it = rows.upper_bound(after); it != rows.end() && points < max_points; ++it) {
        up_to = it->first;
        if (!belongs_to(*it->second.device, lane) || aside.contains(*it->second.device)) continue;
        chunks.push_back(it->second);
        for (const State& state : it->second.states) points += state.points.size();
      }
    }
    target_.load()->on_fetched({.lane = lane,
                                .chunks = std::move(chunks),
                                .from = after,
                                .up_to = up_to,
                                .end = up_to == after});
  }
  void acknowledge(const std::vector<int64_t>& done) {
    const std::scoped_lock lock(mutex);
    for (const int64_t row : done) rows.erase(row);
  }

  std::atomic<Uplink*> target_ = nullptr;
  mutable std::mutex mutex;  // guards the rest
  SymbolTable symbols;
  std::map<int64_t, Chunk> rows;
  std::map<std::string, int64_t> numbers;
  int64_t newest_row = 0;
  std::vector<UplinkStatus> statuses;
  DeviceIds aside;
  std::vector<IncomingCommand> commands;
  std::vector<IncomingMessage> messages_;
  std::vector<Publication> delivered_, given_up_;
};

}  // namespace fieldpost::test
