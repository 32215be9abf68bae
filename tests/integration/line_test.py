# SPDX-License-Identifier: Apache-2.0
"""The way to the broker, end to end: when it is dialled, what is said of it, what it costs.
"""
import pathlib
import signal
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from fakes.field import eventually  # noqa: E402  pylint: disable=wrong-import-position
from fakes.site import HEAD, QUIET, SiteTest, sim, uplink  # noqa: E402


class LineTest(SiteTest):
    def uplink(self):
        return self.agent.status()["uplink"]

    def wait_for_a_pause(self, least=4):
        """The back-off has grown to that."""
        eventually(lambda: self.uplink().get("retry_s", 0) > least, 60, "a long pause")

    # ---- A reload ends a back-off, whatever it makes of the file.

    def end_a_pause_by_sighup(self, edit):
        self.broker = self.field.broker()
        self.broker.stop()
        text = HEAD + QUIET + uplink(self.broker.port).replace('"1s"', '"5min"') + sim()
        self.agent = self.field.agent(text)
        self.agent.wait_until_up()
        self.wait_for_a_pause()
        self.broker.start()
        self.agent.config.write_text(edit(text))
        self.agent.child.send_signal(signal.SIGHUP)
        eventually(lambda: self.uplink()["state"] == "connected", 2.5)

    def test_sighup_ends_a_pause(self):
        self.end_a_pause_by_sighup(lambda text: text)

    def test_sighup_ends_a_pause_also_with_a_broken_file(self):
        self.end_a_pause_by_sighup(lambda text: text.replace("interval", "intervall"))
        self.assertIn("did you mean 'interval'?", self.agent.status()["config"]["trouble"])


if __name__ == "__main__":
    unittest.main()
