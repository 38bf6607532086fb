"""Waiting for events with a deadline, never for a fixed time."""
import time

POLL_S = 0.01


def wait_until(predicate, deadline_s, what, poll_s=POLL_S):
    """Polls until predicate() is truthy and returns that value.

    An AssertionError names `what` and the last value when time is up.
    """
    end = time.monotonic() + deadline_s
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() >= end:
            raise AssertionError(
                f"not within {deadline_s} s: {what} (last: {value!r})")
        time.sleep(poll_s)


def stays_so(predicate, period_s, what, poll_s=POLL_S):
    """Asserts that predicate() holds during the whole period."""
    end = time.monotonic() + period_s
    while time.monotonic() < end:
        assert predicate(), f"no longer so: {what}"
        time.sleep(poll_s)
