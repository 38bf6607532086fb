"""What stands behind the forwarders, and what loads them."""

import json
import subprocess

from .processes import Process, accepts, wait_until

TARGET = "127.0.0.20"
SMTP_PORT = 2525  # Postfix's smtp-sink; health checks go there as well
IDLE_PORT = 2526  # our SMTP target, for flows that are only held
BULK_PORT = 5201  # iperf3


class Peers:
    def __init__(self, directory, build):
        self.directory = directory
        self.build = build
        self.processes = []

    def __enter__(self):
        try:
            self._start("sink", SMTP_PORT, [
                "smtp-sink", "-u", "nobody", f"{TARGET}:{SMTP_PORT}", "4096"])
            self._start("idle", IDLE_PORT, [
                self.build / "bench/nlbd-smtp-target",
                "--listen", f"{TARGET}:{IDLE_PORT}"])
            self._start("iperf3", BULK_PORT, [
                "iperf3", "--server", "--bind", TARGET,
                "--port", str(BULK_PORT)])
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc):
        for process in self.processes:
            process.stop()

    def _start(self, name, port, argv):
        process = Process(argv, self.directory / f"{name}.log")
        self.processes.append(process)
        process.wait_for(lambda: accepts(TARGET, port), 10, f"{name} listens")

    @staticmethod
    def send_mails(port, sessions):
        """Fifty at a time, one mail of 2 KiB per session."""
        subprocess.run(
            ["smtp-source", "-s", "50", "-m", str(sessions), "-l", "2048",
             "-f", "load@bench.example", "-t", "load@bench.example",
             f"127.0.0.1:{port}"],
            check=True, timeout=300, stdin=subprocess.DEVNULL)

    @staticmethod
    def send_bulk(port, seconds):
        """One stream; returns (bytes, bits per second) as received."""
        command = ["iperf3", "--client", "127.0.0.1", "--port", str(port),
                   "--time", str(seconds), "--json"]
        answers = []

        def run():
            # The server may still be closing the test before this one.
            done = subprocess.run(command, capture_output=True, text=True,
                                  timeout=seconds + 60, check=False)
            answers.append(json.loads(done.stdout))
            return "error" not in answers[-1]

        wait_until(run, 10 + seconds, "iperf3 ran")
        received = answers[-1]["end"]["sum_received"]
        return received["bytes"], received["bits_per_second"]

    def hold(self, port, count, name):
        """A process that holds so many idle flows; stop() ends them."""
        holder = Process(
            [self.build / "bench/nlbd-flow-hold", "--count", count,
             f"127.0.0.1:{port}"], self.directory / f"hold-{name}.log")
        holder.wait_for(lambda: f"holding {count}" in holder.text(), 90,
                        f"{count} flows are held through {name}")
        return holder
