// SPDX-License-Identifier: Apache-2.0
#include "fakes/timedate_bus.hpp"

#include <sys/socket.h>
#include <sys/un.h>

#include <fstream>
#include <stdexcept>

#include "base/unique_fd.hpp"

namespace fieldpost::test {
namespace {

void check(int r, const char* what) {
  if (r < 0)
    throw std::runtime_error(std::string(what) + ": " + std::generic_category().message(-r));
}

// The file alone is there a moment before somebody listens.
bool accepts(const std::string& path) {
  const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  return ::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
}

int append(sd_bus_message* reply, const char* name, bool value) {
  return sd_bus_message_append(reply, "{sv}", name, "b", static_cast<int>(value));
}

}  // namespace

TimedateBus::TimedateBus(EventLoop& loop) : holder_(*loop.after(std::chrono::hours(1), [] {})) {
  const std::string config = folder_ / "bus.conf";
  std::ofstream(config) << "<busconfig><type>session</type><listen>" << address()
                        << "</listen><policy context=\"default\">"
                           "<allow send_destination=\"*\" eavesdrop=\"true\"/>"
                           "<allow eavesdrop=\"true\"/><allow own=\"*\"/></policy></busconfig>\n";
  daemon_ = std::make_unique<Process>(
      std::vector<std::string>{"/usr/bin/dbus-daemon", "--nofork", "--nopidfile", "--nosyslog",
                               "--config-file=" + config},
      folder_ / "log");
  if (!eventually([&] { return accepts(folder_ / "bus"); })) {
    throw std::runtime_error("dbus-daemon does not start");
  }
}

void TimedateBus::serve() {
  sd_bus* bus = nullptr;
  check(sd_bus_new(&bus), "new");
  bus_.reset(bus);
  check(sd_bus_set_address(bus, address().c_str()), "address");
  check(sd_bus_set_bus_client(bus, 1), "client");
  check(sd_bus_start(bus), "start");
  const auto handler = [](sd_bus_message* call, void* self, sd_bus_error*) {
    return static_cast<TimedateBus*>(self)->on_call(call);
  };
  check(sd_bus_add_object(bus, nullptr, "/org/freedesktop/timedate1", handler, this), "object");
  check(sd_bus_request_name(bus, "org.freedesktop.timedate1", 0), "name");
  check(sd_bus_attach_event(bus, sd_event_source_get_event(holder_.get()), 0), "attach");
}

int TimedateBus::on_call(sd_bus_message* call) {
  ++asked;
  switch (manner) {
    case Manner::Answer:
      return reply(call);
    case Manner::Refuse:
      return sd_bus_reply_method_errorf(call, SD_BUS_ERROR_ACCESS_DENIED, "not for you");
    case Manner::Ramble:
      return sd_bus_reply_method_return(call, "a{sv}", 1, "NTPSynchronized", "s", "yes");
    case Manner::Silence:
      return 1;
  }
  return 0;
}

int TimedateBus::reply(sd_bus_message* call) const {
  sd_bus_message* reply = nullptr;
  check(sd_bus_message_new_method_return(call, &reply), "reply");
  sd_bus_message_open_container(reply, 'a', "{sv}");
  sd_bus_message_append(reply, "{sv}", "Timezone", "s", "Etc/UTC");
  append(reply, "CanNTP", answer.can_ntp);
  append(reply, "NTP", answer.ntp);
  append(reply, "NTPSynchronized", answer.synchronised);
  sd_bus_message_append(reply, "{sv}", "TimeUSec", "t", uint64_t{1});
  check(sd_bus_message_close_container(reply), "close");
  const int r = sd_bus_send(nullptr, reply, nullptr);
  sd_bus_message_unref(reply);
  return r < 0 ? r : 1;
}

}  // namespace fieldpost::test
