# SPDX-License-Identifier: Apache-2.0
"""Topics of one's own: readings that leave on them, and messages that become commands.
"""
import json
import pathlib
import re
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from fakes import field, losant  # noqa: E402  pylint: disable=wrong-import-position
from fakes.field import BOILER, GATEWAY, METER, SOURCE, eventually  # noqa: E402
from fakes.site import CLOCK, HEAD, LosantSiteTest, modbus  # noqa: E402

DEVICES = (
    losant.device(GATEWAY, attributes={}),
    losant.device(BOILER, GATEWAY, {"count": "number", "setpoint": "number"}),
    losant.device(METER, GATEWAY, {"note": "string"}),
)
ROWS = """
[[plugin.register]]
attribute = "count"
table = "holding"
address = 0
type = "uint32"
[[plugin.register]]
attribute = "setpoint"
table = "holding"
address = 10
type = "int16"
scale = 0.1
command = "set-point"
write_min = 0
write_max = 90
"""
ANSWERS = '[commands]\nanswer_topic = "answers/${device_id}"\n'


def publish(name="bus", topic="site/${device}/${attribute}", more='attributes = "count"\n'):
    return f'[[publish]]\nname = "{name}"\ntopic = "{topic}"\n{more}'


def subscribe(topic="site/set/+", more=""):
    return (f'[[subscribe]]\ntopic = "{topic}"\ndevice = "boiler"\ncommand = "set-point"\n{more}')


