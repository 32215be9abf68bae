# SPDX-License-Identifier: Apache-2.0
"""Input that nobody wants, out of plugins and out of programs on the machine. What is wrong is left
out, said and counted; every good reading around it arrives.
"""
import os
import pathlib
import signal
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from fakes import field  # noqa: E402  pylint: disable=wrong-import-position
from fakes.field import BOILER, METER, eventually  # noqa: E402
from fakes.site import HEAD, QUIET, SiteTest, counter, missing, modbus, sim, uplink  # noqa: E402


class BadInputTest(SiteTest):
    def run_agent(self, config="", uplink_lines="", online=True):
        self.broker = self.field.broker()
        self.witness = self.field.witness(self.broker)
        if not online:
            self.broker.stop()
        self.agent = self.field.agent(HEAD + QUIET + uplink(self.broker.port) + uplink_lines + config,
                                      args=("--plugin-dir", field.BUILD / "tests/plugins"))
        self.agent.wait_until_up()

    def send(self, data, **more):
        return self.agent.ask({"do": "send", "device": "meter", "data": data, **more})

    # ---- From a plugin.

    def bad_neighbours(self, online):
        """A plugin whose every sample has a value that cannot be sent beside a good one."""
        self.run_agent('[[plugin]]\nname = "puppet"\ntype = "puppet"\ndevice = "boiler"\n'
                       'interval = "50ms"\noptions.mode = "bad-neighbours"\n', online=online)
        plugin = eventually(lambda: self.agent.plugin("puppet")["bad"] > 100
                            and self.agent.plugin("puppet"), 30)
        if not online:
            self.broker.start()
        self.assertEqual((plugin["state"], plugin["restarts"], plugin["refused"]), ("up", 0, 0))
        eventually(lambda: len(self.delivered(BOILER, "counter")) >= 50, 20)
        counted = self.delivered(BOILER, "counter")
        self.assertEqual(missing(counted), [])
        self.assertEqual(int(min(counted)), 1)
        levels = self.delivered(BOILER, "level")
        self.assertEqual(levels, [5.0 * (n + 1) for n in range(len(levels))])
        self.assertGreater(len(levels), 2)
        self.assertEqual(self.delivered(BOILER, "text"), [])
        details = {a["name"]: a for a in self.agent.plugin("puppet")["attributes"]}
        self.assertEqual(details["text"]["quality"], "out-of-range")
        said = set()

        def all_said():
            for attribute in self.agent.plugin("puppet")["attributes"]:
                said.add(attribute.get("detail", "").split(" h ahead")[0])
            return len([s for s in said if s]) >= 4
        eventually(all_said, 20)
        self.assertIn("text: out-of-range (", self.agent.cli("status").stdout)

    def test_what_says_nothing_new_stays_and_what_cannot_be_is_no_value(self):
        rows = "".join(f'[[plugin.register]]\nattribute = "{name}"\ntable = "holding"\naddress = {at}\n{more}\n'
                       for name, at, more in (("level", 10, "deadband = 5"), ("limited", 11, "valid_max = 100"),
                                              ("all", 12, 'report = "always"')))
        self.start(lambda port: modbus(port, rows=counter() + rows, options='report = "change"'),
                   do=["count 1 holding 0 2", "set 1 holding 10 50 50 50"])
        eventually(lambda: len(self.delivered()) > 20)
        self.assertEqual(self.delivered(attribute="level"), [50])
        self.assertEqual(self.delivered(attribute="limited"), [50])
        self.assertGreater(len(self.delivered(attribute="all")), 15)
        self.server.ask("set 1 holding 10 55 101")
        eventually(lambda: "limited: out-of-range (101 is above valid_max, 100)" in self.agent.cli("status").stdout)
        self.server.ask("set 1 holding 10 56 99")
        eventually(lambda: self.delivered(attribute="limited") == [50, 99])
        eventually(lambda: self.delivered(attribute="level") == [50, 56])
        self.assertEqual(missing(self.delivered()), [])

    def attribute(self, name, plugin="plc"):
        return next(a for a in self.agent.plugin(plugin)["attributes"] if a["name"] == name)

    def test_ages_are_those_of_readings_also_of_those_that_stay_and_of_a_host_that_hangs(self):
        """Registers that stand still, the second scaled by name; then their process stops."""
        rows = "".join(f'[[plugin.register]]\nattribute = "{name}"\ntable = "holding"\naddress = {at}\n'
                       for name, at in (("level", 10), ("scaled", 11)))
        rows += ('[[plugin.attribute]]\nattribute = "scaled"\nscale = 0.1\noffset = -5\nunit = "degC"\n'
                 'decimals = 0\n')
        self.start(lambda port: modbus(port, rows=counter() + rows, options='report = "change"'),
                   do=["count 1 holding 0 2", "set 1 holding 10 50 253"])
        eventually(lambda: self.agent.plugin("plc")["held"] > 60)
        self.assertEqual(self.delivered(attribute="scaled"), [20])
        self.assertEqual(self.attribute("scaled")["unit"], "degC")
        for name in ("level", "scaled"):
            eventually(lambda name=name: self.attribute(name)["good_s"] < 0.5)
            self.assertEqual(self.attribute(name)["quality"], "good")
        os.kill(self.agent.plugin("plc")["pid"], signal.SIGSTOP)
        eventually(lambda: self.attribute("level")["quality"] == "stale", 20)
        self.assertIn("level: stale (no good reading for ", self.agent.cli("status").stdout)
        eventually(lambda: self.attribute("level")["quality"] == "good", 40)  # replaced, as it hung
        self.assertEqual(self.delivered(attribute="scaled")[0], 20)

    def test_values_that_cannot_be_sent_cost_their_neighbours_nothing(self):
        self.bad_neighbours(online=True)

    def test_nor_when_they_wait_on_the_disk(self):
        self.bad_neighbours(online=False)

    def test_a_thousand_attributes_are_refused_by_the_check(self):
        rows = "".join(f'[[plugin.signal]]\nattribute = "a{n}"\n' for n in range(1000))
        config = self.field.folder / "f.toml"
        config.write_text(HEAD + sim() + rows)
        check = field.cli("check", config)
        self.assertEqual(check.returncode, 78)
        self.assertIn("1000 attributes; Losant takes at most 256", check.stderr)

    # ---- From a program.

    def test_what_a_program_may_not_post_is_refused_in_words_and_the_rest_arrives(self):
        self.run_agent()
        ahead = int(time.time() * 1000) + 2 * 86_400_000
        cases = [({"x": "y" * 65_537}, {}, "text is at most 65536 bytes"),
                 ({"x": None}, {}, "expected a number, true, false or text, got null"),
                 ({"x": [1]}, {}, "expected a number, true, false or text"),
                 ({f"a{n}": n for n in range(1000)}, {}, "256 attributes already"),
                 ({"x": 1}, {"time": ahead}, "more than a day ahead"),
                 ({"x": 1}, {"time": 1}, "older than 30 days"),
                 ({"a b": 1}, {}, "attribute 'a b': expected")]
        for n, (data, more, words) in enumerate(cases):
            self.assertTrue(self.send({"n": n})["ok"])
            refused = self.send(data, **more)
            self.assertFalse(refused["ok"])
            self.assertIn(words, refused["error"])
        for text in ("NaN", "Infinity", "-Infinity", "1e999"):  # no JSON, though Python writes it
            line = '{"device":"meter","data":{"x":%s}}\n' % text
            self.assertEqual(self.agent.cli("send", input=line).returncode, 1, text)
        self.assertTrue(self.send({"n": len(cases)})["ok"])
        eventually(lambda: self.delivered(METER, "n") == list(range(len(cases) + 1)))
        self.assertEqual(self.delivered(METER, "x"), [])

    def test_an_attribute_may_change_its_type(self):
        self.run_agent(online=False)
        values = [1, "one", True, 2.5, "", False, "two", 3]
        for value in values:
            self.assertTrue(self.send({"v": value})["ok"])
        eventually(lambda: self.agent.status()["outbox"]["stored"] == len(values), 20)
        self.broker.start()
        eventually(lambda: len(self.delivered(METER, "v")) == len(values), 20)
        self.assertEqual([(v, type(v) is bool) for v in self.delivered(METER, "v")],
                         [(v, type(v) is bool) for v in values])

    def test_a_state_that_exceeds_a_message_is_split_and_what_cannot_fit_is_counted(self):
        for online in (True, False):
            self.run_agent(uplink_lines='max_payload = "4kB"\n', online=online)
            self.assertTrue(self.send({"n": 1})["ok"])
            parts = {f"part{i}": chr(ord("a") + i) * 1500 for i in range(6)}
            self.assertTrue(self.send({**parts, "huge": "x" * 5000, "small": 7})["ok"])
            self.assertTrue(self.send({"n": 2})["ok"])
            if not online:
                eventually(lambda: self.agent.status()["outbox"]["stored"] == 10, 20)
                self.broker.start()
            eventually(lambda: self.delivered(METER, "n") == [1, 2], 20)
            eventually(lambda: all(self.delivered(METER, p) for p in [*parts, "small"]), 20)
            states = [(t, d) for _, t, d in self.witness.states(METER) if "n" not in d]
            self.assertGreater(len(states), 1)
            self.assertEqual(len({t for t, _ in states}), 1, "under one stamp")
            merged = {k: v for _, d in states for k, v in d.items()}
            self.assertEqual(merged, {**parts, "small": 7})
            self.assertTrue(all(len(p) <= 4000 for _, t, p in list(self.witness.messages)
                                if t.endswith("/state")))
            eventually(lambda: self.agent.status()["uplink"]["refused"] == 1)
            self.assertIn("1 refused as too large", self.agent.cli("status").stdout)
            self.assertIn("one alone is longer than a message may be", self.agent.text())
            self.assertIn("FP_ATTRIBUTE=huge", self.agent.text())
            eventually(lambda: self.agent.status()["outbox"]["waiting"] == 0, 20)
            self.doCleanups()
            self.setUp()


if __name__ == "__main__":
    unittest.main()
