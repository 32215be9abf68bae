# SPDX-License-Identifier: Apache-2.0
"""Programs of others under the whole agent: what the exec plugin makes of good ones and bad ones, and
that nothing of them is left. examples/exec runs here as it stands.
"""
import json
import os
import pathlib
import re
import signal
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from fakes import field  # noqa: E402  pylint: disable=wrong-import-position
from fakes.field import GATEWAY, METER, SOURCE, eventually  # noqa: E402
from fakes.site import HEAD, SiteTest, sim, uplink  # noqa: E402

EXAMPLES = SOURCE / "examples/exec"
PLACE = "/usr/local/lib/fieldpost/"  # where the examples' configurations have the programs
READING = '[[plugin.reading]]\nattribute = "n"\n'


def instance(command, more="", name="program", interval="100ms"):
    return (f'[[plugin]]\nname = "{name}"\ntype = "exec"\ndevice = "meter"\ninterval = "{interval}"\n'
            f"options.command = '''{command}'''\n{more}{READING}")


def is_running(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class ExecTest(SiteTest):
    def setUp(self):
        super().setUp()
        self.broker = self.field.broker()
        self.witness = self.field.witness(self.broker)
        # A folder of the programs' own: beside those of the agent they make none (docs/security.md).
        self.folder = self.field.folder / "programs"
        self.folder.mkdir()
        self.pids = self.folder / "pids"

    def script(self, text, name="program"):
        path = self.folder / name
        path.write_text("#!/bin/sh\n" + text)
        path.chmod(0o755)
        return path

    def run_agent(self, *instances, head=""):
        self.agent = self.field.agent(HEAD + uplink(self.broker.port) + head + "".join(instances))
        self.agent.wait_until_up()

    def noted(self, count):
        """The process ids that a program has written."""
        def all_of_them():
            pids = [int(p) for p in self.pids.read_text().split()] if self.pids.exists() else []
            return pids if len(pids) >= count else None
        return eventually(all_of_them, 20, f"{count} process ids")

    def wait_until_gone(self, pids):
        eventually(lambda: not any(is_running(p) for p in pids), 20, f"the end of {pids}")

    def wait_for_log(self, text):
        eventually(lambda: text in self.agent.text(), 30, f"in the log: {text!r}")

    def reading(self, name="program", attribute="n"):
        return next(a for a in self.agent.plugin(name)["attributes"] if a["name"] == attribute)

    # ---- Good ones.

    def test_the_examples_run_as_they_stand(self):
        texts = []
        for config in sorted(EXAMPLES.glob("*.toml")):
            text = config.read_text(encoding="utf-8")
            program, = re.findall(rf"{PLACE}([\w.]+)", text)
            self.assertTrue(os.access(EXAMPLES / program, os.X_OK), program)
            texts.append(text.replace(PLACE, f"{EXAMPLES}/"))
        self.assertEqual(len(texts), 2)
        self.run_agent(*texts)
        for attribute in ("load", "free_memory", "used", "writable"):
            eventually(lambda a=attribute: self.witness.values(GATEWAY, a), 30, f"{attribute} at the broker")
        self.assertGreater(self.witness.values(GATEWAY, "free_memory")[0], 0)
        self.assertIsInstance(self.witness.values(GATEWAY, "writable")[0], bool)
        shown = self.agent.plugin("machine")["sandbox"]
        self.assertEqual(shown["programs"], "any")
        self.assertEqual(shown["sockets"], "network")

    def test_a_command_goes_there_and_back(self):
        self.script("""exec /usr/bin/python3 -c '
import json, sys
for line in sys.stdin:
    command = json.loads(line)
    value = command["args"]["value"]
    if value > 50:
        print(json.dumps({"failed": command["id"], "reason": "the valve is stuck"}), flush=True)
    else:
        print(json.dumps({"done": command["id"], "value": value}), flush=True)
'
""")
        self.run_agent(instance(self.folder / "program", READING.replace('"n"', '"level"')) +
                       '[[plugin.command]]\ncommand = "set"\ntype = "number"\nmin = 0\nmax = 100\nreadback = "level"\n',
                       head='[commands]\nanswer_topic = "answers/${device_id}"\n')
        eventually(lambda: self.agent.status()["uplink"]["state"] == "connected", 20, "a connection")

        def answer(number, value):
            self.broker.publish(f"losant/{METER}/command",
                                json.dumps({"name": "set", "payload": {"id": number, "value": value}}))

            def found():
                answers = [json.loads(p) for _, topic, p in list(self.witness.messages)
                           if topic == f"answers/{METER}"]
                return next((a for a in answers if a["id"] == number), None)
            return eventually(found, 20, f"the answer to {number}")
        done = answer("one", 21.5)
        self.assertEqual((done["status"], done["value"]), ("done", 21.5))
        failed = answer("two", 60)
        self.assertEqual((failed["status"], failed["reason"]), ("failed", "the valve is stuck"))
        self.assertEqual(answer("three", 101)["status"], "rejected")
        eventually(lambda: 21.5 in self.witness.values(METER, "level"), what="what was read back")

    # ---- Bad ones.

    def test_bad_programs_cost_their_own_readings_alone(self):
        instances = {
            "flood": self.script("""exec yes '{"n": 1}'""", "flood"),
            "nonsense": self.script("while :; do echo 'temp: 21'; sleep 0.05; done", "nonsense"),
            "ends": self.script("exit 3", "ends"),
            "long": self.script("head -c 1000000 /dev/zero | tr '\\0' x; echo; echo '{\"n\": 5}'; exec sleep 100",
                                "long"),
            "stderr": self.script("exec yes complaint >&2", "stderr"),
        }
        devices = "".join(f'[[device]]\nname = "{name}"\nid = "575ecf887ae143cd83dc4b{i:02x}"\n'
                          for i, name in enumerate(instances))
        self.run_agent(*(instance(path, name=name).replace('"meter"', f'"{name}"')
                         for name, path in instances.items()), sim(), head=devices)
        self.wait_for_log("it is made to wait")
        self.wait_for_log("10 lines in a row were left out; it is not JSON: temp: 21")
        self.wait_for_log("the program ended with status 3; it is started again in 4 s")
        self.wait_for_log("it is longer than 65536 bytes")
        self.wait_for_log("complaint")
        eventually(lambda: self.reading("long").get("value") == 5, 20, "what follows the long line")
        for name in ("nonsense", "ends"):
            self.assertEqual(self.reading(name)["quality"], "comm-error", name)
        seen = len(self.witness.values(METER, "count"))
        eventually(lambda: len(self.witness.values(METER, "count")) > seen + 10, 20, "the neighbour's readings")
        for name in instances:
            plugin = self.agent.plugin(name)
            self.assertEqual((plugin["state"], plugin["restarts"]), ("up", 0), name)
        self.assertNotIn(0, [v for i in range(len(instances))
                             for v in self.witness.values(f"575ecf887ae143cd83dc4b{i:02x}", "n")])

    def test_a_run_that_never_ends_is_ended(self):
        self.script(f'echo $$ >> {self.pids}; trap "" TERM; while :; do sleep 1; done')
        self.run_agent(instance(self.folder / "program", 'options.mode = "poll"\noptions.timeout = "300ms"\n'))
        first = self.noted(1)[0]
        self.wait_for_log("the program did not end within 0.3 s")
        eventually(lambda: not is_running(first))
        self.noted(2)
        plugin = self.agent.plugin("program")
        self.assertEqual((plugin["state"], plugin["restarts"]), ("up", 0))

    def test_what_cannot_be_run_is_found_by_the_check(self):
        text = HEAD + instance("/nowhere/program --fast")
        path = self.folder / "check.toml"
        path.write_text(text, encoding="utf-8")
        done = field.cli("check", path)
        self.assertEqual(done.returncode, 78, done.stdout + done.stderr)
        line = text[:text.index("options.command")].count("\n") + 1
        self.assertIn(f"check.toml:{line}:", done.stderr)
        self.assertIn("/nowhere/program: No such file or directory", done.stderr)

    # ---- Nothing is left.

    def leaving(self):
        """A program with a child in its group, one in a session of its own, and one that nothing ends."""
        self.script(f"""echo $$ >> {self.pids}
sleep 300 & echo $! >> {self.pids}
(setsid sleep 300 & echo $! >> {self.pids})
(setsid sh -c 'trap "" TERM; echo $$ >> {self.pids}; while :; do sleep 1; done' &)
trap "" TERM
echo '{{"n": 1}}'
while :; do sleep 1; done
""")
        self.run_agent(instance(self.folder / "program"))
        pids = self.noted(4)
        self.assertTrue(all(is_running(p) for p in pids), pids)
        return pids

    def test_nothing_is_left_when_the_agent_stops(self):
        pids = self.leaving()
        self.assertEqual(self.agent.end(), 0)
        self.wait_until_gone(pids)

    def test_nothing_is_left_at_a_reload_that_takes_the_instance_away(self):
        pids = self.leaving()
        self.agent.config.write_text(HEAD + uplink(self.broker.port) + sim())
        self.assertEqual(self.agent.cli("reload").returncode, 0)
        self.wait_until_gone(pids)

    def test_the_program_goes_with_a_host_that_is_killed(self):
        pids = self.leaving()
        try:
            os.kill(self.agent.plugin("program")["pid"], signal.SIGKILL)
            self.wait_until_gone(pids[:1])
            self.assertNotEqual(self.noted(5)[4], pids[0], "another is started")
        finally:  # what docs/exec-protocol.md says that a killed host leaves behind
            for pid in pids[1:]:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass


if __name__ == "__main__":
    unittest.main()
