#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The checker of the broker's record: each kind of finding, and its allowed neighbour."""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from broker import check_record  # noqa: E402  pylint: disable=wrong-import-position

NOW = 1_764_000_000_000
DAY = 86_400_000
SETTINGS = {"devices": [
    {"deviceId": "gw", "attributes": [
        {"name": n, "dataType": n} for n in ("number", "boolean", "string", "gps", "blob")]},
    {"deviceId": "any", "gatewayId": "gw"}]}


def publish(payload, device="gw", what="state", **more):
    text = payload if isinstance(payload, str) else json.dumps(payload)
    return {"at": NOW, "event": "publish", "client": "gw", "topic": f"losant/{device}/{what}",
            "payload": text, **more}


class CheckerTest(unittest.TestCase):
    def setUp(self):
        self.checker = check_record.Checker(SETTINGS)

    def kinds(self, payload, **more):
        return [f.kind for f in self.checker.judge(publish(payload, **more))]

    def one(self, value, name="number", **state):
        return self.kinds({"data": {name: value}, **state}, device="any" if name == "n" else "gw")

    def test_states_in_losants_form(self):
        for payload in ({"data": {"number": 1}}, {"data": {}}, [{"data": {"number": 1.5}}],
                        {"data": {"number": 1}, "time": NOW - 1, "meta": {"a": [None]},
                         "flowVersion": "x" * 255},
                        {"data": {}, "time": {"$date": "2025-11-24T16:00:00Z"}},
                        {"data": {}, "time": "2025-11-24T16:00:00.000Z"},
                        {"data": {"A_z-9": True}}):
            self.checker.values.clear()
            device = "any" if "A_z-9" in str(payload) else "gw"
            self.assertEqual(self.kinds(payload, device=device), [], payload)

    def test_states_in_another_form(self):
        for payload in ("", "{", "[]", "1", "[" * 5000, "{}", '{"data":{"number":NaN}}',
                        '{"data":{"number":1,"number":2}}', {"data": {"number": None}},
                        {"data": {"number": [1]}}, {"data": {"number": {}}}, {"data": {"a b": 1}},
                        {"data": {"": 1}}, {"data": {"x" * 256: 1}}, {"data": []},
                        {"data": {}, "time": 1.5}, {"data": {}, "time": {"$date": NOW}},
                        {"data": {}, "extra": 1},
                        {"data": {}, "flowVersion": ""}, {"data": {}, "flowVersion": "x" * 256},
                        {"data": {str(n): n for n in range(257)}}):
            self.assertEqual(set(self.kinds(payload)), {"state"}, payload)
        self.assertEqual(self.kinds({"data": {}}, utf8=False), ["state"])

    def test_what_is_dropped_in_silence(self):
        self.assertEqual(self.one(1, "unknown"), ["attribute"])
        self.assertEqual(self.kinds({"data": {"number": 1}}, device="stranger"), ["attribute"])
        for name, good, bad in (("number", (1, -1.5, "2e3"), ("x", True, "nan")),
                                ("boolean", (True, False), ("yes", 1)),
                                ("string", ("", "x" * 65_536, 1, True), ("x" * 65_537, "é" * 32_769)),
                                ("gps", ("52.1,-4", "0, 0"), ("52.1", 1, "a,b")),
                                ("blob", ("", "YQ=="), ("Y", "%%%%", 1))):
            for value in good:
                self.checker.values.clear()
                self.assertEqual(self.one(value, name), [], (name, str(value)[:20]))
            for value in bad:
                self.checker.values.clear()
                self.assertEqual(self.one(value, name), ["type"], (name, str(value)[:20]))

    def test_the_window_of_time(self):
        for time, kinds in ((NOW - 30 * DAY, []), (NOW - 30 * DAY - 1, ["too-old"]),
                            (NOW + DAY, []), (NOW + DAY + 1, ["too-new"]), (5, ["too-old"]),
                            ("yesterday", ["time"]), ("2025-01-01", ["too-old"])):
            self.assertEqual(self.one(1, time=time), kinds, time)

    def test_order_in_an_array(self):
        states = [{"data": {"number": n}, "time": NOW + n} for n in (1, 2, 4)]
        self.assertEqual(self.kinds(states), [])
        self.assertEqual(self.kinds([states[1], states[0]]), ["order"])

    def test_overwriting(self):
        self.assertEqual(self.one(1, time=NOW), [])
        self.assertEqual(self.one(1, time=NOW), [], "the same again is a repetition")
        self.assertEqual(self.one(True, "boolean", time=NOW), [], "another attribute")
        self.assertEqual(self.one(2, time=NOW + 1), [], "another millisecond")
        self.assertEqual(self.one(2, time=NOW), ["overwrite"])
        self.assertEqual(self.kinds({"data": {"number": 7}, "time": NOW}, device="any"), [])

    def test_commands(self):
        for payload in ({"name": "x"}, {"name": "x", "payload": None, "time": NOW},
                        {"name": "x", "time": 1.5},
                        {"name": "x", "payload": [1], "time": {"$date": "2025-11-24T16:00:00Z"}}):
            self.assertEqual(self.kinds(payload, what="command"), [], payload)
        for payload in ("{", {}, [], {"name": ""}, {"name": "x" * 256}, {"name": 1},
                        {"name": "x", "extra": 1}, {"name": "x", "time": {"$date": 1}}):
            self.assertEqual(self.kinds(payload, what="command"), ["command"], payload)

    def test_what_the_broker_has_noted(self):
        for event in ("breach", "refuse"):
            line = {"event": event, "client": "gw", "kind": "some", "words": "why"}
            self.assertEqual(self.checker.judge(line), [("some", "gw", "why")])
        for line in ({"event": "connect", "client": "gw"}, publish("free", what="x"),
                     {**publish("free"), "topic": "answers/a"}):
            self.assertEqual(self.checker.judge(line), [])


class ProgramTest(unittest.TestCase):
    def run_on(self, lines, *arguments):
        with tempfile.TemporaryDirectory() as folder:
            record, settings = pathlib.Path(folder, "record"), pathlib.Path(folder, "settings")
            record.write_text(lines, encoding="utf-8")
            settings.write_text(json.dumps({**SETTINGS, "record": str(record)}), encoding="utf-8")
            done = subprocess.run([sys.executable, check_record.__file__, settings, *arguments],
                                  capture_output=True, text=True, check=False)
            return done.returncode, done.stdout + done.stderr

    def test_the_program(self):
        bad = json.dumps(publish({"data": {"unknown": 1}})) + "\n"
        self.assertEqual(self.run_on(bad),
                         (1, "attribute: gw: gw: it has no attribute 'unknown': dropped\n"))
        self.assertEqual(self.run_on(bad, "--allow", "attribute"), (0, ""))
        self.assertEqual(self.run_on(bad, "--allow", "order")[0], 1)
        self.assertEqual(self.run_on(json.dumps(publish({"data": {}})) + '\n{"half a li'), (0, ""))
        self.assertEqual(self.run_on("")[0], 1, "nothing recorded is no proof")


if __name__ == "__main__":
    unittest.main()
