// SPDX-License-Identifier: Apache-2.0
//
// [[publish]] and [[subscribe]]: what they become, and every refusal in its words.
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "config/diff.hpp"
#include "config/load.hpp"
#include "config/scratch.hpp"
#include "fakes/fake_probe.hpp"

namespace fieldpost {
namespace {

using Lines = std::vector<std::string>;

// Line 4 to 18: a peripheral with an attribute and a command, which takes `value` up to 100.
const std::string kSite =
    "[[device]]\nname = \"boiler\"\nid = \"575ecf887ae143cd83dc4aa3\"\n"
    "[[plugin]]\nname = \"plc\"\ntype = \"modbus\"\ndevice = \"boiler\"\ninterval = \"10s\"\n"
    "options.url = \"tcp://h:502\"\n"
    "[[plugin.register]]\nattribute = \"temp\"\ntable = \"holding\"\naddress = 1\n"
    "command = \"set\"\n\n";

class Custom : public testing::Test {
 protected:
  Loaded load(const std::string& toml) {
    return load_config(scratch_.write("fieldpost.toml", kHead + kSite + toml), probe_);
  }
  Lines words(const std::string& toml) { return scratch_.words(load(toml).problems); }
  // What is wrong with one line in a row that is right otherwise, at the value.
  void refused(const std::string& row, const std::string& line, const std::string& what) {
    SCOPED_TRACE(line);
    const size_t key_ends = line.find(" = ");
    const std::string at = "~/fieldpost.toml:20:" + std::to_string(key_ends + 4) + ": ";
    const std::string section = row.substr(2, row.find(']') - 2);
    EXPECT_EQ(
        words(row.substr(0, row.find('\n') + 1) + line + "\n" + row.substr(row.find('\n') + 1)),
        Lines{at + section + "." + line.substr(0, key_ends) + ": " + what});
  }