class CustomTest(LosantSiteTest):
    devices = DEVICES
    topics = ("answers/#", "site/#")

    def start_with(self, *entries, interval="1s"):
        self.entries = lambda port, *e: ANSWERS + modbus(port, rows=ROWS, interval=interval) + "".join(e)
        self.start(lambda port: self.entries(port, *entries), do=["count 1 holding 0 2"])

    def reload(self, *entries):
        """With other [[publish]] and [[subscribe]]."""
        text = self.agent.config.read_text()
        self.agent.config.write_text(re.split(r"(?m)^\[\[(?:publish|subscribe)\]\]", text)[0]
                                     + "".join(entries))
        reloaded = self.agent.cli("reload")
        self.assertEqual(reloaded.returncode, 0, reloaded.stderr)

    def payloads(self, topic):
        return [p for _, t, p in list(self.witness.messages) if t == topic]

    def wait_for(self, topic, count=1):
        return eventually(lambda: len(self.payloads(topic)) >= count and self.payloads(topic), 20,
                          f"{count} messages on {topic}")

    def answer_to(self, topic, payload, retain=False):
        count = len(self.payloads(f"answers/{BOILER}"))
        user, password = field.PLATFORM
        subprocess.run([field.program("mosquitto_pub"), "-h", "127.0.0.1", "-p", str(self.broker.port),
                        "-u", user, "-P", password, "-t", topic, "-m", payload,
                        *(["-r"] if retain else [])], check=True, timeout=30)
        return json.loads(self.wait_for(f"answers/{BOILER}", count + 1)[count])

    # ---- Out.

    def test_each_reading_is_a_message_beside_its_state(self):
        self.start_with(publish(more='attributes = "count"\nformat = "json"\n'
                                'payload = \'{"v":${value},"t":${time}}\'\n'))
        messages = [json.loads(p) for p in self.wait_for("site/boiler/count", 3)]
        values = [m["v"] for m in messages]
        self.assertEqual(values, list(range(values[0], values[0] + len(values))), "each, in order")
        eventually(lambda: values[-1] in self.delivered(), what="the same as state")
        by_value = {d["count"]: t for _, t, d in self.witness.states(BOILER) if "count" in d}
        self.assertEqual(by_value[values[-1]], messages[-1]["t"], "at the same time")
        self.assertEqual(self.payloads("site/boiler/setpoint"), [], "it was not asked for")
        self.assertEqual([t for _, t, _ in self.witness.messages if t.startswith("site/gateway")], [],
                         "what the agent says of itself stays with the platform")

    def test_it_is_the_same_with_the_disk_first_and_in_one_lane(self):
        self.start_with('[outbox]\ndurability = "disk"\n', publish())
        text = self.agent.config.read_text()
        self.agent.end()
        self.agent.config.write_text(text.replace("[uplink]\n", '[uplink]\norder = "oldest-first"\n'))
        self.agent = self.field.agent().wait_until_up()
        count = len(self.payloads("site/boiler/count"))
        values = [int(p) for p in self.wait_for("site/boiler/count", count + 4)[count:]]
        self.assertEqual(sorted(set(values)), list(range(min(values), max(values) + 1)))
        eventually(lambda: values[-1] in self.delivered(), what="the same as state")

    def test_what_is_sent_by_hand_leaves_too_and_text_becomes_text_or_json(self):
        self.start_with(publish("t", "site/t/${device}", 'device = "meter"\n'),
                        publish("j", "site/j", 'device = "meter"\nformat = "json"\nqos = 0\n'))
        note = 'say "hé"/#+'
        answer = self.agent.ask({"do": "send", "device": "meter", "data": {"note": note}})
        self.assertTrue(answer["ok"], answer)
        self.assertEqual(self.wait_for("site/t/meter"), [note])
        self.assertEqual(json.loads(self.wait_for("site/j")[0]), note)

    def test_an_outage_and_a_restart_keep_what_was_not_delivered(self):
        entries = publish("first", "site/first"), publish()
        self.start_with(*entries)
        self.wait_for("site/boiler/count", 1)
        self.broker.stop()
        self.server.ask("get 1 holding 0 2")
        down = self.read_so_far()
        eventually(lambda: self.read_so_far() > down + 7, 20, "some polls, and a flush")
        shown = self.agent.cli("outbox", "status").stdout
        self.assertIn("publish bus (boiler)\n", shown)
        self.assertNotIn("publish:", shown)
        self.agent.end()
        # Entries may change places; what waits goes by its name.
        text = self.agent.config.read_text()
        self.agent.config.write_text(text.replace("".join(entries), "".join(reversed(entries))))
        self.broker.start()
        self.agent = self.field.agent().wait_until_up()
        eventually(lambda: self.delivered() and self.delivered()[-1] > down + 8, 20)
        eventually(lambda: any(int(p) > down + 8 for p in self.payloads("site/boiler/count")), 30)
        for topic in ("site/boiler/count", "site/first"):
            seen = sorted({int(p) for p in self.payloads(topic)})
            missing = set(range(seen[0], down + 8)) - set(seen)
            # The poll that the restart cut short may be one that nobody has.
            self.assertEqual(missing - (set(range(seen[0], down + 8)) - {int(v) for v in self.delivered()}),
                             set(), f"on {topic}")

    def test_what_an_entry_leaves_behind_is_dropped_and_blocks_nothing(self):
        self.start_with(publish("old", "site/old"))
        self.wait_for("site/old")
        self.broker.stop()
        waiting = lambda: self.agent.status()["outbox"]  # noqa: E731
        eventually(lambda: waiting()["rows"] >= 2, 20, "rows of both")
        self.agent.end()
        count = len(self.payloads("site/old"))
        text = self.agent.config.read_text()
        self.agent.config.write_text(text.replace('"old"', '"new"').replace("site/old", "site/new"))
        self.broker.start()
        self.agent = self.field.agent().wait_until_up()
        self.wait_for("site/new", 2)
        eventually(lambda: self.agent.status()["custom"]["dropped"] > 0)
        eventually(lambda: waiting()["waiting"] < 6, 20, "an empty outbox")
        self.assertEqual(len(self.payloads("site/old")), count)
        self.assertIn("readings dropped, whose [[publish]] is gone", self.agent.cli("status").stdout)
        eventually(lambda: "[[publish]] is not in the configuration" in self.agent.text())
        self.assertIn("publish old (boiler)", self.agent.text())

    def test_a_reload_brings_and_takes_entries_without_a_restart(self):
        self.start_with()
        eventually(self.delivered)
        pid = self.agent.plugin("plc")["pid"]
        self.reload(publish(), subscribe())
        self.wait_for("site/boiler/count")
        self.assertEqual(self.answer_to("site/set/a", "21.5")["status"], "done")
        self.reload()
        count = len(self.payloads("site/boiler/count"))
        seen = len(self.delivered())
        eventually(lambda: len(self.delivered()) > seen + 3)
        self.assertLessEqual(len(self.payloads("site/boiler/count")), count + 2)
        status = self.agent.status()
        self.assertEqual(status["uplink"]["connections"], 1)
        self.assertEqual(self.agent.plugin("plc")["pid"], pid)

    def test_copies_are_no_devices_to_anybody_else(self):
        self.start_with(publish())
        self.wait_for("site/boiler/count", 2)
        status = self.agent.status()
        self.assertEqual({d["device_id"] for d in status["traffic"][0]["devices"]}, {GATEWAY, BOILER})
        self.assertLessEqual(status["uplink"]["live_devices"], 2)
        declared = json.loads(field.cli("attributes", self.agent.config, "--json").stdout)
        self.assertEqual([d["deviceId"] for d in declared], [GATEWAY, BOILER, METER])
        self.assertTrue(all(t.startswith(("losant/", "site/", "witness/"))
                            for _, t, _ in self.witness.messages))

    def test_a_topic_that_is_not_allowed_is_set_aside_and_named(self):
        self.start_with(publish("bad", "elsewhere/x"), publish())
        self.broker.allow.add("topic")
        eventually(lambda: self.agent.status()["uplink"].get("set_aside"), 60, "the topic to be found")
        self.assertEqual([s["topic"] for s in self.agent.status()["uplink"]["set_aside"]],
                         ["elsewhere/x"])
        count = len(self.payloads("site/boiler/count"))
        self.wait_for("site/boiler/count", count + 3)

    # ---- In.

    def test_a_message_becomes_a_command_and_is_answered_like_one(self):
        self.start_with(subscribe(), subscribe("site/json", 'arguments = { value = "/a/0" }\n'),
                        subscribe("site/word", 'map = { "low" = 40, "high" = 60 }\n'))
        eventually(lambda: self.broker.record("subscribe", topic="site/word"))
        for topic, payload, register in (("site/set/a", "21.5", "215"),
                                         ("site/json", '{"a":[22.5]}', "225"),
                                         ("site/word", "high", "600")):
            answer = self.answer_to(topic, payload)
            self.assertEqual((answer["status"], answer["command"]), ("done", "set-point"), answer)
            self.assertEqual(self.server.ask("get 1 holding 10 1"), register)
        answer = self.answer_to("site/set/a", "91")
        self.assertEqual(answer["status"], "rejected")
        self.assertIn("argument 'value'", answer["reason"])

    def test_what_is_no_command_is_counted_and_said_in_few_lines(self):
        self.start_with(subscribe())
        eventually(lambda: self.broker.record("subscribe", topic="site/set/+"))
        user, password = field.PLATFORM
        for topic in ("site/set/a", "site/set/b"):  # each as fast as the broker lets one be
            subprocess.run([field.program("mosquitto_pub"), "-h", "127.0.0.1", "-p",
                            str(self.broker.port), "-u", user, "-P", password, "-t", topic, "-l"],
                           input="warm\n" * 25, text=True, check=True, timeout=30)
        eventually(lambda: self.agent.status()["custom"]["misfits"] == 50)
        self.assertEqual(self.agent.status()["commands"]["received"], 0)

        def said():
            text = self.agent.text()
            more = sum(map(int, re.findall(r"more messages are no commands FP_COUNT=(\d+)", text)))
            each = [line for line in text.splitlines() if "a message is no command" in line]
            return len(each) + more == 50 and each
        lines = eventually(said)
        self.assertLess(len(lines), 35)
        self.assertIn('expected a number, true or false, got "warm"', lines[0])
        self.assertIn("50 of them no command", self.agent.cli("status").stdout)
        self.assertEqual(self.answer_to("site/set/a", "20")["status"], "done", "it goes on")

    def test_a_retained_message_is_not_carried_out(self):
        self.start_with(subscribe())
        eventually(lambda: self.broker.record("subscribe", topic="site/set/+"))
        # Live it is an order like any other; at the next connection it is an old one.
        self.assertEqual(self.answer_to("site/set/a", "33", retain=True)["status"], "done")
        self.agent.end()
        self.server.ask("set 1 holding 10 444")
        self.agent = self.field.agent().wait_until_up()
        eventually(lambda: self.agent.status()["custom"]["retained"] == 1)
        self.assertEqual(self.agent.status()["commands"]["received"], 0)
        self.assertEqual(self.server.ask("get 1 holding 10 1"), "444")
        self.assertIn("retained messages are ignored", self.agent.text())

    def test_a_refused_subscription_is_named(self):
        self.start_with(subscribe("elsewhere/x"))
        self.broker.allow.add("subscription")
        eventually(lambda: self.agent.status()["uplink"]["refused_topics"] == ["elsewhere/x"])
        self.assertIn("elsewhere/x", self.agent.cli("status").stdout)

    # ---- The manual.

    def test_the_examples_of_the_manual_are_right(self):
        text = (SOURCE / "docs/custom-topics.md").read_text()
        blocks = re.findall(r"(?ms)^```toml\n(.*?)^```", text)
        self.assertGreaterEqual(len(blocks), 3)
        config = self.field.folder / "manual.toml"
        config.write_text(HEAD + CLOCK + modbus(502, rows=ROWS, interval="10s") + "".join(blocks))
        checked = field.cli("check", config)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)
        self.assertNotIn("publish", checked.stdout + checked.stderr)
        self.assertNotIn("subscribe", checked.stdout + checked.stderr)


if __name__ == "__main__":
    unittest.main()
