# SPDX-License-Identifier: Apache-2.0
"""What a technician has at hand before anything is configured, and beside an agent that runs."""
import fcntl
import json
import os
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from fakes import field  # noqa: E402  pylint: disable=wrong-import-position
from fakes.field import eventually  # noqa: E402
from fakes.site import HEAD, SiteTest, counter, modbus, sim, uplink  # noqa: E402

REGISTER = ["--set", "register.attribute=level", "--set", "register.table=holding",
            "--set", "register.address=7"]


class ReadTest(SiteTest):
    def url(self, **server):
        self.server = self.field.modbus(**server)
        return f"tcp://127.0.0.1:{self.server.port}"

    def read(self, *args):
        return field.cli("read", "--run-dir", self.field.folder / "nobody", *args)

    def test_one_that_no_file_has(self):
        url = self.url(do=["set 1 holding 7 4711"])
        done = self.read("--plugin", "modbus", "--set", f"url={url}", *REGISTER)
        self.assertEqual((done.returncode, done.stdout), (0, "gateway  level  4711\n"), done.stderr)
        silent = self.read("--plugin", "modbus", "--set", f"url={url}", "--set", "unit=9", *REGISTER)
        self.assertEqual(silent.returncode, 1)
        self.assertRegex(silent.stdout, r"unit 9: no answer within .*\n.*level +nothing came\n")

    def test_what_is_wrong_is_said_before_a_device_is_touched(self):
        for args, status, words in (
                (["--plugin", "modbus", "--set", "unit=300"], 78,
                 "--set unit: expected a whole number from 0 to 255, got 300"),
                (["--plugin", "modbus", "--set", "url=tcp://127.0.0.1:1", *REGISTER[:4]], 78, "address"),
                (["--plugin", "modbus", "--set", "urk=x", *REGISTER], 78, "did you mean"),
                (["--plugin", "modbsu"], 1, "no plugin 'modbsu' is installed"),
                (["--plugin", "modbus", "--set", "unit"], 64, "expected KEY=VALUE"),
                (["plc", "--set", "unit=3"], 64, "usage"), ([], 64, "usage")):
            done = self.read(*args)
            self.assertEqual(done.returncode, status, (args, done.stderr))
            self.assertIn(words, done.stderr)
            self.assertEqual(done.stdout, "")

    def test_one_of_the_configuration_without_an_agent_and_with_one(self):
        self.start(lambda port: modbus(port, rows=counter()), do=["count 1 holding 0 2"])
        beside = self.agent.cli("read", "plc", "--json")
        self.assertEqual(beside.returncode, 0, beside.stderr)
        level = json.loads(beside.stdout)["attributes"][0]
        self.assertGreater(level["value"], 0)
        self.assertLess(level["age_s"], 10)
        self.agent.end()
        before = self.read_so_far()
        alone = self.agent.cli("read", "plc", "--config", self.agent.folder)
        self.assertEqual((alone.returncode, alone.stdout), (0, f"boiler  count  {before + 1}\n"), alone.stderr)
        self.assertEqual(self.read_so_far(), before + 1, "polled once")
        other = self.agent.cli("read", "pcl", "--config", self.agent.folder)
        self.assertEqual(other.returncode, 1)
        self.assertIn("there is no [[plugin]] 'pcl' in the configuration; did you mean 'plc'?", other.stderr)

    def test_a_serial_line_that_somebody_else_has_is_not_touched(self):
        ours, line = os.openpty()  # nobody answers on it
        self.addCleanup(os.close, ours)
        self.addCleanup(os.close, line)
        holder = os.open(os.ttyname(line), os.O_RDWR | os.O_NOCTTY)
        self.addCleanup(os.close, holder)
        fcntl.flock(holder, fcntl.LOCK_EX)
        url = f"rtu://{os.ttyname(line)}?baud=115200"
        other = self.read("--plugin", "modbus", "--set", f"url={url}", *REGISTER)
        self.assertEqual(other.returncode, 1)
        self.assertIn("in use by another program", other.stdout + other.stderr)


