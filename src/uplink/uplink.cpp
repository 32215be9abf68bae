// SPDX-License-Identifier: Apache-2.0
#include "uplink/uplink.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fcntl.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <thread>
#include <utility>  // before Asio: 1.74 uses std::exchange without it
#include <variant>

#include "base/backoff.hpp"
#include "base/clock.hpp"
#include "base/log.hpp"
#include "base/mailbox.hpp"
#include "base/text.hpp"
#include "uplink/credentials.hpp"
#include "uplink/line.hpp"
#include "uplink/publications.hpp"
#include "uplink/sender.hpp"
#include "uplink/setup.hpp"
#include "uplink/status_teller.hpp"

namespace fieldpost {

namespace asio = boost::asio;
using boost::system::error_code;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Steady = std::chrono::steady_clock;

namespace {

// A connection that lasted so long ends a series of failures.
constexpr seconds kLasting(30);

}  // namespace

struct Uplink::Thread {
  struct Wake {};  // something atomic has changed
  struct Backlog {};
  struct Stop {
    milliseconds limit;
  };
  struct Reconnect {};
  using Item =
      std::variant<Wake, Backlog, std::vector<Chunk>, Publication, Reconnect, Options, Stop>;

  Thread(Options o, Sinks s);

  // From any thread.
  bool post(Item item);  // false, and logged: the mailbox is full
  // On the thread.
  void run();

  Mailbox<Item> mailbox{4096};
  std::atomic<int64_t> newest = item_id::kBeforeAll;
  std::atomic<uint64_t> pings = 0;
  std::atomic<uint64_t> answers = 0;
  Publications publications;  // any thread may reserve a place
  std::thread thread;

 private:
  void watch_mailbox();
  void take(Wake);
  void take(Backlog);
  void take(std::vector<Chunk> chunks);
  void take(Publication publication);
  void take(Reconnect);
  void take(Options o);
  void take(Stop stop);

  void connect();
  void on_up();
  void on_down(const std::string& reason);
  void on_acknowledged(const std::vector<int>& mids);
  void on_message(std::string_view topic, std::string_view payload);
  void watch_tick();
  void on_tick();

  void pump();
  void send_publications();
  bool send_states();
  void acknowledge_rows(std::vector<int64_t> rows);
  void give_up(const std::vector<Publication>& given_up);
  void close_when_idle();

  Options options;
  Sinks sinks;
  asio::io_context io{1};
  asio::posix::stream_descriptor bell{io};
  asio::steady_timer retry{io}, tick{io}, stop_timer{io}, batch{io};
  StatusTeller status{io, sinks.status};
  std::unique_ptr<Line> line;
  bool up = false;
  bool stopping = false;
  bool closing = false;
  bool reconnect_asked = false;  // when this line is down
  bool batch_waits = false;
  Steady::time_point up_since;
  Steady::time_point last_progress;  // towards an acknowledgement
  Backoff backoff;
  Sender sender;
};

Uplink::Thread::Thread(Options o, Sinks s)
    : options(std::move(o)),
      sinks(std::move(s)),
      backoff(backoff_of(options)),
      sender(sender_limits(options)) {
  thread = std::thread([this] { run(); });
}

bool Uplink::Thread::post(Item item) {
  const auto both_wake = [](const Item& waiting, const Item& value) {
    return std::holds_alternative<Wake>(waiting) && std::holds_alternative<Wake>(value);
  };
  if (mailbox.post_or_merge(std::move(item), both_wake)) return true;
  log::error("the uplink does not take its messages", {});
  return false;
}

void Uplink::Thread::run() {
  // Signals are for the main thread; and a write to a closed socket is an error, not SIGPIPE,
  // whatever others in this process have set.
  sigset_t all;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, nullptr);
  bell.assign(::fcntl(mailbox.fd(), F_DUPFD_CLOEXEC, 0));
  watch_mailbox();
  watch_tick();
  connect();
  io.run();
  line.reset();
  give_up(publications.take_in_flight());
  give_up(publications.take_waiting());
  status.enter(UplinkStatus::State::Stopped);
}

void Uplink::Thread::watch_mailbox() {
  bell.async_wait(asio::posix::descriptor_base::wait_read, [this](error_code error) {
    if (error) return;
    for (Item& item : mailbox.take_all()) {
      std::visit([this](auto& value) { take(std::move(value)); }, item);
    }
    pump();
    watch_mailbox();
  });
}

void Uplink::Thread::take(Wake) {
  answers.store(pings.load());
  // The first of a batch waits for others; what comes while we are behind does not.
  if (options.batch_max_age.count() == 0 || !sender.caught_up()) {
    return sender.on_committed(newest.load());
  }
  if (batch_waits || newest.load() <= sender.newest()) return;
  batch_waits = true;
  batch.expires_after(options.batch_max_age);
  batch.async_wait([this](error_code error) {
    batch_waits = false;
    if (error) return;
    sender.on_committed(newest.load());
    pump();
  });
}

