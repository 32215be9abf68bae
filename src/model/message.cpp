// SPDX-License-Identifier: Apache-2.0
#include "model/message.hpp"

#include <algorithm>
#include <array>

#include "base/seqpacket.hpp"
#include "model/wire.hpp"

namespace fieldpost {

// The fields of each type, in their order on the wire. `T` is const for writing.
template <class T, class Of>
concept Is = std::is_same_v<std::remove_const_t<T>, Of>;
using message::kMaxReadings;
using message::kMaxTableRows;

template <class Io>
void fields(Io& io, Is<OptionSpec> auto& v) {
  io(v.name);
  io.enumeration(v.type, OptionType::Text, OptionType::Command);
  io(v.required);
  io(v.unit);
  io(v.fallback);
  io(v.help);
  io.list(v.choices, kMaxTableRows);
  io(v.min);
  io(v.max);
  io(v.exclusive);
}
template <class Io>
void fields(Io& io, Is<TableSpec> auto& v) {
  io(v.name);
  io(v.units);
  io(v.help);
  io.list(v.options, kMaxTableRows);
}
template <class Io>
void fields(Io& io, Is<AttributeSpec> auto& v) {
  io(v.name);
  io.enumeration(v.type, DataType::Number, DataType::String);
  io(v.unit);
  io(v.help);
}
template <class Io>
void fields(Io& io, Is<CommandSpec> auto& v) {
  io(v.name);
  io(v.help);
  io.list(v.args, kMaxTableRows);
  io(v.output);
  io(v.readback);
  io(v.idempotent);
}
template <class Io>
void fields(Io& io, Is<PluginInfo> auto& v) {
  io(v.type);
  io(v.version);
  io(v.summary);
  io(v.abi_major);
  io(v.abi_minor);
  io(v.needs);
  io.list(v.options, kMaxTableRows);
  io.list(v.tables, kMaxTableRows);
  io.list(v.attributes, kMaxTableRows);
  io.list(v.commands, kMaxTableRows);
}
template <class Io>
void fields(Io& io, Is<ConfigSection> auto& v) {
  io(v.parent);
  io(v.table);
  io.map(v.values, kMaxTableRows);
}
template <class Io>
void fields(Io& io, Is<Sandbox> auto& v) {
  io(v.on);
  io(v.needs);
  io.list(v.hidden, kMaxTableRows);
}
template <class Io>
void fields(Io& io, Is<ReportRule> auto& v) {
  io.enumeration(v.when, ReportRule::When::Always, ReportRule::When::ChangeOrPeriod);
  io(v.deadband);
  io(v.deadband_percent);
  io(v.period);
  io(v.min);
  io(v.max);
  io(v.expect_change);
  io(v.scale);
  io(v.offset);
  io(v.decimals);
  io(v.unit);
  io(v.stale_after);
  io(v.plugins_own);
}
template <class Io>
void fields(Io& io, Is<ReportKeys> auto& v) {
  io(v.given);
  io(v.rule);
}
template <class Io>
void fields(Io& io, Is<NamedReportKeys> auto& v) {
  io(v.attribute);
  io(v.keys);
}
template <class Io>
void fields(Io& io, Is<GuardRule> auto& v) {
  io(v.command);
  io(v.safe);
  io(v.hold_at_stop);
  io(v.uplink_silent);
  io(v.min_on);
  io(v.min_off);
  io(v.max_on);
  io(v.max_rate);
  io(v.interlock);
}
template <class Io>
void fields(Io& io, Is<InstanceConfig> auto& v) {
  io(v.name);
  io(v.interval);
  io(v.align);
  io(v.deadline);
  io(v.sandbox);
  io.list(v.sections, kMaxReadings);
  io.list(v.units, kMaxTableRows);
  io.list(v.reports, kMaxReadings);
  io.list(v.named_reports, kMaxReadings);
  io.list(v.guards, kMaxTableRows);
}
template <class Io>
void fields(Io& io, Is<KeptValue> auto& v) {
  io(v.key);
  io(v.value);
}
template <class Io>
void fields(Io& io, Is<Declaration::Attribute> auto& v) {
  io(v.spec);
  io(v.unit);
  io(v.section);
}
template <class Io>
void fields(Io& io, Is<Declaration::Command> auto& v) {
  io(v.spec);
  io(v.unit);
  io(v.section);
}
template <class Io>
void fields(Io& io, Is<Declaration> auto& v) {
  io.list(v.attributes, kMaxReadings);
  io.list(v.commands, kMaxTableRows);
}
template <class Io>
void fields(Io& io, Is<Reading> auto& v) {
  io(v.attribute);
  io.enumeration(v.quality, Quality::Good, Quality::Stuck);
  if (v.quality == Quality::Good) {
    io(v.value);  // of others only the quality counts
  } else {
    io(v.detail);
  }
}
template <class Io>
void fields(Io& io, Is<Sample> auto& v) {
  io(v.time);
  io.list(v.readings, kMaxReadings);
}

namespace message {

template <class Io>
void fields(Io& io, Is<Configure> auto& v) {
  io(v.config);
  io.list(v.kept, kMaxKept);
}
template <class Io>
void fields(Io& io, Is<Call> auto& v) {
  io(v.id);
  io(v.command);
  io.list(v.args, kMaxTableRows);
}
template <class Io>
void fields(Io&, Is<Ping> auto&) {}
template <class Io>
void fields(Io& io, Is<Described> auto& v) {
  io(v.info);
}
template <class Io>
void fields(Io& io, Is<Problem> auto& v) {
  io(v.section);
  io(v.option);
  io(v.text);
}
template <class Io>
void fields(Io& io, Is<Declared> auto& v) {
  io(v.declaration);
}
template <class Io>
void fields(Io&, Is<Ready> auto&) {}
template <class Io>
void fields(Io& io, Is<Refused> auto& v) {
  io.enumeration(v.kind, Refused::Kind::Lasting, Refused::Kind::Fault);
  io(v.reason);
}
template <class Io>
void fields(Io& io, Is<Samples> auto& v) {
  io.list(v.samples, kMaxReadings);
}
template <class Io>
void fields(Io& io, Is<UnitState> auto& v) {
  io(v.unit);
  io(v.good);
  io(v.reason);
}
template <class Io>
void fields(Io& io, Is<Outcome> auto& v) {
  io(v.id);
  io.enumeration(v.status, Outcome::Status::Done, Outcome::Status::Uncertain);
  io(v.readback);
  io(v.reason);
}
template <class Io>
void fields(Io&, Is<Pong> auto&) {}
template <class Io>
void fields(Io& io, Is<Held> auto& v) {
  io(v.time);
  io.list(v.unchanged, kMaxReadings);
  io.list(v.polled, kMaxReadings);
  io.list(v.unpolled, kMaxReadings);
}
template <class Io>
void fields(Io& io, Is<Punctuality> auto& v) {
  io(v.polls);
  io(v.skipped);
  io(v.late);
  io(v.worst);
  io(v.longest);
}
template <class Io>
void fields(Io&, Is<Renew> auto&) {}
template <class Io>
void fields(Io& io, Is<BrokerHeard> auto& v) {
  io(v.time);
}
template <class Io>
void fields(Io& io, Is<Confined> auto& v) {
  io(v.in_force.calls);
  io(v.in_force.files);
}
template <class Io>
void fields(Io& io, Is<Keep> auto& v) {
  io.list(v.values, kMaxKept);
}
template <class Io>
void fields(Io& io, Is<ReadOnce> auto& v) {
  io(v.id);
  io(v.config);
}
template <class Io>
void fields(Io& io, Is<GuestReading> auto& v) {
  io(v.id);
  io(v.refused);
  io(v.good);
  io(v.reason);
  io.list(v.attributes, kMaxTableRows);
  io.list(v.samples, kMaxReadings);
}
template <class Io>
void fields(Io& io, Is<Remark> auto& v) {
  io(v.attribute);
  io(v.text);
}

namespace {

constexpr uint16_t kMagic = 0x5046;  // "FP"
constexpr uint8_t kVersion = 1;
constexpr uint32_t kLast = 1;

struct Header {
  uint16_t magic = kMagic;
  uint8_t version = kVersion;
  uint8_t type = 0;
  uint32_t flags = 0;
  uint64_t sequence = 0;
};
static_assert(sizeof(Header) == kHeaderSize);

Error invalid(std::string text) { return {Errc::Invalid, std::move(text)}; }

template <size_t I = 0>
Result<Any> decode_body(uint8_t type, std::span<const std::byte> body) {
  if constexpr (I < std::variant_size_v<Any>) {
    if (type != I) return decode_body<I + 1>(type, body);
    std::variant_alternative_t<I, Any> message;
    wire::Reader reader(body);
    reader(message);
    if (!reader.ok())
      return invalid("a message of type " + std::to_string(I) + " with a malformed body");
    if (!reader.done())
      return invalid("a message of type " + std::to_string(I) + " with bytes left over");
    return Any(std::move(message));
  } else {
    return invalid("a message of unknown type " + std::to_string(type));
  }
}

Result<Header> decode_header(std::span<const std::byte> frame) {
  if (frame.size() < kHeaderSize) {
    return invalid("a truncated frame of " + std::to_string(frame.size()) + " bytes");
  }
  Header header;
  std::memcpy(&header, frame.data(), sizeof header);
  if (header.magic != kMagic) return invalid("a frame that does not start with 'FP'");
  if (header.version != kVersion) {
    return invalid("a frame of version " + std::to_string(header.version) + " instead of " +
                   std::to_string(kVersion));
  }
  if ((header.flags & ~kLast) != 0) return invalid("a frame with unknown flags");
  return header;
}

}  // namespace

Result<> encode(const Any& message, uint64_t& sequence,
                std::vector<std::vector<std::byte>>& ret_frames) {
  // The body is written where the first frame has it: most messages are one frame.
  std::vector<std::byte> first(kHeaderSize);
  {
    wire::Writer writer(first);
    std::visit([&](const auto& m) { writer(m); }, message);
  }
  const size_t size = first.size() - kHeaderSize;
  if (size > kMaxMessage) {
    return Error{Errc::Full, "a message of " + std::to_string(size) + " bytes; at most " +
                                 std::to_string(kMaxMessage) + " fit"};
  }
  constexpr size_t kPart = kMaxDatagram - kHeaderSize;
  const size_t begin = ret_frames.size();
  ret_frames.emplace_back();  // for the first
  for (size_t at = kPart; at < size; at += kPart) {
    const auto part = std::span(first).subspan(kHeaderSize + at, std::min(size - at, kPart));
    auto& frame = ret_frames.emplace_back(kHeaderSize);
    frame.insert(frame.end(), part.begin(), part.end());
  }
  first.resize(std::min(first.size(), kMaxDatagram));
  ret_frames[begin] = std::move(first);
  for (size_t i = begin; i < ret_frames.size(); ++i) {
    const Header header{.type = static_cast<uint8_t>(message.index()),
                        .flags = i + 1 == ret_frames.size() ? kLast : 0,
                        .sequence = sequence++};
    std::memcpy(ret_frames[i].data(), &header, sizeof header);
  }
  return {};
}

Result<std::optional<Any>> Decoder::feed(std::span<const std::byte> frame) {
  const Header header = FP_TRY(decode_header(frame));
  if (expected_ && header.sequence != *expected_) {
    return invalid("frame " + std::to_string(header.sequence) + " where " +
                   std::to_string(*expected_) + " was due");
  }
  if (type_ && *type_ != header.type) return invalid("a message that changes its type");
  expected_ = header.sequence + 1;
  const auto part = frame.subspan(kHeaderSize);
  if (parts_.size() + part.size() > kMaxMessage) {
    return invalid("a message of more than " + std::to_string(kMaxMessage) + " bytes");
  }
  if ((header.flags & kLast) != 0 && !type_) {  // the usual case: one frame, no copy
    return decode_body(header.type, part);
  }
  type_ = header.type;
  parts_.insert(parts_.end(), part.begin(), part.end());
  if ((header.flags & kLast) == 0) return std::optional<Any>{};
  auto message = decode_body(header.type, parts_);
  parts_.clear();
  type_.reset();
  if (!message) return std::move(message).error();
  return std::optional<Any>(*std::move(message));
}

}  // namespace message
}  // namespace fieldpost
