# SPDX-License-Identifier: Apache-2.0
"""The agent with plugins that misbehave and a world that is in a hurry."""
import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from fakes import field  # noqa: E402  pylint: disable=wrong-import-position
from fakes.field import METER, eventually  # noqa: E402
from fakes.site import HEAD, SiteTest, sim, uplink  # noqa: E402


class HostileTest(SiteTest):
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
