# SPDX-License-Identifier: Apache-2.0
"""`uplink.url = [...]`: brokers that stand in for each other. Each keeps a record of all that it
acknowledged, which is what counts: nothing may be missing from all records together.
"""
import json
import pathlib
import signal
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from fakes import field, losant  # noqa: E402  pylint: disable=wrong-import-position
from fakes.field import METER, eventually  # noqa: E402
from fakes.site import CLOCK, HEAD, QUIET, sim  # noqa: E402

COUNTER = '[[plugin.signal]]\nattribute = "n"\nshape = "counter"\noffset = 1\n'


def numbers(*brokers):
    """Values of n that these have acknowledged."""
    found = set()
    for broker in brokers:
        for line in broker.record("publish", topic=f"losant/{METER}/state"):
            body = json.loads(line["payload"])
            found |= {int(state["data"]["n"]) for state in (body if isinstance(body, list) else [body])}
    return found


class FailOverTest(unittest.TestCase):
    def setUp(self):
        self.field = field.Field()
        self.addCleanup(self.field.__exit__)

    def broker(self, name, **options):
        broker = losant.LosantBroker(self.field.folder / name, unlimited=True, **options)
        self.field.stack.callback(broker.finish)
        return broker

    def start(self, *brokers):
        """An agent that dials these in turn, and counts."""
        urls = ", ".join(f'"{broker.url()}"' for broker in brokers)
        uplink = brokers[0].uplink().replace(f'url = "{brokers[0].url()}"', f"url = [{urls}]")
        self.agent = self.field.agent(
            HEAD + QUIET + CLOCK + uplink + 'keepalive = "5s"\nconnect_timeout = "2s"\n'
            'backoff_max = "1s"\nlimits = "plain"\n' + sim() + COUNTER).wait_until_up()

    def wait_for_news(self, broker, limit=20):
        """It acknowledges what was not there before."""
        newest = max(numbers(*self.all), default=0)
        eventually(lambda: max(numbers(broker), default=0) > newest + 5, limit, "news at the other broker")

    def test_one_is_killed_then_one_hangs_and_nothing_is_lost(self):
        a, b = self.all = [self.broker(name) for name in "ab"]
        self.start(a, b)
        self.wait_for_news(a)
        self.assertEqual(numbers(b), set(), "the first of the list is used while it is there")
        a.process.end(signal.SIGKILL)
        self.wait_for_news(b)
        a.start()
        b.process.child.send_signal(signal.SIGSTOP)  # its machine takes bytes, and nobody answers
        try:
            self.wait_for_news(a)
            self.assertEqual(self.agent.status()["uplink"]["url"], a.url())
        finally:
            b.process.child.send_signal(signal.SIGCONT)
        newest = max(numbers(a, b))
        eventually(lambda: not set(range(1, newest + 1)) - numbers(a, b), 10, "all that was counted")
        self.assertEqual(self.agent.status()["outbox"]["lost"], 0)
        self.agent.end()

    def test_one_that_has_just_refused_is_never_dialled_next(self):
        a, b = self.all = [self.broker(name, secret="0" * 64, allow=("credentials",)) for name in "ab"]
        for broker in self.all:  # the agent gets another word than they want to hear
            (broker.home / "secret").write_text("1" * 64)
        self.start(a, b)

        def refusals():
            return sorted((line["at"], name) for name, broker in zip("ab", self.all)
                          for line in broker.record("refuse"))
        eventually(lambda: len(refusals()) >= 5, 30, "five refusals")
        names = "".join(name for _, name in refusals())
        self.assertNotRegex(names, "aa|bb")
        (a.home / "secret").write_text("0" * 64)  # read at each attempt
        eventually(lambda: numbers(a) | numbers(b), 20)
        self.agent.end()


if __name__ == "__main__":
    unittest.main()
