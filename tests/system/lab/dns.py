"""A dnsmasq in the server namespace whose records a test changes."""
import pathlib
import signal
import tempfile

from .netns import TARGET4
from .process import Process
from .wait import wait_until

ADDRESS, PORT = TARGET4[-1], 5353
TTL_S = 1


class Dnsmasq:
    """Answers for the names of `records`, {name: [address, ...]}."""

    def __init__(self, network, records, ttl=TTL_S):
        self._directory = tempfile.TemporaryDirectory(prefix="nlbd-test-")
        self.directory = pathlib.Path(self._directory.name)
        self.directory.chmod(0o755)
        self.network = network
        self._hosts = self.directory / "hosts"
        self._write(records)
        self._process = Process(network.server.command(
            ["dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--no-hosts",
             "--no-resolv", "--bind-interfaces", "--cache-size=0",
             "--user=root", "--log-queries", "--log-facility=-",
             f"--listen-address={ADDRESS}", f"--port={PORT}",
             f"--addn-hosts={self._hosts}", f"--local-ttl={ttl}",
             f"--pid-file={self.directory}/pid"]), name="dnsmasq")
        self.resolver = f"{ADDRESS}:{PORT}"

    def _write(self, records):
        self._hosts.write_text("".join(
            f"{address} {name}\n" for name, addresses in records.items()
            for address in addresses))

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.stop()
        self._directory.cleanup()

    def start(self):
        self._process.start()
        wait_until(lambda: f"{ADDRESS}:{PORT} " in
                   self.network.server.run("ss", "-ulnH").stdout, 10,
                   "dnsmasq listens")
        return self

    def stop(self):
        self._process.terminate()

    def change(self, records):
        """From the next question on."""
        before = len(self._process.lines)
        self._write(records)
        self._process.signal(signal.SIGHUP)
        self._process.wait_line("read ", 10, start=before)

    def questions(self):
        return [line for line in self._process.lines if "query[" in line]
