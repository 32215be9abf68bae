# SPDX-License-Identifier: Apache-2.0
"""An apt repository as docs/fleet.md has one made, and packages of dist/ under a higher version for it."""
import os
import pathlib
import re
import subprocess
import tempfile

import run
from machine import ROOT


def block(name):
    """Of docs/fleet.md: the lines that follow <!-- name --> between fences."""
    text = (ROOT / "docs/fleet.md").read_text(encoding="utf-8")
    return re.search(rf"<!-- {name} -->\n```\w*\n(.*?)```", text, flags=re.S)[1]


class Repository:
    """bookworm/SUITE below a folder of this machine, signed by a key of its own. To be left with `with`:
    the key goes."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.script = self.folder / "publish"
        self.folder.mkdir()
        self.script.write_text(block("publish"), encoding="utf-8")
        self.keys = tempfile.TemporaryDirectory(prefix="fieldpost-")  # gpg wants a short path

    def __enter__(self):
        self.call("gpg", "--batch", "--quiet", "--passphrase", "", "--quick-generate-key", "example", "ed25519")
        return self

    def __exit__(self, *_):
        self.call("gpgconf", "--kill", "all")
        self.keys.cleanup()

    def call(self, *command):
        return subprocess.run(command, env={**os.environ, "GNUPGHOME": self.keys.name}, check=True,
                              stdout=subprocess.PIPE).stdout

    def key(self, *options):
        """The public one: bytes for /etc/apt/keyrings."""
        return self.call("gpg", *options, "--export")

    def publish(self, suite, packages):
        """Adds these files to a suite."""
        there = self.folder / "bookworm" / suite
        there.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", *packages, there], check=True)
        self.call("sh", self.script, there, suite)

    def packages(self, suite):
        return sorted((self.folder / "bookworm" / suite).glob("*.deb"))


def repack(folder, version):
    """The packages of dist/, under a higher version."""
    folder.mkdir()
    for package in run.packages():
        tree = folder / "tree"
        subprocess.run(["dpkg-deb", "-R", package, tree], check=True)
        control = tree / "DEBIAN/control"
        text = control.read_text(encoding="utf-8")
        mine = re.search(r"^Version: (.*)$", text, flags=re.M)[1]
        control.write_text(text.replace(mine, f"{version}~rig"), encoding="utf-8")
        subprocess.run(["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "-b", tree, folder], check=True,
                       stdout=subprocess.DEVNULL)
        subprocess.run(["rm", "-r", tree], check=True)
    return sorted(folder.glob("*.deb"))
