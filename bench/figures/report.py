"""Tables and the verdict against the goals."""

from statistics import median

from .stats import added_ratio, interval, paired_ratios

# part, figure, what it is, unit
FIGURES = [
    ("smtp", "sessions_per_s", "SMTP sessions (smtp-source), all on this "
     "machine", "/s"),
    ("smtp", "cpu_us_per_session", "forwarder CPU per SMTP session "
     "(smtp-source)", "us"),
    ("smtp", "machine_us_per_session", "CPU of the whole machine per SMTP "
     "session (smtp-source)", "us"),
    ("session", "sessions_per_s", "SMTP sessions (nlbbench), all on this "
     "machine", "/s"),
    ("session", "cpu_us_per_session", "forwarder CPU per SMTP session "
     "(nlbbench)", "us"),
    ("session", "p99_us", "p99 of an SMTP session, 50 at a time (nlbbench)",
     "us"),
    ("pingpong", "p50_us", "64-byte exchange at a fixed rate, p50", "us"),
    ("pingpong", "p99_us", "64-byte exchange at a fixed rate, p99", "us"),
    ("pingpong", "cpu_us_per_exchange", "forwarder CPU per exchange", "us"),
    ("bulk", "gbit_per_s", "bulk, one stream (iperf3)", "Gbit/s"),
    ("bulk", "cpu_ms_per_gb", "bulk, forwarder CPU per GB", "ms"),
    ("core", "sessions_per_s", "all on one core: SMTP sessions (smtp-source)",
     "/s"),
    ("core", "cpu_us_per_session", "all on one core: forwarder CPU per SMTP "
     "session (smtp-source)", "us"),
    ("core", "exchange_us", "all on one core: 64-byte exchange, one flow, one "
     "after the other, mean", "us"),
    ("core", "cpu_us_per_exchange", "all on one core: forwarder CPU per "
     "exchange", "us"),
    ("core", "gbit_per_s", "all on one core: bulk, one stream (iperf3)",
     "Gbit/s"),
    ("core", "cpu_ms_per_gb", "all on one core: bulk, forwarder CPU per GB",
     "ms"),
    ("memory", "bytes_per_flow", "user memory per idle flow", "B"),
    ("flows", "cpu_us_per_exchange", "forwarder CPU per exchange, so many "
     "flows taking turns", "us"),
    ("sizes", "gbit_per_s", "echo of so many bytes, one flow", "Gbit/s"),
    ("sizes", "cpu_us_per_message", "forwarder CPU per echo of so many bytes",
     "us"),
    ("workers", "sessions_per_s", "SMTP sessions by workers (nlbbench)", "/s"),
    ("workers", "cpu_us_per_session", "forwarder CPU per session by workers",
     "us"),
    ("flood", "syn_per_s", "SYNs from denied sources, at the least priority",
     "/s"),
    ("flood", "dropped_by_kernel", "of these, dropped by the kernel at the "
     "listening socket", "share"),
    ("flood", "idle_cpu_ms_per_s", "nlbd's CPU with nothing to do", "ms/s"),
    ("flood", "flood_cpu_ms_per_s", "nlbd's CPU with nothing but the SYNs",
     "ms/s"),
    ("flood", "quiet_p99_us", "64-byte exchange at 500 /s, p99, no flood",
     "us"),
    ("flood", "flood_p99_us", "64-byte exchange at 500 /s, p99, during the "
     "flood", "us"),
    ("flood", "vain_syn_per_s", "SYNs of the same sender while they are "
     "dropped on arrival", "/s"),
    ("flood", "vain_p99_us", "64-byte exchange at 500 /s, p99, during the "
     "same flood dropped on arrival", "us"),
    ("flood", "own_p99_ratio", "during the flood, beside SYNs dropped on "
     "arrival", "ratio"),
    ("flood", "beside_quiet_p99_us", "64-byte exchange at 500 /s, on one core, "
     "p99, no flood", "us"),
    ("flood", "beside_flood_p99_us", "64-byte exchange at 500 /s, on one core, "
     "p99, during the flood from the other", "us"),
    ("flood", "beside_vain_p99_us", "64-byte exchange at 500 /s, on one core, "
     "p99, during the same flood dropped on arrival", "us"),
    ("admin", "tries_per_s", "abuse of the admin interface: tries", "/s"),
    ("admin", "refused", "of those that ended, refused as they should be",
     "share"),
    ("admin", "supervisor_cpu_ms_per_s", "supervisor's CPU under this abuse",
     "ms/s"),
    ("admin", "grown_kib", "supervisor's memory, grown by this abuse", "KiB"),
    ("admin", "quiet_p99_us", "64-byte exchange at a fixed rate, on one core "
     "with the supervisor, p99, no abuse", "us"),
    ("admin", "abused_p99_us", "64-byte exchange at a fixed rate, on one core "
     "with the supervisor, p99, during the abuse", "us"),
    ("admin", "unheard_p99_us", "64-byte exchange at a fixed rate, on one core "
     "with the supervisor, p99, during the same tries at a closed port", "us"),
    ("admin", "shared_quiet_p99_us", "64-byte exchange at a fixed rate, cores "
     "shared with all, p99, no abuse", "us"),
    ("admin", "shared_abused_p99_us", "64-byte exchange at a fixed rate, cores "
     "shared with all, p99, during the abuse", "us"),
    ("admin", "shared_unheard_p99_us", "64-byte exchange at a fixed rate, cores "
     "shared with all, p99, during the same tries at a closed port", "us"),
    ("admin", "shared_own_p99_ratio", "during the abuse, beside these tries at "
     "a closed port", "ratio"),
    ("harness", "sessions_per_s", "nlbbench and its target alone, a pair on "
     "each core", "/s"),
    ("rules", "cpu_us_per_flow", "worker's CPU per new flow, by "
     "security-group rules", "us"),
    ("targets", "cpu_us_per_flow", "worker's CPU per new flow, by targets",
     "us"),
    ("reload", "reload_ms", "nlbctl reload, by targets", "ms"),
    ("reload", "reload_alone_ms", "nlbctl reload, by targets, less what it "
     "waited for a CPU", "ms"),
]


