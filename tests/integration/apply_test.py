# SPDX-License-Identifier: Apache-2.0
"""`fieldpost apply` end to end: a configuration on trial, with a broker that acknowledges or is not
there, and with parts that are killed meanwhile.
"""
import os
import pathlib
import shutil
import signal
import stat
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from fakes import field  # noqa: E402  pylint: disable=wrong-import-position
from fakes.field import BOILER, METER, eventually  # noqa: E402
from fakes.site import SiteTest, counter, missing_but_for_kills, modbus, sim  # noqa: E402


class ApplyTest(SiteTest):
    def setUp(self):
        super().setUp()
        self.start(lambda port: modbus(port, rows=counter()), do=["count 1 holding 0 2"])
        self.killed = []  # what had been read at each kill
        self.site_file = self.agent.folder / "conf.d/50-site.toml"
        self.new = self.field.folder / "new"
        self.new.mkdir()
        eventually(lambda: len(self.delivered()) > 3)

    def file(self, text):
        path = self.new / self.site_file.name
        path.write_text(text, encoding="utf-8")
        return path

    def no_broker(self):
        return self.file(f'[uplink]\nurl = "mqtt://127.0.0.1:{field.free_port()}"\n')

    def apply_beside(self, path, *args):
        """As a command that runs on."""
        return self.field.add(field.Process(
            [field.BUILD / "bin/fieldpost", "apply", path, *args, "--run-dir", self.agent.run_dir]))

    def trial(self):
        return self.agent.status()["config"]["apply"]

    def wait_for(self, state, limit=30):
        eventually(lambda: self.trial()["state"] == state, limit, state)
        return self.trial()

    def restart(self):
        self.agent.end(signal.SIGKILL)
        self.killed.append(self.read_so_far())
        self.agent = self.field.agent().wait_until_up()

    def wait_until_sim_is_up(self):
        eventually(lambda: self.agent.plugin("sim")["state"] == "up")

    def assert_runs_as_before(self):
        """On the line that works; what was read meanwhile arrives, and nothing is missing."""
        read = self.read_so_far()
        eventually(lambda: max(self.delivered()) >= read, 20, "what was read meanwhile")
        self.assertEqual(missing_but_for_kills(self.delivered(), self.killed), [], self.killed)

    def test_one_that_works_is_confirmed(self):
        done = self.agent.cli("apply", self.file(sim()), "--confirm", "30s")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("confirmed", done.stdout)
        self.assertEqual(self.trial()["state"], "confirmed")
        self.wait_until_sim_is_up()
        eventually(lambda: self.witness.states(METER))
        self.assertIn("applied configuration was confirmed at 20", self.agent.cli("status").stdout)
        again = self.agent.cli("apply", self.file(sim()))
        self.assertEqual((again.returncode, again.stdout),
                         (0, "this configuration runs already\nin place\n"), again.stderr)
        self.site_file.write_text("broken")  # what was confirmed is the last good one
        self.restart()
        self.wait_until_sim_is_up()

    def test_one_without_a_broker_is_rolled_back_with_nobody_there(self):
        command = self.apply_beside(self.no_broker(), "--confirm", "10s")
        eventually(lambda: self.agent.status()["uplink"]["state"] != "connected")
        self.assertIn("on trial for another", self.agent.cli("status").stdout)
        self.assertTrue(self.trial()["running"])
        command.end(signal.SIGKILL)
        trial = self.wait_for("rolled back")
        self.assertEqual(trial["reason"], "no publish was acknowledged in 10s")
        self.assert_runs_as_before()
        self.restart()  # with the files still there
        self.assert_runs_as_before()
        said = self.agent.cli("status").stdout
        self.assertIn("rolled back: no publish was acknowledged in 10s", said)
        back = self.agent.cli("apply", "--rollback")
        self.assertEqual(back.returncode, 0, back.stderr)
        self.assertFalse(self.site_file.exists())
        self.assertEqual(self.agent.status()["config"]["trouble"], "")
        self.assertEqual(self.trial()["state"], "rolled back")
        again = self.agent.cli("apply", "--rollback")
        self.assertEqual((again.returncode, again.stdout), (1, ""))
        self.assertIn("nothing that was rolled back is in place", again.stderr)

    def test_files_come_back_with_the_mode_they_had(self):
        self.agent.cli("apply", self.file(sim()), "--confirm", "none")
        self.site_file.chmod(0o600)
        whole = self.field.folder / "whole"
        (whole / "conf.d").mkdir(parents=True)
        shutil.copy(self.no_broker(), whole / "conf.d/10-only.toml")
        (whole / "conf.d/10-only.toml").chmod(0o600)
        command = self.apply_beside(whole, "--confirm", "10s")
        eventually(lambda: self.trial().get("running"))
        command.end(signal.SIGKILL)
        self.assertFalse(self.site_file.exists())
        only = self.site_file.with_name("10-only.toml")
        self.assertEqual(stat.S_IMODE(only.stat().st_mode), 0o640)
        self.restart()
        self.wait_for("rolled back")
        back = self.agent.cli("apply", "--rollback")
        self.assertEqual(back.returncode, 0, back.stderr)
        self.assertEqual(self.site_file.read_text(), sim())
        self.assertEqual(stat.S_IMODE(self.site_file.stat().st_mode), 0o600)

    def test_what_is_refused_stays_so_until_it_is_mended(self):
        self.rolled_back_with_nobody_there()
        other = self.site_file.with_name("60-other.toml")
        other.write_text(sim())
        self.agent.cli("reload")
        self.assertTrue(self.trial()["refused"])
        self.assert_runs_as_before()
        self.site_file.write_text("# mended\n")
        self.agent.cli("reload")
        self.assertFalse(self.trial()["refused"])
        self.wait_until_sim_is_up()
        back = self.agent.cli("apply", "--rollback")
        self.assertEqual((back.returncode, back.stdout), (1, ""), "it would undo the mending")
        self.assertTrue(other.exists())

    def rolled_back_with_nobody_there(self):
        command = self.apply_beside(self.no_broker(), "--confirm", "10s")
        eventually(lambda: self.trial().get("running"))
        command.end(signal.SIGKILL)
        self.wait_for("rolled back")

    def test_after_a_rollback_the_earlier_files_are_applied_as_any(self):
        self.agent.cli("apply", self.file(sim()), "--confirm", "none")
        self.rolled_back_with_nobody_there()
        self.assertNotEqual(self.agent.status()["config"]["trouble"], "")
        done = self.agent.cli("apply", self.file(sim()))
        self.assertEqual((done.returncode, done.stdout),
                         (0, "this configuration runs already\nin place\n"), done.stderr)
        self.assertEqual(self.site_file.read_text(), sim())
        self.assertEqual(self.agent.status()["config"]["trouble"], "")
        self.restart()
        self.wait_until_sim_is_up()

    def test_the_command_puts_the_files_back_even_if_its_terminal_goes(self):
        command = self.apply_beside(self.no_broker(), "--confirm", "10s")
        eventually(lambda: "on trial" in command.text())
        command.child.send_signal(signal.SIGHUP)
        self.assertEqual(eventually(command.child.poll, 30), 1, command.text())
        self.assertIn("its files are in place again", command.text())
        self.assertFalse(self.site_file.exists())
        self.assert_runs_as_before()

    def test_a_kill_changes_neither_the_trial_nor_its_end(self):
        self.apply_beside(self.no_broker(), "--confirm", "12s").wait(
            lambda: self.trial().get("running"), "the trial")
        for _ in range(2):
            self.restart()
            self.assertTrue(self.trial()["running"])
            self.assertLess(self.trial()["left_s"], 12)
        self.wait_for("rolled back")
        self.assert_runs_as_before()

    def test_one_that_works_is_confirmed_by_the_agent_after_a_kill(self):
        command = self.apply_beside(self.file(sim()), "--confirm", "40s")
        eventually(lambda: self.site_file.exists() and self.trial()["state"] == "pending")
        self.restart()
        self.wait_for("confirmed")
        self.assertEqual(eventually(lambda: command.child.poll() is not None, 30), True)
        self.wait_until_sim_is_up()

    def test_a_broken_one_is_refused_before_anything_is_touched(self):
        self.agent.cli("apply", self.file(sim()), "--confirm", "none")
        before = self.site_file.stat()
        loads = self.agent.status()["config"]["loads"]
        for text, what in (("[uplnk]\n", f"{self.site_file}:1:2: uplnk: unknown key"),
                           (sim("sim", options='type = "x"'), "50-site.toml"),
                           (sim("ghost").replace('"sim"', '"no-such-type"'), "no-such-type")):
            refused = self.agent.cli("apply", self.file(text))
            self.assertEqual(refused.returncode, 78, refused.stderr)
            self.assertIn(what, refused.stderr)
        self.assertEqual(self.site_file.stat().st_mtime_ns, before.st_mtime_ns)
        self.assertEqual(self.agent.status()["config"]["loads"], loads)
        self.assertEqual(self.trial()["state"], "confirmed")

    def start_with_a_profile(self):
        """A second instance, whose register is that of a profile; the profile's path."""
        profile = self.agent.folder / "profiles/modbus/meter.toml"
        profile.parent.mkdir(parents=True)
        profile.write_text(counter("neighbour", table="register"))
        self.site_file.parent.mkdir()
        unit = '[[plugin.unit]]\naddress = 1\nprofile = "meter"\n'
        self.site_file.write_text(modbus(self.field.modbus().port, "second", rows=unit,
                                         options='report = "always"'))
        self.agent.cli("reload")
        eventually(lambda: self.delivered(attribute="neighbour"))
        return profile

    def changed_profile(self):
        """The configuration as a folder, but for its profile."""
        whole = self.field.folder / "whole"
        for part in ("conf.d", "profiles"):
            shutil.copytree(self.agent.folder / part, whole / part)
        (whole / "profiles/modbus/meter.toml").write_text(counter("other", table="register"))
        return whole

    def last_good_profile(self):
        return next(self.agent.state_dir.rglob("profiles/modbus/meter.toml")).read_text()

    def read_since(self, since, attribute):
        return [data[attribute] for _, at, data in self.witness.states(BOILER)
                if at > since and attribute in data]

    def test_a_profile_alone_is_tried_and_rolled_back(self):
        profile = self.start_with_a_profile()
        before = profile.read_text()
        self.broker.process.child.send_signal(signal.SIGSTOP)  # it acknowledges nothing
        command = self.apply_beside(self.changed_profile(), "--confirm", "10s")
        eventually(lambda: self.trial().get("running"))
        command.end(signal.SIGKILL)
        self.assertNotEqual(profile.read_text(), before)
        self.wait_for("rolled back")
        self.assertEqual(self.last_good_profile(), before)
        self.restart()  # with the profile still there
        self.assertTrue(self.trial()["refused"])
        self.assertEqual(self.last_good_profile(), before)
        back = self.agent.cli("apply", "--rollback")
        self.assertEqual(back.returncode, 0, back.stderr)
        self.assertEqual(profile.read_text(), before)
        self.restart()
        self.assertEqual(self.agent.status()["config"]["trouble"], "")
        since = time.time() * 1000
        self.broker.process.child.send_signal(signal.SIGCONT)
        eventually(lambda: len(self.read_since(since, "neighbour")) > 5, 30)
        self.assertEqual(self.read_since(since, "other"), [])
        self.assertEqual(self.last_good_profile(), before)

    def test_a_profile_that_works_is_confirmed_and_one_that_is_missing_is_refused(self):
        profile = self.start_with_a_profile()
        whole = self.changed_profile()
        done = self.agent.cli("apply", whole, "--confirm", "40s")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("on trial", done.stdout)
        eventually(lambda: self.delivered(attribute="other"))
        self.assertEqual(self.last_good_profile(), profile.read_text())
        (whole / "profiles/modbus/meter.toml").unlink()
        refused = self.agent.cli("apply", whole)
        self.assertEqual(refused.returncode, 78, "that in place would be removed")
        self.assertIn(f"is no meter.toml in {profile.parent}", refused.stderr)
        self.assertTrue(profile.exists())

    def test_a_second_one_is_refused_and_by_hand_it_stays(self):
        self.apply_beside(self.no_broker(), "--confirm", "10min").wait(
            lambda: self.trial().get("running"), "the trial")
        other = self.field.folder / "60-other.toml"
        other.write_text(sim())
        refused = self.agent.cli("apply", other)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("another configuration is on trial", refused.stderr)
        self.assertFalse((self.site_file.parent / other.name).exists())
        kept = self.agent.cli("apply", "--keep")
        self.assertEqual(kept.returncode, 0, kept.stderr)
        self.assertEqual(self.trial()["state"], "confirmed")
        self.restart()
        self.assertNotIn(str(self.broker.port), self.agent.status()["uplink"]["url"])

    def test_a_folder_is_the_whole(self):
        self.agent.cli("apply", self.file(sim()), "--confirm", "none")
        folder = self.field.folder / "whole"
        (folder / "conf.d").mkdir(parents=True)
        (folder / "conf.d/10-only.toml").write_text(sim("other"))
        done = self.agent.cli("apply", folder, "--confirm", "40s")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([p.name for p in self.site_file.parent.iterdir()], ["10-only.toml"])
        self.assertEqual({p["name"] for p in self.agent.status()["plugins"]}, {"plc", "other"})

    def test_an_agent_without_rights_in_etc_is_all_it_takes(self):
        if os.geteuid() != 0:
            raise unittest.SkipTest("only root can run the agent as somebody else")
        self.agent.end()
        self.field.folder.chmod(0o755)
        for folder in (self.agent.run_dir, self.agent.state_dir):
            for path in (folder, *folder.rglob("*")):
                shutil.chown(path, 65534, 65534)
        self.agent = self.field.agent(
            prefix=("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")).wait_until_up()
        before = os.umask(0o077)  # as root's may be
        self.addCleanup(os.umask, before)
        done = self.agent.cli("apply", self.file(sim()), "--confirm", "40s")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.site_file.chmod(0o600)  # which that agent cannot read
        done = self.agent.cli("apply", self.no_broker())
        self.assertEqual(done.returncode, 1)
        self.assertIn("50-site.toml: cannot be read by this user", done.stderr)
        self.assertEqual(self.site_file.read_text(), sim())
        self.site_file.chmod(0o644)
        done = self.agent.cli("apply", self.no_broker(), "--confirm", "10s")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("its files are in place again", done.stderr)
        self.assertEqual(self.site_file.read_text(), sim())
        self.assertEqual(self.agent.status()["config"]["trouble"], "")
        self.assert_runs_as_before()

    def test_words_for_what_makes_no_sense(self):
        for args, what in (((), "usage"), (("a.toml", "--keep"), "usage"),
                           (("a.toml", "--confirm", "5"), "--confirm: expected"),
                           (("a.toml", "--confirm", "1s"), "10s to 7d")):
            refused = self.agent.cli("apply", *args)
            self.assertEqual(refused.returncode, 64, args)
            self.assertIn(what, refused.stderr)
        for args, what in ((("/nowhere/a.toml",), "does not exist"),
                           (("/etc/passwd",), "ends in .toml"), (("--rollback",), "on trial"),
                           (("--keep",), "nothing to keep")):
            refused = self.agent.cli("apply", *args)
            self.assertEqual(refused.returncode, 1, args)
            self.assertIn(what, refused.stderr)


if __name__ == "__main__":
    unittest.main()
