#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A TCP line of a certain delay and speed: forwards its own port of 127.0.0.1 to another one.

    slow_line.py --port N --to N [--delay SECONDS] [--rate BYTES]

Each direction takes DELAY and carries RATE bytes a second; what it has no room for waits with the
sender. A process of its own, which SIGSTOP makes a black hole: the kernel goes on taking bytes and
connections, and nobody answers.
"""
import argparse
import asyncio
import socket
import sys


async def deliver(queue, sink):
    loop = asyncio.get_running_loop()
    while True:
        due, block = await queue.get()
        await asyncio.sleep(due - loop.time())
        if not block:
            sink.shutdown(socket.SHUT_WR)
            return
        await loop.sock_sendall(sink, block)


async def carry(source, sink, line, group):
    """Until the source ends."""
    loop = asyncio.get_running_loop()
    queue = asyncio.Queue()
    group.create_task(deliver(queue, sink))
    free = loop.time()  # when the line has carried what it has taken
    while True:
        block = await loop.sock_recv(source, 65536 if line.rate is None else max(1, int(line.rate / 50)))
        if line.rate is not None:
            free = max(free, loop.time()) + len(block) / line.rate
            await asyncio.sleep(free - loop.time())
        queue.put_nowait((loop.time() + line.delay, block))
        if not block:
            return


async def serve(near, line):
    with near, socket.socket() as far:
        for s in (near, far):
            s.setblocking(False)
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if line.rate is not None:
            shorten(far)
        try:
            await asyncio.get_running_loop().sock_connect(far, ("127.0.0.1", line.to))
            async with asyncio.TaskGroup() as both:
                both.create_task(carry(near, far, line, both))
                both.create_task(carry(far, near, line, both))
        except* OSError:
            pass  # either side is gone: so is the other


def shorten(s):
    """Little room, in small pieces: what waits is to wait with the sender, not in here."""
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)


async def run(line):
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if line.rate is not None:
            shorten(listener)
        listener.bind(("127.0.0.1", line.port))
        listener.listen()
        listener.setblocking(False)
        print("ready", flush=True)
        served = set()
        while True:
            near, _ = await asyncio.get_running_loop().sock_accept(listener)
            task = asyncio.create_task(serve(near, line))
            served.add(task)
            task.add_done_callback(served.discard)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--to", type=int, required=True)
    parser.add_argument("--delay", type=float, default=0)
    parser.add_argument("--rate", type=float)
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