void Uplink::Thread::take(Backlog) { sender.on_backlog(); }

void Uplink::Thread::take(std::vector<Chunk> chunks) {
  sender.on_chunks(std::move(chunks));
  if (const int64_t refused = sender.refused() - status.now.refused; refused > 0) {
    log::warning("readings were not sent: one alone is longer than a message may be",
                 {{"FP_COUNT", std::to_string(refused)},
                  {"FP_ATTRIBUTE", *sender.refused_attribute()},
                  {"FP_LIMIT", "uplink.max_payload"}});
  }
  status.now.refused = sender.refused();
  acknowledge_rows(sender.take_done());
}

void Uplink::Thread::take(Publication publication) {
  publications.add(std::move(publication));
  if (!up || closing) give_up(publications.take_waiting());
}

void Uplink::Thread::take(Reconnect) {
  if (status.now.state != UplinkStatus::State::Waiting) return;
  backoff.reset();
  retry.cancel();
  connect();
}

void Uplink::Thread::take(Options o) {
  const bool again = needs_reconnect(options, o);
  const Options before = std::exchange(options, std::move(o));
  if (before.backoff_max != options.backoff_max) backoff = backoff_of(options);
  sender.set_limits(sender_limits(options));
  if (status.now.state == UplinkStatus::State::Waiting) return take(Reconnect{});
  if (!line) return;
  if (again) {
    reconnect_asked = true;
    line->close();
    return;
  }
  line->set_max_in_flight(max_in_flight(options));
  if (before.device_ids != options.device_ids) line->set_topics(command_topics(options));
}

void Uplink::Thread::take(Stop stop) {
  stopping = true;
  retry.cancel();
  if (!line) return io.stop();
  // What is under way gets half of the time to be acknowledged, the goodbye the rest.
  const auto quarter = stop.limit / 4;
  stop_timer.expires_after(quarter * 2);
  stop_timer.async_wait([this, quarter](error_code error) {
    if (error) return;
    if (line && !closing) line->close();
    closing = true;
    stop_timer.expires_after(quarter);
    stop_timer.async_wait([this](error_code e) {
      if (!e) io.stop();
    });
  });
  if (up) return close_when_idle();
  closing = true;
  line->close();
}

void Uplink::Thread::close_when_idle() {
  if (!stopping || closing || !line || sender.in_flight() > 0 || !publications.idle()) return;
  closing = true;
  line->close();
}

void Uplink::Thread::connect() {
  auto credentials = read_credentials(options);
  if (!credentials) return on_down(credentials.error().message);
  status.enter(UplinkStatus::State::Connecting);
  line = std::make_unique<Line>(
      io, line_options(options, std::move(*credentials)),
      Line::Events{.step =
                       [this](const std::string& step) {
                         status.now.step = step;
                         status.tell();
                       },
                   .up = [this] { on_up(); },
                   .down = [this](const std::string& reason) { on_down(reason); },
                   .acknowledged = [this](const std::vector<int>& mids) { on_acknowledged(mids); },
                   .message = [this](std::string_view topic,
                                     std::string_view payload) { on_message(topic, payload); }});
}

void Uplink::Thread::on_up() {
  up = true;
  up_since = last_progress = Steady::now();
  ++status.now.connections;
  status.now.reason.clear();
  log::notice("connected to the broker", {{"FP_BROKER", options.host}});
  status.enter(UplinkStatus::State::Connected);
  sender.on_connected();
  pump();
  close_when_idle();
}

void Uplink::Thread::on_down(const std::string& reason) {
  line.reset();
  if (stopping) return io.stop();
  if (up && Steady::now() - up_since >= kLasting) backoff.reset();
  up = false;
  sender.on_disconnected();
  status.now.in_flight = 0;
  give_up(publications.take_in_flight());
  give_up(publications.take_waiting());
  if (std::exchange(reconnect_asked, false)) {
    backoff.reset();
    return connect();
  }
  const milliseconds pause = backoff.next();
  if (reason != status.now.reason) {
    log::warning("no connection to the broker",
                 {{"FP_BROKER", options.host}, {"FP_REASON", reason}});
  }
  status.now.reason = reason;
  status.now.retry_ns = (BootClock::now() + pause).time_since_epoch().count();
  status.enter(UplinkStatus::State::Waiting);
  retry.expires_after(pause);
  retry.async_wait([this](error_code error) {
    if (!error && !line && !stopping) connect();
  });
}

