"""The parts of a run. Each gives records: what one forwarder did in one round
at one place of the part's axis."""

import json
import pathlib
import re
import subprocess
import sys
import time

from .admin import measure_admin
from .core import all_on_one_core
from .flood import measure_flood
from .forwarders import HAProxy, Nginx, Nlbd
from .harness import measure_harness
from .processes import Process, machine_busy_ns, rss_bytes, slab_bytes

WARM_FLOWS = 100
PRODUCTS = ("nlbd", "haproxy", "nginx")
USER_SPACE = (*PRODUCTS, "bare")
SCALE_FIGURES = pathlib.Path(__file__).resolve().parents[1] / "scale_figures"


class Run:
    """What all parts share: the peers, the options and the records."""

    def __init__(self, topology, peers, forwarders, directory, options):
        self.topology, self.peers = topology, peers
        self.forwarders, self.directory = forwarders, directory
        self.options = options
        self.records = []
        self.cdf = {}  # forwarder: {end of bucket in us: count}

    def add(self, part, forwarder, at, number, values):
        self.records.append({
            "part": part, "forwarder": forwarder.name, "at": at,
            "round": number, "values": values})
        place = "" if at is None else f" {at:>10}"
        shown = "  ".join(f"{key} {value:.2f}" for key, value
                          in values.items() if value is not None)
        print(f"{part:8} {number:2}{place}  {forwarder.name:9} {shown}",
              flush=True)

    def taking_part(self, part, names=None):
        return [f for f in self.forwarders if f.takes_part(part)
                and (names is None or f.name in names)]

    def interleaved(self, part, one, forwarders, places=(None,), rounds=None):
        """A B C, A B C, ...: what the machine does meanwhile meets all
        alike. Round 0 is the warm-up and is not kept."""
        try:
            for forwarder in forwarders:
                forwarder.start(self.directory)
            for number in range(rounds or self.options.rounds):
                for at in places:
                    for forwarder in forwarders:
                        self._one(part, one, forwarder, at, number + 1)
        finally:
            for forwarder in forwarders:
                forwarder.stop()

    def _one(self, part, one, forwarder, at, number):
        forwarder.resume()
        try:
            if number == 1:
                one(self, forwarder, at, True)
            self.add(part, forwarder, at, number,
                     one(self, forwarder, at, False))
        finally:
            forwarder.pause()


class Used:
    """CPU time of the forwarder, and of the whole machine, over a `with`."""

    def __init__(self, forwarder):
        self.forwarder = forwarder
        self.ns = self.machine_ns = 0

    def __enter__(self):
        self.ns = -self.forwarder.cpu_ns()
        self.counted = self.forwarder.counted
        self.machine_ns = -machine_busy_ns()
        return self

    def __exit__(self, *exc):
        if exc[0] is None:
            self.machine_ns += machine_busy_ns()
            self.ns += self.forwarder.cpu_ns()
            if self.forwarder.counted != self.counted:
                raise SystemExit(
                    f"bench: {self.forwarder.name} was {self.counted}, and is "
                    f"{self.forwarder.counted} now:\n"
                    f"{self.forwarder.process.text()}")

    def per(self, units, scale=1e3):
        """None for what is in no process."""
        if not self.forwarder.has_process:
            return None
        return self.ns / scale / units


