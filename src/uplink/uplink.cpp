// SPDX-License-Identifier: Apache-2.0
#include "uplink/uplink.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fcntl.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <optional>
#include <thread>
#include <unordered_map>
#include <utility>  // before Asio: 1.74 uses std::exchange without it
#include <variant>

#include "base/backoff.hpp"
#include "base/clock.hpp"
#include "base/log.hpp"
#include "base/mailbox.hpp"
#include "base/text.hpp"
#include "uplink/credentials.hpp"
#include "uplink/line.hpp"
#include "uplink/sender.hpp"

namespace fieldpost {

namespace asio = boost::asio;
using boost::system::error_code;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Steady = std::chrono::steady_clock;

namespace {

// Publications that wait for the line, and that are on it, unacknowledged.
constexpr size_t kMaxPublications = 100;
constexpr int kPublicationsInFlight = 10;
// A connection that lasted so long ends a series of failures.
constexpr seconds kLasting(30);
// Counters in the status change with every message; nobody reads faster than this.
constexpr milliseconds kStatusPeriod(200);

Sender::Limits limits_of(const Uplink::Options& o) {
  return {.window_messages = o.window_messages,
          .window_bytes = o.window_bytes,
          .max_payload = o.max_payload};
}

Backoff backoff_of(const Uplink::Options& o) {
  const auto cap = std::chrono::duration_cast<milliseconds>(o.backoff_max);
  return {std::min<milliseconds>(seconds(1), cap), cap};
}

std::vector<std::string> topics_of(const Uplink::Options& o) {
  std::vector<std::string> topics;
  for (const std::string& id : o.device_ids) topics.push_back("losant/" + id + "/command");
  return topics;
}

// Whether what differs can only be had with a new connection.
bool needs_reconnect(const Uplink::Options& a, const Uplink::Options& b) {
  return a.run_dir != b.run_dir || a.client_id != b.client_id || a.tls != b.tls ||
         a.host != b.host || a.port != b.port || a.ca_file != b.ca_file ||
         a.access_key_file != b.access_key_file || a.access_secret_file != b.access_secret_file ||
         a.keepalive != b.keepalive;
}

}  // namespace

struct Uplink::Thread {
  struct Wake {};  // something atomic has changed
  struct Stop {
    milliseconds limit;
  };
  struct Reconnect {};
  using Item = std::variant<Wake, std::vector<Chunk>, Publication, Reconnect, Options, Stop>;

  Thread(Options o, Sinks s);

  // From any thread.
  void post(Item item);
  // On the thread.
  void run();

  Mailbox<Item> mailbox{4096};
  std::atomic<int64_t> newest_row = 0;
  std::atomic<uint64_t> pings = 0;
  std::atomic<uint64_t> answers = 0;
  std::atomic<size_t> waiting_publications = 0;
  std::thread thread;

 private:
  void watch_mailbox();
  void take(Wake);
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
  void drop_publications();
  void acknowledge_rows(std::vector<int64_t> rows);
  void end_publication(const Publication& publication, bool delivered);
  void close_when_idle();

  void enter(UplinkStatus::State state);
  void tell();
  void tell_soon();

