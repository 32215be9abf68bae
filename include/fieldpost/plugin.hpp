// SPDX-License-Identifier: Apache-2.0
//
// C++ view of the plugin ABI (C++20). Header-only: it compiles into the plugin, so the compiler
// and the standard library of plugin and host may differ. Exceptions are welcome inside a plugin
// and end here: IoError becomes FP_E_IO, UncertainError FP_E_UNCERTAIN, ConfigError FP_E_INVALID,
// anything else FP_E_INTERNAL.
//
// A sensor is one class:
//
//   struct Thermal {
//     explicit Thermal(Host& host);               // opens the device
//     void poll(Host& host, unsigned unit);       // reads it; the unit may be left out
//   };
//   FP_PLUGIN(Thermal, {.type = "thermal", .version = "1.0.0", .summary = "…", …})
//
// It may also have, and is then called with:
//   struct Plan { explicit Plan(Declare&); };     // what the configuration asks for; declared in
//   Thermal(Host&, const Plan&);                  // Plan's constructor, without touching a device
//   int event_fd(); void on_event(Host&);
//   std::optional<Value> command(Host&, const Call&);   // returns what the device says now
#pragma once

#include <fieldpost/plugin.h>

#include <charconv>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace fieldpost::sdk {

// The device did not answer, or answered garbage. Will be tried again.
struct IoError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The same in the middle of a command: it may have been done, or not.
struct UncertainError : IoError {
  using IoError::IoError;
};

// The request or the configuration makes no sense. Will not be tried again as it is.
struct ConfigError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

using Value = std::variant<double, bool, std::string>;

namespace detail {

inline fp_str view(std::string_view s) { return {s.data(), s.size()}; }
inline std::string_view view(fp_str s) { return {s.data, s.len}; }

// `value` borrows the text of a string.
inline fp_value to_c(const Value& v) {
  if (const auto* number = std::get_if<double>(&v)) return {FP_NUMBER, 0, *number, {nullptr, 0}};
  if (const auto* flag = std::get_if<bool>(&v)) {
    return {FP_BOOLEAN, *flag ? 1u : 0u, 0, {nullptr, 0}};
  }
  return {FP_STRING, 0, 0, view(*std::get_if<std::string>(&v))};
}

}  // namespace detail

// A part of the instance's configuration: its options, a unit or a row. Values have been checked
// against the tables. Copyable; valid as long as the Host it came from.
class Section {
 public:
  Section(const fp_host& host, fp_section index) : host_(&host), index_(index) {}

  bool has(const char* option) const {
    fp_value v{};
    return host_->get(host_->ctx, index_, option, &v) == FP_OK;
  }
  std::string text(const char* option) const {
    return std::string(detail::view(get(option, FP_STRING).text));
  }
  double number(const char* option) const { return get(option, FP_NUMBER).number; }
  int64_t integer(const char* option) const { return static_cast<int64_t>(number(option)); }
  bool boolean(const char* option) const { return get(option, FP_BOOLEAN).boolean != 0; }
  std::chrono::nanoseconds duration(const char* option) const {
    return std::chrono::nanoseconds(static_cast<int64_t>(number(option) * 1e9));
  }
  std::vector<Section> rows(const char* table) const {
    std::vector<Section> found;
    const uint32_t n = host_->n_rows(host_->ctx, index_, table);
    found.reserve(n);
    for (uint32_t i = 0; i < n; ++i) {
      found.emplace_back(*host_, host_->row(host_->ctx, index_, table, i));
    }
    return found;
  }
  fp_section index() const { return index_; }

 private:
  fp_value get(const char* option, uint32_t type) const {
    fp_value v{};
    if (host_->get(host_->ctx, index_, option, &v) != FP_OK || v.type != type) {
      throw std::logic_error(std::string("no such option, or of another type: ") + option);
    }
    return v;
  }
  const fp_host* host_;
  fp_section index_;
};

