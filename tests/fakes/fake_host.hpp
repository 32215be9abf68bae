// SPDX-License-Identifier: Apache-2.0
//
// The host side of the plugin ABI, for unit tests of plugins: configuration from plain structs,
// checked against the plugin's tables like the real one; everything the plugin says is collected.
//
//   FakeHost host({{"url", "tcp://127.0.0.1:502"}, {"timeout", "200ms"}},
//                 {{"register", {Row{{"attribute", "level"}, {"address", 7}}}}});
//   ASSERT_EQ(host.declare(), FP_OK) << host.trouble();
//   ASSERT_EQ(host.open(), FP_OK) << host.trouble();
//   EXPECT_EQ(host.poll(), FP_OK) << host.trouble();
//   EXPECT_EQ(host.number("level"), 21.5);
//
// Values are as in a file: numbers as double, durations as text. The plugin is the one that is
// linked into the test.
#pragma once

#include <fieldpost/plugin.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/option.hpp"
#include "model/value.hpp"

namespace fieldpost::fakes {

// A row of the configuration, or the instance itself; `rows` holds the tables inside it.
struct Row {
  using Values = std::map<std::string, Value>;
  using Tables = std::map<std::string, std::vector<Row>>;
  Values values;
  Tables rows;
  Row(Values v, Tables r = {}) : values(std::move(v)), rows(std::move(r)) {}  // NOLINT: brief
  // {"a", 1.0}, {"b", "text"} without spelling out Value; a literal must not become a bool.
  struct Pair {
    std::string name;
    Value value;
    Pair(std::string n, const char* v) : name(std::move(n)), value(std::string(v)) {}
    Pair(std::string n, std::string v) : name(std::move(n)), value(std::move(v)) {}
    Pair(std::string n, double v) : name(std::move(n)), value(v) {}
    Pair(std::string n, int v) : name(std::move(n)), value(static_cast<double>(v)) {}
    Pair(std::string n, bool v) : name(std::move(n)), value(v) {}
  };
  Row(std::initializer_list<Pair> pairs, Tables r = {}) : rows(std::move(r)) {  // NOLINT: brief
    for (const Pair& p : pairs) values[p.name] = p.value;
  }
};

class FakeHost {
 public:
  struct Attribute {
    std::string name, unit_of_measure;
    uint32_t type = 0;
    uint32_t unit = 0;
    fp_section section = 0;
    bool operator==(const Attribute&) const = default;
  };
  struct Command {
    std::string name, output, readback;
    std::vector<OptionSpec> args;
    uint32_t flags = 0;
    uint32_t unit = 0;
    fp_section section = 0;
    bool operator==(const Command&) const = default;
  };
  struct Problem {
    fp_section section = 0;
    std::string table;   // "" for the instance's options
    uint32_t index = 0;  // of the row in its table
    std::string option, text;
  };
  struct Reading {
    std::string attribute;
    uint32_t unit = 0;
    uint32_t quality = 0;
    Value value;  // of a reading that is not good: as the plugin left it
    std::string detail;
  };
  struct Sample {
    int64_t boottime_ns = 0;
    std::vector<Reading> readings;
  };
  struct Outcome {
    fp_status status = FP_E_INTERNAL;
    std::optional<Value> readback;
    std::string error;
  };

  std::vector<Attribute> attributes;
  std::vector<Command> commands;
  std::vector<Problem> problems;
  std::vector<Sample> samples;
  std::vector<std::pair<int, std::string>> logs;
  std::vector<std::string> refusals;    // what the plugin did against the ABI
  std::string error;                    // of the last call that failed
  std::map<std::string, int64_t> kept;  // set it before open() for what earlier processes kept
  std::map<std::string, std::string> remarks;  // by attribute; empty: taken back

  // What a call may take; a minute unless a test says otherwise. Before declare().
  void set_deadline(std::chrono::nanoseconds deadline) { api_.deadline_ns = deadline.count(); }

  // Throws std::invalid_argument with what `fieldpost check` would say when a value does not fit
  // its table.
  FakeHost(std::initializer_list<Row::Pair> options, Row::Tables rows = {})
      : FakeHost(Row(options, std::move(rows)), *fp_plugin_get()) {}
  FakeHost(const Row::Values& options, Row::Tables rows = {})
      : FakeHost(Row(options, std::move(rows)), *fp_plugin_get()) {}
  FakeHost(const Row& config, const fp_plugin& plugin) : plugin_(&plugin) {
    add(config, "", 0, 0);
    for (fp_section s = 1; s < sections_.size(); ++s) {
      if (sections_[s].is_unit) units_.push_back(s);
    }
    if (units_.empty()) units_.push_back(0);
    fill_api();
  }
  FakeHost(const FakeHost&) = delete;
  FakeHost& operator=(const FakeHost&) = delete;
  ~FakeHost() { close(); }

