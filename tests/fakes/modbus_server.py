#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A Modbus server on Debian's python3-pymodbus whose misbehaviour is chosen at run time.

Prints "ready PORT" (or "ready DEVICE") once it listens. Then each line on stdin is a command, and
each is answered by one line: "ok", a value, or "error: ...". TABLE is coil, discrete, input or
holding; addresses count from 0.

  set UNIT TABLE ADDRESS VALUE...     float UNIT TABLE ADDRESS VALUE    (word order ABCD)
  get UNIT TABLE ADDRESS [COUNT]
  count UNIT TABLE ADDRESS [WIDTH]    every read answers a new, greater number; WIDTH 2: 32 bit
  except UNIT TABLE ADDRESS CODE [N]  touching the address is answered by this exception, the next N
                                      times (default: always); 0: no more
  limit UNIT COUNT                    reading more than COUNT at once is exception 3; 0: no limit
  silent UNIT on|off                  takes requests, never answers
  delay UNIT SECONDS [N]              the next N answers (default: all) come late; 0: no more
  hangup                              drops every connection
  log                                 requests since the last `log`: UNIT:FUNCTION:ADDRESS+COUNT ...
  quit
"""
import argparse
import asyncio
import logging
import struct
import sys

from pymodbus.datastore import ModbusSequentialDataBlock, ModbusServerContext, ModbusSlaveContext
from pymodbus.server import async_io
from pymodbus.transaction import ModbusRtuFramer, ModbusSocketFramer

TABLES = {"coil": "c", "discrete": "d", "input": "i", "holding": "h"}
READS = {1: "c", 2: "d", 3: "h", 4: "i"}
WRITES = {5: "c", 6: "h", 15: "c", 16: "h", 22: "h"}


class Unit(ModbusSlaveContext):
    def __init__(self):
        blocks = {k: ModbusSequentialDataBlock(0, [0] * 65536) for k in ("di", "co", "hr", "ir")}
        super().__init__(zero_mode=True, **blocks)
        self.counters = {}  # (table, address) -> [width, value]
        self.exceptions = {}  # (table, address) -> [code, how many times more; -1: always]
        self.limit = 0
        self.silent = False
        self.delay = 0.0
        self.delayed = 0  # how many answers more; -1: all

    def getValues(self, fc_as_hex, address, count=1):
        table = READS.get(fc_as_hex)  # the echo of a write counts nothing
        for (kind, start), counter in self.counters.items():
            if kind == table and start < address + count and address < start + counter[0]:
                counter[1] += 1
                words = [(counter[1] >> (16 * i)) & 0xFFFF for i in reversed(range(counter[0]))]
                self.store[kind].setValues(start, words)
        return super().getValues(fc_as_hex, address, count)

    def refusal(self, request):
        table = READS.get(request.function_code) or WRITES.get(request.function_code)
        count = getattr(request, "count", 1) or 1
        if self.limit and request.function_code in READS and count > self.limit:
            return 3
        for (kind, address), rule in self.exceptions.items():
            if kind == table and request.address <= address < request.address + count and rule[1]:
                rule[1] -= 1 if rule[1] > 0 else 0
                return rule[0]
        return 0


class Server:
    def __init__(self, units):
        self.units = {u: Unit() for u in units}
        self.context = ModbusServerContext(slaves=dict(self.units), single=False)
        self.requests = []
        self.transports = set()

    def run(self, words):
        name, *args = words
        if name == "quit":
            sys.exit(0)
        if name == "hangup":
            for transport in list(self.transports):
                transport.close()
            return "ok"
        if name == "log":
            text, self.requests = " ".join(self.requests), []
            return text
        unit = self.units[int(args[0])]
        return getattr(self, "do_" + name)(unit, *args[1:]) or "ok"

    def do_set(self, unit, table, address, *values):
        unit.store[TABLES[table]].setValues(int(address), [int(v, 0) for v in values])

    def do_float(self, unit, table, address, value):
        words = struct.unpack(">HH", struct.pack(">f", float(value)))
        unit.store[TABLES[table]].setValues(int(address), list(words))

    def do_get(self, unit, table, address, count="1"):
        values = unit.store[TABLES[table]].getValues(int(address), int(count))
        return " ".join(str(int(v)) for v in values)

    def do_count(self, unit, table, address, width="1"):
        unit.counters[(TABLES[table], int(address))] = [int(width), 0]

    def do_except(self, unit, table, address, code, count="-1"):
        unit.exceptions[(TABLES[table], int(address))] = [int(code), int(count)]
        if code == "0":
            del unit.exceptions[(TABLES[table], int(address))]

    def do_limit(self, unit, count):
        unit.limit = int(count)

    def do_silent(self, unit, state):
        unit.silent = {"on": True, "off": False}[state]

    def do_delay(self, unit, seconds, count="-1"):
        unit.delay = float(seconds)
        unit.delayed = int(count) if unit.delay else 0


def handler_class(base, fake):
    class Handler(base):
        def connection_made(self, transport):
            super().connection_made(transport)
            fake.transports.add(transport)

        def connection_lost(self, call_exc):
            fake.transports.discard(self.transport)
            super().connection_lost(call_exc)

        def execute(self, request, *addr):
            unit = fake.units.get(request.unit_id)
            if unit is None:
                return super().execute(request, *addr)
            count = getattr(request, "count", 1) or 1
            fake.requests.append(
                f"{request.unit_id}:{request.function_code}:{request.address}+{count}"
            )
            if unit.silent:
                return None
            code = unit.refusal(request)
            response = request.doException(code) if code else request.execute(unit)
            response.transaction_id = request.transaction_id
            response.unit_id = request.unit_id
            if not unit.delayed:
                return self.send(response, *addr)
            unit.delayed -= 1 if unit.delayed > 0 else 0
            asyncio.get_running_loop().call_later(unit.delay, self.send_late, response, *addr)
            return None

        def send_late(self, response, *addr):
            if not self.transport.is_closing():
                self.send(response, *addr)

    return Handler


async def listen(fake, args):
    if args.serial:
        server = async_io.ModbusSerialServer(
            fake.context, port=args.serial, baudrate=args.baud, parity=args.parity,
            framer=ModbusRtuFramer, ignore_missing_slaves=True,
            handler=handler_class(async_io.ModbusSingleRequestHandler, fake))
        await server.start()
        return server, args.serial
    server = async_io.ModbusTcpServer(
        fake.context, address=(args.host, args.port), allow_reuse_address=True,
        framer=ModbusRtuFramer if args.rtu else ModbusSocketFramer, ignore_missing_slaves=args.rtu,
        handler=handler_class(async_io.ModbusConnectedRequestHandler, fake))
    asyncio.create_task(server.serve_forever())
    await server.serving
    return server, server.server.sockets[0].getsockname()[1]


async def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--serial", help="RTU on this device instead of TCP")
    parser.add_argument("--rtu", action="store_true", help="RTU over TCP, as a converter speaks it")
    parser.add_argument("--baud", type=int, default=9600)
    parser.add_argument("--parity", default="N")
    parser.add_argument("--units", default="1", help="comma-separated addresses")
    parser.add_argument("--do", action="append", default=[], help="a command to run at the start")
    parser.add_argument("--own", action="store_true", help="end when stdin does")
    args = parser.parse_args()
    logging.disable(logging.CRITICAL)

    fake = Server([int(u) for u in args.units.split(",")])
    for line in args.do:
        fake.run(line.split())
    _server, where = await listen(fake, args)
    print("ready", where, flush=True)

    reader = asyncio.StreamReader()
    try:
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    except ValueError:  # stdin is no pipe, socket or terminal: nobody to listen to
        reader.feed_eof()
    while line := await reader.readline():
        try:
            answer = fake.run(line.decode().split())
        except Exception as problem:  # pylint: disable=broad-except
            answer = f"error: {problem!r}"
        print(answer, flush=True)
    if not args.own:
        await asyncio.Event().wait()


asyncio.run(main())
