"""SYNs from sources that the security group denies: what they cost nlbd, and
what its clients notice."""

import contextlib
import pathlib
import re
import sys
import time
from statistics import median

from .core import awake, on_cores, two_cores
from .processes import Process, place
from .syn_flood import SOURCES

FLOOD = pathlib.Path(__file__).with_name("syn_flood.py")
RATE = 500  # of the clients, so that the machine is not busy with them


def kernel_drops(run):
    """What nlbd's filter has dropped at the listening sockets."""
    done = run.topology.forwarder.run("ss", "-Htlnm")
    return sum(map(int, re.findall(r",d(\d+)\)", done.stdout)))


@contextlib.contextmanager
def flood(run, to, values, cpus=None):
    """At the least priority: it takes what the clients leave of the CPUs."""
    dropped = -kernel_drops(run)
    sender = Process(run.topology.client.command(
        ["nice", "-n", 19, sys.executable, FLOOD, *to]),
        run.directory / "flood.log")
    try:
        if cpus:
            place([sender.pid], cpus)
        sender.wait_for(lambda: "flooding" in sender.text(), 10,
                        "the flood has begun")
        yield
    finally:
        sender.stop()
    sent, seconds = re.search(r"sent (\d+) in (\S+)", sender.text()).groups()
    dropped += kernel_drops(run)
    values["syn_per_s"] = int(sent) / float(seconds)
    values["dropped_by_kernel"] = dropped / int(sent)


def exchanges(run, to, rate, seconds):
    """64 bytes and their echo, at a fixed rate: their times."""
    return run.peers.nlbbench(
        to, "pingpong", "--rate", rate, "--flows", 50, "--warm-up", 0.5,
        "--duration", seconds)["units"]["exchange"]["latency_us"]


def p99_us(run, to, rate):
    """Of a short turn: the median of several is what is wanted, as in some the
    machine itself stands still for milliseconds."""
    return exchanges(run, to, rate, run.options.turn_s)["p99"]


@contextlib.contextmanager
def dropped_on_arrival(run):
    """What the flood sends, before the kernel looks for a socket: none of it
    comes near nlbd's filter. What is left is the sender's own use of the
    machine."""
    run.topology.nft(
        "table netdev bench {\nchain arrival {\n"
        "type filter hook ingress device front priority 0\n"
        f"ip saddr {SOURCES} drop\n}}\n}}\n")
    try:
        yield
    finally:
        run.topology.nft("delete table netdev bench\n")


def turns(run, to, cpus=None):
    """Without the flood, with it, and with it in vain, by turns; returns what
    the flood came to, and the three p99."""
    values, in_vain, quiet, loud, vain = {}, {}, [], [], []
    for _ in range(run.options.turns):
        quiet.append(p99_us(run, to, RATE))
        with flood(run, to, values, cpus):
            loud.append(p99_us(run, to, RATE))
        with dropped_on_arrival(run), flood(run, to, in_vain, cpus):
            vain.append(p99_us(run, to, RATE))
        if in_vain["dropped_by_kernel"]:
            raise SystemExit("bench: SYNs that were to be dropped on arrival "
                             f"came as far as nlbd's socket: {in_vain}")
    values["vain_syn_per_s"] = in_vain["syn_per_s"]
    return values, median(quiet), median(loud), median(vain)


def beside(run, nlbd):
    """The sender has a core of its own: it would be another machine."""
    here, there = two_cores()
    with awake(run), on_cores([*run.peers.pids(), *nlbd.pids()], here):
        _, quiet, loud, vain = turns(run, nlbd.address("target"), there)
    return {"beside_quiet_p99_us": quiet, "beside_flood_p99_us": loud,
            "beside_vain_p99_us": vain, "beside_p99_ratio": loud / quiet,
            "beside_own_p99_ratio": loud / vain}


def measure_flood(run):
    nlbd = next(f for f in run.forwarders if f.name == "nlbd")
    to = nlbd.address("target")
    nlbd.start(run.directory)
    try:
        for number in range(run.options.rounds):
            values, quiet, loud, vain = turns(run, to)
            # Nobody but the flood: what nlbd then does is idling, or not.
            idle_s = run.options.seconds
            before = nlbd.cpu_ns()
            time.sleep(idle_s)
            idling = nlbd.running_cpu_ns() - before
            before = nlbd.cpu_ns()
            with flood(run, to, {}):
                time.sleep(idle_s)
                flooded = nlbd.running_cpu_ns() - before
            run.add("flood", nlbd, None, number + 1, {
                **values, **beside(run, nlbd), "quiet_p99_us": quiet,
                "flood_p99_us": loud, "vain_p99_us": vain,
                "p99_ratio": loud / quiet, "own_p99_ratio": loud / vain,
                "idle_cpu_ms_per_s": idling / 1e6 / idle_s,
                "flood_cpu_ms_per_s": flooded / 1e6 / idle_s})
    finally:
        nlbd.stop()
