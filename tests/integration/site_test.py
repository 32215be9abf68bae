# SPDX-License-Identifier: Apache-2.0
"""What people and programs at the site do: the configuration, the command line, the control sockets."""
import json
import os
import pathlib
import shutil
import signal
import socket
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from fakes import field, losant  # noqa: E402  pylint: disable=wrong-import-position
from fakes.field import GATEWAY, METER, eventually  # noqa: E402
from fakes.site import DEVICES, HEAD, LosantSiteTest, counter, missing, modbus, sim, uplink  # noqa: E402


class LocalTest(LosantSiteTest):
    devices = DEVICES

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
        self.assertEqual(missing(self.delivered()), [])
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
        self.assertEqual(missing(self.delivered()), [])

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
        self.assertEqual(missing(self.delivered()), [])


if __name__ == "__main__":
    unittest.main()
