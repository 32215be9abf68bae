# SPDX-License-Identifier: Apache-2.0
"""The way to the broker, end to end: when it is dialled, what is said of it, what it costs.
"""
import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from broker import mqtt_client  # noqa: E402  pylint: disable=wrong-import-position
from fakes import field, losant  # noqa: E402
from fakes.field import GATEWAY, eventually  # noqa: E402
from fakes.site import CLOCK, HEAD, QUIET, SiteTest, sim, uplink  # noqa: E402

# A network of its own, whose only way out leads nowhere: who asks there gets no answer, ever.
BLACK_HOLE = """
ip link set lo up && ip link add way type veth peer name nowhere && ip link set way up &&
ip link set nowhere up && ip address add 198.51.100.1/24 dev way &&
ip neighbour add 198.51.100.53 lladdr 02:00:00:00:00:01 dev way &&
mount --bind "$1" /etc/resolv.conf && shift && exec "$@"
"""


class Server:
    """Answers each connection with `serve(socket)`, on a thread."""

    def __init__(self, test, serve):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.served = 0
        self.serve = serve
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        test.addCleanup(self.end)

    def _run(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                with connection, contextlib.suppress(OSError, mqtt_client.Closed):
                    self.served += 1
                    self.serve(connection)

    def end(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(10)


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def acknowledge_nothing(connection):
    """An MQTT broker that lets everybody in, and then only listens."""
    connection.settimeout(30)
    connection.sendall(b"\x20\x02\x00\x00")
    while connection.recv(65536):
        pass


class LineTest(SiteTest):
    def uplink(self):
        return self.agent.status()["uplink"]

    def wait_for_a_pause(self, least=4):
        """The back-off has grown to that."""
        eventually(lambda: self.uplink().get("retry_s", 0) > least, 60, "a long pause")

    # ---- A reload ends a back-off, whatever it makes of the file.

    def end_a_pause_by_sighup(self, edit):
        self.broker = self.field.broker()
        self.broker.stop()
        text = HEAD + QUIET + uplink(self.broker.port).replace('"1s"', '"5min"') + sim()
        self.agent = self.field.agent(text)
        self.agent.wait_until_up()
        self.wait_for_a_pause()
        self.broker.start()
        self.agent.config.write_text(edit(text))
        self.agent.child.send_signal(signal.SIGHUP)
        eventually(lambda: self.uplink()["state"] == "connected", 2.5)

    def test_sighup_ends_a_pause(self):
        self.end_a_pause_by_sighup(lambda text: text)

    def test_sighup_ends_a_pause_also_with_a_broken_file(self):
        self.end_a_pause_by_sighup(lambda text: text.replace("interval", "intervall"))
        self.assertIn("did you mean 'interval'?", self.agent.status()["config"]["trouble"])

    # ---- What is looked at again with each connection.

    def test_a_secret_that_others_may_read_is_told_of_once(self):
        self.broker = self.field.broker()
        key = self.field.folder / "key"
        key.touch(0o600)
        key.write_text("name\n", encoding="utf-8")
        self.agent = self.field.agent(
            HEAD + QUIET + uplink(self.broker.port) + f'access_key_file = "{key}"\n' + sim())
        self.agent.wait_until_up()
        for connections, mode, told in ((1, 0o644, 0), (2, 0o644, 1), (3, 0o600, 1), (4, 0o644, 1),
                                        (5, 0o644, 2)):
            eventually(lambda c=connections: self.agent.status()["uplink"]["connections"] == c,
                       20, f"connection {connections}")
            self.assertEqual(self.agent.text().count("a secret is not kept: everybody"), told)
            key.chmod(mode)
            self.broker.stop()
            self.broker.start()

    def test_messages_that_are_ignored_do_not_fill_the_log(self):
        self.start(lambda port: sim())
        eventually(lambda: self.agent.status()["uplink"]["connections"] == 1)
        topic = f"losant/{GATEWAY}/command"
        for _ in range(20):
            self.broker.publish(topic, b"x" * (2 ** 20 + 1))
        self.broker.publish(topic, "{}")
        eventually(lambda: "command rejected" in self.agent.text(), what="what came after them")
        self.assertEqual(self.agent.text().count("too large and is ignored"), 1)

    # ---- A name server that does not answer.

    def test_a_lookup_that_hangs_holds_nobody_up(self):
        resolv = self.field.folder / "resolv.conf"
        resolv.write_text("nameserver 198.51.100.53\noptions timeout:30 attempts:5\n", encoding="utf-8")
        prefix = ["unshare", "--net", "--mount", "sh", "-c", BLACK_HOLE, "sh", resolv]
        if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode != 0:
            self.skipTest("needs root, and network namespaces with veth devices")
        config = HEAD + QUIET + uplink(1883).replace("127.0.0.1", "broker.example") + sim()
        self.agent = self.field.agent(config, prefix=prefix)
        self.agent.wait_until_up()
        step = "resolve broker.example"
        self.assertEqual(self.uplink()["step"], step)
        eventually(lambda: f"{step}: no answer in 10" in self.uplink()["reason"], 15)
        eventually(lambda: self.uplink()["step"] == step)  # the next one hangs as well
        self.assertGreater(self.agent.status()["outbox"]["waiting"], 8 * 10, "polling goes on")
        began = time.monotonic()
        self.assertEqual(self.agent.end(signal.SIGTERM), 0, self.agent.text())
        self.assertLess(time.monotonic() - began, 3)

    # ---- What the rate limits do.

    def test_a_ban_is_waited_for_and_ends_by_itself(self):
        self.broker = losant.losant_broker(self.field, time_scale=0.5, allow=("topic-rate", "refused"))
        self.agent = self.field.agent(HEAD + QUIET + CLOCK + self.broker.uplink() + sim())
        self.agent.wait_until_up()
        eventually(lambda: self.uplink()["readings"] > 0)
        # Another one with our id sends too much, and for 15 s neither is let in.
        with mqtt_client.Client(self.broker.url()) as other:
            self.assertEqual(other.connect(GATEWAY, losant.KEY, losant.SECRET), 0)
            other.send(b"".join(mqtt_client.publish(f"losant/{GATEWAY}/state", '{"data":{}}', number=n)
                                for n in range(1, 32)))
            other.count_until_closed(mqtt_client.PUBACK)
        status = eventually(lambda: "it may keep us out" in self.uplink()["reason"] and self.uplink())
        self.assertGreater(status["retry_s"], 25)
        refused = len(self.broker.record("refuse"))
        eventually(lambda: self.uplink()["state"] == "connected", 65)
        self.assertEqual(len(self.broker.record("refuse")), refused, "nobody knocked meanwhile")
        eventually(lambda: self.uplink()["slowed"])
        self.assertIn("half of the rate limits for an hour", self.agent.cli("status").stdout)

    def test_status_says_how_long_readings_wait_for_others(self):
        devices = [f"{n:024x}" for n in range(1, 51)]
        lines = "".join(f'[[device]]\nname = "d{d}"\nid = "{d}"\n' for d in devices)
        self.broker = self.field.broker()
        self.agent = self.field.agent(
            HEAD + lines + QUIET + uplink(self.broker.port).replace('limits = "plain"\n', "") + sim())
        self.agent.wait_until_up()

        def said():
            readings = "".join(json.dumps({"device": f"d{d}", "data": {"n": 1}}) + "\n" for d in devices)
            sent = self.agent.cli("send", input=readings)
            self.assertEqual(sent.returncode, 0, sent.stderr)
            return self.uplink()["batch_age_s"] > 3 and re.search(
                r"new readings wait up to \d.* s for others: \d+ devices share the rate limits",
                self.agent.cli("status").stdout)
        eventually(said, 30)

    # ---- What a broker that does not work costs: 1 % of a core.

    def expect_idle(self, port, fails, lines="", scheme="mqtt"):
        url = f'url = "{scheme}://localhost:{port}"\nkeepalive = "5s"\n'
        self.agent = self.field.agent(HEAD + QUIET + CLOCK + "[uplink]\n" + url + lines
                                      + sim().replace("100ms", "10s"))
        self.agent.wait_until_up()
        stat = pathlib.Path(f"/proc/{self.agent.child.pid}/stat")

        def used():
            fields = stat.read_text(encoding="ascii").rsplit(")", 1)[1].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        before, began = used(), time.monotonic()
        time.sleep(20)  # what is measured is a time
        share = (used() - before) / (time.monotonic() - began)
        self.assertLessEqual(share, 0.01)
        fails()

    @unittest.skipIf(field.SANITIZED, "a sanitizer costs more")
    def test_a_broker_that_resets_costs_nothing(self):
        server = Server(self, reset)
        self.expect_idle(server.port, fails=lambda: self.assertGreaterEqual(server.served, 3))

    @unittest.skipIf(field.SANITIZED, "a sanitizer costs more")
    def test_a_broker_that_is_not_trusted_costs_nothing(self):
        _, cert, key = losant.make_certificates(self.field.folder)
        port = field.free_port()
        self.field.add(field.Process(["openssl", "s_server", "-quiet", "-accept", f"127.0.0.1:{port}",
                                      "-cert", cert, "-key", key]))
        self.expect_idle(port, scheme="mqtts", fails=lambda: self.assertIn(
            "signed by an authority that we do not trust", self.uplink()["reason"]))

    @unittest.skipIf(field.SANITIZED, "a sanitizer costs more")
    def test_a_broker_that_acknowledges_nothing_costs_nothing(self):
        server = Server(self, acknowledge_nothing)
        self.expect_idle(server.port, lines='limits = "plain"\n', fails=lambda: self.assertIn(
            "acknowledged nothing", self.agent.text()))


if __name__ == "__main__":
    unittest.main()
