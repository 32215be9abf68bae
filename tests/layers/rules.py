# SPDX-License-Identifier: Apache-2.0
"""Who may include whom: the arrows of the architecture, as data, and the check that reads them.

A layer is a folder src/<layer>. What is not allowed here is forbidden, unknown library headers
too: a new one has to be given a home in LIBRARIES first.
"""
import os
import re

# src/<layer>: what it may include of src/. "store/outbox" allows that one header.
GROUND = ("base", "model", "config")
LAYERS = {
    "base": (),
    "model": ("base",),
    "config": ("base", "model"),
    "store": ("base", "model"),
    "host": GROUND,  # neither SQLite nor MQTT: a plugin's process stays small
    "supervisor": GROUND,
    "uplink": (*GROUND, "store/outbox"),
    "commands": (*GROUND, "store/database"),
    "keeper": GROUND,
    "cli": (*GROUND, "store", "host", "supervisor", "uplink", "commands", "keeper"),
    "main": (*GROUND, "store", "host", "supervisor", "uplink", "commands", "keeper", "cli"),
}
SDK_USERS = ("include/fieldpost/", "src/host/", "plugins/")

# A library's headers: the files that may include them (beginnings of paths).
LIBRARIES = (
    (r"sqlite3\.h", ("src/store/",)),
    (r"zlib\.h", ("src/store/", "src/cli/archive")),
    (r"mosquitto\.h", ("src/uplink/session",)),
    (r"boost/program_options.*", ("src/main/", "src/cli/")),
    (r"boost/uuid/.*", ("src/commands/envelope",)),
    (r"boost/.*", ("src/uplink/",)),
    (r"openssl/.*", ("src/uplink/",)),
    (r"toml\+\+/.*", ("src/config/",)),
    (r"systemd/.*", ("src/base/",)),
    (r"systemd/sd-daemon\.h", ("src/base/", "src/main/")),
    (r"nlohmann/.*", ("src/base/", "plugins/exec/protocol")),
    (r"modbus/.*", ("plugins/modbus/",)),
    (r"gpiod\.h", ("plugins/gpio/",)),
)
# The C library and the kernel; the C++ standard library has no dot.
SYSTEM = re.compile(
    r"(sys|linux|netinet|arpa|net|bits|asm)/[\w/-]+\.h|[a-z_0-9]+|"
    r"(assert|ctype|dirent|dlfcn|errno|fcntl|fnmatch|getopt|glob|grp|ifaddrs|inttypes|limits|"
    r"locale|malloc|math|netdb|poll|pthread|pwd|regex|sched|signal|spawn|stdarg|stdbool|stddef|"
    r"stdint|stdio|stdlib|string|strings|syslog|termios|time|unistd|wait)\.h")

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
SOURCES = (".h", ".hpp", ".c", ".cpp")


def included_files(path):
    """(line number, '<' or '"', name) of each #include."""
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if match := INCLUDE.match(line):
                yield number, match[1], match[2]


def library_complaint(file, name):
    homes = [homes for pattern, homes in LIBRARIES if re.fullmatch(pattern, name)]
    if not homes:
        return f"<{name}> belongs to no layer: give it one in LIBRARIES of tests/layers/rules.py"
    if any(file.startswith(home) for home in set().union(*homes)):
        return None
    return f"<{name}> is for {' and '.join(sorted(set().union(*homes)))} alone"


def src_complaint(file, name):
    """A quoted include in src/: root-relative, along an arrow."""
    layer, target = file.split("/")[1], name.split("/")[0]
    if "/" not in name or target not in LAYERS:
        return f'"{name}": write it from src/ on, as "<layer>/<file>"'
    allowed = (layer, *LAYERS[layer])
    if target in allowed or os.path.splitext(name)[0] in allowed:
        return None
    return f'"{name}": {layer} must not know {target}'


def include_complaint(root, file, bracket, name):
    if bracket == "<":
        if name.startswith("fieldpost/"):
            if file.startswith(SDK_USERS):
                return None
            return f"<{name}> is for {', '.join(SDK_USERS)} alone"
        return None if SYSTEM.fullmatch(name) else library_complaint(file, name)
    if file.startswith("src/"):
        return src_complaint(file, name)
    beside = os.path.dirname(os.path.join(root, file))
    if file.startswith("plugins/") and (os.path.exists(os.path.join(beside, name)) or
                                        name.startswith("common/")):
        return None
    return f'"{name}": a plugin sees <fieldpost/…>, its own files, common/ and its device library'


def check_includes(root):
    """All violations below `root`, as "file:line: what is wrong", and the number of includes."""
    complaints, seen = [], 0
    for top in ("src", "include", "plugins"):
        for folder, _, names in os.walk(os.path.join(root, top)):
            for path in (os.path.join(folder, n) for n in sorted(names) if n.endswith(SOURCES)):
                file = os.path.relpath(path, root)
                if top == "src" and file.split("/")[1] not in LAYERS:
                    complaints.append(f"{file}: {file.split('/')[1]} is no layer")
                    continue
                for line, bracket, name in included_files(path):
                    seen += 1
                    if text := include_complaint(root, file, bracket, name):
                        complaints.append(f"{file}:{line}: {text}")
    return complaints, seen
