// SPDX-License-Identifier: Apache-2.0
#include "host/host_api.hpp"

#include <algorithm>
#include <cstring>

#include "base/text.hpp"
#include "host/tables.hpp"
#include "model/names.hpp"

namespace fieldpost {
namespace {

constexpr size_t kMaxProblems = 256;
constexpr size_t kMaxDetail = 400;  // bytes of why a reading is not good, and of a remark
constexpr auto kFutureAllowed = std::chrono::seconds(1);
// What one Samples message may take: encoded it stays below message::kMaxMessage.
constexpr size_t kMaxBytes = message::kMaxMessage * 3 / 4;
constexpr size_t kReadingOverhead = 24;  // encoded bytes of a reading besides its text, at most

Error invalid(std::string message) { return {Errc::Invalid, std::move(message)}; }

// No value of its own, and it says why.
void set_out_of_range(Reading& reading, std::string why) {
  reading.quality = Quality::OutOfRange;
  reading.value = {};
  reading.detail = std::move(why);
}

std::string what_is_wrong_with(BootTime time, BootTime now) {
  if (time < BootTime{}) return "its time is negative: is it CLOCK_BOOTTIME?";
  if (time <= now + kFutureAllowed) return "";
  return "its time is " + about(time - now) + " ahead: is it CLOCK_BOOTTIME?";
}

std::string_view view(fp_str text) {
  return text.data == nullptr ? std::string_view() : std::string_view(text.data, text.len);
}

}  // namespace

HostApi::HostApi(const InstanceConfig& config, const std::vector<KeptValue>& kept, LineLog& log,
                 Sink sink)
    : config_(config), log_(log), sink_(std::move(sink)) {
  for (const KeptValue& value : kept) kept_[value.key] = value.value;
  raw_.size = sizeof raw_;
  raw_.n_units = static_cast<uint32_t>(config.units.size());
  raw_.ctx = this;
  raw_.deadline_ns = config.deadline.count();
  // noexcept: an exception of ours (out of memory) must not unwind through the plugin's frames.
  raw_.unit = [](void* ctx, uint32_t unit) noexcept -> fp_section {
    const auto& units = static_cast<HostApi*>(ctx)->config_.units();
    return unit < units.size() ? units[unit] : 0;
  };
  raw_.n_rows = [](void* ctx, fp_section section, const char* table) noexcept -> uint32_t {
    return table == nullptr ? 0 : static_cast<HostApi*>(ctx)->config_.n_rows(section, table);
  };
  raw_.row = [](void* ctx, fp_section section, const char* table,
                uint32_t index) noexcept -> fp_section {
    if (table == nullptr) return 0;
    return static_cast<HostApi*>(ctx)->config_.row(section, table, index).value_or(0);
  };
  raw_.get = [](void* ctx, fp_section section, const char* option, fp_value* ret) noexcept {
    return static_cast<HostApi*>(ctx)->get(section, option, ret);
  };
  raw_.declare_attribute = [](void* ctx, uint32_t unit, fp_section section,
                              const fp_attribute* attribute) noexcept {
    return static_cast<HostApi*>(ctx)->declare_attribute(unit, section, attribute);
  };
  raw_.declare_command = [](void* ctx, uint32_t unit, fp_section section,
                            const fp_command* command) noexcept {
    return static_cast<HostApi*>(ctx)->declare_command(unit, section, command);
  };
  raw_.problem = [](void* ctx, fp_section section, const char* option, fp_str message) noexcept {
    const std::string_view name = option == nullptr ? "" : option;
    static_cast<HostApi*>(ctx)->problem(section, name, view(message));
  };
  raw_.emit = [](void* ctx, int64_t boottime_ns, const fp_reading* readings, size_t n) noexcept {
    return static_cast<HostApi*>(ctx)->emit(boottime_ns, readings, n);
  };
  raw_.error = [](void* ctx, fp_str message) noexcept {
    static_cast<HostApi*>(ctx)->error_ = printable(view(message));
  };
  raw_.log = [](void* ctx, int32_t priority, fp_str message) noexcept {
    static_cast<HostApi*>(ctx)->log_.write(priority, view(message));
  };
  raw_.keep = [](void* ctx, const char* key, int64_t value) noexcept {
    return static_cast<HostApi*>(ctx)->keep(key, value);
  };
  raw_.kept = [](void* ctx, const char* key, int64_t* ret) noexcept -> fp_status {
    const auto& self = *static_cast<HostApi*>(ctx);
    if (self.phase_ == Phase::Declaring || key == nullptr || ret == nullptr) return FP_E_INVALID;
    const auto found = self.kept_.find(std::string_view(key));
    if (found == self.kept_.end()) return FP_E_UNSUPPORTED;
    *ret = found->second;
    return FP_OK;
  };
  raw_.remark = [](void* ctx, uint32_t attribute, fp_str text) noexcept {
    return static_cast<HostApi*>(ctx)->remark(attribute, view(text));
  };
}

fp_status HostApi::get(fp_section section, const char* option, fp_value* ret) const {
  if (section >= config_.sections() || option == nullptr || ret == nullptr) {
    return FP_E_INVALID;
  }
  const auto found = config_.get(section, option);
  if (!found) return FP_E_UNSUPPORTED;
  *ret = *found;
  return FP_OK;
}

// ---- Declaring.

Result<> HostApi::check_place(uint32_t unit, fp_section section) const {
  if (phase_ == Phase::Running) return invalid("declared after open");
  if (unit >= config_.units().size()) {
    return invalid("declared for unit " + std::to_string(unit) + " of " +
                   std::to_string(config_.units().size()));
  }
  if (section >= config_.sections()) {
    return invalid("declared for a section that is not there");
  }
  return {};
}

// The first time an entry is appended; in the second pass it must be the next one of the list.
template <class Entry>
int32_t HostApi::declare(Result<Entry> entry, std::vector<Entry>& list, size_t& again,
                         size_t limit) {
  if (phase_ == Phase::Declaring) {
    if (entry && list.size() >= limit) {
      entry = invalid("more than " + std::to_string(limit) + " declared");
    }
    if (!entry) {
      problem(0, "", "the plugin declares what it cannot: " + entry.error().message);
      return FP_E_INVALID;
    }
    list.push_back(*std::move(entry));
    return static_cast<int32_t>(list.size() - 1);
  }
  if (entry && again < list.size() && *entry == list[again]) return static_cast<int32_t>(again++);
  if (difference_.empty()) {
    difference_ = entry ? "'" + entry->spec.name + "' comes as number " + std::to_string(again)
                        : entry.error().message;
  }
  return FP_E_INVALID;
}

int32_t HostApi::declare_attribute(uint32_t unit, fp_section section, const fp_attribute* row) {
  const auto entry = [&]() -> Result<Declaration::Attribute> {
    FP_CHECK_OK(check_place(unit, section));
    return Declaration::Attribute{FP_TRY(to_attribute_spec(row)), unit, section};
  };
  return declare<Declaration::Attribute>(entry(), declaration_.attributes, attributes_again_,
                                         message::kMaxTableRows);
}

int32_t HostApi::declare_command(uint32_t unit, fp_section section, const fp_command* row) {
  const auto entry = [&]() -> Result<Declaration::Command> {
    FP_CHECK_OK(check_place(unit, section));
    return Declaration::Command{FP_TRY(to_command_spec(row)), unit, section};
  };
  return declare<Declaration::Command>(entry(), declaration_.commands, commands_again_,
                                       message::kMaxTableRows);
}

std::string HostApi::difference() const {
  if (!difference_.empty()) return difference_;
  const bool all = attributes_again_ == declaration_.attributes.size() &&
                   commands_again_ == declaration_.commands.size();
  const bool none = attributes_again_ == 0 && commands_again_ == 0;
  return all || none ? "" : "less was declared";
}

void HostApi::problem(fp_section section, std::string_view option, std::string_view text) {
  if (phase_ != Phase::Declaring) {  // the configuration was accepted: then it is for the log
    log_.write(3, text);
    return;
  }
  if (problems_.size() >= kMaxProblems) return;
  const bool known = section < config_.sections();
  problems_.push_back({known ? section : 0, printable(option, 64), printable(text)});
}

// ---- Running.

// Fills in a fresh `ret`: this is done for every value, and moving a Result<Reading> costs as much
// as making it. A value that cannot be sent is the device's doing as often as the plugin's: it is
// out of range, and its neighbours go on. Errors are the plugin's alone.
Result<> HostApi::to_reading(const fp_reading& row, Reading& ret) const {
  if (row.attribute >= declaration_.attributes.size()) {
    return invalid("attribute " + std::to_string(row.attribute) + " was not declared");
  }
  const AttributeSpec& spec = declaration_.attributes[row.attribute].spec;
  if (row.quality > FP_STUCK) {
    return invalid("'" + spec.name + "': unknown quality " + std::to_string(row.quality));
  }
  ret.attribute = row.attribute;
  ret.quality = static_cast<Quality>(row.quality);
  if (ret.quality != Quality::Good) {
    ret.detail = printable(view(row.detail), kMaxDetail);
    return {};
  }
  if (const auto done = read_value(row.value, ret.value); !done) {
    set_out_of_range(ret, done.error().message);
  } else if (type_of(ret.value) != spec.type) {
    set_out_of_range(ret, "a " + std::string(name_of(type_of(ret.value))) +
                              ", but it was declared a " + std::string(name_of(spec.type)));
  }
  return {};
}

Result<Sample> HostApi::to_sample(int64_t boottime_ns, const fp_reading* readings, size_t n,
                                  size_t& ret_bytes) const {
  if (phase_ == Phase::Declaring) return invalid("nothing can be emitted from declare");
  if (n > 0 && readings == nullptr) return invalid("readings are NULL");
  if (n > message::kMaxReadings) return invalid(std::to_string(n) + " readings at once");
  const BootTime now = BootClock::now();
  Sample sample{boottime_ns == 0 ? now : BootTime(nanoseconds(boottime_ns)), {}};
  const std::string wrong_time = what_is_wrong_with(sample.time, now);
  if (!wrong_time.empty()) sample.time = now;
  const size_t stride = n == 0 ? 0 : readings->size;
  if (n > 0 && (stride < sizeof(fp_reading) || stride > 1'024)) {
    return invalid("a reading says it is " + std::to_string(stride) + " bytes long");
  }
  sample.readings.reserve(n);
  ret_bytes = kReadingOverhead;
  for (size_t i = 0; i < n; ++i) {
    fp_reading row{};
    std::memcpy(&row, reinterpret_cast<const char*>(readings) + i * stride, sizeof row);
    Reading& reading = sample.readings.emplace_back();
    FP_CHECK_OK(to_reading(row, reading));
    if (!wrong_time.empty() && reading.quality == Quality::Good) {
      set_out_of_range(reading, wrong_time);
    }
    const auto* text = std::get_if<std::string>(&reading.value);
    ret_bytes += kReadingOverhead + reading.detail.size() + (text == nullptr ? 0 : text->size());
  }
  if (ret_bytes > kMaxBytes) return invalid("more than fits one sample");
  return sample;
}

fp_status HostApi::emit(int64_t boottime_ns, const fp_reading* readings, size_t n) {
  size_t bytes = 0;
  auto sample = to_sample(boottime_ns, readings, n, bytes);
  if (!sample) {
    log_.write(4, "a sample was refused: " + sample.error().message);
    return FP_E_INVALID;
  }
  filter_.apply(*sample);
  if (sample->readings.empty()) return FP_OK;
  if (sample_bytes_ + bytes > kMaxBytes || sample_readings_ + n > message::kMaxReadings) {
    sink_(take_samples());
  }
  sample_bytes_ += bytes;
  sample_readings_ += sample->readings.size();
  samples_.push_back(*std::move(sample));
  return FP_OK;
}

fp_status HostApi::keep(const char* key, int64_t value) {
  const std::string_view name = key == nullptr ? "" : key;
  const auto refuse = [&](const std::string& why) {
    log_.write(4, "'" + printable(name, 64) + "' is not kept: " + why);
    return FP_E_INVALID;
  };
  if (phase_ == Phase::Declaring) return refuse("nothing can be kept from declare");
  if (!is_attribute_name(name)) {
    return refuse("a key has 1 to 255 letters, digits, underscores or hyphens");
  }
  std::string text(name);
  if (!own_keys_.contains(text) && own_keys_.size() >= kMaxKept) {
    return refuse("this process has kept " + std::to_string(kMaxKept) + " others");
  }
  const bool known = kept_.contains(text);
  int64_t& kept = kept_[text];
  // What this process keeps is told once in any case: it goes before what earlier ones have kept.
  if (!own_keys_.insert(text).second && known && kept == value) return FP_OK;
  kept = value;
  news_.insert(std::move(text));
  return FP_OK;
}

message::Keep HostApi::take_kept() {
  message::Keep keep;
  for (const std::string& key : std::exchange(news_, {})) keep.values.push_back({key, kept_[key]});
  return keep;
}

fp_status HostApi::remark(uint32_t attribute, std::string_view text) {
  if (phase_ == Phase::Declaring || attribute >= declaration_.attributes.size()) {
    log_.write(
        4, "a remark was refused: attribute " + std::to_string(attribute) + " was not declared");
    return FP_E_INVALID;
  }
  std::string& standing = remarks_[attribute];
  std::string remark = printable(text, kMaxDetail);
  if (remark == standing) return FP_OK;
  standing = std::move(remark);
  new_remarks_.insert(attribute);
  return FP_OK;
}

std::vector<message::Remark> HostApi::take_remarks() {
  std::vector<message::Remark> remarks;
  for (const uint32_t attribute : std::exchange(new_remarks_, {})) {
    remarks.push_back({attribute, remarks_[attribute]});
  }
  return remarks;
}

message::Samples HostApi::take_samples() {
  sample_bytes_ = 0;
  sample_readings_ = 0;
  return {std::exchange(samples_, {})};
}

}  // namespace fieldpost
