# SPDX-License-Identifier: Apache-2.0
"""A site as integration tests want it: pieces of its configuration, and a test case that starts it.
"""
import unittest

from fakes import field, losant
from fakes.field import BOILER, GATEWAY, METER

HEAD = f"""
config_version = 1
[gateway]
device_id = "{GATEWAY}"
[[device]]
name = "boiler"
id = "{BOILER}"
[[device]]
name = "meter"
id = "{METER}"
"""


# What tests read, send or have made up by the sim plugin.
DEVICES = (
    losant.device(GATEWAY, attributes={}),
    losant.device(BOILER, GATEWAY, {n: "number" for n in ("count", "neighbour", "other", "setpoint")}),
    losant.device(METER, GATEWAY, {
        "temperature": "number", "pressure": "number", "count": "number", "running": "boolean",
        "level": "number", "open": "boolean", "name": "string", "n": "number"}),
)

# These machines may have no NTP, and readings are to leave at once.
CLOCK = '[clock]\ntrust = "always"\n'
# For tests that count every reading: the agent says nothing of itself.
QUIET = "[health]\nenabled = false\n"


def uplink(port):
    return (CLOCK + f'[uplink]\nurl = "mqtt://127.0.0.1:{port}"\nbackoff_max = "1s"\n'
            'limits = "plain"\n')


def modbus(port, name="plc", device="boiler", interval="100ms", rows="", options=""):
    return f"""
[[plugin]]
name = "{name}"
type = "modbus"
device = "{device}"
interval = "{interval}"
options.url = "tcp://127.0.0.1:{port}"
options.timeout = "500ms"
{options}
{rows}
"""


def counter(attribute="count", address=0, table="plugin.register"):
    return f'[[{table}]]\nattribute = "{attribute}"\ntable = "holding"\naddress = {address}\ntype = "uint32"\n'


def sim(name="sim", device="meter", options=""):
    return f"""
[[plugin]]
name = "{name}"
type = "sim"
device = "{device}"
interval = "100ms"
{options}
"""


def missing(values):
    """The numbers that are missing between the first and the last value."""
    whole = {int(v) for v in values}
    return sorted(set(range(min(whole), max(whole))) - whole) if whole else []


def missing_but_for_kills(values, killed):
    """Those that the last 100 ms before a kill do not excuse. `killed`: what had been read at each.

    100 ms are two polls at 10 Hz; one may have been read and not handed over yet, and one more
    is read by a host that has not noticed.
    """
    return [m for m in missing(values) if not any(k - 3 < m <= k + 1 for k in killed)]


class SiteTest(unittest.TestCase):
    """Every test has a field of its own; start() puts an agent into it."""

    def setUp(self):
        self.field = field.Field()
        self.addCleanup(self.field.__exit__)

    def start(self, config, **server):
        """Broker, witness, one Modbus server and an agent with `config(broker, server)`."""
        self.broker = self.field.broker()
        self.witness = self.field.witness(self.broker)
        self.server = self.field.modbus(**server)
        self.agent = self.field.agent(HEAD + uplink(self.broker.port) + config(self.server.port))
        self.agent.wait_until_up()

    def delivered(self, device=BOILER, attribute="count"):
        return self.witness.values(device, attribute)

    def read_so_far(self, unit=1, address=0):
        high, low = self.server.ask(f"get {unit} holding {address} 2").split()
        return int(high) * 65536 + int(low)


class LosantSiteTest(SiteTest):
    """With a broker that keeps Losant's rules and knows these devices."""
    devices = losant.DEVICES
    topics = ("answers/#",)  # that devices may use beside their own

    def start(self, config, **server):
        """`config(port)` follows the lines of [uplink]."""
        self.broker = losant.losant_broker(self.field, devices=self.devices, topics=self.topics)
        self.witness = self.field.witness(self.broker)
        self.server = self.field.modbus(**server)
        self.agent = self.field.agent(HEAD + CLOCK + self.broker.uplink() + 'backoff_max = "1s"\n'
                                      + config(self.server.port))
        self.agent.wait_until_up()
