"""Prints line coverage from gcovr's JSON summary and holds it to its goals.

usage: coverage.py SUMMARY.json; the last line is "PASSED FAILED SKIPPED".
"""

import json
import sys

GOALS = [
    ("src/", ("src/",), 85),
    ("src/nlb/ and src/base/", ("src/nlb/", "src/base/"), 95),
]


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        files = json.load(file)["files"]
    passed = failed = 0
    for name, prefixes, goal in GOALS:
        chosen = [f for f in files if f["filename"].startswith(prefixes)]
        lines = sum(f["line_total"] for f in chosen)
        covered = sum(f["line_covered"] for f in chosen)
        percent = 100 * covered / lines if lines else 0
        verdict = "ok" if percent >= goal else "too little"
        print(f"  {name:24} {percent:5.1f} % of {lines} lines, goal {goal} %: {verdict}")
        if percent >= goal:
            passed += 1
            continue
        failed += 1
        worst = sorted(chosen, key=lambda f: f["line_covered"] - f["line_total"])
        for f in worst[:12]:
            print(f'    {f["filename"]:40} {f["line_covered"]}/{f["line_total"]}')
    print(passed, failed, 0)


main()
