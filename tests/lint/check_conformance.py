"""The conformance table: every row names tests that exist and has a verdict,
no behaviour stands twice, and README.md lists what differs, exactly that."""

import os
import re

import common

TABLE = "tests/conformance/nlb.tsv"
HEADER = ["kind", "behaviour", "guide", "NLB", "nlbd", "test", "verdict"]
KINDS = "default range limit state reason metric api filter data-path".split()
VERDICT = re.compile(r"same|better|different, because \S.*")
ROWS_MIN = 120
README_SECTION = "## Where it differs from an NLB"
TEST = re.compile(
    r"((?:unit|component|system)/test_\w+\.(c|py))::(\w+)(?:\[([\w-]+)\])?"
)


def table(top):
    """(line number, cells) of each row; the header is the first of them."""
    return [
        (number, line.split("\t"))
        for number, line in enumerate(common.lines(top, TABLE), 1)
        if line and not line.startswith("#")
    ]


def is_defined(top, path, language, name):
    text = "\n".join(common.lines(top, path))
    if language == "py":
        return re.search(rf"^ *def {name}\(", text, re.M) is not None
    return re.search(rf"^{name}\(void \*\*\w+\)\n\{{", text, re.M) is not None


def check_test(top, test):
    match = TEST.fullmatch(test)
    if not match:
        return f"not a test: {test!r}"
    path, language, name, case = match.groups()
    if not name.startswith("test_") and language == "py":
        return f"pytest does not run {name}"
    if not os.path.exists(os.path.join(top, "tests", path)):
        return f"no file tests/{path}"
    if not is_defined(top, f"tests/{path}", language, name):
        return f"no test {name} in tests/{path}"
    cases = [f"tests/data/{kind}/{case}.ini" for kind in ("bad", "good")]
    if case and not any(os.path.exists(os.path.join(top, c)) for c in cases):
        return f"no case {case} in tests/data"
    return None


def check_row(top, cells):
    if len(cells) != len(HEADER):
        return [f"{len(cells)} cells, not {len(HEADER)}"]
    findings = [
        f"no {name}"
        for name, cell in zip(HEADER, cells)
        if not cell or cell != cell.strip()
    ]
    row = dict(zip(HEADER, cells))
    if row["kind"] not in KINDS:
        findings.append(f"no kind: {row['kind']}")
    if not VERDICT.fullmatch(row["verdict"]):
        findings.append(f"no verdict: {row['verdict']}")
    found = (check_test(top, test) for test in row["test"].split(", "))
    return findings + [finding for finding in found if finding]


def in_readme(top):
    """The bold names of the list in README.md's section."""
    text = "\n".join(common.lines(top, "README.md"))
    if f"{README_SECTION}\n" not in text:
        return []
    section = text.split(f"{README_SECTION}\n", 1)[1].split("\n## ")[0]
    return re.findall(r"^- \*\*([^*]+)\*\*", section, re.M)


def check_readme(top, rows):
    """A key that differs in default and range is one line there."""
    listed = in_readme(top)
    differ = {cells[1] for _, cells in rows if cells[-1].startswith("different")}
    found = {
        "differs and is not listed": differ - set(listed),
        "is listed and does not differ": set(listed) - differ,
        "is listed twice": {n for n in listed if listed.count(n) > 1},
    }
    return [
        f"README.md: {name} {what}"
        for what, names in found.items()
        for name in sorted(names)
    ]


def main():
    top = common.root()
    header, *rows = table(top)
    findings = []
    if header[1] != HEADER:
        findings.append(f"{TABLE}:{header[0]}: the columns are {HEADER}")
    if len(rows) < ROWS_MIN:
        findings.append(f"{TABLE}: {len(rows)} rows, at least {ROWS_MIN}")
    seen = set()
    for number, cells in rows:
        found = check_row(top, cells)
        if tuple(cells[:2]) in seen:
            found.append("the second row of this behaviour")
        seen.add(tuple(cells[:2]))
        findings += [f"{TABLE}:{number}: {finding}" for finding in found]
    if not findings:
        findings = check_readme(top, rows)
    common.finish("conformance", len(rows), findings)


main()