  Scratch scratch_;
  FakeProbe probe_;
};

TEST_F(Custom, APublishSection) {
  const Loaded loaded = load(
      "[[publish]]\nname = \"a\"\ntopic = \"site/${device}/${attribute}\"\n"
      "[[publish]]\nname = \"b\"\ntopic = \"t\"\npayload = '{\"v\":${value},\"t\":${time}}'\n"
      "format = \"json\"\nqos = 0\ndevice = \"boiler\"\nattributes = [\"temp\"]\n");
  EXPECT_EQ(scratch_.words(loaded.problems), Lines{});
  ASSERT_EQ(loaded.config.publishes.size(), 2U);
  EXPECT_EQ(loaded.config.publishes[0],
            (PublishConfig{"a", "site/${device}/${attribute}", "${value}", "text", 1, "", {}}));
  EXPECT_EQ(
      loaded.config.publishes[1],
      (PublishConfig{"b", "t", "{\"v\":${value},\"t\":${time}}", "json", 0, "boiler", {"temp"}}));
}

TEST_F(Custom, ASubscribeSection) {
  const Loaded loaded = load(
      "[[subscribe]]\ntopic = \"site/a\"\ndevice = \"boiler\"\ncommand = \"set\"\n"
      "[[subscribe]]\ntopic = \"$SYS/b/+/#\"\nqos = 0\ndevice = \"boiler\"\ncommand = \"set\"\n"
      "arguments = { value = \"/a~1b/0\" }\nmap = { \"ON\" = 1, \"OFF\" = 0 }\n"
      "[[subscribe]]\ntopic = \"site/a\"\ndevice = \"gateway\"\ncommand = \"fp-status\"\n");
  EXPECT_EQ(scratch_.words(loaded.problems), Lines{});
  ASSERT_EQ(loaded.config.subscribes.size(), 3U);
  const std::string boiler = "575ecf887ae143cd83dc4aa3";
  EXPECT_EQ(loaded.config.subscribes[0],
            (SubscribeConfig{"site/a", 1, "boiler", boiler, "set", {{"value", "", false}}, {}}))
      << "the text is the only argument";
  EXPECT_EQ(loaded.config.subscribes[1], (SubscribeConfig{"$SYS/b/+/#",
                                                          0,
                                                          "boiler",
                                                          boiler,
                                                          "set",
                                                          {{"value", "/a~1b/0", false}},
                                                          {{"ON", 1.0}, {"OFF", 0.0}}}));
  EXPECT_EQ(loaded.config.subscribes[2].device_id, kGatewayId);
}

const std::string kPublish = "[[publish]]\nname = \"p\"\n";

TEST_F(Custom, TopicsToPublishTo) {
  const std::string form =
      "expected a topic outside losant/, in which ${device} and ${attribute} are filled in, got ";
  const auto no = [&](const std::string& topic, const std::string& what) {
    refused(kPublish, "topic = \"" + topic + "\"", what + "\"" + topic + "\"");
  };
  no("", form);
  refused(kPublish, "topic = \"a\\tb\"", form + "\"a\\x09b\"");
  refused(kPublish, "topic = \"a\\u0000b\"",
          "expected text without NUL characters, got \"a\\x00b\"");
  refused(kPublish, "topic = 7", form + "7");
  for (const char* topic : {"/a", "a/", "a//b", "/"}) {
    no(topic, "expected a topic without empty levels, got ");
  }
  for (const char* topic : {"losant", "losant/x/state"}) {
    no(topic, "topics below losant/ are for states and commands; expected one outside of it, got ");
  }
  for (const char* topic : {"a/+", "a/#", "a+"}) {
    no(topic, "expected a topic to publish to, without + and #, got ");
  }
  no("$SYS/a", "topics that begin with $ are the broker's own; expected another first level, got ");
  for (const char* topic : {"a/${value}", "a/${time}"}) {
    no(topic,
       "a topic may name ${device} and ${attribute} alone: with ${value} or ${time} there would be "
       "no end of topics, and '/', '+' or '#' in a text would make another one of it; put them "
       "into the payload, got ");
  }
  no("${device}/a", "expected a first level without ${…}, so that it cannot become losant/, got ");
  refused(kPublish, "topic = \"a/${device_id}\"",
          "expected ${device}, ${attribute}, ${value} or ${time}, got \"${device_id}\"");
  refused(kPublish, "topic = \"" + std::string(1001, 'a') + "\"",
          form + "\"" + std::string(80, 'a') + "…\"");
  EXPECT_EQ(words(kPublish + "topic = \"" + std::string(1000, 'a') + "\"\n"), Lines{});
  EXPECT_EQ(words(kPublish + "topic = \"a/losant\"\n"), Lines{});
  EXPECT_EQ(words(kPublish + "topic = \"losant2/a\"\n"), Lines{});
}

TEST_F(Custom, WhatElseAPublishSectionIsRefusedFor) {
  const std::string row = kPublish + "topic = \"a\"\n";
  refused(row, "qos = 2",
          "QoS 2 is not spoken: Losant closes the connection at it; expected 1, which may deliver "
          "twice, or 0, which may lose");
  refused(row, "qos = 3", "expected 0 or 1, got 3");
  refused(row, "qos = 0.5", "expected 0 or 1, got 0.5");
  EXPECT_EQ(words("[[publish]]\nretain = true\nname = \"p\"\ntopic = \"a\"\n"),
            Lines{"~/fieldpost.toml:20:1: publish.retain: messages are not retained: Losant closes "
                  "the connection at one, and after an outage the oldest reading would stand there "
                  "as the newest; leave this key out"});
  refused(row, "payload = \"\"",
          "expected text, in which ${device}, ${attribute}, ${value} and ${time} are filled in, "
          "got \"\"");
  refused(row, "payload = \"${valeu}\"",
          "expected ${device}, ${attribute}, ${value} or ${time}, got \"${valeu}\"");
  refused(row, "format = \"xml\"", "expected one of \"text\", \"json\", got \"xml\"");
  refused(row, "device = \"bolier\"", "no [[device]] is called 'bolier'; did you mean 'boiler'?");
  refused(row, "attributes = \"a b\"", "expected 1 to 255 of 0-9, a-z, A-Z, _ and -, got \"a b\"");
  refused(row, "attributes = []", "expected names of attributes, got an empty list");
  EXPECT_EQ(words(row + "attributes = [\"temp\", \"tmep\"]\n"),
            Lines{"~/fieldpost.toml:22:14: warning: publish.attributes: no plugin has 'tmep'; did "
                  "you mean 'temp'?"});
}

TEST_F(Custom, NamesArePublishSections) {
  EXPECT_EQ(words("[[publish]]\nname = \"p\"\ntopic = \"a\"\n[[publish]]\nname = \"p\"\ntopic = "
                  "\"b\"\n[[publish]]\ntopik = \"b\"\nname = \"q\"\n"),
            (Lines{"~/fieldpost.toml:23:8: publish.name: 'p' is already used at "
                   "~/fieldpost.toml:20:8",
                   "~/fieldpost.toml:25:1: publish.topic: missing; expected a topic outside "
                   "losant/, in which ${device} and ${attribute} are filled in",
                   "~/fieldpost.toml:26:1: publish.topik: unknown key; did you mean 'topic'?"}));
}

TEST_F(Custom, JsonIsTriedWithEachTypeOfValue) {
  const auto json = [this](const std::string& payload) {
    return words(kPublish + "topic = \"a\"\nformat = \"json\"\npayload = '" + payload + "'\n");
  };
  for (const char* good : {"${value}", R"({"${attribute}":${value},"d":"${device}","t":${time}})",
                           R"([${value}, "${time}"])"}) {
    EXPECT_EQ(json(good), Lines{}) << good;
  }
  const std::string at = "~/fieldpost.toml:23:11: publish.payload: not JSON when ${value} is ";
  for (const char* bad : {R"({"v":${value})", "${device}", "{v:${value}}", R"({"v":${value}},)"}) {
    const Lines found = json(bad);
    ASSERT_EQ(found.size(), 1U) << bad;
    EXPECT_TRUE(found[0].starts_with(at + "21.5: ")) << found[0];
  }
  const Lines quoted = json(R"({"v":"${value}"})");
  ASSERT_EQ(quoted.size(), 1U);
  EXPECT_TRUE(quoted[0].starts_with(at + R"("a \"text\"": )")) << quoted[0];
  EXPECT_TRUE(quoted[0].ends_with("; a text brings its own quotes, so ${value} needs none"));
}

TEST_F(Custom, SaysWhenATopicGetsMoreThanTheBrokerBears) {
  const auto with = [this](const std::string& interval, const std::string& topic,
                           const std::string& uplink = "") {
    std::string site = kSite;
    site.replace(site.find("10s"), 3, interval);
    return scratch_.words(
        load_config(scratch_.write("fieldpost.toml", kHead + uplink + site + kPublish +
                                                         "topic = \"" + topic + "\"\n"),
                    probe_)
            .problems);
  };
  EXPECT_EQ(with("500ms", "a"),
            Lines{"~/fieldpost.toml:21:9: warning: publish.topic: up to 30 messages in 15 s on "
                  "'a', of which the broker bears 28; what is too much waits in the outbox until "
                  "it is given up: choose attributes, poll less often, or set uplink.limits"});
  EXPECT_EQ(
      with("500ms", "a/${attribute}").at(0).substr(0, 86),
      "~/fieldpost.toml:21:9: warning: publish.topic: up to 30 messages in 15 s on 'a/temp', ");
  EXPECT_EQ(with("600ms", "a"), Lines{});
  EXPECT_EQ(with("600ms", "a\"\n[[publish]]\nname = \"q\"\ntopic = \"b"), Lines{});
  EXPECT_EQ(with("600ms", "a\"\n[[publish]]\nname = \"q\"\ntopic = \"a").size(), 1U)
      << "two entries share a topic";
  EXPECT_EQ(with("10ms", "a", "[uplink]\nlimits = \"plain\"\n"), Lines{});
}

// ---- [[subscribe]]

const std::string kSubscribe = "[[subscribe]]\ndevice = \"boiler\"\ncommand = \"set\"\n";

TEST_F(Custom, TopicsToSubscribeTo) {
  const std::string form =
      "expected a topic outside losant/, in which + and # stand for other levels, got ";
  const auto no = [&](const std::string& topic, const std::string& what) {
    refused(kSubscribe, "topic = \"" + topic + "\"", what + "\"" + topic + "\"");
  };
  no("", form);
  refused(kSubscribe, "topic = \"a\\u0000b\"",
          "expected text without NUL characters, got \"a\\x00b\"");
  for (const char* topic : {"/a", "a/", "a//b"}) {
    no(topic, "expected a topic without empty levels, got ");
  }
  for (const char* topic : {"losant/+/command", "losant", "losant/#"}) {
    no(topic, "topics below losant/ are for states and commands; expected one outside of it, got ");
  }
  for (const char* topic : {"#", "+/x/command", "+"}) {
    no(topic,
       "expected a first level without wildcard, or it would stand for losant/ as well, got ");
  }
  for (const char* topic : {"a/b+", "a/#b", "a/#/b"}) {
    no(topic, "expected + and # alone between two /, and # at the end only, got ");
  }
  for (const char* topic : {"$share/g/a", "$SYS", "$x/a"}) {
    no(topic, "of the topics that begin with $ only those below $SYS/ can be subscribed to, got ");
  }
  no("a/${device}", "nothing is filled into this topic; expected it without ${…}, got ");
}

TEST_F(Custom, WhatElseASubscribeSectionIsRefusedFor) {
  const std::string row = "[[subscribe]]\ntopic = \"a\"\n";
  EXPECT_EQ(words(row), (Lines{"~/fieldpost.toml:19:1: subscribe.device: missing; expected the "
                               "name of a device",
                               "~/fieldpost.toml:19:1: subscribe.command: missing; expected the "
                               "name of a command"}));
  refused(row + "command = \"set\"\n", "device = \"bolier\"",
          "no [[device]] is called 'bolier'; did you mean 'boiler'?");
  refused(row + "device = \"boiler\"\n", "command = \"ste\"",
          "device 'boiler' has no command 'ste'; did you mean 'set'?");
  refused(row + "device = \"gateway\"\n", "command = \"set\"",
          "device 'gateway' has no command 'set'");
  refused(kSubscribe + "topic = \"a\"\n", "qos = 2",
          "QoS 2 is not spoken: Losant closes the connection at it; expected 1, which may deliver "
          "twice, or 0, which may lose");
}

TEST_F(Custom, ArgumentsAreThoseOfTheCommand) {
  const auto with = [this](const std::string& line) {
    Lines found = words(kSubscribe + "topic = \"a\"\n" + line + "\n");
    for (std::string& text : found) text = text.substr(std::string("~/fieldpost.toml:23:").size());
    return found;
  };
  const std::string pointer =
      ": expected a JSON pointer such as \"/state\", or \"\" for all of the text, got ";
  EXPECT_EQ(with("arguments = { value = \"state\" }"),
            Lines{"23: subscribe.arguments.value" + pointer + "\"state\""});
  EXPECT_EQ(with("arguments = { value = \"/a~2\" }"),
            Lines{"23: subscribe.arguments.value" + pointer + "\"/a~2\""});
  EXPECT_EQ(with("arguments = { value = 1 }"),
            Lines{"23: subscribe.arguments.value" + pointer + "1"});
  EXPECT_EQ(with("arguments = { value = \"/a\", valeu = \"/b\" }"),
            Lines{"37: subscribe.arguments.valeu: the command has no such argument; did you mean "
                  "'value'?"});
  EXPECT_EQ(with("arguments = \"/a\""),
            Lines{"13: subscribe.arguments: expected a table such as { value = \"/state\" }, got "
                  "\"/a\""});
  EXPECT_EQ(with("arguments = {}"),
            Lines{"13: subscribe.arguments: 'value' is missing; expected value = \"/POINTER\" or "
                  "\"\": a number from 0 to 100"});
}

TEST_F(Custom, ConstantsFitTheArgument) {
  const auto with = [this](const std::string& line) {
    Lines found = words(kSubscribe + "topic = \"a\"\n" + line + "\n");
    for (std::string& text : found) text = text.substr(std::string("~/fieldpost.toml:23:").size());
    return found;
  };
  EXPECT_EQ(with("map = { ON = 101 }"),
            Lines{"14: subscribe.map.\"ON\": argument 'value': expected a number from 0 to 100, "
                  "got 101"});
  EXPECT_EQ(with("map = { ON = true }"),
            Lines{"14: subscribe.map.\"ON\": argument 'value': expected a number from 0 to 100, "
                  "got true"});
  EXPECT_EQ(with("map = { ON = [1] }"),
            Lines{"14: subscribe.map.\"ON\": expected a number, true, false or text, got a list"});
  EXPECT_EQ(with("map = {}"), Lines{"7: subscribe.map: expected at least one text, got none"});
  EXPECT_EQ(with("map = \"ON\""),
            Lines{"7: subscribe.map: expected a table such as { \"ON\" = true, \"OFF\" = false }, "
                  "got \"ON\""});
  EXPECT_EQ(words("[[subscribe]]\ntopic = \"a\"\ndevice = \"gateway\"\ncommand = \"fp-status\"\n"
                  "map = { ON = 1 }\n"),
            Lines{"~/fieldpost.toml:23:1: subscribe.map: the command has no argument that it could "
                  "be for"});
}

TEST_F(Custom, WhatIsPublishedDoesNotComeBackAsACommand) {
  const std::string subscribe = kSubscribe + "topic = \"site/+/temp\"\n";
  EXPECT_EQ(words(subscribe + kPublish + "topic = \"site/x-${device}/temp\"\n"),
            Lines{"~/fieldpost.toml:22:9: subscribe.topic: 'site/+/temp' would receive what "
                  "[[publish]] 'p' publishes, and make commands of it; expected another topic"});
  EXPECT_EQ(words(subscribe + kPublish + "topic = \"site/x/${device}/temp\"\n"), Lines{});
  const std::string of_boiler = kSubscribe + "topic = \"site/boiler/+\"\n" + kPublish +
                                "topic = \"site/${device}/${attribute}\"\n";
  EXPECT_EQ(words(of_boiler).size(), 1U) << "once, however many devices";
  EXPECT_EQ(words(of_boiler + "device = \"gateway\"\n"), Lines{}) << "no such topic is published";
  EXPECT_EQ(words(subscribe + "[commands]\nanswer_topic = \"site/${device_id}/temp\"\n"),
            Lines{"~/fieldpost.toml:22:9: subscribe.topic: 'site/+/temp' would receive what "
                  "commands.answer_topic publishes, and make commands of it; expected another "
                  "topic"});
}

TEST_F(Custom, SubscriptionsThatOverlapWouldComeTwice) {
  EXPECT_EQ(words(kSubscribe + "topic = \"a/#\"\n" + kSubscribe + "topic = \"a\"\n"),
            Lines{"~/fieldpost.toml:26:9: subscribe.topic: 'a' overlaps 'a/#' at "
                  "~/fieldpost.toml:22:9: a message on both might come twice, and be carried out "
                  "twice"});
  EXPECT_EQ(words(kSubscribe + "topic = \"a/+\"\n" + kSubscribe + "topic = \"a/+\"\n"), Lines{});
}

// Nobody knows what a plugin has that cannot be asked; the rest must not suffer for it.
TEST_F(Custom, AFailedPluginIsNotHeldAgainstThem) {
  probe_.verdicts.emplace("modbus", Error{Errc::Timeout, "no answer"});
  const Loaded loaded = load(kPublish + "topic = \"a\"\nattributes = \"temp\"\n" + kSubscribe +
                             "topic = \"b\"\narguments = { value = \"/x\" }\n");
  EXPECT_TRUE(loaded.usable());
  EXPECT_EQ(loaded.config.publishes.size(), 1U);
  EXPECT_EQ(loaded.config.subscribes.size(), 1U);
}

// A command that an upgraded plugin has no more costs its entry, not the start.
TEST_F(Custom, AKeptConfigurationLeavesOutWhatNoLongerFits) {
  const Loaded loaded = load(kPublish + "topic = \"a\"\n" + kSubscribe + "topic = \"b\"\n");
  ASSERT_TRUE(loaded.usable());
  const std::string kept = scratch_.path() + "/kept";
  ASSERT_TRUE(keep_config(loaded, kept));
  probe_.verdicts.emplace(
      "modbus",
      PluginProbe::Verdict{
          .declaration = {.attributes = {{.spec = {.name = "temp"}, .unit = 0, .section = 1}}}});
  const Loaded again = load_config(kept, probe_);
  EXPECT_TRUE(again.usable());
  EXPECT_EQ(again.config.publishes, loaded.config.publishes);
  EXPECT_TRUE(again.config.subscribes.empty());
}

// That was checked less strictly once.
TEST_F(Custom, AKeptConfigurationMayLetReadingsWaitTooLong) {
  const std::string kept = scratch_.path() + "/kept";
  ASSERT_TRUE(keep_config(load(""), kept));
  std::ofstream(kept + "/fieldpost.toml", std::ios::app) << "[uplink]\nbatch_max_age = \"4s\"\n";
  const Loaded again = load_config(kept, probe_);
  EXPECT_TRUE(again.usable()) << again.why_unusable();
  EXPECT_EQ(again.problems.size(), 1U);
}

TEST_F(Custom, ACopyIsKeptAsItsReading) {
  std::string site = kSite;
  site.replace(site.find("device = "), 0, "keep = \"all\"\n");
  const auto rules = [&](const std::string& topic) {
    return keep_rules(
        load_config(scratch_.write("fieldpost.toml",
                                   kHead + site + kPublish + "topic = \"" + topic + "\"\n"),
                    probe_)
            .config);
  };
  EXPECT_EQ(keep_of(rules("a"), "publish:p:boiler", "temp"), Keep::All);
  EXPECT_EQ(keep_of(rules("a/${attribute}"), "publish:p:boiler:temp", "temp"), Keep::All);
  EXPECT_EQ(keep_of(rules("a"), "publish:other:boiler", "temp"), Keep::Thin);
}

TEST_F(Custom, AnotherEntryIsAChange) {
  const Loaded before = load(kPublish + "topic = \"a\"\n");
  EXPECT_TRUE(diff(before.config, load("\n" + kPublish + "topic = \"a\"\n").config).empty());
  EXPECT_TRUE(diff(before.config, load(kPublish + "topic = \"b\"\n").config).custom);
  EXPECT_TRUE(diff(before.config,
                   load(kPublish + "topic = \"a\"\n" + kSubscribe + "topic = \"c\"\n").config)
                  .custom);
}

}  // namespace
}  // namespace fieldpost
