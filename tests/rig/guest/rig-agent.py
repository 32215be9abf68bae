#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The command channel of the rig: runs one request at a time that arrives on a virtio-serial port.

request:  one JSON line {"id", "cmd", "stdin": <bytes that follow>, "timeout"}, then those bytes
reply:    one JSON line {"id", "status", "out": <bytes>}, then those bytes: what the command printed
"""
import json
import os
import subprocess
import sys
import time


class Port:
    def __init__(self, path):
        self.fd = os.open(path, os.O_RDWR)
        self.buffer = b""

    def more(self):
        chunk = os.read(self.fd, 65536)
        self.buffer += chunk
        if not chunk:  # nobody on the host's side: half a request is worth nothing
            self.buffer = b""
            time.sleep(0.05)
        return bool(chunk)

    def line(self):
        while b"\n" not in self.buffer:
            self.more()
        head, _, self.buffer = self.buffer.partition(b"\n")
        return head

    def exactly(self, size):
        while len(self.buffer) < size:
            if not self.more():
                return None
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def send(self, data):
        view = memoryview(data)
        while view:
            view = view[os.write(self.fd, view[:32768]):]


def carry_out(request, stdin):
    """What it printed goes to a file, so that a background process does not hold up the answer."""
    with open("/run/rig.out", "w+b") as out:
        try:
            status = subprocess.run(["/bin/bash", "-c", request["cmd"]], input=stdin, stdout=out,
                                    stderr=subprocess.STDOUT, timeout=request["timeout"], cwd="/srv",
                                    start_new_session=True, check=False).returncode
        except subprocess.TimeoutExpired:
            status = 124
        out.seek(0)
        return status, out.read()


def main():
    port = Port(sys.argv[1])
    while True:
        try:
            request = json.loads(port.line())
            stdin = port.exactly(request["stdin"])
        except (ValueError, KeyError, TypeError):
            continue
        if stdin is None:
            continue
        status, out = carry_out(request, stdin)
        head = {"id": request["id"], "status": status, "out": len(out)}
        port.send(json.dumps(head).encode() + b"\n" + out)


main()