  // ---- Calls into the plugin, as the real host makes them.

  fp_status declare() {
    declared_attributes_ = declared_commands_ = 0;
    error.clear();
    if (plugin_->declare != nullptr) return plugin_->declare(&api_);
    for (uint32_t unit = 0; unit < api_.n_units; ++unit) {
      for (size_t i = 0; i < plugin_->n_attributes; ++i) {
        (void)declare_attribute(unit, units_[unit], plugin_->attributes[i]);
      }
      for (size_t i = 0; i < plugin_->n_commands; ++i) {
        (void)declare_command(unit, units_[unit], plugin_->commands[i]);
      }
    }
    return FP_OK;
  }
  // Declares first when the test has not.
  fp_status open() {
    if (!frozen_ && declared_attributes_ + declared_commands_ == 0) {
      if (const fp_status status = declare(); status != FP_OK) return status;
    }
    declared_attributes_ = declared_commands_ = 0;
    error.clear();
    frozen_ = true;
    const fp_status status = plugin_->open(&api_, &instance_);
    if (status != FP_OK && instance_ != nullptr)
      refusals.emplace_back("failed open left an instance");
    return status;
  }
  fp_status poll(uint32_t unit = 0) {
    error.clear();
    return plugin_->poll(instance_, unit);
  }
  int event_fd() { return plugin_->event_fd == nullptr ? -1 : plugin_->event_fd(instance_); }
  fp_status on_event() {
    error.clear();
    return plugin_->on_event(instance_);
  }
  // Arguments by name; checked against the declared table, fallbacks filled in.
  Outcome command(std::string_view name, const Row::Values& given, uint32_t unit = 0) {
    const auto it = std::ranges::find_if(
        commands, [&](const Command& c) { return c.name == name && c.unit == unit; });
    if (it == commands.end()) return {FP_E_UNSUPPORTED, {}, "no such command"};
    error.clear();
    std::vector<std::optional<Value>> values;
    for (const OptionSpec& spec : it->args) values.push_back(checked(spec, given));
    std::vector<fp_value> args;
    args.reserve(values.size());
    for (const auto& v : values) args.push_back(v ? to_c(*v) : fp_value{});
    const fp_call call{sizeof(fp_call), static_cast<uint32_t>(it - commands.begin()), args.data(),
                       args.size()};
    fp_value readback{};
    Outcome outcome;
    outcome.status = plugin_->command(instance_, &call, &readback);
    if (readback.type != 0) outcome.readback = from_c(readback);
    outcome.error = error;
    return outcome;
  }
  void close() {
    if (instance_ != nullptr) plugin_->close(std::exchange(instance_, nullptr));
  }

  // ---- What came of it.

  // The newest reading of an attribute; none if there never was one.
  std::optional<Reading> latest(std::string_view attribute, uint32_t unit = 0) const {
    for (auto s = samples.rbegin(); s != samples.rend(); ++s) {
      for (auto r = s->readings.rbegin(); r != s->readings.rend(); ++r) {
        if (r->attribute == attribute && r->unit == unit) return *r;
      }
    }
    return {};
  }
  // Its value if it is good and of that type.
  std::optional<double> number(std::string_view attribute, uint32_t unit = 0) const {
    return good<double>(attribute, unit);
  }
  std::optional<bool> boolean(std::string_view attribute, uint32_t unit = 0) const {
    return good<bool>(attribute, unit);
  }
  std::optional<std::string> text(std::string_view attribute, uint32_t unit = 0) const {
    return good<std::string>(attribute, unit);
  }
  // Everything that went wrong, for the message of a failed assertion.
  std::string trouble() const {
    std::string all = error.empty() ? "" : "error: " + error + "\n";
    for (const Problem& p : problems) {
      all += "problem: " + p.table + "[" + std::to_string(p.index) + "]." + p.option + ": " +
             p.text + "\n";
    }
    for (const auto& r : refusals) all += "refused: " + r + "\n";
    for (const auto& [priority, line] : logs) all += "log: " + line + "\n";
    return all;
  }

  const fp_host& api() const { return api_; }
  void* instance() const { return instance_; }

 private:
  struct Section {
    fp_section parent = 0;
    std::string table;
    uint32_t index = 0;
    bool is_unit = false;
    Row::Values values;
  };

