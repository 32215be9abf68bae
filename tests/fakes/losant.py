# SPDX-License-Identifier: Apache-2.0
"""A broker that behaves like Losant's: Debian's mosquitto with the plugin of tests/broker, on four
transports, and its record, which is judged at the end.
"""
import contextlib
import json
import pathlib
import socket
import subprocess

from broker import check_record
from fakes import field
from fakes.field import BOILER, BUILD, GATEWAY, METER, eventually

PLUGIN = BUILD / "tests/losant.so"
SCHEMES = ("mqtt", "ws", "mqtts", "wss")
SECURE = ("mqtts", "wss")
# In the forms of Losant's; good for every device.
KEY = "7c2c1a0e-61b5-4b36-9a5e-2a9d4b1f0c55"
SECRET = "5ec2e7" + "0" * 58


# What the agent says of itself, which everybody declares (docs/health.md).
OF_GATEWAY = {"fp_version": "string", "fp_uptime": "number", "fp_outbox_age": "number",
              "fp_outbox_bytes": "number", "fp_lost": "number", "fp_disk_day": "number",
              "fp_clock": "string", "fp_plugins_bad": "number", "fp_last_error": "string"}
OF_PERIPHERAL = {"fp_online": "boolean", "fp_error": "string"}


def device(name, gateway=None, attributes=None):
    """As `fieldpost attributes --json` writes it; without attributes it may have any."""
    made = {"deviceId": name}
    if gateway:
        made["gatewayId"] = gateway
    if attributes is not None:
        attributes = {**attributes, **(OF_PERIPHERAL if gateway else OF_GATEWAY)}
        made["attributes"] = [{"name": n, "dataType": t} for n, t in attributes.items()]
    return made


DEVICES = (device(GATEWAY), device(BOILER, GATEWAY), device(METER, GATEWAY))


def free_ports(count):
    """Different ones: all are held until all are found."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]


def make_certificates(folder):
    """An authority and a certificate for this machine: (ca file, certificate, key)."""
    ca, key, wish, cert = (folder / n for n in ("ca.pem", "key.pem", "request.pem", "cert.pem"))
    for words in (
            f"req -x509 -newkey rsa:2048 -nodes -keyout {folder}/ca-key.pem -out {ca} -days 30 "
            "-subj /CN=losant-like",
            f"req -new -newkey rsa:2048 -nodes -keyout {key} -out {wish} -subj /CN=localhost "
            "-addext subjectAltName=DNS:localhost,IP:127.0.0.1",
            f"x509 -req -in {wish} -CA {ca} -CAkey {folder}/ca-key.pem -CAcreateserial -out {cert} "
            "-days 30 -copy_extensions copy"):
        subprocess.run(["openssl", *words.split()], check=True, capture_output=True)
    return ca, cert, key


class LosantBroker(field.Broker):
    """`allow`: kinds of findings that are no failure. `tls`: mqtts and wss too (takes a second)."""

    def __init__(self, folder, devices=DEVICES, topics=("answers/#",), unlimited=False, time_scale=1,
                 allow=(), tls=False, ports=None, key=KEY, secret=SECRET):
        if not PLUGIN.exists():
            raise AssertionError(f"{PLUGIN} is missing: install mosquitto-dev, configure and build")
        self.allow = set(allow)
        self.home = pathlib.Path(folder) / "losant"
        self.home.mkdir(parents=True)
        self.ports = dict(zip(SCHEMES, ports or free_ports(len(SCHEMES))))
        self.open = [scheme for scheme in SCHEMES if tls or scheme not in SECURE]
        self.credentials = {"key": key, "secret": secret}
        for name, text in self.credentials.items():
            (self.home / name).touch(0o600)
            (self.home / name).write_text(text + "\n", encoding="utf-8")
        user, password = field.PLATFORM
        self.settings = {"record": str(self.home / "record.jsonl"), "keys": {key: secret},
                         "platform": {"user": user, "password": password},
                         "topics": list(topics), "devices": list(devices),
                         "unlimited": unlimited, "time_scale": time_scale}
        self._write_settings()
        self.ca_file = None
        super().__init__(folder, self.ports["mqtt"], self._listeners(tls))

    def _listeners(self, tls):
        # Without socket_domain, mosquitto 2.0.11 gives websockets to every address.
        web = "protocol websockets\nsocket_domain ipv4\n"
        lines = (f"plugin {PLUGIN}\nplugin_opt_settings {self.home}/settings.json\n"
                 f"listener {self.ports['ws']} 127.0.0.1\n{web}")
        if not tls:
            return lines
        self.ca_file, cert, key = make_certificates(self.home)
        files = f"certfile {cert}\nkeyfile {key}\n"
        return (lines + f"listener {self.ports['mqtts']} 127.0.0.1\n{files}"
                + f"listener {self.ports['wss']} 127.0.0.1\n{web}{files}")

    def _write_settings(self):
        (self.home / "settings.json").write_text(json.dumps(self.settings), encoding="utf-8")

    def add_device(self, made):
        """From the next start on."""
        self.settings["devices"].append(made)
        self._write_settings()

    def answers(self):
        """On every port: websockets listen after the others."""
        for scheme in self.open:
            with socket.socket() as s:
                s.settimeout(1)
                if s.connect_ex(("127.0.0.1", self.ports[scheme])) != 0:
                    return False
        return True

    def url(self, scheme="mqtt"):
        return f"{scheme}://127.0.0.1:{self.ports[scheme]}"

    def uplink(self, scheme="mqtt"):
        """The [uplink] section of an agent's configuration, to which more lines can be added."""
        lines = ["[uplink]", f'url = "{self.url(scheme)}"', f'access_key_file = "{self.home}/key"',
                 f'access_secret_file = "{self.home}/secret"']
        if scheme in SECURE:
            lines.append(f'ca_file = "{self.ca_file}"')
        return "\n".join(lines) + "\n"

    def record(self, event=None, **values):
        """The lines so far, of one event and with these values."""
        return [line for line in check_record.read_record(self.settings)
                if (event is None or line["event"] == event)
                and all(line.get(k) == v for k, v in values.items())]

    def wait_for(self, event, count=1, **values):
        return eventually(lambda: len(self.record(event, **values)) >= count
                          and self.record(event, **values),
                          what=f"{count} {event} {values} in the record")

    def findings(self):
        return [f for f in check_record.judge_record(self.settings) if f.kind not in self.allow]

    def finish(self):
        """Ends the broker and judges what it has seen."""
        self.stop()
        found = [f"{f.kind}: {f.client}: {f.words}" for f in self.findings()]
        if found:
            raise AssertionError(f"{len(found)} findings at the broker:\n" + "\n".join(found[:20]))


def losant_broker(stage, **options):
    """For a field.Field: judged when it ends."""
    broker = LosantBroker(stage.folder, **options)
    stage.stack.callback(broker.finish)
    return broker
