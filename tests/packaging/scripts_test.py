#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The scripts that everything else is judged by: what they count, and that they parse."""
import os
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = os.environ.get("FIELDPOST_SOURCE_DIR") or os.path.realpath(os.path.join(__file__, "../../.."))
BUILD = os.environ.get("FIELDPOST_BUILD_DIR") or f"{ROOT}/build/dev"

PASS = '<testcase name="a.pass" time="0.1" status="run"/>'
FAIL = '<testcase name="a.fail" time="0.1" status="fail"><system-out>why it failed</system-out></testcase>'
SKIP = ('<testcase name="a.skip" time="0" status="notrun"><skipped message="SKIP_RETURN_CODE=77"/>'
        '<system-out>no such tool</system-out></testcase>')
MISSING = ('<testcase name="a.missing" time="0" status="notrun">'
           '<skipped message="Unable to find executable"/></testcase>')


def summary(*cases):
    with tempfile.NamedTemporaryFile("w", suffix=".xml") as file:
        file.write(f"<testsuite>{''.join(cases)}</testsuite>")
        file.flush()
        done = subprocess.run([sys.executable, f"{ROOT}/scripts/test_summary.py", file.name],
                              capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    return done.returncode, lines[-1], lines[:-1]


class Summary(unittest.TestCase):
    def test_all_passed(self):
        self.assertEqual((0, "2 passed, 0 failed"), summary(PASS, PASS)[:2])

    def test_a_failure_is_counted_and_shown(self):
        status, last, lines = summary(PASS, FAIL)
        self.assertEqual((1, "1 passed, 1 failed"), (status, last))
        self.assertIn("  why it failed", lines)
        self.assertIn("failed: a.fail", lines)

    def test_a_test_that_cannot_run_has_failed(self):
        self.assertEqual((1, "1 passed, 1 failed"), summary(PASS, MISSING)[:2])

    def test_a_skip_is_neither_and_says_why(self):
        status, last, lines = summary(PASS, SKIP)
        self.assertEqual((0, "1 passed, 0 failed"), (status, last))
        self.assertIn("skipped: a.skip: no such tool", lines)

    def test_no_test_is_a_failure(self):
        self.assertEqual((1, "0 passed, 1 failed"), summary()[:2])
        self.assertEqual((1, "0 passed, 1 failed"), summary(SKIP)[:2])


class Scripts(unittest.TestCase):
    def test_shell_parses(self):
        for name in ("scripts/lib.sh", "scripts/test", "scripts/package", "scripts/demo",
                     "scripts/losant-like-broker", "scripts/rig", "tests/rig/build_kernel",
                     "tests/rig/build_image", "tests/rig/guest/rig-hw",
                     "scripts/update-readme", ".ci/run", "tests/packaging/root.sh",
                     "tests/packaging/install_test", "tests/packaging/live_test",
                     "tests/packaging/autopkgtest_test", "tests/packaging/piuparts_test",
                     "tests/packaging/reproducible_test", "scripts/roots.sh", "debian/tests/sdk-build",
                     "debian/fieldpost.postinst", "debian/fieldpost.preinst.armhf"):
            done = subprocess.run(["bash", "-n", f"{ROOT}/{name}"], capture_output=True, check=False)
            self.assertEqual(b"", done.stderr)

    def test_package_lists_cover_the_build_dependencies(self):
        with open(f"{ROOT}/debian/control", encoding="utf-8") as file:
            block = file.read().split("Build-Depends:")[1].split("\n\n")[0]
        wanted = {re.split(r"[ (<]", line.strip().rstrip(","))[0]
                  for line in block.splitlines() if line.strip()}
        wanted = {name for name in wanted if not name.startswith(("debhelper", "dh-sequence"))}
        with open(f"{ROOT}/scripts/packages/build.txt", encoding="utf-8") as file:
            listed = set(file.read().split())
        self.assertEqual(set(), wanted - listed)

    def test_versions_agree(self):
        with open(f"{ROOT}/CMakeLists.txt", encoding="utf-8") as file:
            project = re.search(r"project\(fieldpost VERSION ([\d.]+)", file.read())[1]
        with open(f"{ROOT}/debian/changelog", encoding="utf-8") as file:
            self.assertEqual(project, re.match(r"fieldpost \(([\d.]+)\)", file.read())[1])
        with open(f"{ROOT}/NEWS.md", encoding="utf-8") as file:
            self.assertIn(f"## {project}", file.read())


class Package(unittest.TestCase):
    def test_the_trigger_watches_where_plugins_are_installed(self):
        folders = set()
        for name in os.listdir(f"{ROOT}/debian"):
            if name.endswith(".install"):
                with open(f"{ROOT}/debian/{name}", encoding="utf-8") as file:
                    folders.update("/" + os.path.dirname(line.split()[0]) for line in file
                                   if line.rstrip().endswith(".so"))
        with open(f"{ROOT}/debian/fieldpost.triggers", encoding="utf-8") as file:
            watched = re.findall(r"^interest-noawait (\S+)$", file.read(), flags=re.M)
        self.assertEqual(sorted(folders), watched)

    def install_on(self, machine):
        """What the armhf package's preinst does where `uname -m` says so."""
        with tempfile.TemporaryDirectory() as folder:
            with open(f"{folder}/uname", "w", encoding="utf-8") as file:
                file.write(f"#!/bin/sh\necho {machine}\n")
            os.chmod(f"{folder}/uname", 0o755)
            return subprocess.run(["sh", f"{ROOT}/debian/fieldpost.preinst.armhf", "install"],
                                  env={"PATH": f"{folder}:{os.environ['PATH']}"},
                                  capture_output=True, text=True, check=False)

    def test_armv6_is_refused_in_words(self):
        done = self.install_on("armv6l")
        self.assertEqual(1, done.returncode)
        for words in ("armv6l", "Raspberry Pi 1", "ARMv7"):
            self.assertIn(words, done.stderr)

    def test_newer_processors_are_not(self):
        for machine in ("armv7l", "armv8l", "aarch64"):
            done = self.install_on(machine)
            self.assertEqual((0, ""), (done.returncode, done.stderr), machine)


class ManualPages(unittest.TestCase):
    """What the programs say of themselves is in their pages."""

    def compare(self, program, page, pattern):
        path = f"{BUILD}/{program}"
        if not os.path.exists(path):
            self.skipTest(f"{program} is not built")
        said = subprocess.run([path, "--help"], capture_output=True, text=True, check=True).stdout
        words = re.findall(pattern, said, flags=re.M)
        self.assertGreater(len(words), 5, said)
        with open(f"{ROOT}/docs/man/{page}", encoding="utf-8") as file:
            text = file.read().replace("\\-", "-")
        self.assertEqual([], [word for word in words if word not in text])

    def test_fieldpostd(self):
        self.compare("libexec/fieldpostd", "fieldpostd.8", r"--[a-z-]+")

    def test_fieldpost(self):
        self.compare("bin/fieldpost", "fieldpost.1", r"^  ([a-z]+) ")


class Readme(unittest.TestCase):
    def test_demo_output_is_of_this_demo(self):
        """The block between the markers has the demo's chapters, and the end every run must have."""
        with open(f"{ROOT}/README.md", encoding="utf-8") as file:
            block = re.search(r"<!-- demo -->\n```\n(.*)```\n<!-- /demo -->", file.read(), flags=re.S)
        self.assertIsNotNone(block, "no demo output: run scripts/update-readme")
        with open(f"{ROOT}/scripts/demo.py", encoding="utf-8") as file:
            outage = re.search(r"^OUTAGE = (\d+)", file_text := file.read(), flags=re.M)[1]
        headings = re.search(r"^HEADINGS = \((.*?)^\)", file_text, flags=re.S | re.M)[1]
        headings = [h.replace("{OUTAGE}", outage) for h in re.findall(r'"(.*)"', headings)]
        self.assertEqual(headings, re.findall(r"^== (.*)$", block[1], flags=re.M))
        self.assertRegex(block[1], r"(?m)^   lost +0$")
        self.assertIn('"status":"done"', block[1])

    def test_plugin_is_the_example(self):
        with open(f"{ROOT}/README.md", encoding="utf-8") as file:
            shown = re.search(r"```cpp\n(.*?)```", file.read(), flags=re.S)[1]
        with open(f"{ROOT}/examples/thermal/thermal.cpp", encoding="utf-8") as file:
            self.assertIn(shown, file.read())


if __name__ == "__main__":
    unittest.main(verbosity=2)
