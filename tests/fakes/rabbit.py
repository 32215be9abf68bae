# SPDX-License-Identifier: Apache-2.0
"""Debian's RabbitMQ as a cluster of its own: nodes with their own folders, ports and epmd, on the
loopback interface alone. Whatever RabbitMQ the machine runs is left alone. Needs Debian's
rabbitmq-server and python3-pika.
"""
import os
import pathlib
import signal
import socket
import subprocess

from fakes import field, losant
from fakes.field import Process, eventually

HOME = "/usr/lib/rabbitmq/bin"


class Node(Process):
    def __init__(self, cluster, number):
        self.name = f"n{number}@localhost"
        self.amqp, self.mqtt, distribution = losant.free_ports(3)
        home = cluster.folder / f"n{number}"
        home.mkdir()
        peers = "".join(f"cluster_formation.classic_config.nodes.{n} = n{n}@localhost\n"
                        for n in range(1, cluster.size + 1))
        (home / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.amqp}\nmqtt.listeners.tcp.1 = 127.0.0.1:{self.mqtt}\n"
            "mqtt.allow_anonymous = true\nmqtt.default_user = guest\nmqtt.default_pass = guest\n"
            "mqtt.exchange = amq.topic\ndisk_free_limit.absolute = 50MB\n"
            f"cluster_formation.peer_discovery_backend = classic_config\n{peers}", encoding="utf-8")
        (home / "enabled_plugins").write_text("[rabbitmq_mqtt].", encoding="utf-8")
        self.env = {
            **cluster.env, "RABBITMQ_NODENAME": self.name, "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(home / "none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(home / "mnesia"), "RABBITMQ_LOG_BASE": str(home / "log"),
            "RABBITMQ_LOGS": "-", "RABBITMQ_PID_FILE": str(home / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS":
                "-start_epmd false -kernel inet_dist_use_interface {127,0,0,1}",
            # The node is this child itself, not a child of a shell that passes signals on.
            "NOTIFY_SOCKET": str(home / "nobody")}
        super().__init__([f"{HOME}/rabbitmq-server"], env=self.env)

    def answers(self):
        assert self.child.poll() is None, self.text()[-3000:]
        for port in (self.amqp, self.mqtt):
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", port)) != 0:
                    return False
        return True

    def ctl(self, *args):
        return subprocess.run([f"{HOME}/rabbitmqctl", "-q", "-n", self.name, *args], env=self.env,
                              check=True, capture_output=True, text=True, timeout=120).stdout


class Cluster:
    """Up when it is made. end() ends those nodes that still run, and the name server."""

    def __init__(self, folder, size=3):
        self.folder, self.size, self.nodes = pathlib.Path(folder) / "rabbit", size, []
        self.folder.mkdir()
        cookie = self.folder / ".erlang.cookie"
        cookie.touch(0o600)
        cookie.write_text("FIELDPOST", encoding="ascii")
        cookie.chmod(0o400)
        port = field.free_port()
        self.env = {**os.environ, "HOME": str(self.folder), "ERL_EPMD_PORT": str(port),
                    "ERL_EPMD_ADDRESS": "127.0.0.1", "LC_ALL": "C.UTF-8"}
        self.names = Process([field.program("epmd"), "-port", port, "-address", "127.0.0.1"],
                             env=self.env)
        try:
            self.nodes = [Node(self, n) for n in range(1, size + 1)]
            for node in self.nodes:
                eventually(node.answers, 120, f"ports of {node.name}")
            self.nodes[0].ctl("await_online_nodes", str(size))
            # In 3.10 the queue of a QoS 1 subscription is durable and on one node: while that is down, who
            # had subscribed there is thrown out for trying again, at every node.
            self.nodes[0].ctl("set_policy", "--apply-to", "queues", "subscriptions",
                              "^mqtt-subscription-", '{"ha-mode":"all"}')
        except BaseException:
            self.end()
            raise

    def end(self):
        for node in self.nodes:
            node.end(signal.SIGKILL)  # in order takes ten seconds each, and nothing is to be kept
        self.names.end()
