"""Echo targets and client load in processes of their own."""
import json
import pathlib
import subprocess
import sys

from .netns import CLIENT4
from .process import Process

HERE = pathlib.Path(__file__).parent
# Failed before the handshake was done: what no event inside nlbd may cause.
UNCONNECTED = ("refused", "connect-reset", "connect-timeout")


class EchoTargets:
    """Echo servers on several addresses of the server namespace."""

    def __init__(self, network, addresses, port):
        self._process = Process(
            network.server.command([sys.executable, HERE / "echo_main.py",
                                    port, *addresses]),
            name="echo targets", stdin=subprocess.PIPE)

    def __enter__(self):
        self._process.start()
        self._process.wait_line("^ready$", 10)
        return self

    def __exit__(self, *exc):
        self._process.kill()

    def _ask(self, command):
        before = len(self._process.lines)
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        line = self._process.wait_line(r"^\{.*\}$", 10, start=before)
        return json.loads(line[0])

    def refuse(self, address):
        """The port is closed from now on; connections live on."""
        self._ask(f"close {address}")

    def serve(self, address):
        self._ask(f"open {address}")

    def counts(self):
        """Echoed reads by address."""
        return self._ask("counts")["counts"]

    def connections(self):
        return self._ask("counts")["connections"]


class Load:
    """Sessions from the client namespace; see load_main.py."""

    def __init__(self, network, to, sources=CLIENT4, **options):
        argv = [sys.executable, HERE / "load_main.py", "--to",
                f"[{to[0]}]:{to[1]}", "--sources", *sources]
        for key, value in options.items():
            argv += [f"--{key}"] if value is True else [f"--{key}", value]
        self._process = Process(network.client.command(argv), name="load",
                                stdin=subprocess.PIPE)

    def start(self):
        self._process.start()
        return self

    def result(self, deadline_s=60):
        """Waits for the end of a counted run."""
        match = self._process.wait_line(r"^\{.*\}$", deadline_s)
        self._process.wait(5)
        return Result(json.loads(match[0]), self._process.text())

    def stop(self, deadline_s=30):
        """Ends an open run: no new session, those begun may finish."""
        self._process.stdin.close()
        return self.result(deadline_s)

    def kill(self):
        self._process.kill()

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.kill()


class Result:
    def __init__(self, values, text):
        self.outcomes = values["outcomes"]
        self.held = values["held"]
        self.targets = values["targets"]
        self.by_source = values["by_source"]
        self.rate = values["rate"]
        self.rounds = values["rounds"]  # lines echoed, mails submitted
        self.slowest_connect = values["slowest_connect"]
        self.text = text

    @property
    def failed(self):
        """Every outcome that is not a success, held flows included."""
        return {k: v for counter in (self.outcomes, self.held)
                for k, v in counter.items() if k != "ok"}

    @property
    def unconnected(self):
        return {k: v for k, v in self.outcomes.items() if k in UNCONNECTED}

    @property
    def ok(self):
        return self.outcomes.get("ok", 0)

    def __repr__(self):
        return (f"{self.outcomes} held {self.held} targets {self.targets} "
                f"{self.rate:.0f}/s slowest connect "
                f"{self.slowest_connect:.3f} s")


def sessions(network, to, count, **options):
    """A counted run; its result."""
    with Load(network, to, count=count, **options) as load:
        return load.result()
