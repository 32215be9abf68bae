// SPDX-License-Identifier: Apache-2.0
//
// Modbus over TCP and serial lines: one instance is one bus with any number of units.
#include <fieldpost/plugin.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "blocks.hpp"
#include "bus.hpp"
#include "plan.hpp"
#include "shared_bus.hpp"
#include "tables.hpp"

namespace fieldpost::modbus {
namespace {

using sdk::ConfigError;
using sdk::IoError;

// "exception 2 (illegal data address)"
std::string to_text(uint8_t exception) {
  static constexpr std::array<const char*, 12> kNames = {
      nullptr,         "illegal function",         "illegal data address",
      "illegal value", "device failure",           "acknowledge",
      "device busy",   "negative acknowledge",     "memory parity error",
      nullptr,         "gateway path unavailable", "gateway target does not answer"};
  const std::string text = "exception " + std::to_string(exception);
  const char* name = exception < kNames.size() ? kNames.at(exception) : nullptr;
  return name == nullptr ? text : text + " (" + name + ")";
}

// A gateway between us and the unit says that it cannot reach it.
bool is_unreachable(uint8_t exception) { return exception == 10 || exception == 11; }

using Clock = std::chrono::steady_clock;

// A unit that is busy is asked again: so often in one poll or command, after such pauses.
constexpr int kBusyTries = 3;
constexpr std::chrono::milliseconds kBusyPause{100};
constexpr uint8_t kAcknowledge = 5, kBusy = 6, kTargetSilent = 11;

class BusyTries {
 public:
  // Whether to ask again; the pause is over by then.
  bool again(uint8_t exception) {
    if ((exception != kAcknowledge && exception != kBusy) || left_ == 0) return false;
    --left_;
    std::this_thread::sleep_for(kBusyPause);
    return true;
  }

 private:
  int left_ = kBusyTries;
};

std::string name_of(const Unit& unit) { return "unit " + std::to_string(unit.address); }
std::string name_of(const Unit& unit, const Register& reg) {
  return name_of(unit) + " " + to_text(reg.table, reg.address);
}

// What a reading that is not good carries: nobody looks at it, but it has the attribute's type.
sdk::Value no_value(const Register& reg) {
  switch (data_type(reg.type)) {
    case FP_BOOLEAN:
      return false;
    case FP_STRING:
      return std::string();
    default:
      return 0.0;
  }
}

sdk::Reading bad(const Point& point, uint32_t quality, std::string why) {
  return {point.attribute, no_value(point.reg), quality, std::move(why)};
}

// What the command is to write.
sdk::Value argument(const Register& reg, const sdk::Call& call) {
  switch (data_type(reg.type)) {
    case FP_BOOLEAN:
      return call.boolean(0);
    case FP_STRING:
      return call.text(0);
    default:
      return call.number(0);
  }
}

// The requests of one poll of one unit, and what came of them.
struct Cycle {
  Bus& bus;
  const Unit& unit;
  int patience;
  std::chrono::nanoseconds timeout;
  std::chrono::nanoseconds& slowest;  // of its answers; a slow one is forgotten after hundreds
  std::vector<sdk::Reading>& readings;
  BusyTries tries{};
  int answered = 0;
  int silent = 0;
  bool is_late = false;
  Clock::time_point last_start = Clock::time_point::max();  // of a request
  std::string why = "left for the next poll, which goes on looking for what the unit refuses";

  Answer ask(const Extent& what) {
    if (silent >= patience) return {kNotAsked};
    // Whoever is still waiting at the deadline is killed, and the whole bus with it.
    if (answered > 0 && Clock::now() > last_start) {
      is_late = true;
      if (silent == 0) why = "left for the next poll: the unit is slow, and the deadline was near";
      return {kNotAsked};
    }
    try {
      const auto began = Clock::now();
      Answer answer = bus.read(unit.address, what, timeout);
      while (tries.again(answer.exception)) answer = bus.read(unit.address, what, timeout);
      slowest = std::max(slowest - slowest / 64, Clock::now() - began);
      if (is_unreachable(answer.exception)) {
        why = to_text(answer.exception);
        silent = patience;
        return {kNoAnswer};
      }
      ++answered;
      return answer;
    } catch (const Silence& e) {
      why = e.what();
      ++silent;
      return {kNoAnswer};
    }
  }

