#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A time server on 127.0.0.1 for a guest whose own clock is wrong: rig-ntp.py UTC, what the time is now."""
import socket
import struct
import sys
import time

SINCE_1900 = 2208988800
start = float(sys.argv[1]) - time.monotonic()


def stamp():
    now = time.monotonic() + start + SINCE_1900
    return struct.pack(">II", int(now), int((now % 1) * 2**32))


with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
    server.bind(("127.0.0.1", 123))
    while True:
        request, sender = server.recvfrom(512)
        received = stamp()
        # Stratum 1, precision 2^-20, no delay, a reference that was just now; RFC 5905.
        head = struct.pack(">BBbbII4s", 0x24, 1, 4, -20, 0, 0, b"GPS\0")
        server.sendto(head + received + request[40:48] + received + stamp(), sender)
