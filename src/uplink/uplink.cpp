// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <signal.h>

#include <algorithm>

#include "base/log.hpp"
#include "base/message_ids.hpp"
#include "uplink/credentials.hpp"
#include "uplink/setup.hpp"
#include "uplink/uplink_thread.hpp"

namespace fieldpost {

Uplink::Thread::Thread(Options o, Sinks s)
    : options(std::move(o)),
      sinks(std::move(s)),
      redial(pauses(options).first, pauses(options).second),
      sent_file(options.run_dir, boot_id().value_or("")),
      limiter(options.limits, sent_file.records(), BootClock::now()),
      quarantine(state_topic(options.client_id)),
      lanes(lane_options(options), limiter, quarantine) {
  if (sent_file.begun()) limiter.assume_full(BootClock::now());
  limiter.slow_down_until(sent_file.slow_until());
  if (sent_file.slow_until() > BootClock::now()) redial.assume_throttled();
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
  // The first of a batch waits for others.
  const nanoseconds age = lanes.batch_age(BootClock::now());
  const bool batches = age.count() > 0 && lanes.batches();
  if (!batches || lanes.fills_messages(newest.load())) {
    lanes.on_committed(newest.load());  // what comes next leaves by the timer that runs
  } else if (!batch_waits && newest.load() > lanes.newest()) {
    begin_batch(age);
  }
  wake_at_item.store(batches && batch_waits ? lanes.full_at() : item_id::kBeforeAll);
  // What came before that was stored has not seen it.
  if (lanes.fills_messages(newest.load())) lanes.on_committed(newest.load());
}

void Uplink::Thread::begin_batch(nanoseconds age) {
  batch_waits = true;
  batch.expires_after(age);
  batch.async_wait([this](error_code error) {
    batch_waits = false;
    wake_at_item.store(item_id::kBeforeAll);  // before the newest is looked at
    if (error) return;
    lanes.on_committed(newest.load());
    pump();
  });
}

void Uplink::Thread::take(Backlog) { lanes.on_backlog(); }

void Uplink::Thread::take(Stored stored) { lanes.on_stored(stored.newest_row); }

void Uplink::Thread::take(Fetched fetched) {
  lanes.on_fetched(std::move(fetched));
  note_refused();
  acknowledge_rows(lanes.take_done());
}

void Uplink::Thread::take(Publication publication) {
  publications.add(std::move(publication));
  if (closing) give_up(publications.take_waiting());
}

void Uplink::Thread::take(Reconnect) {
  try_all_topics();
  if (status.now.state != UplinkStatus::State::Waiting) return;
  redial.reset();
  retry.cancel();
  connect();
}

void Uplink::Thread::take(Options o) {
  wake_at_item.store(item_id::kBeforeAll);  // batches may be others from now on
  const bool again = needs_reconnect(options, o);
  const Options before = std::exchange(options, std::move(o));
  if (before.brokers != options.brokers) next_broker = 0;
  quarantine.set_own_topic(state_topic(options.client_id));
  try_all_topics();
  redial.set_cap(pauses(options).first, pauses(options).second);
  limiter.set_limits(options.limits);
  lanes.set_options(lane_options(options));
  if (status.now.state == UplinkStatus::State::Waiting) return take(Reconnect{});
  if (!line) return;
  if (again) {
    reconnect_asked = true;
    line->close();
    return;
  }
  line->set_max_in_flight(max_in_flight(options));
  if (auto wanted = subscriptions(options); wanted != subscriptions(before))
    line->set_subscriptions(std::move(wanted));
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
  if (!stopping || closing || !line || lanes.in_flight() > 0 || !publications.idle()) return;
  closing = true;
  line->close();
}

void Uplink::Thread::connect() {
  auto credentials = read_credentials(options);
  if (!credentials) return on_down(credentials.error().message, Line::End::Other);
  tell_of_modes(std::move(credentials->troubles));
  status.now.url = broker().url;
  status.enter(UplinkStatus::State::Connecting);
  line = std::make_unique<Line>(
      io, line_options(options, broker(), std::move(*credentials)),
      Line::Events{
          .step =
              [this](const std::string& step) {
                status.now.step = step;
                status.tell();
              },
          .up = [this] { on_up(); },
          .down = [this](const std::string& reason, Line::End end) { on_down(reason, end); },
          .acknowledged = [this](const std::vector<int>& mids) { on_acknowledged(mids); },
          .message = [this](std::string_view topic,
                            std::string_view payload) { on_message(topic, payload); },
          .heard = [this] { heard.store(BootClock::now()); }});
}

// Once, until they are mended.
void Uplink::Thread::tell_of_modes(std::vector<std::string> troubles) {
  for (const std::string& trouble : troubles) {
    if (std::ranges::find(modes_told, trouble) != modes_told.end()) continue;
    log::warning("a secret is not kept", {{"FP_REASON", trouble}});
  }
  modes_told = std::move(troubles);
}

void Uplink::Thread::on_up() {
  up = true;
  up_since = last_progress = Steady::now();
  ++status.now.connections;
  status.now.reason.clear();
  log::notice("connected to the broker", {{"FP_BROKER", broker().host}});
  status.enter(UplinkStatus::State::Connected);
  lanes.on_connected();
  lanes.on_committed(newest.load());
  pump();
  close_when_idle();
}

Drop Uplink::Thread::drop_of(Line::End end, BootTime now) {
  Drop drop{.host = broker().host, .accepted = up};
  if (end == Line::End::Broker) drop.by = Drop::By::Broker;
  if (end == Line::End::Refusal) drop.by = Drop::By::Refusal;
  if (up) drop.lasted = Steady::now() - up_since;
  drop.used_percent = limiter.used_percent(now);
  const bool unexplained = drop.by == Drop::By::Broker && !Redial::is_near_limit(drop);
  drop.unanswered = quarantine.on_disconnected(unexplained, now);
  return drop;
}

void Uplink::Thread::on_down(const std::string& reason, Line::End end) {
  note_retained();
  line.reset();
  if (stopping) return io.stop();
  const BootTime now = BootClock::now();
  const Drop drop = drop_of(end, now);
  tell_of_quarantine();
  up = false;
  lanes.on_disconnected(now);
  publication_records.clear();
  written.clear();
  pace.cancel();
  settle_timer.cancel();
  status.now.in_flight = 0;
  status.now.refused_topics.clear();
  give_up(publications.take_in_flight());
  if (std::exchange(reconnect_asked, false)) {
    redial.reset();
    return connect();
  }
  const Redial::Verdict verdict = redial.on_drop(drop);
  if (verdict.cause == Redial::Cause::Throttled) {
    sent_file.set_slow_until(now + std::chrono::hours(1));
    limiter.slow_down_until(sent_file.slow_until());
  }
  wait_and_connect(reason, verdict);
}

void Uplink::Thread::wait_and_connect(const std::string& reason, Redial::Verdict verdict) {
  const std::string suspicion = words_of(verdict, options.client_id, limiter.limits().any());
  const std::string words = suspicion.empty() ? reason : reason + "; " + suspicion;
  if (words != status.now.reason) {
    log::warning("no connection to the broker",
                 {message_id::kNoConnection, {"FP_BROKER", broker().host}, {"FP_REASON", words}});
  }
  next_broker = (next_broker + 1) % options.brokers.size();
  status.now.reason = words;
  status.now.retry_ns = (BootClock::now() + verdict.pause).time_since_epoch().count();
  status.enter(UplinkStatus::State::Waiting);
  retry.expires_after(verdict.pause);
  retry.async_wait([this](error_code error) {
    if (!error && !line && !stopping) connect();
  });
}

Uplink::Uplink(Options options, Sinks sinks)
    : thread_(std::make_unique<Thread>(std::move(options), std::move(sinks))) {}

Uplink::~Uplink() { stop(); }

void Uplink::start() {
  thread_->thread = std::thread([thread = thread_.get()] { thread->run(); });
}

void Uplink::on_committed(int64_t newest) {
  // From two threads: the higher number stands.
  int64_t before = thread_->newest.load();
  while (before < newest && !thread_->newest.compare_exchange_weak(before, newest)) {
  }
  if (newest >= thread_->wake_at_item.load()) thread_->post(Thread::Wake{});
}

void Uplink::on_backlog() { thread_->post(Thread::Backlog{}); }

void Uplink::on_stored(int64_t newest_row) { thread_->post(Thread::Stored{newest_row}); }

void Uplink::on_fetched(Fetched fetched) { thread_->post(std::move(fetched)); }

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
BootTime Uplink::heard() const { return thread_->heard.load(); }

void Uplink::stop(milliseconds limit) {
  if (!thread_->thread.joinable()) return;
  thread_->post(Thread::Stop{limit});
  thread_->thread.join();
}

}  // namespace fieldpost
