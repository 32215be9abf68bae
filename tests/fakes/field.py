# SPDX-License-Identifier: Apache-2.0
"""Real parts around the agent, for integration tests and the demo: Debian's mosquitto, the
pymodbus server of modbus_server.py, mosquitto_sub as the witness, and fieldpostd itself.

Everything listens on 127.0.0.1, lives in a folder of its own and is ended by pid. Nothing waits by
sleeping a fixed time: `eventually` looks for a condition until a deadline.
"""
import array
import contextlib
import fcntl
import json
import os
import pathlib
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import termios
import threading
import time

SOURCE = pathlib.Path(os.environ.get("FIELDPOST_SOURCE_DIR", pathlib.Path(__file__).parents[2]))
BUILD = pathlib.Path(os.environ.get("FIELDPOST_BUILD_DIR", SOURCE / "build/dev"))
PYTHON = "/usr/bin/python3"  # Debian's, which has Debian's pymodbus
LONG = "FIELDPOST_LONG" in os.environ
# A sanitizer keeps what is freed for a while: then a process's memory says nothing.
CACHE = BUILD / "CMakeCache.txt"
SANITIZED = CACHE.exists() and "FIELDPOST_SANITIZE:STRING=\n" not in CACHE.read_text()

GATEWAY = "575ecf887ae143cd83dc4aa2"
BOILER = "575ecf887ae143cd83dc4aa3"
METER = "575ecf887ae143cd83dc4aa4"
# Who publishes commands and sees everything; for a broker that asks who one is (fakes/losant.py).
PLATFORM = ("platform", "platform-word")


def eventually(condition, limit=10.0, what="the condition"):
    """The condition's first true value; fails when `limit` seconds have passed."""
    deadline = time.monotonic() + limit
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {limit} s")
        time.sleep(0.01)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def program(name):
    """mosquitto is in /usr/sbin, which a user's PATH may lack."""
    path = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin")
    if path is None:
        raise AssertionError(f"{name} is not installed")
    return path


class Process:
    """A child whose output lines are kept."""

    def __init__(self, args, stdin=subprocess.DEVNULL, env=None):
        self.lines = []
        self.child = subprocess.Popen(  # pylint: disable=consider-using-with
            [str(a) for a in args], stdin=stdin, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env=env)
        self.output = self.child.stdout.fileno()
        self.taking = threading.Lock()  # held from reading a part of the output until it is kept
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        rest = b""
        while True:
            select.select([self.output], [], [])
            with self.taking:
                part = os.read(self.output, 1 << 16)
                *lines, rest = (rest + part).split(b"\n")
                for line in lines + ([rest] if rest and not part else []):
                    self.on_line(line.decode(errors="replace"))
            if not part:
                return

    def on_line(self, line):
        self.lines.append((time.monotonic(), line))

    def wait(self, condition, what):
        """For constructors: what does not come up is ended, as nobody else knows of it yet."""
        try:
            eventually(condition, limit=30, what=what)
        except BaseException:
            self.end()
            raise

    def text(self):
        """All that the child has written until now, however late this process is in reading it."""
        while self.reader.is_alive() and self.unread():
            time.sleep(0.001)
        with self.taking:
            return "\n".join(line for _, line in self.lines)

    def unread(self):
        count = array.array("i", [0])
        fcntl.ioctl(self.output, termios.FIONREAD, count)
        return count[0] > 0

    def end(self, how=signal.SIGTERM, limit=10):
        """The exit status; negative for a signal."""
        if self.child.poll() is None:
            self.child.send_signal(how)
        try:
            self.child.wait(limit)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        self.reader.join(5)
        if self.child.stdin:
            self.child.stdin.close()
        if not self.reader.is_alive():  # else something that outlived the child still writes
            self.child.stdout.close()
        return self.child.returncode


class Broker:
    """Debian's mosquitto; keeps sessions over a stop, so that a witness misses nothing."""

    def __init__(self, folder, port=None, extra=""):
        self.folder = pathlib.Path(folder) / "broker"
        self.folder.mkdir(parents=True)
        self.port = port or free_port()
        self.process = None
        (self.folder / "mosquitto.conf").write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n"
            "max_queued_messages 0\nmax_inflight_messages 0\npersistence true\n"
            f"persistence_location {self.folder}/\nuser root\n{extra}"
        )
        self.start()

    def start(self):
        self.process = Process([program("mosquitto"), "-c", self.folder / "mosquitto.conf"])
        self.process.wait(self.answers, "mosquitto's port")

    def answers(self):
        with socket.socket() as s:
            s.settimeout(1)
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self):
        if self.process:
            self.process.end()
            self.process = None

    def publish(self, topic, payload):
        subprocess.run([program("mosquitto_pub"), "-h", "127.0.0.1", "-p", str(self.port), "-q", "1",
                        "-u", PLATFORM[0], "-P", PLATFORM[1], "-t", topic, "-s"], input=payload, check=True, timeout=30,
                       text=isinstance(payload, str))


