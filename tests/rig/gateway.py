# SPDX-License-Identifier: Apache-2.0
"""The machine as a gateway: Fieldpost installed, a broker, and somebody who writes down what arrives."""
import collections
import json
import time

from machine import Failed, Machine

ID = "575ecf887ae143cd83dc4aa2"
SITE = "/etc/fieldpost/conf.d/10-gateway.toml"
OUTBOX = "/var/lib/fieldpost"
# As fstab wants it: the second disk for the state.
STATE_MOUNT = "/dev/vdb /var/lib/fieldpost ext4 defaults,noatime,nofail 0 2"
# A reading as it arrived: when (UTC in s, of the guest), its own time in ms, and the value.
Arrival = collections.namedtuple("Arrival", "at time value")

BASE = """
[gateway]
device_id = "{id}"
[uplink]
url = "{url}"
limits = "plain"
backoff_max = "2s"
batch_max_age = "500ms"
[outbox]
flush_interval = "3s"
[clock]
trust = "{trust}"
[health]
enabled = false
"""
# Attribute n: 0, 1, 2, … from each start of the plugin, so that a gap shows.
COUNTER = """
[[plugin]]
name = "counter"
type = "sim"
interval = "{interval}"
[[plugin.signal]]
attribute = "n"
shape = "counter"
"""


def site(plugins=None, interval="200ms", url="mqtt://127.0.0.1", trust="always"):
    """A configuration; plugins is text, by default the counter alone."""
    return BASE.format(id=ID, url=url, trust=trust) + (plugins or COUNTER.format(interval=interval))


def step(text):
    print(f"-- {text}", flush=True)


def expect(holds, text):
    if not holds:
        raise Failed(text)


def eventually(what, check, seconds=60):
    """What check() returned once it is true; Failed after so many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            found, why = check(), ""
        except Failed as error:
            found, why = None, f"\n{error}"
        if found:
            return found
        if time.monotonic() > deadline:
            raise Failed(f"not within {seconds} s: {what}{why}")
        time.sleep(0.3)


class Gateway(Machine):
    # ---- the package

    def install(self, packages):
        """As a user would, without network: what it depends on is in the image."""
        self.push(packages, "/srv/packages")
        return self.run("DEBIAN_FRONTEND=noninteractive apt-get -q -y install "
                        "/srv/packages/*.deb 2>&1", timeout=240)

    def set_up(self, text):
        """Writes the site's file, and starts the service."""
        self.write(SITE, text)
        self.run("systemctl restart fieldpost", timeout=90)

    def mount_state(self):
        """Puts the service's state on the small second disk, now and at every boot."""
        self.run(f"mkdir -p {OUTBOX} && echo {STATE_MOUNT} >> /etc/fstab && systemctl daemon-reload && "
                 f"mount {OUTBOX}")

    def show(self, *properties):
        """Of the service, as a list."""
        return [self.run(f"systemctl show -P {name} fieldpost") for name in properties]

    def pid(self):
        return int(self.show("MainPID")[0])

    def journal(self):
        return self.run("journalctl -u fieldpost -o cat --no-pager -n 400")

    # ---- what the agent says

    def status(self):
        return json.loads(self.run("fieldpost status --json"))

    def outbox(self):
        return json.loads(self.run("fieldpost outbox status --json"))

    def plugin(self, name):
        return next(entry for entry in self.status()["plugins"] if entry["name"] == name)

    def wait_until_up(self, name="counter", seconds=90):
        return eventually(f"the plugin {name} is up", lambda: self.plugin(name)["state"] == "up", seconds)

    def wait_for_stored(self, count, seconds=120):
        """Until so many readings wait on the disk; returns how many do."""
        eventually(f"{count} readings on the disk", lambda: self.outbox()["stored"] >= count, seconds)
        return self.outbox()["stored"]

    # ---- what the broker got

    def broker(self, runs):
        self.run("systemctl " + ("start" if runs else "stop") + " mosquitto", timeout=60)

    def arrivals(self, attribute="n", device=ID):
        """In the order of arrival. A message twice is twice here."""
        found = []
        for line in self.pull("/var/log/witness").decode().splitlines():
            at, topic, payload = line.split(" ", 2)
            if topic != f"losant/{device}/state":
                continue
            states = json.loads(payload)
            found += [Arrival(float(at), state["time"], state["data"][attribute])
                      for state in (states if isinstance(states, list) else [states])
                      if attribute in state["data"]]
        return found

    def wait_for(self, attribute, value, seconds=60):
        return eventually(f"{attribute} = {value} at the broker",
                          lambda: [a for a in self.arrivals(attribute) if a.value == value], seconds)[-1]

    def runs(self):
        """The counter's values as they were read: a list for each start of the plugin."""
        readings = sorted({(arrival.time, arrival.value) for arrival in self.arrivals()})
        runs = []
        for _, value in readings:
            if not runs or value <= runs[-1][-1]:
                runs.append([])
            runs[-1].append(int(value))
        return runs

    def expect_complete(self, runs):
        """None of the counter's readings is missing, in this many starts of the plugin."""
        seen = self.runs()
        for run in seen:
            missing = sorted(set(range(run[-1] + 1)) - set(run))
            expect(not missing, f"{len(missing)} readings of 0 to {run[-1]} never arrived: {missing[:20]}")
        expect(len(seen) == runs, f"{runs} starts of the plugin, but readings of {len(seen)}: "
               f"{[(run[0], run[-1]) for run in seen]}")
        step("arrived: " + ", ".join(f"0 to {run[-1]}" for run in seen) + ", none missing")