class Goal:
    """A bound for nlbd's figure: a ratio to a peer's, or absolute."""

    def __init__(self, part, key, kind, bound, peer=None, title=None):
        self.part, self.key, self.kind = part, key, kind
        self.bound, self.peer = bound, peer
        self.title = title or next(
            figure[2] for figure in FIGURES if figure[:2] == (part, key))

    def values(self, results):
        """What is held against the bound, one per round; empty when that was
        not measured."""
        if not results.places(self.part):
            return []
        ours = self.figures(results, "nlbd")
        if self.peer is None:
            return ours
        return paired_ratios(ours, self.figures(results, self.peer))

    def figures(self, results, forwarder):
        """Those at the far end of an axis."""
        places = results.places(self.part)
        return results.values(self.part, self.key, forwarder,
                              None if None in places else max(places))

    def text(self):
        return (f"{self.title}: at {self.kind} {self.bound:g}"
                + (f" x {self.peer}" if self.peer else ""))

    def measured(self, results):
        """(figure, interval), or None when it was not."""
        values = self.values(results)
        return (median(values), interval(values)) if values else None

    def check(self, results):
        figure, where = self.measured(results) or (None, None)
        reached = None if figure is None else (
            figure <= self.bound if self.kind == "most"
            else figure >= self.bound)
        return {"text": self.text(), "figure": figure, "reached": reached,
                "interval": where}


class AddedGoal(Goal):
    """The same for what the forwarder adds to the direct way; not measured
    where the peer adds nothing that stands out of the noise."""

    def measured(self, results):
        return added_ratio(*(self.figures(results, name)
                             for name in ("nlbd", self.peer, "direct")))


class FlatGoal(Goal):
    """The cost at the far end of the axis beside that at its beginning."""

    def figures(self, results, forwarder):
        places = results.places(self.part)
        if len(places) < 2:
            return []
        return paired_ratios(
            results.values(self.part, self.key, forwarder, max(places)),
            results.values(self.part, self.key, forwarder, min(places)))


