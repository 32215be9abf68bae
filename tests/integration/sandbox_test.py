# SPDX-License-Identifier: Apache-2.0
"""What a plugin that wants out gets away with under the whole agent: it tries the agent's own memory,
outbox and secret (tests/host/plugins/hostile.cpp), and `fieldpost status` says what holds it.
"""
import ctypes
import os
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from fakes import field  # noqa: E402  pylint: disable=wrong-import-position
from fakes.field import eventually  # noqa: E402
from fakes.site import HEAD, SiteTest, uplink  # noqa: E402

PLUGINS = field.BUILD / "tests/plugins"
# Root may look into anybody, which the agent's user may not.
PREFIX = ("setpriv", "--bounding-set", "-sys_ptrace") if os.geteuid() == 0 else ()
SIGNALS = {"signal", "owner", "owner_ex", "kill", "owner_ioctl", "owner_group"}
# Landlock knows of signals since its version 6; setting them up is not what it refuses.
CONFINED_SIGNALS = {"signal"} if ctypes.CDLL(None).syscall(444, None, 0, 1) >= 6 else set()
# The files it tries. What it tries besides is the same wherever it runs.
OPENING = {"read", "detour", "write", "plant", "empty", "rename"}
UNOPENED = {"truncate", "chmod", "chown", "utimes", "attributes"}
FILES = OPENING | UNOPENED


def hostile(name, kind, folder, extra=""):
    """An instance with a device of its own."""
    number = sum(name.encode()) % 256
    return f"""
[[device]]
name = "{name}"
id = "575ecf887ae143cd83dc4b{number:02x}"
[[plugin]]
name = "{name}"
type = "{kind}"
device = "{name}"
{extra}
options.pid = 0
options.folder = "{folder}"
"""


