"""The admin interface abused in every way at once: what forwarding notices,
and what it costs the supervisor."""

import contextlib
import json
import os
import time
from statistics import median

from . import topology  # noqa: F401  (finds lab)
from .core import cores, on_cores
from .flood import ask, exchanges
from .forwarders import Nlbd
from .processes import Process, cpu_ns, place, rss_bytes

from lab.abuse import REFUSED, command  # noqa: E402


class OtherNlbd(Nlbd):
    """One that forwards nothing, to be abused in the other's place."""

    name = "nlbd-other"
    first_port = 20700
    http = topology.FRONT, 20790


@contextlib.contextmanager
def abused(run, nlbd, values, cpus=None):
    """All kinds, each a process; what became of their tries."""
    where_to_run = cpus or os.sched_getaffinity(0)
    admin_socket = run.directory / nlbd.name / "nlbd.sock"
    admin_socket.chmod(0o666)  # or no stranger would come as far as nlbd
    abusers, began = {}, time.monotonic()
    try:
        for kind in REFUSED:
            where = admin_socket if kind == "uid" else nlbd.http
            abusers[kind] = Process(
                command(run.topology.client, kind, where),
                run.directory / f"abuse-{kind}.log")
            place([abusers[kind].pid], where_to_run)
        for abuser in abusers.values():
            abuser.wait_for(lambda a=abuser: "abusing" in a.text(), 30,
                            "the abuse has begun")
        yield
    finally:
        for abuser in abusers.values():
            abuser.stop()
    seconds = time.monotonic() - began
    tries = ended = refused = 0
    for kind, abuser in abusers.items():
        result = json.loads(abuser.text().splitlines()[-1])
        tries += result["tries"]
        for outcome, count in result["outcomes"].items():
            ended += count
            # Among so many, one may be cut off before it was heard.
            if outcome in REFUSED[kind] | {"cut"}:
                refused += count
    values["tries_per_s"] = tries / seconds
    values["refused"] = refused / ended


@contextlib.contextmanager
def awake(run):
    """Something to do for each processor when nobody else has: an idle one is
    slow to wake, so that exchanges beside any load at all look faster."""
    with contextlib.ExitStack() as stack:
        for number in range(os.cpu_count()):
            stack.callback(Process(
                ["chrt", "--idle", 0, "sh", "-c", "while :; do :; done"],
                run.directory / f"awake-{number}.log").stop)
        yield


def measure_admin(run):
    nlbd = Nlbd(run.topology, run.options.build, run.options.workers)
    other = OtherNlbd(run.topology, run.options.build, run.options.workers)
    try:
        nlbd.start(run.directory)
        other.start(run.directory)
        with abused(run, nlbd, {}):
            ask(run, nlbd.address("target"))  # the warm-up: its memory stays
        for number in range(run.options.rounds):
            run.add("admin", nlbd, None, number + 1, {
                **beside(run, nlbd), **among(run, nlbd, other)})
    finally:
        other.stop()
        nlbd.stop()


def beside(run, nlbd):
    """Whether forwarding waits for what the supervisor is made to do: client,
    workers and target have one core, the supervisor and those who abuse it
    another. Many short turns, and the median of their p99: some of them meet
    a moment in which the machine itself stands still."""
    supervisor, to = nlbd.process.pid, nlbd.address("target")
    workers = [pid for pid in nlbd.pids() if pid != supervisor]
    here, there = set(cores()[:1]), set(cores()[-1:])
    quiet, loud, values = [], [], {}

    def p99_us():
        return exchanges(run, to, run.options.rate,
                         run.options.turn_s)["p99"]

    place([supervisor], there)
    try:
        with on_cores([*run.peers.pids(), *workers], here):
            for _ in range(run.options.turns):
                quiet.append(p99_us())
                with abused(run, nlbd, values, there):
                    loud.append(p99_us())
    finally:
        place([supervisor], set(cores()))
    return {**values, "quiet_p99_us": median(quiet),
            "abused_p99_us": median(loud),
            "p99_ratio": median(loud) / median(quiet)}


def among(run, nlbd, other):
    """Where nobody tells them where to run, and what of it is the machine's:
    the same exchanges while another nlbd is abused."""
    supervisor, to = nlbd.process.pid, nlbd.address("target")
    with awake(run):
        quiet = ask(run, to)
        grown = -rss_bytes(supervisor)
        with abused(run, nlbd, {}):
            began, used = time.monotonic(), -cpu_ns([supervisor])
            loud = ask(run, to)
            used += cpu_ns([supervisor])
            seconds = time.monotonic() - began
            grown += rss_bytes(supervisor)
        with abused(run, other, {}):
            elsewhere = ask(run, to)
    return {"supervisor_cpu_ms_per_s": used / 1e6 / seconds,
            "grown_kib": grown / 1024,
            "shared_quiet_p99_us": quiet["p99"],
            "shared_abused_p99_us": loud["p99"],
            "shared_p99_ratio": loud["p99"] / quiet["p99"],
            "shared_other_p99_us": elsewhere["p99"]}
