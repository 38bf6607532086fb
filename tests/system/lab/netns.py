"""Network namespaces client - nlbd - server, joined by two veth pairs.

There is no route from client to server: only a process in the nlbd namespace
can reach the targets, which is nlbd's whole reason to be.
"""
import atexit
import contextlib
import ctypes
import os
import socket
import subprocess

CLONE_NEWNET = 0x40000000
PREFIX = "nlbdtest"
ADDRESSES = range(10, 20)

CLIENT4 = [f"192.0.2.{n}" for n in ADDRESSES]
CLIENT6 = [f"2001:db8::{n}" for n in ADDRESSES]
TARGET4 = [f"10.20.0.{n}" for n in ADDRESSES]
TARGET6 = [f"fd00::{n}" for n in ADDRESSES]
FRONT4, FRONT6 = "192.0.2.1", "2001:db8::1"
BACK4, BACK6 = "10.20.0.1", "fd00::1"

_libc = ctypes.CDLL(None, use_errno=True)


def _run(*argv):
    subprocess.run(argv, check=True, capture_output=True, text=True)


class Namespace:
    """One network namespace by its name under /run/netns."""

    def __init__(self, name):
        self.name = name
        self.path = f"/run/netns/{name}"
        _run("ip", "netns", "add", name)
        self.ip("link", "set", "lo", "up")

    def ip(self, *args):
        _run("ip", "-n", self.name, *args)

    def command(self, argv):
        """argv that runs in here; the process keeps the pid it starts with."""
        return ["nsenter", f"--net={self.path}", "--", *map(str, argv)]

    def run(self, *argv, check=True, **kwargs):
        kwargs.setdefault("capture_output", True)
        return subprocess.run(self.command(argv), check=check, text=True,
                              **kwargs)

    def sysctl(self, key, value):
        self.run("sysctl", "-q", "-w", f"{key}={value}")

    def filter_input(self, *rules):
        """Drops or rejects by nft rules on what comes in here; they replace
        those of an earlier call, none removes them."""
        ruleset = "\n".join(["flush ruleset", "table inet lab {",
                             "chain input {",
                             "type filter hook input priority 0", *rules,
                             "}", "}", ""])
        done = self.run("nft", "-f", "-", check=False, input=ruleset)
        assert done.returncode == 0, done.stderr

    def pids(self):
        out = subprocess.run(["ip", "netns", "pids", self.name], text=True,
                             check=True, capture_output=True).stdout
        return [int(word) for word in out.split()]

    @contextlib.contextmanager
    def entered(self):
        """The calling thread is in this namespace; a socket made meanwhile
        stays in it. (os.setns came with Python 3.12.)"""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(self.path, os.O_RDONLY)
        try:
            _setns(there)
            try:
                yield self
            finally:
                _setns(home)
        finally:
            os.close(there)
            os.close(home)

    def socket(self, family=socket.AF_INET, kind=socket.SOCK_STREAM):
        with self.entered():
            return socket.socket(family, kind)

    def delete(self):
        subprocess.run(["ip", "netns", "del", self.name], check=False,
                       capture_output=True)


def _setns(fd):
    if _libc.setns(fd, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class Network:
    """The three namespaces of a test run, removed at exit whatever happens."""

    def __init__(self):
        remove_stale()
        stem = f"{PREFIX}-{os.getpid()}"
        self._made = []
        atexit.register(self.close)
        self.client = self._make(f"{stem}-c")
        self.nlbd = self._make(f"{stem}-n")
        self.server = self._make(f"{stem}-s")
        self.client.ip("link", "add", "wire", "type", "veth", "peer", "name",
                       "front", "netns", self.nlbd.name)
        self.server.ip("link", "add", "wire", "type", "veth", "peer", "name",
                       "back", "netns", self.nlbd.name)
        self._address(self.client, "wire", CLIENT4, CLIENT6)
        self._address(self.nlbd, "front", [FRONT4], [FRONT6])
        self._address(self.nlbd, "back", [BACK4], [BACK6])
        self._address(self.server, "wire", TARGET4, TARGET6)
        for namespace in self._made:
            namespace.sysctl("net.ipv4.ip_local_port_range", "10000 65000")
            namespace.sysctl("net.core.somaxconn", "4096")
            # Newer kernels buffer up to 32 MB: a sender would hardly ever
            # feel that the reader has stopped.
            for buffers in ("tcp_rmem", "tcp_wmem"):
                namespace.sysctl(f"net.ipv4.{buffers}", "4096 65536 2097152")

    def _make(self, name):
        namespace = Namespace(name)
        self._made.append(namespace)
        return namespace

    @staticmethod
    def _address(namespace, device, v4, v6):
        batch = [f"address add {a}/24 dev {device}" for a in v4]
        batch += [f"address add {a}/64 dev {device} nodad" for a in v6]
        batch.append(f"link set {device} up")
        subprocess.run(["ip", "-n", namespace.name, "-batch", "-"], check=True,
                       text=True, input="\n".join(batch))

    def route_directly(self, on):
        """Lets client and server talk without a forwarder: the reference of
        what plain TCP shows."""
        self.nlbd.sysctl("net.ipv4.ip_forward", int(on))
        verb = "replace" if on else "del"
        self.client.ip("route", verb, "10.20.0.0/24", "via", FRONT4)
        self.server.ip("route", verb, "192.0.2.0/24", "via", BACK4)

    def close(self):
        while self._made:
            self._made.pop().delete()


def remove_stale():
    """Deletes the namespaces of test runs whose process is gone."""
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir("/run/netns"):
            prefix, _, rest = name.partition("-")
            pid = rest.partition("-")[0]
            if prefix == PREFIX and not os.path.exists(f"/proc/{pid}"):
                subprocess.run(["ip", "netns", "del", name], check=False,
                               capture_output=True)
