// SPDX-License-Identifier: Apache-2.0
#include "supervisor/kept_values.hpp"

#include <algorithm>
#include <charconv>

#include "base/checksum.hpp"
#include "model/names.hpp"

namespace fieldpost {
namespace {

constexpr std::string_view kHead = "fieldpost-kept 1 ";
constexpr std::string_view kSum = "sum ";
constexpr size_t kSumDigits = 16;

Error invalid(const std::string& what) { return {Errc::Invalid, "kept values: " + what}; }

std::string hex(uint64_t number) {
  std::string digits(kSumDigits, '0');
  for (size_t i = kSumDigits; i-- > 0; number >>= 4) digits[i] = "0123456789abcdef"[number & 15];
  return digits;
}

// Cuts off what comes before `mark`, or all.
std::string_view take(std::string_view& rest, char mark) {
  const size_t end = std::min(rest.find(mark), rest.size());
  const std::string_view part = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return part;
}

template <class T>
bool read_whole(std::string_view text, T& ret) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), ret);
  return error == std::errc{} && end == text.data() + text.size();
}

// The lines between the head and the sum. Errors: Invalid.
Result<std::string_view> body_of(std::string_view text) {
  constexpr size_t kEnd = kSum.size() + kSumDigits + 1;
  if (!text.starts_with(kHead)) return invalid("the file does not begin as one of this form");
  if (text.size() < kEnd) return invalid("the file is cut short");
  const std::string_view body = text.substr(0, text.size() - kEnd);
  if (text != KeptValues::sealed(std::string(body))) {
    return invalid("the checksum does not fit: the file is damaged");
  }
  std::string_view lines = body;
  (void)take(lines, '\n');
  return lines;
}

}  // namespace

void KeptValues::configure(const std::set<Id>& instances) {
  uint64_t last = 0;
  for (const auto& [id, instance] : instances_) last = std::max(last, instance.gone);
  for (auto& [id, instance] : instances_) {
    const bool wanted = instances.contains(id);
    if (wanted == (instance.gone == 0)) continue;
    instance.gone = wanted ? 0 : ++last;
    ++changes_;
  }
  forget_oldest();
}

void KeptValues::forget_oldest() {
  std::vector<std::pair<uint64_t, Id>> gone;
  for (const auto& [id, instance] : instances_) {
    if (instance.gone > 0) gone.emplace_back(instance.gone, id);
  }
  if (gone.size() <= kMaxGone) return;
  std::ranges::sort(gone);
  gone.resize(gone.size() - kMaxGone);
  for (const auto& [number, id] : gone) instances_.erase(id);
}

std::vector<KeptValue> KeptValues::begin(const Id& instance) {
  std::vector<KeptValue> values;
  const auto found = instances_.find(instance);
  if (found == instances_.end()) return values;
  for (auto& [key, value] : found->second.values) {
    value.own = false;
    values.push_back({key, value.value});
  }
  return values;
}

bool KeptValues::keep(const Id& instance, const std::vector<KeptValue>& values) {
  auto& known = instances_[instance].values;
  for (const KeptValue& value : values) {
    if (known.size() >= kMaxKept && !known.contains(value.key)) {
      const auto old = std::ranges::find_if(known, [](const auto& v) { return !v.second.own; });
      if (old == known.end()) return false;
      known.erase(old);
    }
    known[value.key] = {value.value, true};
    ++changes_;
  }
  return true;
}

// ---- The file.

std::string KeptValues::text(std::string_view boot) const {
  std::string text = std::string(kHead) + std::string(boot) + "\n";
  for (const auto& [id, instance] : instances_) {
    text += "instance " + id.name + " " + id.type + " " + std::to_string(instance.gone) + "\n";
    for (const auto& [key, value] : instance.values) {
      text += "value " + key + " " + std::to_string(value.value) + "\n";
    }
  }
  return sealed(std::move(text));
}

std::string KeptValues::sealed(std::string text) {
  text += std::string(kSum) + hex(fnv1a(text)) + "\n";
  return text;
}

std::string_view KeptValues::boot_of(std::string_view text) {
  if (!text.starts_with(kHead)) return {};
  text.remove_prefix(kHead.size());
  return take(text, '\n');
}

Result<> KeptValues::restore(std::string_view text) {
  instances_ = FP_TRY(parse(text));
  ++changes_;
  return {};
}

// The checksum holds for what we wrote: beyond it, only what we never write is refused.
Result<KeptValues::Instances> KeptValues::parse(std::string_view text) {
  std::string_view lines = FP_TRY(body_of(text));
  Instances instances;
  Instance* current = nullptr;
  while (!lines.empty()) {
    std::string_view line = take(lines, '\n');
    const std::string_view word = take(line, ' ');
    if (word == "instance") {
      Id id;
      id.name = take(line, ' ');
      id.type = take(line, ' ');
      current = &instances[std::move(id)];
      if (!read_whole(line, current->gone)) return invalid("an instance without its number");
    } else if (word == "value" && current != nullptr) {
      const std::string_view key = take(line, ' ');
      int64_t value = 0;
      if (!is_attribute_name(key) || !read_whole(line, value)) {
        return invalid("a value that is none");
      }
      current->values[std::string(key)] = {value, false};
      if (current->values.size() > kMaxKept) return invalid("an instance with too many values");
    } else {
      return invalid("a line that says nothing");
    }
  }
  return instances;
}

}  // namespace fieldpost
