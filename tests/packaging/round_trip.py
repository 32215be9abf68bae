#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""round_trip.py ROOT: the agent of the packages that are unpacked in ROOT/srv/installed, between a
Modbus server and a broker. Status 0 only if readings and a command got through.

scripts/package runs it, in mounts of its own where programs of the packages' processor run. The agent
and its command line run in ROOT; whom they speak with, mosquitto and pymodbus, are this machine's.
"""
import json
import pathlib
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from fakes import field  # noqa: E402  pylint: disable=wrong-import-position
from fakes.field import BOILER, GATEWAY, eventually  # noqa: E402

ROOT = pathlib.Path(sys.argv[1])
USR = pathlib.Path("/srv/installed/usr")
PLUGINS = ("--plugin-dir", USR / "lib/fieldpost/plugins-0",
           "--plugin-host", USR / "libexec/fieldpost/plugin-host")
LIMIT = 120  # seconds: an emulated processor is ten times slower
READINGS = 50
ANSWER = f"demo/{BOILER}/answer"


class InstalledAgent(field.Agent):
    daemon = USR / "libexec/fieldpost/fieldpostd"


def in_root(*command):
    return ["chroot", ROOT, *command]


def share(folder):
    """It has the same name inside, so that paths in there are right out here too."""
    inside = ROOT / folder.relative_to("/")
    inside.mkdir(parents=True)
    subprocess.run(["mount", "--bind", folder, inside], check=True)


def site(broker, server):
    text = (field.SOURCE / "examples/demo/fieldpost.toml").read_text(encoding="utf-8")
    return text.replace("127.0.0.1:18830", f"127.0.0.1:{broker.port}").replace(
        "127.0.0.1:15020", f"127.0.0.1:{server.port}")


def readings(witness):
    """Each read of the register gives the next number: one that is missing is a reading lost."""
    def arrived():
        values = [int(v) for v in witness.values(BOILER, "reads")]
        return values if len(values) >= READINGS else None
    values = eventually(arrived, LIMIT, f"{READINGS} readings at the broker")
    assert values == list(range(1, len(values) + 1)), f"not each once and in order: {values}"
    assert witness.values(GATEWAY, "count"), "nothing of the plugin sim"
    topic, payload = next(m[1:] for m in witness.messages if BOILER in m[1])
    print(f"   {topic} {payload[:90]}\n   {len(values)} readings of a Modbus register at the broker, in order")


def command(broker, witness, server):
    broker.publish(f"losant/{BOILER}/command",
                   json.dumps({"name": "set-point", "payload": {"id": "1", "value": 21.5}}))
    answer = eventually(lambda: [p for _, t, p in list(witness.messages) if t == ANSWER], LIMIT, "an answer")[0]
    assert json.loads(answer)["status"] == "done", answer
    register = server.ask("get 1 holding 10")
    assert register == "215", f"the register holds {register}"
    print(f"   {answer}\n   a command from the broker has written a register")


def status(agent):
    done = subprocess.run(in_root(USR / "bin/fieldpost", "status", "--run-dir", agent.run_dir),
                          capture_output=True, text=True, timeout=LIMIT, check=False)
    assert done.returncode == 0 and "connected mqtt://" in done.stdout, done.stdout + done.stderr
    print("   " + done.stdout.rstrip().replace("\n", "\n   "))


def main():
    with field.Field() as stage:
        share(stage.folder)
        broker = stage.broker()
        witness = stage.witness(broker)
        server = stage.modbus(do=["count 1 holding 0 2", "set 1 holding 10 180"])
        agent = stage.add(InstalledAgent(stage.folder, site(broker, server), prefix=in_root(), args=PLUGINS))
        try:
            agent.wait_until_up(LIMIT)
            readings(witness)
            command(broker, witness, server)
            status(agent)
        except BaseException:
            print(agent.text())
            raise
        assert agent.end(limit=LIMIT) == 0, f"the agent did not end well:\n{agent.text()}"


main()
