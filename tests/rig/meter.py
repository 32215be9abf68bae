# SPDX-License-Identifier: Apache-2.0
"""A Modbus device at a USB serial adapter of the machine."""
import socket
import threading

from gateway import eventually

LINK = "/dev/serial/by-id/usb-QEMU_QEMU_USB_SERIAL_RIG-if00-port0"
ADDRESS = 3


class Meter(threading.Thread):
    """A Modbus device at the other end of the line: each holding register has this value."""

    def __init__(self, path, value):
        super().__init__(daemon=True)
        self.line = socket.socket(socket.AF_UNIX)
        self.line.connect(str(path))
        self.value = value
        self.start()

    def run(self):
        heard = b""
        while more := self.line.recv(256):
            heard += more
            while len(heard) >= 8:  # a request for registers; what is none is passed over, byte by byte
                request, count = heard[:8], int.from_bytes(heard[4:6], "big")
                if request[:2] != bytes((ADDRESS, 3)) or crc(request) != b"\0\0" or not 0 < count < 126:
                    heard = heard[1:]
                    continue
                heard = heard[8:]
                answer = bytes((ADDRESS, 3, 2 * count)) + self.value.to_bytes(2, "big") * count
                self.line.sendall(answer + crc(answer))


def crc(data):
    """Modbus over serial line 1.02, 6.2.2: CRC-16, low byte first. With its CRC behind it, data has 0."""
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return value.to_bytes(2, "little")


def plug_in(machine, value):
    path = machine.path("line")
    machine.qmp("chardev-add", id="line", backend={"type": "socket", "data": {
        "addr": {"type": "unix", "data": {"path": str(path)}}, "server": True, "wait": False}})
    machine.qmp("device_add", driver="usb-serial", id="adapter", chardev="line", bus="usb.0", serial="RIG")
    return Meter(path, value)


def pull(machine):
    machine.qmp("device_del", id="adapter")
    eventually("it is gone", lambda: not machine.holds(f"test -e {LINK}"), 30)
    eventually("QEMU lets go of it", lambda: machine.qmp("chardev-remove", id="line") is not None, 30)
