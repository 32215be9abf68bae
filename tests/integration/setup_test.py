#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""From a machine on which nothing is set up to the first state that a broker has acknowledged."""
import contextlib
import os
import pathlib
import pty
import shutil
import signal
import socket
import stat
import subprocess
import sys
import termios
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from fakes import losant  # noqa: E402
from fakes.field import BUILD, GATEWAY, SOURCE, Process, cli, eventually, free_port  # noqa: E402
from fakes.losant import KEY, SECRET  # noqa: E402
from fakes.site import CLOCK, HEAD, SiteTest, sim, uplink  # noqa: E402

OTHER = "575ecf887ae143cd83dc4aa9"  # a second gateway
NOT_SET_UP = "not set up: run fieldpost setup"


class Newcomer(SiteTest):
    """A configuration folder as the package makes it, and a service that systemd would start."""

    def setUp(self):
        super().setUp()
        self.etc = self.field.folder
        (self.etc / "conf.d").mkdir()
        shutil.copy(SOURCE / "etc/fieldpost.toml", self.etc)
        self.site = self.etc / "conf.d/10-gateway.toml"
        self.credentials = self.etc / "credentials"
        self.notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.notified.close)
        self.notified.settimeout(20)
        self.notified.bind(str(self.field.folder / "notify"))

    def service(self, **env):
        return self.field.agent(env={"NOTIFY_SOCKET": str(self.field.folder / "notify"), **env})

    def set_up(self, *words, key=KEY, secret=SECRET, prefix=(), etc=None, **variables):
        variables = {"FIELDPOST_ACCESS_KEY": key, "FIELDPOST_ACCESS_SECRET": secret, **variables}
        env = {**os.environ, **{k: v for k, v in variables.items() if v is not None}}
        return subprocess.run([*prefix, BUILD / "bin/fieldpost", "setup", "--config", etc or self.etc,
                               "--run-dir", self.etc / "run", *words], env=env, text=True,
                              capture_output=True, stdin=subprocess.DEVNULL, timeout=100, check=False)

    def written(self):
        """What set-up has written, by path."""
        folders = (self.etc / "conf.d", self.credentials)
        return {path.name: path.read_text() for folder in folders if folder.exists()
                for path in folder.iterdir()}

    def expect(self, text):
        """The service tells systemd so, sooner or later, and does not end."""
        deadline = time.monotonic() + 20
        while text not in (said := self.notified.recv(65536).decode()):
            self.assertIsNone(self.agent.child.poll())
            self.assertLess(time.monotonic(), deadline, f"not {text!r} but {said!r}")
        return said


class WaitingTest(Newcomer):
    def test_what_is_not_set_up_waits_and_says_so(self):
        self.agent = self.service()
        self.assertIn("READY=1", self.expect(f"STATUS={NOT_SET_UP}"))
        self.expect("WATCHDOG=1")
        for words, more in ((["status"], ""), (["send", "gateway", "x=1"], ""),
                            (["reload"], "; it looks again now")):
            done = self.agent.cli(*words)
            self.assertEqual((done.returncode, done.stderr), (1, f"fieldpost: {NOT_SET_UP}{more}\n"))
        self.assertNotIn("configuration:", self.agent.text())  # nothing that were wrong
        self.site.write_text(HEAD + uplink(1))
        self.agent.wait_until_up()
        self.assertEqual(self.agent.status()["gateway"]["device_id"], GATEWAY)

    def test_it_starts_anew_where_systemd_hands_over_the_credentials(self):
        """Those that it was given are those that there were when nothing was set up."""
        self.agent = self.service(CREDENTIALS_DIRECTORY=str(self.field.folder))
        self.expect(NOT_SET_UP)
        self.site.write_text(HEAD + uplink(1))
        self.assertEqual(self.agent.child.wait(20), 0)

    def test_a_reload_looks_at_what_the_files_name(self):
        """Nothing has changed in the configuration when the certificate comes."""
        self.site.write_text(HEAD + uplink(1).replace("mqtt:", "mqtts:") + f'ca_file = "{self.etc}/ca.pem"\n')
        self.agent = self.service()
        self.expect("waits for a usable configuration")
        losant.make_certificates(self.etc)
        self.assertIn("it looks again now", self.agent.cli("reload").stderr)
        self.agent.wait_until_up()

    def test_a_reload_brings_the_credentials_as_they_are_now(self):
        self.site.write_text("[gateway]\ndevice_id = 5\n")
        self.agent = self.service(CREDENTIALS_DIRECTORY=str(self.field.folder))
        self.expect("waits for a usable configuration")
        self.agent.cli("reload")
        self.assertEqual(self.agent.child.wait(20), 0)  # for systemd to start it with them

    def test_the_outbox_is_open_to_people_while_it_waits(self):
        self.site.write_text("[gateway]\ndevice_id = 5\n")
        self.agent = self.service()
        self.expect("waits for a usable configuration")
        done = self.agent.cli("outbox", "status", "--state-dir", self.etc / "state")
        self.assertNotIn("waits for a usable", done.stdout + done.stderr)
        self.assertIn("outbox.db", done.stdout + done.stderr)  # there is none

    def test_why_it_could_not_start_is_in_the_black_box(self):
        self.site.write_text(HEAD + uplink(1))
        (self.etc / "run/status.sock/in-the-way").mkdir(parents=True)
        self.agent = self.service()
        self.assertEqual(self.agent.child.wait(20), 1)
        box = (self.etc / "state/black-box.log").read_text()
        self.assertIn("cannot start", box)
        self.assertNotIn(" stop ", box)

    def test_a_mistake_is_not_the_same_as_nothing(self):
        self.site.write_text('[gateway]\ndevice_id = 5\n')
        self.agent = self.service()
        self.assertIn("gateway.device_id: expected", self.expect("waits for a usable configuration"))

    def test_by_hand_it_ends(self):
        agent = self.field.agent()
        self.assertEqual(agent.child.wait(20), 78)
        eventually(lambda: NOT_SET_UP in agent.text(), what="why")


