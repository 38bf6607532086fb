"""Abuses the admin interface in some ways at once, each at a bounded rate.

    abuse_main.py ADDRESS PORT SOCKET KIND...

slow: requests of a byte every 0.1 s; half-open: a thousand that stop in the
middle; line: one of 1 GB; host, post, uid: a wrong Host, POST on TCP, a stranger
on the unix SOCKET. Each that is ended is begun anew, and none waits for
another. Prints `abusing` when it is under way, `ended` when a try was ended for
the first time, and at SIGTERM one JSON object with, for each kind, tries, outcomes (a status,
or `cut` without one, `denied` by the kernel), the longest time one was left once it was connected, the
most bytes it took.
"""
import collections
import contextlib
import json
import math
import os
import select
import signal
import socket
import sys
import time

RATE = 100      # tries a second, after the first ones of a crowd
DRIP_S = 0.1
LINE_MAX = 1 << 30
BLOCK = b"a" * 65536
# At once: fewer and more than there are places for one source; the others wait
# for an answer.
SIZES = {"slow": 6, "half-open": 1000}
SIZE = 100
NOBODY = 65534


class Try:
    """One connection that is not let alone until it is ended."""

    def __init__(self, sock):
        self.sock = sock
        self.since = None  # it was connected
        self.sent = 0


@contextlib.contextmanager
def stranger():
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


class Abuse:
    """One kind."""

    def __init__(self, kind, address, head, body):
        self.size = SIZES.get(kind, SIZE)
        self.first = SIZES.get(kind, 1)
        self.drip = b"x" if kind == "slow" else b""
        self.is_local = kind == "uid"
        self.address, self.head, self.body = address, head, body
        self.poll, self.held = select.epoll(), {}
        self.dripping = collections.deque()
        self.outcomes = collections.Counter()
        self.tries = 0
        self.longest_s, self.most_bytes = 0.0, 0

    def begin(self):
        family = socket.AF_UNIX if self.is_local else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setblocking(False)
        try:
            with stranger() if self.is_local else contextlib.nullcontext():
                sock.connect(self.address)
        except BlockingIOError:
            if self.is_local:
                sock.close()  # its queue is full
                return
        except OSError as error:
            self.tries += 1
            denied = isinstance(error, PermissionError)
            self.outcomes["denied" if denied else "cut"] += 1
            sock.close()
            return
        self.tries += 1
        self.held[sock.fileno()] = Try(sock)
        self.poll.register(sock, select.EPOLLOUT)

    def end(self, one):
        """It was ended: with which answer, and after how long?"""
        fd = one.sock.fileno()
        try:
            words = one.sock.recv(4096).split(None, 2)
        except OSError:
            words = []
        if not self.outcomes:
            print("ended", flush=True)
        self.outcomes[words[1].decode() if len(words) > 1 else "cut"] += 1
        self.note_age(one)
        self.most_bytes = max(self.most_bytes, one.sent)
        self.poll.unregister(fd)
        del self.held[fd]
        one.sock.close()

    def note_age(self, one):
        if one.since is not None:
            self.longest_s = max(self.longest_s, time.monotonic() - one.since)

    def send(self, one):
        """The head, then the body as often as it is taken."""
        sock = one.sock
        try:
            if one.since is None:
                one.since = time.monotonic()
                one.sent = sock.send(self.head)
                if self.drip:
                    self.dripping.append(one)
            while self.body and one.sent < LINE_MAX:
                one.sent += sock.send(self.body)
        except BlockingIOError:
            return
        except OSError:
            self.end(one)
            return
        self.poll.modify(sock, select.EPOLLIN)

    def drop(self):
        """A byte from who has waited longest."""
        one = self.dripping.popleft()
        if one.sock.fileno() == -1:
            return  # ended
        try:
            one.sock.send(self.drip)
        except OSError:
            self.end(one)
        else:
            self.dripping.append(one)

    def heed(self, fd, events):
        one = self.held.get(fd)
        if one is None:
            return
        if events & ~select.EPOLLOUT:
            self.end(one)
        else:
            self.send(one)

    def begin_all(self):
        while self.tries < self.first:
            self.begin()

    def go_on(self):
        """Every 1 / RATE seconds: nothing is done in one go, as it is not how
        this program uses the machine that is tried."""
        for fd, events in self.poll.poll(0):
            self.heed(fd, events)
        for _ in range(math.ceil(len(self.dripping) / (DRIP_S * RATE))):
            self.drop()
        if len(self.held) < self.size:
            self.begin()

    def result(self):
        for one in self.held.values():
            self.note_age(one)
        return {"tries": self.tries, "outcomes": self.outcomes,
                "longest_s": self.longest_s, "most_bytes": self.most_bytes}


def main():
    address, port, path, *kinds = sys.argv[1:]
    host = b"\r\nHost: localhost\r\n"
    get = b"GET /v1/status HTTP/1.1"
    said = {
        "slow": (get + b"\r\nX-Slow: ", b""),
        "half-open": (get + b"\r\nX-Half: ", b""),
        "line": (b"GET /", BLOCK),
        "host": (get + b"\r\nHost: rebound.example\r\n\r\n", b""),
        "post": (b"POST /v1/reload HTTP/1.1" + host
                 + b"Content-Length: 0\r\n\r\n", b""),
        "uid": (get + host + b"\r\n", b""),
    }
    abuses = {kind: Abuse(kind, path if kind == "uid" else
                          (address, int(port)), *said[kind])
              for kind in kinds}

    def finish(*_):
        """An exception would be lost where Python ends an object."""
        text = json.dumps({kind: abuse.result()
                           for kind, abuse in abuses.items()})
        os.write(sys.stdout.fileno(), f"\n{text}\n".encode())
        os._exit(0)

    signal.signal(signal.SIGTERM, finish)
    for abuse in abuses.values():
        abuse.begin_all()
    print("abusing", flush=True)
    while True:
        begun = time.monotonic()
        for abuse in abuses.values():
            abuse.go_on()
        time.sleep(max(0, begun + 1 / RATE - time.monotonic()))


main()