class HarnessGoal(Goal):
    """Whether the harness would be the limit: nlbbench without a forwarder
    beside what HAProxy forwards for it."""

    def values(self, results):
        return paired_ratios(results.values(self.part, self.key, "alone"),
                             results.values(self.part, self.key, self.peer))


GOALS = [
    Goal("smtp", "cpu_us_per_session", "most", 0.65, "haproxy"),
    Goal("smtp", "cpu_us_per_session", "most", 0.80, "nginx"),
    Goal("smtp", "sessions_per_s", "least", 1.15, "haproxy"),
    Goal("smtp", "sessions_per_s", "least", 1.05, "nginx"),
    Goal("bulk", "gbit_per_s", "least", 1.3, "haproxy"),
    Goal("bulk", "cpu_ms_per_gb", "most", 0.6, "haproxy"),
    # The loop has none of what nlbd does for a flow.
    Goal("smtp", "cpu_us_per_session", "most", 1.05, "bare"),
    Goal("smtp", "sessions_per_s", "least", 0.95, "bare"),
    Goal("bulk", "gbit_per_s", "least", 0.95, "bare"),
    Goal("bulk", "cpu_ms_per_gb", "most", 1.05, "bare"),
    AddedGoal("pingpong", "p50_us", "most", 0.9, "haproxy",
              "latency added to a 64-byte exchange, p50"),
    AddedGoal("pingpong", "p99_us", "most", 0.9, "haproxy",
              "latency added to a 64-byte exchange, p99"),
    AddedGoal("pingpong", "p50_us", "most", 1.0, "nginx",
              "latency added to a 64-byte exchange, p50"),
    AddedGoal("pingpong", "p99_us", "most", 1.0, "nginx",
              "latency added to a 64-byte exchange, p99"),
    AddedGoal("core", "exchange_us", "most", 0.9, "haproxy",
              "latency added to a 64-byte exchange, all on one core"),
    AddedGoal("core", "exchange_us", "most", 1.0, "nginx",
              "latency added to a 64-byte exchange, all on one core"),
    Goal("memory", "bytes_per_flow", "most", 600,
         title="user memory per idle flow, B"),
    FlatGoal("flows", "cpu_us_per_exchange", "most", 1.15,
             title="cost of an exchange, most flows beside fewest"),
    FlatGoal("flows", "cpu_us_per_exchange", "most", 1.05, "bare",
             "growth of an exchange's cost from fewest flows to most"),
    Goal("syscalls", "all", "most", 1.0, "haproxy",
         "system calls per SMTP session"),
    Goal("syscalls", "all", "most", 1.0, "nginx",
         "system calls per SMTP session"),
    Goal("flood", "flood_cpu_ms_per_s", "most", 1,
         title="nlbd's CPU during a flood of denied SYNs, ms/s"),
    Goal("flood", "dropped_by_kernel", "least", 1,
         title="denied SYNs dropped by the kernel, share"),
    Goal("flood", "p99_ratio", "most", 1.05,
         title="p99 of allowed clients, during the flood beside before"),
    Goal("flood", "beside_p99_ratio", "most", 1.05,
         title="p99 of allowed clients, the flood on a core of its own"),
    Goal("flood", "beside_own_p99_ratio", "most", 1.05,
         title="nlbd's part of that: beside SYNs dropped on arrival"),
    Goal("admin", "shared_p99_ratio", "most", 1.10,
         title="p99 of forwarding, while the admin interface is abused, "
         "beside without"),
    Goal("admin", "p99_ratio", "most", 1.10,
         title="the same with those who abuse it on a core of their own"),
    Goal("admin", "own_p99_ratio", "most", 1.10,
         title="nlbd's part of that: beside the same tries at a closed port"),
    Goal("admin", "refused", "least", 1,
         title="abuse of the admin interface that is refused, share"),
    FlatGoal("rules", "cpu_us_per_flow", "most", 1.10,
             title="cost of a new flow, 10,000 rules beside one"),
    Goal("reload", "reload_alone_ms", "most", 50,
         title="reload with 1,000 targets, ms"),
    HarnessGoal("harness", "sessions_per_s", "least", 3, "haproxy",
                "nlbbench pointed directly at the target, SMTP sessions"),
]


