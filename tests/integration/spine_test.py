# SPDX-License-Identifier: Apache-2.0
"""The agent as its users run it, between a Modbus server and a broker that nobody here wrote.

Registers that count their own reads make every reading unique: a value that is missing at the
witness was lost, a value that comes twice was sent twice.
"""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from fakes import field, losant  # noqa: E402  pylint: disable=wrong-import-position
from fakes.field import BOILER, GATEWAY, METER, eventually  # noqa: E402
from fakes.site import CLOCK, HEAD, LosantSiteTest, SiteTest, counter, gaps, modbus, sim, uplink  # noqa: E402

# What the tests below read, send or have made up by the sim plugin.
DEVICES = (
    losant.device(GATEWAY, attributes={}),
    losant.device(BOILER, GATEWAY, {n: "number" for n in ("count", "neighbour", "other", "setpoint")}),
    losant.device(METER, GATEWAY, {
        "temperature": "number", "pressure": "number", "count": "number", "running": "boolean",
        "level": "number", "open": "boolean", "name": "string", "n": "number"}),
)


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
        self.assertEqual(gaps(values), 0)
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
        values = {int(v) for v in self.delivered()}
        missing = set(range(1, target)) - values
        # 100 ms are two polls at 10 Hz, and one may have been read but not handed over.
        self.assertLessEqual(len(missing), 3, missing)
        self.assertTrue(all(killed - 3 < m <= killed + 1 for m in missing), (missing, killed))

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
        self.assertLessEqual(gaps(self.delivered()), 1)  # the request that was in the air

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
        self.assertEqual(gaps(self.delivered()), 0)
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
        self.assertEqual(gaps(values), 0)
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
        self.assertEqual(gaps(self.delivered()), 0)

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

    # ---- Configuration.

    def test_a_typo_does_not_brick_a_site(self):
        self.start(lambda port: modbus(port, rows=counter()), do=["count 1 holding 0 2"])
        eventually(lambda: len(self.delivered()) > 3)
        self.agent.end()
        broken = self.agent.config.read_text().replace("interval", "intervall")
        agent = self.field.agent(broken).wait_until_up()
        self.assertIn("unknown key; did you mean 'interval'?", agent.status()["config"]["trouble"])
        self.assertIn("last configuration that worked", agent.status()["config"]["trouble"])
        seen = len(self.delivered())
        eventually(lambda: len(self.delivered()) > seen + 5)
        agent.end()
        strict = self.field.agent(args=["--strict"])
        self.assertEqual(strict.child.wait(20), 78)
        check = field.cli("check", agent.config)
        self.assertEqual(check.returncode, 78)
        self.assertRegex(check.stderr, r"fieldpost.toml:\d+:\d+: plugin.intervall: unknown key")
        self.assertIn("fieldpost: 1 error: this configuration will not be used", check.stderr)

    def test_the_command_line_tells_what_it_was_not_given(self):
        config = self.field.folder / "f.toml"
        config.write_text(HEAD + sim())
        empty = self.field.folder / "empty"
        empty.mkdir()
        plugins = field.cli("plugins", "--plugin-dir", empty)
        self.assertEqual((plugins.returncode, plugins.stderr),
                         (1, f"fieldpost: no plugins in '{empty}' (--plugin-dir)\n"))
        check = field.cli("check", config, "--plugin-dir", empty)
        self.assertEqual(check.returncode, 78)
        self.assertIn("can be used, but not what is named above", check.stderr)
        self.assertEqual(field.cli("help", "check").stdout, field.cli("check", "--help").stdout)
        self.assertIn("expected a command before '--config'",
                      field.cli("--config", config, "check").stderr)

    def test_attributes_have_the_form_of_losants_devices(self):
        config = self.field.folder / "f.toml"
        config.write_text(HEAD + sim())
        gateway, boiler, meter = json.loads(field.cli("attributes", config, "--json").stdout)
        self.assertEqual((gateway["deviceId"], gateway["deviceClass"]), (GATEWAY, "gateway"))
        self.assertEqual((meter["deviceClass"], meter["gatewayId"]), ("peripheral", GATEWAY))
        self.assertEqual(boiler["attributes"], [])
        self.assertEqual({a["name"]: a["dataType"] for a in meter["attributes"]},
                         {"temperature": "number", "pressure": "number", "count": "number",
                          "running": "boolean", **losant.OF_PERIPHERAL})

    def test_an_invalid_first_configuration_ends_with_78_and_starts_nothing(self):
        agent = self.field.agent(HEAD.replace("name", "nmae") + uplink(1))
        self.assertEqual(agent.child.wait(20), 78)
        self.assertEqual(list((self.field.folder / "state").iterdir()), [])

    def test_a_service_without_a_usable_configuration_waits_for_one(self):
        notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(notified.close)
        notified.settimeout(20)
        notified.bind(str(self.field.folder / "notify"))

        def run_without():
            return self.field.agent(HEAD.replace("name", "nmae") + uplink(1),
                                    env={"NOTIFY_SOCKET": str(self.field.folder / "notify")})

        def expect(text):
            while text not in (said := notified.recv(65536).decode()):
                self.assertIsNone(agent.child.poll())
            return said
        agent = run_without()
        said = expect("waits for a usable configuration")
        self.assertIn("READY=1", said)
        self.assertIn("device.name: missing", said)
        expect("WATCHDOG=1")
        agent.child.terminate()
        self.assertEqual(agent.child.wait(5), 0)
        agent = run_without()
        expect("waits for a usable configuration")
        agent.child.send_signal(signal.SIGHUP)
        expect("waits for a usable configuration")
        agent.config.write_text(HEAD + uplink(1))
        agent.wait_until_up()

    def test_a_reload_takes_up_plugins_that_were_installed_or_replaced(self):
        """As after apt has brought a plugin's package: the files of the folder are others now."""
        plugins = self.field.folder / "plugins"
        plugins.mkdir()

        def install(name):  # as dpkg does: a new file, renamed over the old one
            shutil.copy2(field.BUILD / f"plugins/{name}.so", plugins / "new")
            os.rename(plugins / "new", plugins / f"{name}.so")
        install("sim")
        self.broker = self.field.broker()
        self.witness = self.field.witness(self.broker)
        self.server = self.field.modbus(do=["count 1 holding 0 2"])
        self.agent = self.field.agent(HEAD + uplink(self.broker.port) + sim()
                                      + modbus(self.server.port, rows=counter()),
                                      args=["--plugin-dir", plugins])
        self.agent.wait_until_up()
        self.assertIn("'modbus' is not installed", self.agent.plugin("plc")["reason"])
        first = self.agent.plugin("sim")["pid"]
        install("modbus")
        self.assertEqual(self.agent.cli("reload").returncode, 0)
        eventually(lambda: self.agent.plugin("plc")["state"] == "up")
        eventually(lambda: len(self.delivered()) > 3)
        self.assertEqual(self.agent.plugin("sim")["pid"], first, "its file is the same")
        reading = self.agent.plugin("plc")["pid"]
        install("sim")
        self.assertEqual(self.agent.cli("reload").returncode, 0)
        eventually(lambda: self.agent.plugin("sim").get("pid") not in (None, first))
        self.assertEqual(self.agent.plugin("plc")["pid"], reading)
        self.assertEqual(gaps(self.delivered()), 0)
        (plugins / "sim.so").unlink()
        self.assertEqual(self.agent.cli("reload").returncode, 0)
        self.assertIn("'sim' is not installed", self.agent.plugin("sim")["reason"])

    def test_a_reload_restarts_only_what_changed(self):
        self.start(lambda port: modbus(port, rows=counter()) + sim(), do=["count 1 holding 0 2"])
        eventually(lambda: len(self.delivered()) > 3)
        plc, sims = self.agent.plugin("plc")["pid"], self.agent.plugin("sim")["pid"]
        text = self.agent.config.read_text()
        self.agent.config.write_text(text.replace('type = "sim"', 'type = "sim"\ndeadline = "9s"'))
        reloaded = self.agent.cli("reload")
        self.assertEqual(reloaded.returncode, 0, reloaded.stderr)
        eventually(lambda: self.agent.plugin("sim").get("pid") not in (None, sims))
        self.assertEqual(self.agent.plugin("plc")["pid"], plc)
        self.agent.config.write_text(text.replace('type = "sim"', 'typo = "sim"'))
        self.assertNotEqual(self.agent.cli("reload").returncode, 0)
        self.assertEqual(self.agent.plugin("plc")["pid"], plc)
        self.assertEqual(gaps(self.delivered()), 0)

    def test_a_plugin_that_cannot_run_leaves_the_rest_alone(self):
        missing = sim("ghost").replace('"sim"', '"no-such-type"')
        self.start(lambda port: modbus(port, rows=counter()) + missing, do=["count 1 holding 0 2"])
        eventually(lambda: len(self.delivered()) > 3)
        ghost = self.agent.plugin("ghost")
        self.assertEqual(ghost["state"], "failed")
        self.assertIn("no-such-type", ghost["reason"])

    # ---- The command line and the control sockets.

    def test_any_program_can_post_state(self):
        self.start(lambda port: modbus(port, rows=counter()))
        sent = self.agent.cli("send", "meter", "level=4.5", "open=true", "name=Bob")
        self.assertEqual(sent.returncode, 0, sent.stderr)
        eventually(lambda: any(d == {"level": 4.5, "open": True, "name": "Bob"}
                               for _, _, d in self.witness.states(METER)))
        stamp = int(time.time() * 1000) - 5000
        lines = "".join(json.dumps({"device": METER, "data": {"n": n}, "time": stamp + n}) + "\n"
                        for n in range(10))
        sent = self.agent.cli("send", input=lines)
        self.assertEqual(sent.returncode, 0, sent.stderr)
        eventually(lambda: len(self.delivered(METER, "n")) == 10)
        self.assertEqual([t for _, t, d in self.witness.states(METER) if "n" in d],
                         [stamp + n for n in range(10)])
        for words, what in ((("metre", "a=1"), "did you mean 'meter'"),
                            (("meter", "a b=1"), "attribute"), (("meter", "a=null"), "expected"),
                            (("meter", "a=1", "--time", "1000"), "30 days")):
            refused = self.agent.cli("send", *words)
            self.assertEqual(refused.returncode, 1, words)
            self.assertIn(what, refused.stderr)

    def test_the_read_socket_does_not_act(self):
        self.start(lambda port: modbus(port, rows=counter()))
        answer = self.agent.ask({"do": "reload"}, "status.sock")
        self.assertFalse(answer["ok"])
        self.assertIn("adduser", answer["error"])
        for name in ("status.sock", "control.sock"):
            self.assertEqual((self.agent.run_dir / name).stat().st_mode & 0o777, 0o660)

    def test_garbage_on_a_control_socket_disturbs_nobody(self):
        self.start(lambda port: modbus(port, rows=counter()))
        for garbage in (b"\n", b"{}\n", b"[1]\n", b"\xff\xff\n", b"[" * 10_000 + b"\n",
                        b"x" * 1_200_000):
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(str(self.agent.run_dir / "status.sock"))
                s.settimeout(10)
                try:
                    s.sendall(garbage)
                    if garbage.strip():
                        self.assertIn(b'"ok":false', s.recv(65536))
                except (BrokenPipeError, ConnectionResetError):
                    pass  # it was closed in the middle of a line that was too long
        idle = []
        for _ in range(40):  # more than it takes; the rest is told so
            s = socket.socket(socket.AF_UNIX)
            s.connect(str(self.agent.run_dir / "status.sock"))
            idle.append(s)
        for s in idle:
            s.close()
        eventually(lambda: self.agent.ask({"do": "status"}, "status.sock")["ok"])

    def test_watch_shows_readings_and_a_slow_reader_holds_up_nobody(self):
        self.start(lambda port: modbus(port, rows=counter(), interval="20ms"),
                   do=["count 1 holding 0 2"])
        slow = socket.socket(socket.AF_UNIX)
        self.addCleanup(slow.close)
        slow.connect(str(self.agent.run_dir / "status.sock"))
        slow.sendall(b'{"do":"watch"}\n')
        watcher = self.field.add(field.Process([field.BUILD / "bin/fieldpost", "watch", "--run-dir",
                                                self.agent.run_dir]))
        eventually(lambda: len(watcher.lines) > 20)
        self.assertRegex(watcher.lines[-1][1], r"^\d{4}-\d\d-\d\dT.*Z  boiler  count = \d+$")
        self.assertEqual(gaps(self.delivered()), 0)


