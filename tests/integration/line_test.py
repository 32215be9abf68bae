# SPDX-License-Identifier: Apache-2.0
"""The way to the broker, end to end: when it is dialled, what is said of it, what it costs.
"""
import pathlib
import signal
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from fakes.field import GATEWAY, eventually  # noqa: E402  pylint: disable=wrong-import-position
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

    # ---- What is looked at again with each connection.

    def test_a_secret_that_others_may_read_is_told_of_once(self):
        self.broker = self.field.broker()
        key = self.field.folder / "key"
        key.touch(0o600)
        key.write_text("name\n", encoding="utf-8")
        self.agent = self.field.agent(
            HEAD + QUIET + uplink(self.broker.port) + f'access_key_file = "{key}"\n' + sim())
        self.agent.wait_until_up()
        for connections, mode, told in ((1, 0o644, 0), (2, 0o644, 1), (3, 0o600, 1), (4, 0o644, 1),
                                        (5, 0o644, 2)):
            eventually(lambda c=connections: self.agent.status()["uplink"]["connections"] == c,
                       20, f"connection {connections}")
            self.assertEqual(self.agent.text().count("a secret is not kept: everybody"), told)
            key.chmod(mode)
            self.broker.stop()
            self.broker.start()

    def test_messages_that_are_ignored_do_not_fill_the_log(self):
        self.start(lambda port: sim())
        eventually(lambda: self.agent.status()["uplink"]["connections"] == 1)
        topic = f"losant/{GATEWAY}/command"
        for _ in range(20):
            self.broker.publish(topic, b"x" * (2 ** 20 + 1))
        self.broker.publish(topic, "{}")
        eventually(lambda: "command rejected" in self.agent.text(), what="what came after them")
        self.assertEqual(self.agent.text().count("too large and is ignored"), 1)


if __name__ == "__main__":
    unittest.main()
