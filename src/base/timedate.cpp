// SPDX-License-Identifier: Apache-2.0
#include "base/timedate.hpp"

#include <string_view>
#include <utility>

namespace fieldpost {
namespace {

constexpr const char* kService = "org.freedesktop.timedate1";
constexpr const char* kPath = "/org/freedesktop/timedate1";

Error no_answer(std::string_view why) {
  return {Errc::Unavailable, "ask timedated on the system bus: " + std::string(why)};
}

// Reads one "{sv}" of the answer; those that are not ours are skipped.
int read_property(sd_bus_message* message, TimedateAnswer& ret) {
  const char* name = nullptr;
  if (const int r = sd_bus_message_read(message, "s", &name); r < 0) return r;
  bool* const wanted = std::string_view(name) == "NTPSynchronized" ? &ret.synchronised
                       : std::string_view(name) == "CanNTP"        ? &ret.can_ntp
                       : std::string_view(name) == "NTP"           ? &ret.ntp
                                                                   : nullptr;
  if (wanted == nullptr) return sd_bus_message_skip(message, "v");
  int value = 0;
  const int r = sd_bus_message_read(message, "v", "b", &value);
  *wanted = value != 0;
  return r;
}

Result<TimedateAnswer> read_answer(sd_bus_message* message) {
  if (const sd_bus_error* e = sd_bus_message_get_error(message)) {
    return no_answer(e->message != nullptr ? e->message : e->name);
  }
  TimedateAnswer answer;
  int r = sd_bus_message_enter_container(message, 'a', "{sv}");
  while (r >= 0) {
    r = sd_bus_message_enter_container(message, 'e', "sv");
    if (r == 0) return answer;
    if (r > 0) r = read_property(message, answer);
    if (r >= 0) r = sd_bus_message_exit_container(message);
  }
  return no_answer("an answer that is no set of properties");
}

}  // namespace

Result<std::unique_ptr<TimedateQuery>> TimedateQuery::ask(EventLoop& loop,
                                                          const std::string& address,
                                                          std::chrono::milliseconds limit,
                                                          Callback callback) {
  std::unique_ptr<TimedateQuery> query(new TimedateQuery(std::move(callback)));
  TimedateQuery* const self = query.get();
  self->deadline_ = FP_TRY(loop.after(limit, [self] {
    self->finish(Error{Errc::Timeout, "ask timedated on the system bus: no answer in time"});
  }));
  int r = self->connect(address);
  if (r >= 0) r = self->send(limit);
  if (r >= 0) {
    r = sd_bus_attach_event(self->bus_.get(), sd_event_source_get_event(self->deadline_.get()),
                            static_cast<int>(Priority::Input));
  }
  // What fails at once is told of from the loop as well, so that callers have one way to handle.
  if (r < 0) {
    const std::string why = std::generic_category().message(-r);
    self->deadline_ = FP_TRY(
        loop.after(std::chrono::microseconds(1), [self, why] { self->finish(no_answer(why)); }));
  }
  return query;
}

int TimedateQuery::connect(const std::string& address) {
  sd_bus* raw = nullptr;
  int r = sd_bus_new(&raw);
  if (r < 0) return r;
  bus_.reset(raw);
  r = sd_bus_set_address(raw, address.c_str());
  if (r >= 0) r = sd_bus_set_bus_client(raw, 1);
  return r < 0 ? r : sd_bus_start(raw);
}

int TimedateQuery::send(std::chrono::milliseconds limit) {
  sd_bus_message* raw = nullptr;
  int r = sd_bus_message_new_method_call(bus_.get(), &raw, kService, kPath,
                                         "org.freedesktop.DBus.Properties", "GetAll");
  const std::unique_ptr<sd_bus_message, decltype(&sd_bus_message_unref)> message(
      raw, sd_bus_message_unref);
  if (r >= 0) r = sd_bus_message_append(raw, "s", kService);
  if (r < 0) return r;
  sd_bus_slot* slot = nullptr;
  const auto on_answer = [](sd_bus_message* answer, void* self, sd_bus_error*) noexcept {
    static_cast<TimedateQuery*>(self)->finish(read_answer(answer));
    return 0;
  };
  // Twice the limit: deadline_ is the one that ends it, before and after the connection is up.
  const auto usec = std::chrono::duration_cast<std::chrono::microseconds>(2 * limit).count();
  r = sd_bus_call_async(bus_.get(), &slot, raw, on_answer, this, static_cast<uint64_t>(usec));
  slot_.reset(slot);
  return r;
}

void TimedateQuery::finish(Result<TimedateAnswer> answer) {
  deadline_ = Source();
  if (callback_) std::exchange(callback_, nullptr)(std::move(answer));  // last: may destroy this
}

}  // namespace fieldpost
