# SPDX-License-Identifier: Apache-2.0
"""What can be seen of a site, and done about it, by someone who has nothing but the cloud.
"""
import json
import os
import pathlib
import shutil
import signal
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from fakes import field, losant  # noqa: E402  pylint: disable=wrong-import-position
from fakes.field import BOILER, GATEWAY, METER, eventually  # noqa: E402
from fakes.site import LosantSiteTest, counter, modbus, sim  # noqa: E402

DEVICES = (
    losant.device(GATEWAY, attributes={}),
    losant.device(BOILER, GATEWAY, {"count": "number"}),
    losant.device(METER, GATEWAY, {"temperature": "number", "pressure": "number",
                                   "count": "number", "running": "boolean"}),
)
ANSWERS = '[commands]\nanswer_topic = "answers/${device_id}"\n'


class HealthTest(LosantSiteTest):
    devices = DEVICES

    def said(self, device, attribute):
        """The latest that was said of a device."""
        values = self.witness.values(device, attribute)
        return values[-1] if values else None

    def wait_for(self, device, attribute, wanted, limit=15):
        test = wanted if callable(wanted) else lambda v: v == wanted
        try:
            eventually(lambda: test(self.said(device, attribute)), limit)
        except AssertionError:
            self.fail(f"{attribute} of {device} is {self.said(device, attribute)!r} after {limit} s")

    def command(self, name, payload=None):
        """The answer to a command to the gateway."""
        def answers():
            return [json.loads(p) for _, t, p in list(self.witness.messages)
                    if t == f"answers/{GATEWAY}"]
        count = len(answers())
        self.broker.publish(f"losant/{GATEWAY}/command",
                            json.dumps({"name": name, "payload": payload}))
        return eventually(lambda: answers()[count:], what=f"an answer to {name}")[0]

    def kill_until_degraded(self, plugin):
        def degraded():
            now = self.agent.plugin(plugin)
            if now["state"] == "up":
                os.kill(now["pid"], signal.SIGKILL)
                eventually(lambda: self.agent.plugin(plugin).get("pid") != now["pid"])
            return now["state"] == "degraded"
        eventually(degraded, 60, f"{plugin} to be given a rest")

    def test_a_dead_plugin_is_seen_from_the_cloud_and_restarted_from_there(self):
        self.start(lambda port: ANSWERS + sim())
        self.wait_for(METER, "fp_online", True)
        self.kill_until_degraded("sim")
        self.wait_for(METER, "fp_online", False)
        self.assertIn("signal 9", self.said(METER, "fp_error"))
        self.wait_for(GATEWAY, "fp_plugins_bad", 1)
        self.assertIn("signal 9", self.said(GATEWAY, "fp_last_error"))
        answer = self.command("fp-restart-plugin", {"plugin": "sim", "id": 1})
        self.assertEqual(answer["status"], "done", answer)
        self.wait_for(METER, "fp_online", True)
        self.assertEqual(self.said(METER, "fp_error"), "")
        self.wait_for(GATEWAY, "fp_plugins_bad", 0)
        # The broker may deliver twice.
        pid = self.agent.plugin("sim")["pid"]
        answer = self.command("fp-restart-plugin", {"plugin": "sim", "id": 1})
        self.assertEqual((answer["status"], answer["reason"]), ("duplicate", "it came before: done"))
        self.assertEqual(self.agent.plugin("sim")["pid"], pid)

    def test_a_running_plugin_is_restarted_too(self):
        self.start(lambda port: ANSWERS + sim())
        pid = self.agent.plugin("sim")["pid"]
        self.assertEqual(self.command("fp-restart-plugin", {"plugin": "sim"})["status"], "done")
        eventually(lambda: self.agent.plugin("sim").get("pid", pid) != pid
                   and self.agent.plugin("sim")["state"] == "up")
        answer = self.command("fp-restart-plugin", {"plugin": "smi"})
        self.assertIn("did you mean 'sim'?", answer["reason"])

    def test_a_silent_sensor_is_seen_from_the_cloud(self):
        self.start(lambda port: modbus(port, rows=counter()) + sim(),
                   do=["count 1 holding 0 2"])
        self.wait_for(BOILER, "fp_online", True)
        self.server.ask("silent 1 on")
        self.wait_for(BOILER, "fp_online", False)
        self.assertTrue(self.said(BOILER, "fp_error").startswith("plc: "))
        self.assertTrue(self.said(METER, "fp_online"))
        self.server.ask("silent 1 off")
        self.wait_for(BOILER, "fp_online", True, 30)

    def test_a_line_of_a_chip_that_was_never_there_is_seen_from_the_cloud(self):
        self.start(lambda port: '''
[[plugin]]
name = "cabinet"
type = "gpio"
device = "boiler"
options.chip = "no-such-chip"
[[plugin.input]]
attribute = "count"
offset = 1
edge = "both"
''')
        self.wait_for(BOILER, "fp_online", False)
        self.assertIn("cabinet: no GPIO chip", self.said(BOILER, "fp_error"))
        self.wait_for(GATEWAY, "fp_plugins_bad", 1)

    def test_an_outage_keeps_what_changed_in_it(self):
        self.start(lambda port: modbus(port, rows=counter()), do=["count 1 holding 0 2"])
        self.wait_for(BOILER, "fp_online", True)
        self.wait_for(GATEWAY, "fp_version", lambda v: v)
        self.broker.stop()
        self.server.ask("silent 1 on")
        silent = lambda: self.agent.plugin("plc")["units"][0]  # noqa: E731
        eventually(lambda: silent()["state"] == "silent" and silent()["since_s"] > 6, 20)
        back_ms = time.time() * 1000
        self.broker.start()
        self.wait_for(BOILER, "fp_online", False)
        first = next(t for _, t, d in self.witness.states(BOILER) if d.get("fp_online") is False)
        self.assertLess(first, back_ms, "it is said when it was, not when the broker came back")
        self.wait_for(GATEWAY, "fp_plugins_bad", 1)

    def test_status_is_reported_when_asked_for(self):
        self.start(lambda port: ANSWERS + sim())
        self.wait_for(GATEWAY, "fp_clock", "synchronised")
        self.wait_for(METER, "fp_online", True)
        count = len(self.witness.values(GATEWAY, "fp_uptime"))
        self.assertEqual(self.command("fp-status")["status"], "done")
        eventually(lambda: len(self.witness.values(GATEWAY, "fp_uptime")) > count, 5)

    def test_the_configuration_is_read_again_when_asked_for(self):
        self.start(lambda port: ANSWERS + sim())
        good = self.agent.config.read_text()
        self.agent.config.write_text(good + "# the same\n")
        self.assertEqual(self.command("fp-reload")["status"], "done")
        eventually(lambda: self.agent.status()["config"]["loads"] == 1)
        self.agent.config.write_text(good + "nonsense\n")
        self.agent.ask({"do": "reload"})
        self.wait_for(GATEWAY, "fp_last_error",
                      "the configuration has errors; see `fieldpost check`")

    def test_switched_off_nothing_is_done_and_it_says_why(self):
        self.start(lambda port: ANSWERS + "status = false\nrestart_plugin = false\nreload = false\n"
                   + sim())
        pid = self.agent.plugin("sim")["pid"]
        for name, payload in (("fp-status", None), ("fp-restart-plugin", {"plugin": "sim"}),
                              ("fp-reload", None)):
            answer = self.command(name, payload)
            self.assertEqual(answer["status"], "rejected")
            self.assertIn("it is switched off: [commands] ", answer["reason"])
        self.wait_for(GATEWAY, "fp_last_error", lambda v: v and "reload = false" in v)
        self.assertEqual(self.agent.plugin("sim")["pid"], pid)
        self.assertEqual(self.agent.status()["config"]["loads"], 0)

    def counted(self):
        """Payloads and bytes of each device this month."""
        now = self.agent.status()["traffic"][0]
        self.assertFalse(now["at_least"])
        return {d["device_id"]: (d["payloads"], d["bytes"]) for d in now["devices"]}

    def arrived(self):
        """The same, as the platform counts."""
        counts = {}
        for line in self.broker.record():
            if line["event"] in ("publish", "deliver") and line["client"] == GATEWAY:
                parts = line["topic"].split("/")
                device = parts[1] if parts[0] == "losant" else GATEWAY
                payloads, size = counts.get(device, (0, 0))
                counts[device] = (payloads + 1, size + line["bytes"])
        return counts

    def test_payloads_are_counted_by_device_and_month_also_over_a_restart(self):
        self.start(lambda port: ANSWERS + sim())
        for turn in range(2):
            self.assertEqual(self.command("fp-status")["status"], "done")
            seen = len(self.witness.values(METER, "count"))
            eventually(lambda: len(self.witness.values(METER, "count")) > seen + 15)
            self.agent.end()
            arrived = self.arrived()
            if turn == 1:  # the machine was switched off in order: what is not on a disk is gone
                shutil.rmtree(self.agent.run_dir)
            self.broker.stop()  # else it would count on while it is compared
            self.agent = self.field.agent().wait_until_up()
            self.assertEqual(self.counted(), arrived)
            self.broker.start()
            eventually(lambda: self.agent.status()["uplink"]["state"] == "connected")

    def test_a_power_cut_is_told_of_in_the_counts(self):
        self.start(lambda port: sim())
        eventually(lambda: len(self.witness.values(METER, "count")) > 15)
        self.agent.end()
        agent = self.field.agent().wait_until_up()
        eventually(lambda: agent.status()["uplink"]["published"] > 2)
        agent.end(signal.SIGKILL)
        shutil.rmtree(agent.run_dir)
        agent = self.field.agent().wait_until_up()
        self.assertTrue(agent.status()["traffic"][0]["at_least"])
        self.assertRegex(agent.cli("status").stdout, r"traffic   [0-9]{4}-[0-9]{2}: at least [0-9]+")

    def test_health_can_be_switched_off(self):
        self.start(lambda port: ANSWERS + "[health]\nenabled = false\n" + sim())
        eventually(lambda: len(self.witness.values(METER, "count")) > 60, 20)
        self.assertIn("[health] enabled = false", self.command("fp-status")["reason"])
        own = [m for m in list(self.witness.messages) if "fp_" in m[2]]
        self.assertEqual(own, [])
        self.assertEqual(json.loads(field.cli("attributes", self.agent.config, "--json").stdout)[0]
                         ["attributes"], [])

    def test_what_is_to_be_declared_is_what_is_sent(self):
        self.start(lambda port: sim())
        self.wait_for(METER, "fp_online", True)
        self.wait_for(GATEWAY, "fp_version", lambda v: v)
        declared = {d["deviceId"]: {a["name"]: a["dataType"] for a in d["attributes"]} for d in
                    json.loads(field.cli("attributes", self.agent.config, "--json").stdout)}
        self.assertEqual(declared[GATEWAY], losant.OF_GATEWAY)
        self.assertEqual(declared[BOILER], {}, "nobody serves it")
        self.assertEqual({n: t for n, t in declared[METER].items() if n.startswith("fp_")},
                         losant.OF_PERIPHERAL)
        sent = {n for _, _, data in self.witness.states(GATEWAY) for n in data}
        self.assertEqual(set(losant.OF_GATEWAY) - sent - {"fp_disk_day"}, set())


if __name__ == "__main__":
    unittest.main()
