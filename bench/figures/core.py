"""Where things run: left to the scheduler, or told."""

import contextlib
import os

from .processes import place


def cores():
    return sorted(os.sched_getaffinity(0))


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
