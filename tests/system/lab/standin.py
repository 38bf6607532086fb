"""Other ways from client to target, to try the tests themselves.

Direct routing shows what plain TCP does; HAProxy in TCP mode is a forwarder
that turns a reset into a clean end. A matrix that stays green with it would
prove nothing. Careless and Spoiler break the rules on purpose.
"""
import contextlib
import pathlib
import socket
import tempfile
import threading

from . import ini
from .netns import FRONT4, TARGET4
from .peers import LINGER_0
from .process import Process
from .wait import wait_until


class Direct:
    """No forwarder: the kernel routes."""

    def __init__(self, network, port=ini.TARGET_PORT):
        self.network = network
        self.address = (TARGET4[0], port)

    def __enter__(self):
        self.network.route_directly(True)
        return self

    def __exit__(self, *exc):
        self.network.route_directly(False)


class HAProxy:
    """HAProxy in TCP mode in nlbd's place."""

    def __init__(self, network, targets=(TARGET4[0],), port=ini.PORT,
                 target_port=ini.TARGET_PORT):
        self.network = network
        self.address = (FRONT4, port)
        self._directory = tempfile.TemporaryDirectory(prefix="nlbd-test-")
        config = pathlib.Path(self._directory.name) / "haproxy.cfg"
        servers = "\n".join(f"    server t{n} {a}:{target_port}"
                            for n, a in enumerate(targets))
        config.write_text(f"""
global
    maxconn 4000
defaults
    mode tcp
    timeout connect 3s
    timeout client 350s
    timeout server 350s
    option splice-auto
frontend front
    bind :::{port} v4v6
    default_backend back
backend back
{servers}
""")
        self._process = Process(network.nlbd.command(
            ["haproxy", "-db", "-f", config]))

    def __enter__(self):
        self._process.start()
        wait_until(lambda: f":{self.address[1]} " in self.network.nlbd.run(
            "ss", "-tlnH").stdout, 5, "HAProxy listens")
        return self

    def __exit__(self, *exc):
        self._process.kill()
        self._directory.cleanup()


class Careless:
    """A relay of a few lines that ends both sides at the first end of either:
    "launder" makes every end a FIN, "abort" makes every end an RST, "swallow"
    passes no end on."""

    def __init__(self, network, how, port=ini.PORT + 1,
                 target=(TARGET4[0], ini.TARGET_PORT)):
        self.network, self.how, self.target = network, how, target
        self.address = (FRONT4, port)
        self._listener = None
        self._sockets = []
        self._clients = set()  # the sockets of these that are clients' ends

    def __enter__(self):
        self._listener = self.network.nlbd.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(self.address)
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *exc):
        for sock in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)  # wakes whoever waits in it
            sock.close()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                target = self.network.nlbd.socket()
                self._sockets += [client, target]
                target.connect(self.target)
                self._clients.add(client)
                for pair in ((client, target), (target, client)):
                    threading.Thread(target=self._pump, args=pair,
                                     daemon=True).start()

    def _forward(self, source, destination):
        while data := source.recv(65536):
            destination.sendall(data)

    def _pump(self, source, destination):
        with contextlib.suppress(OSError):
            self._forward(source, destination)
        if self.how == "swallow":
            return
        for sock in (destination, source):
            with contextlib.suppress(OSError):
                if self.how == "abort":
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                    LINGER_0)
                    sock.shutdown(socket.SHUT_RD)  # wakes the other pump
                    sock.close()
                else:
                    sock.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):
            while source.recv(65536):
                pass  # unread input would turn the FIN into an RST


class Spoiler(Careless):
    """A relay that spoils one byte of every connection: "drop" loses it,
    "duplicate" sends it twice, "reorder" swaps it with the next that differs;
    None spoils nothing. Towards the "target" or the "client"."""

    def __init__(self, network, how, towards, at, **options):
        super().__init__(network, "launder", **options)
        self.spoiling, self.towards, self.at = how, towards, at

    def _forward(self, source, destination):
        towards = "target" if source in self._clients else "client"
        if towards != self.towards or self.spoiling is None:
            super()._forward(source, destination)
            return
        passed, held = 0, b""
        while data := source.recv(65536):
            data, held = held + data, b""
            if passed <= self.at < passed + len(data):
                data, held = self._spoil(data, self.at - passed)
            passed += len(data)
            destination.sendall(data)

    def _spoil(self, data, at):
        """What to send of data now, and what with the next that comes."""
        byte, rest = data[at:at + 1], data[at + 1:]
        if self.spoiling == "drop":
            return data[:at] + rest, b""
        if self.spoiling == "duplicate":
            return data[:at] + byte + byte + rest, b""
        other = next((i for i, c in enumerate(rest) if c != byte[0]), None)
        if other is None:
            self.at += 1  # nothing to swap it with has come yet
            return data[:at], data[at:]
        rest = bytearray(rest)
        byte, rest[other] = bytes([rest[other]]), byte[0]
        return data[:at] + byte + bytes(rest), b""
