#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the scenarios, one after the other, each in a machine of its own; scripts/rig explains."""
import argparse
import ast
import fcntl
import hashlib
import inspect
import os
import pathlib
import platform
import runpy
import shutil
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE))
from gateway import Gateway, eventually, step  # noqa: E402  pylint: disable=wrong-import-position
from machine import CACHE, ROOT, Failed, Machine  # noqa: E402  pylint: disable=wrong-import-position

SCENARIOS = HERE / "scenarios"
LIMIT = 300  # seconds for a scenario that does not set its own


def packages():
    release = platform.freedesktop_os_release()["VERSION_ID"]  # the guest is what the host is
    found = sorted((ROOT / "dist").glob(f"fieldpost*~deb{release}_amd64.deb"))
    found = [path for path in found if "-dbgsym_" not in path.name]
    if not found:
        sys.exit("no packages in dist/: run scripts/package")
    return found


def facts(name):
    """Of a scenario, without running it: its constants and its first line of documentation."""
    tree = ast.parse((SCENARIOS / name).read_text(encoding="utf-8"))
    found = {"LIMIT": LIMIT, "SNAPSHOT": "installed", "SHORT": False, "LOG_WRITES": False}
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in found:
            found[node.targets[0].id] = ast.literal_eval(node.value)
    return found | {"doc": ast.get_docstring(tree).splitlines()[0]}


# ---- snapshots

def snapshot(image, kind):
    """The folder of a snapshot, made if it is not there: "fresh", a booted Debian; "installed", one
    with the packages of dist/, not set up."""
    parts = [inspect.getsource(Machine.qemu).encode()]
    if kind == "installed":
        parts += [path.read_bytes() for path in packages()]
    digest = hashlib.sha256(b"".join(parts)).hexdigest()[:12]
    folder = CACHE / "snapshots" / f"{kind}-{image.name}-{digest}"
    if folder.exists():
        return folder
    before = None if kind == "fresh" else snapshot(image, "fresh")
    started = time.monotonic()
    for old in (CACHE / "snapshots").glob(f"{kind}-*"):
        shutil.rmtree(old)
    machine = fresh_machine(f"making-{kind}", image)
    try:
        machine.start(before)
        if kind == "fresh":
            machine.run("systemctl is-system-running --wait", timeout=240)
            eventually("the witness is connected", lambda: machine.holds(
                "ss -tn state established dport = :1883 | grep -q 1883"), 60)
        else:
            machine.install(packages())
        machine.save(folder)
    finally:
        machine.cut()
    print(f"== snapshot {kind}: {time.monotonic() - started:.0f} s", flush=True)
    return folder


def fresh_machine(name, image):
    folder = CACHE / "machines" / name
    shutil.rmtree(folder, ignore_errors=True)
    return Gateway(folder, image)


# ---- one scenario

def run_one(name, image):
    known = facts(name)
    machine = fresh_machine(name, image)
    started = time.monotonic()
    status = 1
    try:
        machine.start(snapshot(image, known["SNAPSHOT"]), log_writes=known["LOG_WRITES"])
        step(f"restored in {time.monotonic() - started:.1f} s")
        runpy.run_path(str(SCENARIOS / name))["scenario"](machine)
        status = 0
    except Failed as error:
        print(f"FAILED: {error}", flush=True)
    finally:
        keep_logs(name, machine)
        machine.cut()
    if not status:
        shutil.rmtree(machine.folder)  # a failed one stays, to be looked at
    return status


def keep_logs(name, machine):
    logs = CACHE / "logs" / name
    try:
        for file, command in (("journal", "journalctl --no-pager -b all -o short-precise"),
                              ("status", "systemctl status fieldpost --no-pager -l; fieldpost status"),
                              ("witness.gz", "gzip -c /var/log/witness")):
            (logs / file).write_bytes(machine.request(command, b"", 60)[1])
    except (Failed, OSError) as error:
        print(f"no logs of the guest: {error}")
    for file in ("console", "qemu.log"):
        if machine.path(file).exists():
            shutil.copy(machine.path(file), logs)


# ---- all of them

def run_limited(name, image):
    """(whether it passed, its last word) of a scenario in a process of its own."""
    logs = CACHE / "logs" / name
    shutil.rmtree(logs, ignore_errors=True)
    logs.mkdir(parents=True)
    limit = facts(name)["LIMIT"]
    with open(logs / "scenario", "wb") as log:
        process = subprocess.Popen([sys.executable, __file__, "--image", image, "--one", name], stdout=log,
                                   stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
        try:
            status = process.wait(limit)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # QEMU too
                process.wait()
    if status is None:
        return False, f"stopped after {limit} s"
    return status == 0, (logs / "scenario").read_text(errors="replace").strip()


def run_all(names, image):
    passed, failed = 0, []
    with open(CACHE / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two runs at a time must not both make them
        for kind in sorted({facts(name)["SNAPSHOT"] for name in names}):
            snapshot(image, kind)
    for name in names:
        started = time.monotonic()
        good, text = run_limited(name, image)
        print(f"{'ok' if good else 'FAILED':6} {name:12} {time.monotonic() - started:5.0f} s", flush=True)
        if good:
            passed += 1
            print("".join(f"         {line[3:]}\n" for line in text.splitlines() if line.startswith("-- ")), end="")
        else:
            failed.append(name)
            print(text, f"\nlogs: build/rig/logs/{name}/", flush=True)
    if failed:
        print("failed: " + " ".join(failed))
    print(f"{passed} passed, {len(failed)} failed")
    return 1 if failed or not passed else 0


def choose(words):
    known = [path.name for path in sorted(SCENARIOS.iterdir()) if path.is_file()]
    if unknown := set(words) - set(known) - {"short"}:
        sys.exit(f"no scenario {' '.join(sorted(unknown))}; there are: {' '.join(known)}")
    if "short" in words:
        os.environ["FIELDPOST_RIG_SHORT"] = "1"
        words = [word for word in words if word != "short"] + [name for name in known if facts(name)["SHORT"]]
    return words or known


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--image", type=pathlib.Path, required=True)
    parser.add_argument("--one")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--shell")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    if arguments.list:
        for name in choose([]):
            print(f"{name:12} {facts(name)['doc']}")
        return 0
    if arguments.shell:
        return shell(arguments.shell, arguments.image)
    if arguments.one:
        return run_one(arguments.one, arguments.image)
    return run_all(choose(arguments.names), arguments.image)


def shell(kind, image):
    """Commands from standard input in a machine of its own, one a line, until it ends."""
    machine = fresh_machine("shell", image)
    try:
        machine.start(snapshot(image, kind))
        while True:
            try:
                command = input("rig# ")
            except EOFError:
                return 0
            if command:
                print(machine.run(command, timeout=600, check=False), flush=True)
    finally:
        machine.cut()


if __name__ == "__main__":
    sys.exit(main())