class SetupTest(Newcomer):
    def setUp(self):
        super().setUp()
        self.broker = losant.losant_broker(self.field, devices=(losant.device(GATEWAY), losant.device(OTHER)))
        (self.etc / "conf.d/05-clock.toml").write_text(CLOCK)

    def start(self):  # pylint: disable=arguments-differ
        self.agent = self.service()
        self.expect(NOT_SET_UP)

    def start_set_up(self):
        self.assertEqual(self.set_up(*self.to_broker()).returncode, 0)
        self.agent = self.field.agent().wait_until_up()

    def to_broker(self, device=GATEWAY):
        return ["--url", self.broker.url(), "--device-id", device]

    def test_from_nothing_to_the_first_state(self):
        witness = self.field.witness(self.broker)
        self.start()
        done = self.set_up(*self.to_broker())
        self.assertEqual(done.returncode, 0, done.stderr + done.stdout)
        self.assertEqual(done.stderr, "")
        self.assertIn("create these in Losant, or they vanish", done.stdout)
        self.assertIn("  uptime: number  # Time since the machine was started, in s", done.stdout)
        self.assertIn("the broker has acknowledged the first state", done.stdout)
        self.assertTrue(witness.values(GATEWAY, "uptime"))
        modes = {path.name: stat.S_IMODE(path.stat().st_mode)
                 for path in (self.site, self.credentials, *self.credentials.iterdir())}
        self.assertEqual(modes, {"10-gateway.toml": 0o644, "credentials": 0o700,
                                 "access_key": 0o600, "access_secret": 0o600})
        for text in (done.stdout, self.site.read_text(), self.agent.text()):
            self.assertNotIn(SECRET, text)
            self.assertNotIn(KEY, text)

    def test_a_running_agent_takes_it_up(self):
        self.start()
        self.assertEqual(self.set_up(*self.to_broker()).returncode, 0)
        before = self.written()
        done = self.set_up(*self.to_broker(OTHER), secret="0" * 64)
        self.assertEqual(done.returncode, 1)
        self.assertIn("10-gateway.toml' is there already and says something else", done.stderr)
        self.assertEqual(self.written(), before)
        done = self.set_up(*self.to_broker(OTHER), "--force")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.agent.status()["gateway"]["device_id"], OTHER)

    def test_an_agent_that_runs_on_something_else_is_no_success(self):
        (self.etc / "conf.d/20-sim.toml").write_text(sim(device="gateway"))  # so that there are readings
        self.start_set_up()
        other = self.etc / "other"
        shutil.copytree(self.etc / "conf.d", other / "conf.d",
                        ignore=shutil.ignore_patterns("10-gateway.toml"))
        shutil.copy(self.etc / "fieldpost.toml", other)
        done = self.set_up(*self.to_broker(OTHER), "--wait", "8s", etc=other)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn(f"the agent runs as {GATEWAY} still", done.stderr)
        (self.etc / "conf.d/30-broken.toml").write_text("[uplnk]\n")
        shutil.rmtree(other / "credentials")
        (other / "conf.d/10-gateway.toml").unlink()
        done = self.set_up(*self.to_broker(), "--wait", "8s", etc=other)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("uplnk: unknown key", done.stderr)

    def test_it_declines_while_a_trial_is_open_or_its_files_are_left(self):
        self.start_set_up()
        before = self.written()
        away = self.etc / "50-away.toml"
        away.write_text(f'[uplink]\nurl = "mqtt://127.0.0.1:{free_port()}"\n')
        command = self.field.add(Process([BUILD / "bin/fieldpost", "apply", away, "--confirm", "10s",
                                          "--run-dir", self.agent.run_dir]))
        trial = lambda: self.agent.status()["config"]["apply"]  # noqa: E731
        eventually(lambda: trial().get("running"), 20)
        command.end(signal.SIGKILL)
        before[away.name] = away.read_text()
        for _ in range(2):
            done = self.set_up(*self.to_broker(OTHER), "--force", "--wait", "0s", secret="0" * 64)
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assertIn("fieldpost apply --keep", done.stderr)
            self.assertIn("--rollback", done.stderr)
            self.assertEqual(self.written(), before)
            eventually(lambda: trial()["state"] == "rolled back", 30)
        self.assertEqual(self.agent.cli("apply", "--rollback").returncode, 0)
        self.assertEqual(self.set_up(*self.to_broker(), "--wait", "0s").returncode, 0)

    def test_again_it_needs_only_what_is_new(self):
        done = self.set_up(*self.to_broker())
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("no agent runs at", done.stdout)
        before = self.written()
        done = self.set_up(key=None, secret=None, FIELDPOST_URL=self.broker.url(),
                           FIELDPOST_DEVICE_ID=GATEWAY)
        self.assertEqual((done.returncode, self.written()), (0, before))
        self.assertNotIn("wrote", done.stdout)
        (self.etc / "new").write_text("another secret\n")
        done = self.set_up(*self.to_broker(), "--access-secret-file", self.etc / "new", key=None)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.written(), {**before, "access_secret": "another secret\n"})

    def test_a_wrong_secret_is_said(self):
        self.broker.allow.add("credentials")
        self.start()
        done = self.set_up(*self.to_broker(), "--wait", "3s", secret="f" * 64)
        self.assertEqual(done.returncode, 1)
        self.assertIn("device id, access key or secret are wrong", done.stderr)
        self.assertIn("goes on trying", done.stderr)
        done = self.set_up(*self.to_broker())  # the file is the same, so nothing is forced
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_a_broker_that_is_not_there_is_said(self):
        self.start()
        done = self.set_up("--url", f"mqtt://127.0.0.1:{free_port()}", "--device-id", GATEWAY,
                           "--wait", "2s")
        self.assertEqual(done.returncode, 1)
        self.assertIn("no state was acknowledged within 2s. Last: waiting mqtt://", done.stderr)
        self.assertIn("Connection refused", done.stderr)

    def test_what_the_check_finds_stops_it(self):
        (self.etc / "conf.d/20-more.toml").write_text('[[plugin]]\nname = "x"\ntype = "sim"\nintervall = 1\n')
        before = self.written()
        done = self.set_up(*self.to_broker())
        self.assertEqual(done.returncode, 78, done.stdout)
        self.assertIn(f"{self.etc}/conf.d/20-more.toml:4:1: plugin.intervall", done.stderr)
        self.assertIn("nothing was written", done.stderr)
        self.assertEqual(self.written(), before)

    def test_who_may_not_write_is_told_to_be_root(self):
        self.etc.chmod(0o755)
        (self.etc / "conf.d").chmod(0o555)
        nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
        done = self.set_up(*self.to_broker(), prefix=nobody)
        self.assertEqual(done.returncode, 1)
        self.assertIn("you may not write to", done.stderr)
        self.assertIn("sudo fieldpost setup", done.stderr)

    def test_without_a_configuration_folder(self):
        done = cli("setup", "--config", self.etc / "nowhere", stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, 1)
        self.assertIn("is the package fieldpost installed?", done.stderr)


