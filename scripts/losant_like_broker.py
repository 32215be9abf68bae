#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What scripts/losant-like-broker runs once everything is installed and built."""
import argparse
import collections
import json
import os
import pathlib
import shutil
import signal
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tests"))
from broker.check_record import Checker  # noqa: E402  pylint: disable=wrong-import-position
from fakes import field, losant  # noqa: E402

# The same for every run, so that a configuration can go on naming the files in it.
FOLDER = field.BUILD.parent / "losant-like-broker"
PORT = 21883


def say(text):
    print(text, flush=True)


def options():
    parser = argparse.ArgumentParser(
        prog="losant-like-broker", description="A broker on 127.0.0.1 that keeps Losant's rules.")
    parser.add_argument("devices", metavar="DEVICES",
                        help="file with what `fieldpost attributes --json` prints; - is standard input")
    parser.add_argument("--port", type=int, default=PORT, metavar="N",
                        help=f"of mqtt; ws, mqtts and wss have the next ones ({PORT}); 0: free ones")
    parser.add_argument("--topic", action="append", default=[], metavar="FILTER",
                        help="outside losant/, that devices may use; several are possible")
    parser.add_argument("--key", default=losant.KEY, help="access key that is let in")
    parser.add_argument("--secret", default=losant.SECRET, help="its secret")
    parser.add_argument("--time-scale", type=float, default=1, metavar="X",
                        help="0.01: windows of 0.15 s, refusals from 0.3 s on (1)")
    parser.add_argument("--unlimited", action="store_true", help="do not limit rates")
    return parser.parse_args()


def devices_from(name):
    try:
        text = sys.stdin.read() if name == "-" else pathlib.Path(name).read_text(encoding="utf-8")
        devices = json.loads(text)
        Checker({"devices": devices})
        if not any("gatewayId" not in device for device in devices):
            raise ValueError("no device in it connects itself")
        return devices
    except (OSError, ValueError, TypeError, KeyError) as error:
        sys.exit(f"losant-like-broker: {name}: expected the output of "
                 f"`fieldpost attributes --json`: {error}")


class Story:
    """Tells the record as it grows."""

    def __init__(self, broker):
        self.path = pathlib.Path(broker.settings["record"])
        self.checker = Checker(broker.settings)
        self.offset = self.messages = 0
        self.found = collections.Counter()

    def go_on(self):
        if not self.path.exists():
            return
        with self.path.open("rb") as record:
            record.seek(self.offset)
            for line in record:
                if not line.endswith(b"\n"):
                    break  # still being written
                self.offset += len(line)
                self.tell(json.loads(line))

    def tell(self, line):
        clock = time.strftime("%H:%M:%S", time.localtime(line["at"] / 1000))
        if line["event"] in ("connect", "disconnect"):
            say(f"{clock} {line['client']}: {line['event']}ed")
        self.messages += line["event"] == "publish" and not line["platform"]
        for finding in self.checker.judge(line):
            self.found[finding.kind] += 1
            refused = line.get("refused_ms", 0)
            say(f"{clock} {finding.client}: {finding.kind.upper()}: {finding.words}"
                + (f" (turned away for {refused / 1000:g} s)" if refused else ""))


def introduce(broker):
    user, password = field.PLATFORM
    port = broker.ports["mqtt"]
    say("listening at " + ", ".join(broker.url(scheme) for scheme in losant.SCHEMES))
    say(f"""
In the agent's configuration:

{broker.uplink()}
or another of the addresses; for mqtts and wss also
ca_file = "{broker.ca_file}"

As the platform, to see everything and to send a command:

mosquitto_sub -p {port} -u {user} -P {password} -v -t 'losant/#'
mosquitto_pub -p {port} -u {user} -P {password} -t losant/DEVICE/command -m '{{"name":"…","payload":{{}}}}'

The record is {broker.settings['record']}
""")


def main():
    chosen = options()
    devices = devices_from(chosen.devices)
    # SIGINT too: a shell that starts us in the background has it ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    shutil.rmtree(FOLDER, ignore_errors=True)
    os.makedirs(FOLDER, mode=0o700)
    ports = [chosen.port + n for n in range(len(losant.SCHEMES))] if chosen.port else None
    broker = losant.LosantBroker(FOLDER, devices, chosen.topic, chosen.unlimited, chosen.time_scale,
                                 tls=True, ports=ports, key=chosen.key, secret=chosen.secret)
    story = Story(broker)
    try:
        introduce(broker)
        while broker.process.child.poll() is None:
            story.go_on()
            time.sleep(0.2)
        say(f"mosquitto has ended:\n{broker.process.text()[-2000:]}")
    except KeyboardInterrupt:
        pass
    broker.stop()
    story.go_on()
    say(f"{story.messages} messages from devices; findings: "
        + (", ".join(f"{count} {kind}" for kind, count in story.found.items()) or "none"))
    return 1 if story.found else 0


if __name__ == "__main__":
    sys.exit(main())