class HostileTest(SiteTest):
    """The agent with plugins that misbehave and a world that is in a hurry."""

    def agent(self, config):
        return self.field.agent(HEAD + uplink(field.free_port()) + config,
                                args=("--plugin-dir", field.BUILD / "tests/plugins"))

    @staticmethod
    def puppets(mode, number):
        return "".join(f'[[plugin]]\nname = "p{i}"\ntype = "puppet"\n'
                       f'device = "{("boiler", "meter")[i]}"\noptions.mode = "{mode}"\n'
                       for i in range(number))

    @staticmethod
    def hanging(agent):
        """Hosts below the agent that hang in their plugin, as pids."""
        found = []
        for pid in (int(p) for p in os.listdir("/proc") if p.isdigit()):
            with contextlib.suppress(OSError):
                fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)
                if fields[0].endswith("(hanging") and int(fields[1].split()[1]) == agent.child.pid:
                    found.append(pid)
        return found

    def expect_a_quick_end(self, agent, statuses):
        left = eventually(lambda: self.hanging(agent))
        began = time.monotonic()
        self.assertIn(agent.end(signal.SIGTERM, limit=30), statuses)
        self.assertLess(time.monotonic() - began, 3)
        eventually(lambda: not any(os.path.exists(f"/proc/{p}") for p in left), 5,
                   "the end of the hosts that were asked")

    def test_sigterm_does_not_wait_for_a_plugin_that_is_asked_at_a_start(self):
        self.expect_a_quick_end(self.agent(self.puppets("hang-declare", 1)), (0, -signal.SIGTERM))

    def test_sigterm_does_not_wait_for_a_plugin_that_is_asked_at_a_reload(self):
        agent = self.agent(self.puppets("good", 1)).wait_until_up()
        agent.config.write_text(HEAD + uplink(1) + self.puppets("hang-declare", 2))
        agent.child.send_signal(signal.SIGHUP)
        self.expect_a_quick_end(agent, (0,))

    def test_without_time_readings_wait_and_then_go_as_estimates_that_say_so(self):
        broker = self.field.broker()
        witness = self.field.witness(broker)
        config = HEAD + uplink(broker.port).replace('trust = "always"', 'hold = "24h"') + sim()
        agent = self.field.agent(config).wait_until_up()
        eventually(lambda: agent.status()["clock"]["reason"] != "not known yet")
        if agent.status()["clock"]["synchronised"]:
            self.skipTest("the clock of this machine is synchronised")
        eventually(lambda: "held_s" in agent.status()["clock"])
        eventually(lambda: agent.status()["clock"]["waiting"] > 3)
        self.assertEqual(witness.states(METER), [])
        text = agent.cli("status").stdout
        self.assertRegex(text, "clock     not synchronised for .*: .* time service")
        self.assertRegex(text, "[0-9]+ readings wait for the right time, for at most .* more")
        agent.config.write_text(config.replace("24h", "0s"))
        agent.cli("reload")
        eventually(lambda: len(witness.states(METER)) > 3)
        states = "".join(m[2] for m in witness.messages if m[1] == f"losant/{METER}/state")
        self.assertEqual(states.count('"meta":{"time_estimated":true}'), states.count('"time":'))
        self.assertIn("times are estimates", agent.cli("status").stdout)

    def test_a_flood_of_commands_neither_fills_the_memory_nor_the_log(self):
        broker = self.field.broker()
        agent = self.field.agent(HEAD + uplink(broker.port) + sim()).wait_until_up()
        eventually(lambda: agent.status()["uplink"]["state"] == "connected")

        def flood(payload, number):
            subprocess.run([field.program("mosquitto_pub"), "-h", "127.0.0.1", "-p",
                            str(broker.port), "-t", f"losant/{METER}/command", "-l"],
                           input=(payload + "\n") * number, text=True, check=True, timeout=60)

        flood('{"name": "none"}', 5000)
        eventually(lambda: agent.status()["commands"]["received"] >= 4000)
        eventually(lambda: "too fast to log" in agent.text())
        self.assertLess(agent.text().count("command rejected"), 300)
        flood(json.dumps({"name": "none", "payload": [1] * 40000}), 1500)  # 120 kB each
        peak = pathlib.Path(f"/proc/{agent.child.pid}/status").read_text()
        peak = int(peak.split("VmHWM:")[1].split()[0]) // 1024
        if not field.SANITIZED:
            self.assertLess(peak, 100, "MB at most, of 180 that were sent")
        began = time.monotonic()
        agent.status()
        self.assertLess(time.monotonic() - began, 2)

    def test_the_command_line_does_not_wait_for_an_agent_that_is_stopped(self):
        agent = self.agent(self.puppets("good", 1)).wait_until_up()
        with contextlib.ExitStack() as stack:
            agent.child.send_signal(signal.SIGSTOP)
            stack.callback(agent.child.send_signal, signal.SIGCONT)
            with contextlib.suppress(BlockingIOError):  # until the queue is full
                while True:
                    s = stack.enter_context(contextlib.closing(socket.socket(socket.AF_UNIX)))
                    s.setblocking(False)
                    s.connect(str(agent.run_dir / "status.sock"))
            answer = agent.cli("status")
        self.assertEqual(answer.returncode, 1)
        self.assertIn("does not answer", answer.stderr)


if __name__ == "__main__":
    unittest.main()
