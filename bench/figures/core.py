"""Where things run: left to the scheduler, or told."""

import contextlib
import os

from .processes import Process, place


def cores():
    return sorted(os.sched_getaffinity(0))


def two_cores():
    """One for those who are looked at, the other for those who disturb them,
    which is the first: it serves the machine's interrupts as well."""
    return set(cores()[-1:]), set(cores()[:1])


@contextlib.contextmanager
def awake(run):
    """Something to do for each processor when nobody else has: an idle one is
    slow to wake, so that exchanges beside any load at all look faster."""
    with contextlib.ExitStack() as stack:
        for number in range(os.cpu_count()):
            stack.callback(Process(
                ["taskset", "-c", number, "chrt", "--idle", 0, "sh", "-c",
                 "while :; do :; done"],
                run.directory / f"awake-{number}.log").stop)
        yield


@contextlib.contextmanager
def on_cores(pids, cpus):
    """They, the caller, and what is started meanwhile; the first two go back
    to wherever they like."""
    everywhere = os.sched_getaffinity(0)
    pids = [os.getpid(), *pids]
    try:
        place(pids, cpus)
        yield
    finally:
        place(pids, everywhere)


def all_on_one_core(run):
    """And the forwarders that are started meanwhile."""
    return on_cores(run.peers.pids(), cores()[:1])
