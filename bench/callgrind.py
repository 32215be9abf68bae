# SPDX-License-Identifier: Apache-2.0
"""Instructions for one item of work, counted by valgrind: the same on a busy machine as on an idle
one. The difference of two runs of different length, so that start-up does not count.
"""
import argparse
import json
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = pathlib.Path(os.environ.get("FIELDPOST_BUILD_DIR", ROOT / "build/release"))


def arguments(description, program):
    """A parser with the options that all have."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--program", default=str(BUILD / "bench" / program))
    parser.add_argument("--json", type=pathlib.Path, help="write the figures to this file as well")
    return parser


def instructions(command):
    """Instructions of one run."""
    ran = subprocess.run(
        ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *map(str, command)],
        capture_output=True, text=True, check=False)
    found = re.search(r"Collected\s*:\s*(\d+)", ran.stderr)
    if ran.returncode != 0 or not found:
        sys.exit(f"{' '.join(map(str, command))}: {ran.stderr}")
    return int(found.group(1))


def per_item(command, short, long, items):
    """Of `command` with the length of the run as its last argument; `items` for each unit of it."""
    more = instructions([*command, long]) - instructions([*command, short])
    return more / ((long - short) * items)


def write(path, rows):
    if path:
        path.write_text(json.dumps(rows, indent=2) + "\n")
