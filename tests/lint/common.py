"""What the checks share: the files of the tree, and how a check ends."""

import os
import subprocess
import sys

SKIP = 77


def root():
    return os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else ".")


def files(top, *suffixes):
    """Paths below top/src, tests, bench, relative to top, sorted."""
    found = []
    for folder in ("src", "tests", "bench"):
        for path, _, names in os.walk(os.path.join(top, folder)):
            found += [
                os.path.relpath(os.path.join(path, name), top)
                for name in names
                if name.endswith(suffixes)
            ]
    return sorted(found)


def lines(top, path):
    with open(os.path.join(top, path), encoding="utf-8") as file:
        return file.read().splitlines()


def call(command, top):
    """Runs a tool, or ends as skipped without it."""
    try:
        return subprocess.run(
            command, cwd=top, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        print(f"{command[0]} is not installed")
        sys.exit(SKIP)


def output(command, top):
    return call(command, top).stdout


def run(command, top):
    """The findings of a tool that is silent and exits 0 without any."""
    done = call(command, top)
    if done.returncode == 0:
        return []
    text = (done.stdout + done.stderr).strip()
    return text.splitlines() or [f"{command[0]} exited {done.returncode}"]


def finish(what, count, findings):
    """A check that looked at nothing has not passed."""
    if count == 0:
        findings = [f"{what}: found nothing to check"]
    for finding in findings:
        print(finding)
    print(f"{what}: {count} checked, {len(findings)} findings")
    sys.exit(1 if findings else 0)
