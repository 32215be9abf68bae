# SPDX-License-Identifier: Apache-2.0
"""A site of a few devices that report once a second, after an outage: its configuration, an outbox
with what it would have kept, and how old what arrives of it is."""
import json
import statistics
import subprocess
import time

from fakes import field
from fakes.field import BUILD


class Outage:
    def __init__(self, devices, attributes=1):
        self.ids = ["d" + "0" * (23 - len(str(d))) + str(d) for d in range(1, devices + 1)]
        self.attributes = [f"a{a}" for a in range(attributes)]

    def make(self, state_dir, seconds):
        """An outbox that ends now; returns the time of its last state, in ms since 1970."""
        subprocess.run([BUILD / "tests/backlog", state_dir, str(len(self.ids)), str(seconds),
                        str(len(self.attributes))], check=True, timeout=600)
        return int(time.time() * 1000)

    def config(self, uplink, interval="1s"):
        """Of an agent whose devices go on. `uplink`: the lines of the section."""
        text = ("config_version = 1\n[health]\nenabled = false\n[clock]\ntrust = \"always\"\n"
                f"[gateway]\ndevice_id = \"{field.GATEWAY}\"\n[uplink]\n{uplink}")
        for i, name in enumerate(self.ids):
            text += (f'[[device]]\nname = "d{i}"\nid = "{name}"\n'
                     f'[[plugin]]\nname = "sim{i}"\ntype = "sim"\ndevice = "d{i}"\ninterval = "{interval}"\n')
            for a in self.attributes:
                text += f'[[plugin.signal]]\nattribute = "{a}"\nshape = "counter"\n'
        return text


class Ages:
    """How old states are when they arrive: of those that were taken after `since_ms`."""

    def __init__(self, outage, since_ms):
        self.outage, self.since_ms, self.ages = outage, since_ms, []

    def add(self, arrived_ms, topic, payload):
        device = topic.split("/")[1]
        if device not in self.outage.ids:
            return
        body = json.loads(payload)
        for state in body if isinstance(body, list) else [body]:
            if state["time"] >= self.since_ms:
                self.ages.append((arrived_ms - state["time"]) / 1000)

    def of_witness(self, witness):
        ahead = time.time() - time.monotonic()
        for at, topic, payload in list(witness.messages):
            self.add((at + ahead) * 1000, topic, payload)
        return self.summary()

    def summary(self):
        return {"states": len(self.ages), "median_s": statistics.median(self.ages),
                "most_s": max(self.ages)}