class BadInputTest(Newcomer):
    def refused(self, words, *args, **options):
        done = self.set_up(*args, **options)
        self.assertEqual(done.returncode, 64, done.stdout + done.stderr)
        self.assertIn(words, done.stderr)
        for secret in (KEY, SECRET, options.get("secret") or SECRET):
            self.assertNotIn(secret, done.stdout + done.stderr)
        self.assertEqual(self.written(), {})

    def test_forms(self):
        this = ["--device-id", GATEWAY]
        self.refused('--device-id: expected a Losant id (24 hex digits, lower case), got "boiler"',
                     "--device-id", "boiler")
        self.refused("FIELDPOST_DEVICE_ID: expected", FIELDPOST_DEVICE_ID=GATEWAY[1:])
        self.refused("--url: expected mqtt://HOST", *this, "--url", "broker.losant.com")
        self.refused("FIELDPOST_ACCESS_KEY: expected a Losant access key", *this, key="1234")
        self.refused("FIELDPOST_ACCESS_SECRET: expected a Losant access secret", *this, secret=SECRET + "0")
        self.refused("FIELDPOST_ACCESS_SECRET: has several lines", *this, secret=SECRET + "\nmore")
        self.refused("--wait: expected", *this, "--wait", "soon")
        self.refused("--access-key-file: '/nowhere' does not exist", *this, "--access-key-file", "/nowhere")
        self.refused("of no use without its access key", *this, "--url", "mqtt://127.0.0.1", key=None)

    def test_all_that_is_missing_is_said_at_once(self):
        self.refused("give --device-id or FIELDPOST_DEVICE_ID, --access-key-file or "
                     "FIELDPOST_ACCESS_KEY, --access-secret-file or FIELDPOST_ACCESS_SECRET",
                     key=None, secret=None)

    def test_no_option_takes_a_secret(self):
        self.refused("unrecognised option", "--access-secret", "x")

    def test_other_brokers_have_other_forms(self):
        done = self.set_up("--device-id", "mine", "--url", "mqtt://127.0.0.1", key=None, secret=None)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(list(self.written()), ["10-gateway.toml"])


