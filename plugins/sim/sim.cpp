// SPDX-License-Identifier: Apache-2.0
//
// Devices that are made up, or replayed from a recording; and every way to be a bad plugin.
#include <fieldpost/plugin.hpp>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "csv.hpp"
#include "faults.hpp"
#include "signal.hpp"
#include "tables.hpp"

namespace fieldpost::sim {
namespace {

using sdk::Section;
using std::chrono::nanoseconds;

nanoseconds boot_time() {
  timespec ts{};
  clock_gettime(CLOCK_BOOTTIME, &ts);
  return std::chrono::seconds(ts.tv_sec) + nanoseconds(ts.tv_nsec);
}

// FNV-1a: signals of one seed differ from each other, the same way on every machine.
uint64_t seed_of(uint64_t seed, unsigned unit, std::string_view attribute) {
  uint64_t hash = 14695981039346656037ULL ^ seed;
  const auto mix = [&hash](uint64_t byte) { hash = (hash ^ byte) * 1099511628211ULL; };
  mix(unit);
  for (const char c : attribute) mix(static_cast<unsigned char>(c));
  return hash;
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(separator, at), text.size());
    parts.emplace_back(text.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

// The wrapper hides the raw host, which breaking the contract needs.
struct RawHost : sdk::Host {
  explicit RawHost(const sdk::Host& host) : Host(host) {}
  const fp_host& raw() const { return *raw_; }
};

struct SignalPlan {
  SignalSpec spec;
  uint32_t attribute = 0;
  std::string key;  // under which a counter is kept; empty: it is not
};

struct UnitPlan {
  std::vector<SignalPlan> signals;
  FaultSpec fault;
};

struct CsvPlan {
  std::string path, device;
  bool repeat = true;
  double speed = 1;
  CsvSummary summary;
  std::map<std::string, uint32_t> attributes;  // as declared
};

struct Plan {
  struct Target {
    unsigned unit = 0;
    size_t signal = 0;
  };
  std::vector<UnitPlan> units;
  std::vector<Target> commands;  // by the index that calls carry
  std::optional<CsvPlan> csv;
  FaultSpec fault;

  explicit Plan(sdk::Declare& declare) {
    const Section options = declare.options();
    fault = read_fault(options);
    if (options.has("csv")) read_csv(declare, options);
    const auto sections = declare.units();
    for (unsigned i = 0; i < sections.size(); ++i) {
      const bool own = sections[i].index() != options.index();
      units.push_back({{}, own ? read_fault(sections[i]) : FaultSpec{}});
      const auto rows = sections[i].rows("signal");
      for (const Section& row : rows) read_signal(declare, i, row);
      if (rows.empty() && !csv) few(declare, i, sections[i]);
    }
  }

 private:
  void add(sdk::Declare& declare, unsigned unit, const Section& section, const std::string& name,
           SignalSpec spec) {
    spec.seed = seed_of(static_cast<uint64_t>(declare.options().integer("seed")), unit, name);
    const uint32_t index = declare.attribute(
        unit, section, sdk::Attribute{.name = name.c_str(), .type = type_of(spec.shape)});
    units[unit].signals.push_back({std::move(spec), index, {}});
  }

  void few(sdk::Declare& declare, unsigned unit, const Section& section) {
    add(declare, unit, section, "temperature", {.amplitude = 5, .offset = 20, .decimals = 2});
    add(declare, unit, section, "pressure",
        {.shape = Shape::RandomWalk, .amplitude = 30, .offset = 1013, .decimals = 1});
    add(declare, unit, section, "count", {.shape = Shape::Counter});
    add(declare, unit, section, "running", {.shape = Shape::Square});
  }

  void read_signal(sdk::Declare& declare, unsigned unit, const Section& row) {
    const std::string attribute = row.text("attribute");
    SignalSpec spec{.shape = to_shape(row.text("shape")),
                    .amplitude = row.number("amplitude"),
                    .offset = row.number("offset"),
                    .period_s = row.number("period"),
                    .step = row.number("step"),
                    .decimals = static_cast<int>(row.integer("decimals")),
                    .texts = split(row.text("texts"), '|')};
    const Shape shape = spec.shape;
    add(declare, unit, row, attribute, std::move(spec));
    if (row.boolean("kept")) {
      units[unit].signals.back().key = std::to_string(unit) + "-" + attribute;
      if (shape != Shape::Counter) declare.problem(row, "kept", "needs shape = \"counter\"");
    }
    if (!row.has("command")) return;
    const uint32_t type = type_of(shape);
    const sdk::Option value{.name = "value",
                            .type = type == FP_NUMBER    ? FP_OPT_NUMBER
                                    : type == FP_BOOLEAN ? FP_OPT_BOOLEAN
                                                         : FP_OPT_TEXT,
                            .required = true,
                            .help = "what the signal becomes"};
    const std::array<fp_option, 1> args{value};
    const std::string name = row.text("command");
    const std::string output = "unit " + std::to_string(unit) + " " + attribute;
    declare.command(unit, row,
                    sdk::Command{.name = name.c_str(),
                                 .help = "Sets the signal.",
                                 .args = args,
                                 .output = output.c_str(),
                                 .readback = attribute.c_str(),
                                 .idempotent = true});
    commands.push_back({unit, units[unit].signals.size() - 1});
  }

  // The recording says which attributes there are, so it is read when declaring too.
  void read_csv(sdk::Declare& declare, const Section& options) {
    CsvPlan plan{options.text("csv"),
                 options.has("csv_device") ? options.text("csv_device") : "",
                 options.boolean("csv_repeat"),
                 options.number("csv_speed"),
                 {},
                 {}};
    try {
      CsvReader reader(plan.path, plan.device);
      plan.summary = summarise(reader);
      if (plan.summary.rows == 0) throw sdk::ConfigError(plan.path + ": has no rows to replay");
    } catch (const sdk::ConfigError& e) {
      declare.problem(options, "csv", e.what());
      return;
    }
    for (const auto& [name, type] : plan.summary.types) {
      plan.attributes[name] =
          declare.attribute(0, options, sdk::Attribute{.name = name.c_str(), .type = type});
    }
    csv = std::move(plan);
  }
};

// Hands over what a recording has for the time that has passed since the start.
class Replay {
 public:
  explicit Replay(const CsvPlan& plan)
      : plan_(plan), reader_(plan.path, plan.device), start_(boot_time()), row_(reader_.next()) {}

  void run(sdk::Host& host) {
    const nanoseconds now = boot_time();
    std::vector<sdk::Reading> sample;
    // Not cut within an instant.
    for (int n = 0; row_ && due(*row_) <= now && (n < kMostAtOnce || !sample.empty()); ++n) {
      const nanoseconds time = due(*row_);
      const uint32_t type = plan_.summary.types.at(row_->attribute);
      sample.push_back(
          {plan_.attributes.at(row_->attribute), to_value(type, row_->value), FP_GOOD, {}});
      row_ = reader_.next();
      if (!row_ || due(*row_) != time) {
        host.emit(sample, time.count());
        sample.clear();
      }
      if (!row_ && plan_.repeat) again();
    }
  }

 private:
  nanoseconds scaled(int64_t ms) const {
    return nanoseconds(static_cast<int64_t>(static_cast<double>(ms) * 1e6 / plan_.speed));
  }
  nanoseconds due(const CsvRow& row) const {
    return start_ + scaled(row.time_ms - plan_.summary.first_ms);
  }
  // The next round begins a second after the last reading.
  void again() {
    start_ += scaled(plan_.summary.last_ms - plan_.summary.first_ms + 1000);
    reader_.rewind();
    row_ = reader_.next();
  }

  static constexpr int kMostAtOnce = 20'000;
  const CsvPlan& plan_;
  CsvReader reader_;
  nanoseconds start_;
  std::optional<CsvRow> row_;  // the next one
};

}  // namespace

class Sim {
 public:
  using Plan = sim::Plan;

