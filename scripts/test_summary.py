#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints what ctest found: failed tests with what they printed, skipped ones with the reason, the
slowest; last `N passed, N failed`. Exit status 0 only when tests passed and none failed.

    test_summary.py RESULTS.xml     (of ctest --output-junit)
"""
import sys
import xml.etree.ElementTree as ElementTree

LINES_OF_A_FAILURE = 60


def output_of(case):
    return [line for line in (case.findtext("system-out") or "").splitlines() if line.strip()]


def is_skipped(case):
    """Skipped on purpose (GTEST_SKIP, exit 77, disabled), not merely unable to run."""
    note = case.find("skipped")
    return case.get("status") == "disabled" or note is not None and "SKIP" in note.get("message")


def skip_reason(case):
    lines = output_of(case)
    after = [n for n, line in enumerate(lines) if line.endswith(": Skipped")]
    return (lines[after[0] + 1] if after else lines[-1] if lines else "").strip()


def main(path):
    cases = ElementTree.parse(path).getroot().findall("testcase")
    passed = [c for c in cases if c.get("status") == "run"]
    skipped = [c for c in cases if c not in passed and is_skipped(c)]
    failed = [c for c in cases if c not in passed and c not in skipped]

    for case in sorted(cases, key=lambda c: -float(c.get("time")))[:5]:
        print(f"  {float(case.get('time')):6.1f} s  {case.get('name')}")
    for case in skipped:
        print(f"skipped: {case.get('name')}: {skip_reason(case)}")
    for case in failed:
        print(f"\nFAILED: {case.get('name')}")
        print("\n".join("  " + line for line in output_of(case)[-LINES_OF_A_FAILURE:]))
    if failed:
        print("\nfailed: " + " ".join(c.get("name") for c in failed))
    if not passed and not failed:
        print("no test ran\n0 passed, 1 failed")
        return 1
    print(f"{len(passed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
