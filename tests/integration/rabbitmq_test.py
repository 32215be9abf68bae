# SPDX-License-Identifier: Apache-2.0
"""A fleet on a cluster of RabbitMQ that loses a node. The witness is a durable quorum queue bound to
amq.topic: what it has is what the broker promised to keep. Only with --long.
"""
import contextlib
import json
import pathlib
import signal
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from fakes import field, rabbit  # noqa: E402  pylint: disable=wrong-import-position
from fakes.field import eventually  # noqa: E402
from fakes.site import CLOCK, QUIET  # noqa: E402

GATEWAYS = 50
QUEUE = "witness"
CONFIG = """
config_version = 1
[gateway]
device_id = "{id}"
""" + QUIET + CLOCK + """
[uplink]
url = [{urls}]
keepalive = "10s"
backoff_max = "5s"
limits = "plain"
[[plugin]]
name = "sim"
type = "sim"
interval = "500ms"
[[plugin.signal]]
attribute = "n"
shape = "counter"
offset = 1
"""


def gateway_id(number):
    return f"{number:024x}"


class RabbitMqTest(unittest.TestCase):
    def setUp(self):
        self.field = field.Field()
        self.addCleanup(self.field.__exit__)

    @staticmethod
    @contextlib.contextmanager
    def channel(node):
        import pika  # pylint: disable=import-outside-toplevel,import-error
        with pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", node.amqp)) as connection:
            yield connection.channel()

    def start_agents(self, nodes):
        """A third of them dials each node first."""
        self.agents = []
        for g in range(1, GATEWAYS + 1):
            urls = [f'"mqtt://127.0.0.1:{nodes[(g + i) % len(nodes)].mqtt}"' for i in range(len(nodes))]
            self.agents.append(self.field.add(field.Agent(
                self.field.folder / f"g{g}", CONFIG.format(id=gateway_id(g), urls=", ".join(urls)))))
        for agent in self.agents:
            agent.wait_until_up(120)

    def uplinks(self):
        return [agent.status()["uplink"] for agent in self.agents]

    def wait_for_delivery(self, count, limit=120):
        """So many more readings of each gateway are acknowledged."""
        goals = [u["readings"] + count for u in self.uplinks()]

        def missing():
            return [u for u, goal in zip(self.uplinks(), goals) if u["readings"] < goal]
        try:
            eventually(lambda: not missing(), limit)
        except AssertionError:
            self.fail(f"{len(missing())} gateways deliver nothing more, the first: {missing()[:1]}")

    def numbers(self, channel):
        """What the queue holds, by gateway."""
        found = {gateway_id(g): set() for g in range(1, GATEWAYS + 1)}
        while True:
            method, _, body = channel.basic_get(QUEUE, auto_ack=True)
            if method is None:
                return found
            states = json.loads(body)
            for state in states if isinstance(states, list) else [states]:
                found[method.routing_key.split(".")[1]].add(int(state["data"]["n"]))

    def test_a_node_is_killed_under_fifty_gateways_and_nothing_is_lost(self):
        cluster = rabbit.Cluster(self.field.folder)
        self.field.stack.callback(cluster.end)
        first, victim, _ = cluster.nodes
        with self.channel(victim) as channel:  # so that the queue's leader dies too
            channel.queue_declare(QUEUE, durable=True, arguments={"x-queue-type": "quorum"})
            channel.queue_bind(QUEUE, "amq.topic", "losant.#")
        self.start_agents(cluster.nodes)
        self.wait_for_delivery(5)
        bereft = sum(str(victim.mqtt) in u["url"] for u in self.uplinks())
        self.assertGreater(bereft, GATEWAYS // 5)
        victim.end(signal.SIGKILL)
        self.wait_for_delivery(10)
        uplinks = self.uplinks()
        self.assertEqual([u["state"] for u in uplinks], ["connected"] * GATEWAYS)
        self.assertEqual([u for u in uplinks if str(victim.mqtt) in u["url"]], [])
        lost = [agent.status()["outbox"]["lost"] for agent in self.agents]
        for agent in self.agents:
            agent.child.send_signal(signal.SIGTERM)
        with self.channel(first) as channel:
            seen = self.numbers(channel)
        missing = {g: sorted(set(range(1, max(n) + 1)) - n) for g, n in seen.items()
                   if len(n) < max(n, default=0) or not n}
        self.assertEqual(missing, {})
        for uplink, (gateway, numbers) in zip(uplinks, sorted(seen.items())):
            self.assertGreaterEqual(len(numbers), uplink["readings"], gateway)
        self.assertEqual(sum(lost), 0)
        print(f"{bereft} of {GATEWAYS} gateways lost their node; {sum(map(len, seen.values()))} readings, none missing")


if __name__ == "__main__":
    unittest.main()
