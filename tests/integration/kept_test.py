# SPDX-License-Identifier: Apache-2.0
"""What plugins keep: a total goes on where it was, whatever ends the process that counts, and what
was published is never ahead of it.
"""
import json
import os
import pathlib
import re
import shutil
import signal
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from fakes.field import METER, eventually  # noqa: E402  pylint: disable=wrong-import-position
from fakes.site import HEAD, QUIET, SiteTest, sim, uplink  # noqa: E402

TOTAL = sim(options='[[plugin.signal]]\nattribute = "count"\nshape = "counter"\nkept = true\ncommand = "set"\n')
FAST = TOTAL.replace("100ms", "20ms")


class KeptTest(SiteTest):
    def setUp(self):
        super().setUp()
        self.broker = self.field.broker()
        self.witness = self.field.witness(self.broker)
        self.run_file, self.disk_file = self.field.folder / "run/kept", self.field.folder / "state/kept"
        self.agent = self.run_agent(FAST)

    def run_agent(self, plugins=None):
        config = None if plugins is None else HEAD + QUIET + uplink(self.broker.port) + plugins
        return self.field.agent(config).wait_until_up()

    def totals(self):
        """As they were read, in that order."""
        states = sorted({(t, data["count"]) for _, t, data in self.witness.states(METER) if "count" in data})
        return [int(value) for _, value in states]

    def wait_for_more(self, than=0):
        return eventually(lambda: [t for t in self.totals() if t > than + 10], 20, f"totals beyond {than}")[-1]

    def expect_ascending(self, but_for=()):
        """`but_for`: what was set comes with the answer and with the next poll."""
        totals = self.totals()
        wrong = [(a, b) for a, b in zip(totals, totals[1:]) if b < a or (b == a and a not in but_for)]
        self.assertEqual(wrong, [], "a total went back, or came twice")

    def test_a_killed_host_takes_nothing_from_a_total(self):
        for _ in range(4):  # of five within a minute it is taken for broken
            seen = self.wait_for_more(max(self.totals(), default=0))
            pid = self.agent.plugin("sim")["pid"]
            os.kill(pid, signal.SIGKILL)
            eventually(lambda p=pid: self.agent.plugin("sim").get("pid", p) != p
                       and self.agent.plugin("sim")["state"] == "up", 20)
            self.wait_for_more(seen)
        self.expect_ascending()

    def test_a_killed_agent_takes_nothing_from_a_total(self):
        for _ in range(5):
            seen = self.wait_for_more(max(self.totals(), default=0))
            self.agent.end(signal.SIGKILL)
            self.agent = self.run_agent()
            self.wait_for_more(seen)
        self.expect_ascending()

    def test_a_power_cut_takes_what_the_disk_was_behind_and_no_more(self):
        self.wait_for_more()
        self.agent.end()  # which writes it; the next write is ten minutes away, but for one at the start
        self.agent = self.run_agent()
        self.wait_for_more(max(self.totals()))
        self.agent.end(signal.SIGKILL)
        stored = int(re.search(r"value 0-count (\d+)", self.disk_file.read_text())[1])
        self.run_file.unlink()  # the tmpfs
        shutil.rmtree(self.field.folder / "run/stage")
        cut = max(t for _, t, _ in self.witness.states(METER))
        self.agent = self.run_agent()
        first = eventually(lambda: [int(d["count"]) for _, t, d in sorted(
            self.witness.states(METER), key=lambda state: state[1]) if t > cut and "count" in d], 20)[0]
        self.assertEqual(first, stored + 1)

    def test_the_disk_is_as_far_behind_as_is_configured(self):
        seen = self.wait_for_more()
        self.agent.end()
        self.agent = self.run_agent('[outbox]\npersist_interval = "1s"\n' + FAST)
        for _ in range(3):
            seen = self.wait_for_more(max(self.totals()))
            eventually(lambda s=seen: int(re.search(r"value 0-count (\d+)", self.disk_file.read_text())[1]) >= s, 10)

    def test_a_damaged_file_is_said_and_the_disks_is_used(self):
        self.wait_for_more()
        self.agent.end()
        stopped = max(self.totals())
        self.run_file.write_text(self.run_file.read_text().replace("value", "valve", 1))
        self.agent = self.run_agent()
        self.wait_for_more(stopped)
        self.assertIn("kept values are damaged; those of the disk are used", self.agent.text())
        self.assertTrue((self.field.folder / "run/kept.damaged").exists())
        self.agent.end()
        stopped = max(self.totals())
        self.run_file.write_text("")
        self.disk_file.write_text("nonsense")
        before = len(self.totals())
        self.agent = self.run_agent()  # it starts all the same
        eventually(lambda: len(self.totals()) > before, 20)
        self.assertIn("totals may start at 0", self.agent.text())

    def test_what_a_command_has_set_survives_a_kill_at_once(self):
        seen = self.wait_for_more()
        both = (seen + 1_000_000, seen + 2_000_000)
        for value in both:
            self.broker.publish(f"losant/{METER}/command", json.dumps(
                {"name": "set", "payload": {"value": value}}))
            eventually(lambda v=value: [t for t in self.totals() if t >= v], 20)
            self.agent.end(signal.SIGKILL)
            self.agent = self.run_agent()
            self.wait_for_more(value)
        self.expect_ascending(both)

    def test_an_instance_that_comes_back_goes_on_where_it_was(self):
        seen = self.wait_for_more()
        without = HEAD + QUIET + uplink(self.broker.port) + sim(
            "other", options='[[plugin.signal]]\nattribute = "level"\nshape = "constant"\n')
        for config in (without, without + FAST):
            self.agent.config.write_text(config)
            self.assertEqual(self.agent.cli("reload").returncode, 0)
        self.wait_for_more(seen)
        self.expect_ascending()


if __name__ == "__main__":
    unittest.main()