// What both phases, declaring and running, may ask the host.
class Context {
 public:
  explicit Context(const fp_host& raw) : raw_(&raw) {}
  Section options() const { return {*raw_, 0}; }
  // One for each unit, at least one; its index here is the unit's number.
  std::vector<Section> units() const {
    std::vector<Section> found;
    found.reserve(raw_->n_units);
    for (uint32_t i = 0; i < raw_->n_units; ++i) {
      found.emplace_back(*raw_, raw_->unit(raw_->ctx, i));
    }
    return found;
  }
  // What any call into the plugin may take; 0: a host that does not say.
  std::chrono::nanoseconds deadline() const {
    return std::chrono::nanoseconds(raw_->size < sizeof(fp_host) ? 0 : raw_->deadline_ns);
  }
  void log(int priority, std::string_view message) const {
    raw_->log(raw_->ctx, priority, detail::view(message));
  }

 protected:
  const fp_host* raw_;
};

// The declaring phase: what the configuration asks for, and what is wrong with it.
class Declare : public Context {
 public:
  using Context::Context;
  // Returns the index that readings carry. Strings are copied.
  uint32_t attribute(unsigned unit, const Section& section, fp_attribute attribute) const {
    attribute.size = sizeof attribute;
    return checked(raw_->declare_attribute(raw_->ctx, unit, section.index(), &attribute));
  }
  // Returns the index that calls carry. Strings are copied.
  uint32_t command(unsigned unit, const Section& section, fp_command command) const {
    command.size = sizeof command;
    return checked(raw_->declare_command(raw_->ctx, unit, section.index(), &command));
  }
  // Shown to the user with file, line and column of the option; `option` may be nullptr.
  void problem(const Section& section, const char* option, std::string_view message) {
    raw_->problem(raw_->ctx, section.index(), option, detail::view(message));
    problems_ = true;
  }
  bool problems() const { return problems_; }

 private:
  // A refusal was reported by the host; declaring goes on, so that all problems show at once.
  static uint32_t checked(int32_t index) {
    return index < 0 ? UINT32_MAX : static_cast<uint32_t>(index);
  }
  bool problems_ = false;
};

struct Reading {
  uint32_t attribute = 0;
  Value value;
  uint32_t quality = FP_GOOD;
  std::string detail;  // why it is not good
};

// The running phase.
class Host : public Context {
 public:
  using Context::Context;
  // Hands over readings of one instant, CLOCK_BOOTTIME; 0: now.
  void emit(std::span<const Reading> readings, int64_t boottime_ns = 0) const {
    std::vector<fp_reading> raw;
    raw.reserve(readings.size());
    for (const Reading& r : readings) {
      raw.push_back({sizeof(fp_reading), r.attribute, r.quality, 0, detail::to_c(r.value),
                     detail::view(r.detail)});
    }
    if (raw_->emit(raw_->ctx, boottime_ns, raw.data(), raw.size()) != FP_OK) {
      throw std::logic_error("the host refused a sample");
    }
  }
  void emit(std::initializer_list<Reading> readings, int64_t boottime_ns = 0) const {
    emit(std::span(readings.begin(), readings.size()), boottime_ns);
  }
  void emit(uint32_t attribute, Value value) const {
    emit({{attribute, std::move(value), {}, {}}});
  }

  // A whole number for the next process of this instance: see fp_host.keep. Keep it before a
  // reading tells of it. At most FP_MAX_KEPT keys, formed like the names of attributes.
  void keep(const std::string& key, int64_t value) const {
    if (raw_->keep(raw_->ctx, key.c_str(), value) != FP_OK) {
      throw std::logic_error("the host does not keep '" + key + "'");
    }
  }
  // What is to be known of an attribute although its readings are good; "": nothing any more. See
  // fp_host.remark.
  void remark(uint32_t attribute, std::string_view text) const {
    if (raw_->remark(raw_->ctx, attribute, detail::view(text)) != FP_OK) {
      throw std::logic_error("the host takes no remark on attribute " + std::to_string(attribute));
    }
  }
  // What was kept last, by this process or one before it.
  std::optional<int64_t> kept(const std::string& key) const {
    int64_t value = 0;
    const fp_status status = raw_->kept(raw_->ctx, key.c_str(), &value);
    return status == FP_OK ? std::optional(value) : std::nullopt;
  }
};

