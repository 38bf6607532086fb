"""The admin interface abused in every way at once: what forwarding notices,
and what it costs the supervisor."""

import contextlib
import json
import os
import time

from . import topology  # noqa: F401  (finds lab)
from .flood import ask
from .forwarders import Nlbd
from .processes import Process, cpu_ns, rss_bytes

from lab.abuse import REFUSED, command  # noqa: E402


@contextlib.contextmanager
def abused(run, nlbd, values):
    """All kinds, each a process; what became of their tries."""
    admin_socket = run.directory / nlbd.name / "nlbd.sock"
    admin_socket.chmod(0o666)  # or no stranger would come as far as nlbd
    abusers, began = {}, time.monotonic()
    try:
        for kind in REFUSED:
            where = admin_socket if kind == "uid" else nlbd.http
            abusers[kind] = Process(
                command(run.topology.client, kind, where),
                run.directory / f"abuse-{kind}.log")
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
    nlbd.start(run.directory)
    try:
        with awake(run):
            measure_rounds(run, nlbd)
    finally:
        nlbd.stop()


def measure_rounds(run, nlbd):
    supervisor = nlbd.process.pid
    to = nlbd.address("target")
    with abused(run, nlbd, {}):
        ask(run, to)  # the warm-up: its memory stays
    for number in range(run.options.rounds):
        values = {}
        quiet = ask(run, to)
        grown = -rss_bytes(supervisor)
        with abused(run, nlbd, values):
            began, used = time.monotonic(), -cpu_ns([supervisor])
            loud = ask(run, to)
            used += cpu_ns([supervisor])
            seconds = time.monotonic() - began
            grown += rss_bytes(supervisor)
        run.add("admin", nlbd, None, number + 1, {
            **values, "quiet_p99_us": quiet["p99"],
            "abused_p99_us": loud["p99"],
            "p99_ratio": loud["p99"] / quiet["p99"],
            "supervisor_cpu_ms_per_s": used / 1e6 / seconds,
            "grown_kib": grown / 1024})
