"""The harness by itself: is it, and not a forwarder, the limit?"""

import json
import os

from .forwarders import Direct, HAProxy
from .processes import Process
from .topology import TARGET

FIRST_PORT = 20800
LOAD = ["smtp", "--flows", 50, "--warm-up", 0.5]


class Alone(Direct):
    """nlbbench pointed at the target with nothing between them, over loopback:
    a pair on each core, as forwarders scale as well."""

    name = "alone"
    parts = ["harness"]

    def __init__(self, topology, build):
        super().__init__(topology)
        self.build = build
        self.targets = []

    def command(self, cpu, program, *options):
        return self.topology.server.command([
            "taskset", "-c", cpu, self.build / "bench" / program, *options,
            f"{TARGET}:{FIRST_PORT + cpu}"])

    def start(self, directory):
        for cpu in sorted(os.sched_getaffinity(0)):
            target = Process(self.command(cpu, "nlbd-smtp-target", "--listen"),
                             directory / f"alone-target-{cpu}.log")
            self.targets.append((cpu, target))
            target.wait_for(lambda t=target: "listening" in t.text(), 10,
                            "the target listens")

    def stop(self):
        for _, target in self.targets:
            target.stop()
        self.targets = []

    def drive(self, directory, seconds):
        """Sessions per second, all pairs at the same time."""
        clients = [Process(self.command(
            cpu, "nlbbench", *LOAD, "--json", "--quiet", "--duration",
            seconds),
            directory / f"alone-client-{cpu}.log") for cpu, _ in self.targets]
        try:
            if any([client.wait(seconds + 60) for client in clients]):
                raise SystemExit("bench: nlbbench alone:\n" + "\n".join(
                    client.text() for client in clients))
        finally:
            for client in clients:
                client.stop()
        return sum(json.loads(client.text())["units"]["session"]["per_s"]
                   for client in clients)


def one(run, forwarder, _, is_warm_up):
    seconds = 0.5 if is_warm_up else run.options.seconds
    if isinstance(forwarder, Alone):
        rate = forwarder.drive(run.directory, seconds)
    else:
        result = run.peers.nlbbench(forwarder.address("target"), *LOAD,
                                    "--duration", seconds)
        rate = result["units"]["session"]["per_s"]
    return {"sessions_per_s": rate}


def measure_harness(run):
    """Beside HAProxy in the same rounds."""
    run.interleaved("harness", one, [
        Alone(run.topology, run.options.build),
        *(f for f in run.forwarders if type(f) is HAProxy)])
