#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Power cuts on a real ext4: the store lives on a file system whose disk logs every write and flush
(logged_disk.py), with the store's own words in between. Then, for many points of that log, a disk is
made that has everything up to the last flush and some of what came after it, ext4 recovers it, and
the store's code must find what was promised up to there. A build that does not sync is found out.

    ext4_test.py [CUTS]

Exit status 77, with the reason: this machine cannot do it.
"""
import contextlib
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

CANNOT = 77
HERE = pathlib.Path(__file__).resolve().parent
DRIVER = pathlib.Path(os.environ["FIELDPOST_BUILD_DIR"]) / "tests" / "power_driver"
DISK_BYTES = 24 << 20
PIECE = 4096  # what a drive writes whole or not at all
LONG = "FIELDPOST_LONG" in os.environ
STEPS = 2400 if LONG else 900  # of a life
PATIENCE = 120  # s


def cannot(why):
    print(f"cannot run: {why}")
    sys.exit(CANNOT)


try:
    from logged_disk import entries
except ImportError as missing:
    cannot(f"{missing} (Debian's python3-pyfuse3)")


def run(*command, **options):
    return subprocess.run([str(part) for part in command], check=True, timeout=PATIENCE, **options)


def wait_for(condition, what):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.01)


@contextlib.contextmanager
def mounted(image, where):
    """An ext4 image on a loop device that goes when it is unmounted."""
    where.mkdir(exist_ok=True)
    run("mount", "-o", "loop,noatime", image, where)
    try:
        yield where
    finally:
        run("umount", where)


@contextlib.contextmanager
def logged_disk(folder):
    """A folder on an ext4 whose disk writes folder/log; folder/base is the disk before it."""
    for name in ("base", "image"):
        with open(folder / name, "wb") as image:
            image.truncate(DISK_BYTES)
        if name == "base":
            run("mke2fs", "-q", "-F", "-t", "ext4", folder / name)
    shutil.copyfile(folder / "base", folder / "image")
    fuse = folder / "fuse"
    fuse.mkdir()
    server = subprocess.Popen([sys.executable, HERE / "logged_disk.py", fuse, folder / "image",
                               folder / "log"])
    try:
        wait_for(lambda: server.poll() is not None or (fuse / "disk").exists(), "the disk")
        with mounted(fuse / "disk", folder / "ext4") as ext4:
            (ext4 / "state").mkdir()
            run("sync", "-f", ext4)
            yield ext4 / "state"
    finally:
        subprocess.run(["umount", fuse], check=False)
        server.wait(PATIENCE)


class CutImages:
    """What the disk may hold at points of the log, which ascend."""

    def __init__(self, folder, seed):
        self.log = list(entries(folder / "log"))
        self.durable = bytearray((folder / "base").read_bytes())
        self.done = 0  # of the log, in `durable`
        self.random = random.Random(seed)

    def points(self, count):
        """Not before the store was there; anywhere, or where most is at stake: before a flush."""
        first = next(i for i, entry in enumerate(self.log) if entry[0] == b"N")
        flushes = [i for i in range(first, len(self.log)) if self.log[i][0] == b"F"]
        anywhere = self.random.choices(range(first, len(self.log)), k=count // 2)
        return sorted(anywhere + self.random.choices(flushes, k=count - count // 2))

    def words(self, point):
        return b"".join(data for kind, _, data in self.log[:point] if kind == b"N")

    def write(self, point, path):
        flushes = [i for i in range(self.done, point) if self.log[i][0] == b"F"]
        flushed = flushes[-1] if flushes else self.done
        for kind, offset, data in self.log[self.done:flushed]:
            if kind == b"W":
                self.durable[offset:offset + len(data)] = data
        self.done = flushed
        image = bytearray(self.durable)
        share = self.random.choice((0, 0.5, 0.5, 0.9, 1))
        unsure = 0
        for kind, offset, data in self.log[flushed:point]:
            for at in range(0, len(data) if kind == b"W" else 0, PIECE):
                unsure += 1
                if self.random.random() < share:
                    piece = data[at:at + PIECE]
                    image[offset + at:offset + at + len(piece)] = piece
        path.write_bytes(image)
        return unsure


def check(images, point, folder):
    """What is wrong after a cut at this point; nothing, an empty text."""
    unsure = images.write(point, folder / "cut")
    (folder / "words").write_bytes(images.words(point))
    shutil.rmtree(folder / "run", ignore_errors=True)
    (folder / "run").mkdir()
    with mounted(folder / "cut", folder / "after") as after:
        checked = subprocess.run([DRIVER, "check", after / "state", folder / "run",
                                  folder / "words"], stdout=subprocess.PIPE,
                                 stderr=subprocess.DEVNULL, text=True, timeout=PATIENCE)
    return unsure, "" if checked.returncode == 0 else checked.stdout or f"{checked}"


def lives_and_cuts(durability, cuts, seed, wrong_build=False):
    """Cuts that were wrong, with what was wrong."""
    environment = dict(os.environ, **({"FIELDPOST_TEST_NO_SYNC": "1"} if wrong_build else {}))
    with tempfile.TemporaryDirectory(prefix="fieldpost-ext4-") as name:
        folder = pathlib.Path(name)
        with logged_disk(folder) as state:
            run(DRIVER, "live", state, folder / "run", folder / "fuse" / "notes", durability, seed,
                STEPS, stderr=subprocess.DEVNULL, env=environment)
        images = CutImages(folder, seed)
        flushes = sum(entry[0] == b"F" for entry in images.log)
        wrong, unsure = [], 0
        for point in images.points(cuts):
            more, problem = check(images, point, folder)
            unsure += more
            if problem:
                wrong.append(f"cut at {point}: {problem}")
        build = "a build that does not sync" if wrong_build else "the store"
        print(f"{build}, durability {durability}, FIELDPOST_SEED={seed}: {flushes} flushes, "
              f"{cuts} cuts with {unsure / cuts:.1f} pieces unflushed, {len(wrong)} with a loss",
              flush=True)
        return wrong


def main(cuts):
    seed = int(os.environ.get("FIELDPOST_SEED") or random.randrange(1 << 30))
    wrong = lives_and_cuts("memory", cuts // 2, seed) + lives_and_cuts("disk", cuts // 2, seed)
    for problem in wrong[:5]:
        print(problem)
    caught = lives_and_cuts("memory", 20, seed, wrong_build=True)
    if not caught:
        print("a build that does not sync went unnoticed")
    sys.exit(1 if wrong or not caught else 0)


if __name__ == "__main__":
    if os.geteuid() != 0:
        cannot("it mounts file systems, and only root may")
    for needed in ("/dev/fuse", "/dev/loop-control"):
        if not os.path.exists(needed):
            cannot(f"there is no {needed}")
    if "FIELDPOST_TEST_OWN_MOUNTS" not in os.environ:  # whatever happens, no mount is left behind
        os.environ["FIELDPOST_TEST_OWN_MOUNTS"] = "1"
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable,
                              *sys.argv])
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 400 if LONG else 20)