def number(value):
    """Three digits that matter, and thousands in one piece."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def check_goals(results):
    """Of the parts that were run."""
    results.goals = [goal.check(results) for goal in GOALS
                     if goal.part in results.parts()]
    return results.goals


def rows(results, part, key, at):
    """(forwarder, values, nlbd's ratios to them) of one table."""
    ours = results.values(part, key, "nlbd", at)
    for name in results.forwarders(part):
        values = results.values(part, key, name, at)
        if values:
            yield name, values, (paired_ratios(ours, values)
                                 if name != "nlbd" else [])


def print_table(results, part, key, show):
    """What is measured at one place: a line for each forwarder."""
    for name, values, ratios in rows(results, part, key, None):
        line = (f"  {name:9} {number(median(values)):>10}   "
                f"{number(min(values)):>9} ... {number(max(values)):<9}")
        if ratios:
            line += (f"  nlbd is {median(ratios):.2f} x "
                     f"({min(ratios):.2f} ... {max(ratios):.2f})")
        show(line)


def print_axis(results, part, key, show):
    """What is measured at several: medians, a line for each place, and
    nlbd's ratio to each peer."""
    names = results.forwarders(part)
    peers = [name for name in names if name != "nlbd"]
    show(f"  {'':>13}" + "".join(f"{name:>11}" for name in names)
         + ("   nlbd beside: " if peers else "")
         + "".join(f"{name:>9}" for name in peers))
    for at in results.places(part):
        table = {name: (values, ratios) for name, values, ratios
                 in rows(results, part, key, at)}
        cells = [number(median(table[name][0])) if name in table else "-"
                 for name in names]
        ratios = [f"{median(table[name][1]):.2f}"
                  if name in table and table[name][1] else "-"
                  for name in peers]
        if table:
            show(f"  {at:>13,}" + "".join(f"{cell:>11}" for cell in cells)
                 + (" " * 16 if peers else "")
                 + "".join(f"{ratio:>9}" for ratio in ratios))


def print_syscalls(results, show):
    """A line for each call that anybody makes once in ten sessions."""
    names = results.forwarders("syscalls")
    calls = {key for record in results.records if record["part"] == "syscalls"
             for key in record["values"]}
    medians = {call: [results.median("syscalls", call, name) or 0
                      for name in names] for call in calls}
    show("\nsystem calls per SMTP session (strace -c, nlbbench)")
    show(f"  {'':14}" + "".join(f"{name:>10}" for name in names))
    for call in sorted(calls, key=lambda call: -max(medians[call])):
        if max(medians[call]) >= 0.1:
            show(f"  {call:14}"
                 + "".join(f"{count:10.1f}" for count in medians[call]))


def print_goals(results, show):
    show("\nGoals (median of the rounds' ratios; of what is added, ratio of the "
         "medians; and where it lies with 95 % confidence)")
    for goal in results.goals:
        if goal["figure"] is None:
            show(f"  not measured  {goal['text']}")
            continue
        verdict = "reached" if goal["reached"] else "MISSED"
        line = f"  {verdict:12}  {goal['text']}: {goal['figure']:.2f}"
        if goal["interval"]:
            line += " ({:.2f} ... {:.2f})".format(*goal["interval"])
        show(line)


def print_all(results, show=print):
    meta = results.meta
    show(f"\n{meta['date']}, {meta['machine']}, {meta['cores']} cores, Linux "
         f"{meta['kernel']}; {', '.join(meta['versions'].values())}")
    show(f"{meta['workers']} worker(s) each, {meta['rounds']} interleaved "
         "rounds: median, least ... most; ratios are of the same round")
    for part, key, title, unit in FIGURES:
        places = results.places(part)
        if places:
            show(f"\n{title} ({unit})")
            (print_table if places == [None] else print_axis)(
                results, part, key, show)
    if "syscalls" in results.parts():
        print_syscalls(results, show)
    print_goals(results, show)
