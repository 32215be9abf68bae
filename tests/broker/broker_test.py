#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The broker that behaves like Losant's: each rule kept, and each rule broken, as a client on the
wire sees it and as the record has it.
"""
import json
import os
import pathlib
import re
import signal
import ssl
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from broker import mqtt_client  # noqa: E402  pylint: disable=wrong-import-position
from broker.mqtt_client import PUBACK, PUBLISH, Client, Closed  # noqa: E402
from fakes import field, losant  # noqa: E402
from fakes.field import BOILER, GATEWAY, METER, eventually  # noqa: E402

STATE = f"losant/{GATEWAY}/state"
COMMAND = f"losant/{GATEWAY}/command"
PERIPHERALS = tuple(f"{n:024x}" for n in range(10))


def burst(topic, count):
    """So many states in one write; a topic that is a list is used in turn."""
    topics = topic if isinstance(topic, (list, tuple)) else [topic]
    return b"".join(mqtt_client.publish(topics[n % len(topics)], '{"data":{}}', number=n + 1)
                    for n in range(count))


class BrokerTest(unittest.TestCase):
    def setUp(self):
        self.field = field.Field()
        self.addCleanup(self.field.__exit__)

    def start(self, **options):
        self.broker = losant.losant_broker(self.field, **options)

    def client(self, scheme="mqtt"):
        client = Client(self.broker.url(scheme), self.broker.ca_file)
        self.addCleanup(client.__exit__)
        return client

    def connected(self, scheme="mqtt", **options):
        client = self.client(scheme)
        self.assertEqual(client.connect(GATEWAY, losant.KEY, losant.SECRET, **options), 0)
        return client

    def platform(self):
        client = self.client()
        self.assertEqual(client.connect("the platform", *field.PLATFORM), 0)
        return client

    def wait_until_welcome(self):
        """A connection as soon as the refusal is over."""
        def attempt():
            client = Client(self.broker.url())
            if client.connect(GATEWAY, losant.KEY, losant.SECRET) == 0:
                return client
            client.__exit__()
            return None
        client = eventually(attempt, 30, "the end of the refusal")
        self.addCleanup(client.__exit__)
        return client

    def assert_breach(self, kind, words, count=1):
        breaches = self.broker.wait_for("breach", count)
        self.assertEqual([b["kind"] for b in breaches], [kind] * count)
        self.assertIn(words, breaches[-1]["words"])
        self.broker.allow.add(kind)
        return breaches[-1]

    # ---- Who may come in.

    def test_all_transports_accept_and_record(self):
        self.start(tls=True)
        for scheme in losant.SCHEMES:
            with self.subTest(scheme), self.connected(scheme, keepalive=17) as client:
                self.assertEqual(client.subscribe(COMMAND), 1)
                client.send(mqtt_client.publish(STATE, '{"data":{"a":1}}'))
                client.wait_for(PUBACK)
                connect = self.broker.record("connect")[-1]
                self.assertEqual(
                    {k: connect[k] for k in ("client", "user", "clean_session", "keepalive", "websocket")},
                    {"client": GATEWAY, "user": losant.KEY, "clean_session": True, "keepalive": 17,
                     "websocket": scheme in ("ws", "wss")})
        published = self.broker.record("publish")
        self.assertEqual(len(published), 4)
        self.assertEqual((published[0]["topic"], published[0]["qos"], published[0]["payload"]),
                         (STATE, 1, '{"data":{"a":1}}'))
        self.assertLess(abs(published[0]["at"] - time.time() * 1000), 60_000)
        with self.assertRaises(ssl.SSLCertVerificationError):
            Client(self.broker.url("mqtts"))  # the system does not know our authority

    def test_every_listener_is_on_loopback(self):
        self.start(tls=True)
        listening = subprocess.run(["cat", f"/proc/{self.broker.process.child.pid}/net/tcp",
                                    f"/proc/{self.broker.process.child.pid}/net/tcp6"],
                                   capture_output=True, text=True, check=True).stdout
        addresses = {}
        for line in listening.splitlines():
            words = line.split()
            if len(words) > 3 and words[3] == "0A":
                address, port = words[1].split(":")
                addresses.setdefault(int(port, 16), set()).add(address)
        for scheme, port in self.broker.ports.items():
            self.assertEqual(addresses[port], {"0100007F"}, scheme)

    def test_a_wrong_id_key_or_secret_is_refused(self):
        self.start(allow=("credentials", "client-id", "version"))
        for scheme in ("mqtt", "ws"):
            for arguments in ((GATEWAY,), (GATEWAY, losant.KEY, "wrong"),
                              (GATEWAY, "wrong", losant.SECRET), ("x", losant.KEY, losant.SECRET),
                              (BOILER, losant.KEY, losant.SECRET)):  # it connects by its gateway
                self.assertEqual(self.client(scheme).connect(*arguments), 5, (scheme, arguments))
        self.assertNotEqual(self.client().connect(GATEWAY, losant.KEY, losant.SECRET, level=5), 0)
        kinds = [line["kind"] for line in self.broker.record("refuse")]
        self.assertEqual(kinds, 2 * (3 * ["credentials"] + 2 * ["client-id"]) + ["version"])
        self.assertEqual(self.broker.record("connect"), [])

    def test_the_same_id_again_takes_over(self):
        self.start()
        for scheme in ("mqtt", "ws"):
            first, second = self.connected(scheme), self.connected("mqtt")
            self.assertEqual(first.count_until_closed(PUBLISH), 0)
            second.send(mqtt_client.publish(STATE, '{"data":{}}'))
            second.wait_for(PUBACK)
        self.assertEqual(len(self.broker.record("connect")), 4)

    def test_clean_session_0_closes(self):
        self.start()
        for number, scheme in enumerate(("mqtt", "ws")):
            client = self.client(scheme)
            client.connect(GATEWAY, losant.KEY, losant.SECRET, clean=False)
            client.count_until_closed(PUBLISH)  # without a word more from us
            self.assert_breach("clean-session", "clean session 0", number + 1)
            self.assertFalse(self.broker.record("connect")[-1]["clean_session"])

    def test_an_application_has_300_new_connections_in_15_s(self):
        self.start(allow=("application-rate",))
        began = time.monotonic()
        for _ in range(300):
            self.connected().__exit__()
        self.assertEqual(self.client().connect(GATEWAY, losant.KEY, losant.SECRET), 5)
        self.assertLess(time.monotonic() - began, 15, "too slow a machine for this test")
        self.assertEqual(len(self.broker.record("refuse", kind="application-rate")), 1)

    # ---- What may be said.

    def test_what_is_not_supported_closes(self):
        self.start()
        cases = (("qos", mqtt_client.publish(STATE, "{}", qos=2), "QoS 2"),
                 ("retain", mqtt_client.publish(STATE, "{}", retain=True), "retained"),
                 ("size", mqtt_client.publish(STATE, "x" * 262_145), "262145 bytes"),
                 ("topic", mqtt_client.publish(f"losant/{GATEWAY}/fromAgent/x", "{}"), "fromAgent"),
                 ("topic", mqtt_client.publish("losant/575ecf887ae143cd83dc4aaf/state", "{}"), "4aaf"),
                 ("topic", mqtt_client.publish("other", "{}"), "other"))
        for scheme in ("mqtt", "ws"):
            for kind, message, words in cases:
                with self.subTest(f"{scheme} {kind}"):
                    client = self.connected(scheme)  # the one before has not led to a refusal
                    before = len(self.broker.record("breach"))
                    client.send(message)
                    self.assertEqual(client.count_until_closed(PUBACK), 0)
                    breaches = self.broker.record("breach")
                    self.assertEqual(len(breaches), before + 1)
                    self.assertEqual((breaches[-1]["kind"], breaches[-1]["refused_ms"]), (kind, 0))
                    self.assertIn(words, breaches[-1]["words"])
        self.assertEqual(self.broker.record("publish"), [])
        self.broker.allow = {"qos", "retain", "size", "topic"}

    def test_what_is_allowed_is_acknowledged(self):
        self.start(allow=("state",))  # the large one is no JSON
        for scheme in ("mqtt", "ws"):
            client = self.connected(scheme)
            for topic, payload in ((STATE, "x" * 262_144), (f"losant/{BOILER}/state", '{"data":{}}'),
                                   ("answers/any/thing", "free text")):
                client.send(mqtt_client.publish(topic, payload))
                client.wait_for(PUBACK)
            client.__exit__()
        self.assertEqual(len(self.broker.record("publish")), 6)

    def test_subscriptions(self):
        self.start(allow=("subscription", "qos"))
        for scheme in ("mqtt", "ws"):
            client = self.connected(scheme)
            for topic in (COMMAND, f"losant/{METER}/command", "answers/#"):
                self.assertEqual(client.subscribe(topic), 1)
            for topic in ("losant/+/command", "#", STATE, "losant/575ecf887ae143cd83dc4aaf/command"):
                self.assertEqual(client.subscribe(topic), 0x80, topic)
            with self.assertRaises(Closed):
                client.subscribe(COMMAND, qos=2)
        self.assertEqual(len(self.broker.record("subscribe", granted=True)), 6)
        self.assertEqual(len(self.broker.record("subscribe", granted=False)), 10)

    def test_repetitions_are_marked(self):
        self.start()
        client = self.connected()
        for dup in (False, True):
            client.send(mqtt_client.publish(STATE, '{"data":{}}', dup=dup))
            client.wait_for(PUBACK)
        self.assertEqual([p["duplicate"] for p in self.broker.record("publish")], [False, True])

    # ---- How often.

    def test_the_31st_message_closes_and_refusals_double(self):
        self.start(time_scale=0.04, allow=("topic-rate", "refused"))  # windows of 0.6 s
        client = self.connected()
        for number, expected in enumerate((1200, 2400)):
            client.send(burst(STATE, 31))
            client.count_until_closed(PUBACK)
            breach = self.broker.record("breach")[-1]
            self.assertEqual((breach["kind"], breach["refused_ms"]), ("topic-rate", expected))
            client = self.wait_until_welcome()
            back = self.broker.wait_for("connect", number + 2)[-1]
            self.assertGreaterEqual(back["at"] - breach["at"], expected - 1)
            refusals = self.broker.record("refuse", kind="refused")
            self.assertTrue(refusals and all(r["refused_ms"] <= expected for r in refusals))
        self.assertEqual(len(self.broker.record("publish")), 60)

    def test_thirty_in_each_window_are_welcome(self):
        self.start(time_scale=0.02)
        client = self.connected()
        for count in range(1, 4):
            client.send(burst(STATE, 30))
            client.ping()
            newest = self.broker.wait_for("publish", count * 30)[-1]["at"]
            eventually(lambda at=newest: time.time() * 1000 > at + 320, what="the end of the window")
        self.assertEqual(self.broker.record("breach"), [])

    def test_the_301st_message_of_a_connection_closes(self):
        devices = (losant.device(GATEWAY), *(losant.device(p, GATEWAY) for p in PERIPHERALS))
        self.start(devices=devices)
        client = self.connected("ws")
        topics = [STATE, *(f"losant/{p}/state" for p in PERIPHERALS)]
        client.send(burst(topics, 150))
        client.ping()
        client.__exit__()
        client = self.connected()  # which does not make it a new count
        client.send(burst(topics, 151))
        client.count_until_closed(PUBACK)
        breach = self.assert_breach("connection-rate", "300")
        self.assertEqual(breach["refused_ms"], 30_000)
        self.assertEqual(len(self.broker.record("publish")), 300)
        self.assertEqual(self.client().connect(GATEWAY, losant.KEY, losant.SECRET), 5)
        self.broker.allow.add("refused")

    def test_what_comes_to_a_device_counts_too(self):
        self.start()
        for number, scheme in enumerate(("mqtt", "ws")):
            topic = f"losant/{(GATEWAY, BOILER)[number]}/command"
            client = self.connected(scheme)
            self.assertEqual(client.subscribe(topic, qos=0), 0)
            platform = self.platform()  # no rule holds for it
            platform.send(b"".join(mqtt_client.publish(topic, '{"name":"x"}', qos=0)
                                   for _ in range(40)))
            platform.ping()
            self.assertEqual(client.count_until_closed(PUBLISH), 30)
            self.assert_breach("topic-rate", topic, number + 1)
            if number == 0:  # the refusal is real: 30 s
                self.assertEqual(self.client().connect(GATEWAY, losant.KEY, losant.SECRET), 5)
                self.broker.allow.add("refused")
                self.broker.stop()
                self.broker.start()

    def test_unlimited_is_unlimited(self):
        self.start(unlimited=True)
        client = self.connected()
        client.send(burst(STATE, 400))
        client.ping()
        self.assertEqual(len(self.broker.wait_for("publish", 400)), 400)

    def test_a_finding_fails_the_test_that_uses_the_broker(self):
        broker = losant.LosantBroker(self.field.folder)
        with Client(broker.url()) as client:
            client.connect(GATEWAY, losant.KEY, losant.SECRET)
            client.send(mqtt_client.publish(STATE, '{"data":{"a":null}}'))
            client.wait_for(PUBACK)
        with self.assertRaisesRegex(AssertionError, "state: .*None is not of type"):
            broker.finish()

    # ---- For people.

    def test_the_script_tells_what_happens(self):
        devices = self.field.folder / "devices.json"
        devices.write_text(json.dumps([losant.device(GATEWAY, attributes={"a": "number"})]))
        build = self.field.folder / "build"  # its folder is beside the build of a preset
        (build / "dev").mkdir(parents=True)
        (build / "dev/tests").symlink_to(field.BUILD / "tests")
        script = self.field.add(field.Process(
            [field.PYTHON, field.SOURCE / "scripts/losant_like_broker.py", "--port", "0", devices],
            env={**os.environ, "FIELDPOST_BUILD_DIR": str(build / "dev")}))
        eventually(lambda: "The record is" in script.text(), 20, "its introduction")
        url = re.search(r"listening at (mqtt:\S+\d)", script.text())[1]
        with Client(url) as client:
            self.assertEqual(client.connect(GATEWAY, losant.KEY, losant.SECRET), 0)
            for data in ('{"a":1}', '{"b":1}'):
                client.send(mqtt_client.publish(STATE, f'{{"data":{data}}}'))
                client.wait_for(PUBACK)
        eventually(lambda: f"{GATEWAY}: ATTRIBUTE: {GATEWAY}: it has no attribute 'b': dropped"
                   in script.text(), what="its complaint")
        self.assertEqual(script.end(signal.SIGINT), 1)
        self.assertIn("2 messages from devices; findings: 1 attribute", script.text())


if __name__ == "__main__":
    unittest.main()
