"""Files stay under 600 lines, functions outside tests/ under 60, every header
has a guard named after it, and what is banned does not come in."""

import re

import common

FILE_MAX = 600
FUNCTION_MAX = 60
BANNED = re.compile(
    r"\b(iniparser_get(int|boolean|double|longint)|iniparser_dump\w*"
    r"|arc4random\w*|strcpy|strcat|sprintf|vsprintf|gets|alloca)\s*\("
)


def check_guard(path, text):
    name = re.sub(r"\W", "_", path.rsplit("/", 1)[1]).upper()
    body = re.sub(r"/\*.*?\*/", "", "\n".join(text), flags=re.S).strip()
    match = re.match(r"#ifndef (\w+)\n#define (\w+)\n", body)
    if not match or match[1] != match[2] or not body.endswith("#endif"):
        return [f"{path}: no include guard"]
    if not match[1].endswith(name):
        return [f"{path}: the guard {match[1]} does not end in {name}"]
    return []


def check_functions(path, text):
    """A function is what stands between a "{" and a "}" in column one."""
    findings = []
    start = None
    for number, line in enumerate(text, 1):
        if line == "{":
            start = number
        elif line == "}" and start is not None:
            if number - start > FUNCTION_MAX:
                findings.append(
                    f"{path}:{start}: function of {number - start} lines"
                )
            start = None
    return findings


def check_banned(path, text):
    return [
        f"{path}:{number}: banned: {match[1]}"
        for number, line in enumerate(text, 1)
        if (match := BANNED.search(line))
    ]


def main():
    top = common.root()
    findings = []
    paths = common.files(top, ".c", ".h", ".py")
    for path in paths:
        text = common.lines(top, path)
        if len(text) > FILE_MAX:
            findings.append(f"{path}: {len(text)} lines, at most {FILE_MAX}")
        if path.endswith(".h"):
            findings += check_guard(path, text)
        if path.endswith(".c") and not path.startswith("tests/"):
            findings += check_functions(path, text)
        if not path.endswith(".py"):
            findings += check_banned(path, text)
    common.finish("sizes, guards, banned calls", len(paths), findings)


main()
