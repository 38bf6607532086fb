"""The manual pages are clean under mandoc, and name every key and reason."""

import re

import common

ATTRIBUTES = "src/nlb/attributes.c"
REASONS = "src/nlb/reason.h"
STRING = r'"((?:[^"\\]|\\.)*)"'


def keys(top):
    """The keys of the attribute table; a long one is two strings."""
    text = "\n".join(common.lines(top, ATTRIBUTES))
    found = re.findall(rf"\.key\s*=\s*((?:{STRING}\s*)+)", text)
    return ["".join(re.findall(STRING, match[0])) for match in found]


def reasons(top):
    """End reasons, target states and the reasons of targets."""
    text = "\n".join(common.lines(top, REASONS))
    found = re.findall(rf"\bX\(\w+,\s*{STRING}", text)
    return [code for code in found if code]


def rendered(top, paths):
    text = common.output(["mandoc", "-Tascii", "-O", "width=1000", *paths], top)
    return re.sub(r".\x08", "", text)


def is_named(name, text):
    """As a word of its own; "Target." stands before a label."""
    end = "" if name.endswith(".") else r"(?![\w-])"
    return re.search(rf"(?<![\w.-]){re.escape(name)}{end}", text)


def check_names(top, paths):
    text = rendered(top, paths)
    names = sorted(set(keys(top) + reasons(top)))
    missing = [name for name in names if not is_named(name, text)]
    findings = [f"no manual page names {name}" for name in missing]
    if len(names) < 50:
        findings.append(f"only {len(names)} names in {ATTRIBUTES}, {REASONS}")
    return findings


def main():
    top = common.root()
    paths = common.files(top, ".1", ".5", ".8")
    findings = []
    if paths:
        findings = common.run(["mandoc", "-Tlint", "-W", "style", *paths], top)
        # Whether a page it refers to is installed is not its own fault, nor
        # is the age of the machine's index of pages.
        findings = [line for line in findings
                    if "referenced manual" not in line
                    and "mandoc.db" not in line]
        findings += check_names(top, paths)
    common.finish("manuals", len(paths), findings)


main()
