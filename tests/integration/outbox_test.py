# SPDX-License-Identifier: Apache-2.0
"""`fieldpost outbox` on the agent as its users run it: looking into what waits, while it goes on,
and when it does not."""
import array
import calendar
import csv
import fcntl
import hashlib
import io
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from fakes import field  # noqa: E402  pylint: disable=wrong-import-position
from fakes.field import BOILER, GATEWAY, METER, eventually  # noqa: E402
from fakes.site import HEAD, QUIET, uplink  # noqa: E402

SIM = """
[[plugin]]
name = "press"
type = "sim"
device = "boiler"
interval = "{interval}"
report = "always"
[[plugin.signal]]
attribute = "n"
shape = "counter"
offset = 1
[[plugin.signal]]
attribute = "level"
shape = "random_walk"
decimals = 9
[[plugin.signal]]
attribute = "on"
shape = "square"
period = "1s"
[[plugin.signal]]
attribute = "note"
shape = "text"
period = "1s"
texts = 'a, "b"|plain|'
[[plugin]]
name = "meter"
type = "sim"
device = "meter"
interval = "{interval}"
[[plugin.signal]]
attribute = "n"
shape = "counter"
offset = 1
"""


def config(port, interval="20ms", flush="1s", order="live-first"):
    return HEAD + QUIET + uplink(port) + f'order = "{order}"\n[outbox]\nflush_interval = "{flush}"\n' + SIM.format(interval=interval)


def parse(text):
    return list(csv.DictReader(io.StringIO(text, newline="")))


def numbers(rows, device=BOILER, attribute="n"):
    return [float(r["value"]) for r in rows if (r["device"], r["attribute"]) == (device, attribute)]


def digest(*folders):
    """Every file's name, size, time of change and content."""
    found = {}
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                info = path.stat()
                found[str(path)] = (info.st_size, info.st_mtime_ns,
                                    hashlib.sha256(path.read_bytes()).hexdigest())
    return found


