# SPDX-License-Identifier: Apache-2.0
"""After a long outage: what waits drains within Losant's limits, and what is new is there at once. An
hour of it, or with --long a day.
"""
import json
import pathlib
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from fakes import field, losant  # noqa: E402  pylint: disable=wrong-import-position
from fakes.backlog import Ages, Outage  # noqa: E402
from fakes.field import GATEWAY, eventually  # noqa: E402

SECONDS = 86_400 if field.LONG else 3600


class DrainTest(unittest.TestCase):
    def setUp(self):
        self.field = field.Field()
        self.addCleanup(self.field.__exit__)

    def test_twelve_devices_drain_in_minutes_beside_live_states(self):
        outage = Outage(devices=12)
        known = dict.fromkeys(outage.attributes, "number")
        broker = losant.losant_broker(self.field, devices=[
            losant.device(GATEWAY), *(losant.device(d, GATEWAY, known) for d in outage.ids)])
        broker.stop()
        state = self.field.folder / "state"
        state.mkdir()
        ended = outage.make(state, SECONDS)
        uplink = "".join(broker.uplink().splitlines(keepends=True)[1:]) + 'backoff_max = "1s"\n'
        agent = self.field.agent(outage.config(uplink)).wait_until_up()
        self.assertGreaterEqual(agent.status()["outbox"]["waiting"], 12 * SECONDS)
        broker.start()
        eventually(lambda: agent.status()["uplink"]["state"] == "connected", 20)
        began = time.monotonic()
        ages = Ages(outage, since_ms=time.time() * 1000 + 2000)
        eventually(lambda: agent.status()["outbox"]["rows"] == 0, SECONDS / 200 + 60, "the end of the backlog")
        took = time.monotonic() - began
        eventually(lambda: time.monotonic() - began > 10, 20)  # some of what is new, in any case
        status = agent.status()
        agent.end()

        seen = {d: set() for d in outage.ids}
        published = broker.record("publish")
        for line in published:
            device = line["topic"].split("/")[1]
            ages.add(line["at"], line["topic"], line["payload"])
            body = json.loads(line["payload"])
            seen[device].update(s["time"] for s in (body if isinstance(body, list) else [body])
                                if s["time"] < ended)
        live = ages.summary()
        print(f"{SECONDS / 3600:g} h of twelve devices drained in {took:.0f} s, {len(published)} messages; "
              f"{live['states']} new states {live['median_s']:.2f} s old, {live['most_s']:.2f} s at most")
        missing = {d: SECONDS - len(times) for d, times in seen.items()}
        self.assertEqual(sum(max(0, n) for n in missing.values()), 0, missing)
        self.assertEqual(status["outbox"]["lost"], 0)
        self.assertEqual(status["uplink"]["connections"], 1)
        self.assertEqual(broker.record("breach"), [])
        self.assertLess(took, 600)
        self.assertGreater(live["states"], 50)
        self.assertLessEqual(live["most_s"], 2)


if __name__ == "__main__":
    unittest.main()