// A command to run; arguments in the order of its table.
class Call {
 public:
  explicit Call(const fp_call& raw) : raw_(&raw) {}
  uint32_t command() const { return raw_->command; }
  bool has(size_t argument) const {
    return argument < raw_->n_args && raw_->args[argument].type != 0;
  }
  double number(size_t argument) const { return get(argument, FP_NUMBER).number; }
  bool boolean(size_t argument) const { return get(argument, FP_BOOLEAN).boolean != 0; }
  std::string text(size_t argument) const {
    return std::string(detail::view(get(argument, FP_STRING).text));
  }

 private:
  const fp_value& get(size_t argument, uint32_t type) const {
    if (!has(argument) || raw_->args[argument].type != type) {
      throw std::logic_error("no such argument, or of another type");
    }
    return raw_->args[argument];
  }
  const fp_call* raw_;
};

// ---- Rows of tables. Set members by name: {.name = "path", .help = "…"} is checked by the
// compiler.

struct Option {
  const char* name;
  uint32_t type = FP_OPT_TEXT;
  bool required = false;
  const char* unit = "";
  const char* fallback = nullptr;
  const char* help = "";
  const char* choices = nullptr;
  double min = 0, max = 0;
  bool exclusive = false;

  constexpr operator fp_option() const {  // NOLINT: a row is an fp_option
    const uint32_t flags = (required ? FP_OPT_REQUIRED : 0u) | (exclusive ? FP_OPT_EXCLUSIVE : 0u);
    return {sizeof(fp_option), type, flags, 0, name, unit, fallback, help, choices, min, max};
  }
};

struct Table {
  const char* name;
  bool units = false;
  const char* help = "";
  std::span<const fp_option> options = {};

  constexpr operator fp_table() const {  // NOLINT: a row is an fp_table
    return {sizeof(fp_table), units ? FP_TABLE_UNITS : 0u, name, help, options.data(),
            options.size()};
  }
};

struct Attribute {
  const char* name;
  uint32_t type = FP_NUMBER;
  const char* unit = "";
  const char* help = "";

  constexpr operator fp_attribute() const {  // NOLINT: a row is an fp_attribute
    return {sizeof(fp_attribute), type, name, unit, help};
  }
};

struct Command {
  const char* name;
  const char* help = "";
  std::span<const fp_option> args = {};
  const char* output = "";
  const char* readback = nullptr;
  bool idempotent = false;

  constexpr operator fp_command() const {  // NOLINT: a row is an fp_command
    return {sizeof(fp_command),
            idempotent ? FP_COMMAND_IDEMPOTENT : 0u,
            name,
            help,
            args.data(),
            args.size(),
            output,
            readback};
  }
};

struct Descriptor {
  const char* type;
  const char* version;
  const char* summary;
  uint32_t needs = 0;
  std::span<const fp_option> options = {};
  std::span<const fp_table> tables = {};
  std::span<const fp_attribute> attributes = {};
  std::span<const fp_command> commands = {};
};