class PromptTest(Newcomer):
    """At a terminal."""

    def setUp(self):
        super().setUp()
        self.end, terminal = pty.openpty()
        self.addCleanup(os.close, self.end)
        self.terminal = terminal
        self.addCleanup(os.close, terminal)
        self.shown = ""
        env = {k: v for k, v in os.environ.items() if not k.startswith("FIELDPOST_")}
        self.child = subprocess.Popen(  # pylint: disable=consider-using-with
            [BUILD / "bin/fieldpost", "setup", "--config", self.etc, "--run-dir", self.etc / "run"],
            stdin=terminal, stdout=terminal, stderr=terminal, env=env, preexec_fn=self.own_terminal)
        self.addCleanup(self.end_child)

    def own_terminal(self):
        os.setsid()
        os.close(os.open(os.ttyname(0), os.O_RDWR))  # the first that is opened is its own

    def end_child(self):
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()

    def echoes(self):
        return bool(termios.tcgetattr(self.terminal)[3] & termios.ECHO)

    def see(self, words):
        deadline = time.monotonic() + 20
        while words not in self.shown and time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                self.shown += os.read(self.end, 4096).decode()
        self.assertIn(words, self.shown)

    def say(self, line):
        os.write(self.end, line.encode() + b"\n")

    def test_it_asks(self):
        self.see("Device id of this gateway: ")
        self.say("boiler")
        self.see("expected a Losant id")
        self.say(f" {GATEWAY} ")
        self.see("Access key: ")
        eventually(lambda: not self.echoes(), what="a quiet terminal")
        self.say(KEY)
        self.see("Access secret (not shown): ")
        eventually(lambda: not self.echoes(), what="a quiet terminal")
        self.say(SECRET)
        self.see("start it with")
        self.assertEqual(self.child.wait(20), 0)
        self.assertTrue(self.echoes())
        self.assertNotIn(SECRET, self.shown)
        self.assertNotIn(KEY, self.shown)
        self.assertEqual(self.written()["access_secret"], SECRET + "\n")

    def test_ctrl_c_leaves_the_terminal_as_it_was(self):
        self.see("Device id of this gateway: ")
        self.say(GATEWAY)
        self.see("Access key: ")
        eventually(lambda: not self.echoes(), what="a quiet terminal")
        os.write(self.end, b"\x03")
        self.assertEqual(self.child.wait(20), -signal.SIGINT)
        self.assertTrue(self.echoes())
        self.assertEqual(self.written(), {})


if __name__ == "__main__":
    unittest.main(verbosity=2)
