#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/pains.md names tests that exist: a renamed or removed one has to be put right there."""
import os
import pathlib
import re
import unittest

ROOT = pathlib.Path(os.environ.get("FIELDPOST_SOURCE_DIR") or pathlib.Path(__file__).parents[2])
PAINS = 36
ROW = re.compile(r"^\| (\d+) \| (.+) \| (.*) \|(.*)\|$")


def rows():
    text = (ROOT / "docs/pains.md").read_text(encoding="utf-8")
    return [match.groups() for line in text.splitlines() if (match := ROW.match(line))]


def test_names():
    """Of GoogleTest `Suite.Name`, of Python `file.test_name`, of the rig `rig: scenario`."""
    names = {f"rig: {path.name}" for path in (ROOT / "tests/rig/scenarios").iterdir()}
    for path in (ROOT / "tests").rglob("*.cpp"):
        for suite, name in re.findall(r"^TEST(?:_[FP])?\((\w+),\s+(\w+)\)", path.read_text(encoding="utf-8"), re.M):
            names.add(f"{suite}.{name}")
    for path in (ROOT / "tests").rglob("*_test.py"):
        for name in re.findall(r"^    def (test_\w+)", path.read_text(encoding="utf-8"), re.M):
            names.add(f"{path.stem}.{name}")
    return names


class Pains(unittest.TestCase):
    def test_each_is_there_once(self):
        self.assertEqual([int(number) for number, *_ in rows()], list(range(1, PAINS + 1)))

    def test_each_names_tests_that_exist_or_says_that_there_is_none(self):
        known = test_names()
        self.assertGreater(len(known), 1000, "hardly any test is seen: is it looking at the tree?")
        for number, _, here, shown in rows():
            named = re.findall(r"`([^`]+)`", shown)
            self.assertTrue(named or "not there yet" in here, f"{number} has neither")
            self.assertEqual([name for name in named if name not in known], [], f"of {number}")


if __name__ == "__main__":
    unittest.main()
