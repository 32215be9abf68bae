# SPDX-License-Identifier: Apache-2.0
"""File systems of their own, to break: a real ext4 on a loop device, or a tmpfs. Want root."""
import contextlib
import os
import pathlib
import subprocess
import unittest

from fakes import field


def run(*words, check=True):
    return subprocess.run([str(w) for w in words], check=check, capture_output=True, text=True,
                          timeout=60)


class Disk:
    """A file system at `place`; ends with the test. The test is skipped where none can be mounted."""

    def __init__(self, test, place, medium="ext4", backing=None):
        if os.geteuid() != 0:
            raise unittest.SkipTest("only root may mount a file system")
        self.place = pathlib.Path(place)
        self.place.mkdir(exist_ok=True)
        self.frozen = False
        test.addCleanup(self.close)
        if medium == "tmpfs":
            self.mount("-t", "tmpfs", "-o", "size=16m", "tmpfs")
            return
        self.image = pathlib.Path(backing or self.place.parent) / (self.place.name + ".img")
        with open(self.image, "wb") as image:
            image.truncate(16 << 20)
        # Without a journal: what an error leaves is then for its user to deal with, not for ext4.
        run(field.program("mkfs.ext4"), "-q", "-F", "-O", "^has_journal", "-E",
            "lazy_itable_init=0", self.image)
        self.attach()

    def mount(self, *words):
        done = run("mount", *words, self.place, check=False)
        if done.returncode != 0:
            raise unittest.SkipTest(f"may not mount here: {done.stderr.strip()}")

    def attach(self, options=""):
        self.mount("-o", "loop,errors=remount-ro" + options, self.image)

    def remount(self, how):
        run("mount", "-o", f"remount,{how}", self.place)

    def break_down(self):
        """As ext4 does it when it finds itself damaged: read-only in the middle of everything."""
        device = run("findmnt", "-n", "-o", "SOURCE", self.place).stdout.strip()
        trigger = pathlib.Path("/sys/fs/ext4") / pathlib.Path(device).name / "trigger_fs_error"
        if not trigger.exists():
            raise unittest.SkipTest("this kernel has no trigger_fs_error")
        trigger.write_text("1")

    def repair(self):
        """Nobody may have anything open on it."""
        run("umount", self.place)
        run(field.program("fsck.ext4"), "-p", "-f", self.image, check=False)
        self.attach()

    def freeze(self):
        run(field.program("fsfreeze"), "-f", self.place)
        self.frozen = True

    def thaw(self):
        if self.frozen:
            run(field.program("fsfreeze"), "-u", self.place)
            self.frozen = False

    def close(self):
        with contextlib.suppress(subprocess.SubprocessError):
            self.thaw()
        run("umount", "-l", self.place, check=False)
