#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The story that scripts/demo tells, and checks: exit status 0 only if every sentence of it held."""
import argparse
import json
import os
import pathlib
import signal
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tests"))
from fakes import field  # noqa: E402  pylint: disable=wrong-import-position
from fakes.field import BOILER, GATEWAY, eventually  # noqa: E402

OUTAGE = 10  # seconds
WIDTH = 140
ANSWER = f"demo/{BOILER}/answer"
# The headings, in order; the README shows them too, and a test compares.
HEADINGS = (
    "a broker, a Modbus server and the agent",
    "what arrives at the broker, as mosquitto_sub sees it",
    f"the broker is stopped for {OUTAGE} seconds; polling goes on",
    "the broker is back",
    "a command changes a register",
    "summary",
)


class Demo:
    def __init__(self, stage):
        self.stage = stage
        self.chapters = iter(HEADINGS)
        self.held = 0
        self.agent = None

    def chapter(self):
        print(f"== {next(self.chapters)}", flush=True)

    def say(self, text):
        print("   " + (text if len(text) <= WIDTH else text[:WIDTH - 1] + "…"), flush=True)

    def tell(self):
        self.start()
        self.show_arrivals()
        self.outage()
        self.command()
        self.summary()

    # Every read of the register at 0 gives a new number, here the last one given.
    def reads(self):
        high, low = self.server.ask("get 1 holding 0 2").split()
        return int(high) * 65536 + int(low)

    def delivered(self, device=BOILER, attribute="reads"):
        return [int(v) for v in self.witness.values(device, attribute)]

    def start(self):
        self.chapter()
        self.broker = self.stage.broker()
        self.say(f"mosquitto       127.0.0.1:{self.broker.port}")
        self.witness = self.stage.witness(self.broker)
        self.server = self.stage.modbus(do=["count 1 holding 0 2", "set 1 holding 10 180"])
        self.say(f"Modbus server   127.0.0.1:{self.server.port} (pymodbus)")
        config = (ROOT / "examples/demo/fieldpost.toml").read_text(encoding="utf-8")
        config = config.replace("127.0.0.1:18830", f"127.0.0.1:{self.broker.port}")
        config = config.replace("127.0.0.1:15020", f"127.0.0.1:{self.server.port}")
        self.agent = self.stage.agent(config)
        self.agent.wait_until_up()
        eventually(lambda: self.delivered() and self.delivered(GATEWAY, "count"), 20, "first readings")
        eventually(lambda: self.acknowledged(5), 10, "the first acknowledgements")
        for line in self.agent.cli("status").stdout.splitlines():
            self.say(line)

    def show_arrivals(self):
        self.chapter()
        seen = len(self.witness.messages)
        eventually(lambda: len(self.witness.messages) >= seen + 12, 10, "messages at the broker")
        lines = self.witness.messages[seen:]
        gateway = [m for m in lines if GATEWAY in m[1]][:2]
        for _, topic, payload in sorted(gateway + [m for m in lines if BOILER in m[1]][:4]):
            self.say(f"{topic} {payload}")

    def outage(self):
        self.chapter()
        stopped = time.monotonic()
        self.broker.stop()
        before = self.reads()
        # 10 Hz; a loaded machine may poll less often, but it goes on.
        eventually(lambda: self.reads() >= before + OUTAGE * 8, 2 * OUTAGE, "polling during the outage")
        eventually(lambda: time.monotonic() - stopped >= OUTAGE, OUTAGE + 1)
        self.held = self.agent.status()["outbox"]["waiting"]
        self.say(f"the register was read {self.reads() - before} times; "
                 f"{self.held} readings of all kinds wait in the outbox")
        assert self.held >= OUTAGE * 8, "hardly anything was held back"
        self.chapter()
        back = time.monotonic()  # before: the agent may be quicker than who waits for the broker
        self.broker.start()
        target = self.reads()
        eventually(lambda: target in self.delivered(), 20, "the delivery of what was held back")
        first = next(t for t, _, _ in self.witness.states(BOILER) if t >= back)
        self.say(f"first state after {first - back:.1f} s; all that was held back is there after "
                 f"{time.monotonic() - back:.1f} s")
        values = self.delivered()
        assert values == sorted(values), "the order of capture was not kept"
        assert missing(values) == 0, f"{missing(values)} readings are missing"
        self.say(f"the register's values 1 to {values[-1]}: none missing, in order")

    def command(self):
        self.chapter()
        command = json.dumps({"name": "set-point", "payload": {"id": "demo-1", "value": 21.5}})
        self.say(f"losant/{BOILER}/command {command}")
        self.broker.publish(f"losant/{BOILER}/command", command)
        answer = eventually(lambda: [p for _, t, p in list(self.witness.messages) if t == ANSWER],
                            10, "the answer")[0]
        self.say(f"{ANSWER} {answer}")
        register = self.server.ask("get 1 holding 10")
        self.say(f"the register holds {register}")
        assert json.loads(answer)["status"] == "done" and register == "215", "the command failed"
        eventually(lambda: 21.5 in self.witness.values(BOILER, "setpoint"), 10, "the new set-point")

    def summary(self):
        self.chapter()
        read = self.reads()
        eventually(lambda: read in self.delivered(), 10, "the last readings")
        values = [v for v in self.delivered() if v <= read]
        lost = read - len(set(values))
        seen = {(device, time_ms, name) for device in (GATEWAY, BOILER)
                for _, time_ms, data in self.witness.states(device) for name in data}
        uplink = eventually(lambda: self.acknowledged(len(seen)), 10, "the broker's acknowledgements")
        self.say(f"read       {read:6d}   times the counting register")
        self.say(f"delivered  {len(set(values)):6d}   of these"
                 + (f", {len(values) - len(set(values))} twice: the broker was stopped before it "
                    "acknowledged" if len(values) > len(set(values)) else ""))
        self.say(f"lost       {lost:6d}")
        self.say(f"published  {uplink['readings']:6d}   readings of all kinds, "
                 f"in {uplink['published']} messages")
        self.say(f"held back  {self.held:6d}   of them, while the broker was away")
        assert lost == 0 and self.agent.status()["outbox"]["lost"] == 0, "readings were lost"

    def acknowledged(self, readings):
        uplink = self.agent.status()["uplink"]
        return uplink if uplink["readings"] >= readings else None

    def keep(self):
        run_dir = self.agent.run_dir
        print(f"""== running until Ctrl-C; try
   build/dev/bin/fieldpost status --run-dir {run_dir}
   build/dev/bin/fieldpost watch --run-dir {run_dir}
   mosquitto_sub -p {self.broker.port} -v -t 'losant/#'
   mosquitto_pub -p {self.broker.port} -t losant/{BOILER}/command \\
     -m '{{"name":"set-point","payload":{{"value":30}}}}'""", flush=True)
        while self.agent.child.poll() is None:
            signal.pause()


def missing(values):
    whole = set(values)
    return max(whole) - len(whole)  # they count from 1


def interrupt(*_):
    raise KeyboardInterrupt


def main():
    parser = argparse.ArgumentParser(prog="scripts/demo", description="Fieldpost without hardware.")
    parser.add_argument("--keep", action="store_true", help="go on until Ctrl-C")
    arguments = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # wakes pause() when the agent ends
    status = 0
    with field.Field() as stage:
        demo = Demo(stage)
        try:
            demo.tell()
            if arguments.keep:
                demo.keep()
        except KeyboardInterrupt:
            status = 0 if arguments.keep else 130
        except (AssertionError, OSError, KeyError, ValueError) as problem:
            print(f"FAILED: {problem}", flush=True)
            if demo.agent:
                print("the agent's last words:\n" + demo.agent.text()[-3000:], flush=True)
            status = 1
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # cleaning up is short
    return status


if __name__ == "__main__":
    sys.exit(main())
