// SPDX-License-Identifier: Apache-2.0
#include "supervisor/vet.hpp"

#include "model/names.hpp"

namespace fieldpost {
namespace {

// The host allows one second; what is beyond that came past it.
constexpr auto kFutureAllowed = std::chrono::seconds(2);

Error invalid(std::string message) { return {Errc::Invalid, std::move(message)}; }

Result<> vet_reading(const Reading& reading, const Declaration& declaration) {
  if (reading.attribute >= declaration.attributes.size()) {
    return invalid("a reading of attribute " + std::to_string(reading.attribute) +
                   ", which it did not declare");
  }
  const AttributeSpec& spec = declaration.attributes[reading.attribute].spec;
  if (reading.quality == Quality::Good && type_of(reading.value) != spec.type) {
    return invalid("a reading of '" + spec.name + "' that is no " +
                   std::string(name_of(spec.type)));
  }
  return {};
}

}  // namespace

Result<> vet(const Declaration& declaration, const InstanceConfig& config) {
  const auto misplaced = [&](const auto& entry) {
    return entry.unit >= config.units.size() || entry.section >= config.sections.size();
  };
  for (const auto& attribute : declaration.attributes) {
    if (!is_attribute_name(attribute.spec.name)) return invalid("an attribute with a bad name");
    if (misplaced(attribute)) return invalid("an attribute of a unit that is not there");
  }
  for (const auto& command : declaration.commands) {
    if (!is_command_name(command.spec.name)) return invalid("a command with a bad name");
    if (misplaced(command)) return invalid("a command of a unit that is not there");
  }
  return {};
}

Result<> vet(const message::Samples& samples, const Declaration& declaration, BootTime now) {
  for (const Sample& sample : samples.samples) {
    if (sample.time < BootTime{} || sample.time > now + kFutureAllowed) {
      return invalid("a sample of a time that has not come");
    }
    for (const Reading& reading : sample.readings) {
      FP_CHECK_OK(vet_reading(reading, declaration));
    }
  }
  return {};
}

Result<> vet(const message::Held& held, const Declaration& declaration, BootTime now) {
  if (held.time < BootTime{} || held.time > now + kFutureAllowed) {
    return invalid("readings of a time that has not come");
  }
  for (const auto* list : {&held.unchanged, &held.polled, &held.unpolled}) {
    for (const uint32_t attribute : *list) {
      if (attribute >= declaration.attributes.size()) {
        return invalid("word of attribute " + std::to_string(attribute) +
                       ", which it did not declare");
      }
    }
  }
  return {};
}

Result<> vet(const message::Keep& keep) {
  for (const KeptValue& value : keep.values) {
    if (!is_attribute_name(value.key)) return invalid("a value with a bad key");
  }
  return {};
}

}  // namespace fieldpost
