# SPDX-License-Identifier: Apache-2.0
"""Disks, folders and files that fail under the agent. Whatever happens it starts and runs, says what
is going on, and goes on by itself when the fault is over. What was read is delivered.
"""
import hashlib
import json
import os
import pathlib
import shutil
import signal
import socket
import sqlite3
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from fakes import field  # noqa: E402  pylint: disable=wrong-import-position
from fakes.disk import Disk  # noqa: E402
from fakes.field import METER, eventually  # noqa: E402
from fakes.site import HEAD, QUIET, SiteTest, uplink  # noqa: E402

# What is not acknowledged is on the disk half a second later.
OUTBOX = '[outbox]\nflush_interval = "500ms"\n'


class FaultsTest(SiteTest):
    def setUp(self):
        super().setUp()
        self.posted = 0
        self.state = self.field.folder / "state"
        self.broker = self.field.broker()
        self.witness = self.field.witness(self.broker)
        self.agent = None

    def run_agent(self, outbox=OUTBOX, **options):
        self.agent = self.field.agent(HEAD + QUIET + uplink(self.broker.port) + outbox, **options)
        self.agent.wait_until_up()
        return self.agent

    def run_agent_without_a_broker(self, **options):
        self.broker.stop()
        return self.run_agent(**options)

    def post(self, count=1):
        """Readings n = 1, 2, 3, …, as programs on the machine post them."""
        first, self.posted = self.posted + 1, self.posted + count
        lines = "".join(json.dumps({"device": "meter", "data": {"n": n}}) + "\n"
                        for n in range(first, self.posted + 1))
        sent = self.agent.cli("send", input=lines)
        self.assertEqual(sent.returncode, 0, sent.stderr)

    def outbox(self):
        return self.agent.status()["outbox"]

    def wait_until_stored(self, count=None):
        """All that was posted is on the disk, or so many."""
        eventually(lambda: self.outbox()["stored"] == (count or self.posted)
                   and self.outbox()["staged"] == 0, 20, "readings on the disk")

    def wait_for_words(self, *words):
        """What `fieldpost status` and the log say of the trouble."""
        def said():
            trouble = self.outbox()["trouble"]
            return trouble if all(w in trouble for w in words) else None
        try:
            trouble = eventually(said, 20)
        except AssertionError:
            self.fail(f"{words} not said, but: {self.outbox()}\n{self.agent.text()}")
        self.assertIn(trouble, self.agent.cli("status").stdout)
        self.assertIn(words[-1], self.agent.text())
        return trouble

    def wait_until_well(self):
        eventually(lambda: not self.outbox()["trouble"], 20, "the end of the trouble")

    def numbers(self):
        return sorted(int(n) for n in self.delivered(METER, "n"))

    def expect_all_delivered(self, first=1):
        expected = list(range(first, self.posted + 1))
        try:
            eventually(lambda: set(self.numbers()) >= set(expected), 20)
        except AssertionError:
            self.fail(f"delivered: {self.numbers()}, posted: {expected}\n{self.agent.text()}")
        self.assertEqual(self.outbox()["lost"], 0)

    def kill_and_run_again(self, **options):
        self.agent.end(signal.SIGKILL)
        self.run_agent(**options)

    # ---- The disk.

    def test_a_disk_that_is_read_only_at_the_start_is_taken_up_when_it_is_not(self):
        disk = Disk(self, self.state)
        disk.remount("ro")
        self.run_agent_without_a_broker()
        self.post(5)
        self.wait_for_words("cannot be written, readings wait in memory", "outbox.db",
                            "the file system is mounted read-only")
        warned = "is on a file system that is read-only: readings that wait do not survive a reboot"
        self.assertIn(warned, self.outbox()["warning"])
        self.assertEqual(self.agent.text().count(warned), 1)
        self.assertEqual(self.agent.text().count("the black box cannot be written"), 1)
        disk.remount("rw")
        self.wait_until_well()
        self.assertEqual(self.outbox()["warning"], "")
        self.wait_until_stored()
        self.assertIn("the outbox works again", self.agent.text())
        shutil.rmtree(self.field.folder / "run")  # as a power cut does
        self.kill_and_run_again()
        self.broker.start()
        self.expect_all_delivered()
        self.agent.end()

    def test_a_disk_that_breaks_down_costs_nothing(self):
        disk = Disk(self, self.state)
        self.run_agent_without_a_broker()
        self.post(5)
        self.wait_until_stored()
        disk.break_down()
        self.post(5)
        self.wait_for_words("cannot be written, readings wait in memory", "Read-only file system")
        self.broker.start()
        self.expect_all_delivered()
        self.broker.stop()
        self.post(5)
        self.agent.end()
        disk.repair()
        self.run_agent()
        self.wait_until_well()
        self.broker.start()
        self.expect_all_delivered()
        self.assertEqual(self.numbers(), list(range(1, 16)), "nothing came twice")
        self.agent.end()

    def test_io_errors_end_with_the_fault(self):
        backing = self.field.folder / "backing"
        Disk(self, backing, "tmpfs")
        disk = Disk(self, self.state, backing=backing)
        self.run_agent_without_a_broker()
        self.post(2)
        self.wait_until_stored()
        ballast = backing / "ballast"  # what the disk writes to has no room left: real I/O errors
        with open(ballast, "wb", buffering=0) as file, self.assertRaises(OSError):
            while True:
                file.write(b"x" * 4096)
        big = "x" * 60000
        for n in range(20):
            self.assertTrue(self.agent.ask({"do": "send", "device": "meter",
                                            "data": {"text": f"{n} {big}"}})["ok"])
        self.wait_for_words("cannot be written, readings wait in memory", "disk is full")
        ballast.unlink()
        self.wait_until_well()
        self.broker.start()
        self.expect_all_delivered()
        eventually(lambda: len(self.delivered(METER, "text")) == 20, 60)
        self.agent.end()
        self.assertTrue(disk.place.exists())

    def test_a_disk_that_stalls_is_waited_for_and_holds_nobody_up(self):
        disk = Disk(self, self.state)
        self.run_agent_without_a_broker()
        self.post(5)
        self.wait_until_stored()
        disk.freeze()
        self.post(5)
        trouble = eventually(lambda: self.outbox()["trouble"], 20)
        self.assertRegex(trouble, r"^the disk has been stalled for [0-9.]+ s$")
        began = time.monotonic()
        self.post(5)
        self.assertLess(time.monotonic() - began, 1)
        disk.thaw()
        self.wait_until_well()
        self.broker.start()
        self.expect_all_delivered()
        disk.freeze()
        self.broker.stop()
        self.post(5)
        eventually(lambda: "stalled" in self.outbox()["trouble"], 20)
        began = time.monotonic()
        self.agent.child.send_signal(signal.SIGTERM)
        eventually(lambda: "the disk did not take everything" in self.agent.text(), 5)
        self.assertLess(time.monotonic() - began, 3)
        disk.thaw()
        self.assertEqual(self.agent.child.wait(10), 0)
        self.run_agent()
        self.broker.start()
        self.expect_all_delivered()
        self.agent.end()

    def test_a_state_directory_in_memory_works_and_is_warned_of(self):
        Disk(self, self.state, "tmpfs")
        self.run_agent_without_a_broker()
        self.post(3)
        self.wait_until_stored()
        status = self.agent.cli("status").stdout
        self.assertIn("is in memory (tmpfs): what waits there does not survive a reboot", status)
        self.assertEqual(self.agent.text().count("does not survive a reboot"), 1)
        self.assertEqual(self.outbox()["trouble"], "")
        self.agent.end()

    # ---- Folders.

    def test_a_state_directory_of_another_user_is_named_and_taken_up_after_chown(self):
        if os.geteuid() != 0:
            raise unittest.SkipTest("only root can run the agent as somebody else")
        user = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
        self.field.folder.chmod(0o755)
        for name in ("run", "state"):
            (self.field.folder / name).mkdir()
        shutil.chown(self.field.folder / "run", 65534, 65534)
        self.state.chmod(0o755)
        self.run_agent_without_a_broker(prefix=user)
        self.post(3)
        self.wait_for_words(f"'{self.state}' belongs to user 0 and this runs as user 65534",
                            "chown the folder")
        shutil.chown(self.state, 65534, 65534)
        self.wait_until_well()
        self.wait_until_stored()
        # One file is enough: somebody had a look with root's rights.
        self.agent.end(signal.SIGKILL)
        shutil.chown(self.state / "outbox.db-wal", 0, 0)
        self.run_agent(prefix=user)
        self.post(3)
        self.wait_for_words("outbox.db-wal' belongs to user 0")
        shutil.chown(self.state / "outbox.db-wal", 65534, 65534)
        self.wait_until_well()
        self.broker.start()
        self.expect_all_delivered()
        opened = self.agent.text().count("outbox is open")
        since = time.monotonic()
        eventually(lambda: time.monotonic() - since > 2.5, 5)  # it looks every 2 s
        self.assertEqual(self.agent.text().count("outbox is open"), opened, "it stays open")

    def test_a_state_directory_that_is_removed_comes_back_with_all_that_was_in_it(self):
        self.run_agent_without_a_broker()
        self.post(5)
        self.wait_until_stored()
        shutil.rmtree(self.state)
        eventually(lambda: (self.state / "outbox.db-wal").exists(), 10, "the outbox's return")
        self.assertIn("removed from its folder or replaced", self.agent.text())
        self.post(5)
        self.wait_until_stored()
        self.kill_and_run_again()
        self.broker.start()
        self.expect_all_delivered()

    def test_a_run_directory_that_is_removed_comes_back_and_costs_nothing(self):
        notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(notified.close)
        notified.bind(str(self.field.folder / "notify"))
        self.run_agent(env={"NOTIFY_SOCKET": str(self.field.folder / "notify")})
        eventually(lambda: self.agent.status()["uplink"]["state"] == "connected")
        run = self.field.folder / "run"
        shutil.rmtree(run)
        eventually(lambda: (run / "control.sock").exists() and (run / "status.sock").exists()
                   and (run / "stage/stage.1").exists(), 10, "the run directory's return")
        self.assertEqual(run.stat().st_mode & 0o777, 0o755)
        self.post(3)
        self.broker.stop()
        self.post(3)
        self.broker.start()  # over a private socket in the run directory
        eventually(lambda: self.agent.status()["uplink"]["state"] == "connected", 20)
        self.expect_all_delivered()
        self.broker.stop()
        self.post(3)
        self.kill_and_run_again()
        self.broker.start()
        self.expect_all_delivered()
        self.agent.end()
        # One that cannot be made again is said where it can still be read.
        self.run_agent(env={"NOTIFY_SOCKET": str(self.field.folder / "notify")})
        shutil.rmtree(run)
        run.write_text("in the way")
        notified.settimeout(10)
        line = ""
        while "the run directory was cleared and cannot be filled again" not in line:
            line = notified.recv(65536).decode()
        self.assertIn("restart the service", line)
        eventually(lambda: "would not survive a crash" in self.agent.text(), 10)
        run.unlink()
        eventually(lambda: (run / "status.sock").exists(), 10)
        self.wait_until_well()

    # ---- The database.

    def leave_a_backlog(self, count=5, how=signal.SIGTERM):
        """Of an agent that has ended, and a machine that was without power since."""
        self.run_agent_without_a_broker()
        self.post(count)
        self.wait_until_stored()
        self.agent.end(how)
        shutil.rmtree(self.field.folder / "run")

    def broken_files(self):
        return sorted(f.name for f in self.state.iterdir()
                      if ".broken-" in f.name and not f.name.endswith("-wal"))

    def test_a_wal_without_its_database_is_enough(self):
        self.leave_a_backlog()
        (self.state / "outbox.db").unlink()
        self.run_agent()
        self.broker.start()
        self.expect_all_delivered()

    def test_a_database_without_its_wal_is_taken_as_it_is(self):
        self.leave_a_backlog(how=signal.SIGKILL)
        (self.state / "outbox.db-wal").unlink()
        self.run_agent()
        self.post(3)
        self.wait_until_well()
        self.broker.start()
        self.expect_all_delivered(first=6)  # those before had been in the WAL alone

    def test_a_file_that_is_no_database_is_moved_aside(self):
        for content in (b"", b"no database " * 1000, b"SQLite format 3\0" + b"\xff" * 5000):
            self.state.mkdir(exist_ok=True)
            (self.state / "outbox.db").write_bytes(content)
            before = len(self.broken_files())
            self.run_agent_without_a_broker()
            self.post(3)
            self.wait_until_stored(3)
            self.assertEqual(len(self.broken_files()), before + (1 if content else 0), content[:20])
            if content:
                self.assertIn("the outbox was damaged; a new one has what could be read of it",
                              self.agent.text())
                kept = (self.state / self.broken_files()[-1]).read_bytes()
                self.assertEqual(kept, content)
                self.assertIn(self.broken_files()[-1], self.agent.text())
            self.broker.start()
            self.expect_all_delivered()
            self.agent.end()
            (self.state / "outbox.db-wal").unlink()

    def test_a_truncated_database_gives_what_is_left_of_it(self):
        self.leave_a_backlog(200)
        with sqlite3.connect(self.state / "outbox.db") as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.close()
        for name in ("outbox.db-wal", "outbox.db-shm"):
            (self.state / name).unlink(missing_ok=True)
        self.assertGreater((self.state / "outbox.db").stat().st_size, 16 * 1024)
        os.truncate(self.state / "outbox.db", 15 * 1024 + 100)
        self.run_agent()
        self.post(5)
        self.broker.start()
        eventually(lambda: set(range(201, 206)) <= set(self.numbers()), 20)
        self.assertEqual(len(self.broken_files()), 1)
        self.assertIn("the outbox was damaged", self.agent.text())

    def test_what_stands_in_the_way_is_named_and_left_alone(self):
        self.state.mkdir()
        (self.state / "outbox.db").mkdir()
        self.run_agent_without_a_broker()
        self.post(3)
        self.wait_for_words("outbox.db' is not a file; move it away")
        (self.state / "outbox.db").rmdir()
        self.wait_until_well()
        self.wait_until_stored()
        self.agent.end()
        for file in self.state.glob("outbox.db*"):
            file.unlink()
        with sqlite3.connect(self.state / "outbox.db") as database:
            database.execute("CREATE TABLE theirs (x)")
        database.close()
        before = (self.state / "outbox.db").read_bytes()
        self.posted = 0
        self.run_agent()
        self.post(3)
        self.wait_for_words("is a database, but not an outbox of this program; move it away")
        self.assertEqual((self.state / "outbox.db").read_bytes(), before)
        (self.state / "outbox.db").rename(self.state / "theirs.db")
        self.wait_until_well()
        self.wait_until_stored()
        self.broker.start()
        self.expect_all_delivered()

    def set_schema(self, schema, min_reader):
        with sqlite3.connect(self.state / "outbox.db") as database:
            database.execute(f"PRAGMA user_version = {schema}")
            database.execute("UPDATE meta SET value = ? WHERE key = 'min_reader'", (min_reader,))
        database.close()

    def schema(self):
        with sqlite3.connect(self.state / "outbox.db") as database:
            found = (database.execute("PRAGMA user_version").fetchone()[0],
                     database.execute("SELECT value FROM meta WHERE key = 'min_reader'").fetchone()[0])
        database.close()
        return found

    def test_a_newer_versions_database_is_left_alone_and_taken_up_after_the_upgrade(self):
        def digest():
            return hashlib.sha256((self.state / "outbox.db").read_bytes()).hexdigest()

        self.leave_a_backlog()
        ours = self.schema()
        self.set_schema(99, 98)
        newer = digest()
        self.run_agent(outbox=OUTBOX + 'stage_size = "1MB"\n')
        self.post(5)
        self.wait_for_words("written by a newer version", "schema 99, readable from schema 98",
                            f"this one knows schema {ours[0]}", "install that version")
        self.broker.start()  # what waits in memory is sent meanwhile
        eventually(lambda: self.numbers() == [6, 7, 8, 9, 10], 20)
        self.broker.stop()
        self.post(5)
        self.assertEqual(digest(), newer, "not a byte was touched")
        # A process of the newer version, or this one if somebody went back: the same to the file.
        self.agent.end()
        self.set_schema(*ours)
        self.run_agent()
        self.wait_until_well()
        self.broker.start()
        self.expect_all_delivered()

    def test_when_memory_is_full_too_that_is_said_and_counted(self):
        self.leave_a_backlog()
        ours = self.schema()
        self.set_schema(99, 98)
        self.run_agent(outbox=OUTBOX + 'stage_size = "1MB"\n')
        lines = "".join(json.dumps({"device": "meter", "data": {"text": f"{n} " + "x" * 10000}})
                        + "\n" for n in range(200))
        self.assertEqual(self.agent.cli("send", input=lines).returncode, 0)
        self.wait_for_words("newer version")
        trouble = self.outbox()["trouble"]
        self.assertIn("there is no room for more in memory, old readings are thinned", trouble)
        self.assertEqual(self.agent.text().count("error: stage 1 is full"), 1)
        dropped = self.outbox()["dropped"]  # each text is another one, so none can be thinned
        self.assertGreater(dropped, 50)
        self.set_schema(*ours)
        self.wait_until_well()
        self.post()
        eventually(lambda: "stage 1 has room again" in self.agent.text())
        self.broker.start()
        eventually(lambda: len(self.delivered(METER, "text")) == 200 - dropped, 20)
        self.assertEqual(self.outbox()["lost"], 0)
        eventually(lambda: self.numbers() == [1, 2, 3, 4, 5, 6], 20)
        eventually(lambda: self.outbox()["waiting"] == 0, 20)

    # ---- The configuration.

    def test_a_device_that_left_the_configuration_is_still_delivered(self):
        self.run_agent_without_a_broker()
        self.post(5)
        self.wait_until_stored()
        self.post(5)
        text = self.agent.config.read_text()
        self.agent.config.write_text(text.replace(
            f'[[device]]\nname = "meter"\nid = "{METER}"\n', ""))
        reloaded = self.agent.cli("reload")
        self.assertEqual(reloaded.returncode, 0, reloaded.stderr)
        refused = self.agent.ask({"do": "send", "device": "meter", "data": {"n": 0}})
        self.assertIn("no device 'meter'", refused["error"])
        self.kill_and_run_again_as_it_is()
        self.broker.start()
        self.expect_all_delivered()

    def kill_and_run_again_as_it_is(self):
        self.agent.end(signal.SIGKILL)
        self.agent = self.field.agent().wait_until_up()


if __name__ == "__main__":
    unittest.main()