void Uplink::Thread::on_acknowledged(const std::vector<int>& mids) {
  std::vector<int64_t> rows;
  for (const int mid : mids) {
    if (const auto publication = publications.acknowledged(mid)) {
      if (sinks.published) sinks.published(*publication, true);
      continue;
    }
    auto done = sender.acknowledged(mid);
    if (!done) continue;
    ++status.now.published;
    status.now.published_bytes += done->bytes;
    status.now.readings += done->readings;
    rows.insert(rows.end(), done->rows.begin(), done->rows.end());
  }
  last_progress = Steady::now();
  acknowledge_rows(std::move(rows));
  pump();
  close_when_idle();
}

void Uplink::Thread::acknowledge_rows(std::vector<int64_t> rows) {
  if (!rows.empty()) sinks.acknowledge(std::move(rows));
}

void Uplink::Thread::on_message(std::string_view topic, std::string_view payload) {
  const auto device = commanded_device(topic);
  if (!device) {
    log::warning("a message came on a topic that we did not ask for",
                 {{"FP_REASON", printable(topic, 100)}});
    return;
  }
  sinks.command({.device_id = std::string(*device), .payload = std::string(payload)});
}

void Uplink::Thread::watch_tick() {
  tick.expires_after(seconds(1));
  tick.async_wait([this](error_code error) {
    if (error) return;
    on_tick();
    watch_tick();
  });
}

void Uplink::Thread::on_tick() {
  if (!up) return;
  // A broker that takes everything and acknowledges nothing. As long as the network still has
  // bytes of ours to carry, waiting is right; TCP_USER_TIMEOUT bounds that.
  const bool waiting = sender.in_flight() > 0 || publications.in_flight() > 0;
  if (!waiting || line->unsent_bytes() > 0) last_progress = Steady::now();
  if (Steady::now() - last_progress > options.keepalive) {
    return line->fail("the broker has acknowledged nothing for " + about(options.keepalive));
  }
  sender.on_tick();
  pump();
}

// Sends what may be sent, and asks for what could be sent next.
void Uplink::Thread::pump() {
  if (!up || closing) return;
  send_publications();
  if (!stopping) {
    if (!send_states()) return;
    if (const auto after = sender.take_fetch()) sinks.fetch(*after, Sender::kFetchPoints);
  }
  line->flush();
  if (const int64_t now = sender.in_flight(); now != status.now.in_flight) {
    status.now.in_flight = now;
    status.tell_soon();
  }
}

void Uplink::Thread::send_publications() {
  while (auto publication = publications.take()) {
    const auto mid = line->publish(publication->topic, publication->payload);
    if (!mid) {
      log::warning("an answer cannot be published", {{"FP_REASON", mid.error().message}});
      give_up({std::move(*publication)});
      continue;
    }
    if (sinks.sent) sinks.sent(options.client_id, publication->payload.size());
    publications.sent(std::move(*publication), *mid);
  }
}

// False if the line had to be given up.
bool Uplink::Thread::send_states() {
  while (const auto message = sender.take_message()) {
    const auto mid = line->publish(state_topic(*message->device), message->payload);
    if (!mid) {
      line->fail(mid.error().message);
      return false;
    }
    if (sinks.sent) sinks.sent(*message->device, message->payload.size());
    sender.sent(*message, *mid);
  }
  return true;
}

void Uplink::Thread::give_up(const std::vector<Publication>& given_up) {
  if (!sinks.published) return;
  for (const Publication& publication : given_up) sinks.published(publication, false);
}

Uplink::Uplink(Options options, Sinks sinks)
    : thread_(std::make_unique<Thread>(std::move(options), std::move(sinks))) {}

Uplink::~Uplink() { stop(); }

void Uplink::on_committed(int64_t newest) {
  // From two threads: the higher number stands.
  int64_t before = thread_->newest.load();
  while (before < newest && !thread_->newest.compare_exchange_weak(before, newest)) {
  }
  thread_->post(Thread::Wake{});
}

void Uplink::on_backlog() { thread_->post(Thread::Backlog{}); }

void Uplink::on_chunks(std::vector<Chunk> chunks) { thread_->post(std::move(chunks)); }

void Uplink::publish(Publication publication) {
  if (!thread_->publications.reserve()) {
    log::warning("an answer is dropped: too many wait", {{"FP_TOPIC", publication.topic}});
    return;
  }
  if (!thread_->post(std::move(publication))) thread_->publications.cancel();
}

void Uplink::reconnect() { thread_->post(Thread::Reconnect{}); }
void Uplink::apply(Options options) { thread_->post(std::move(options)); }

void Uplink::ping() {
  ++thread_->pings;
  thread_->post(Thread::Wake{});
}
uint64_t Uplink::answered() const { return thread_->answers.load(); }

void Uplink::stop(milliseconds limit) {
  if (!thread_->thread.joinable()) return;
  thread_->post(Thread::Stop{limit});
  thread_->thread.join();
}

}  // namespace fieldpost
