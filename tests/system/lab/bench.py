"""nlbd's own load tools in the namespaces."""
import json
import os
import subprocess

from . import ini
from .daemon import BUILD, endpoint
from .netns import FRONT4, TARGET4
from .process import Process

NLBBENCH = BUILD / "bench/nlbbench"
SMTP_TARGET = BUILD / "bench/nlbd-smtp-target"
BARE = BUILD / "bench/nlbd-bare"


class SmtpTarget:
    """nlbd-smtp-target in the server namespace."""

    def __init__(self, network, *options, address=TARGET4[0],
                 port=ini.TARGET_PORT):
        self._process = Process(network.server.command(
            [SMTP_TARGET, "--listen", f"{address}:{port}", *options]),
            name="nlbd-smtp-target")

    def __enter__(self):
        self._process.start()
        self._process.wait_line("listening on", 10)
        return self

    def __exit__(self, *exc):
        self._process.terminate()

    def stop(self):
        """Ends it; its counts."""
        self._process.terminate()
        return json.loads(self._process.find_line(r"^\{.*\}$")[0])


class Bare:
    """nlbd-bare in nlbd's place."""

    def __init__(self, network):
        self._process = Process(network.nlbd.command(
            [BARE, f"{FRONT4}:{ini.PORT}={TARGET4[0]}:{ini.TARGET_PORT}"]),
            name="nlbd-bare")

    def __enter__(self):
        self._process.start()
        self._process.wait_line("forwarding", 10)
        return self

    def __exit__(self, *exc):
        self._process.terminate()

    def open_files(self):
        return len(os.listdir(f"/proc/{self._process.pid}/fd"))


class Bench:
    """What a run of nlbbench came to."""

    def __init__(self, network, profile, to, *options, deadline_s=90):
        done = subprocess.run(
            network.client.command([
                NLBBENCH, profile, "--json", "--quiet", *options,
                endpoint(*to)]),
            capture_output=True, text=True, timeout=deadline_s, check=False)
        assert done.stdout, f"exit {done.returncode}: {done.stderr}"
        self.code = done.returncode
        self.result = json.loads(done.stdout)
        self.failures = {sort: failure["count"] for sort, failure
                         in self.result["failures"].items()}
        self.units = self.result["units"]
        self.done = sum(unit["done"] for unit in self.units.values())

    def __repr__(self):
        return f"exit {self.code}: {self.done} done, {self.result['failures']}"
