#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the store costs its disk: bytes at the block layer for each reading, beside their floor.

Needs root, for an ext4 file system of its own on a loop device. 200 attributes, once a second; the
first two hours are warm-up, the third is measured.
Build first: cmake --preset release && cmake --build --preset release --target bench_disk
"""
import contextlib
import json
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
import callgrind  # noqa: E402  pylint: disable=wrong-import-position

IMAGE_BYTES = 512 << 20
GOALS = {1: 55, 5: 16}  # of `offline`
# At 30 s as a ratio to the floor: docs/decisions/0011-thirty-seconds-between-flushes-cost-seven-bytes.md
GOAL_RATIOS = {30: 1.8}


@contextlib.contextmanager
def ext4():
    """A folder that is an ext4 file system on a loop device."""
    with tempfile.TemporaryDirectory(prefix="bench-disk-") as folder:
        image, mount = pathlib.Path(folder, "image"), pathlib.Path(folder, "mount")
        with open(image, "wb") as file:
            file.truncate(IMAGE_BYTES)
        mount.mkdir()
        # Without the lazy initialisation, which would write in the background.
        subprocess.run(["mke2fs", "-q", "-t", "ext4", "-E", "lazy_itable_init=0,lazy_journal_init=0",
                        image], check=True)
        subprocess.run(["mount", "-o", "loop", image, mount], check=True)
        try:
            yield mount
        finally:
            subprocess.run(["umount", mount], check=True)


def measure(program, mode, interval, *more):
    with ext4() as folder:
        ran = subprocess.run(
            [program, "--dir", folder, "--mode", mode, "--interval", str(interval), *more],
            capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        sys.exit(ran.stderr)
    run = json.loads(ran.stdout)
    flushes = max(1, run["flushes"])
    return {"bytes": run["device_bytes"] / run["readings"], "syncs": run["syncs"] / flushes}


def main():
    parser = callgrind.arguments(__doc__, "bench_disk")
    parser.add_argument("--interval", type=int, nargs="*", default=[1, 5, 30])
    args = parser.parse_args()
    rows = []
    print("bytes at the block layer for each reading (ext4 on a loop device)\n")
    print("| flush | floor: a log | offline | goal | acknowledged late | fdatasync a flush |"
          " offline, 10 devices |\n|---|---|---|---|---|---|---|")
    for interval in args.interval:
        run = {mode: measure(args.program, mode, interval) for mode in ("floor", "offline", "late")}
        ten = measure(args.program, "offline", interval, "--devices", "10")
        goal = GOALS.get(interval) or run["floor"]["bytes"] * GOAL_RATIOS.get(interval, 0) or None
        rows.append({"interval_s": interval, "goal": goal, "offline_10_devices": ten, **run})
        print(f"| {interval} s | {run['floor']['bytes']:.1f} | {run['offline']['bytes']:.1f} | "
              f"{f'{goal:.3g}' if goal else ''} | {run['late']['bytes']:.1f} | "
              f"{run['offline']['syncs']:.3f} | {ten['bytes']:.1f} |", flush=True)
    online = measure(args.program, "online", 5, "--seconds", "200")
    rows.append({"online": online})
    print(f"\nonline, acknowledged in time: {online['bytes']:.1f} (goal 0)")
    callgrind.write(args.json, rows)


if __name__ == "__main__":
    main()