class SandboxTest(SiteTest):
    def setUp(self):
        super().setUp()
        self.broker = self.field.broker()
        self.state = self.field.folder / "state"
        self.secrets = self.field.folder / "secrets"
        for folder in (self.state, self.state / "loose", self.secrets):
            folder.mkdir(parents=True)
            (folder / "secret").write_text("not for plugins")
            (folder / "secret").chmod(0o600)

    def start_agent(self, *instances):
        config = (HEAD + uplink(self.broker.port) + f'access_key_file = "{self.secrets}/secret"\n'
                  f'access_secret_file = "{self.secrets}/secret"\n' + "".join(instances))
        self.agent = self.field.agent(config, prefix=PREFIX, args=("--plugin-dir", PLUGINS),
                                      env={"FIELDPOST_ACCESS_SECRET": "not for plugins"})

    def run_agent(self, *instances):
        self.start_agent(*instances)
        self.agent.wait_until_up()

    def done(self, name):
        """What this instance could do."""
        def value():
            return self.agent.plugin(name)["attributes"][0].get("value")
        return set(eventually(value, what=f"a report of {name}").split())

    def test_a_plugin_gets_at_what_its_needs_say_and_no_more(self):
        self.run_agent(hostile("state", "hostile", self.state),
                       hostile("keys", "hostile", self.secrets),
                       hostile("net", "hostile_network", self.state),
                       hostile("exec", "hostile_exec", self.state))
        expected = {"state": {"thread"}, "keys": {"thread"},
                    "net": {"thread", "unix", "datagrams", "inet"},
                    "exec": {"thread", "exec", "fork", *SIGNALS} - CONFINED_SIGNALS}
        words = {"state": "no sockets, no programs", "keys": "no sockets, no programs",
                 "net": "network, no programs", "exec": "no sockets, programs"}
        shown = self.agent.cli("status").stdout
        for name, can in expected.items():
            sandbox = self.agent.plugin(name)["sandbox"]
            done = self.done(name)
            self.assertEqual(done - FILES, can, name)
            if name != "exec":
                self.assertEqual(done & UNOPENED, set(), name)
            files = "files confined" if sandbox["files_confined"] else "files not confined"
            self.assertEqual(sandbox["text"], f"{words[name]}, {files}")
            self.assertIn(f"\n  sandbox: {words[name]}, {files}\n", shown)
        told = field.cli("plugins", "help", "hostile_network", "--plugin-dir", PLUGINS).stdout
        self.assertIn("\nIts sandbox: network, no programs\n", told)
        self.assertEqual(self.agent.plugin("net")["sandbox"]["sockets"], "network")
        self.assertEqual(self.agent.plugin("exec")["sandbox"]["programs"], "any")
        if not sandbox["files_confined"]:
            self.skipTest("this kernel has no Landlock: files are not confined")
        for name in expected:
            self.assertEqual(self.done(name) & OPENING, set(), name)

    def test_without_a_sandbox_all_but_what_the_agent_has_in_memory_is_open(self):
        self.run_agent(hostile("loose", "hostile", self.state / "loose", 'sandbox = "off"'))
        done = self.done("loose")
        self.assertLessEqual({"early", "unix", "inet", "exec", *SIGNALS, *FILES}, done)
        self.assertEqual(done & {"memory", "copy", "trace", "secret"}, set())
        self.assertEqual(self.agent.plugin("loose")["sandbox"]["text"], "off, as configured")
        self.assertIn("plugin.sandbox: 'loose' runs without a sandbox", self.agent.text())

    def test_a_sandbox_that_is_switched_off_restarts_its_plugin_alone(self):
        one = hostile("one", "hostile", self.state)
        self.run_agent(one, hostile("other", "hostile", self.state))
        pids = {name: self.agent.plugin(name)["pid"] for name in ("one", "other")}
        text = self.agent.config.read_text()
        self.agent.config.write_text(text.replace(one, one + 'sandbox = "off"\n'))
        self.assertEqual(self.agent.cli("reload").returncode, 0)
        eventually(lambda: "exec" in self.done("one"), what="a report from outside")
        self.assertNotEqual(self.agent.plugin("one")["pid"], pids["one"])
        self.assertEqual(self.agent.plugin("other")["pid"], pids["other"])

    def test_another_key_file_restarts_those_alone_that_could_read_it(self):
        kept, later = self.state / "kept", self.field.folder / "later"
        for folder in (kept, later):
            folder.mkdir()
            (folder / "secret").write_text("not for plugins")
            (folder / "secret").chmod(0o600)
        names = ("reader", "open")
        self.run_agent(hostile("reader", "hostile", later),
                       hostile("open", "hostile", self.state / "loose", 'sandbox = "off"'))
        self.assertIn("read", self.done("reader"))
        (later / "secret").write_text("not for plugins")  # the plugin has renamed it
        (later / "secret").chmod(0o600)
        pids = {name: self.agent.plugin(name)["pid"] for name in names}

        def reload(old, new):
            text = self.agent.config.read_text()
            self.assertIn(f'access_key_file = "{old}/secret"', text)
            self.agent.config.write_text(text.replace(f'"{old}/secret"', f'"{new}/secret"'))
            done = self.agent.cli("reload")
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            return {name: self.agent.plugin(name).get("pid") for name in names}
        # Below what is hidden from them already.
        self.assertEqual(reload(self.secrets, kept), pids)
        now = reload(kept, later)
        self.assertEqual(now["open"], pids["open"])
        if not self.agent.plugin("reader").get("sandbox", {}).get("files_confined", True):
            self.assertEqual(now["reader"], pids["reader"])
            self.skipTest("this kernel has no Landlock: files are not confined")
        self.agent.wait_until_up()
        self.assertNotEqual(self.agent.plugin("reader")["pid"], pids["reader"])
        self.assertEqual(self.done("reader") & {"read", "rename"}, set())
        self.assertIn("it could read a file that is a secret now", self.agent.text())

    def run_unit(self, kind):
        """The socket of a unit, as examples/systemd/fieldpost-boiler.socket; systemd's own tool serves it."""
        self.field.folder.chmod(0o711)
        user = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
        host = (str(field.BUILD / "libexec/plugin-host"), "run", str(PLUGINS / f"{kind}.so"))
        if subprocess.run((*user, "head", "-c1", host[2]), capture_output=True, check=False).returncode:
            self.skipTest("another user cannot read the build folder")
        path = self.field.folder / "unit.sock"
        self.listener = subprocess.Popen(("systemd-socket-activate", "--accept", "--seqpacket", "-l", str(path),
                                          *user, *host), stderr=subprocess.DEVNULL)
        self.addCleanup(self.listener.wait)
        self.addCleanup(self.listener.terminate)
        eventually(path.exists)
        return path

    @unittest.skipUnless(os.geteuid() == 0, "root alone can start something as another user")
    def test_a_unit_of_its_own_user_needs_no_other_wall(self):
        path = self.run_unit("hostile_exec")
        self.run_agent(hostile("unit", "hostile_exec", self.state, f'sandbox = "off"\nsocket = "{path}"'))
        text = self.agent.config.read_text()
        self.agent.config.write_text(text.replace("pid = 0", f"pid = {self.agent.child.pid}"))
        self.assertEqual(self.agent.cli("reload").returncode, 0)
        self.agent.wait_until_up()
        done = self.done("unit")
        self.assertLessEqual({"exec", "fork", "inet"}, done, "there is no sandbox")
        # A chown that changes nothing is everybody's, and so is a call that names no attribute.
        self.assertEqual(done & {*FILES, "signal", "memory", "copy", "trace"} - {"chown", "attributes"}, set())
        self.assertIn(", a unit of its own\n", self.agent.cli("status").stdout)
        self.assertEqual(self.agent.plugin("unit")["socket"], str(path))

    @unittest.skipUnless(os.geteuid() == 0, "root alone can start something as another user")
    def test_a_unit_that_ends_is_started_again(self):
        path = self.run_unit("hostile")
        self.run_agent(hostile("unit", "hostile", self.state, f'socket = "{path}"'))
        self.assertEqual(self.done("unit") & {*FILES, "inet", "exec", "signal"}, set())

        def hosts():
            pid = self.listener.pid
            return {int(p) for p in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}
        first, = hosts()
        os.kill(first, 9)
        eventually(lambda: self.agent.plugin("unit")["restarts"] == 1, what="another start")
        self.agent.wait_until_up()
        self.assertEqual(len(hosts() - {first}), 1)

    @unittest.skipUnless(os.geteuid() == 0, "root alone can start something as another user")
    def test_a_unit_can_declare_nothing_else_than_the_agent_has_checked(self):
        path = self.run_unit("tally")
        self.start_agent(hostile("unit", "hostile", self.state, f'socket = "{path}"'))
        why = "declared other things than the agent's own copy of the plugin: is its unit of another version?"
        eventually(lambda: why in self.agent.text(), what="why it may not")
        self.assertEqual([a["name"] for a in self.agent.plugin("unit")["attributes"]], ["done"])


if __name__ == "__main__":
    unittest.main()
