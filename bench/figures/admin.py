"""The admin interface abused in every way at once: what forwarding notices,
and what it costs the supervisor.

All p99 are the lower quartile of short turns, with and without the abuse by
turns: in some of them the machine itself stands still for milliseconds, and
what the abuse does is in each of them. How far the same thing measured twice
lies apart stands in bench/README.md."""

import contextlib
import os
import time
from statistics import median, quantiles

from . import topology  # noqa: F401  (finds lab)
from .core import awake, on_cores, two_cores
from .flood import p99_us
from .forwarders import Nlbd
from .processes import Process, cpu_ns, place, rss_bytes

from lab.abuse import REFUSED, command, result_of  # noqa: E402


LEAD_S = 1  # of abuse, before it counts: what it may do at once is over


class Nobody:
    """In nlbd's place: the same tries, and nothing that hears them."""

    name = "nobody"
    http = topology.FRONT, 20790


@contextlib.contextmanager
def abused(run, nlbd, values, cpus=None):
    """All kinds at once; what became of their tries."""
    where_to_run = cpus or os.sched_getaffinity(0)
    # With the mode that nlbd gives it: the kernel refuses strangers there.
    admin_socket = run.directory / nlbd.name / "nlbd.sock"
    began = time.monotonic()
    abuser = Process(
        command(run.topology.client, nlbd.http, admin_socket, REFUSED),
        run.directory / "abuse.log")
    try:
        place([abuser.pid], where_to_run)
        abuser.wait_for(lambda: "abusing" in abuser.text(), 30,
                        "the abuse has begun")
        time.sleep(LEAD_S)
        yield
    finally:
        abuser.stop()
    seconds = time.monotonic() - began
    tries = ended = refused = 0
    for kind, result in result_of(abuser.text()).items():
        tries += result["tries"]
        for outcome, count in result["outcomes"].items():
            ended += count
            # Among so many, most are cut off before they are heard.
            if outcome in REFUSED[kind] | {"cut", "denied"}:
                refused += count
    values["tries_per_s"] = tries / seconds
    values["refused"] = refused / ended


def measure_admin(run):
    nlbd = Nlbd(run.topology, run.options.build, run.options.workers)
    try:
        nlbd.start(run.directory)
        with abused(run, nlbd, {}):
            # The warm-up: its memory stays.
            p99_us(run, nlbd.address("target"), run.options.rate)
        for number in range(run.options.admin_rounds):
            run.add("admin", nlbd, None, number + 1, {
                **beside(run, nlbd), **among(run, nlbd)})
    finally:
        nlbd.stop()


def quartile(values):
    return quantiles(values, n=4)[0] if len(values) > 1 else values[0]


def turns(run, nlbd, cpus=None):
    """Without abuse, with it, and with the same tries that nobody hears, by
    turns; returns the p99 of forwarding, what the abusers came to, and what it
    cost the supervisor."""
    supervisor, to = nlbd.process.pid, nlbd.address("target")
    quiet, loud, unheard, cpu, grown, tries = [], [], [], [], [], {}

    for _ in range(run.options.admin_turns):
        quiet.append(p99_us(run, to, run.options.rate))
        rss = rss_bytes(supervisor)
        with abused(run, nlbd, tries, cpus):
            began, used = time.monotonic(), cpu_ns([supervisor])
            loud.append(p99_us(run, to, run.options.rate))
            cpu.append((cpu_ns([supervisor]) - used) / 1e6
                       / (time.monotonic() - began))
            grown.append((rss_bytes(supervisor) - rss) / 1024)
        with abused(run, Nobody, {}, cpus):
            unheard.append(p99_us(run, to, run.options.rate))
    quiet_us, loud_us, unheard_us = map(quartile, (quiet, loud, unheard))
    return ({"quiet_p99_us": quiet_us, "abused_p99_us": loud_us,
             "unheard_p99_us": unheard_us,
             "p99_ratio": loud_us / quiet_us,
             "own_p99_ratio": loud_us / unheard_us},
            tries, {"supervisor_cpu_ms_per_s": median(cpu),
                    "grown_kib": sum(grown)})


def beside(run, nlbd):
    """Whether forwarding waits for what the supervisor is made to do: client,
    workers, target and supervisor share a core, those who abuse it have
    another. And what their being there does when nobody hears them."""
    here, there = two_cores()
    with awake(run), on_cores([*run.peers.pids(), *nlbd.pids()], here):
        times, tries, _ = turns(run, nlbd, there)
    return {**tries, **times}


def among(run, nlbd):
    """Where nobody tells them where to run; and what of it is the abusers' own
    use of the machine, which is there as well when nobody hears them."""
    with awake(run):
        times, _, cost = turns(run, nlbd)
    return {**cost, **{f"shared_{key}": value
                       for key, value in times.items()}}
