# SPDX-License-Identifier: Apache-2.0
"""Commands and the end of the agent: what was acknowledged is run once, or its answer says why not.
"""
import collections
import json
import pathlib
import random
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from fakes import field  # noqa: E402  pylint: disable=wrong-import-position
from fakes.field import BOILER, BUILD, GATEWAY, PLATFORM, eventually, program  # noqa: E402
from fakes.site import HEAD, QUIET, SiteTest, modbus, uplink  # noqa: E402

COMMANDS = f"losant/{GATEWAY}/command"


def payload(number):
    return json.dumps({"name": "tally", "payload": {"id": number, "n": number}})


class CommandsTest(SiteTest):
    def setUp(self):
        super().setUp()
        self.broker = self.field.broker()
        self.witness = self.field.witness(self.broker)
        # A folder of the plugin's own: beside those of the agent it makes none (docs/security.md).
        machine = self.field.folder / "machine"
        machine.mkdir()
        self.tally = machine / "tally"
        self.gate = machine / "gate"
        self.agent = None

    def run_agent(self, options=""):
        config = (HEAD + QUIET + uplink(self.broker.port)
                  + '[commands]\nanswer_topic = "answers/${device_id}"\n'
                  + f'[[plugin]]\nname = "counts"\ntype = "tally"\ninterval = "10s"\n'
                  f'options.file = "{self.tally}"\n{options}')
        self.agent = self.field.agent(config, args=["--plugin-dir", BUILD / "tests/plugins"])

    def wait_until_connected(self):
        def connected():
            try:
                return self.agent.status()["uplink"]["state"] == "connected"
            except (OSError, ValueError):
                return False
        eventually(connected, 20, "a connection")

    def send(self, number):
        self.broker.publish(COMMANDS, payload(number))

    def wait_until_received(self, count):
        eventually(lambda: self.agent.status()["commands"]["received"] == count)

    def answers(self):
        """By the id of the command, all there were."""
        found = collections.defaultdict(list)
        for _, topic, text in list(self.witness.messages):
            if topic == f"answers/{GATEWAY}":
                answer = json.loads(text)
                found[answer["id"]].append(answer)
        return found

    def answer(self, number):
        return eventually(lambda: self.answers()[number], 20, f"an answer to {number}")[0]

    def executions(self):
        return [int(n) for n in self.tally.read_text().split()] if self.tally.exists() else []

    def test_one_that_was_running_is_unknown_and_not_run_again(self):
        self.run_agent()
        self.agent.wait_until_up()
        self.wait_until_connected()
        host = self.agent.plugin("counts")["pid"]
        subprocess.run(["kill", "-STOP", str(host)], check=True)
        self.send(1)
        self.wait_until_received(1)
        self.assertEqual(self.agent.status()["commands"]["open"], 1)
        self.agent.end(signal.SIGKILL)
        self.run_agent()
        answer = self.answer(1)
        self.assertEqual((answer["status"], answer["command"]), ("unknown", "tally"), answer)
        self.assertIn("whether it took effect is not known", answer["reason"])
        self.assertIn("command unknown", self.agent.text())
        self.assertIn("1 unknown", self.agent.cli("status").stdout)
        self.agent.wait_until_up()
        self.send(2)
        self.assertEqual(self.answer(2)["status"], "done")
        self.assertEqual(self.executions(), [2])
        self.agent.end()

    def test_one_that_had_not_begun_runs_once_when_its_plugin_is_up(self):
        waits = f'options.gate = "{self.gate}"\n'
        self.run_agent(waits)
        self.wait_until_connected()
        self.send(1)
        for _ in range(3):
            self.wait_until_connected()
            self.wait_until_received(1)
            self.assertEqual(self.agent.status()["commands"]["open"], 1)
            self.agent.end(signal.SIGKILL)
            self.run_agent(waits)
        self.assertEqual(self.executions(), [])
        self.gate.touch()
        self.assertEqual(self.answer(1)["status"], "done")
        self.agent.end(signal.SIGKILL)
        self.run_agent(waits)
        self.agent.wait_until_up()
        self.wait_until_connected()
        self.send(2)
        self.answer(2)
        self.assertEqual(self.executions(), [1, 2])
        self.assertEqual(len(self.answers()[1]), 1)
        self.agent.end()

    def test_a_stop_leaves_what_had_not_begun_to_the_next_start(self):
        waits = f'options.gate = "{self.gate}"\n'
        self.run_agent(waits)
        self.wait_until_connected()
        self.send(1)
        self.wait_until_received(1)
        self.assertEqual(self.agent.end(), 0)
        self.gate.touch()
        self.run_agent(waits)
        self.assertEqual(self.answer(1)["status"], "done")
        self.assertEqual(self.executions(), [1])
        self.agent.end()

    def test_one_that_comes_again_is_answered_with_what_became_of_the_first(self):
        self.run_agent()
        self.agent.wait_until_up()
        self.wait_until_connected()
        self.send(1)
        self.assertEqual(self.answer(1)["status"], "done")
        self.send(1)
        eventually(lambda: len(self.answers()[1]) == 2)
        self.agent.end(signal.SIGKILL)
        self.run_agent()
        self.agent.wait_until_up()
        self.wait_until_connected()
        self.send(1)
        answers = eventually(lambda: len(self.answers()[1]) == 3 and self.answers()[1])
        self.assertEqual([a["status"] for a in answers], ["done", "duplicate", "duplicate"])
        self.assertEqual(answers[2]["reason"], "it came before: done")
        self.assertEqual(self.executions(), [1])
        self.assertIn("1 duplicate", self.agent.cli("status").stdout)
        self.agent.end()

    def test_one_that_was_sent_long_ago_is_not_run(self):
        self.run_agent()
        self.agent.wait_until_up()
        self.wait_until_connected()
        for number, sent in [(1, time.time() * 1000 - 70_000), (2, time.time() * 1000)]:
            command = json.loads(payload(number)) | {"time": round(sent)}
            self.broker.publish(COMMANDS, json.dumps(command))
        self.assertEqual(self.answer(2)["status"], "done")
        self.assertEqual(self.answer(1)["status"], "expired")
        self.assertIn("commands.time_to_live", self.answer(1)["reason"])
        self.assertEqual(self.executions(), [2])
        self.agent.end()

    def test_without_a_log_commands_run_and_it_says_so(self):
        (self.field.folder / "run/stage/commands.0").mkdir(parents=True)
        self.run_agent()
        self.agent.wait_until_up()
        self.wait_until_connected()
        self.send(1)
        self.assertEqual(self.answer(1)["status"], "done")
        self.assertIn("commands cannot be noted", self.agent.text())
        self.assertIn("a crash would forget", self.agent.cli("status").stdout)
        (self.field.folder / "run/stage/commands.0").rmdir()
        eventually(lambda: not self.agent.status()["commands"]["trouble"])
        self.agent.end()

    def test_a_log_full_of_commands_that_wait_refuses_more_with_the_reason(self):
        self.run_agent(f'options.gate = "{self.gate}"\n')
        self.wait_until_connected()
        for number in range(1, 8):
            self.broker.publish(COMMANDS, payload(number) + " " * 200_000)
        self.wait_until_received(7)
        answer = self.answer(7)
        self.assertEqual((answer["status"], answer["reason"]),
                         ("rejected", "5 commands have not ended, and there is no room for more"))
        self.gate.touch()
        for number in range(1, 6):
            self.assertEqual(self.answer(number)["status"], "done")
        self.assertEqual(self.executions(), [1, 2, 3, 4, 5])
        self.agent.end()

    def test_of_a_flood_each_is_run_or_refused(self):
        self.run_agent()
        self.agent.wait_until_up()
        self.wait_until_connected()
        many = 20_000
        subprocess.run(
            [program("mosquitto_pub"), "-h", "127.0.0.1", "-p", str(self.broker.port), "-q", "1", "-l",
             "-u", PLATFORM[0], "-P", PLATFORM[1], "-t", COMMANDS],
            input="".join(payload(n) + "\n" for n in range(many)), text=True, check=True, timeout=60)
        self.wait_until_received(many)

        def all_ended():
            c = self.agent.status()["commands"]
            return c["open"] == 0 and c["done"] + c["rejected"] + c["failed"] + c["unknown"] == many and c
        counts = eventually(all_ended, 20)
        print({k: counts[k] for k in ("done", "rejected", "failed", "unknown")})
        runs = collections.Counter(self.executions())
        self.assertEqual(max(runs.values()), 1)
        self.assertGreaterEqual(len(runs), counts["done"])
        # More have run only where the plugin was taken for hung, and what it was at is unknown.
        self.assertLessEqual(len(runs), counts["done"] + counts["unknown"])
        self.agent.end()

    def test_none_runs_twice_over_kills_at_any_moment(self):
        rounds = 500 if field.LONG else 50
        seed = random.randrange(1 << 32)
        print(f"seed {seed}")
        chance = random.Random(seed)
        # One process for all: a new one for each would be slower than the commands.
        source = subprocess.Popen(  # pylint: disable=consider-using-with
            [program("mosquitto_pub"), "-h", "127.0.0.1", "-p", str(self.broker.port), "-q", "1", "-l",
             "-u", PLATFORM[0], "-P", PLATFORM[1], "-t", COMMANDS],
            stdin=subprocess.PIPE, text=True, bufsize=1)
        self.addCleanup(source.wait)
        self.addCleanup(source.stdin.close)
        number = 0
        for _ in range(rounds):
            self.run_agent('options.work = "3ms"\n')
            end = time.monotonic() + chance.uniform(0.05, 0.5)
            while (left := end - time.monotonic()) > 0:
                number += 1
                source.stdin.write(payload(number) + "\n")
                # The pace of commands, not a wait; cut short, or each kill came behind an execution.
                time.sleep(min(left, 0.004))
            self.agent.end(signal.SIGKILL)
        self.run_agent()
        self.agent.wait_until_up()
        self.wait_until_connected()
        self.send(number + 1)
        self.assertEqual(self.answer(number + 1)["status"], "done")
        eventually(lambda: self.agent.status()["commands"]["open"] == 0)
        self.check(collections.Counter(self.executions()), self.answers())
        self.agent.end()

    def check(self, runs, answers):
        said = collections.Counter(a["status"] for list_ in answers.values() for a in list_)
        print(f"{len(runs)} ran; answers: {dict(said)}")
        self.assertEqual({n: c for n, c in runs.items() if c > 1}, {}, "ran twice")
        for number, given in answers.items():
            states = {a["status"] for a in given}
            self.assertEqual(len(states), 1, given)
            if states == {"done"}:
                self.assertEqual(runs[number], 1, given)
            if states & {"rejected", "expired"}:
                self.assertEqual(runs[number], 0, given)
        # The kills have met what they were to meet.
        self.assertGreater(said["unknown"], 0)
        self.assertGreater(said["done"], 0)


