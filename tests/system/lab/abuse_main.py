"""Abuses the admin interface in one way, at a bounded rate.

    abuse_main.py KIND ADDRESS PORT       (uid: KIND SOCKET)

slow: requests of a byte every 0.1 s; half-open: a thousand that stop in the
middle, each begun anew when it is ended; line: one of 1 GB; host, post, uid: a
wrong Host, POST on TCP, a stranger on the unix socket. Prints `abusing` when it
is under way, `ended` when a try was ended for the first time, and at SIGTERM
one JSON object: tries, outcomes (a status, or `cut` without one), the longest
time one was left, the most bytes it took.
"""
import collections
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
TIMEOUT_S = 20  # nlbd has less patience: that is what is tried
SLOW, HALF_OPEN = 24, 1000  # fewer and more than there are places


class Abuse:
    def __init__(self, family, address, head, body=b""):
        self.family, self.address = family, address
        self.head, self.body = head, body
        self.outcomes = collections.Counter()
        self.tries = 0
        self.longest_s, self.most_bytes = 0.0, 0

    def connect(self):
        self.tries += 1
        sock = socket.socket(self.family, socket.SOCK_STREAM)
        sock.settimeout(TIMEOUT_S)
        sock.connect(self.address)
        return sock

    def end(self, sock, begun):
        """It was ended: with which answer, and after how long?"""
        try:
            words = sock.recv(4096).split(None, 2)
        except OSError:
            words = []
        if not self.outcomes:
            print("ended", flush=True)
        self.outcomes[words[1].decode() if len(words) > 1 else "cut"] += 1
        self.longest_s = max(self.longest_s, time.monotonic() - begun)
        sock.close()

    def send_all(self, sock):
        """The head, then the body as often as it is taken; the count."""
        sent = 0
        try:
            sent += sock.send(self.head)
            while self.body and sent < LINE_MAX:
                sent += sock.send(self.body)
        except OSError:
            pass
        self.most_bytes = max(self.most_bytes, sent)

    def one_by_one(self):
        while True:
            begun = time.monotonic()
            try:
                sock = self.connect()
            except OSError:
                self.outcomes["cut"] += 1
            else:
                self.send_all(sock)
                self.end(sock, begun)
            if self.tries == 1:
                print("abusing", flush=True)
            time.sleep(max(0, begun + 1 / RATE - time.monotonic()))

    def crowd(self, size, drip):
        """So many at once. Those that were ended come again, at the rate; each
        sends a byte in DRIP_S. Nothing is done in one go: how this program
        uses the machine is not what is tried."""
        poll, held = select.epoll(), {}
        dripping = collections.deque()

        def add():
            try:
                sock = self.connect()
                sock.sendall(self.head)
            except OSError:
                self.outcomes["cut"] += 1
                return
            held[sock.fileno()] = sock, time.monotonic()
            poll.register(sock, select.EPOLLIN)
            if drip:
                dripping.append(sock)

        def remove(fd):
            poll.unregister(fd)
            self.end(*held.pop(fd))

        def drop():
            """A byte from who has waited longest."""
            sock = dripping.popleft()
            if sock.fileno() not in held:
                return  # ended
            try:
                sock.send(drip)
            except OSError:
                remove(sock.fileno())
            else:
                dripping.append(sock)

        while self.tries < size:
            add()
        print("abusing", flush=True)
        while True:
            begun = time.monotonic()
            for fd, _ in poll.poll(0):
                remove(fd)
            if drip:
                for _ in range(math.ceil(len(dripping) / (DRIP_S * RATE))):
                    drop()
            if len(held) < size:
                add()
            time.sleep(max(0, begun + 1 / RATE - time.monotonic()))


def main():
    kind, *where = sys.argv[1:]
    family = socket.AF_UNIX if kind == "uid" else socket.AF_INET
    address = where[0] if kind == "uid" else (where[0], int(where[1]))
    host = b"\r\nHost: localhost\r\n"
    get = b"GET /v1/status HTTP/1.1"
    head, body = {
        "slow": (get + b"\r\nX-Slow: ", b""),
        "half-open": (get + b"\r\nX-Half: ", b""),
        "line": (b"GET /", BLOCK),
        "host": (get + b"\r\nHost: rebound.example\r\n\r\n", b""),
        "post": (b"POST /v1/reload HTTP/1.1" + host
                 + b"Content-Length: 0\r\n\r\n", b""),
        "uid": (get + host + b"\r\n", b""),
    }[kind]
    abuse = Abuse(family, address, head, body)

    def finish(*_):
        """An exception would be lost where Python ends an object."""
        text = json.dumps({
            "tries": abuse.tries, "outcomes": abuse.outcomes,
            "longest_s": abuse.longest_s, "most_bytes": abuse.most_bytes})
        os.write(sys.stdout.fileno(), f"\n{text}\n".encode())
        os._exit(0)

    signal.signal(signal.SIGTERM, finish)
    if kind in ("slow", "half-open"):
        abuse.crowd(SLOW if kind == "slow" else HALF_OPEN,
                    b"x" if kind == "slow" else b"")
    else:
        abuse.one_by_one()


main()