  void take(const Point& point, std::span<const uint16_t> words, uint8_t exception) {
    if (exception != 0) {
      readings.push_back(
          bad(point, FP_COMM_ERROR, name_of(unit, point.reg) + ": " + reason(exception)));
      return;
    }
    auto value = decode(point.reg, words);
    if (value) {
      readings.push_back({point.attribute, *std::move(value), FP_GOOD, {}});
    } else {
      readings.push_back(
          bad(point, FP_OUT_OF_RANGE, name_of(unit, point.reg) + " " + value.error()));
    }
  }

  std::string reason(uint8_t exception) const {
    if (exception == kNoAnswer || exception == kNotAsked) return why;
    if (exception == kSilentPlace) {
      return "no answer, though the unit answers otherwise; asked again within a minute";
    }
    return to_text(exception);
  }
};

}  // namespace

class Modbus {
 public:
  using Plan = modbus::Plan;

  Modbus(sdk::Host& /*host*/, const Plan& plan)
      : plan_(plan),
        line_(shared_bus(plan.endpoint, plan.connect_timeout, plan.request_pause)),
        bus_(*line_) {
    for (const Unit& unit : plan_.units)
      states_.push_back({ReadPlan(extents_of(unit), unit.reach)});
  }

  // What the unit answers becomes one sample. When it answers some requests and not others, the
  // others' values are marked; when it answers none, that is an error.
  void poll(sdk::Host& host, unsigned index) {
    const Unit& unit = plan_.units.at(index);
    State& state = states_.at(index);
    readings_.clear();
    readings_.reserve(unit.points.size());
    const auto timeout = timeout_of(unit, state);
    const auto now = Clock::now();
    const std::chrono::nanoseconds busy = std::max(busy_until_ - now, Clock::duration::zero());
    Cycle cycle{bus_,           unit,          state.answers ? kPatience : 1,
                timeout + busy, state.slowest, readings_};
    if (host.deadline().count() > 0) {
      cycle.last_start = now + host.deadline() - longest_request(plan_, unit) - busy;
    }
    state.answers = false;
    state.reads.run(
        now, [&cycle](const Extent& what) { return cycle.ask(what); },
        [&cycle](size_t point, std::span<const uint16_t> words, uint8_t exception) {
          cycle.take(cycle.unit.points[point], words, exception);
        });
    if (cycle.answered == 0) {
      ++state.silences;
      busy_until_ = Clock::now() + (unit.timeout - timeout);
      if (timeout == unit.timeout) state.why = cycle.why;
      throw IoError(name_of(unit) + ": " + state.why);
    }
    if (cycle.is_late) state.reads.go_on_where_left();
    state.answers = true;
    state.silences = 0;
    host.emit(readings_);
  }

  std::optional<sdk::Value> command(sdk::Host& host, const sdk::Call& call) {
    const Target& target = plan_.commands.at(call.command());
    const Unit& unit = plan_.units[target.unit];
    const Register& reg = unit.points[target.point].reg;
    const std::vector<uint16_t> now = reg.is_part() ? holds(unit, reg) : std::vector<uint16_t>{};
    const auto words = encode(reg, argument(reg, call), now);
    if (!words) {
      const std::string size = std::to_string(reg.width()) + " registers of ";
      throw ConfigError(name_of(unit, reg) + ": the value does not fit into " +
                        (reg.width() == 1 ? "" : size) + std::string(name_of(reg.type)));
    }
    write(unit, reg, *words);
    return read_back(host, unit, reg);
  }

 private:
  struct State {
    ReadPlan reads;
    bool answers = true;  // it did last time
    int silences = 0;     // polls in a row without any answer
    std::string why{};    // of the last one that waited its full time
    std::chrono::nanoseconds slowest{};
  };

