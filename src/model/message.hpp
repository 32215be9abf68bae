// SPDX-License-Identifier: Apache-2.0
//
// What supervisor and plugin host say to each other, and its bytes. The bytes of Samples are also
// what stage 1 of the outbox keeps.
//
// A message is one frame, or several when it is longer than a datagram:
//   frame   = magic:u16 'FP' | version:u8 | type:u8 | flags:u32 (bit 0: last) | sequence:u64 | part
//   message = the parts of consecutive frames up to the one with `last`, at most 1 MiB together
// Integers are little-endian or varints; text is a varint length and bytes. Decoding accepts
// nothing that encoding does not produce: unknown enumerators, a value beyond a limit and bytes
// left over are errors, so that a confused host is found out at its first message.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/result.hpp"
#include "model/kept_value.hpp"
#include "model/plugin_info.hpp"
#include "model/reading.hpp"

namespace fieldpost::message {

// ---- Supervisor to host.

// First of all: what the instance is to do. The host answers Declared, or Problems and Declared.
struct Configure {
  InstanceConfig config;
  std::vector<KeptValue> kept = {};  // by processes before this one
  bool operator==(const Configure&) const = default;
};
// Run a command; answered by Outcome with the same id.
struct Call {
  uint64_t id = 0;
  uint32_t command = 0;                    // index into the Declaration
  std::vector<std::optional<Value>> args;  // in the order of its table
  bool operator==(const Call&) const = default;
};
// What an attribute brings next leaves whatever it says: its device is another now.
struct Renew {
  bool operator==(const Renew&) const = default;
};
// When something came from the broker last. Of hosts with outputs that go by it, each is told when
// it is ready and, if it is another, every second.
struct BrokerHeard {
  BootTime time{};
  bool operator==(const BrokerHeard&) const = default;
};
// Answered by Pong as soon as no call is running.
struct Ping {
  bool operator==(const Ping&) const = default;
};

// Read one unit of another configuration of the plugin, over the instance's line (host/guests.hpp);
// answered by GuestReading with the same id. It has the sections of that unit, and its index there.
struct ReadOnce {
  uint64_t id = 0;
  InstanceConfig config;
  bool operator==(const ReadOnce&) const = default;
};

// ---- Host to supervisor.

// What is in force before any of the plugin's code runs; the first message of a host that is to run
// it, and never sent again.
struct Confined {
  Confinement in_force;
  bool operator==(const Confined&) const = default;
};

struct Described {
  PluginInfo info;
  bool operator==(const Described&) const = default;
};
// Something in the configuration cannot work. `option` may be empty.
struct Problem {
  uint32_t section = 0;
  std::string option;
  std::string text;
  bool operator==(const Problem&) const = default;
};
struct Declared {
  Declaration declaration;
  bool operator==(const Declared&) const = default;
};
// The plugin has opened; polling starts.
struct Ready {
  bool operator==(const Ready&) const = default;
};
// The host is about to exit because it cannot run the plugin.
struct Refused {
  // Lasting: the plugin is missing, of another ABI, or rejects its configuration. Passing: the
  // device is not there. Fault: the plugin failed in a way that is its own bug.
  enum class Kind : uint8_t { Lasting = 0, Passing = 1, Fault = 2 };
  Kind kind = Kind::Lasting;
  std::string reason;
  bool operator==(const Refused&) const = default;
};
// What one call into the plugin brought.
struct Samples {
  std::vector<Sample> samples;
  bool operator==(const Samples&) const = default;
};
// What one call into the plugin brought besides: good readings that say nothing new and stay in the
// host, so that whoever asks how old a value is gets the right answer; and attributes that turned
// out to come with every poll, of which silence means that something is wrong. After its Samples.
struct Held {
  BootTime time{};                  // of the newest of those readings
  std::vector<uint32_t> unchanged;  // indices into the Declaration, each once
  std::vector<uint32_t> polled;     // told once
  std::vector<uint32_t> unpolled;   // and those that no longer are
  bool operator==(const Held&) const = default;
};
// Sent when it changes, and with the first poll.
struct UnitState {
  uint32_t unit = 0;
  bool good = false;
  std::string reason;  // why not
  bool operator==(const UnitState&) const = default;
};
// How well polls keep to their slots: at most once a minute, after a poll. Of the polls since the
// message before, of units that answered.
struct Punctuality {
  uint32_t polls = 0;
  uint32_t skipped = 0;   // slots that went by while the plugin was in a call
  nanoseconds late{};     // from a slot to its poll, on average
  nanoseconds worst{};    // of those
  nanoseconds longest{};  // that a poll took
  bool operator==(const Punctuality&) const = default;
};
struct Outcome {
  enum class Status : uint8_t { Done = 0, Rejected = 1, Failed = 2, Uncertain = 3 };
  uint64_t id = 0;
  Status status = Status::Done;
  std::optional<Value> readback;
  std::string reason;  // why it was not done, or is not known to be
  bool operator==(const Outcome&) const = default;
};
struct Pong {
  bool operator==(const Pong&) const = default;
};
// What the next process of the instance is to be told. Of readings that tell of it, it comes first.
struct Keep {
  std::vector<KeptValue> values;
  bool operator==(const Keep&) const = default;
};
// What is to be known of an attribute although its readings are good; empty: nothing any more. Of a
// host that runs: the next one says it again.
struct Remark {
  uint32_t attribute = 0;
  std::string text;
  bool operator==(const Remark&) const = default;
};
struct GuestReading {
  uint64_t id = 0;
  std::string refused;                  // why it was not read; empty: it was
  bool good = false;                    // the unit answered
  std::string reason;                   // why not
  std::vector<std::string> attributes;  // names; what the readings' indices count in
  std::vector<Sample> samples;
  bool operator==(const GuestReading&) const = default;
};

// The position in this list is the frame's type: append only.
using Any = std::variant<Configure, Call, Ping, Described, Problem, Declared, Ready, Refused,
                         Samples, UnitState, Outcome, Pong, Confined, Held, Renew, Keep, ReadOnce,
                         GuestReading, Punctuality, BrokerHeard, Remark>;

inline constexpr size_t kMaxMessage = size_t{1} << 20;
inline constexpr size_t kHeaderSize = 16;

// Limits that decoding holds strangers to.
inline constexpr size_t kMaxReadings = 65'536;  // in one message
inline constexpr size_t kMaxTableRows = 4'096;  // of any list in descriptions and declarations

// Appends the frames of a message to `ret_frames`, each at most kMaxDatagram long. `sequence` is
// the first frame's and is advanced by one for each. Errors: Full (longer than kMaxMessage).
Result<> encode(const Any& message, uint64_t& sequence,
                std::vector<std::vector<std::byte>>& ret_frames);

// Puts messages together from frames. One for each direction of each connection.
class Decoder {
 public:
  // A message when `frame` completes one, nothing while more frames must follow. Errors: Invalid,
  // with what is wrong; the connection is not worth continuing then.
  Result<std::optional<Any>> feed(std::span<const std::byte> frame);

 private:
  std::vector<std::byte> parts_;
  std::optional<uint8_t> type_;       // of the message that parts_ belongs to
  std::optional<uint64_t> expected_;  // sequence of the next frame
};

}  // namespace fieldpost::message
