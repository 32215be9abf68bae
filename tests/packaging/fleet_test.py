#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What docs/fleet.md tells the owners of many gateways to do: the repository is made by its script,
and this machine's apt, with folders of its own, gets packages from it.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(os.environ.get("FIELDPOST_SOURCE_DIR") or
                    pathlib.Path(__file__).resolve().parents[2])
NEEDED = ("apt-ftparchive", "gpg", "dpkg-deb", "apt-get")


def block(name):
    """The lines that follow <!-- name --> between fences."""
    text = (ROOT / "docs/fleet.md").read_text(encoding="utf-8")
    return re.search(rf"<!-- {name} -->\n```\w*\n(.*?)```", text, flags=re.S)[1]


class Repository(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="fieldpost-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.keys = {**os.environ, "GNUPGHOME": str(self.folder / "keys")}
        (self.folder / "keys").mkdir(mode=0o700)
        self.addCleanup(subprocess.run, ["gpgconf", "--kill", "all"], env=self.keys, check=False)
        self.run_it("gpg", "--batch", "--passphrase", "", "--quick-generate-key", "example", "ed25519")
        (self.folder / "example.gpg").write_bytes(self.run_it("gpg", "--export", text=False))
        self.publish = self.folder / "publish"
        self.publish.write_text(block("publish"))
        self.publish.chmod(0o755)
        self.architecture = self.run_it("dpkg", "--print-architecture").strip()

    def run_it(self, *args, text=True):
        done = subprocess.run([str(a) for a in args], env=self.keys, capture_output=True, text=text,
                              cwd=self.folder, check=False)
        self.assertEqual(0, done.returncode, done.stderr)
        return done.stdout

    def package(self, suite, version, architecture=None):
        tree = self.folder / "tree"
        (tree / "DEBIAN").mkdir(parents=True)
        (tree / "DEBIAN/control").write_text(
            f"Package: fieldpost\nVersion: {version}\nArchitecture: "
            f"{architecture or self.architecture}\nMaintainer: nobody <nobody@example.com>\n"
            "Description: stands for it\n")
        there = self.folder / "bookworm" / suite
        there.mkdir(parents=True, exist_ok=True)
        self.run_it("dpkg-deb", "--root-owner-group", "--build", tree, there)
        shutil.rmtree(tree)

    def apt(self, suite, *args):
        """A gateway's, which has this suite."""
        root = self.folder / f"gateway-{suite}"
        for name in ("state/lists/partial", "cache/archives/partial", "etc/parts", "etc/trusted"):
            (root / name).mkdir(parents=True, exist_ok=True)
        (root / "state/status").touch()
        source = block("sources").replace("https://apt.example.com", f"file:{self.folder}")
        source = source.replace("/etc/apt/keyrings", str(self.folder)).replace("/stable\n", f"/{suite}\n")
        (root / "etc/parts/fieldpost.sources").write_text(source)
        options = {"Dir::State": root / "state", "Dir::State::status": root / "state/status",
                   "Dir::Cache": root / "cache", "Dir::Etc": root / "etc",
                   "Dir::Etc::sourceparts": root / "etc/parts", "Dir::Etc::main": "/dev/null",
                   "Dir::Etc::parts": "/dev/null", "APT::Sandbox::User": "root",
                   "Dir::Etc::trustedparts": root / "etc/trusted"}
        flags = [flag for name, value in options.items() for flag in ("-o", f"{name}={value}")]
        return self.run_it(args[0], *flags, *args[1:])

    def candidate(self, suite):
        self.apt(suite, "apt-get", "update", "--error-on=any")
        return self.apt(suite, "apt-cache", "policy", "fieldpost")

    def test_a_suite_has_what_was_published_there(self):
        self.package("stable", "0.1.0~deb12")
        self.package("stable", "0.1.0~deb12", "riscv64")  # which is not ours
        for version in ("0.1.0~deb12", "0.2.0~deb12"):
            self.package("candidate", version)
        for suite in ("stable", "candidate"):
            self.run_it(self.publish, self.folder / "bookworm" / suite, suite)
        self.assertIn("Candidate: 0.1.0~deb12", self.candidate("stable"))
        said = self.candidate("candidate")
        self.assertIn("Candidate: 0.2.0~deb12", said)
        self.assertIn("0.1.0~deb12", said, "the way back")
        # By these unattended-upgrades knows them.
        self.assertIn("release o=Example,a=candidate", self.apt("candidate", "apt-cache", "policy"))
        self.apt("candidate", "apt-get", "download", "fieldpost")
        self.assertTrue((self.folder / f"fieldpost_0.2.0~deb12_{self.architecture}.deb").exists())
        self.run_it("cp", self.folder / f"bookworm/candidate/fieldpost_0.2.0~deb12_{self.architecture}.deb",
                    self.folder / "bookworm/stable")
        self.run_it(self.publish, self.folder / "bookworm/stable", "stable")
        self.assertIn("Candidate: 0.2.0~deb12", self.candidate("stable"))

    def test_what_was_changed_afterwards_is_refused(self):
        self.package("stable", "0.1.0~deb12")
        self.run_it(self.publish, self.folder / "bookworm/stable", "stable")
        for name in ("Packages", "Packages.gz"):
            (self.folder / "bookworm/stable" / name).write_text("Package: other\n")
        with self.assertRaisesRegex(AssertionError, "Hash Sum|unexpected size"):
            self.candidate("stable")


if __name__ == "__main__":
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        print(f"skipped: {', '.join(missing)} missing (apt install apt-utils gpg)")
        sys.exit(77)
    unittest.main(verbosity=2)
