# SPDX-License-Identifier: Apache-2.0
"""What becomes of an output when something fails, with a real agent and a real broker: [[plugin.guard]].

The output is the tally plugin's: a file in which each value that it is set to leaves a line.
"""
import os
import pathlib
import signal
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from fakes.field import BUILD, eventually  # noqa: E402  pylint: disable=wrong-import-position
from fakes.site import HEAD, QUIET, SiteTest, uplink  # noqa: E402


class OutputsTest(SiteTest):
    def setUp(self):
        super().setUp()
        self.broker = self.field.broker()
        machine = self.field.folder / "machine"
        machine.mkdir()
        self.output = machine / "output"
        self.agent = None

    def run_agent(self, guard):
        config = (HEAD + QUIET + uplink(self.broker.port) + 'keepalive = "5s"\n'
                  + '[[plugin]]\nname = "motor"\ntype = "tally"\ninterval = "0s"\ndeadline = "2s"\n'
                  + f'options.file = "{self.output}"\n[[plugin.guard]]\ncommand = "tally"\n{guard}')
        self.agent = self.field.agent(config, args=["--plugin-dir", BUILD / "tests/plugins"])
        self.agent.wait_until_up()

    def values(self):
        return [int(n) for n in self.output.read_text().split()] if self.output.exists() else []

    def set(self, value):
        return self.agent.cli("command", "gateway", "tally", str(value))

    def wait_for(self, values):
        eventually(lambda: self.values() == values, 20, f"{values}, not {self.values()}")

    def test_a_stop_of_the_agent_makes_it_safe(self):
        self.run_agent("safe = 0\n")
        self.assertEqual(self.set(7).returncode, 0)
        self.assertEqual(self.agent.end(), 0)
        self.wait_for([0, 7, 0])

    def test_a_kill_of_the_agent_makes_it_safe(self):
        self.run_agent("safe = 0\n")
        self.assertEqual(self.set(7).returncode, 0)
        self.agent.end(signal.SIGKILL)
        self.wait_for([0, 7, 0])

    def test_a_kill_of_its_host_makes_it_safe(self):
        self.run_agent("safe = 0\n")
        self.assertEqual(self.set(7).returncode, 0)
        os.kill(self.agent.plugin("motor")["pid"], signal.SIGKILL)
        self.wait_for([0, 7, 0])

    def test_a_host_that_hangs_is_replaced_by_one_that_makes_it_safe(self):
        self.run_agent("safe = 0\n")
        self.assertEqual(self.set(7).returncode, 0)
        os.kill(self.agent.plugin("motor")["pid"], signal.SIGSTOP)
        self.wait_for([0, 7, 0])

    def test_a_broker_that_is_silent_makes_it_safe_once(self):
        self.run_agent('safe = 0\nuplink_silent = "8s"\nat_stop = "hold"\n')
        eventually(lambda: self.agent.status()["uplink"]["state"] == "connected", 20)
        self.assertEqual(self.set(7).returncode, 0)
        os.kill(self.broker.process.child.pid, signal.SIGSTOP)  # neither answers nor hangs up
        self.wait_for([7, 0])
        self.assertIn("because the uplink has been silent for 8.0 s", self.agent.text())
        self.assertEqual(self.set(8).returncode, 0)  # somebody stands before it
        os.kill(self.broker.process.child.pid, signal.SIGCONT)
        eventually(lambda: self.agent.status()["uplink"]["state"] == "connected", 20)
        self.assertEqual(self.agent.end(), 0)
        self.assertEqual(self.values(), [7, 0, 8])

    def test_a_quiet_broker_is_not_silent(self):
        """It answers a ping every 5 s, and nothing else is said."""
        self.run_agent('safe = 0\nuplink_silent = "8s"\nat_stop = "hold"\n')
        eventually(lambda: self.agent.status()["uplink"]["state"] == "connected", 20)
        self.assertEqual(self.set(7).returncode, 0)
        began = self.agent.status()["uptime_s"]
        eventually(lambda: self.agent.status()["uptime_s"] >= began + 12, 30)
        self.assertEqual(self.values(), [7])

    def test_who_is_refused_hears_which_rule_it_was(self):
        self.run_agent('safe = 0\nmin_off = "1h"\n')
        refused = self.set(7)
        self.assertEqual(refused.returncode, 1, refused.stdout)
        self.assertIn("min_off: 'tally' has been off for", refused.stdout + refused.stderr)
        written = self.agent.cli("write", "motor", "tally=7", "--yes")
        self.assertNotEqual(written.returncode, 0, written.stdout)
        self.assertEqual(self.values(), [0])

    def test_check_says_who_makes_it_safe(self):
        self.run_agent('safe = 0\nuplink_silent = "5min"\nmax_on = "1h"\n')
        said = self.agent.cli("check", "--config", self.agent.folder, "--plugin-dir", BUILD / "tests/plugins").stdout
        self.assertIn("output motor: tally: set to 0 when plugin or agent end, and when they start; after 5 min 0 s "
                      "without a word from the broker; after 1 h 0 min on", said)


if __name__ == "__main__":
    unittest.main()