  static OptionSpec spec_of(const fp_option& o) {
    OptionSpec spec;
    spec.name = o.name;
    spec.type = static_cast<OptionType>(o.type);
    spec.required = (o.flags & FP_OPT_REQUIRED) != 0;
    spec.unit = o.unit;
    if (o.fallback != nullptr) spec.fallback = o.fallback;
    spec.help = o.help;
    for (std::string_view rest = o.choices != nullptr ? o.choices : ""; !rest.empty();) {
      const size_t bar = std::min(rest.find('|'), rest.size());
      spec.choices.emplace_back(rest.substr(0, bar));
      rest.remove_prefix(std::min(bar + 1, rest.size()));
    }
    spec.min = o.min;
    spec.max = o.max;
    return spec;
  }
  static std::optional<Value> checked(const OptionSpec& spec, const Row::Values& given) {
    const auto it = given.find(spec.name);
    if (it == given.end() && spec.required) throw std::invalid_argument(spec.name + ": missing");
    if (it == given.end() && !spec.fallback) return {};
    auto value =
        it != given.end() ? check_option(spec, it->second) : parse_option(spec, *spec.fallback);
    if (!value) throw std::invalid_argument(spec.name + ": " + value.error().message);
    return *value;
  }
  static fp_value to_c(const Value& v) {
    if (const auto* n = std::get_if<double>(&v)) return {FP_NUMBER, 0, *n, {nullptr, 0}};
    if (const auto* b = std::get_if<bool>(&v)) return {FP_BOOLEAN, *b ? 1u : 0u, 0, {nullptr, 0}};
    const auto& s = *std::get_if<std::string>(&v);
    return {FP_STRING, 0, 0, {s.data(), s.size()}};
  }
  static Value from_c(const fp_value& v) {
    if (v.type == FP_NUMBER) return v.number;
    if (v.type == FP_BOOLEAN) return v.boolean != 0;
    return std::string(v.text.data, v.text.len);
  }

  const fp_table* table(std::string_view name) const {
    for (size_t i = 0; i < plugin_->n_tables; ++i) {
      if (plugin_->tables[i].name == name) return &plugin_->tables[i];
    }
    return nullptr;
  }
  void add(const Row& row, const std::string& name, fp_section parent, uint32_t index) {
    const fp_table* t = name.empty() ? nullptr : table(name);
    if (!name.empty() && t == nullptr) throw std::invalid_argument(name + ": no such table");
    const fp_option* options = t != nullptr ? t->options : plugin_->options;
    const size_t n = t != nullptr ? t->n_options : plugin_->n_options;
    Section section{parent, name, index, t != nullptr && (t->flags & FP_TABLE_UNITS) != 0, {}};
    Row::Values unknown = row.values;
    for (size_t i = 0; i < n; ++i) {
      const OptionSpec spec = spec_of(options[i]);
      if (const auto value = checked(spec, row.values)) section.values[spec.name] = *value;
      unknown.erase(spec.name);
    }
    if (!unknown.empty()) throw std::invalid_argument(unknown.begin()->first + ": unknown key");
    const auto self = static_cast<fp_section>(sections_.size());
    sections_.push_back(std::move(section));
    for (const auto& [inner, rows] : row.rows) {
      for (uint32_t i = 0; i < rows.size(); ++i) add(rows[i], inner, self, i);
    }
  }

  int32_t declare_attribute(uint32_t unit, fp_section section, const fp_attribute& a) {
    return remember(attributes, declared_attributes_,
                    Attribute{a.name, a.unit, a.type, unit, section}, "attribute ");
  }
  int32_t declare_command(uint32_t unit, fp_section section, const fp_command& c) {
    Command command{c.name, c.output, c.readback != nullptr ? c.readback : "", {}, c.flags,
                    unit,   section};
    for (size_t i = 0; i < c.n_args; ++i) command.args.push_back(spec_of(c.args[i]));
    return remember(commands, declared_commands_, std::move(command), "command ");
  }
  // The n-th declaration of a phase: new in the first phase, the same again in later ones.
  template <class T>
  int32_t remember(std::vector<T>& all, size_t& n, T item, const char* what) {
    const auto refuse = [&](const std::string& why) {
      refusals.push_back(what + item.name + ": " + why);
      return FP_E_INVALID;
    };
    if (item.unit >= api_.n_units) return refuse("no such unit");
    if (n < all.size()) {
      if (!(all[n] == item)) return refuse("declared differently before");
      return static_cast<int32_t>(n++);
    }
    if (frozen_) return refuse("new in open");
    for (const T& other : all) {
      if (other.unit == item.unit && other.name == item.name) return refuse("declared twice");
    }
    all.push_back(std::move(item));
    return static_cast<int32_t>(n++);
  }

