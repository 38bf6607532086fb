"""Counts what a test run did, and prints the output of what failed.

usage: tally.py meson TESTLOG.json | tally.py pytest JUNIT.xml

The last line of the output is "PASSED FAILED SKIPPED". A run without results
counts as one failure.
"""

import json
import re
import sys
import xml.etree.ElementTree as ET

SHOWN_LINES = 150
TAP_LINE = re.compile(r"(ok|not ok) \d+(.*)")


def show(name, text):
    print(f"--- failed: {name}")
    for line in text.splitlines()[-SHOWN_LINES:]:
        print(f"  | {line}")


def count_tap(text):
    counts = [0, 0, 0]
    for line in text.splitlines():
        match = TAP_LINE.match(line)
        if not match:
            continue
        if re.search(r"#\s*skip", match[2], re.I):
            counts[2] += 1
        else:
            counts[0 if match[1] == "ok" else 1] += 1
    return counts


def count_meson_test(test):
    """A program speaking TAP counts its cases, any other counts as one."""
    result = test["result"]
    counts = count_tap(test.get("stdout", ""))
    if sum(counts) == 0:
        if result == "SKIP":
            return [0, 0, 1]
        counts = [1, 0, 0] if result == "OK" else [0, 1, 0]
    elif result not in ("OK", "SKIP") and counts[1] == 0:
        # cmocka reports a skipped case as "not ok # SKIP", a failure to meson.
        if not (counts[2] and test.get("returncode") == 0):
            counts[1] = 1  # a crash, a leak or a timeout after good cases
    return counts


def meson(path):
    total = [0, 0, 0]
    with open(path, encoding="utf-8") as file:
        for line in file:
            test = json.loads(line)
            counts = count_meson_test(test)
            total = [a + b for a, b in zip(total, counts)]
            if counts[1]:
                show(
                    f'{test["name"]} ({test["result"]}, '
                    f'exit {test.get("returncode")})',
                    test.get("stdout", "") + test.get("stderr", ""),
                )
    return total


def pytest(path):
    total = [0, 0, 0]
    for case in ET.parse(path).iter("testcase"):
        bad = case.find("failure")
        if bad is None:
            bad = case.find("error")
        if bad is not None:
            total[1] += 1
            show(f'{case.get("classname")}.{case.get("name")}', bad.text or "")
        elif case.find("skipped") is not None:
            total[2] += 1
        else:
            total[0] += 1
    return total


def main():
    try:
        total = {"meson": meson, "pytest": pytest}[sys.argv[1]](sys.argv[2])
    except (OSError, ValueError, ET.ParseError) as error:
        print(f"no results: {error}")
        total = [0, 0, 0]
    if sum(total) == 0:
        total = [0, 1, 0]
    print(*total)


main()