  // Of a unit that is silent two probes of three are cut short by what its answers used to take:
  // the others on the bus wait for it meanwhile. One that answers is never hurried, nor one on a
  // serial line, where a late answer must not be taken for the next one.
  std::chrono::nanoseconds timeout_of(const Unit& unit, const State& state) const {
    const bool full = state.silences % 3 == 0 || state.slowest.count() == 0;
    if (full || plan_.endpoint.line != Line::Tcp) return unit.timeout;
    return std::min(unit.timeout, std::max(kLeastTimeout, 4 * state.slowest));
  }

  // Exception 5 says that the unit has begun, so that asking again could do it twice. What left and
  // was not answered may have been done.
  void write(const Unit& unit, const Register& reg, std::span<const uint16_t> words) {
    const bool multiple = words.size() > 1 || unit.writes == Writes::Multiple;
    BusyTries tries;
    Answer answer;
    try {
      do {
        answer = bus_.write(unit.address, reg.table, reg.address, words, multiple, unit.timeout);
      } while (answer.exception == kBusy && tries.again(kBusy));
    } catch (const Silence& e) {
      uncertain(unit, reg, e.what());
    } catch (const LineLost& e) {
      uncertain(unit, reg, e.what());
    }
    if (answer.exception == kTargetSilent) uncertain(unit, reg, to_text(answer.exception));
    if (answer.exception != kAcknowledge) refuse(unit, reg, answer);
  }

  std::vector<uint16_t> holds(const Unit& unit, const Register& reg) {
    const Extent what{reg.table, reg.address, reg.width()};
    BusyTries tries;
    try {
      Answer answer = bus_.read(unit.address, what, unit.timeout);
      while (tries.again(answer.exception)) answer = bus_.read(unit.address, what, unit.timeout);
      refuse(unit, reg, answer);
      return {answer.words.begin(), answer.words.end()};
    } catch (const Silence& e) {
      throw IoError(name_of(unit, reg) + ": " + e.what());
    }
  }

  // The write has been confirmed, so that failing to read it back does not make it a failure:
  // some registers can only be written.
  std::optional<sdk::Value> read_back(sdk::Host& host, const Unit& unit, const Register& reg) {
    try {
      auto value = decode(reg, holds(unit, reg));
      if (value) return *std::move(value);
    } catch (const std::runtime_error& e) {
      host.log(kNotice, std::string("written, but cannot be read back: ") + e.what());
    }
    return {};
  }

  [[noreturn]] static void uncertain(const Unit& unit, const Register& reg,
                                     const std::string& why) {
    throw sdk::UncertainError(name_of(unit, reg) + ": " + why + "; it may have been written");
  }

  // Exceptions 1 to 3 will be the same next time, others may pass.
  static void refuse(const Unit& unit, const Register& reg, const Answer& answer) {
    if (answer.exception == 0) return;
    const std::string why = name_of(unit, reg) + ": " + to_text(answer.exception);
    if (answer.exception <= 3) throw ConfigError(why);
    throw IoError(why);
  }

  static constexpr int kNotice = 5;
  static constexpr std::chrono::nanoseconds kLeastTimeout = std::chrono::milliseconds(50);
  Plan plan_;
  std::shared_ptr<Bus> line_;  // see shared_bus()
  Bus& bus_;
  std::vector<State> states_;  // by unit
  // A gateway may wait on its serial side for a unit that we no longer wait for, and let the next
  // request wait so long.
  Clock::time_point busy_until_{};
  std::vector<sdk::Reading> readings_;  // of the last poll; kept for its room
};

}  // namespace fieldpost::modbus

FP_PLUGIN(fieldpost::modbus::Modbus,
          {.type = "modbus",
           .version = "0.1.0",
           .summary = "Reads and writes devices that speak Modbus, over TCP or a serial line.",
           .needs = FP_NEEDS_DEVICES | FP_NEEDS_NETWORK,
           .options = fieldpost::modbus::kFlatOptions,
           .tables = fieldpost::modbus::kTables})
