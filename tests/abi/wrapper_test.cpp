// SPDX-License-Identifier: Apache-2.0
//
// What plugin.hpp makes of a class: which functions of the ABI there are, and what they return.
#include <fieldpost/plugin.hpp>
#include <gtest/gtest.h>

#include <new>

#include "fakes/fake_host.hpp"

namespace {

using fieldpost::fakes::FakeHost;
using fieldpost::fakes::Row;
namespace sdk = fieldpost::sdk;

// What the plugins below do next.
enum class Act : uint8_t { Well, IoError, ConfigError, LogicError, NoMemory, Number };
Act act = Act::Well;

void perform() {
  switch (act) {
    case Act::IoError:
      throw sdk::IoError("the device is silent");
    case Act::ConfigError:
      throw sdk::ConfigError("no such thing");
    case Act::LogicError:
      throw std::logic_error("a bug");
    case Act::NoMemory:
      throw std::bad_alloc();
    case Act::Number:
      throw 7;  // NOLINT: authors do
    case Act::Well:
      break;
  }
}

constexpr fp_option kOptions[] = {
    sdk::Option{.name = "name", .fallback = "x"},
    sdk::Option{.name = "wait", .type = FP_OPT_DURATION, .fallback = "250ms"},
    sdk::Option{.name = "absent"},
};
constexpr fp_option kArguments[] = {
    sdk::Option{.name = "value", .type = FP_OPT_NUMBER, .required = true},
    sdk::Option{.name = "note"},
};
constexpr fp_option kRow[] = {
    sdk::Option{.name = "attribute", .type = FP_OPT_ATTRIBUTE, .required = true},
};
constexpr fp_table kTables[] = {
    sdk::Table{.name = "unit", .units = true, .options = kRow},
};
constexpr fp_attribute kAttributes[] = {
    sdk::Attribute{.name = "number"},
    sdk::Attribute{.name = "flag", .type = FP_BOOLEAN},
    sdk::Attribute{.name = "text", .type = FP_STRING},
};
constexpr fp_command kCommands[] = {
    sdk::Command{.name = "set", .args = kArguments, .output = "o"},
};

// Without a Plan, polled without a unit.
struct Simple {
  explicit Simple(sdk::Host& host) : name(host.options().text("name")) { perform(); }
  void poll(sdk::Host& host) {
    perform();
    host.emit({{0, 1.5, FP_GOOD, {}}, {1, true, FP_GOOD, {}}, {2, name, FP_GOOD, {}}}, 42);
  }
  std::string name;
};
constexpr fp_plugin kSimple = sdk::detail::describe<Simple>({.type = "simple",
                                                             .version = "1",
                                                             .summary = "s",
                                                             .needs = FP_NEEDS_NETWORK,
                                                             .options = kOptions,
                                                             .attributes = kAttributes});

// With everything.
struct Full {
  struct Plan {
    explicit Plan(sdk::Declare& declare) {
      perform();
      const auto units = declare.units();
      for (unsigned u = 0; u < units.size(); ++u) {
        const std::string name = units[u].text("attribute");
        if (name == "bad") declare.problem(units[u], "attribute", "is bad");
        attributes.push_back(declare.attribute(u, units[u], sdk::Attribute{.name = name.c_str()}));
      }
      (void)declare.command(0, units[0], kCommands[0]);
    }
    std::vector<uint32_t> attributes;
  };
  Full(sdk::Host&, const Plan& p) : plan(p) {}
  void poll(sdk::Host& host, unsigned unit) {
    perform();
    host.emit(plan.attributes.at(unit), static_cast<double>(unit));
  }
  int event_fd() const { return fd; }
  void on_event(sdk::Host&) {
    perform();
    fd = 5;
  }
  std::optional<sdk::Value> command(sdk::Host&, const sdk::Call& call) {
    perform();
    if (call.number(0) < 0) return std::nullopt;
    if (call.has(1)) return call.text(1) + std::string(40, '!');  // too long to live in the object
    return call.number(0);
  }
  Plan plan;
  int fd = 3;
};
constexpr fp_plugin kFull = sdk::detail::describe<Full>({.type = "full",
                                                         .version = "1",
                                                         .summary = "s",
                                                         .options = kOptions,
                                                         .tables = kTables,
                                                         .commands = kCommands});

struct EventsOnly {
  explicit EventsOnly(sdk::Host&) {}
  int event_fd() { return -1; }
  void on_event(sdk::Host&) {}
};

Row full_config(const char* first = "a") {
  return Row({}, {{"unit", {Row{{"attribute", first}}, Row{{"attribute", "b"}}}}});
}

class WrapperTest : public testing::Test {
 protected:
  void SetUp() override { act = Act::Well; }
};

TEST_F(WrapperTest, TheDescriptorSaysWhatTheClassHas) {
  EXPECT_EQ(kSimple.abi_major, FP_ABI_MAJOR);
  EXPECT_EQ(kSimple.abi_minor, FP_ABI_MINOR);
  EXPECT_EQ(kSimple.size, sizeof(fp_plugin));
  EXPECT_EQ(kSimple.needs, FP_NEEDS_NETWORK);
  EXPECT_EQ(kSimple.n_options, 3u);
  EXPECT_EQ(kSimple.options[0].size, sizeof(fp_option));
  EXPECT_EQ(kSimple.declare, nullptr);
  EXPECT_NE(kSimple.poll, nullptr);
  EXPECT_EQ(kSimple.event_fd, nullptr);
  EXPECT_EQ(kSimple.on_event, nullptr);
  EXPECT_EQ(kSimple.command, nullptr);
  EXPECT_NE(kFull.declare, nullptr);
  EXPECT_NE(kFull.event_fd, nullptr);
  EXPECT_NE(kFull.on_event, nullptr);
  EXPECT_NE(kFull.command, nullptr);
  EXPECT_EQ(kFull.tables[0].flags, FP_TABLE_UNITS);
  constexpr fp_plugin kEvents =
      sdk::detail::describe<EventsOnly>({.type = "events", .version = "1", .summary = "s"});
  EXPECT_EQ(kEvents.poll, nullptr);
  EXPECT_NE(kEvents.on_event, nullptr);
}

TEST_F(WrapperTest, ClosingNothingDoesNothing) {
  kSimple.close(nullptr);
  kFull.close(nullptr);
}

TEST_F(WrapperTest, ValuesOfEachTypeAndTheTimeArrive) {
  FakeHost host(Row({{"name", "y"}}), kSimple);
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  ASSERT_EQ(host.poll(), FP_OK) << host.trouble();
  EXPECT_EQ(host.number("number"), 1.5);
  EXPECT_EQ(host.boolean("flag"), true);
  EXPECT_EQ(host.text("text"), "y");
  EXPECT_EQ(host.samples.at(0).boottime_ns, 42);
}

struct Thrown {
  const char* name;
  Act act;
  fp_status status;
  const char* message;
};

class WrapperThrows : public testing::TestWithParam<Thrown> {
 protected:
  void TearDown() override { act = Act::Well; }
};

// From each call of the ABI, with the reason given to the host.
TEST_P(WrapperThrows, EndsAsAStatus) {
  const auto [name, what, status, message] = GetParam();
  {
    FakeHost host(Row({}), kSimple);
    act = what;
    EXPECT_EQ(host.open(), status);
    EXPECT_EQ(host.error, message);
    EXPECT_EQ(host.instance(), nullptr);
  }
  act = Act::Well;
  FakeHost host(full_config(), kFull);
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  act = what;
  EXPECT_EQ(kFull.declare(&host.api()), status);
  EXPECT_EQ(host.poll(1), status);
  EXPECT_EQ(host.error, message);
  EXPECT_EQ(host.on_event(), status);
  EXPECT_EQ(host.error, message);
  const auto outcome = host.command("set", {{"value", 1.0}});
  EXPECT_EQ(outcome.status, status);
  EXPECT_EQ(outcome.error, message);
  EXPECT_FALSE(outcome.readback);
}

INSTANTIATE_TEST_SUITE_P(
    All, WrapperThrows,
    testing::Values(Thrown{"IoError", Act::IoError, FP_E_IO, "the device is silent"},
                    Thrown{"ConfigError", Act::ConfigError, FP_E_INVALID, "no such thing"},
                    Thrown{"LogicError", Act::LogicError, FP_E_INTERNAL, "a bug"},
                    Thrown{"NoMemory", Act::NoMemory, FP_E_INTERNAL, "std::bad_alloc"},
                    Thrown{"Number", Act::Number, FP_E_INTERNAL,
                           "threw something that is no std::exception"}),
    [](const auto& param_info) { return param_info.param.name; });

TEST_F(WrapperTest, APlanIsDeclaredAndGivenToTheInstance) {
  FakeHost host(full_config(), kFull);
  ASSERT_EQ(host.declare(), FP_OK) << host.trouble();
  ASSERT_EQ(host.attributes.size(), 2u);
  EXPECT_EQ(host.attributes[1].name, "b");
  EXPECT_EQ(host.attributes[1].unit, 1u);
  EXPECT_EQ(host.commands.at(0).name, "set");
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  EXPECT_EQ(host.poll(1), FP_OK) << host.trouble();
  EXPECT_EQ(host.number("b", 1), 1);
  EXPECT_FALSE(host.latest("a", 0));
  EXPECT_TRUE(host.refusals.empty()) << host.trouble();
}

TEST_F(WrapperTest, AProblemMakesDeclaringInvalid) {
  FakeHost host(full_config("bad"), kFull);
  EXPECT_EQ(host.declare(), FP_E_INVALID);
  ASSERT_EQ(host.problems.size(), 1u);
  EXPECT_EQ(host.problems[0].option, "attribute");
  EXPECT_EQ(host.problems[0].text, "is bad");
}

TEST_F(WrapperTest, TheEventDescriptorMayChange) {
  FakeHost host(full_config(), kFull);
  ASSERT_EQ(host.open(), FP_OK);
  EXPECT_EQ(host.event_fd(), 3);
  EXPECT_EQ(host.on_event(), FP_OK);
  EXPECT_EQ(host.event_fd(), 5);
}

TEST_F(WrapperTest, ATextReadBackLivesAsLongAsTheInstanceIsNotCalledAgain) {
  FakeHost host(full_config(), kFull);
  ASSERT_EQ(host.open(), FP_OK);
  const std::string note = "read back";
  const sdk::Value given[] = {1.0, note};  // which the C values borrow from
  const fp_value args[] = {sdk::detail::to_c(given[0]), sdk::detail::to_c(given[1])};
  const fp_call call{sizeof(fp_call), 0, args, 2};
  fp_value back{};
  ASSERT_EQ(kFull.command(host.instance(), &call, &back), FP_OK);
  ASSERT_EQ(back.type, FP_STRING);
  // Under the address sanitizer, a text that died with the call is caught here.
  EXPECT_EQ(std::string(back.text.data, back.text.len), note + std::string(40, '!'));
}

TEST_F(WrapperTest, AReadBackThatIsNotKnownLeavesNoType) {
  FakeHost host(full_config(), kFull);
  ASSERT_EQ(host.open(), FP_OK);
  EXPECT_FALSE(host.command("set", {{"value", -1.0}}).readback);
  EXPECT_EQ(host.command("set", {{"value", 2.0}}).readback, fieldpost::Value(2.0));
}

TEST_F(WrapperTest, AnArgumentThatIsNotThereOrOfAnotherTypeIsABugOfThePlugin) {
  const fp_value args[] = {sdk::detail::to_c(true), fp_value{}};
  const fp_call raw{sizeof(fp_call), 0, args, 2};
  const sdk::Call call(raw);
  EXPECT_TRUE(call.boolean(0));
  EXPECT_THROW((void)call.number(0), std::logic_error);
  EXPECT_FALSE(call.has(1));
  EXPECT_THROW((void)call.text(1), std::logic_error);
  EXPECT_FALSE(call.has(2));
}

TEST_F(WrapperTest, OptionsAreReadByTheirType) {
  FakeHost host(Row({}), kSimple);
  const sdk::Section options(host.api(), 0);
  EXPECT_EQ(options.text("name"), "x");
  EXPECT_EQ(options.duration("wait"), std::chrono::milliseconds(250));
  EXPECT_FALSE(options.has("absent"));
  EXPECT_THROW((void)options.number("name"), std::logic_error);
  EXPECT_THROW((void)options.text("unheard_of"), std::logic_error);
}

// The host says no to what cannot be: the plugin's bug, not the device's.
struct OutOfBounds {
  explicit OutOfBounds(sdk::Host&) {}
  void poll(sdk::Host& host) { host.emit(99, 1.0); }
};

TEST_F(WrapperTest, ARefusedSampleIsABugOfThePlugin) {
  constexpr fp_plugin kPlugin = sdk::detail::describe<OutOfBounds>(
      {.type = "x", .version = "1", .summary = "s", .attributes = kAttributes});
  FakeHost host(Row({}), kPlugin);
  ASSERT_EQ(host.open(), FP_OK);
  EXPECT_EQ(host.poll(), FP_E_INTERNAL);
}

}  // namespace
