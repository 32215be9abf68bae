#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the tree's own rules: includes follow the architecture's arrows, files say their licence,
nothing names the machine it was written on. Needs no build: `python3 tests/layers/layers_test.py`.
"""
import os
import re
import subprocess
import sys
import tempfile
import unittest

from rules import SOURCES, check_includes

ROOT = os.environ.get("FIELDPOST_SOURCE_DIR") or os.path.realpath(os.path.join(__file__, "../../.."))
LONG_FILE = 450  # lines; longer is worth a thought, not an error

# Folders that exist only where this was written, and what would give them away. Put together
# here so that this file does not find itself.
MACHINE_PATHS = re.compile("|".join(f"/{p}/" for p in ("work", "farm", "home", "root")))


def tracked_files():
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                            cwd=ROOT, capture_output=True, check=False)
    if listed.returncode == 0:
        return [n for n in listed.stdout.decode().split("\0") if os.path.isfile(f"{ROOT}/{n}")]
    # A tree without git (an unpacked source package).
    return [os.path.relpath(os.path.join(folder, name), ROOT)
            for folder, _, names in os.walk(ROOT) for name in names
            if not os.path.relpath(folder, ROOT).startswith(("build", ".", "dist"))]


def text_of(name):
    try:
        with open(os.path.join(ROOT, name), encoding="utf-8") as file:
            return file.read()
    except UnicodeDecodeError:
        return ""  # a picture, a corpus: nothing of ours to read


def is_code(name):
    return name.endswith((*SOURCES, ".py", ".sh")) or text_of(name).startswith("#!")


class Tree(unittest.TestCase):
    def test_includes_follow_the_arrows(self):
        complaints, seen = check_includes(ROOT)
        self.assertGreater(seen, 100, "the check sees hardly any include: is it looking at the tree?")
        self.assertEqual([], complaints)

    def test_code_says_its_licence_first(self):
        code = [name for name in tracked_files() if is_code(name)]
        self.assertGreater(len(code), 30)
        without = [n for n in code
                   if not any("SPDX-License-Identifier: Apache-2.0" in line
                              for line in text_of(n).splitlines()[:2])]
        self.assertEqual([], without)

    def test_nothing_names_a_machine(self):
        found = [f"{name}:{number}: {line.strip()}"
                 for name in tracked_files()
                 for number, line in enumerate(text_of(name).splitlines(), 1)
                 if MACHINE_PATHS.search(line)]
        self.assertEqual([], found)

    def test_long_files_are_named(self):
        for name in tracked_files():
            lines = text_of(name).count("\n")
            if name.endswith((*SOURCES, ".py")) and lines > LONG_FILE:
                print(f"warning: {name} has {lines} lines", file=sys.stderr)


class RulesBite(unittest.TestCase):
    """The check itself: each kind of violation is found, and its allowed neighbour is not."""

    def complaints(self, file, include):
        with tempfile.TemporaryDirectory() as root:
            path = os.path.join(root, file)
            os.makedirs(os.path.dirname(path))
            with open(path, "w", encoding="utf-8") as out:
                out.write(f"// SPDX\n#include {include}\n")
            return check_includes(root)[0]

    def test_forbidden_is_found(self):
        for file, include in (
                ("src/base/a.hpp", '"model/reading.hpp"'),
                ("src/model/a.cpp", '"config/config.hpp"'),
                ("src/config/a.cpp", '"store/outbox.hpp"'),
                ("src/store/a.cpp", '"uplink/uplink.hpp"'),
                ("src/host/a.cpp", '"store/outbox.hpp"'),
                ("src/host/a.cpp", '"supervisor/host_fsm.hpp"'),
                ("src/uplink/a.cpp", '"store/database.hpp"'),
                ("src/commands/a.cpp", '"store/outbox.hpp"'),
                ("src/cli/a.cpp", '"main/options.hpp"'),
                ("src/base/a.cpp", '"text.hpp"'),
                ("src/supervisor/a.cpp", "<fieldpost/plugin.h>"),
                ("src/main/a.cpp", "<sqlite3.h>"),
                ("src/uplink/batcher.cpp", "<mosquitto.h>"),
                ("src/config/a.cpp", "<boost/program_options.hpp>"),
                ("src/base/a.cpp", "<boost/asio.hpp>"),
                ("src/main/a.cpp", "<systemd/sd-event.h>"),
                ("src/commands/a.cpp", "<nlohmann/json.hpp>"),
                ("src/base/a.cpp", "<curl/curl.h>"),
                ("src/invented/a.cpp", "<string>"),
                ("plugins/sim/sim.cpp", '"base/result.hpp"'),
                ("plugins/sim/sim.cpp", "<modbus/modbus.h>"),
                ("include/fieldpost/plugin.hpp", '"model/value.hpp"')):
            with self.subTest(file=file, include=include):
                self.assertEqual(1, len(self.complaints(file, include)))

    def test_allowed_is_not(self):
        for file, include in (
                ("src/model/a.cpp", '"base/result.hpp"'),
                ("src/uplink/a.cpp", '"store/outbox.hpp"'),
                ("src/commands/a.cpp", '"store/database.hpp"'),
                ("src/host/a.cpp", "<fieldpost/plugin.h>"),
                ("src/uplink/session.cpp", "<mosquitto.h>"),
                ("src/uplink/transport.cpp", "<boost/asio.hpp>"),
                ("src/main/a.cpp", "<systemd/sd-daemon.h>"),
                ("src/main/a.cpp", "<boost/program_options/parsers.hpp>"),
                ("plugins/i2c/i2c.cpp", "<linux/i2c-dev.h>"),
                ("plugins/gpio/gpio.cpp", "<gpiod.h>"),
                ("plugins/sim/sim.cpp", '"sim.cpp"')):
            with self.subTest(file=file, include=include):
                self.assertEqual([], self.complaints(file, include))


if __name__ == "__main__":
    unittest.main(verbosity=2)
