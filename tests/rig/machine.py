# SPDX-License-Identifier: Apache-2.0
"""One virtual machine: start, commands in it, snapshot, network link, power cut.

Emulated (TCG) always: a /dev/kvm that can be opened need not run Debian's kernel. The network is
QEMU's own with restrict=on: nothing gets out of the machine. QEMU dies with the process that
started it.
"""
import json
import os
import pathlib
import shutil
import socket
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
CACHE = ROOT / "build/rig"
STATE_MB = 32  # the second disk, /dev/vdb: an ext4 for /var/lib/fieldpost
BOOT = 240     # seconds; 20 to 70 on two shared cores


def tests_folder():
    """Where the built test programs are."""
    return pathlib.Path(os.environ.get("FIELDPOST_BUILD_DIR") or ROOT / "build/dev") / "tests"


class Failed(Exception):
    """What the scenario claims does not hold, or a command failed."""


class Machine:
    def __init__(self, folder, image):
        self.folder = pathlib.Path(folder)
        self.image = pathlib.Path(image)
        self.process = None

    def path(self, name):
        return self.folder / name

    # ---- power

    def start(self, snapshot=None, rtc=None, log_writes=False):
        """Boots; or restores a snapshot, which takes a second or two and sets the guest's clock to the
        host's. rtc is what the battery-backed clock says ("1970-01-01T00:00:00"). With log_writes,
        every write and flush of the second disk goes to writes.log as well."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in ("qmp", "channel"):
            self.path(name).unlink(missing_ok=True)
        if snapshot:
            for name in ("root.qcow2", "state.img"):
                subprocess.run(["cp", "--sparse=always", f"{snapshot}/{name}", self.folder], check=True)
        self.make_disks()
        with open(self.path("qemu.log"), "ab") as log:
            self.process = subprocess.Popen(self.qemu(snapshot, rtc, log_writes), stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)
        if snapshot:
            while self.qmp("query-status")["status"] == "inmigrate":
                time.sleep(0.02)
            self.qmp("cont")
        self.wait_for_channel(BOOT)
        if snapshot:  # its clock stood still
            self.run(f"date -s @{time.time():.1f}")

    def make_disks(self):
        if not self.path("root.qcow2").exists():
            subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", self.image / "root.img", "-F", "raw",
                            self.path("root.qcow2")], check=True)
        if not self.path("state.img").exists():
            subprocess.run(["truncate", "-s", f"{STATE_MB}M", self.path("state.img")], check=True)
            subprocess.run(["mke2fs", "-q", "-t", "ext4", "-m", "0", "-L", "state", self.path("state.img")], check=True)

    def qemu(self, snapshot, rtc, log_writes):
        disk = "state"
        log = []
        if log_writes:
            with open(self.path("writes.log"), "wb") as file:
                file.truncate(4 << 30)  # sparse; QEMU's log wants its room
            log = ["-blockdev", "blklogwrites,node-name=logged,file=state,log.driver=file,"
                   f"log.filename={self.path('writes.log')}"]
            disk = "logged"
        return [
            "setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64",
            "-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "qemu64", "-smp", "2", "-m", "512",
            "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-kernel", self.image / "vmlinuz", "-initrd", self.image / "initrd",
            # Not the TSC: it is the host's, and measured at a boot under load it goes wrong by half.
            "-append", "root=/dev/vda console=ttyS0 quiet loglevel=4 net.ifnames=0 mitigations=off nowatchdog "
                       "panic=1 tsc=unstable clocksource=hpet no_timer_check systemd.show_status=false",
            "-rtc", f"base={rtc},clock=vm" if rtc else "base=utc",
            "-serial", f"file:{self.path('console')}",
            "-qmp", f"unix:{self.path('qmp')},server=on,wait=off",
            "-device", "virtio-rng-pci", "-device", "virtio-serial-pci", "-device", "qemu-xhci,id=usb",
            "-chardev", f"socket,id=channel,path={self.path('channel')},server=on,wait=off",
            "-device", "virtserialport,chardev=channel,name=rig",
            "-netdev", "user,id=net,restrict=on,ipv6=off", "-device", "virtio-net-pci,id=nic,netdev=net,romfile=",
            "-blockdev", f"qcow2,node-name=root,file.driver=file,file.filename={self.path('root.qcow2')},discard=unmap",
            "-blockdev", f"raw,node-name=state,file.driver=file,file.filename={self.path('state.img')}",
            *log,
            "-device", "virtio-blk-pci,drive=root", "-device", f"virtio-blk-pci,drive={disk}",
            *(["-incoming", f"exec:cat {snapshot}/memory"] if snapshot else [])]

    def running(self):
        return self.process is not None and self.process.poll() is None

    def cut(self):
        """Pulls the plug."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def reboot(self, rtc=None):
        """Shuts down, and boots again from what is on the disks."""
        try:
            self.request("systemctl reboot --no-block", b"", 10)
        except Failed:
            pass  # gone before it could answer
        try:
            self.process.wait(120)  # -no-reboot: QEMU ends where the machine would begin again
        except subprocess.TimeoutExpired as error:
            raise Failed("the machine did not shut down within 120 s") from error
        self.start(rtc=rtc)

    def save(self, snapshot):
        """Writes memory and disks to the folder, and ends."""
        fresh = pathlib.Path(f"{snapshot}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        self.run("sync")
        self.qmp("stop")
        self.qmp("migrate", uri=f"exec:cat > {fresh}/memory")
        while (state := self.qmp("query-migrate")["status"]) != "completed":
            if state == "failed":
                raise Failed("saving the machine's memory failed")
            time.sleep(0.05)
        self.qmp("quit")
        self.process.wait()
        for name in ("root.qcow2", "state.img"):
            subprocess.run(["cp", "--sparse=always", self.path(name), fresh], check=True)
        fresh.rename(snapshot)

    # ---- QEMU's own commands

    def qmp(self, command, **arguments):
        with self.connect("qmp", 10) as connection, connection.makefile("rw") as lines:
            lines.readline()
            for name, values in (("qmp_capabilities", {}), (command, arguments)):
                lines.write(json.dumps({"execute": name, "arguments": values}) + "\n")
                lines.flush()
                while "event" in (answer := json.loads(lines.readline())):
                    pass
        if "error" in answer:
            raise Failed(f"qmp {command}: {answer['error']['desc']}")
        return answer["return"]

    def connect(self, name, seconds):
        deadline = time.monotonic() + seconds
        while True:
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(str(self.path(name)))
                return connection
            except OSError as error:
                connection.close()
                if not self.running() or time.monotonic() > deadline:
                    raise Failed(f"QEMU is not there: see {self.path('qemu.log')}") from error
                time.sleep(0.02)

    # ---- commands in the guest

    def request(self, command, stdin, timeout, patience=None):
        """(exit status, what it printed). Asks again while patience (seconds) lasts."""
        deadline = time.monotonic() + (patience or 0)
        ident = f"{os.getpid()}-{time.time_ns()}"
        head = {"id": ident, "cmd": command, "stdin": len(stdin), "timeout": timeout}
        while True:
            with self.connect("channel", 10) as connection:
                connection.settimeout(0.5 if patience else timeout + 30)
                try:
                    connection.sendall(b"\n" + json.dumps(head).encode() + b"\n" + stdin)
                    return self.answer(connection.makefile("rb"), ident)
                except OSError as error:
                    if not self.running() or time.monotonic() > deadline:
                        raise Failed(f"no answer from the guest to: {command}") from error

    @staticmethod
    def answer(stream, ident):
        while line := stream.readline():
            try:
                head = json.loads(line)
            except ValueError:
                continue
            if isinstance(head, dict) and head.get("id") == ident:
                return head["status"], stream.read(head["out"])
        raise OSError("the channel was closed")

    def wait_for_channel(self, seconds):
        self.request("true", b"", 5, patience=seconds)

    def run(self, command, stdin=b"", timeout=120, check=True):
        """What a shell command printed. One that fails raises Failed, unless check is false."""
        status, out = self.request(command, stdin, timeout)
        text = out.decode(errors="replace").strip()
        if check and status:
            why = f"did not end within {timeout} s" if status == 124 else f"exit status {status}"
            raise Failed(f"{command}: {why}\n{text}")
        return text

    def holds(self, command, timeout=60):
        """Whether a shell command succeeds."""
        return self.request(command, b"", timeout)[0] == 0

    def write(self, path, text, mode="644"):
        self.run(f"install -D -m {mode} /dev/stdin {path}", text.encode())

    def push(self, files, folder):
        for file in files:
            if not os.path.exists(file):
                raise Failed(f"{file} is not there: scripts/test --rig builds it")
        names = [word for file in map(pathlib.Path, files) for word in ("-C", file.parent, file.name)]
        archive = subprocess.run(["tar", "-c", *names], stdout=subprocess.PIPE, check=True).stdout
        self.run(f"mkdir -p {folder} && tar -x --no-same-owner -C {folder}", archive)

    def pull(self, path):
        """The bytes of a file."""
        status, out = self.request(f"cat {path}", b"", 60)
        if status:
            raise Failed(out.decode(errors="replace"))
        return out
