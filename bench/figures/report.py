"""Tables, ratios and the verdict against the goals."""

from statistics import median

# part, value, what it is, its unit
FIGURES = [
    ("smtp", "cpu_us_per_session", "forwarder CPU per SMTP session", "us"),
    ("smtp", "sessions_per_s", "SMTP sessions, all on this machine", "/s"),
    ("bulk", "gbit_per_s", "bulk, one stream", "Gbit/s"),
    ("bulk", "cpu_ms_per_gb", "bulk, forwarder CPU per GB", "ms"),
    ("memory", "bytes_per_flow", "user memory per idle flow", "B"),
]
# part, value, bound, "most" or "least", peer (None: an absolute bound)
GOALS = [
    ("smtp", "cpu_us_per_session", 0.75, "most", "haproxy"),
    ("bulk", "gbit_per_s", 1.15, "least", "haproxy"),
    ("memory", "bytes_per_flow", 600, "most", None),
]


def values_of(results, part, key, name):
    return [row[key] for row in results.get(part, {}).get(name, [])]


def paired_ratios(ours, theirs):
    return [a / b for a, b in zip(ours, theirs) if b > 0]


def print_figure(results, part, key, title, unit):
    print(f"\n{title} ({unit})")
    ours = values_of(results, part, key, "nlbd")
    for name in results[part]:
        values = values_of(results, part, key, name)
        line = (f"  {name:9} median {median(values):9.1f}   "
                f"{min(values):9.1f} ... {max(values):9.1f}")
        ratios = paired_ratios(ours, values)
        if name != "nlbd" and ratios:
            line += f"   nlbd is {median(ratios):.2f} x"
            if len(ratios) > 1:
                line += f" ({min(ratios):.2f} ... {max(ratios):.2f})"
        print(line)


def check_goal(results, part, key, bound, kind, peer):
    """Returns (reached, text); reached is None without the values."""
    ours = values_of(results, part, key, "nlbd")
    title = next(f[2] for f in FIGURES if f[:2] == (part, key))
    goal = f"at {kind} {bound}" + (f" x {peer}" if peer else " B")
    if not ours or (peer and not values_of(results, part, key, peer)):
        return None, f"{title}: {goal}: not measured"
    figure = median(ours)
    if peer:
        figure = median(
            paired_ratios(ours, values_of(results, part, key, peer)))
    reached = figure <= bound if kind == "most" else figure >= bound
    verdict = "reached" if reached else "MISSED"
    shown = f"{figure:.2f}" if peer else f"{figure:.0f}"
    return reached, f"{title}: {goal}: {shown}: {verdict}"


def print_all(results, options):
    """Prints everything; returns whether no goal was missed."""
    print(f"\n{options.rounds} interleaved rounds; median, least ... most; "
          "ratios are medians of each round's own")
    for part, key, title, unit in FIGURES:
        if results.get(part):
            print_figure(results, part, key, title, unit)
    print("\nGoals")
    results["goals"] = []
    reached_all = True
    for goal in GOALS:
        if goal[0] not in options.only:
            continue
        reached, text = check_goal(results, *goal)
        print(f"  {text}")
        results["goals"].append({"text": text, "reached": reached})
        reached_all = reached_all and reached is not False
    return reached_all
