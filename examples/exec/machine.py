#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the machine's load and free memory every few seconds, until it is ended: mode = "stream"."""
import json
import os
import sys
import time

PAUSE = float(sys.argv[1]) if len(sys.argv) > 1 else 10


def free_memory():
    with open("/proc/meminfo", encoding="ascii") as lines:
        for line in lines:
            name, value = line.split(":")
            if name == "MemAvailable":
                return int(value.split()[0]) / 1024
    return None  # becomes null, which says that there is no value; never 0


while True:
    print(json.dumps({"load": os.getloadavg()[0], "free_memory": free_memory()}), flush=True)
    time.sleep(PAUSE)
