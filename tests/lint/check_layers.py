"""Includes go one way: a folder of src/ may include itself and what it may
know, and names the folder in the include."""

import re

import common

MAY_INCLUDE = {
    "base": set(),
    "nlb": {"base"},
    "ipc": {"nlb", "base"},
    "worker": {"ipc", "nlb", "base"},
    "health": {"ipc", "nlb", "base"},
    "admin": {"ipc", "nlb", "base"},
    "supervisor": {"admin", "health", "ipc", "nlb", "base"},
    "nlbctl": {"nlb", "base"},
}
# base knows no event loop; nlb, moreover, neither sockets nor clocks.
LOOP = r"#include <(uv\.h|poll\.h|sys/epoll\.h|microhttpd\.h|curl/.*)>"
CALLS = (
    r"\b(clock_gettime|gettimeofday|time|socket|accept4?|connect|bind|listen"
    r"|recv|send|getsockopt|setsockopt)\("
)
MUST_NOT = {
    "base": re.compile(r"#include <uv\.h>"),
    "nlb": re.compile(f"{LOOP}|^\\s(?:.*[^\\w.>])?{CALLS}"),
}
INCLUDE = {
    "base": set(),
    "nlb": {"base"},
    "ipc": {"nlb", "base"},
    "worker": {"ipc", "nlb", "base"},
    "health": {"ipc", "nlb", "base"},
    "admin": {"ipc", "nlb", "base"},
    "supervisor": {"admin", "health", "ipc", "nlb", "base"},
    "nlbctl": {"base"},
}
# What the pure layers must not know: the loop, sockets, clocks, descriptors.
PURE_MUST_NOT = re.compile(
    r"#include <(uv\.h|poll\.h|sys/epoll\.h|time\.h|sys/time\.h|jansson\.h"
    r"|microhttpd\.h|curl/.*)>"
)
INCLUDE = re.compile(r'\s*#\s*include\s+"([^"]+)"')


def check_file(top, path):
    folder = path.split("/")[1]
    findings = []
    for number, line in enumerate(common.lines(top, path), 1):
        match = INCLUDE.match(line)
        where = f"{path}:{number}"
        if match and "/" not in match[1]:
            findings.append(f'{where}: write the folder: "{folder}/{match[1]}"')
        elif match:
            target = match[1].split("/")[0]
            if target != folder and target not in MAY_INCLUDE[folder]:
                findings.append(f"{where}: {folder} must not include {target}")
        elif folder in MUST_NOT and MUST_NOT[folder].search(line):
            findings.append(f"{where}: not for {folder}: {line.strip()}")
    return findings


def main():
    top = common.root()
    findings = []
    count = 0
    for path in common.files(top, ".c", ".h"):
        parts = path.split("/")
        if parts[0] != "src":
            continue
        count += 1
        if len(parts) == 2:
            continue  # src/nlbd.c ties the folders together
        if parts[1] not in MAY_INCLUDE:
            findings.append(f"{path}: no such layer: {parts[1]}")
        else:
            findings += check_file(top, path)
    common.finish("layers", count, findings)


main()