  Sim(sdk::Host& host, const Plan& plan)
      : plan_(plan), start_(boot_time()), delay_(host.options().duration("delay")) {
    seed_ = static_cast<uint64_t>(host.options().integer("seed"));
    if (plan_.fault.fault == Fault::Refuse) misbehave(plan_.fault.fault, host, 0);
    for (const UnitPlan& unit : plan_.units) {
      units_.emplace_back();
      for (const SignalPlan& s : unit.signals) {
        Signal& signal = units_.back().signals.emplace_back(s.spec);
        const auto kept = s.key.empty() ? std::nullopt : host.kept(s.key);
        if (kept) signal.set(static_cast<double>(*kept) + s.spec.step);
      }
    }
    if (plan_.csv) replay_.emplace(*plan_.csv);
    if (host.options().has("events")) start_events(host.options().duration("events"));
  }
  Sim(const Sim&) = delete;
  Sim& operator=(const Sim&) = delete;
  ~Sim() {
    if (timer_ >= 0) close(timer_);
  }

  void poll(sdk::Host& host, unsigned unit) {
    if (delay_ > nanoseconds(0)) std::this_thread::sleep_for(delay_);
    if (due(plan_.fault, polls_)) misbehave(plan_.fault.fault, host, unit);
    const FaultSpec& own = plan_.units.at(unit).fault;
    if (due(own, units_.at(unit).polls)) misbehave(own.fault, host, unit);
    ++polls_;
    ++units_[unit].polls;
    read(host, unit);
    if (replay_ && unit == 0) replay_->run(host);
  }

