"""Two runs side by side: did it get better, or is it the machine?"""

from statistics import median

from .report import FIGURES, number
from .stats import paired_ratios, ratio_interval

MORE_IS_BETTER = ("sessions_per_s", "gbit_per_s")
PEER = "haproxy"


def verdict(key, low, high):
    if low <= 1 <= high:
        return "no difference shown"
    return "better" if (low > 1) == (key in MORE_IS_BETTER) else "WORSE"


def lines(title, unit, key, before, after):
    """One line: both medians, the ratio, its interval and what it means."""
    found = ratio_interval(after, before)
    if found is None:
        return None
    low, high = found
    return (f"  {title:58} {number(median(before)):>9} -> "
            f"{number(median(after)):>9} {unit:7} {low:.2f} ... {high:.2f}  "
            f"{verdict(key, low, high)}")


def compare(a, b, show=print):
    """Figures of nlbd itself, and beside HAProxy's of the same run: two runs
    are two states of the machine, and only the second sees through that.
    Returns whether anything beside the peer's got worse."""
    got_worse = False
    if not set(a.parts()) & set(b.parts()):
        show("The runs have no part in common.")
    for heading, peer in ((f"nlbd beside {PEER} of the same run", PEER),
                          ("nlbd by itself; holds the machine's mood as well",
                           None)):
        show(f"\n{heading}: A, B, and B / A with 95 % confidence")
        for part, key, title, unit in FIGURES:
            for at in a.places(part):
                sides = [side(results, part, key, at, peer)
                         for results in (a, b)]
                where = title if at is None else f"{title}, {at:,}"
                line = lines(where[-58:], "x" if peer else unit, key, *sides)
                if line is None:
                    continue
                show(line)
                got_worse |= peer is not None and line.endswith("WORSE")
    return got_worse


def side(results, part, key, at, peer):
    ours = results.values(part, key, "nlbd", at)
    if peer is None:
        return ours
    return paired_ratios(ours, results.values(part, key, peer, at))
