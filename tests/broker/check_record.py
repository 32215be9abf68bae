#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Judges the record of the broker that behaves like Losant's: which rule was broken, and what the
platform would have dropped or overwritten without a word.

    check_record.py SETTINGS [--allow KIND]...

SETTINGS is the broker's JSON file. Prints a line for each finding and ends with 1 if there is one
of a kind that is not allowed. The kinds are listed in docs/develop-against-a-broker.md.
"""
import argparse
import base64
import binascii
import collections
import datetime
import json
import math
import pathlib
import re
import sys

import jsonschema

SCHEMA = json.loads((pathlib.Path(__file__).parent / "losant.schema.json").read_text(encoding="utf-8"))
DAY_MS = 86_400_000
OLDEST_MS = 30 * DAY_MS  # older states are dropped
NEWEST_MS = DAY_MS       # so are those further in the future
LONGEST_STRING = 65_536  # bytes
GPS = re.compile(r"\s*-?\d+(\.\d+)?\s*,\s*-?\d+(\.\d+)?\s*")

Finding = collections.namedtuple("Finding", "kind client words")


def validator(name):
    return jsonschema.Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": SCHEMA["$defs"]})


def no_constant(name):
    raise ValueError(f"{name} is not JSON")


def no_repetition(pairs):
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise ValueError(f"a name comes twice in {names}")
    return dict(pairs)


def parse(line):
    if line.get("utf8") is False:
        raise ValueError("it is not UTF-8")
    try:
        return json.loads(line["payload"], parse_constant=no_constant, object_pairs_hook=no_repetition)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def is_numeric(value):
    try:
        return is_number(value) or (isinstance(value, str) and math.isfinite(float(value)))
    except ValueError:
        return False


def is_base64(value):
    try:
        return isinstance(value, str) and base64.b64decode(value, validate=True) is not None
    except binascii.Error:
        return False


# Whether a value becomes one of the attribute's type; if not, it is dropped.
CONVERTS = {
    "number": is_numeric,
    "boolean": lambda v: isinstance(v, bool),
    "string": lambda v: len(str(v).encode()) <= LONGEST_STRING,
    "gps": lambda v: isinstance(v, str) and GPS.fullmatch(v) is not None,
    "blob": is_base64,
}


def in_ms(time):
    """The time of a state in ms since 1970; None when it is none, and then it becomes `now`."""
    if isinstance(time, dict):
        time = time["$date"]
    if isinstance(time, int):
        return time
    try:
        moment = datetime.datetime.fromisoformat(time.replace("Z", "+00:00"))
    except ValueError:
        return None
    return round(moment.replace(tzinfo=moment.tzinfo or datetime.timezone.utc).timestamp() * 1000)


class Checker:
    """Takes the record line by line; `judge` gives the findings of one."""

    def __init__(self, settings):
        # A device without "attributes" may have any.
        self.devices = {d["deviceId"]: {a["name"]: a["dataType"] for a in d["attributes"]}
                        if "attributes" in d else None for d in settings["devices"]}
        self.valid = {name: validator(name) for name in ("state", "command")}
        self.values = {}  # (device, ms, attribute) -> value

    def judge(self, line):
        client = line["client"]
        if line["event"] in ("breach", "refuse"):
            return [Finding(line["kind"], client, line["words"])]
        if line["event"] != "publish" or not line["topic"].startswith("losant/"):
            return []
        _, device, what = line["topic"].split("/", 2)
        judged = {"state": self.state, "command": self.command}.get(what)
        return [Finding(kind, client, f"{device}: {words}")
                for kind, words in (judged(device, line) if judged else ())]

    def command(self, _, line):
        try:
            yield from self.schema("command", parse(line))
        except ValueError as error:
            yield "command", f"{error}: {line['payload'][:80]}"

    def schema(self, name, body):
        for error in self.valid[name].iter_errors(body):
            where = "/".join(str(p) for p in error.absolute_path)
            yield (name, f"{where + ': ' if where else ''}{error.message}"[:300])

    def state(self, device, line):
        try:
            body = parse(line)
        except ValueError as error:
            yield "state", f"{error}: {line['payload'][:80]}"
            return
        states = body if isinstance(body, list) else [body]
        if not states:
            yield "state", "an empty array"
        before = None
        for state in states:
            broken = list(self.schema("state", state))
            yield from broken
            if broken:
                continue
            time = in_ms(state.get("time", line["at"]))
            yield from self.time(state.get("time"), time, before, line["at"])
            before = time
            for name, value in state["data"].items():
                yield from self.attribute(device, name, value)
                yield from self.overwrite(device, time, name, value)

    @staticmethod
    def time(written, time, before, now):
        if time is None:
            yield "time", f"{written!r} is no time: it would become the time of arrival"
        elif time < now - OLDEST_MS:
            yield "too-old", f"{time} is {(now - time) / DAY_MS:.1f} days old: dropped"
        elif time > now + NEWEST_MS:
            yield "too-new", f"{time} is {(time - now) / DAY_MS:.1f} days ahead: dropped"
        if time is not None and before is not None and time < before:
            yield "order", f"{time} after {before} in one array"

    def attribute(self, device, name, value):
        if device not in self.devices:
            yield "attribute", "no such device"
            return
        known = self.devices[device]
        if known is None:
            return
        if name not in known:
            yield "attribute", f"it has no attribute '{name}': dropped"
        elif not CONVERTS[known[name]](value):
            yield "type", f"{str(value)[:80]!r} is no {known[name]} for '{name}': dropped"

    def overwrite(self, device, time, name, value):
        if time is None:
            return
        before = self.values.setdefault((device, time, name), value)
        if before != value or isinstance(before, bool) != isinstance(value, bool):
            self.values[device, time, name] = value
            yield "overwrite", f"'{name}' at {time} was {before!r}, then {value!r}"


def read_record(settings):
    """The lines so far; one that is being written is left out."""
    try:
        text = pathlib.Path(settings["record"]).read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def judge_record(settings):
    checker = Checker(settings)
    return [finding for line in read_record(settings) for finding in checker.judge(line)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("settings")
    parser.add_argument("--allow", action="append", default=[], metavar="KIND")
    arguments = parser.parse_args()
    with open(arguments.settings, encoding="utf-8") as file:
        settings = json.load(file)
    if not read_record(settings):
        sys.exit(f"nothing is recorded in {settings['record']}: was the broker used?")
    findings = [f for f in judge_record(settings) if f.kind not in arguments.allow]
    for finding in findings[:50]:
        print(f"{finding.kind}: {finding.client}: {finding.words}")
    if len(findings) > 50:
        print(f"… and {len(findings) - 50} more")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
