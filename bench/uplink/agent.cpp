// SPDX-License-Identifier: Apache-2.0
//
// The agent's uplink, with an outbox that always has something: the rows are made beforehand, and a
// thread hands them out as the store's does.
//
//   uplink_agent --url URL [--ca FILE] [--window N] [--payload BYTES] [--order ORDER] [--seconds N]
//
// --payload is the longest message, --order as in the configuration.
#include <stdlib.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <mutex>
#include <thread>

#include "config/forms.hpp"
#include "field.hpp"
#include "rate.hpp"
#include "uplink/uplink.hpp"

namespace fieldpost {
namespace {

using namespace std::chrono_literals;

constexpr size_t kRing = 640;                  // rows that are made beforehand
constexpr size_t kStates = 4;                  // in a row
constexpr int64_t kNewest = int64_t{1} << 60;  // there is always more

// Hands out rows without an end.
class Feeder {
 public:
  explicit Feeder(std::function<void(Fetched)> answer) : answer_(std::move(answer)) {
    for (size_t i = 0; i < kRing; ++i) {
      DeviceSample sample;
      Chunk chunk;
      for (size_t s = 0; s < kStates; ++s) {
        field_.take(i % bench::kDevices, 0, &sample);
        chunk.states.push_back({.time_ms = 0, .points = sample.points});
      }
      chunk.device = sample.device;
      ring_.push_back(std::move(chunk));
    }
    thread_ = std::thread([this] { run(); });
  }
  Feeder(const Feeder&) = delete;
  Feeder& operator=(const Feeder&) = delete;
  ~Feeder() {
    {
      const std::scoped_lock lock(mutex_);
      stop_ = true;
    }
    wake_.notify_one();
    thread_.join();
  }

  void ask(Lane lane, size_t max_points) {
    {
      const std::scoped_lock lock(mutex_);
      asked_.emplace_back(lane, max_points);
    }
    wake_.notify_one();
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    while (true) {
      wake_.wait(lock, [this] { return stop_ || !asked_.empty(); });
      if (stop_) return;
      const auto [lane, points] = asked_.front();
      asked_.pop_front();
      lock.unlock();
      answer_(next(lane, points));
      lock.lock();
    }
  }

  Fetched next(Lane lane, size_t max_points) {
    if (lane == Lane::Live || lane == Lane::Custom) {
      return {.lane = lane, .from = kNewest, .up_to = kNewest, .end = true};
    }
    Fetched fetched{.lane = lane};
    for (size_t points = 0; points < max_points; points += kStates * bench::kPerDevice) {
      Chunk& chunk = fetched.chunks.emplace_back(ring_[static_cast<size_t>(row_) % kRing]);
      chunk.row = ((++row_) << item_id::kBits) + 1;
      for (State& state : chunk.states) state.time_ms = 1'700'000'000'000 + ++time_;
    }
    fetched.up_to = fetched.chunks.back().row;
    return fetched;
  }

  std::function<void(Fetched)> answer_;
  bench::Field field_;
  std::vector<Chunk> ring_;
  int64_t row_ = 0, time_ = 0;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  std::deque<std::pair<Lane, size_t>> asked_;  // a lane asks again only when it has its answer
  std::thread thread_;
};

Uplink::Options options(const Arguments& given, const std::string& folder) {
  Uplink::Options o;
  const std::string url = given.text("url");
  const auto parsed = forms::parse_broker_url(url);
  if (!parsed) throw std::invalid_argument(parsed.error().message);
  o.brokers = {{.url = url,
                .tls = parsed->tls,
                .host = parsed->host,
                .port = parsed->port,
                .web_socket_path = parsed->web_socket_path}};
  o.run_dir = folder;
  o.client_id = "575ecf887ae143cd83dc4aa2";
  o.ca_file = given.text("ca");
  o.keepalive = 60s;
  o.connect_timeout = 10s;
  o.backoff_max = 5min;
  o.window_messages = given.number("window", 20);
  o.max_payload = given.number("payload", 2048);
  o.live_first = given.text("order", "live-first") == "live-first";
  return o;
}

int run(const Arguments& given, const std::string& folder) {
  std::atomic<int64_t> messages = 0, bytes = 0;
  std::atomic<Uplink*> target = nullptr;
  Feeder feeder([&](Fetched fetched) { target.load()->on_fetched(std::move(fetched)); });
  Uplink uplink(options(given, folder),
                {.fetch = [&](Lane lane, int64_t, size_t points) { feeder.ask(lane, points); },
                 .acknowledge = [](const std::vector<int64_t>&) {},
                 .set_aside = [](const DeviceIds&) {},
                 .command = [](const IncomingCommand&) {},
                 .status = [](const UplinkStatus&) {},
                 .sent =
                     [&](std::string_view, size_t size) {
                       messages += 1;
                       bytes += static_cast<int64_t>(size);
                     },
                 .published = nullptr});
  target = &uplink;
  uplink.start();
  uplink.on_stored(kNewest);
  uplink.on_committed(kNewest);
  const auto deadline = std::chrono::steady_clock::now() + 20s;
  while (messages < int64_t{5} * given.number("window", 20)) {
    if (std::chrono::steady_clock::now() > deadline) return 1;
    std::this_thread::sleep_for(10ms);
  }
  std::this_thread::sleep_for(500ms);  // until the window has grown
  const Meter meter(messages, bytes);
  std::this_thread::sleep_for(std::chrono::seconds(given.number("seconds", 3)));
  meter.print(messages, bytes);
  uplink.stop();
  return 0;
}

}  // namespace
}  // namespace fieldpost

int main(int argc, char** argv) {
  std::string folder = (std::filesystem::temp_directory_path() / "bench-uplink-XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) return 1;
  const int status = fieldpost::run(Arguments(argc, argv), folder);
  std::filesystem::remove_all(folder);
  return status;
}
