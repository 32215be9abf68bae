// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "base/log.hpp"
#include "base/text.hpp"
#include "uplink/setup.hpp"
#include "uplink/uplink_thread.hpp"

namespace fieldpost {

void Uplink::Thread::on_acknowledged(const std::vector<int>& mids) {
  std::vector<int64_t> rows;
  const BootTime now = BootClock::now();
  for (const int mid : mids) {
    if (const auto publication = publications.acknowledged(mid)) {
      if (const auto record = publication_records.extract(mid))
        limiter.arrived(record.mapped(), now);
      if (sinks.published) sinks.published(*publication, true);
      continue;
    }
    auto done = lanes.acknowledged(mid, now);
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
  limiter.received(BootClock::now());
  const auto device = commanded_device(topic);
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
  lanes.on_tick();
  pump();
}

// Sends what may be sent, and asks for what could be sent next.
void Uplink::Thread::pump() {
  if (!up || closing) return;
  const BootTime answers_at = send_publications();
  if (!stopping) {
    if (!send_states()) return;
    while (const auto request = lanes.take_fetch()) {
      sinks.fetch(request->lane, request->after, Sender::kFetchPoints);
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

// When the next may leave, if the limits hold one back.
BootTime Uplink::Thread::send_publications() {
  while (const Publication* next = publications.next()) {
    const BootTime now = BootClock::now();
    const BootTime at = limiter.free_at(next->topic, Traffic::Answer, now);
    if (at > now) return at;
    auto publication = publications.take();
    const auto mid = line->publish(publication->topic, publication->payload);
    if (!mid) {
      log::warning("an answer cannot be published", {{"FP_REASON", mid.error().message}});
      give_up({std::move(*publication)});
      continue;
    }
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
    const auto mid = line->publish(state_topic(*message->state.device), message->state.payload);
    if (!mid) {
      line->fail(mid.error().message);
      return false;
    }
    if (sinks.sent) sinks.sent(*message->state.device, message->state.payload.size());
    lanes.sent(*message, *mid, now);
  }
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
    const auto is_it = [&](const auto& t) { return t.topic == topic; };
    if (std::ranges::any_of(told, is_it)) continue;
    log::error(
        "the broker closes the connection when something is published to this topic: check the id "
        "of the device and what the access key allows; its readings wait",
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
