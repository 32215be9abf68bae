# SPDX-License-Identifier: Apache-2.0
"""What is left when nobody was there: the black box, and `fieldpost report`."""
import json
import os
import pathlib
import signal
import subprocess
import sys
import tarfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from fakes import field  # noqa: E402  pylint: disable=wrong-import-position
from fakes.field import eventually  # noqa: E402
from fakes.site import HEAD, uplink  # noqa: E402

SIM = """
[[plugin]]
name = "camera"
type = "sim"
interval = "100ms"
[[plugin.signal]]
attribute = "n"
shape = "counter"
"""


class BlackBoxTest(unittest.TestCase):
    def setUp(self):
        self.field = field.Field()
        self.addCleanup(self.field.__exit__)
        self.folder = self.field.folder / "agent"
        self.config = HEAD + uplink(field.free_port()) + SIM
        self.box = self.folder / "state/black-box.log"

    def start(self):
        agent = self.field.add(field.Agent(self.folder, self.config))
        return agent.wait_until_up()

    def last_run(self, agent):
        return eventually(lambda: (r := agent.status()["last_run"])["ended"] != "unknown" and r,
                          what="how the last run ended")

    def another_boot(self):
        """What the box looks like from the boot after this one."""
        text = self.box.read_text()
        boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
        self.assertIn(f" {boot} ", text)
        self.box.write_text(text.replace(f" {boot} ", " 01234567 "))

    def test_it_tells_a_stop_from_a_crash_and_a_power_cut(self):
        agent = self.start()
        self.assertEqual("none", self.last_run(agent)["ended"])
        self.assertEqual(0, agent.end())
        self.another_boot()
        agent = self.start()
        self.assertEqual("stopped", self.last_run(agent)["ended"])
        agent.end(signal.SIGKILL)
        (self.folder / "run-ended").write_text("signal killed KILL\n")  # as the unit's ExecStopPost= has it
        agent = self.start()
        self.assertEqual("crashed", self.last_run(agent)["ended"])
        self.assertIn("the agent had crashed or was killed", agent.text())
        shown = field.cli("status", "--run-dir", agent.run_dir).stdout
        self.assertRegex(shown, r"(?m)^last run +crashed or killed; its last word is of 20\d\d-.*; "
                         r"systemd saw: signal \(killed KILL\)$")
        agent.end(signal.SIGKILL)
        self.another_boot()
        with self.box.open("a") as box:
            box.write("2026-11-27T21:00:00.000Z 0123")  # torn
        agent = self.start()
        self.assertEqual("cut-off", self.last_run(agent)["ended"])
        self.assertEqual(1, agent.text().count("the power was cut or the machine was reset"))

    def test_warnings_are_in_it_after_the_stop(self):
        agent = self.start()
        eventually(lambda: "no connection to the broker" in agent.text(), what="a warning")
        self.assertEqual(0, agent.end())
        lines = self.box.read_text().splitlines()
        self.assertRegex(lines[0], r"^\S+Z [0-9a-f]{8} \+\d+s start fieldpost [\d.]+, Linux \S+, boot ")
        self.assertTrue(any(" warning no connection to the broker" in line for line in lines), lines)
        self.assertTrue(lines[-1].endswith(" stop as it was told to"), lines)

    def test_it_goes_without_where_it_cannot_be_written(self):
        self.box.parent.mkdir(parents=True)
        self.box.mkdir()
        agent = self.start()
        eventually(lambda: agent.status()["last_run"]["trouble"], what="the trouble")
        self.assertEqual(1, agent.text().count("the black box cannot be written"))
        self.assertIn("the black box cannot be written", field.cli("status", "--run-dir", agent.run_dir).stdout)
        self.assertEqual(0, agent.end())


# One of each, in places that a gateway's secrets get to. Nothing else in the test is like them.
PLANTED = {
    "access key": "5ca1ab1e-1111-4222-8333-444444444444",
    "access secret": "c0ffee" + "12ab" * 14 + "34",
    "proxy password": "proxy-Wort-77",
    "private key": "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj",
    "credential nobody names": "left-over-Secret-88",
    "url": "url-Wort-99",
    "option": "option-Wort-10",
    "row": "row-Wort-11",
    "inline": "inline-Wort-12",
    "argument": "argument-Wort-13",
    "comment": "comment-Wort-14",
    "environment": "environment-Wort-15",
    "log form": "log-Wort-16",
    "log url": "log-url-Wort-17",
    "black box": "box-Wort-18",
    "kept configuration": "kept-Wort-19",
    "number": "918273645",
}


