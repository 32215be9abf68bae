// SPDX-License-Identifier: Apache-2.0
//
// What people read when something is wrong. One row: TOML and the exact messages it gives.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "config/load.hpp"
#include "config/scratch.hpp"
#include "fakes/fake_probe.hpp"

namespace fieldpost {
namespace {

struct Row {
  const char* toml;                   // from line 4 on
  std::vector<const char*> messages;  // "4:1: …": the file is left out
};

// Of rows that need an instance around them.
#define URL                                                                               \
  "mqtt://HOST[:PORT], mqtts://HOST[:PORT], ws://HOST[:PORT][/PATH] or wss://HOST[:PORT]" \
  "[/PATH]"
#define MODBUS "[[plugin]]\nname = \"plc\"\ntype = \"modbus\"\noptions.url = \"tcp://h:502\"\n"
#define TEN "0123456789"

const Row kRows[] = {
    {"", {}},
    // Keys.
    {"[uplnk]\n", {"4:2: uplnk: unknown key; did you mean 'uplink'?"}},
    {"zzz = 1\n", {"4:1: gateway.zzz: unknown key"}},
    {"nam = \"gw\"\n", {"4:1: gateway.nam: unknown key; did you mean 'name'?"}},
    {"[uplink]\nkeep_alive = \"60s\"\n",
     {"5:1: uplink.keep_alive: unknown key; did you mean 'keepalive'?"}},
    {"[uplink]\npassword = \"x\"\n",
     {"5:1: uplink.password: secrets do not belong in this file; put it into a file of its own "
      "that only the service can read (uplink.access_key_file, uplink.access_secret_file)"}},
    {"[uplink]\nacces_secret_file = \"/x\"\n",
     {"5:1: uplink.acces_secret_file: unknown key; did you mean 'access_secret_file'?"}},
    {"\"a\\u001b[2J\" = 1\n", {"4:1: gateway.a\\x1b[2J: unknown key"}},
    // Kinds of sections.
    {"[[uplink]]\nurl = \"mqtt://h\"\n", {"4:3: uplink: expected [uplink], got [[uplink]]"}},
    {"[plugin]\nname = \"a\"\n", {"4:2: plugin: expected [[plugin]], got [plugin]"}},
    {"[[plugin.register]]\naddress = 1\n",
     {"4:3: plugin: expected [[plugin]], got [plugin]; [[plugin.register]] must follow its "
      "[[plugin]] in the same file"}},
    {"[device]\nx = 1\n", {"4:2: device: expected [[device]], got [device]"}},
    {"plugin = 5\n", {"4:1: gateway.plugin: unknown key"}},
    // Values of the core.
    {"name = \"Gate Way\"\n",
     {"4:8: gateway.name: expected 1 to 64 of a-z, 0-9, '_', '.' and '-', starting with a letter "
      "or a digit, got \"Gate Way\""}},
    {"name = 5\n", {"4:8: gateway.name: expected a name, got 5"}},
    {"name = [\"a\"]\n", {"4:8: gateway.name: expected a name, got a list"}},
    {"[uplink]\nkeepalive = 60\n",
     {"5:13: uplink.keepalive: expected a duration such as \"5s\" from 5s to 18h, got 60"}},
    {"[uplink]\nkeepalive = \"1s\"\n",
     {"5:13: uplink.keepalive: expected a duration such as \"5s\" from 5s to 18h, got \"1s\""}},
    {"[uplink]\nkeepalive = 1979-05-27\n",
     {"5:13: uplink.keepalive: expected a duration such as \"5s\" from 5s to 18h, got a date or a "
      "time of day"}},
    {"[uplink]\nwindow_messages = 0\n",
     {"5:19: uplink.window_messages: expected a whole number from 1 to 1000, got 0"}},
    {"[uplink]\nwindow_messages = 2.5\n",
     {"5:19: uplink.window_messages: expected a whole number from 1 to 1000, got 2.5"}},
    {"[uplink]\nwindow_messages = nan\n",
     {"5:19: uplink.window_messages: expected a whole number from 1 to 1000, got nan"}},
    {"[uplink]\nwindow_messages = true\n",
     {"5:19: uplink.window_messages: expected a whole number from 1 to 1000, got true"}},
    {"[uplink]\nwindow_messages = 9007199254740993\n",
     {"5:19: uplink.window_messages: expected a whole number from 1 to 1000, got "
      "9007199254740993, which is too large to be exact"}},
    {"[uplink]\nmax_payload = {}\n",
     {"5:15: uplink.max_payload: expected a size such as \"512MB\" from 4.0 kB to 1.0 MB, got a "
      "table"}},
    {"[outbox]\nflush_interval = \"2s\"\n",
     {"5:18: warning: outbox.flush_interval: 2.0 s is less than uplink.batch_max_age + 2 s, so "
      "readings are written to the disk before the broker can have acknowledged them"}},
    {"[uplink]\nbatch_max_age = \"60s\"\n",
     {"5:17: uplink.batch_max_age: 1 min 0 s is more than outbox.flush_interval (5.0 s) less 2 s, "
      "so "
      "what waits would leave with each flush, by way of the disk; set outbox.flush_interval = "
      "\"62s\" or more, or a shorter age"}},
    {"[uplink]\nbatch_max_age = \"60s\"\n[outbox]\nflush_interval = \"62s\"\n", {}},
    {"[uplink]\nbatch_max_age = \"60s\"\n[outbox]\ndurability = \"disk\"\n", {}},
    {"[outbox]\ndurability = \"paper\"\n",
     {"5:14: outbox.durability: expected one of \"memory\", \"disk\", got \"paper\""}},
    {"[clock]\ntrust = \"never\"\n",
     {"5:9: clock.trust: expected one of \"auto\", \"always\", got \"never\""}},
    {"[clock]\nhold = \"31d\"\n",
     {"5:8: clock.hold: expected a duration such as \"5s\" from 0s to 30d, got \"31d\""}},
    {"[commands]\nanswer_topic = \"losant/x/state\"\n",
     {"5:16: commands.answer_topic: expected a topic outside losant/, where the broker closes the "
      "connection, got \"losant/x/state\""}},
    {"[commands]\nanswer_topic = \"a/${device}\"\n",
     {"5:16: commands.answer_topic: expected a topic, in which ${device_id} is filled in, got "
      "\"${device}\""}},
    {"[commands]\nanswer_topic = \"a/#\"\n",
     {"5:16: commands.answer_topic: expected a topic to publish to, without + and #, got "
      "\"a/#\""}},
    {"flow_version = \"\"\n",
     {"4:16: gateway.flow_version: expected 1 to 255 characters, got \"\""}},
    // The broker.
    {"[uplink]\nurl = [\"mqtt://h\", 7]\n", {"5:20: uplink.url: expected " URL ", got 7"}},
    {"[uplink]\nurl = []\n", {"5:7: uplink.url: expected " URL ", got an empty list"}},
    {"[uplink]\nurl = \"http://h\"\n", {"5:7: uplink.url: expected " URL ", got \"http://h\""}},
    {"[uplink]\nurl = \"wss://h/a path\"\n",
     {"5:7: uplink.url: expected " URL ", got \"wss://h/a path\""}},
    {"[uplink]\nurl = \"mqtt://h/mqtt\"\n",
     {"5:7: uplink.url: expected " URL ", got \"mqtt://h/mqtt\""}},
    {"[uplink]\nproxy = \"proxy.example:3128\"\n",
     {"5:9: uplink.proxy: expected http://HOST:PORT, got \"proxy.example:3128\""}},
    {"[uplink]\nproxy = \"http://me:hunter2@h:1\"\n",
     {"5:9: uplink.proxy: expected http://HOST:PORT without user and password, which belong in a "
      "file: proxy_login_file"}},
    {"[uplink]\nproxy_login_file = \"/nowhere/p\"\n",
     {"5:1: uplink.proxy_login_file: expected proxy beside it",
      "5:20: uplink.proxy_login_file: '/nowhere/p' does not exist"}},
    {"[uplink]\ncert_file = \"/nowhere/c.pem\"\n",
     {"5:1: uplink.cert_file: expected key_file beside it",
      "5:13: uplink.cert_file: '/nowhere/c.pem' does not exist"}},
    {"[uplink]\nkey_file = \"/nowhere/c.key\"\n",
     {"5:1: uplink.key_file: expected cert_file beside it",
      "5:12: uplink.key_file: '/nowhere/c.key' does not exist"}},
    {"[uplink]\nurl = \"mqtt://me:hunter2@h\"\n",
     {"5:7: uplink.url: expected " URL " without user and "
      "password, which belong in files: access_key_file and access_secret_file"}},
    {"[uplink]\nurl = \"me:hunter2@h:1883\"\n",
     {"5:7: uplink.url: expected " URL " without user and "
      "password, which belong in files: access_key_file and access_secret_file"}},
    {"[uplink]\nca_file = \"ca.pem\"\n",
     {"5:11: uplink.ca_file: expected a path that starts with /, got \"ca.pem\""}},
    {"[uplink]\nca_file = \"/nowhere/ca.pem\"\n",
     {"5:11: uplink.ca_file: '/nowhere/ca.pem' does not exist"}},
    {"[uplink]\naccess_key_file = \"/nowhere/k\"\n",
     {"5:19: uplink.access_key_file: '/nowhere/k' does not exist"}},
    // Devices.
    {"[[device]]\nname = \"boiler\"\n",
     {"4:1: device.id: missing; expected a Losant id (24 hex digits, lower case)"}},
    {"[[device]]\nname = \"boiler\"\nid = \"575ECF887AE143CD83DC4AA3\"\n",
     {"6:6: warning: device.id: expected a Losant id (24 hex digits, lower case), got "
      "\"575ECF887AE143CD83DC4AA3\""}},
    {"[[device]]\nname = \"boiler\"\nid = \"a/b\"\n",
     {"6:6: device.id: expected a Losant id (24 hex digits, lower case), got \"a/b\""}},
    {"[[device]]\nname = \"gateway\"\nid = \"575ecf887ae143cd83dc4aa3\"\n",
     {"5:8: device.name: 'gateway' is already used at ~/fieldpost.toml:2:1"}},
    {"[[device]]\nname = \"b\"\nid = \"575ecf887ae143cd83dc4aa2\"\n",
     {"6:6: device.id: '575ecf887ae143cd83dc4aa2' is already used at ~/fieldpost.toml:2:1"}},
    {"[[device]]\nname = \"b\"\nid = \"575ecf887ae143cd83dc4aa3\"\n"
     "[[device]]\nname = \"b\"\nid = \"575ecf887ae143cd83dc4aa3\"\n",
     {"8:8: device.name: 'b' is already used at ~/fieldpost.toml:4:1",
      "9:6: device.id: '575ecf887ae143cd83dc4aa3' is already used at ~/fieldpost.toml:4:1"}},
    // Instances.
    {"[[plugin]]\ntype = \"sim\"\n", {"4:1: plugin.name: missing; expected a name"}},
    {"[[plugin]]\nname = \"a\"\n", {"4:1: plugin.type: missing; expected the name of a plugin"}},
    {"[[plugin]]\nname = \"a\"\ntype = \"modbsu\"\n",
     {"6:8: plugin.type: 'modbsu' is not installed; did you mean 'modbus'?"}},
    {"[[plugin]]\nname = \"a\"\ntype = \"../../x\"\n",
     {"6:8: plugin.type: expected 1 to 64 of a-z, 0-9, '_', '.' and '-', starting with a letter or "
      "a digit, got \"../../x\""}},
    {MODBUS "intervall = \"1s\"\n",
     {"8:1: plugin.intervall: unknown key; did you mean 'interval'?"}},
    {MODBUS "url = \"x\"\n", {"8:1: plugin.url: unknown key; did you mean 'options.url'?"}},
    {MODBUS "options.uni = 3\n", {"8:9: plugin.options.uni: unknown key; did you mean 'unit'?"}},
    {MODBUS "options.interval = \"1s\"\n",
     {"8:9: plugin.options.interval: unknown key; 'interval' stands without options. before it"}},
    {MODBUS "interval = \"9ms\"\n",
     {"8:12: plugin.interval: expected a duration from 10ms to 24h, or \"0s\", got \"9ms\""}},
    {MODBUS "interval = \"0s\"\n", {}},
    {MODBUS "interval = \"25h\"\n",
     {"8:12: plugin.interval: expected a duration from 10ms to 24h, or \"0s\", got \"25h\""}},
    {MODBUS "device = \"gatway\"\n",
     {"8:10: plugin.device: no [[device]] is called 'gatway'; did you mean 'gateway'?"}},
    {MODBUS "device = 5\n", {"8:10: plugin.device: expected the name of a device, got 5"}},
    {"[[plugin]]\nname = \"a\"\ntype = \"modbus\"\noptions = \"tcp://h\"\n",
     {"4:1: plugin.options.url: missing; expected text: The bus.",
      "7:11: plugin.options: expected options.NAME = VALUE, got \"tcp://h\""}},
    {"[[plugin]]\nname = \"a\"\ntype = \"modbus\"\n",
     {"4:1: plugin.options.url: missing; expected text: The bus."}},
    {"[[plugin]]\nname = \"a\"\ntype = \"sim\"\n[[plugin]]\nname = \"a\"\ntype = \"sim\"\n"
     "options.attribute = \"w\"\n",
     {"8:8: plugin.name: 'a' is already used at ~/fieldpost.toml:5:8"}},
    {"[[plugin]]\nname = \"a\"\ntype = \"sim\"\noptions.file = \"a\\u0000b\"\n",
     {"7:16: plugin.options.file: expected text without NUL characters, got \"a\\x00b\""}},
    // Rows.
    {MODBUS "[[plugin.register]]\nattribute = \"t\"\ntable = \"holding\"\naddress = 70000\n",
     {"11:11: plugin.register.address: expected a whole number from 0 to 65535, got 70000"}},
    {MODBUS "[[plugin.register]]\nattribute = \"t\"\ntabel = \"holding\"\naddress = 7\n",
     {"8:1: plugin.register.table: missing; expected one of \"coil\", \"holding\"",
      "10:1: plugin.register.tabel: unknown key; did you mean 'table'?"}},
    {MODBUS "[[plugin.registr]]\nattribute = \"t\"\n",
     {"8:10: plugin.registr: unknown key; did you mean 'register'?"}},
    {MODBUS "[plugin.register]\nattribute = \"t\"\n",
     {"8:9: plugin.register: expected [[plugin.register]], got [plugin.register]"}},
    {MODBUS "register = 7\n", {"8:1: plugin.register: expected [[plugin.register]], got 7"}},
    {MODBUS "register = []\n", {}},
    {MODBUS "[[plugin.register]]\nattribute = \"wärme\"\ntable = \"coil\"\naddress = 7\n",
     {"9:13: plugin.register.attribute: expected an attribute name (1 to 255 of 0-9, a-z, A-Z, _ "
      "and -), got \"wärme\""}},
    {MODBUS "[[plugin.register]]\nattribute = \"t\"\ntable = \"coil\"\naddress = 7\nname = \"x\"\n",
     {"12:1: plugin.register.name: unknown key"}},
    {MODBUS "[[plugin.register]]\nattribute = \"t\"\ntable = \"coil\"\naddress = 7\n"
            "device = \"x\"\n",
     {"12:10: plugin.register.device: no [[device]] is called 'x'"}},
    {MODBUS "[[plugin.register]]\nattribute = \"t\"\ntable = \"coil\"\naddress = 7\n"
            "type = \"impossible\"\n",
     {"12:8: plugin.register.type: no coil holds an impossible"}},
    // Units.
    {MODBUS "[[plugin.register]]\nattribute = \"t\"\ntable = \"coil\"\naddress = 7\n"
            "[[plugin.unit]]\naddress = 3\n",
     {"8:1: plugin.register: expected inside a unit, as [[plugin.unit.register]], because this "
      "instance has [[plugin.unit]]"}},
    {MODBUS "[[plugin.unit]]\n[[plugin.unit.register]]\nattribute = 1\n",
     {"8:1: plugin.unit.address: missing; expected a whole number from 0 to 255",
      "9:1: plugin.unit.register.table: missing; expected one of \"coil\", \"holding\"",
      "9:1: plugin.unit.register.address: missing; expected a whole number from 0 to 65535",
      "10:13: plugin.unit.register.attribute: expected an attribute name (1 to 255 of 0-9, a-z, "
      "A-Z, _ and -), got 1"}},
    {MODBUS "[[plugin.unit]]\naddress = 3\ndevise = \"x\"\n",
     {"10:1: plugin.unit.devise: unknown key; did you mean 'device'?"}},
    {MODBUS "[[plugin.unit]]\naddress = 3\nname = \"a\"\n[[plugin.unit]]\naddress = 4\n"
            "name = \"a\"\n",
     {"13:8: plugin.unit.name: another unit of 'plc' is called 'a' already"}},
    // Across instances.
    {"[[plugin]]\nname = \"a\"\ntype = \"sim\"\n[[plugin]]\nname = \"b\"\ntype = \"sim\"\n"
     "options.attribute = \"value\"\n",
     {"10:21: plugin.options.attribute: 'value' is already an attribute of device 'gateway', by "
      "~/fieldpost.toml:4:1"}},
    {"[[plugin]]\nname = \"a\"\ntype = \"sim\"\noptions.count = 300\n",
     {"4:1: plugin: device 'gateway' would have 300 attributes; Losant takes at most 256"}},
    {MODBUS "[[plugin.register]]\nattribute = \"a\"\ntable = \"coil\"\naddress = 1\n"
            "command = \"set\"\n"
            "[[plugin.register]]\nattribute = \"b\"\ntable = \"coil\"\naddress = 2\n"
            "command = \"set\"\n",
     {"17:11: plugin.register.command: 'set' is already a command of device 'gateway', by "
      "~/fieldpost.toml:12:11"}},
    {MODBUS "[[plugin]]\nname = \"b\"\ntype = \"modbus\"\noptions.url = \"TCP://h:502?x=1\"\n",
     {"11:15: plugin.options.url: \"TCP://h:502?x=1\" belongs to 'plc' already, by "
      "~/fieldpost.toml:7:15; one instance serves all units of a bus"}},
    {MODBUS "[[plugin]]\nname = \"b\"\ntype = \"modbus\"\noptions.url = \"tcp://h:503\"\n", {}},
    {MODBUS "socket = \"/nowhere/a\"\n[[plugin]]\nname = \"b\"\ntype = \"modbus\"\n"
            "socket = \"/nowhere/b/../a\"\noptions.url = \"tcp://h:503\"\n",
     {"12:10: plugin.socket: '/nowhere/b/../a' is also used by 'plc', at ~/fieldpost.toml:8:10; a "
      "unit runs one instance"}},
    {MODBUS "socket = \"/nowhere/a\"\n[[plugin]]\nname = \"b\"\ntype = \"modbus\"\n"
            "socket = \"/nowhere/b\"\noptions.url = \"tcp://h:503\"\n",
     {}},
    {MODBUS "socket = \"/dev/null\"\n", {"8:10: warning: plugin.socket: '/dev/null' is no socket"}},
    {MODBUS "socket = \"/" TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN "123456\"\n", {}},
    {MODBUS "socket = \"/" TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN "1234567\"\n",
     {"8:10: plugin.socket: expected a path of at most 107 bytes that starts with /, got "
      "\"/" TEN TEN TEN TEN TEN TEN TEN "012345678…\""}},
    // Several at once, in the order of the file.
    {"[[plugin]]\nname = \"a\"\ntype = \"nope\"\nintervall = 1\n[uplink]\nkeepalive = 1\nurl = 2\n",
     {"6:8: plugin.type: 'nope' is not installed",
      "9:13: uplink.keepalive: expected a duration such as \"5s\" from 5s to 18h, got 1",
      "10:7: uplink.url: expected " URL ", got 2"}},
    // Syntax.
    {"x = \n", {"4:5: syntax error in key-value pair: expected value, saw '\\n'"}},
    {"[[plugin]\n", {"4:10: syntax error in table header: expected ']', saw '\\n'"}},
    {"[gateway]\n",
     {"4:1: syntax error in table header: cannot redefine existing table 'gateway'; what may "
      "repeat "
      "is written [[…]]"}},
    {"name = \"a\"\nname = \"b\"\n",
     {"5:8: syntax error in key-value pair: cannot redefine existing string 'name'; a key may "
      "stand "
      "once in a table"}},
    {"name = gw\n",
     {"4:8: syntax error in value: could not determine value type; text stands in quotes"}},
    {"name = \"gw\n",
     {"4:11: syntax error in string: unescaped control characters other than TAB (U+0009) are "
      "explicitly prohibited; is the closing quote missing?"}},
};

TEST(Messages, ArePreciseAndComplete) {
  for (const Row& row : kRows) {
    SCOPED_TRACE(row.toml);
    const Scratch scratch;
    FakeProbe probe;
    const Loaded loaded = load_config(scratch.write("fieldpost.toml", kHead + row.toml), probe);
    std::vector<std::string> expected;
    for (const char* message : row.messages) {
      expected.push_back("~/fieldpost.toml:" + std::string(message));
    }
    EXPECT_EQ(scratch.words(loaded.problems), expected);
  }
}

TEST(Messages, NameTheFormOfVersionAndId) {
  const Scratch scratch;
  FakeProbe probe;
  const auto words = [&](const char* toml) {
    return scratch.words(load_config(scratch.write("f.toml", toml), probe).problems);
  };
  using Lines = std::vector<std::string>;
  EXPECT_EQ(words(""), (Lines{"~/f.toml:1:1: config_version: missing; expected config_version = 1",
                              "~/f.toml:1:1: gateway.device_id: not set up: expected the Losant id "
                              "of this gateway (24 hex digits)"}));
  EXPECT_EQ(words("config_version = 2\n[gateway]\ndevice_id = \"\"\n"),
            (Lines{"~/f.toml:1:18: config_version: this version of Fieldpost reads configurations "
                   "of version 1; expected 1, got 2",
                   "~/f.toml:3:13: gateway.device_id: not set up: expected the Losant id of this "
                   "gateway (24 hex digits)"}));
}

TEST(Messages, HaveTheFormOfCompilers) {
  using enum Problem::Severity;
  EXPECT_EQ(to_string(Problem{Error, {"a.toml", 3, 4}, "x: wrong"}), "a.toml:3:4: x: wrong");
  EXPECT_EQ(to_string(Problem{Instance, {"a.toml", 3, 0}, "x"}), "a.toml:3: x");
  EXPECT_EQ(to_string(Problem{Warning, {"a.toml", 0, 0}, "x"}), "a.toml: warning: x");
  EXPECT_EQ(to_string(Problem{Error, {}, "x"}), "x");
}

}  // namespace
}  // namespace fieldpost
