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
