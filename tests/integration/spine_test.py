# SPDX-License-Identifier: Apache-2.0
"""The agent as its users run it, between a Modbus server and a broker that nobody here wrote.

Registers that count their own reads make every reading unique: a value that is missing at the
witness was lost, a value that comes twice was sent twice.
"""
import json
import os
import pathlib
import signal
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from fakes import field, losant  # noqa: E402  pylint: disable=wrong-import-position
from fakes.field import BOILER, GATEWAY, METER, eventually  # noqa: E402
from fakes.site import (  # noqa: E402
    CLOCK, DEVICES, HEAD, LosantSiteTest, counter, missing, missing_but_for_kills, modbus, sim)


class SpineTest(LosantSiteTest):
    devices = DEVICES

    # ---- Nothing is lost.

    def test_a_broker_stop_loses_nothing_and_drains_at_once(self):
        self.start(lambda port: 'order = "oldest-first"\n' + modbus(port, rows=counter()), do=["count 1 holding 0 2"])
        eventually(lambda: len(self.delivered()) > 5)
        self.broker.stop()
        stopped, since = self.read_so_far(), time.monotonic()
        outage = 60 if field.LONG else 8
        eventually(lambda: time.monotonic() - since >= outage
                   and self.read_so_far() >= stopped + outage * 10 * 0.8, 2 * outage + 10,
                   "polling on during the outage")
        polled = self.read_so_far() - stopped
        eventually(lambda: self.agent.status()["outbox"]["waiting"] >= polled - 3)
        self.broker.start()
        back = time.monotonic()
        target = self.read_so_far()
        eventually(lambda: target in self.delivered(), 15, "delivery of the backlog")

        after = [(t, d["count"]) for t, _, d in self.witness.states(BOILER)
                 if t >= back and "count" in d]
        self.assertLessEqual(after[0][0] - back, 3.0, "reconnected within 3 s")
        drained = next(t for t, v in after if v >= target)
        self.assertLess(drained - after[0][0], 1.0, "drained within 1 s")
        values = self.delivered()
        self.assertEqual(missing(values), [])
        self.assertEqual(int(min(values)), 1, "the first reading came too")
        self.assertEqual(values, sorted(values), "in the order of capture")
        self.assertEqual(self.agent.status()["outbox"]["lost"], 0)

    def test_kill_9_during_an_outage_loses_only_the_last_100_ms(self):
        self.start(lambda port: modbus(port, rows=counter()), do=["count 1 holding 0 2"])
        eventually(lambda: len(self.delivered()) > 3)
        self.broker.stop()
        before = self.read_so_far()
        eventually(lambda: self.read_so_far() > before + 20)
        self.agent.end(signal.SIGKILL)
        killed = self.read_so_far()
        agent = self.field.agent()
        agent.wait_until_up()
        eventually(lambda: self.read_so_far() > killed + 20)
        self.broker.start()
        target = self.read_so_far()
        eventually(lambda: target in self.delivered(), 15)
        self.assertEqual(int(min(self.delivered())), 1, "the first reading came too")
        self.assertEqual(missing_but_for_kills(self.delivered(), [killed]), [], killed)

    def test_a_stop_with_dead_devices_and_a_dead_broker_takes_3_s_and_keeps_everything(self):
        self.start(lambda port: modbus(port, rows=counter()), do=["count 1 holding 0 2"])
        eventually(lambda: len(self.delivered()) > 3)
        self.broker.process.child.send_signal(signal.SIGSTOP)  # a broker that answers no more
        self.addCleanup(self.broker.process.child.send_signal, signal.SIGCONT)
        seen = self.read_so_far()
        eventually(lambda: self.read_so_far() > seen + 10)
        self.server.ask("silent 1 on")  # and a device that does not
        reads = self.read_so_far()
        began = time.monotonic()
        self.assertEqual(self.agent.end(signal.SIGTERM, limit=10), 0, self.agent.text())
        self.assertLess(time.monotonic() - began, 3.0)
        self.broker.process.child.send_signal(signal.SIGCONT)
        self.server.ask("silent 1 off")
        self.field.agent().wait_until_up()
        eventually(lambda: self.read_so_far() in self.delivered() or self.delivered()[-1] > reads, 15)
        self.assertLessEqual(len(missing(self.delivered())), 1)  # the request that was in the air

    # ---- One that the broker does not know harms nobody else.

    def test_a_wrong_peripheral_is_set_aside_named_and_delivered_when_it_is_let_in(self):
        wrong = METER[:-1] + ("0" if METER[-1] != "0" else "1")
        self.broker = losant.losant_broker(self.field, devices=DEVICES, allow=("topic", "subscription"))
        self.witness = self.field.witness(self.broker)
        self.server = self.field.modbus(do=["count 1 holding 0 2"])
        head = HEAD.replace(METER, wrong)
        self.agent = self.field.agent(head + CLOCK + self.broker.uplink() + 'backoff_max = "1s"\n'
                                      + modbus(self.server.port, rows=counter(), interval="1s") + sim())
        self.agent.wait_until_up()
        aside = eventually(lambda: self.agent.status()["uplink"].get("set_aside"), 30)
        self.assertEqual([a["topic"] for a in aside], [f"losant/{wrong}/state"])
        self.assertGreater(aside[0]["retry_s"], 14 * 60)
        self.assertIn(f"losant/{wrong}/state: its readings wait", self.agent.cli("status").stdout)
        eventually(lambda: self.agent.status()["uplink"]["refused_topics"] == [f"losant/{wrong}/command"])
        eventually(lambda: any(wrong in v for v in self.witness.values(GATEWAY, "fp_last_error")),
                   15, "the cloud to be told")
        connections = len(self.broker.record("connect"))
        mark, mark_ms = self.read_so_far(), time.time() * 1000
        eventually(lambda: self.delivered() and self.delivered()[-1] > mark + 5, 15, "the others")
        self.assertEqual(len(self.broker.record("connect")), connections, "and stays connected")
        self.assertEqual(missing(self.delivered()), [])
        self.assertEqual(self.agent.status()["outbox"]["lost"], 0)
        self.assertGreater(self.agent.status()["outbox"]["waiting"], 0)
        # Somebody adds the device, and does not want to wait.
        self.broker.stop()
        self.broker.add_device(losant.device(wrong, GATEWAY))
        self.broker.start()
        self.agent.wait_until_up()
        self.agent.cli("reconnect")
        eventually(lambda: self.witness.states(wrong), 15, "what waited")
        eventually(lambda: self.agent.status()["outbox"]["waiting"] < 50, 15)
        eventually(lambda: self.agent.status()["uplink"]["refused_topics"] == [])
        times = [ms for _, ms, _ in self.witness.states(wrong)]
        self.assertLess(min(times), mark_ms, "from before it was found out")

    # ---- No plugin takes others down.

    def test_a_killed_host_is_back_in_2_s_and_the_others_miss_no_poll(self):
        self.start(lambda port: modbus(port, rows=counter()) + sim(), do=["count 1 holding 0 2"])
        eventually(lambda: len(self.delivered()) > 3)
        victim = self.agent.plugin("sim")["pid"]
        os.kill(victim, signal.SIGKILL)
        began = time.monotonic()
        eventually(lambda: self.agent.plugin("sim").get("pid", victim) != victim
                   and self.agent.plugin("sim")["state"] == "up", 10)
        self.assertLess(time.monotonic() - began, 2.0)
        mark = self.read_so_far()
        eventually(lambda: self.delivered() and self.delivered()[-1] > mark)
        values = self.delivered()
        self.assertEqual(missing(values), [])
        times = [t for _, t, _ in self.witness.states(BOILER)]
        self.assertLess(max(b - a for a, b in zip(times, times[1:])), 200, "polls were missed")
        self.assertIn("signal 9", self.agent.text())

    def test_a_hung_host_is_replaced_after_its_deadline(self):
        self.start(lambda port: modbus(port, rows=counter()) + sim(
            options='deadline = "1s"\noptions.fault = "hang"\noptions.fault_after = "500ms"\n'),
            do=["count 1 holding 0 2"])
        eventually(lambda: "hung" in self.agent.text(), 10, "a word about the hang")
        eventually(lambda: self.agent.plugin("sim")["restarts"] >= 1, 10)
        mark = self.read_so_far()
        eventually(lambda: self.delivered() and self.delivered()[-1] > mark)
        self.assertEqual(missing(self.delivered()), [])

    def test_a_silent_unit_does_not_slow_its_neighbour(self):
        rows = "".join(
            f'[[plugin.unit]]\naddress = {u}\nname = "unit{u}"\ndevice = "{d}"\n'
            + counter(table="plugin.unit.register") for u, d in ((1, "boiler"), (2, "meter")))
        self.start(lambda port: modbus(port, rows=rows, options='options.timeout = "200ms"').replace(
            'options.timeout = "500ms"\n', ""),
            units="1,2", do=["count 1 holding 0 2", "count 2 holding 0 2"])
        eventually(lambda: len(self.delivered(BOILER)) > 5 and len(self.delivered(METER)) > 5)
        self.server.ask("silent 2 on")
        before, began = self.read_so_far(1), time.monotonic()
        seconds = 40 if field.LONG else 10
        eventually(lambda: time.monotonic() - began > seconds, seconds + 5)
        rate = (self.read_so_far(1) - before) / (time.monotonic() - began)
        self.assertGreater(rate, 0.8 * 10, "the neighbour's rate, of 10 a second")
        units = {u["name"]: u for u in self.agent.plugin("plc")["units"]}
        self.assertEqual(units["unit1"]["state"], "good")
        self.assertEqual(units["unit2"]["state"], "silent")
        self.server.ask("silent 2 off")
        seen = len(self.delivered(METER))
        eventually(lambda: len(self.delivered(METER)) > seen + 5, 70, "the unit's return")

    def test_a_bad_register_does_not_take_its_neighbours_down(self):
        rows = counter() + counter("neighbour", 2) + counter("other", 4)
        self.start(lambda port: modbus(port, rows=rows),
                   do=["count 1 holding 0 2", "except 1 holding 2 2", "count 1 holding 4 2"])
        eventually(lambda: len(self.delivered()) > 5 and len(self.delivered(attribute="other")) > 5)
        self.assertEqual(self.delivered(attribute="neighbour"), [], "never a 0 in place of an error")
        bad = next(a for a in self.agent.plugin("plc")["attributes"] if a["name"] == "neighbour")
        self.assertEqual(bad["quality"], "comm-error")
        for word in ("unit 1", "holding 2", "exception 2"):
            self.assertIn(word, bad["detail"])

    # ---- Commands.

    def command_setup(self):
        rows = ('[[plugin.register]]\nattribute = "setpoint"\ntable = "holding"\naddress = 10\n'
                'type = "int16"\nscale = 0.1\ncommand = "set-point"\nwrite_min = 0\nwrite_max = 90\n')
        self.start(lambda port: '[commands]\nanswer_topic = "answers/${device_id}"\n'
                   + modbus(port, rows=rows))
        eventually(lambda: self.agent.status()["uplink"]["state"] == "connected")

    def answers(self):
        return [json.loads(p) for _, t, p in list(self.witness.messages) if t == f"answers/{BOILER}"]

    def send_command(self, payload):
        count = len(self.answers())
        self.broker.publish(f"losant/{BOILER}/command", payload)
        return eventually(lambda: self.answers()[count:], what=f"an answer to {str(payload)[:80]}")[0]

    def test_a_command_changes_a_register_and_is_answered_with_what_it_reads_back(self):
        self.command_setup()
        answer = self.send_command(
            json.dumps({"name": "set-point", "payload": {"id": 7, "value": 21.5}}))
        self.assertEqual((answer["status"], answer["value"], answer["id"]), ("done", 21.5, 7), answer)
        self.assertEqual(self.server.ask("get 1 holding 10"), "215")
        eventually(lambda: 21.5 in self.delivered(attribute="setpoint"))

    def test_bad_commands_are_answered_and_break_nothing(self):
        self.command_setup()
        self.broker.allow.add("command")
        connections = self.agent.status()["uplink"]["connections"]
        for payload, status, words in (
                ("{", "rejected", "JSON"), ("[]", "rejected", "object"), ("{}", "rejected", "name"),
                ('{"name":"set-pint"}', "rejected", "set-point"),
                ('{"name":"set-point"}', "rejected", "value"),
                ('{"name":"set-point","payload":{"value":91}}', "rejected", "90"),
                ('{"name":"set-point","payload":{"value":"x"}}', "rejected", "number"),
                ('{"name":"set-point","payload":{"valeu":1}}', "rejected", "valeu"),
                ("[" * 5000, "rejected", ""), (b"\xff\xfe", "rejected", ""),
                (json.dumps({"name": "set-point", "payload": "x" * 900_000}), "rejected", "262144")):
            answer = self.send_command(payload)
            self.assertEqual(answer["status"], status, answer)
            self.assertIn(words, answer["reason"])
        self.assertEqual(self.send_command('{"name":"set-point","payload":5}')["status"], "done")
        self.assertEqual(self.agent.status()["uplink"]["connections"], connections)


if __name__ == "__main__":
    unittest.main()
