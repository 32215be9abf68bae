#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""From a machine on which nothing is set up to the first state that a broker has acknowledged."""
import os
import pathlib
import shutil
import socket
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from fakes.field import GATEWAY, SOURCE, eventually  # noqa: E402
from fakes.site import CLOCK, HEAD, SiteTest, uplink  # noqa: E402

NOT_SET_UP = "not set up: run fieldpost setup"


class Newcomer(SiteTest):
    """A configuration folder as the package makes it, and a service that systemd would start."""

    def setUp(self):
        super().setUp()
        self.etc = self.field.folder
        (self.etc / "conf.d").mkdir()
        shutil.copy(SOURCE / "etc/fieldpost.toml", self.etc)
        self.site = self.etc / "conf.d/10-gateway.toml"
        self.notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.notified.close)
        self.notified.settimeout(20)
        self.notified.bind(str(self.field.folder / "notify"))

    def service(self, **env):
        return self.field.agent(env={"NOTIFY_SOCKET": str(self.field.folder / "notify"), **env})

    def expect(self, text):
        """The service tells systemd so, sooner or later, and does not end."""
        while text not in (said := self.notified.recv(65536).decode()):
            self.assertIsNone(self.agent.child.poll())
        return said


class WaitingTest(Newcomer):
    def test_what_is_not_set_up_waits_and_says_so(self):
        self.agent = self.service()
        self.assertIn("READY=1", self.expect(f"STATUS={NOT_SET_UP}"))
        self.expect("WATCHDOG=1")
        for words in (["status"], ["send", "gateway", "x=1"], ["reload"]):
            done = self.agent.cli(*words)
            self.assertEqual((done.returncode, done.stderr), (1, f"fieldpost: {NOT_SET_UP}\n"))
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

    def test_a_mistake_is_not_the_same_as_nothing(self):
        self.site.write_text('[gateway]\ndevice_id = 5\n')
        self.agent = self.service()
        self.assertIn("gateway.device_id: expected", self.expect("waits for a usable configuration"))

    def test_by_hand_it_ends(self):
        agent = self.field.agent()
        self.assertEqual(agent.child.wait(20), 78)
        eventually(lambda: NOT_SET_UP in agent.text(), what="why")


if __name__ == "__main__":
    unittest.main(verbosity=2)
