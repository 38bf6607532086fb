"""What stands behind the forwarders, and what loads them."""

import json
import subprocess

from .processes import Process, wait_until
from .topology import TARGET

# Services behind each forwarder, and their ports.
SERVICES = {
    "sink": 2525,    # Postfix's smtp-sink; health checks go there as well
    "target": 2526,  # nlbd-smtp-target, for nlbbench
    "bulk": 5201,    # iperf3
}


class Peers:
    def __init__(self, topology, directory, build):
        self.topology = topology
        self.directory = directory
        self.build = build
        self.processes = []

    def __enter__(self):
        try:
            self._start("sink", [
                "smtp-sink", "-u", "nobody",
                f"{TARGET}:{SERVICES['sink']}", "4096"])
            self._start("target", [
                self.build / "bench/nlbd-smtp-target",
                "--listen", f"{TARGET}:{SERVICES['target']}"])
            self._start("bulk", [
                "iperf3", "--server", "--bind", TARGET,
                "--port", str(SERVICES["bulk"])])
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc):
        for process in self.processes:
            process.stop()

    def _start(self, name, argv):
        process = Process(self.topology.server.command(argv),
                          self.directory / f"{name}.log")
        self.processes.append(process)
        process.wait_for(
            lambda: self.topology.answers(TARGET, SERVICES[name]), 10,
            f"{name} listens")

    def pids(self):
        return [process.pid for process in self.processes]

    def _run(self, argv, seconds, **options):
        """timeout(1) is the one who looks at the clock: subprocess would
        look whether it has ended every 50 ms, and add them to the time."""
        return subprocess.run(
            self.topology.client.command(["timeout", seconds, *argv]),
            text=True, stdin=subprocess.DEVNULL, **options)

    def send_mails(self, to, sessions):
        """Fifty at a time, one mail of 2 KiB per session."""
        self._run(["smtp-source", "-s", "50", "-m", sessions, "-l", "2048",
                   "-f", "load@bench.example", "-t", "load@bench.example",
                   f"{to[0]}:{to[1]}"], 300, check=True)

    def send_bulk(self, to, seconds):
        """One stream; returns (bytes, bits per second) as received."""
        command = ["iperf3", "--client", to[0], "--port", to[1],
                   "--time", seconds, "--json"]
        answers = []

        def run():
            # The server may still be closing the test before this one.
            done = self._run(command, seconds + 60, capture_output=True,
                             check=False)
            answers.append(json.loads(done.stdout))
            return "error" not in answers[-1]

        wait_until(run, 10 + seconds, "iperf3 ran")
        received = answers[-1]["end"]["sum_received"]
        return received["bytes"], received["bits_per_second"]

    def nlbbench(self, to, profile, *options):
        """A whole run; its JSON. A unit that failed ends everything: the
        figures of a forwarder that loses sessions are none."""
        done = self._run([self.build / "bench/nlbbench", profile, "--json",
                          "--quiet", *options, f"{to[0]}:{to[1]}"], 300,
                         capture_output=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"bench: nlbbench {profile} to {to}: exit "
                             f"{done.returncode}\n{done.stderr}{done.stdout}")
        return json.loads(done.stdout)

    def start_nlbbench(self, to, name, profile, *options):
        """One that runs beside the caller; its lines go to a log."""
        return Process(self.topology.client.command(
            [self.build / "bench/nlbbench", profile, *options,
             f"{to[0]}:{to[1]}"]), self.directory / f"{name}.log")

    def hold(self, to, count, name):
        """So many idle flows; stop() ends them."""
        holder = self.start_nlbbench(to, f"hold-{name}", "idle", "--flows",
                                     count, "--duration", 3600)
        holder.wait_for(lambda: f"holding {count}" in holder.text(), 90,
                        f"{count} flows are held through {name}")
        return holder
