"""nlbd with sockets that somebody else has opened, as systemd passes them."""
import contextlib
import fcntl
import os
import socket

from .daemon import NLBD, Daemon
from .process import Process

NOBODY = 65534
FIRST_FD = 3
# Descriptors and LISTEN_PID are those of the process that becomes nlbd.
BECOME = "LISTEN_PID=$$ exec \"$@\""


def listening(namespace, address, port, backlog=1024):
    """As a socket unit with ReusePort= and NoDelay= opens it."""
    sock = namespace.socket()
    for level, option in ((socket.SOL_SOCKET, socket.SO_REUSEADDR),
                          (socket.SOL_SOCKET, socket.SO_REUSEPORT),
                          (socket.IPPROTO_TCP, socket.TCP_NODELAY)):
        sock.setsockopt(level, option, 1)
    sock.bind((address, port))
    sock.listen(backlog)
    return sock


class ActivatedDaemon(Daemon):
    """The sockets are held from before the first start until close(); nlbd is
    nobody and has no capability but those that are named."""

    def __init__(self, network, sections, sockets, names=(),
                 capabilities=()):
        super().__init__(network, sections)
        self.sockets, self.names = list(sockets), names
        self.capabilities = ",".join(["-all", *map("+{}".format,
                                                   capabilities)])
        run = self.directory / "run"
        run.mkdir()
        os.chown(run, NOBODY, NOBODY)
        self.socket = run / "nlbd.sock"
        self.flow_log_path = run / "flows.log"
        self.write(sections)

    def hold_admin_socket(self):
        """Another one that is passed."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.bind(str(self.socket))
        os.chown(self.socket, NOBODY, NOBODY)
        sock.listen(16)
        self.sockets.append(sock)

    def argv(self, *extra):
        redirections = "".join(
            f" {FIRST_FD + n}<&{sock.fileno()} {sock.fileno()}<&-"
            for n, sock in enumerate(self._high()))
        return ["bash", "-c", BECOME + redirections, "bash",
                *self.network.nlbd.command([
                    "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}",
                    "--clear-groups", f"--inh-caps={self.capabilities}",
                    f"--ambient-caps={self.capabilities}",
                    f"--bounding-set={self.capabilities}",
                    "--", NLBD, "-c", self.config, *extra])]

    def _high(self):
        """None of them has a number that another one is to get."""
        end = FIRST_FD + len(self.sockets)
        for n, sock in enumerate(self.sockets):
            if sock.fileno() < end:
                fd = fcntl.fcntl(sock, fcntl.F_DUPFD_CLOEXEC, end)
                sock.close()
                self.sockets[n] = socket.socket(fileno=fd)
        return self.sockets

    def environment(self):
        return {**super().environment(),
                "LISTEN_FDS": str(len(self.sockets)),
                "LISTEN_FDNAMES": ":".join(self.names)}

    def launch(self):
        argv = self.argv()
        self.process = Process(
            argv, name="nlbd", env=self.environment(),
            pass_fds=[sock.fileno() for sock in self.sockets]).start()
        return self

    def close(self):
        with contextlib.ExitStack() as stack:
            for sock in self.sockets:
                stack.callback(sock.close)
            super().close()