namespace detail {

// Runs a plugin's code on behalf of a C caller: nothing thrown gets out.
template <class F>
fp_status guarded(const fp_host& host, F&& body) noexcept {
  const auto fail = [&](fp_status status, const char* why) {
    host.error(host.ctx, view(std::string_view(why)));
    return status;
  };
  try {
    return body();
  } catch (const UncertainError& e) {
    return fail(FP_E_UNCERTAIN, e.what());
  } catch (const IoError& e) {
    return fail(FP_E_IO, e.what());
  } catch (const ConfigError& e) {
    return fail(FP_E_INVALID, e.what());
  } catch (const std::exception& e) {
    return fail(FP_E_INTERNAL, e.what());
  } catch (...) {
    return fail(FP_E_INTERNAL, "threw something that is no std::exception");
  }
}

template <class P>
concept Planned = requires {
  typename P::Plan;
};

template <class P>
std::unique_ptr<P> make(const fp_host& raw, Host& host) {
  if constexpr (Planned<P>) {
    Declare declare(raw);
    const typename P::Plan plan(declare);
    if (declare.problems()) throw ConfigError("the configuration has problems");
    return std::make_unique<P>(host, plan);
  } else {
    return std::make_unique<P>(host);
  }
}

template <class P>
struct Instance {
  const fp_host* raw;
  Host host;
  std::unique_ptr<P> plugin;
  std::string readback;  // keeps the text of the last read-back value alive
  explicit Instance(const fp_host& h) : raw(&h), host(h), plugin(make<P>(h, host)) {}
};

template <class P>
constexpr fp_plugin describe(const Descriptor& d) {
  using Self = Instance<P>;
  fp_plugin p{};
  p.abi_major = FP_ABI_MAJOR;
  p.abi_minor = FP_ABI_MINOR;
  p.size = sizeof(fp_plugin);
  p.needs = d.needs;
  p.type = d.type;
  p.version = d.version;
  p.summary = d.summary;
  p.options = d.options.data();
  p.n_options = d.options.size();
  p.tables = d.tables.data();
  p.n_tables = d.tables.size();
  p.attributes = d.attributes.data();
  p.n_attributes = d.attributes.size();
  p.commands = d.commands.data();
  p.n_commands = d.commands.size();
  if constexpr (Planned<P>) {
    p.declare = [](const fp_host* host) noexcept {
      return guarded(*host, [&] {
        Declare declare(*host);
        const typename P::Plan plan(declare);
        return declare.problems() ? FP_E_INVALID : FP_OK;
      });
    };
  }
  p.open = [](const fp_host* host, void** ret) noexcept {
    return guarded(*host, [&] { return *ret = new Self(*host), FP_OK; });
  };
  if constexpr (requires(P plugin, Host host) { plugin.poll(host, 0u); }) {
    p.poll = [](void* self, uint32_t unit) noexcept {
      auto& i = *static_cast<Self*>(self);
      return guarded(*i.raw, [&] { return i.plugin->poll(i.host, unit), FP_OK; });
    };
  } else if constexpr (requires(P plugin, Host host) { plugin.poll(host); }) {
    p.poll = [](void* self, uint32_t) noexcept {
      auto& i = *static_cast<Self*>(self);
      return guarded(*i.raw, [&] { return i.plugin->poll(i.host), FP_OK; });
    };
  }
  if constexpr (requires(P plugin, Host host) { plugin.event_fd(), plugin.on_event(host); }) {
    p.event_fd = [](void* self) noexcept -> int {
      return static_cast<Self*>(self)->plugin->event_fd();
    };
    p.on_event = [](void* self) noexcept {
      auto& i = *static_cast<Self*>(self);
      return guarded(*i.raw, [&] { return i.plugin->on_event(i.host), FP_OK; });
    };
  }
  if constexpr (requires(P plugin, Host host, Call call) { plugin.command(host, call); }) {
    p.command = [](void* self, const fp_call* call, fp_value* ret) noexcept {
      auto& i = *static_cast<Self*>(self);
      return guarded(*i.raw, [&] {
        std::optional<Value> now = i.plugin->command(i.host, Call(*call));
        if (!now) return FP_OK;
        if (auto* text = std::get_if<std::string>(&*now)) {
          i.readback = std::move(*text);
          *ret = {FP_STRING, 0, 0, view(std::string_view(i.readback))};
        } else {
          *ret = to_c(*now);
        }
        return FP_OK;
      });
    };
  }
  p.close = [](void* self) noexcept { delete static_cast<Self*>(self); };
  return p;
}

}  // namespace detail
}  // namespace fieldpost::sdk

// The one symbol of a plugin. P is described at the top; the rest is a sdk::Descriptor.
#define FP_PLUGIN(P, ...)                                                                  \
  extern "C" FP_EXPORT const fp_plugin* fp_plugin_get(void) {                              \
    static constexpr fieldpost::sdk::Descriptor kDescriptor = __VA_ARGS__;                 \
    static constexpr fp_plugin kPlugin = fieldpost::sdk::detail::describe<P>(kDescriptor); \
    return &kPlugin;                                                                       \
  }
