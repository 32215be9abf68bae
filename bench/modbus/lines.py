#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What one bus carries: beside a unit that is silent, and at the speed of a serial line.

silent: two units on one connection are polled at 10 Hz, then one is silent for 40 s. The floor is what
the other was asked in the same run before: its rate meanwhile, as a part of that.

line: four units on a line of 9,600 baud, polled faster than it carries. The other end is a
pseudo-terminal that takes and gives bytes at the pace of such a line, 11 bits each, and answers at once,
so that the line is idle for nothing but the silent intervals and us. The floor is the time that the
frames and the silent intervals (3.5 characters before each frame) take: that, as a part of what it took.
"""
import argparse
import json
import os
import pathlib
import pty
import select
import statistics
import sys
import threading
import time
import tty

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "tests"))
from fakes import field  # noqa: E402  pylint: disable=wrong-import-position

CHARACTER = 11 / 9600
GAP = 3.5 * CHARACTER
REGISTERS = 60


def config(broker, url, units, interval):
    text = (f'config_version = 1\n[gateway]\ndevice_id = "{field.GATEWAY}"\n'
            f'[uplink]\nurl = "mqtt://127.0.0.1:{broker}"\nlimits = "plain"\n[clock]\ntrust = "always"\n'
            f'[[plugin]]\nname = "bus"\ntype = "modbus"\ninterval = "{interval}"\noptions.url = "{url}"\n')
    for unit in range(1, units + 1):
        text += (f'[[device]]\nname = "d{unit}"\nid = "{unit:024x}"\n'
                 f'[[plugin.unit]]\naddress = {unit}\ndevice = "d{unit}"\n')
        for r in range(REGISTERS):
            text += ('[[plugin.unit.register]]\n'
                     f'attribute = "r{r}"\ntable = "holding"\naddress = {r}\n')
    return text


def silent_unit(silence):
    with field.Field() as f:
        server = f.modbus(units="1,2")
        agent = f.agent(config(f.broker().port, f"tcp://127.0.0.1:{server.port}", 2, "100ms"))
        agent.wait_until_up(60)

        def rate(seconds):
            server.ask("log")
            began = time.monotonic()
            time.sleep(seconds)
            asked = server.ask("log").split()
            return sum(a.startswith("2:") for a in asked) / (time.monotonic() - began)
        before = rate(silence / 4)
        server.ask("silent 1 on")
        beside = rate(silence)
        return {"before_hz": before, "beside_hz": beside, "kept": beside / before}


def crc(data):
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (0xA001 if value & 1 else 0)
    return value.to_bytes(2, "little")


class Line(threading.Thread):
    """A line and all units on it, which answer each request for registers."""

    def __init__(self):
        super().__init__(daemon=True)
        self.master, self.slave = pty.openpty()
        tty.setraw(self.slave)
        self.name = os.ttyname(self.slave)
        self.cycles = []  # when each began, and how long its frames and gaps take
        self.ended = False
        self.start()

    def run(self):
        request = b""
        while not self.ended:
            if not select.select([self.master], [], [], 0.1)[0]:
                continue
            if not request:
                began = time.monotonic()
            request += os.read(self.master, 256)
            if len(request) < 8:
                continue
            answer = request[:2] + bytes([2 * request[5]]) + bytes(2 * request[5])
            answer += crc(answer)
            self.give(answer, began + 8 * CHARACTER + GAP)
            self.cycles.append((began, (8 + len(answer)) * CHARACTER + 2 * GAP))
            request = b""

    def give(self, answer, begin):
        """Each byte when its last bit has come."""
        given = 0
        while given < len(answer):
            passed = int((time.monotonic() - begin) / CHARACTER)
            if passed > given:
                given += os.write(self.master, answer[given:passed])
            time.sleep(max(0.0, begin + (given + 1) * CHARACTER - time.monotonic()))


def line_use(seconds):
    with field.Field() as f:
        line = Line()
        url = f"rtu://{line.name}?baud=9600&stop=2"
        agent = f.agent(config(f.broker().port, url, 4, "200ms"))
        agent.wait_until_up(60)
        time.sleep(seconds)
        line.ended = True
        line.join()
        cycles = line.cycles[1:]
        taken = [after[0] - before[0] for before, after in zip(cycles, cycles[1:])]
        least = [cycle[1] for cycle in cycles[:-1]]
        return {"requests": len(taken), "use": sum(least) / sum(taken),
                "ms_least": 1000 * statistics.mean(least), "ms_median": 1000 * statistics.median(taken)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--seconds", type=int, default=40, help="for each figure (40)")
    parser.add_argument("--json", type=pathlib.Path, help="write the figures to this file as well")
    args = parser.parse_args()
    silent, line = silent_unit(args.seconds), line_use(args.seconds)
    print(f"beside a silent unit: {silent['beside_hz']:.2f} of {silent['before_hz']:.2f} polls/s, "
          f"{silent['kept']:.3f} (goal 0.95)")
    print(f"9,600 baud: {line['requests']} requests, {line['ms_median']:.1f} ms each where "
          f"{line['ms_least']:.1f} ms are needed: line use {line['use']:.3f} (goal 0.90)")
    if args.json:
        args.json.write_text(json.dumps({"silent": silent, "line": line}, indent=2) + "\n")


if __name__ == "__main__":
    main()
