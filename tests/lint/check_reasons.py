"""Every end reason of a flow and every event stands in nlbd.8; every state and reason of a
target, every metric, and every verb of nlbctl with its options, in nlbctl.8."""

import re

import common


def table(text, name):
    """The X() rows of a table macro: the strings of each row."""
    body = re.search(
        rf"#define {name}\(X\)(.*?)\n\n", text.replace("\\\n", " \n"), re.S
    )
    if not body:
        return []
    rows = re.split(r"\bX\(", body[1])[1:]
    return [re.findall(r'"([^"]*)"', row) for row in rows]


def explained(page):
    """What a manual has an item of its own for: a literal, a verb, or an
    option of one."""
    items = re.findall(r"^\.It Li (.+)$", page, re.M)
    literals = {part.split()[0] for item in items for part in item.split(" , ")}
    verbs = re.findall(r"^(?:\.It |\.It Xo\n\.)Cm (\S+)", page, re.M)
    options = re.findall(r"\bFl -([a-z-]+)", page)
    return {*literals, *verbs, *(f"--{name}" for name in options)}


def first_strings(rows):
    return {row[0] for row in rows if row and row[0]}


def metric_names(text):
    """CloudWatch's names; nlbd's own where it has none."""
    return {row[1] or row[0] for row in table(text, "METRICS")}


def log_calls(top):
    """Calls that log an event of no kind."""
    call = re.compile(r"\blog_(error|warning|notice|info|debug)\(")
    return [
        f"{path}:{number}: an event without a code: use event_log"
        for path in common.files(top, ".c")
        if path.startswith("src/") and not path.startswith("src/base/")
        for number, line in enumerate(common.lines(top, path), 1)
        if call.search(line)
    ]


def commands(text):
    """Verbs and options in nlbctl's command table."""
    body = text[: text.index("n_commands =")].replace("\\\n", " ")
    verbs = re.findall(r'\.verb = "([a-z-]+)"', body)
    params = re.findall(
        r'\{"([a-z-]+)",\s*(?:"[^"]+"|NULL),\s*"[A-Za-z-]+",\s*[A-Z0]', body
    )
    return {*verbs}, {*params}


def main():
    top = common.root()

    def read(path):
        return "\n".join(common.lines(top, path))

    reasons = read("src/nlb/reason.h")
    events = [row[:1] for row in table(read("src/nlb/event.h"), "EVENTS")]
    verbs, params = commands(read("src/nlbctl/commands.c"))
    groups = [
        ("nlbd.8", "end reason", table(reasons, "FLOW_END_REASONS")),
        ("nlbd.8", "event", events),
        ("nlbctl.8", "target state", table(reasons, "TARGET_STATES")),
        ("nlbctl.8", "target reason", table(reasons, "TARGET_REASONS")),
    ]
    wanted = [(page, what, first_strings(rows)) for page, what, rows in groups]
    wanted.append(
        ("nlbctl.8", "metric", metric_names(read("src/nlb/metric.h")))
    )
    wanted.append(("nlbctl.8", "verb", verbs))
    wanted.append(("nlbctl.8", "option", {f"--{name}" for name in params}))
    pages = {
        "nlbd.8": explained(read("src/supervisor/nlbd.8")),
        "nlbctl.8": explained(read("src/nlbctl/nlbctl.8")),
    }
    findings = log_calls(top)
    for page, what, names in wanted:
        if not names:
            findings.append(f"{what}: the table was not understood")
        findings += [
            f"{page}: {what} {name} is not explained"
            for name in sorted(names - pages[page])
        ]
    common.finish("reasons", sum(len(w[2]) for w in wanted), findings)


main()