class GuestTest(SiteTest):
    """The agent has the line: what is asked for at the command line is read inside of its instance."""

    def test_on_a_serial_line(self):
        ours, line = os.openpty()  # nobody answers on it
        self.addCleanup(os.close, ours)
        self.addCleanup(os.close, line)
        url = f"rtu://{os.ttyname(line)}?baud=115200"
        rows = '[[plugin.register]]\nattribute = "level"\ntable = "holding"\naddress = 7\n'
        broker = self.field.broker()
        agent = self.field.agent(HEAD + uplink(broker.port) + (
            f'[[plugin]]\nname = "meter"\ntype = "modbus"\noptions.url = "{url}"\n{rows}'))
        agent.wait_until_up()
        eventually(lambda: agent.plugin("meter")["units"][0]["state"] == "silent")
        guest = agent.cli("read", "--plugin", "modbus", "--set", f"url={url}", "--set", "unit=3", *REGISTER)
        self.assertEqual(guest.returncode, 1)
        self.assertIn("unit 3: no answer within", guest.stdout, guest.stderr)
        other = agent.cli("read", "--plugin", "modbus", "--set", f"url={url.replace('115200', '9600')}", *REGISTER)
        self.assertEqual(other.returncode, 1)
        self.assertIn("runs with other settings (rtu, 115200 baud, 8N1)", other.stderr)

    def run_site(self):
        self.start(lambda port: modbus(port, rows=counter()), units="1,3",
                   do=["count 1 holding 0 2", "set 3 holding 7 4711"])
        self.url = f"tcp://127.0.0.1:{self.server.port}"

    def test_read_and_probe(self):
        self.run_site()
        read = self.agent.cli("read", "--plugin", "modbus", "--set", f"url={self.url}", "--set", "unit=3",
                              "--set", "timeout=200ms", *REGISTER)
        self.assertEqual((read.returncode, read.stdout), (0, "gateway  level  4711\n"), read.stderr)
        probed = self.agent.cli("modbus", "probe", self.url, "--unit", "3", "--address", "7")
        self.assertRegex(probed.stdout, r"(?m)^uint16 +4711$")
        self.assertEqual(self.agent.plugin("plc")["restarts"], 0)
        # By a connection of its own it would have been a second client.
        self.assertEqual(self.agent.ask({"do": "read-once", "plugin": "modbus", "option": "url",
                                         "line": "tcp://127.0.0.1:1", "sections": [{}]}), {"ok": True})

    def test_a_guest_drives_nothing_and_nonsense_is_answered_in_words(self):
        self.run_site()
        ask = {"do": "read-once", "plugin": "modbus", "option": "url", "line": self.url}
        drives = [{"values": {"url": self.url, "unit": 3, "timeout": 0.5, "connect_timeout": 2, "max_gap": 8,
                              "max_registers": 125, "request_pause": 0, "write_function": "auto"}},
                  {"table": "register", "values": {"attribute": "level", "table": "holding", "address": 7,
                                                   "type": "uint16", "word_order": "big", "byte_order": "big",
                                                   "scale": 1, "offset": 0, "command": "set-level"}}]
        for request, words in (({"sections": drives}, "a guest on the line of another instance drives nothing"),
                               ({"sections": []}, "sections: expected"), ({"sections": [{"parent": 7}]}, "number of a section"),
                               ({"sections": [{"values": {"url": self.url}}]}, "")):
            answer = self.agent.ask({**ask, **request})
            self.assertFalse(answer["ok"], answer)
            self.assertIn(words, answer["error"])
        self.assertEqual(self.agent.plugin("plc")["restarts"], 0)

    def test_a_scan_leaves_the_instance_its_rate(self):
        self.run_site()
        polls = lambda: self.agent.plugin("plc")["samples"]  # noqa: E731
        before = polls()
        with subprocess.Popen([field.BUILD / "bin/fieldpost", "scan", "modbus", self.url, "--timeout", "200ms",
                               "--run-dir", str(self.agent.run_dir)], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True) as scan:
            # Beyond the silent unit 2; the server's log has those that are there.
            eventually(lambda: "3" in {r.split(":")[0] for r in self.server.ask("log").split()}, 60)
            taken = polls() - before
            scan.kill()
        # The 200 ms of that unit are two polls; the next guest waits for twelve times as long.
        print(f"{taken} polls until the scan was beyond a silent unit")
        self.assertGreater(taken, 20)


