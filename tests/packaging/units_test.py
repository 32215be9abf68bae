#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The systemd units: they parse without a remark, and the sandbox stays as tight as it was."""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = os.environ.get("FIELDPOST_SOURCE_DIR") or os.path.realpath(os.path.join(__file__, "../../.."))
UNITS = ("fieldpost.service", "fieldpost.socket")
EXPOSURE = 12  # of 100, what systemd-analyze shows as 1.2
PLUGIN_EXPOSURE = 5
# What a running agent needs of its unit; each of these was a decision.
NEEDED = ("Type=notify", "WatchdogSec=30", "KillMode=control-group", "Restart=always", "RestartSec=1s",
          "StartLimitIntervalSec=0", "RuntimeDirectoryPreserve=yes", "DeviceAllow=char-188 rw",
          "LoadCredential=fieldpost:/etc/fieldpost/credentials")
FORBIDDEN = ("ProcSubset=pid", "SupplementaryGroups=")


def unit_text(name):
    with open(f"{ROOT}/systemd/{name}", encoding="utf-8") as file:
        return file.read()


def example(name):
    with open(f"{ROOT}/examples/systemd/{name}", encoding="utf-8") as file:
        return file.read()


def analyze(*words):
    return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, check=False)


class Units(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        for name in UNITS:  # the program is not installed where the tests run
            self.write(name, re.sub("^ExecStart=.*", "ExecStart=/bin/true", unit_text(name), flags=re.M))

    def write(self, name, text):
        with open(f"{self.folder.name}/{name}", "w", encoding="utf-8") as file:
            file.write(text)

    def verify(self):
        done = analyze("verify", "--man=no", *(f"{self.folder.name}/{name}" for name in UNITS))
        # Other units of the machine have their own troubles; ours are named.
        return done.returncode, [line for line in done.stderr.splitlines() if "fieldpost" in line]

    def exposed(self):
        return analyze("security", "--offline=true", f"--threshold={EXPOSURE}", "--no-pager",
                       f"{self.folder.name}/fieldpost.service")

    def test_verify(self):
        self.assertEqual((0, []), self.verify())

    def test_verify_notices(self):
        self.write("fieldpost.service", unit_text("fieldpost.service") + "RestartSecs=1\n")
        self.assertTrue(self.verify()[1])

    def test_exposure(self):
        done = self.exposed()
        self.assertEqual(0, done.returncode, done.stdout)
        print(done.stdout.strip().splitlines()[-1])

    def test_exposure_notices(self):
        text = unit_text("fieldpost.service").replace("ProtectSystem=strict", "")
        self.write("fieldpost.service", text.replace("PrivateUsers=yes", ""))
        self.assertNotEqual(0, self.exposed().returncode)

    def test_examples_parse(self):
        os.mkdir(f"{self.folder.name}/fieldpost.service.d")
        for name in ("data-partition.conf", "ip-allow-list.conf"):
            self.write(f"fieldpost.service.d/{name}", example(name))
        self.write("var-lib-fieldpost.mount", example("var-lib-fieldpost.mount"))
        self.write_plugin()
        done = analyze("verify", "--man=no", *(f"{self.folder.name}/{name}" for name in (
            "var-lib-fieldpost.mount", "fieldpost.service", "fieldpost-boiler.socket",
            "fieldpost-boiler@.service")))
        self.assertEqual([], [line for line in done.stderr.splitlines() if "fieldpost" in line])
        self.assertEqual(sorted(os.listdir(f"{ROOT}/examples/systemd")),
                         ["data-partition.conf", "fieldpost-boiler.socket", "fieldpost-boiler@.service",
                          "hardware-watchdog.conf", "ip-allow-list.conf", "var-lib-fieldpost.mount"])

    def write_plugin(self):
        self.write("fieldpost-boiler.socket", example("fieldpost-boiler.socket"))
        self.write("fieldpost-boiler@.service", re.sub("^ExecStart=.*", "ExecStart=/bin/true",
                                                       example("fieldpost-boiler@.service"), flags=re.M))

    def test_a_plugin_of_its_own_is_tighter(self):
        self.write_plugin()
        done = analyze("security", "--offline=true", f"--threshold={PLUGIN_EXPOSURE}", "--no-pager",
                       f"{self.folder.name}/fieldpost-boiler@.service")
        self.assertEqual(0, done.returncode, done.stdout)
        print(done.stdout.strip().splitlines()[-1])

    def test_the_hardware_can_count_so_far(self):
        found = re.search("^RuntimeWatchdogSec=([0-9]+)s$", example("hardware-watchdog.conf"), re.M)
        self.assertLessEqual(int(found[1]), 15)

    def test_decisions_stand(self):
        lines = unit_text("fieldpost.service").splitlines()
        self.assertEqual([], [line for line in NEEDED if line not in lines])
        self.assertEqual([], [line for line in lines if line.startswith(FORBIDDEN)])

    def test_socket_is_for_operators(self):
        lines = unit_text("fieldpost.socket").splitlines()
        for line in ("SocketGroup=fieldpost-operator", "SocketMode=0660", "FileDescriptorName=control"):
            self.assertIn(line, lines)

    def test_they_wait_for_nothing(self):
        """Before it is set up the service runs, and says so."""
        for name in UNITS:
            self.assertNotIn("Condition", unit_text(name))


if __name__ == "__main__":
    if not shutil.which("systemd-analyze"):
        print("systemd-analyze is not installed")
        sys.exit(77)
    unittest.main(verbosity=2)