class LocalCommandsTest(SiteTest):
    """`fieldpost command`, `commands` and `write`: a technician needs no cloud."""
    rows = ('[[plugin.register]]\nattribute = "setpoint"\ntable = "holding"\naddress = 5\n'
            'command = "set-point"\n'
            '[[plugin.register]]\nattribute = "level"\ntable = "holding"\naddress = 6\n')

    def run_site(self, options=""):
        self.start(lambda port: f'[commands]\nanswer_topic = "answers/${{device_id}}"\n{options}'
                   + modbus(port, rows=self.rows))

    def writes(self):
        return [w for w in self.server.ask("log").split() if w.split(":")[1] in ("6", "16")]

    def command(self, *args):
        return self.agent.cli("command", *args)

    def test_one_goes_the_way_of_one_from_the_broker(self):
        self.run_site()
        done = self.command("boiler", "set-point", "42")
        self.assertEqual((done.returncode, done.stdout), (0, "done, value 42\n"), done.stderr)
        self.assertEqual(self.server.ask("get 1 holding 5"), "42")
        for args, words in (
                (("boiler", "set-point", "warm"), "rejected: argument 'value': expected a number"),
                (("boiler", "set-pont", "1"), "rejected: this device has no command 'set-pont'; did you mean"),
                (("boiler", "set-point", "--payload", '{"value": 1, "valeu": 2}'), "rejected: unknown argument")):
            refused = self.command(*args)
            self.assertEqual(refused.returncode, 1, refused.stdout)
            self.assertTrue(refused.stdout.startswith(words), refused.stdout)
        nobody = self.command("boilr", "set-point", "1")
        self.assertEqual((nobody.returncode, nobody.stdout), (1, ""))
        self.assertIn("there is no device 'boilr'; did you mean 'boiler'?", nobody.stderr)
        self.broker.publish(f"losant/{BOILER}/command", json.dumps(
            {"name": "set-point", "payload": {"id": 7, "value": 43}}))
        eventually(lambda: [t for _, t, _ in list(self.witness.messages) if t.startswith("answers/")])
        answers = [json.loads(m) for _, t, m in list(self.witness.messages) if t.startswith("answers/")]
        self.assertEqual([a["id"] for a in answers], [7], "what was asked for here is answered here")
        kept = json.loads(self.agent.cli("commands", "history", "--json").stdout)
        self.assertEqual([(k["cause"], k["status"]) for k in kept],
                         [("local", "done"), *[("local", "rejected")] * 3, ("broker", "done")])
        last = self.agent.cli("commands", "history", "-n", "1")
        self.assertEqual(len(last.stdout.splitlines()), 1)
        self.assertIn("Earlier ones are in the journal", last.stderr)
        self.server.ask("silent 1 on")
        failed = self.command("boiler", "set-point", "value=44")
        self.assertEqual(failed.returncode, 1)
        self.assertIn("unknown: unit 1 holding 5: no answer within", failed.stdout)

    def test_lists_what_there_is_with_an_agent_and_without_one(self):
        self.run_site()
        beside = self.agent.cli("commands", "list")
        self.assertRegex(beside.stdout, r"(?m)^boiler +set-point +plc: .*value=…$")
        self.assertRegex(beside.stdout, r"(?m)^gateway +fp-reload +the agent itself")
        shown = self.agent.cli("commands", "show", "set-point").stdout
        self.assertIn("its effect is shown by the attribute setpoint\n", shown)
        self.assertIn("  value: a number", shown)
        self.agent.end()
        alone = json.loads(self.agent.cli("commands", "list", "--json", "--config", self.agent.folder).stdout)
        self.assertEqual([(c["device"], c["command"], c["readback"]) for c in alone],
                         [("boiler", "set-point", "setpoint")])
        nobody = self.command("boiler", "set-point", "1")
        self.assertEqual(nobody.returncode, 1)
        self.assertIn("no fieldpostd runs", nobody.stderr)

    def test_one_that_waits_does_not_hold_up_the_others(self):
        self.run_site()
        self.server.ask("delay 1 0.4 1")
        with subprocess.Popen([BUILD / "bin/fieldpost", "command", "boiler", "set-point", "9", "--run-dir",
                               str(self.agent.run_dir)], stdout=subprocess.PIPE, text=True) as waiting:
            self.assertEqual(self.command("gateway", "fp-status").returncode, 0)
            self.assertEqual(waiting.communicate(timeout=20)[0].split(",")[0].split(":")[0] in ("done", "unknown"), True)

    def test_the_same_value_twice_reaches_the_device_twice(self):
        self.run_site()
        self.writes()
        for _ in range(2):
            self.assertEqual(self.command("boiler", "set-point", "42").returncode, 0)
        for number in (1, 2):
            self.broker.publish(f"losant/{BOILER}/command", json.dumps(
                {"name": "set-point", "payload": {"id": number, "value": 42}}))
        eventually(lambda: self.agent.status()["commands"]["done"] == 4)
        self.assertEqual(self.writes(), ["1:6:5+1"] * 4)

    def write(self, *args):
        return self.agent.cli("write", "plc", *args, "--config", self.agent.folder)

    def test_write_through_the_agent_and_without_one(self):
        self.run_site()
        for value in ("51", "52"):
            unasked = self.write(f"setpoint={value}")
            self.assertEqual((unasked.returncode, unasked.stdout), (1, ""))
            self.assertIn("nobody is there to be asked: give --yes", unasked.stderr)
            done = self.write(f"setpoint={value}", "--yes")
            self.assertEqual((done.returncode, done.stdout), (0, f"setpoint  done, value {value}\n"), done.stderr)
            self.assertEqual(self.server.ask("get 1 holding 5"), value)
            other = self.write("level=1", "--yes")
            self.assertEqual(other.returncode, 1)
            self.assertIn("no command drives 'level'; what can be written is: setpoint", other.stderr)
            wrong = self.write("setpoint=warm", "--yes")
            self.assertEqual(wrong.returncode, 1)
            self.assertIn("expected a number", wrong.stdout + wrong.stderr)
            if value == "51":
                self.assertEqual(self.agent.status()["commands"]["done"], 1)
                self.agent.end()
        self.server.ask("silent 1 on")
        failed = self.write("boiler/setpoint=53", "--yes")
        self.assertEqual(failed.returncode, 1)
        self.assertIn("unknown: unit 1 holding 5: no answer", failed.stdout)


if __name__ == "__main__":
    unittest.main()
