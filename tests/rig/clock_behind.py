# SPDX-License-Identifier: Apache-2.0
"""A boot with a clock from 1970, under one time service or another: what the scenarios clock and chrony share."""
import time

from gateway import eventually, expect, site, step


def clock_behind(machine, service, asked_at, setting):
    """Nothing is sent until the service (a unit, which does not run yet) has set the clock; then all has
    the right time. The file asked_at gets the setting by which it asks 127.0.0.1."""
    machine.set_up(site(trust="auto", interval="1s"))
    machine.run("systemctl stop fieldpost && rm -rf /var/lib/fieldpost/* && systemctl stop rig-witness && "
                "rm -f /var/log/witness")
    machine.reboot(rtc="1970-01-01T00:00:00")
    started = time.time()
    year = machine.run("date +%Y-%m-%d")
    behind = started - float(machine.run("date +%s"))
    expect(behind > 30 * 86400, f"the guest's clock says {year}")
    machine.wait_until_up(seconds=120)
    eventually("twenty readings wait", lambda: machine.outbox()["waiting"] >= 20, 60)
    clock = machine.status()["clock"]
    expect(not clock["synchronised"] and clock["reason"], f"status: {clock}")
    expect(machine.status()["uplink"]["state"] == "connected", "it does not even connect")
    expect(machine.arrivals() == [], "something was sent without the right time")
    step(f"{year}: readings are kept, nothing is sent; {clock['reason']}")

    last = machine.plugin("counter")["attributes"][0]["value"]
    # Not ntp: that is the name of a service which chrony excludes.
    machine.run(f"systemd-run -q --unit=rig-ntp python3 /usr/local/sbin/rig-ntp.py {time.time():.3f}")
    machine.write(asked_at, setting)
    machine.run(f"systemctl start {service}")
    machine.wait_for("n", last, 180)
    clock = machine.status()["clock"]
    expect(clock["synchronised"], f"status: {clock}")
    step(f"{service} has set the clock; the agent has it from {clock['source']}")
    machine.expect_complete(1)

    # QoS 1 may bring the same one twice.
    readings = sorted({(arrival.value, arrival.time / 1000) for arrival in machine.arrivals()})
    expect(len({value for value, _ in readings}) == len(readings), f"one reading with two times: {readings}")
    now = time.time()
    wrong = [r for r in readings if not started - 200 < r[1] < now + 2]
    expect(not wrong, f"wrong times: {wrong[:10]}")
    steps = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in zip(readings, readings[1:])]
    expect(all(0.5 < s < 5 for s in steps[:int(last)]), f"the times of readings are not a second apart: {steps}")
    offset = readings[int(last)][1] - now
    step(f"times of {len(readings)} readings are right, those before too")
    expect(-120 < offset < 2, f"the reading before the clock was set is {offset:.1f} s from now")
