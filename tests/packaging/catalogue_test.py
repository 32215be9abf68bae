#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""systemd/fieldpost.catalog explains the messages of src/base/message_ids.hpp, all and no others."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(os.environ.get("FIELDPOST_SOURCE_DIR") or pathlib.Path(__file__).parents[2])
CATALOGUE = ROOT / "systemd/fieldpost.catalog"
HEADER = ROOT / "src/base/message_ids.hpp"
ID = r"[0-9a-f]{32}"


def ids():
    """Name to id."""
    return dict(re.findall(rf'MessageId (k\w+)\("({ID})"\)', HEADER.read_text(encoding="utf-8")))


def entries():
    """Id to text."""
    parts = re.split(rf"^-- ({ID})\n", CATALOGUE.read_text(encoding="utf-8"), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def calls():
    """Name to the text of each log call with this id."""
    found = {}
    for path in (ROOT / "src").rglob("*.cpp"):
        for name, call in re.findall(r"message_id::(k\w+)(.*?);", path.read_text(encoding="utf-8"), flags=re.S):
            found.setdefault(name, []).append(call)
    return found


class Catalogue(unittest.TestCase):
    def test_both_have_the_same_ids(self):
        self.assertGreaterEqual(len(ids()), 12)
        self.assertEqual(sorted(ids().values()), sorted(entries()))
        self.assertEqual(len(ids()), CATALOGUE.read_text(encoding="utf-8").count("\n-- "))

    def test_each_is_logged(self):
        self.assertEqual(sorted(ids()), sorted(calls()))

    def test_each_says_what_it_means_and_what_to_do(self):
        for message, text in entries().items():
            self.assertRegex(text, r"^Subject: \S.*\nDefined-By: Fieldpost\nDocumentation: \S+\n\n\S", message)
            self.assertIn("\nWhat to do: ", text, message)
            self.assertLessEqual(max(map(len, text.splitlines())), 80, message)

    def test_its_fields_come_with_the_message(self):
        for name, message in ids().items():
            fields = set(re.findall(r"@(\w+)@", entries()[message]))
            for call in calls()[name]:
                self.assertEqual([], [f for f in sorted(fields) if f'"{f}"' not in call], name)

    def test_journalctl_takes_it(self):
        if shutil.which("journalctl") is None:
            self.skipTest("no journalctl")
        with tempfile.TemporaryDirectory() as root:
            for folder in ("usr/lib/systemd/catalog", "var/lib/systemd/catalog"):
                os.makedirs(f"{root}/{folder}")
            shutil.copy(CATALOGUE, f"{root}/usr/lib/systemd/catalog")

            def run(*args):
                done = subprocess.run(["journalctl", f"--root={root}", *args], capture_output=True, text=True,
                                      check=False)
                self.assertEqual((0, ""), (done.returncode, done.stderr))
                return done.stdout
            run("--update-catalog")
            listed = re.findall(rf"^({ID}) Fieldpost: ", run("--list-catalog"), flags=re.M)
            self.assertEqual(sorted(ids().values()), sorted(listed))

    def test_the_package_has_it(self):
        listed = (ROOT / "debian/fieldpost.install").read_text(encoding="utf-8")
        self.assertIn("systemd/fieldpost.catalog usr/lib/systemd/catalog/\n", listed)


if __name__ == "__main__":
    unittest.main(verbosity=2)
