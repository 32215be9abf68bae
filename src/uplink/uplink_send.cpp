// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "base/log.hpp"
#include "base/text.hpp"
#include "model/custom_device.hpp"
#include "model/topic.hpp"
#include "uplink/setup.hpp"
#include "uplink/uplink_thread.hpp"

namespace fieldpost {
namespace {

// What libmosquitto has written is with the network after that; it may look again.
constexpr auto kSettle = milliseconds(20);

}  // namespace

void Uplink::Thread::on_acknowledged(const std::vector<int>& mids) {
  std::vector<int64_t> rows;
  const BootTime now = BootClock::now();
  for (const int mid : mids) {
    if (const auto publication = publications.acknowledged(mid)) {
      if (const auto record = publication_records.extract(mid))
        limiter.arrived(record.mapped(), now);
      quarantine.acknowledged(publication->topic);
      if (sinks.published) sinks.published(*publication, true);
      continue;
    }
    if (!lanes.is_unacknowledged(mid)) settle(mid, rows, now);
  }
  last_progress = Steady::now();
  acknowledge_rows(std::move(rows));
  pump();
  close_when_idle();
}

void Uplink::Thread::settle(int mid, std::vector<int64_t>& ret_rows, BootTime now) {
  const auto done = lanes.acknowledged(mid, now);
  if (!done) return;
  ++status.now.published;
  status.now.published_bytes += done->bytes;
  status.now.readings += done->readings;
  ret_rows.insert(ret_rows.end(), done->rows.begin(), done->rows.end());
}

// Nobody acknowledges QoS 0. That libmosquitto has written it says little: the line may be slow, or
// dead. So it is done with, and counts as arrived for the limits, when the broker's machine has
// acknowledged all bytes.
void Uplink::Thread::watch_written() {
  if (written.empty() || std::exchange(settle_waits, true)) return;
  settle_timer.expires_after(kSettle);
  settle_timer.async_wait([this, count = written.size()](error_code error) {
    settle_waits = false;
    if (!up) return;
    if (error) return watch_written();  // of the connection before
    std::vector<int64_t> rows;
    if (count <= written.size() && line->all_arrived()) {
      for (size_t i = 0; i < count; ++i) settle(written[i], rows, BootClock::now());
      written.erase(written.begin(), written.begin() + static_cast<ptrdiff_t>(count));
      last_progress = Steady::now();
    }
    acknowledge_rows(std::move(rows));
    pump();
    watch_written();
    close_when_idle();
  });
}

void Uplink::Thread::acknowledge_rows(std::vector<int64_t> rows) {
  if (!rows.empty()) sinks.acknowledge(std::move(rows));
}

void Uplink::Thread::on_message(std::string_view topic, std::string_view payload) {
  limiter.received(BootClock::now());
  const auto device = commanded_device(topic);
  const auto is_asked_for = [&](const Subscription& s) { return matches(s.topic, topic); };
  if (!device && std::ranges::any_of(options.custom_subscriptions, is_asked_for)) {
    return sinks.message({.device_id = options.client_id,
                          .topic = std::string(topic),
                          .payload = std::string(payload),
                          .received = BootClock::now()});
  }
  if (!device) {
    log::warning("a message came on a topic that we did not ask for",
                 {{"FP_REASON", printable(topic, 100)}});
    return;
  }
  sinks.command({.device_id = std::string(*device),
                 .payload = std::string(payload),
                 .topic = std::string(topic),
                 .received = BootClock::now()});
}

void Uplink::Thread::watch_tick() {
  tick.expires_after(seconds(1));
  tick.async_wait([this](error_code error) {
    if (error) return;
    on_tick();
    if (line) line->on_tick();  // not by a timer of its own: each costs a wake-up
    watch_tick();
  });
}

void Uplink::Thread::on_tick() {
  if (!up) return;
  // A broker that takes everything and acknowledges nothing. As long as the network still has
  // bytes of ours to carry, waiting is right; TCP_USER_TIMEOUT bounds that.
  const bool waiting = lanes.in_flight() > 0 || publications.in_flight() > 0;
  if (!waiting || line->unsent_bytes() > 0) last_progress = Steady::now();
  if (Steady::now() - last_progress > options.keepalive) {
    return line->fail("the broker has acknowledged nothing for " + about(options.keepalive));
  }
  if (quarantine.release(BootClock::now())) tell_of_quarantine();
  if (auto refused = line->refused_topics(); refused != status.now.refused_topics) {
    status.now.refused_topics = std::move(refused);
    status.tell_soon();
  }
  note_custom();
  note_retained();
  lanes.on_tick();
  pump();
}

void Uplink::Thread::note_custom() {
  const Lanes::CustomCounts& custom = lanes.custom();
  if (const int64_t more = custom.dropped - std::exchange(dropped_logged, custom.dropped);
      more > 0) {
    log::warning(
        "readings were not published: their [[publish]] is not in the configuration",
        {{"FP_COUNT", std::to_string(more)}, {"FP_ENTRY", shown_device(*custom.last_dropped)}});
  }
  note_refused();
  if (status.now.custom_published == custom.published &&
      status.now.custom_dropped == custom.dropped) {
    return;
  }
  status.now.custom_published = custom.published;
  status.now.custom_dropped = custom.dropped;
  status.tell_soon();
}

void Uplink::Thread::note_refused() {
  const int64_t more = lanes.refused() - status.now.refused;
  if (more <= 0) return;
  log::warning("readings were not sent: one alone is longer than a message may be",
               {{"FP_COUNT", std::to_string(more)},
                {"FP_ATTRIBUTE", *lanes.refused_attribute()},
                {"FP_LIMIT", "uplink.max_payload"}});
  status.now.refused = lanes.refused();
  status.tell_soon();
}

void Uplink::Thread::note_retained() {
  if (!line) return;
  const auto [count, topic] = line->take_retained();
  if (count == 0) return;
  for (int64_t i = 0; i < count; ++i) limiter.received(BootClock::now());
  status.now.retained += count;
  status.tell_soon();
  log::warning("retained messages are ignored: an order of old must not be carried out now",
               {{"FP_COUNT", std::to_string(count)}, {"FP_TOPIC", printable(topic, 100)}});
}

// Sends what may be sent, and asks for what could be sent next.
void Uplink::Thread::pump() {
  if (!up || closing) return;
  const BootTime answers_at = send_publications();
  if (!stopping) {
    if (!answer_waits && !send_states()) return;
    while (const auto request = lanes.take_fetch()) {
      sinks.fetch(request->lane, request->after, request->max_points);
    }
  }
  line->flush();
  wake_at(std::min(answers_at, lanes.held_until()));
  tell_of_pace(answers_at != Limiter::kUnknown || lanes.is_held_back());
}

// When what the rate limits hold back may leave.
void Uplink::Thread::wake_at(BootTime time) {
  if (time == Limiter::kUnknown) return;
  pace.expires_after(std::max<nanoseconds>(time - BootClock::now(), milliseconds(1)));
  pace.async_wait([this](error_code error) {
    if (!error) pump();
  });
}

void Uplink::Thread::tell_of_pace(bool held_back) {
  const BootTime now = BootClock::now();
  UplinkStatus& s = status.now;
  const int64_t age = lanes.batch_age(now).count();
  const int64_t in_flight = lanes.in_flight();
  const bool slowed = limiter.slowed(now);
  if (s.in_flight == in_flight && s.batch_age_ns == age && s.held_back == held_back &&
      s.slowed == slowed) {
    return;
  }
  s.in_flight = in_flight;
  s.batch_age_ns = age;
  s.held_back = held_back;
  s.slowed = slowed;
  s.live_devices = limiter.live_topics(now);
  status.tell_soon();
}

// When the next may leave, if the limits hold one back. Answers do not wait for a topic that is set
// aside: they are of their hour.
BootTime Uplink::Thread::send_publications() {
  answer_waits = false;
  while (const Publication* next = publications.next()) {
    const Quarantine::Standing standing = quarantine.standing_of(next->topic);
    if (standing == Quarantine::Standing::SetAside) {
      give_up({*publications.take()});
      continue;
    }
    const BootTime now = BootClock::now();
    const BootTime at = limiter.free_at(next->topic, Traffic::Answer, now);
    if (at > now) return at;
    const bool suspect = standing == Quarantine::Standing::Suspect;
    answer_waits = quarantine.is_trying() || (suspect && !quarantine.is_idle());
    if (answer_waits) break;
    auto publication = publications.take();
    const auto mid = line->publish(publication->topic, publication->payload);
    if (!mid) {
      log::warning("an answer cannot be published", {{"FP_REASON", mid.error().message}});
      give_up({std::move(*publication)});
      continue;
    }
    quarantine.sent(publication->topic);
    publication_records[*mid] = limiter.sent(publication->topic, Traffic::Answer, now);
    if (sinks.sent) sinks.sent(options.client_id, publication->payload.size());
    publications.sent(std::move(*publication), *mid);
  }
  return Limiter::kUnknown;
}

// False if the line had to be given up.
bool Uplink::Thread::send_states() {
  const BootTime now = BootClock::now();
  while (const auto message = lanes.take_message(now)) {
    const auto mid = line->publish(message->topic, message->state.payload, message->qos);
    if (!mid) {
      line->fail(mid.error().message);
      return false;
    }
    const bool custom = message->lane == Lane::Custom;
    if (sinks.sent) {
      sinks.sent(custom ? options.client_id : *message->state.device,
                 message->state.payload.size());
    }
    lanes.sent(*message, *mid, now);
    if (message->qos == 0) written.push_back(*mid);
  }
  acknowledge_rows(lanes.take_done());
  watch_written();
  return true;
}

// Somebody has changed something.
void Uplink::Thread::try_all_topics() {
  if (line) line->ask_again_now();
  quarantine.clear();
  tell_of_quarantine();
}

// What the store hands out of them, or does not, changes before anything else is asked for.
void Uplink::Thread::tell_of_quarantine() {
  const auto aside = quarantine.set_aside();
  const auto same = [](const auto& a, const auto& b) { return a.topic == b.topic; };
  auto& told = status.now.set_aside;
  if (std::ranges::equal(aside, told, same)) return;
  DeviceIds devices;
  for (const auto& [topic, until] : aside) {
    if (const auto device = stating_device(topic)) devices.emplace(*device);
    devices.merge(lanes.copies_on(topic));
    const auto is_it = [&](const auto& t) { return t.topic == topic; };
    if (std::ranges::any_of(told, is_it)) continue;
    const std::string what =
        "the broker closes the connection when something is published to "
        "this topic: check ";
    log::error(
        what + (stating_device(topic)
                    ? "the id of the device and what the access key allows; its readings wait"
                    : "the topic and what the access key allows; nothing is sent there"),
        {{"FP_TOPIC", topic}, {"FP_RETRY", "in " + about(until - BootClock::now())}});
  }
  const bool fewer = std::ranges::any_of(told, [&](const auto& t) {
    return quarantine.standing_of(t.topic) != Quarantine::Standing::SetAside;
  });
  told = aside;
  sinks.set_aside(std::move(devices));
  if (fewer) lanes.on_backlog();
  status.tell_soon();
}

void Uplink::Thread::give_up(const std::vector<Publication>& given_up) {
  if (!sinks.published) return;
  for (const Publication& publication : given_up) sinks.published(publication, false);
}

}  // namespace fieldpost
