"""A run's table, verdict, plots and sizing for README.md, between two markers
there. The plots go to bench/plots."""

import shutil
from statistics import median

from . import plots, sizing
from .report import number
from .stats import paired_ratios

BEGIN = "<!-- scripts/bench publish: begin -->\n"
END = "<!-- scripts/bench publish: end -->\n"
COLUMNS = [("nlbd", "nlbd"), ("haproxy", "HAProxy"), ("nginx", "nginx stream"),
           ("bare", "bare loop"), ("direct", "no forwarder"),
           ("nft-dnat", "nft DNAT"), ("socat", "socat")]
ROWS = [  # part, figure, what it is
    ("smtp", "cpu_us_per_session", "CPU of the forwarder per SMTP session "
     "(`smtp-source`, 50 at a time, 2 KiB), µs"),
    ("smtp", "sessions_per_s", "SMTP sessions per second, all on this machine"),
    ("session", "cpu_us_per_session", "CPU per session by `nlbbench`, µs"),
    ("syscalls", "all", "system calls per session"),
    ("bulk", "gbit_per_s", "one bulk stream (`iperf3`), Gbit/s"),
    ("bulk", "cpu_ms_per_gb", "CPU per GB of the bulk stream, ms"),
    ("pingpong", "p50_us", "64 bytes there and back at a fixed rate, p50, µs"),
    ("pingpong", "p99_us", "the same, p99, µs"),
    ("core", "cpu_us_per_session", "all on one core: CPU per SMTP session, "
     "µs"),
    ("core", "sessions_per_s", "all on one core: SMTP sessions per second"),
    ("core", "exchange_us", "all on one core: 64 bytes there and back, one "
     "after the other, mean, µs"),
    ("core", "gbit_per_s", "all on one core: one bulk stream, Gbit/s"),
    ("core", "cpu_ms_per_gb", "all on one core: CPU per GB, ms"),
    ("memory", "bytes_per_flow", "user memory per idle flow, B"),
]
PLOTS = [("sessions", "SMTP sessions per second"),
         ("cpu_per_session", "CPU per SMTP session"),
         ("bulk", "bulk throughput"), ("latency", "distribution of latency"),
         ("memory", "memory against idle flows"),
         ("flows", "cost against concurrent flows"),
         ("rules", "cost against rules")]


def cell(results, part, key, name, at):
    values = results.values(part, key, name, at)
    if not values:
        return "–"
    ratios = paired_ratios(results.values(part, key, "nlbd", at), values)
    text = number(median(values))
    if name != "nlbd" and ratios:
        text += f" ({median(ratios):.2f} ×)"
    return text


def table(results):
    lines = ["| | " + " | ".join(title for _, title in COLUMNS) + " |",
             "|---" * (1 + len(COLUMNS)) + "|"]
    for part, key, title in ROWS:
        places = results.places(part)
        if not places:
            continue
        at = None if None in places else max(places)
        if at is not None:
            title += f", {at:,} held"
        cells = [cell(results, part, key, name, at) for name, _ in COLUMNS]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return lines


def verdicts(results):
    lines = ["| goal | measured | |", "|---|---|---|"]
    for goal in results.goals:
        figure, verdict = "–", "not measured"
        if goal["figure"] is not None:
            figure = f"{goal['figure']:.2f}"
            verdict = "reached" if goal["reached"] else "**missed**"
        if goal["interval"]:
            figure += " ({:.2f} … {:.2f})".format(*goal["interval"])
        text = goal["text"].replace(" x ", " × ")
        lines.append(f"| {text} | {figure} | {verdict} |")
    return lines


def text(results, pictures):
    meta = results.meta
    lines = [
        f"`scripts/bench`, {meta['date']}: {meta['machine']}, {meta['cores']} "
        "cores shared by client, forwarder and server, Linux "
        f"{meta['kernel']}; {', '.join(meta['versions'].values())};",
        f"{meta['workers']} worker or thread each, {meta['rounds']} "
        "interleaved rounds. Medians; in parentheses nlbd's figure beside it, "
        "the median of the rounds' ratios.", "",
        *table(results), "", *verdicts(results), "",
        *[f"![{title}](bench/plots/{name}.svg)" for name, title in pictures],
    ]
    sizes = []
    if sizing.sizing(results, sizes.append):
        lines += ["", "```", *"\n".join(sizes).strip("\n").splitlines(), "```"]
    return "\n".join(lines) + "\n"


def publish(results, repository, show=print):
    """Returns whether README.md has the markers, and the section is new."""
    readme = repository / "README.md"
    before, begin, rest = readme.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        show(f"bench: {readme}: no markers {BEGIN.strip()} and {END.strip()}")
        return False
    directory = repository / "bench/plots"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    plots.draw_all(results, directory, lambda _: None)
    for picture in directory.glob("*.png"):
        picture.unlink()
    pictures = [(name, title) for name, title in PLOTS
                if (directory / f"{name}.svg").exists()]
    kept = {name for name, _ in pictures}
    for picture in directory.glob("*.svg"):
        if picture.stem not in kept:
            picture.unlink()
    readme.write_text(before + BEGIN + text(results, pictures) + END + after)
    show(f"{readme}: the section between the markers, and {directory}")
    return True