def smtp(run, forwarder, _, is_warm_up):
    """Postfix's smtp-source to its smtp-sink."""
    sessions = max(run.options.sessions // forwarder.slowness, 50)
    if is_warm_up:
        sessions = max(sessions // 10, 50)
    with Used(forwarder) as used:
        began = time.monotonic()
        run.peers.send_mails(forwarder.address("sink"), sessions)
        seconds = time.monotonic() - began
    return {"sessions_per_s": sessions / seconds,
            "cpu_us_per_session": used.per(sessions),
            "machine_us_per_session": used.machine_ns / 1e3 / sessions}


def session(run, forwarder, _, is_warm_up):
    """nlbbench to nlbd-smtp-target, in a closed loop."""
    sessions = max(run.options.sessions // forwarder.slowness, 50)
    if is_warm_up:
        sessions = max(sessions // 10, 50)
    with Used(forwarder) as used:
        result = run.peers.nlbbench(forwarder.address("target"), "smtp",
                                    "--units", sessions, "--flows", 50)
    unit = result["units"]["session"]
    return {"sessions_per_s": unit["per_s"],
            "cpu_us_per_session": used.per(sessions),
            "machine_us_per_session": used.machine_ns / 1e3 / sessions,
            "p50_us": unit["latency_us"]["p50"],
            "p99_us": unit["latency_us"]["p99"]}


def pingpong(run, forwarder, _, is_warm_up):
    """64 bytes at a fixed rate, in an open loop."""
    options = run.options
    warm_up_s = 0.25
    with Used(forwarder) as used:
        result = run.peers.nlbbench(
            forwarder.address("target"), "pingpong", "--rate", options.rate,
            "--flows", 20, "--warm-up", warm_up_s, "--duration",
            options.exchange_s)
    unit = result["units"]["exchange"]
    if not is_warm_up:
        cdf = run.cdf.setdefault(forwarder.name, {})
        for end_us, count in unit["histogram_us"]:
            cdf[end_us] = cdf.get(end_us, 0) + count
    return {"p50_us": unit["latency_us"]["p50"],
            "p99_us": unit["latency_us"]["p99"],
            "p99_9_us": unit["latency_us"]["p99_9"],
            "cpu_us_per_exchange": used.per(
                options.rate * (options.exchange_s + warm_up_s))}


def bulk(run, forwarder, _, is_warm_up):
    """iperf3, one stream."""
    seconds = 1 if is_warm_up else run.options.bulk_s
    with Used(forwarder) as used:
        count, bits_per_s = run.peers.send_bulk(forwarder.address("bulk"),
                                                seconds)
    return {"gbit_per_s": bits_per_s / 1e9,
            "cpu_ms_per_gb": used.per(count / 1e9, 1e6)}


def sizes(run, forwarder, size, is_warm_up):
    """A message of so many bytes, echoed, on one kept flow."""
    how_long = ["--duration", 0.2 if is_warm_up else run.options.size_s]
    if size >= 64 << 20:
        how_long = ["--units", 1]
    if is_warm_up and size > 1 << 20:
        return None
    with Used(forwarder) as used:
        result = run.peers.nlbbench(
            forwarder.address("target"), "bulk", "--size", size, "--warm-up",
            0, *how_long, "--timeout", 60)
    unit = result["units"]["transfer"]
    return {"gbit_per_s": unit["per_s"] * size * 8 / 1e9,
            "p50_us": unit["latency_us"]["p50"],
            "cpu_us_per_message": used.per(unit["done"])}


TRACED_SESSIONS = 1000


def syscalls(run, forwarder, _, is_warm_up):
    """System calls for each session, by name, of all the forwarder's
    processes. strace makes them slow; what is counted stays the same."""
    if is_warm_up:
        return None
    counts = run.directory / f"strace-{forwarder.name}"
    tracer = Process(["strace", "-f", "-c", "-o", counts, *(
        word for pid in forwarder.pids() for word in ("-p", pid))],
        run.directory / f"strace-{forwarder.name}.log")
    try:
        tracer.wait_for(lambda: tracer.text().count("attached")
                        >= len(forwarder.pids()), 10, "strace is attached")
        run.peers.nlbbench(forwarder.address("target"), "smtp", "--units",
                           TRACED_SESSIONS, "--flows", 50)
    finally:
        tracer.stop()
    found = {name: int(calls) / TRACED_SESSIONS for calls, name in re.findall(
        r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:\d+ +)?(\w+)$",
        counts.read_text(), re.M) if name != "total"}
    return {"all": sum(found.values()), **found}


def flows(run, forwarder, count, is_warm_up):
    """The cost of an exchange while so many flows take turns."""
    if is_warm_up:
        return None
    options = run.options
    warm_s = 1 + count // 2000
    bench = run.peers.start_nlbbench(
        forwarder.address("target"), f"flows-{forwarder.name}", "pingpong",
        "--rate", options.rate, "--flows", count, "--warm-up", warm_s,
        "--duration", options.flows_s + 2)

    def has_row(number):
        return f" {number} s " in bench.text()

    try:
        bench.wait_for(lambda: has_row(1), 60 + warm_s, "the flows are there")
        began, used = time.monotonic(), -forwarder.running_cpu_ns()
        bench.wait_for(lambda: has_row(1 + options.flows_s), 60,
                       "the time is over")
        seconds = time.monotonic() - began
        used += forwarder.running_cpu_ns()
        if bench.wait(90) != 0:
            raise SystemExit(f"bench: {count} flows through {forwarder.name}:"
                             f"\n{bench.text()}")
    finally:
        bench.stop()
    return {"cpu_us_per_exchange": used / 1e3 / (options.rate * seconds)}


def measure_memory(run):
    """A fresh process each round: memory that was once used stays with it."""
    for number in range(run.options.memory_rounds):
        for forwarder in run.taking_part("memory", PRODUCTS):
            try:
                forwarder.start(run.directory)
                memory_of(run, forwarder, number + 1)
            finally:
                forwarder.stop()


def memory_of(run, forwarder, number):
    def rss():
        return sum(map(rss_bytes, forwarder.pids()))

    to = forwarder.address("target")
    run.peers.hold(to, WARM_FLOWS, forwarder.name).stop()
    forwarder.cpu_ns()
    before = rss()
    for count in run.options.held:
        slab = slab_bytes()
        holder = run.peers.hold(to, count, forwarder.name)
        try:
            forwarder.cpu_ns()
            grown = rss() - before
            slab = slab_bytes() - slab
        finally:
            holder.stop()
        # Two of a flow's four sockets are the forwarder's.
        run.add("memory", forwarder, count, number, {
            "bytes_per_flow": grown / count, "grown_mb": grown / 1e6,
            "kernel_bytes_per_flow": slab / 2 / count})


def measure_workers(run):
    """The session part with one worker and with two."""
    options = run.options
    for number in range(options.rounds):
        for workers in (1, 2):
            for forwarder in (Nlbd(run.topology, options.build, workers),
                              HAProxy(run.topology, workers),
                              Nginx(run.topology, workers)):
                if not forwarder.is_available():
                    continue
                try:
                    forwarder.start(run.directory)
                    session(run, forwarder, workers, True)
                    run.add("workers", forwarder, workers, number + 1,
                            session(run, forwarder, workers, False))
                finally:
                    forwarder.stop()


def measure_scale(run):
    """nlbd alone with many targets and rules: scale_figures does it."""
    options = run.options
    found = run.directory / "scale.json"
    done = subprocess.run(
        [sys.executable, SCALE_FIGURES, "--build", options.build, "--json",
         found, "--only", "reload", "--only", "flows",
         *(["--quick"] if options.quick else [])], check=False)
    if done.returncode not in (0, 1):  # 1: a goal was missed
        raise SystemExit("bench: scale_figures failed")
    results = json.loads(found.read_text())
    nlbd = next(f for f in run.forwarders if f.name == "nlbd")
    for name, values in results["flows"]["us_per_flow"].items():
        targets, rules = map(int, re.findall(r"\d+", name))
        for number, value in enumerate(values, 1):
            if targets == 1:
                run.add("rules", nlbd, rules, number,
                        {"cpu_us_per_flow": value})
            if rules == 1:
                run.add("targets", nlbd, targets, number,
                        {"cpu_us_per_flow": value})
    for name, rows in results["reload"]["rows"].items():
        targets, rules = map(int, re.findall(r"\d+", name))
        for number, row in enumerate(rows if rules == 1 else [], 1):
            run.add("reload", nlbd, targets, number, {
                "reload_ms": row["ms"],
                "reload_alone_ms": row["ms"] - row["waited_ms"]})


def core_exchange(run, forwarder, _, is_warm_up):
    """64 bytes, one after the other: nobody sleeps, and the direct way takes
    part to tell what a forwarder adds."""
    with Used(forwarder) as used:
        result = run.peers.nlbbench(
            forwarder.address("target"), "pingpong", "--flows", 1,
            "--warm-up", 0, "--duration", run.options.exchange_s)
    unit = result["units"]["exchange"]
    return {"exchange_us": unit["latency_us"]["mean"],
            "cpu_us_per_exchange": used.per(unit["done"])}


def core(run, forwarder, _, is_warm_up):
    """A session and a stream."""
    if is_warm_up:
        return None
    mail, stream = (one(run, forwarder, None, False) for one in (smtp, bulk))
    return {**{key: mail[key] for key in ("sessions_per_s",
                                          "cpu_us_per_session")}, **stream}


def measure_core(run):
    """Client, forwarder and server on one core: what a forwarder costs without
    the wake-ups across cores, whose number the scheduler decides."""
    with all_on_one_core(run):
        run.interleaved(
            "core", core_exchange, run.taking_part(
                "core", (*USER_SPACE, "direct")),
            rounds=run.options.exchange_turns)
        run.interleaved("core", core, run.taking_part("core", USER_SPACE))


def interleaved_part(one, names=None, places=None, rounds=None):
    def measure(run):
        options = run.options
        run.interleaved(
            one.__name__, one, run.taking_part(one.__name__, names),
            getattr(options, places) if places else (None,),
            getattr(options, rounds) if rounds else None)

    return measure


PARTS = {
    "smtp": interleaved_part(smtp),
    "session": interleaved_part(session),
    "pingpong": interleaved_part(
        pingpong, (*USER_SPACE, "direct", "nft-dnat"),
        rounds="exchange_turns"),
    "bulk": interleaved_part(bulk),
    "core": measure_core,
    "syscalls": interleaved_part(syscalls, USER_SPACE,
                                 rounds="memory_rounds"),
    "memory": measure_memory,
    "flows": interleaved_part(flows, USER_SPACE, "flow_counts",
                              "flow_rounds"),
    "sizes": interleaved_part(sizes, (*USER_SPACE, "direct"), "size_steps",
                              "flow_rounds"),
    "workers": measure_workers,
    "flood": measure_flood,
    "admin": measure_admin,
    "harness": measure_harness,
    "scale": measure_scale,  # gives rules, targets and reload
}