class Witness(Process):
    """mosquitto_sub with a session that outlives the broker: sees every message once."""

    def __init__(self, broker, topic="#", name="witness"):
        self.messages = []  # (monotonic time, topic, payload text)
        super().__init__([program("mosquitto_sub"), "-h", "127.0.0.1", "-p", broker.port, "-i", name,
                          "-u", PLATFORM[0], "-P", PLATFORM[1], "-c", "-q", "1", "-t", topic, "-F", "%t\t%p"])
        # It says nothing of its subscription, so it is asked until it hears the question.
        def hears():
            broker.publish("witness/ready", "?")
            return self.messages
        self.wait(hears, "the witness's subscription")

    def on_line(self, line):
        if "\t" in line:
            topic, payload = line.split("\t", 1)
            self.messages.append((time.monotonic(), topic, payload))
        else:
            super().on_line(line)

    def states(self, device):
        """(arrival, time, data) of every state of a device, in the order of arrival."""
        found = []
        for arrival, topic, payload in list(self.messages):
            if topic != f"losant/{device}/state":
                continue
            body = json.loads(payload)
            for state in body if isinstance(body, list) else [body]:
                found.append((arrival, state["time"], state["data"]))
        return found

    def values(self, device, attribute):
        return [d[attribute] for _, _, d in self.states(device) if attribute in d]


class ModbusServer(Process):
    def __init__(self, port=None, units="1", do=()):
        self.port = port or free_port()
        self.lock = threading.Lock()
        args = [PYTHON, SOURCE / "tests/fakes/modbus_server.py", "--port", self.port, "--units",
                units, "--own"]
        for line in do:
            args += ["--do", line]
        super().__init__(args, stdin=subprocess.PIPE)
        self.wait(lambda: "ready" in self.text(), "the Modbus server")

    def ask(self, command):
        with self.lock:
            before = len(self.lines)
            self.child.stdin.write(command.encode() + b"\n")
            self.child.stdin.flush()
            eventually(lambda: len(self.lines) > before, what=f"the answer to {command!r}")
            return self.lines[-1][1]


class Agent(Process):
    """fieldpostd from the build tree with its own folders under `folder`; run by `prefix`, if any."""
    daemon = BUILD / "libexec/fieldpostd"

    def __init__(self, folder, config=None, args=(), prefix=(), env=None):
        self.folder = pathlib.Path(folder)
        self.config = self.folder / "fieldpost.toml"
        self.run_dir = self.folder / "run"
        self.state_dir = self.folder / "state"
        for d in (self.run_dir, self.run_dir / "uplink", self.state_dir):
            d.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.note_nothing_was_sent()
        if config is not None:
            self.config.write_text(config)
        super().__init__([*prefix, self.daemon, "--config", self.config,
                          "--state-dir", self.state_dir, "--run-dir", self.run_dir, *args],
                         env=None if env is None else {**os.environ, **env})

    def note_nothing_was_sent(self):
        """As an agent of this boot has left it that has sent nothing. Who finds no such file sends
        nothing for 15 s, in case there was one."""
        sent = self.run_dir / "uplink/sent"
        if not sent.exists():
            boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_bytes().strip()
            sent.write_bytes(b"fpsent01" + boot.ljust(40, b"\0"))
        owner = self.run_dir.stat()
        for path in (sent.parent, sent):
            os.chown(path, owner.st_uid, owner.st_gid)

    def wait_until_up(self, limit=20):
        """Every plugin that can run is up."""
        def up():
            assert self.child.poll() is None, f"fieldpostd ended:\n{self.text()}"
            try:
                return all(p["state"] in ("up", "failed") for p in self.status()["plugins"])
            except (OSError, ValueError, KeyError):  # it waits for a configuration: no status
                return False
        eventually(up, limit, "the agent's plugins")
        return self

    def ask(self, request, socket_name="control.sock"):
        def answered():
            answer = self.ask_once(request, socket_name)
            busy = "too many connections" in answer.get("error", "")
            return None if busy else answer  # those that this end has closed count for a moment
        return eventually(answered, 10, "a free connection")

    def ask_once(self, request, socket_name):
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as s:
            # Connected without a time limit: with one, a full queue would be an error.
            s.connect(str(self.run_dir / socket_name))
            s.settimeout(10)
            with contextlib.suppress(BrokenPipeError):  # refused already: it has said why
                s.sendall(json.dumps(request).encode() + b"\n")
            answer = b""
            while not answer.endswith(b"\n"):
                block = s.recv(65536)
                if not block:
                    break
                answer += block
            return json.loads(answer)

    def status(self):
        return self.ask({"do": "status"}, "status.sock")["status"]

    def plugin(self, name):
        return next(p for p in self.status()["plugins"] if p["name"] == name)

    def cli(self, *args, **options):
        return cli(*args, "--run-dir", self.run_dir, **options)


def cli(*args, **options):
    return subprocess.run([str(a) for a in (BUILD / "bin/fieldpost", *args)], text=True,
                          capture_output=True, timeout=60, check=False, **options)


class Field:
    """A folder and what was started in it; ends everything at the end."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="fieldpost-"))
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.stack.close()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def add(self, process):
        self.stack.callback(process.end, signal.SIGTERM)
        return process

    def broker(self):
        broker = Broker(self.folder)
        self.stack.callback(broker.stop)
        return broker

    def witness(self, broker):
        return self.add(Witness(broker))

    def modbus(self, **options):
        return self.add(ModbusServer(**options))

    def agent(self, config=None, **options):
        return self.add(Agent(self.folder, config, **options))