  // Like the real one, takes nothing of a sample of which anything is out of bounds.
  fp_status emit(int64_t boottime_ns, const fp_reading* readings, size_t n) {
    timespec ts{};
    (void)clock_gettime(CLOCK_BOOTTIME, &ts);
    const int64_t now = int64_t{ts.tv_sec} * 1'000'000'000 + ts.tv_nsec;
    Sample sample{boottime_ns == 0 ? now : boottime_ns, {}};
    const auto refuse = [&](const std::string& why) {
      refusals.push_back("sample: " + why);
      return FP_E_INVALID;
    };
    if (sample.boottime_ns < 0 || sample.boottime_ns > now) return refuse("time");
    for (size_t i = 0; i < n; ++i) {
      const fp_reading& r = readings[i];
      if (r.size < sizeof(fp_reading)) return refuse("size");
      if (r.attribute >= attributes.size()) return refuse("no such attribute");
      const Attribute& a = attributes[r.attribute];
      if (r.quality > FP_STUCK) return refuse(a.name + ": quality");
      if (r.value.type != a.type) return refuse(a.name + ": type");
      Value value = from_c(r.value);
      if (r.quality == FP_GOOD && !is_legal(value)) return refuse(a.name + ": value");
      sample.readings.push_back(
          {a.name, a.unit, r.quality, std::move(value),
           std::string(r.detail.data != nullptr ? r.detail.data : "", r.detail.len)});
    }
    samples.push_back(std::move(sample));
    return FP_OK;
  }

  template <class T>
  std::optional<T> good(std::string_view attribute, uint32_t unit) const {
    const auto reading = latest(attribute, unit);
    if (!reading || reading->quality != FP_GOOD) return {};
    const T* value = std::get_if<T>(&reading->value);
    return value != nullptr ? std::optional(*value) : std::nullopt;
  }

  static FakeHost& self(void* ctx) { return *static_cast<FakeHost*>(ctx); }
  std::vector<fp_section> children(fp_section section, std::string_view name) const {
    std::vector<fp_section> found;
    for (fp_section s = 1; s < sections_.size(); ++s) {
      if (sections_[s].parent == section && sections_[s].table == name) found.push_back(s);
    }
    return found;
  }
  void fill_api() {
    api_ = {
        .size = sizeof(fp_host),
        .n_units = static_cast<uint32_t>(units_.size()),
        .ctx = this,
        .unit = [](void* c, uint32_t unit) { return self(c).units_.at(unit); },
        .n_rows =
            [](void* c, fp_section s, const char* name) {
              return static_cast<uint32_t>(self(c).children(s, name).size());
            },
        .row = [](void* c, fp_section s, const char* name,
                  uint32_t i) { return self(c).children(s, name).at(i); },
        .get = [](void* c, fp_section s, const char* option, fp_value* ret) -> fp_status {
          const auto& values = self(c).sections_.at(s).values;
          const auto it = values.find(option);
          if (it == values.end()) return FP_E_UNSUPPORTED;
          *ret = to_c(it->second);
          return FP_OK;
        },
        .declare_attribute = [](void* c, uint32_t unit, fp_section s, const fp_attribute* a)
            -> int32_t { return self(c).declare_attribute(unit, s, *a); },
        .declare_command = [](void* c, uint32_t unit, fp_section s, const fp_command* m)
            -> int32_t { return self(c).declare_command(unit, s, *m); },
        .problem =
            [](void* c, fp_section s, const char* option, fp_str m) {
              const Section& section = self(c).sections_.at(s);
              self(c).problems.push_back({s,
                                          section.table,
                                          section.index,
                                          option != nullptr ? option : "",
                                          {m.data, m.len}});
            },
        .emit = [](void* c, int64_t t, const fp_reading* r, size_t n) -> fp_status {
          return self(c).emit(t, r, n);
        },
        .error = [](void* c, fp_str m) { self(c).error.assign(m.data, m.len); },
        .log = [](void* c, int32_t priority,
                  fp_str m) { self(c).logs.emplace_back(priority, std::string(m.data, m.len)); },
        .keep = [](void* c, const char* key, int64_t value) -> fp_status {
          self(c).kept[key] = value;
          return FP_OK;
        },
        .kept = [](void* c, const char* key, int64_t* ret) -> fp_status {
          const auto found = self(c).kept.find(key);
          if (found == self(c).kept.end()) return FP_E_UNSUPPORTED;
          *ret = found->second;
          return FP_OK;
        },
        .deadline_ns = 60'000'000'000,
        .remark = [](void* c, uint32_t attribute, fp_str text) -> fp_status {
          const auto& known = self(c).attributes;
          if (attribute >= known.size()) return FP_E_INVALID;
          self(c).remarks[known[attribute].name].assign(text.data, text.len);
          return FP_OK;
        }};
  }

  const fp_plugin* plugin_;
  void* instance_ = nullptr;
  std::deque<Section> sections_;  // [0] is the instance; a deque, so that texts never move
  std::vector<fp_section> units_;
  fp_host api_{};
  size_t declared_attributes_ = 0, declared_commands_ = 0;
  bool frozen_ = false;
};

}  // namespace fieldpost::fakes
