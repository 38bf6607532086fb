"""Medians, ratios of rounds, and confidence intervals by resampling."""

import random
from statistics import median

RESAMPLES = 4000
CONFIDENCE = 0.95


def paired_ratios(ours, theirs):
    """Round by round: what the machine did meanwhile met both."""
    return [a / b for a, b in zip(ours, theirs) if b]


def interval(values):
    """Of the values' median, as (low, high), by the bootstrap's percentiles.
    Reproducible: the same values give the same interval."""
    if len(values) < 2:
        return None
    dice = random.Random(20)
    medians = sorted(median(dice.choices(values, k=len(values)))
                     for _ in range(RESAMPLES))
    return percentiles(medians)


def ratio_interval(ours, theirs):
    """Of median(ours) / median(theirs), the rounds of two runs that have
    nothing to do with one another."""
    if len(ours) < 2 or len(theirs) < 2 or not all(theirs):
        return None
    dice = random.Random(20)
    ratios = sorted(median(dice.choices(ours, k=len(ours)))
                    / median(dice.choices(theirs, k=len(theirs)))
                    for _ in range(RESAMPLES))
    return percentiles(ratios)


def added_ratio(ours, theirs, nothing):
    """What the median of ours is above that of nothing, beside what theirs is:
    (ratio, (low, high)), or None where theirs does not stand out. A ratio for
    each round would have the noise of a small difference under the line, and
    the same program twice below 1. Round by round they are resampled
    together."""
    rounds = list(zip(ours, theirs, nothing))
    if not rounds:
        return None

    def added(some):
        mine, other, none = map(median, zip(*some))
        return mine - none, other - none

    dice = random.Random(20)
    again = [added(dice.choices(rounds, k=len(rounds)))
             for _ in range(RESAMPLES)]
    if percentiles(sorted(other for _, other in again))[0] <= 0:
        return None
    mine, other = added(rounds)
    # The few in which the peer adds nothing count for the largest.
    ratios = sorted(a / b if b > 0 else float("inf") for a, b in again)
    return mine / other, percentiles(ratios) if len(rounds) > 1 else None


def percentiles(ordered):
    tail = (1 - CONFIDENCE) / 2
    low = int(tail * len(ordered))
    return ordered[low], ordered[len(ordered) - 1 - low]


def slope(points):
    """Least squares through (x, y): (slope, what y is at 0)."""
    n = len(points)
    mean_x = sum(x for x, _ in points) / n
    mean_y = sum(y for _, y in points) / n
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    if spread == 0:
        return 0.0, mean_y
    rise = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread
    return rise, mean_y - rise * mean_x