  int event_fd() const { return timer_; }

  void on_event(sdk::Host& host) {
    uint64_t times = 0;
    if (::read(timer_, &times, sizeof times) != sizeof times) return;
    for (unsigned unit = 0; unit < units_.size(); ++unit) read(host, unit);
  }

  std::optional<sdk::Value> command(sdk::Host& host, const sdk::Call& call) {
    const Plan::Target& target = plan_.commands.at(call.command());
    const SignalPlan& signal = plan_.units[target.unit].signals[target.signal];
    sdk::Value value = call.has(0) ? argument(call, type_of(signal.spec.shape)) : sdk::Value();
    units_[target.unit].signals[target.signal].set(value);
    host.emit(signal.attribute, value);
    return value;
  }

 private:
  struct UnitState {
    std::vector<Signal> signals;
    int64_t polls = 0;
  };

  static sdk::Value argument(const sdk::Call& call, uint32_t type) {
    if (type == FP_BOOLEAN) return call.boolean(0);
    if (type == FP_STRING) return call.text(0);
    return call.number(0);
  }

  bool due(const FaultSpec& spec, int64_t polls) const {
    return spec.fault != Fault::None && polls >= spec.after_polls &&
           boot_time() - start_ >= spec.after;
  }

  void misbehave(Fault fault, sdk::Host& host, unsigned unit) {
    const auto& signals = plan_.units.at(unit).signals;
    commit(fault, host, RawHost(host).raw(), signals.empty() ? 0 : signals[0].attribute, seed_);
  }

  void read(sdk::Host& host, unsigned unit) {
    const double seconds = std::chrono::duration<double>(boot_time()).count();
    std::vector<sdk::Reading> sample;
    for (size_t i = 0; i < units_[unit].signals.size(); ++i) {
      const SignalPlan& plan = plan_.units[unit].signals[i];
      sdk::Value value = units_[unit].signals[i].next(seconds);
      if (!plan.key.empty()) host.keep(plan.key, static_cast<int64_t>(std::get<double>(value)));
      sample.push_back({plan.attribute, std::move(value), FP_GOOD, {}});
    }
    if (!sample.empty()) host.emit(sample);
  }

  void start_events(nanoseconds interval) {
    timer_ = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    const timespec every{interval.count() / 1'000'000'000, interval.count() % 1'000'000'000};
    const itimerspec spec{every, every};
    if (timer_ < 0 || timerfd_settime(timer_, 0, &spec, nullptr) < 0) {
      throw sdk::IoError("timer: " + std::error_code(errno, std::generic_category()).message());
    }
  }

  const Plan plan_;
  const nanoseconds start_;
  const nanoseconds delay_;
  uint64_t seed_ = 1;
  std::vector<UnitState> units_;
  int64_t polls_ = 0;
  std::optional<Replay> replay_;
  int timer_ = -1;
};

}  // namespace fieldpost::sim

FP_PLUGIN(fieldpost::sim::Sim, {.type = "sim",
                                .version = "0.1.0",
                                .summary = "Makes up readings, replays recorded ones, and goes "
                                           "wrong on request.",
                                .options = fieldpost::sim::kFlatOptions,
                                .tables = fieldpost::sim::kTables})
