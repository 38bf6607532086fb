"""What scale_figures prints, and its verdict."""

from statistics import median

RELOAD_MS = 50
FLAT = 1.15
DECISION_SHARE = 0.01


def spread(values, unit):
    return (f"median {median(values):7.1f} {unit}   "
            f"{min(values):7.1f} ... {max(values):7.1f}")


class Goals:
    def __init__(self):
        self.rows = []

    def check(self, text, figure, bound, unit=""):
        reached = figure <= bound
        self.rows.append({"text": text, "figure": figure, "bound": bound,
                          "reached": reached})
        verdict = "reached" if reached else "MISSED"
        print(f"  {text}: at most {bound:g}{unit}: {figure:.2f}{unit}: "
              f"{verdict}")


def print_reload(reload, goals):
    print("\nnlbctl reload, from its start to its end")
    for name, rows in reload["rows"].items():
        waited = median(row["waited_ms"] for row in rows)
        print(f"  {name:26} {spread([row['ms'] for row in rows], 'ms')}   "
              f"waited for a CPU {waited:5.1f} ms")
    print(f"  meanwhile, at the last of these: {reload['held']} flows held, "
          f"{reload['answers']} answers to NOOP, the slowest after "
          f"{reload['longest_answer_ms']:.1f} ms")
    for name, rows in list(reload["rows"].items())[2:]:
        goals.check(f"reload without such waits, {name}",
                    median(row["ms"] - row["waited_ms"] for row in rows),
                    RELOAD_MS, " ms")
    goals.check("flows lost during reloads",
                0 if reload["flows_undisturbed"] else 1, 0)


def print_flows(flows, goals):
    print("\nworker's CPU per accepted flow")
    rows = flows["us_per_flow"]
    base_name, base = next(iter(rows.items()))
    for name, values in rows.items():
        ratio = median(a / b for a, b in zip(values, base))
        print(f"  {name:26} {spread(values, 'us')}   {ratio:.2f} x")
        if name != base_name:
            goals.check(f"CPU per flow, {name}", ratio, FLAT,
                        f" x {base_name}")


def print_decisions(decisions, flows, goals):
    print("\nthe decisions about a new flow, alone")
    growth_ns = 0
    for kind, what in (("targets", "pick"), ("rules", "admission")):
        rows = decisions[kind]
        for size, values in rows.items():
            print(f"  {what} among {size:>5} {kind:8} {spread(values, 'ns')}")
        sizes = list(rows)
        growth_ns += median(rows[sizes[-1]]) - median(rows[sizes[0]])
    if flows:
        flow_us = median(next(iter(flows["us_per_flow"].values())))
        goals.check("growth of both, of the CPU per flow",
                    growth_ns / 1e3 / flow_us, DECISION_SHARE)


def print_all(results):
    """Prints everything; returns whether no goal was missed."""
    goals = Goals()
    if "reload" in results:
        print_reload(results["reload"], goals)
    if "flows" in results:
        print_flows(results["flows"], goals)
    if "decisions" in results:
        print_decisions(results["decisions"], results.get("flows"), goals)
    results["goals"] = goals.rows
    return all(row["reached"] for row in goals.rows)
