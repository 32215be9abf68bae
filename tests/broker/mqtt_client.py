# SPDX-License-Identifier: Apache-2.0
"""An MQTT 3.1.1 client of raw bytes, for tests: it says what a library would not, such as QoS 2 or
thirty-one messages in one write, and shows what came back, byte for byte.
"""
import base64
import os
import socket
import ssl
import struct
import time

CONNACK, PUBLISH, PUBACK, PUBREC, SUBACK, PINGRESP = 2, 3, 4, 5, 9, 13


class Closed(Exception):
    """The peer has closed the connection."""


def _string(text):
    data = text if isinstance(text, bytes) else text.encode()
    return struct.pack(">H", len(data)) + data


def packet(kind, flags, body):
    size, length = len(body), b""
    while True:
        size, digit = divmod(size, 128)
        length += bytes([digit | (0x80 if size else 0)])
        if not size:
            return bytes([kind << 4 | flags]) + length + body


def publish(topic, payload, qos=1, retain=False, number=1, dup=False):
    payload = payload if isinstance(payload, bytes) else payload.encode()
    number = struct.pack(">H", number) if qos else b""
    return packet(PUBLISH, dup << 3 | qos << 1 | retain, _string(topic) + number + payload)


class Client:
    """`url` is mqtt, mqtts, ws or wss://127.0.0.1:PORT. Raises Closed when the peer closes."""

    def __init__(self, url, ca_file=None, limit=10):
        scheme, _, address = url.partition("://")
        host, port = address.rsplit(":", 1)
        self.limit = limit
        self.buffer = b""  # MQTT bytes that wait to be read
        self.frames = b""  # WebSocket bytes that wait to be read
        self.websocket = scheme in ("ws", "wss")
        self.socket = socket.create_connection((host, int(port)), timeout=limit)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if scheme in ("mqtts", "wss"):
            context = ssl.create_default_context(cafile=ca_file)
            self.socket = context.wrap_socket(self.socket, server_hostname=host)
        if self.websocket:
            self._upgrade(address)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    # ---- Bytes.

    def _upgrade(self, address):
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall((f"GET / HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\n"
                             f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
                             "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n").encode())
        while b"\r\n\r\n" not in self.frames:
            self.frames += self._receive()
        head, self.frames = self.frames.split(b"\r\n\r\n", 1)
        assert b" 101 " in head.split(b"\r\n", 1)[0] and b"mqtt" in head, head

    def _receive(self):
        try:
            data = self.socket.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            raise Closed
        return data

    def send(self, data):
        if self.websocket:
            size = (struct.pack(">BB", 0x82, 0x80 | len(data)) if len(data) < 126 else
                    struct.pack(">BBH", 0x82, 0xfe, len(data)) if len(data) < 65536 else
                    struct.pack(">BBQ", 0x82, 0xff, len(data)))
            data = size + b"\0\0\0\0" + data  # the mask that changes nothing
        try:
            self.socket.sendall(data)
        except ConnectionError as error:
            raise Closed from error

    def _take_frame(self):
        """One frame's payload; of the last one before a close: Closed."""
        while True:
            if len(self.frames) >= 2:
                size, head = self.frames[1] & 0x7f, 2
                if size == 126 and len(self.frames) >= 4:
                    size, head = struct.unpack(">H", self.frames[2:4])[0], 4
                elif size == 127 and len(self.frames) >= 10:
                    size, head = struct.unpack(">Q", self.frames[2:10])[0], 10
                if size not in (126, 127) or head > 2:
                    if len(self.frames) >= head + size:
                        kind = self.frames[0] & 0x0f
                        body = self.frames[head:head + size]
                        self.frames = self.frames[head + size:]
                        if kind == 8:
                            raise Closed
                        return body
            self.frames += self._receive()

    def _need(self, count):
        while len(self.buffer) < count:
            self.buffer += self._take_frame() if self.websocket else self._receive()

    def read(self):
        """The next packet: its kind, flags and body."""
        size = shift = 0
        at = 1
        while True:
            self._need(at + 1)
            size |= (self.buffer[at] & 0x7f) << shift
            shift += 7
            at += 1
            if not self.buffer[at - 1] & 0x80:
                break
        self._need(at + size)
        first, body = self.buffer[0], self.buffer[at:at + size]
        self.buffer = self.buffer[at + size:]
        return first >> 4, first & 0x0f, body

    # ---- Packets.

    def connect(self, client, user=None, password=None, clean=True, keepalive=60, level=4):
        """The return code in the CONNACK."""
        flags = clean << 1 | (user is not None) << 7 | (password is not None) << 6
        body = (_string("MQTT") + bytes([level, flags]) + struct.pack(">H", keepalive)
                + (b"\0" if level == 5 else b"") + _string(client))
        for text in (user, password):
            body += b"" if text is None else _string(text)
        self.send(packet(1, 0, body))
        kind, _, body = self.read()
        assert kind == CONNACK, kind
        return body[1]

    def subscribe(self, topic, qos=1):
        """The code in the SUBACK; messages that come before it are lost."""
        self.send(packet(8, 2, struct.pack(">H", 1) + _string(topic) + bytes([qos])))
        return self.wait_for(SUBACK)[2]

    def ping(self):
        """Returns when the broker has read all that was sent before."""
        self.send(packet(12, 0, b""))
        self.wait_for(PINGRESP)

    def wait_for(self, kind):
        while True:
            got, _, body = self.read()
            if got == kind:
                return body

    def count_until_closed(self, kind):
        """How many packets of a kind come before the broker closes."""
        count = 0
        deadline = time.monotonic() + self.limit
        try:
            while time.monotonic() < deadline:
                count += self.read()[0] == kind
        except Closed:
            return count
        raise AssertionError("the connection was not closed")
