// SPDX-License-Identifier: Apache-2.0
//
// Whole numbers, such as totals, that outlive the processes of the instances they belong to, and
// their form in a file (docs/storage-format.md). No I/O; main thread.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "model/kept_value.hpp"

namespace fieldpost {

class KeptValues {
 public:
  // An instance with another type is another one: what it calls "total" is something else.
  struct Id {
    std::string name, type;
    auto operator<=>(const Id&) const = default;
  };
  static constexpr size_t kMaxGone = 64;  // instances that are remembered after they have gone

  // What is configured. Instances that are not stay, for when they come back; but only the last
  // kMaxGone that have gone.
  void configure(const std::set<Id>& instances);

  // What a process that starts now is to be told.
  std::vector<KeptValue> begin(const Id& instance);
  // What it keeps. Beyond kMaxKept keys, those go first that it has not kept itself; when all are
  // its own, false, and the rest is not taken.
  bool keep(const Id& instance, const std::vector<KeptValue>& values);

  uint64_t changes() const { return changes_; }  // grows with each

  // For a file of this boot.
  std::string text(std::string_view boot) const;
  // Instead of all that is known: what text() said, in whatever boot. Errors: Invalid (damaged, or
  // of another form; nothing is changed then).
  Result<> restore(std::string_view text);
  // A text with the checksum that restore() wants.
  static std::string sealed(std::string text);
  // The boot in which a text was made; empty if it does not say.
  static std::string_view boot_of(std::string_view text);

 private:
  struct Value {
    int64_t value = 0;
    bool own = false;  // kept by the process that runs
  };
  struct Instance {
    uint64_t gone = 0;  // ascends with each that goes; 0: it is configured
    std::map<std::string, Value, std::less<>> values;
  };
  using Instances = std::map<Id, Instance>;
  static Result<Instances> parse(std::string_view text);
  void forget_oldest();

  Instances instances_;
  uint64_t changes_ = 0;
};

}  // namespace fieldpost