class ReportTest(unittest.TestCase):
    def setUp(self):
        self.field = field.Field()
        self.addCleanup(self.field.__exit__)
        self.root = self.field.folder / "etc"
        self.archive = self.field.folder / "report.tar.gz"
        self.state = self.field.folder / "agent/state"
        self.run = self.field.folder / "agent/run"

    def write(self, path, text):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o600)
        return path

    def plant(self):
        p = PLANTED
        credentials = self.root / "credentials"
        self.write(credentials / "access_key", p["access key"] + "\n")
        self.write(credentials / "access_secret", p["access secret"])
        self.write(credentials / "old", p["credential nobody names"])
        login = self.write(self.field.folder / "login", "me:" + p["proxy password"])
        key = self.write(self.field.folder / "client.key",
                         f"-----BEGIN PRIVATE KEY-----\n{p['private key']}\n-----END PRIVATE KEY-----\n")
        self.write(self.root / "fieldpost.toml", HEAD + uplink(field.free_port()) + f"""
proxy_login_file = "{login}"
key_file = "{key}"
# the old password: {p['comment']}
""")
        self.write(self.root / "conf.d/20-camera.toml", SIM + f"""
[[plugin]]
name = "door"
type = "sim"
options.url = "rtsp://admin:{p['url']}@10.0.0.9/video"  # was {p['comment']}
options.password = "{p['option']}"
options.login = {{ user = "me", word = "{p['inline']}" }}
options.args = ["--token", "--api-key={p['argument']}"]
options.pin_code = 4
options.passcode = {p['number']}
[[plugin.signal]]
token = "{p['row']}"
""")
        self.write(self.state / "last-good-config/conf.d/20-camera.toml",
                   f"[[plugin]]\noptions.secret = \"{p['kept configuration']}\"\n")
        everything = " ".join(p[name] for name in p if name not in
                              ("comment", "environment", "log form", "log url", "black box"))
        said = (f"the plugin said {everything}; password={p['log form']}, "
                f"connect to mqtt://me:{p['log url']}@broker: refused")
        self.write(self.state / "black-box.log",
                   f"2026-11-27T21:00:00.000Z 01234567 +1s warning token={p['black box']} {said}\n")
        journal = self.write(self.field.folder / "bin/journalctl",
                             f"#!/bin/sh\ncat <<'END'\nfieldpostd[1]: {said}\nfieldpostd[1]: asked $*\nEND\necho \"$@\"\n")
        journal.chmod(0o700)

    def report(self, **env):
        done = field.cli("report", self.archive, "--config", self.root, "--state-dir", self.state, "--run-dir",
                         self.run, env={**os.environ, "PATH": f"{self.field.folder}/bin:{os.environ['PATH']}",
                                        "FIELDPOST_PASSWORD": PLANTED["environment"], **env})
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertNotIn(PLANTED["option"], done.stdout + done.stderr)
        with tarfile.open(self.archive) as tar:
            return {m.name.removeprefix("fieldpost-report/"): tar.extractfile(m).read().decode()
                    for m in tar.getmembers()}

    def assert_no_secrets(self, files):
        for name, text in files.items():
            for kind, secret in PLANTED.items():
                self.assertNotIn(secret, text, f"{kind} in {name}")

    def test_no_secret_gets_out_and_the_rest_does(self):
        self.plant()
        files = self.report()
        self.assert_no_secrets(files)
        self.assertIn('plugin.options.url = "rtsp://***@10.0.0.9/video"', files["config.txt"])
        self.assertIn('plugin.options.password = "***"', files["config.txt"])
        self.assertIn("plugin.options.pin_code = 4", files["config.txt"])
        self.assertIn("plugin.options.url: unknown key", files["check.txt"])
        self.assertIn('plugin.options.secret = "***"', files["last-good-config.txt"])
        self.assertIn("01234567 +1s warning token=***", files["black-box.log"])
        self.assertIn("connect to mqtt://***@broker: refused", files["journal.txt"])
        self.assertIn("--unit fieldpost", files["journal.txt"])
        self.assertIn(os.uname().release, files["versions.txt"])
        self.assertIn("libc6 2", files["versions.txt"])
        self.assertRegex(files["plugins.txt"], r"(?m)^sim \S+, ABI 0")
        self.assertIn("boot ", files["system.txt"])
        self.assertIn("black-box.log", files["files.txt"])
        # Nothing runs, and no outbox is there: that is said, and no reason to give up.
        self.assertIn("missing: status.json: no fieldpostd runs", files["README.txt"])
        self.assertNotIn("status.json", files)

    def test_the_archive_is_its_owners_and_other_programs_read_it(self):
        self.plant()
        self.addCleanup(os.umask, os.umask(0))
        self.report()
        self.assertEqual(0o600, self.archive.stat().st_mode & 0o777)
        listed = subprocess.run(["tar", "-tvzf", self.archive], capture_output=True, text=True, check=True)
        self.assertEqual("", listed.stderr)
        self.assertRegex(listed.stdout, r"(?m)^-rw------- .* fieldpost-report/config.txt$")
        self.assertEqual([], [p.name for p in self.field.folder.glob("report*") if p != self.archive])

    def test_where_it_cannot_be_written_the_old_one_stays(self):
        nowhere = self.field.folder / "no-such-folder/report.tar.gz"
        done = field.cli("report", nowhere, "--config", self.root)
        self.assertEqual(1, done.returncode)
        self.assertIn("no-such-folder", done.stderr)

    def test_of_a_running_agent_it_has_the_status(self):
        agent = self.field.add(field.Agent(self.field.folder / "agent", HEAD + uplink(field.free_port()) + SIM))
        agent.wait_until_up()
        eventually(lambda: agent.status()["outbox"]["waiting"] > 0, what="a reading")
        files = self.report()
        status = json.loads(files["status.json"])
        self.assertEqual("up", status["plugins"][0]["state"])
        self.assertGreater(json.loads(files["outbox.json"])["waiting"], 0)
        agent.end()
        files = self.report()  # and of a stopped one, what waits
        self.assertGreater(json.loads(files["outbox.json"])["waiting"], 0)

    def test_a_journal_that_hangs_costs_itself_alone(self):
        self.plant()
        hung = self.write(self.field.folder / "bin/journalctl", "#!/bin/sh\necho begun\nsleep 1000\n")
        hung.chmod(0o700)
        begun = time.monotonic()
        files = self.report()
        self.assertLess(time.monotonic() - begun, 40)
        self.assertIn("missing: journal.txt: 'journalctl' took too long", files["README.txt"])
        self.assertIn("config.txt", files)


if __name__ == "__main__":
    unittest.main()