  Options options;
  Sinks sinks;
  asio::io_context io{1};
  asio::posix::stream_descriptor bell{io};
  asio::steady_timer retry{io}, tick{io}, status_timer{io}, stop_timer{io};
  std::unique_ptr<Line> line;
  bool up = false;
  bool stopping = false;
  bool closing = false;
  bool reconnect_asked = false;  // when this line is down
  Steady::time_point up_since;
  Steady::time_point last_progress;  // towards an acknowledgement
  Backoff backoff;
  Sender sender;
  std::deque<Publication> publications;  // not sent yet
  std::unordered_map<int, Publication> publications_in_flight;
  UplinkStatus status;
  bool status_waits = false;
};

Uplink::Thread::Thread(Options o, Sinks s)
    : options(std::move(o)),
      sinks(std::move(s)),
      backoff(backoff_of(options)),
      sender(limits_of(options)) {
  thread = std::thread([this] { run(); });
}

void Uplink::Thread::post(Item item) {
  const auto both_wake = [](const Item& waiting, const Item& value) {
    return std::holds_alternative<Wake>(waiting) && std::holds_alternative<Wake>(value);
  };
  if (!mailbox.post_or_merge(std::move(item), both_wake)) {
    log::error("the uplink does not take its messages", {});
  }
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
  for (const auto& [mid, publication] : publications_in_flight) {
    end_publication(publication, false);
  }
  drop_publications();
  enter(UplinkStatus::State::Stopped);
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
  sender.on_committed(newest_row.load());
}

void Uplink::Thread::take(std::vector<Chunk> chunks) {
  sender.on_chunks(std::move(chunks));
  status.refused = sender.refused();
  acknowledge_rows(sender.take_done());
}

void Uplink::Thread::take(Publication publication) {
  if (up && !closing) {
    publications.push_back(std::move(publication));
    return;
  }
  log::warning("an answer is dropped: the line is down", {{"FP_TOPIC", publication.topic}});
  --waiting_publications;
  end_publication(publication, false);
}

void Uplink::Thread::take(Reconnect) {
  if (status.state != UplinkStatus::State::Waiting) return;
  backoff.reset();
  retry.cancel();
  connect();
}

void Uplink::Thread::take(Options o) {
  const bool again = needs_reconnect(options, o);
  const Options before = std::exchange(options, std::move(o));
  if (before.backoff_max != options.backoff_max) backoff = backoff_of(options);
  sender.set_limits(limits_of(options));
  if (status.state == UplinkStatus::State::Waiting) return take(Reconnect{});
  if (!line) return;
  if (again) {
    reconnect_asked = true;
    line->close();
    return;
  }
  line->set_max_in_flight(options.window_messages + kPublicationsInFlight);
  if (before.device_ids != options.device_ids) line->set_topics(topics_of(options));
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
  if (!stopping || closing || !line || sender.in_flight() > 0) return;
  if (!publications.empty() || !publications_in_flight.empty()) return;
  closing = true;
  line->close();
}

void Uplink::Thread::connect() {
  auto credentials = read_credentials(options.access_key_file, options.access_secret_file);
  if (!credentials) return on_down(credentials.error().message);
  const auto ms = [](nanoseconds ns) { return std::chrono::duration_cast<milliseconds>(ns); };
  Line::Options line_options{
      .transport = {.run_dir = options.run_dir,
                    .host = options.host,
                    .port = options.port,
                    .tls = options.tls,
                    .ca_file = options.ca_file,
                    .step_limit = ms(options.connect_timeout),
                    .lost_after = ms(options.keepalive),
                    .resolve = options.resolve},
      .session = {.client_id = options.client_id,
                  .user = credentials->key,
                  .password = credentials->secret,
                  .keepalive = std::chrono::duration_cast<seconds>(options.keepalive),
                  .max_in_flight = options.window_messages + kPublicationsInFlight,
                  .topics = topics_of(options)}};
  enter(UplinkStatus::State::Connecting);
  line = std::make_unique<Line>(
      io, std::move(line_options),
      Line::Events{.step =
                       [this](const std::string& step) {
                         status.step = step;
                         tell();
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
  ++status.connections;
  status.reason.clear();
  log::notice("connected to the broker", {{"FP_BROKER", options.host}});
  enter(UplinkStatus::State::Connected);
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
  status.in_flight = 0;
  for (const auto& [mid, publication] : std::exchange(publications_in_flight, {})) {
    end_publication(publication, false);
  }
  drop_publications();
  if (std::exchange(reconnect_asked, false)) {
    backoff.reset();
    return connect();
  }
  const milliseconds pause = backoff.next();
  if (reason != status.reason) {
    log::warning("no connection to the broker",
                 {{"FP_BROKER", options.host}, {"FP_REASON", reason}});
  }
  status.reason = reason;
  status.retry_ns = (BootClock::now() + pause).time_since_epoch().count();
  enter(UplinkStatus::State::Waiting);
  retry.expires_after(pause);
  retry.async_wait([this](error_code error) {
    if (!error && !line && !stopping) connect();
  });
}

void Uplink::Thread::on_acknowledged(const std::vector<int>& mids) {
  std::vector<int64_t> rows;
  for (const int mid : mids) {
    if (const auto found = publications_in_flight.find(mid);
        found != publications_in_flight.end()) {
      const Publication publication = std::move(found->second);
      publications_in_flight.erase(found);
      end_publication(publication, true);
      continue;
    }
    auto done = sender.acknowledged(mid);
    if (!done) continue;
    ++status.published;
    status.published_bytes += done->bytes;
    status.readings += done->readings;
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
  constexpr std::string_view kPrefix = "losant/";
  constexpr std::string_view kSuffix = "/command";
  if (!topic.starts_with(kPrefix) || !topic.ends_with(kSuffix) ||
      topic.size() <= kPrefix.size() + kSuffix.size()) {
    log::warning("a message came on a topic that we did not ask for",
                 {{"FP_REASON", printable(topic, 100)}});
    return;
  }
  topic.remove_prefix(kPrefix.size());
  topic.remove_suffix(kSuffix.size());
  sinks.command({.device_id = std::string(topic), .payload = std::string(payload)});
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
  const bool waiting = sender.in_flight() > 0 || !publications_in_flight.empty();
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
  if (const int64_t now = sender.in_flight(); now != status.in_flight) {
    status.in_flight = now;
    tell_soon();
  }
}

void Uplink::Thread::send_publications() {
  while (!publications.empty() && publications_in_flight.size() < kPublicationsInFlight) {
    Publication publication = std::move(publications.front());
    publications.pop_front();
    --waiting_publications;
    const auto mid = line->publish(publication.topic, publication.payload);
    if (!mid) {
      log::warning("an answer cannot be published", {{"FP_REASON", mid.error().message}});
      end_publication(publication, false);
      continue;
    }
    publications_in_flight.emplace(*mid, std::move(publication));
  }
}

// False if the line had to be given up.
bool Uplink::Thread::send_states() {
  while (const auto message = sender.take_message()) {
    const auto mid = line->publish("losant/" + *message->device + "/state", message->payload);
    if (!mid) {
      line->fail(mid.error().message);
      return false;
    }
    sender.sent(*message, *mid);
  }
  return true;
}

void Uplink::Thread::drop_publications() {
  for (const Publication& publication : std::exchange(publications, {})) {
    log::warning("an answer is dropped: the line is down", {{"FP_TOPIC", publication.topic}});
    --waiting_publications;
    end_publication(publication, false);
  }
}

void Uplink::Thread::end_publication(const Publication& publication, bool delivered) {
  if (sinks.published) sinks.published(publication, delivered);
}

void Uplink::Thread::enter(UplinkStatus::State state) {
  status.state = state;
  status.since_ns = BootClock::now().time_since_epoch().count();
  status.step.clear();
  if (state != UplinkStatus::State::Waiting) status.retry_ns = 0;
  tell();
}

void Uplink::Thread::tell() {
  if (sinks.status) sinks.status(status);
}

void Uplink::Thread::tell_soon() {
  if (std::exchange(status_waits, true)) return;
  status_timer.expires_after(kStatusPeriod);
  status_timer.async_wait([this](error_code error) {
    status_waits = false;
    if (!error) tell();
  });
}

Uplink::Uplink(Options options, Sinks sinks)
    : thread_(std::make_unique<Thread>(std::move(options), std::move(sinks))) {}

Uplink::~Uplink() { stop(); }

void Uplink::on_committed(int64_t newest_row) {
  thread_->newest_row.store(newest_row);
  thread_->post(Thread::Wake{});
}

void Uplink::on_chunks(std::vector<Chunk> chunks) { thread_->post(std::move(chunks)); }

void Uplink::publish(Publication publication) {
  if (thread_->waiting_publications.fetch_add(1) >= kMaxPublications) {
    --thread_->waiting_publications;
    log::warning("an answer is dropped: too many wait", {{"FP_TOPIC", publication.topic}});
    return;
  }
  thread_->post(std::move(publication));
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