class OutboxTest(unittest.TestCase):
    def setUp(self):
        self.field = field.Field()
        self.addCleanup(self.field.__exit__)
        self.state = self.field.folder / "state"
        self.run = self.field.folder / "run"
        self.database = self.state / "outbox.db"

    def start_offline(self, **options):
        """An agent whose broker is not there, with rows on the disk and readings in memory."""
        self.port = field.free_port()
        self.agent = self.field.agent(config(self.port, **options)).wait_until_up()
        eventually(lambda: self.waits()["rows"] >= 4 and self.waits()["staged"] > 10,
                   what="rows on the disk")

    def waits(self):
        return self.agent.status()["outbox"]

    def outbox(self, *args):
        return field.cli("outbox", *args, "--run-dir", self.run, "--state-dir", self.state)

    def export(self, *args):
        done = self.outbox("export", *args)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    # ---- Of a running agent.

    def test_an_export_has_each_reading_once_and_as_it_is_delivered(self):
        # In order, so that what the witness misses is what was first.
        self.start_offline(interval="10ms", order="oldest-first")
        eventually(lambda: self.waits()["waiting"] > 3000, 30)
        waiting = self.waits()["waiting"]
        # Not through text=True: that makes line ends alike.
        raw = subprocess.run([field.BUILD / "bin/fieldpost", "outbox", "export", "--run-dir",
                              self.run], capture_output=True, check=True, timeout=60).stdout.decode()
        self.assertTrue(raw.startswith("time,boot_ms,estimated,device,name,attribute,type,value\r\n"), raw[:99])
        rows = parse(raw)
        self.assertGreaterEqual(len(rows), waiting)
        for device, name in ((BOILER, "boiler"), (METER, "meter")):
            seen = numbers(rows, device)
            self.assertEqual(seen, [float(n) for n in range(1, len(seen) + 1)], "a gap or a double")
            self.assertEqual({r["name"] for r in rows if r["device"] == device}, {name})
        self.assertEqual({r["type"] for r in rows}, {"number", "boolean", "string"})
        lines = [json.loads(line) for line in self.export("--format", "jsonl").splitlines()]
        self.assertEqual([line["value"] for line in lines if line["device"] == METER][:100],
                         [float(n) for n in range(1, 101)])
        only = parse(self.export("--device", "meter"))
        self.assertEqual({r["device"] for r in only}, {METER})

        broker = field.Broker(self.field.folder / "b", self.port)
        self.field.stack.callback(broker.stop)
        witness = self.field.witness(broker)
        highest = max(numbers(rows))
        eventually(lambda: highest in witness.values(BOILER, "n"), 30, "delivery")
        delivered = {(t, a): v for _, t, d in witness.states(BOILER) for a, v in d.items()}
        first = min(t for t, _ in delivered)  # the witness came after the broker
        compared = 0
        for row in rows:
            at = to_ms(row["time"])
            if row["device"] != BOILER or at < first:
                continue
            value = {"number": float, "boolean": lambda v: v == "true", "string": str}[row["type"]]
            self.assertEqual(value(row["value"]), delivered[at, row["attribute"]], row)
            compared += 1
        self.assertGreater(compared, 100)

    def stalled_export(self, wanted="csv"):
        """An export whose reader does not read: the agent's answer, and the end to read from."""
        read, write = os.pipe()
        fcntl.fcntl(read, fcntl.F_SETPIPE_SZ, 4096)
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(10)
            s.connect(str(self.run / "status.sock"))
            request = json.dumps({"do": "export", "format": wanted}).encode() + b"\n"
            s.sendmsg([request], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [write]))])
            os.close(write)
            answer = json.loads(s.recv(65536))
        return answer, read

    def outcome(self, number):
        return self.agent.ask({"do": "export-outcome", "export": number}, "status.sock")

    def test_a_reader_that_stops_holds_nothing_up_and_a_third_is_told_so(self):
        self.start_offline()
        first, one = self.stalled_export()
        second, two = self.stalled_export("jsonl")
        self.assertTrue(first["ok"] and second["ok"], (first, second))
        third = self.outbox("export")
        self.assertEqual((third.returncode, third.stdout),
                         (1, ""), third.stderr)
        self.assertIn("2 exports are running already", third.stderr)
        rows = self.waits()["rows"]
        eventually(lambda: self.waits()["rows"] >= rows + 6, 20, "three more flushes")
        self.assertLess(self.waits()["staged"], 1500)
        used = cpu_of(self.agent.child.pid)
        time.sleep(1)  # what is measured is a second
        self.assertLess(cpu_of(self.agent.child.pid) - used, 0.5, "it spins")

        os.close(one)  # this reader goes
        eventually(lambda: self.outcome(first["export"])["ended"], what="the end of an export")
        self.assertIn("Broken pipe", self.outcome(first["export"])["trouble"])
        with open(two, encoding="utf-8") as reader:  # and this one reads on: nothing is missing
            lines = [json.loads(line) for line in reader]
        seen = [line["value"] for line in lines if line["device"] == BOILER and line["attribute"] == "n"]
        self.assertEqual(seen, list(range(1, len(seen) + 1)))
        outcome = self.outcome(second["export"])
        self.assertEqual((outcome["ended"], outcome["trouble"], outcome["readings"]),
                         (True, "", len(lines)))
        self.assertGreater(len(parse(self.export())), 0)

    def test_killing_the_command_and_stopping_the_agent_end_an_export(self):
        self.start_offline()
        read, write = os.pipe()
        fcntl.fcntl(read, fcntl.F_SETPIPE_SZ, 4096)
        command = subprocess.Popen(  # pylint: disable=consider-using-with
            [field.BUILD / "bin/fieldpost", "outbox", "export", "--run-dir", self.run], stdout=write)
        os.close(write)
        self.assertTrue(os.read(read, 10))
        command.kill()
        command.wait()
        os.close(read)
        eventually(lambda: self.outcome(1)["ended"], what="the end of the export")
        answer, read = self.stalled_export()
        self.assertTrue(answer["ok"])
        began = time.monotonic()
        self.assertEqual(self.agent.end(signal.SIGTERM), 0)
        self.assertLess(time.monotonic() - began, 3)
        os.close(read)

    def test_what_is_no_pipe_is_refused(self):
        self.start_offline()
        answer = self.agent.ask({"do": "export", "format": "csv"}, "status.sock")
        self.assertIn("expected the write end of a pipe", answer["error"])
        answer, read = self.stalled_export("xml")
        os.close(read)
        self.assertEqual(answer["error"], "format: expected csv, jsonl or counts")
        self.assertIn("no such export", self.outcome(77)["error"])

    def test_status_counts_by_device(self):
        self.start_offline()
        status = json.loads(self.outbox("status", "--json").stdout)
        by_id = {d["id"]: d for d in status["devices"]}
        self.assertEqual(set(by_id), {BOILER, METER})
        self.assertEqual(by_id[BOILER]["name"], "boiler")
        self.assertEqual(by_id[METER]["rows"] * 2, sum(d["rows"] for d in status["devices"]))
        self.assertGreater(by_id[BOILER]["readings"], 3 * by_id[METER]["readings"])
        self.assertRegex(by_id[METER]["oldest"], r"^\d{4}-\d\d-\d\dT[\d:]+\.\d{3}Z$")
        text = self.outbox("status").stdout
        self.assertIn("drain     not connected: ", text)
        self.assertIn("boiler (" + BOILER, text)
        self.agent.end()
        stopped = json.loads(self.outbox("status", "--json").stdout)
        self.assertFalse(stopped["running"])
        self.assertEqual({d["id"] for d in stopped["devices"]}, {BOILER, METER})
        self.assertEqual(stopped["waiting"], sum(d["readings"] for d in stopped["devices"]))
        self.assertIn("no agent runs", self.outbox("status").stdout)

    def test_the_disk_is_written_to_while_offline_only(self):
        broker = self.field.broker()
        witness = self.field.witness(broker)
        self.agent = self.field.agent(config(broker.port, flush="4s")).wait_until_up()
        eventually(lambda: len(witness.values(METER, "n")) > 10)
        if "disk" not in self.waits():
            self.skipTest("this kernel does not count")

        def written_while_online():
            """In more than a flush interval."""
            before, delivered = self.waits()["disk"]["written"], len(witness.values(METER, "n"))
            began = time.monotonic()
            eventually(lambda: time.monotonic() - began > 6
                       and len(witness.values(METER, "n")) > delivered + 200, 30)
            return self.waits()["disk"]["written"] - before

        # What an acknowledgement came too late for, on a machine that does much else, goes to the
        # disk and from there: not in each of a few intervals.
        self.assertIn(0, (written_while_online() for _ in range(5)))
        before = self.waits()["disk"]["written"]
        broker.stop()
        eventually(lambda: self.waits()["rows"] > 0, 20)
        kind = subprocess.run(["stat", "-f", "-c", "%T", self.state], capture_output=True,
                              text=True, check=True).stdout.strip()
        if kind == "tmpfs":
            self.skipTest("the state folder is on a tmpfs")
        disk = eventually(lambda: (d := self.waits()["disk"])["written"] > before and d)
        self.assertGreater(disk["per_reading"], 0)
        self.assertRegex(self.agent.cli("status").stdout,
                         r"disk      [\d.]+ [kM]?B written in [\d.]+ .*, [\d.]+ bytes a reading")

    # ---- Of a file.

    def test_a_stopped_and_a_killed_agent_are_read_without_a_trace(self):
        self.start_offline()
        eventually(lambda: self.waits()["staged"] > 100)
        self.agent.end(signal.SIGKILL)
        before = digest(self.state, self.run / "stage")
        status = json.loads(self.outbox("status", "--json").stdout)
        rows = parse(self.export())
        self.assertGreater(status["staged"], 0)
        self.assertEqual(status["waiting"], len(rows))
        self.assertEqual(numbers(rows), [float(n) for n in range(1, len(numbers(rows)) + 1)])
        self.assertEqual(self.outbox("verify").returncode, 0)
        self.assertEqual(digest(self.state, self.run / "stage"), before)
        # The next agent brings all of it to the disk, and a stop leaves nothing in memory.
        self.field.agent().wait_until_up().end()
        before = digest(self.state, self.run / "stage")
        again = parse(self.export())
        lines = {tuple(r.values()) for r in again}  # in other order: a row has one device
        self.assertEqual([r for r in rows if tuple(r.values()) not in lines], [])
        self.assertEqual(json.loads(self.outbox("status", "--json").stdout)["staged"], 0)
        self.assertEqual(digest(self.state, self.run / "stage"), before)
        # A copy says the same.
        copy = self.field.folder / "copy.db"
        shutil.copy(self.database, copy)
        shutil.copy(f"{self.database}-wal", f"{copy}-wal")
        self.assertEqual(parse(field.cli("outbox", "export", "--file", copy).stdout), again)

    def test_a_file_that_the_agent_has_open_is_left_alone(self):
        self.start_offline()
        for args in (("verify",), ("export", "--file", self.database), ("salvage", self.database)):
            done = self.outbox(*args)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertIn(f"open in another process ({self.agent.child.pid})", done.stderr)

    def test_a_damaged_copy_is_found_and_salvaged(self):
        self.start_offline(interval="10ms")
        eventually(lambda: self.waits()["stored"] > 4000, 30)
        self.agent.end()
        all_rows = parse(self.export())
        broken = self.field.folder / "broken.db"
        shutil.copy(self.database, broken)
        shutil.copy(f"{self.database}-wal", f"{broken}-wal")
        sound = field.cli("outbox", "verify", "--file", broken)
        self.assertEqual(sound.returncode, 0, sound.stderr)
        self.assertIn(f"with {len(all_rows)} readings are sound", sound.stdout)
        # A bit of a row, wherever its newest copy is.
        text = all_rows[len(all_rows) // 2]
        damage_a_row(broken)
        before = digest(self.field.folder)
        found = field.cli("outbox", "verify", "--file", broken)
        self.assertEqual(found.returncode, 1, found.stdout)
        self.assertRegex(found.stdout, r"damaged: \d+ (row|page)")
        exported = field.cli("outbox", "export", "--file", broken)
        self.assertEqual(exported.returncode, 1)
        self.assertIn("incomplete", exported.stderr)
        left = parse(exported.stdout)
        self.assertTrue(0 < len(left) < len(all_rows), text)
        report = field.cli("outbox", "salvage", broken)
        self.assertEqual(report.returncode, 0, report.stderr)
        self.assertRegex(report.stdout, rf"with {len(left)} readings saved .* lost")
        self.assertEqual(digest(self.field.folder), before, "nothing was touched or made")
        fresh = self.field.folder / "fresh.db"
        self.assertEqual(field.cli("outbox", "salvage", broken, "--output", fresh).returncode, 0)
        self.assertEqual(digest(self.field.folder) | before, digest(self.field.folder))
        self.assertEqual(field.cli("outbox", "verify", "--file", fresh).returncode, 0)
        self.assertEqual(parse(field.cli("outbox", "export", "--file", fresh).stdout), left)
        again = field.cli("outbox", "salvage", broken, "--output", fresh)
        self.assertEqual((again.returncode, again.stderr), (1, f"fieldpost: '{fresh}' exists already\n"))

    def test_mistakes_are_named(self):
        none = self.field.folder / "none.db"
        noise = self.field.folder / "noise"
        noise.write_bytes(bytes(range(256)) * 100)
        for args, status, words in (
                (("export", "--file", none), 1, f"there is no '{none}'"),
                (("verify", "--file", noise), 1, "is no outbox"),
                (("salvage", noise), 1, "is no outbox"),
                (("salvage",), 64, "usage: fieldpost outbox status, export, verify, or salvage FILE"),
                (("look",), 64, "usage: fieldpost outbox"),
                (("verify", "--json"), 64, "outbox verify takes no --json"),
                (("export", "--format", "xml"), 1, "--format: expected csv or jsonl, got 'xml'")):
            done = field.cli("outbox", *args)
            self.assertEqual((done.returncode, done.stdout), (status, ""), (args, done.stderr))
            self.assertIn(words, done.stderr)
        self.assertEqual(sorted(p.name for p in self.field.folder.iterdir()), ["noise"])

    # ---- Again, on a desk.

    def test_sim_replays_an_export(self):
        self.start_offline(interval="50ms")
        eventually(lambda: len(numbers(parse(self.export()))) > 40)
        export = self.field.folder / "week.csv"
        done = self.outbox("export", "--output", export)
        self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)
        self.agent.end()
        rows = [r for r in parse(export.read_bytes().decode()) if r["device"] == BOILER]
        self.assertRegex(done.stderr, r"^\d+ readings\n$")

        broker = self.field.broker()
        witness = self.field.witness(broker)
        replay = f"""
config_version = 1
{QUIET}[clock]
trust = "always"
[gateway]
device_id = "{GATEWAY}"
[uplink]
url = "mqtt://127.0.0.1:{broker.port}"
limits = "plain"
[[plugin]]
name = "desk"
type = "sim"
interval = "20ms"
report = "always"
options.csv = "{export}"
options.csv_device = "boiler"
options.csv_repeat = false
"""
        wrong = self.field.folder / "wrong.toml"
        wrong.write_text(replay.replace("csv_device = \"boiler\"", "csv_device = \"pump\""))
        check = field.cli("check", wrong)
        self.assertEqual(check.returncode, 78)
        self.assertRegex(check.stderr, r"wrong.toml:\d+:\d+: .*week.csv: has no rows to replay")
        agent = self.field.add(field.Agent(self.field.folder / "desk", replay))
        agent.wait_until_up()
        last = max(numbers(rows))
        eventually(lambda: last in witness.values(GATEWAY, "n"), 60, "the end of the replay")
        # The last instant has other readings too.
        eventually(lambda: sum(len(d) for _, _, d in witness.states(GATEWAY)) >= len(rows), 10)
        replayed = [(t, a, v) for _, t, d in witness.states(GATEWAY) for a, v in d.items()]
        value = {"number": float, "boolean": lambda v: v == "true", "string": str}
        recorded = [(to_ms(r["time"]), r["attribute"], value[r["type"]](r["value"])) for r in rows]
        self.assertEqual(sorted(str(as_json(r[1:])) for r in replayed),
                         sorted(str(as_json(r[1:])) for r in recorded))
        at = {v: t for t, a, v in replayed if a == "n"}
        was = {v: t for t, a, v in recorded if a == "n"}
        shift = at[1] - was[1]
        self.assertTrue(all(abs(at[v] - was[v] - shift) <= 1 for v in was), "not in its own rhythm")


def as_json(reading):
    """A number as JSON has it: 1 and 1.0 are the same."""
    attribute, value = reading
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return attribute, value


def to_ms(text):
    moment = time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")
    return calendar.timegm(moment) * 1000 + int(text[20:23])


def cpu_of(pid):
    """Seconds that a process has used."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def damage_a_row(path):
    """Flips a bit in the body of a row in the middle; the WAL is brought into the file first."""
    import sqlite3  # pylint: disable=import-outside-toplevel
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        count, = database.execute("SELECT count(*) FROM chunk").fetchone()
        body, = database.execute("SELECT body FROM chunk LIMIT 1 OFFSET ?", (count // 2,)).fetchone()
    database.close()
    content = bytearray(path.read_bytes())
    found = [m.start() for m in re.finditer(re.escape(body[:40]), bytes(content))]
    assert found, "the body is not where it should be"
    for at in found:
        content[at + 20] ^= 1
    path.write_bytes(bytes(content))


if __name__ == "__main__":
    unittest.main()