class CheckLiveTest(SiteTest):
    def check(self, status, *words):
        done = self.agent.cli("check", "--live", "--config", self.agent.folder)
        self.assertEqual(done.returncode, status, (done.stdout, done.stderr))
        for line in words:
            self.assertIn(line, done.stdout)
        return done

    def test_beside_the_agent_and_without_it(self):
        self.start(lambda port: modbus(port, rows=counter()) + sim(), do=["count 1 holding 0 2"])
        eventually(lambda: self.delivered())
        self.check(0, "fine     plc: 1 of 1 attributes have a good value\n", "fine     sim: 4 of 4",
                   "fine     broker: the agent is connected to mqtt://127.0.0.1:", "fine     clock: is trusted",
                   "disk: ")
        self.server.ask("silent 1 on")
        eventually(lambda: self.agent.plugin("plc")["units"][0]["state"] == "silent")
        told = self.check(2, "error    plc: unit 1: no answer within 500 ms\n", "fine     sim: 4 of 4")
        self.assertNotIn("fine     plc", told.stdout)
        self.agent.end()
        self.check(2, "error    plc: unit 1: no answer within 500 ms\n", "fine     sim: 4 of 4",
                   "fine     broker: mqtt://127.0.0.1:")
        self.server.ask("silent 1 off")
        self.check(0, "accepts our login")
        self.broker.stop()
        self.check(2, "fine     plc: 1 of 1", f"error    broker: mqtt://127.0.0.1:{self.broker.port}: "
                   f"connect 127.0.0.1:{self.broker.port}: Connection refused\n")

    def test_outputs_are_not_driven_and_a_line_by_number_is_a_warning(self):
        ours, line = os.openpty()
        self.addCleanup(os.close, ours)
        self.addCleanup(os.close, line)
        rows = counter() + 'command = "set-count"\n'
        self.start(lambda port: modbus(port, rows=rows, name="pump") + modbus(port, rows=counter("other"))
                   .replace(f"tcp://127.0.0.1:{port}", "rtu:///dev/ttyUSB9"))
        self.agent.end()
        self.check(2, "warning  pump: was not opened: it has outputs",
                   "warning  plc: /dev/ttyUSB9 may be another adapter after the next boot",
                   "error    plc: ")
        alone = self.agent.cli("read", "pump", "--config", self.agent.folder)
        self.assertEqual(alone.returncode, 1)
        self.assertIn("it has outputs ('set-count')", alone.stderr)
        self.assertEqual(self.agent.cli("read", "pump", "--outputs", "--config", self.agent.folder).returncode, 0)

    def test_a_wrong_configuration_is_not_looked_at_further(self):
        self.start(lambda port: modbus(port, rows=counter()))
        self.agent.config.write_text("[uplnk]\n")
        done = self.agent.cli("check", "--live", "--config", self.agent.folder)
        self.assertEqual((done.returncode, done.stdout), (78, ""))


class ModbusProbeTest(SiteTest):
    def probe(self, *args):
        return field.cli("modbus", "probe", *args)

    def test_shows_each_type_and_order_and_the_lines_for_one(self):
        server = self.field.modbus(units="3", do=["set 3 input 100 16712", "set 3 input 101 39322"])
        url = f"tcp://127.0.0.1:{server.port}"
        shown = self.probe(url, "--unit", "3", "--table", "input", "--address", "100")
        self.assertEqual(shown.returncode, 0, shown.stderr)
        rows = [line.split() for line in shown.stdout.splitlines()]
        self.assertIn(["uint16", "16712"], rows)
        self.assertIn(["float32", "ABCD", "12.5375"], rows)
        self.assertIn(["uint32", "CDAB", str((39322 << 16) + 16712)], rows)
        lines = self.probe(url, "--unit", "3", "--table", "input", "--address", "100", "--as", "float32,CDAB")
        self.assertIn('[[plugin.register]]\nattribute = "value"\ntable = "input"\naddress = 100\n'
                      'type = "float32"\nword_order = "little"\n', lines.stdout)

    def test_says_what_is_wrong(self):
        server = self.field.modbus()
        url = f"tcp://127.0.0.1:{server.port}"
        for args, status, words in (
                ([url, "--unit", "9"], 1, "unit 9: no answer within"),
                ([url, "--as", "float33"], 1, "--as float33: not one of those above"),
                ([url, "--address", "70000"], 64, "expected a whole number from 0 to 65535"),
                ([url, "--table", "registers"], 64, 'expected one of "coil", "discrete"'),
                (["tcp://127.0.0.1:1"], 1, "Connection refused")):
            done = self.probe(*args)
            self.assertEqual(done.returncode, status, done.stderr)
            self.assertIn(words, done.stderr)


if __name__ == "__main__":
    unittest.main()
