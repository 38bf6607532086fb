"""Two peers of one flow that do what a seed says, and what each must see.

Every few steps one of them sends, reads, ends its stream or resets. What a
peer has sent is a piece of one pattern from its start, so that each byte that
arrives is known by its place.
"""
import errno
import random
import select
import socket
import time

from .peers import FIN, LINGER_0, RST

PATTERN = random.Random(1).randbytes(1 << 20) * 4
SIZES = (1, 100, 1460, 4096, 65536, 300_000)
CHOICES = {"send": 40, "read": 40, "rest": 15, "finish": 3, "reset": 2}
END_S = 30
RESETS = (errno.ECONNRESET, errno.EPIPE)


class End:
    """One peer: non-blocking, and it remembers."""

    def __init__(self, sock):
        self.sock = sock
        sock.setblocking(False)
        self.sent = self.received = 0
        self.finished = self.has_reset = False
        self.ending = None  # how the other direction ended

    def send(self, size):
        if self.finished or self.has_reset or self.ending == RST:
            return
        try:
            self.sent += self.sock.send(
                PATTERN[self.sent:min(self.sent + size, len(PATTERN))])
        except OSError as error:
            self._failed(error)

    def read(self, size):
        if self.has_reset or self.ending is not None:
            return
        try:
            data = self.sock.recv(size)
        except OSError as error:
            self._failed(error)
            return
        assert data == PATTERN[self.received:self.received + len(data)], (
            f"other bytes than were sent, at {self.received}")
        self.received += len(data)
        if not data:
            self.ending = FIN

    def _failed(self, error):
        if error.errno in RESETS:
            self.ending = RST
        elif error.errno != errno.EAGAIN:
            raise error

    def finish(self):
        if self.has_reset or self.finished or self.ending == RST:
            return
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError as error:  # reset, and nobody has read that yet
            assert error.errno == errno.ENOTCONN
            return
        self.finished = True

    def reset(self):
        if self.has_reset:
            return
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_0)
        self.sock.close()
        self.has_reset = True

    @property
    def is_over(self):
        return self.has_reset or self.ending is not None

    def close(self):
        self.sock.close()


class Schedule:
    def __init__(self, seed, client, target):
        self.seed = seed
        self.random = random.Random(seed)
        self.address = client.getsockname()[:2]
        self.ends = (End(client), End(target))

    def step(self):
        end = self.random.choice(self.ends)
        what, = self.random.choices(list(CHOICES), CHOICES.values())
        if what in ("send", "read"):
            getattr(end, what)(self.random.choice(SIZES))
        elif what != "rest":
            getattr(end, what)()

    def check(self):
        """Faults, as texts."""
        faults = []
        for name, end, other in (("client", *self.ends),
                                 ("target", *reversed(self.ends))):
            if end.has_reset:
                continue
            if not other.has_reset:
                wanted = (FIN, other.sent)
                if (end.ending, end.received) != wanted:
                    faults.append(f"{name} saw {end.ending} after "
                                  f"{end.received}, not {wanted}")
            elif end.ending == FIN and not (other.finished and
                                            end.received == other.sent):
                faults.append(f"{name} saw FIN after {end.received} of "
                              f"{other.sent} bytes of a peer that reset")
            elif end.ending is None:
                faults.append(f"{name} never saw the reset")
        return [f"seed {self.seed}: {fault}" for fault in faults]

    def reasons(self):
        """How nlbd may say that the flow ended."""
        client, target = self.ends
        reasons = set()
        if client.has_reset:
            reasons.add("client-rst")
        if target.has_reset:
            reasons.add("target-rst")
        if client.finished and target.finished or not reasons:
            reasons |= {"client-fin", "target-fin"}
        return reasons


def play(schedules, steps):
    """All of them side by side, then each to its end."""
    for _ in range(steps):
        for schedule in schedules:
            schedule.step()
    for schedule in schedules:
        for end in schedule.ends:
            end.finish()
    open_ends = {end for schedule in schedules for end in schedule.ends
                 if not end.is_over}
    deadline = time.monotonic() + END_S
    while open_ends and time.monotonic() < deadline:
        ready, _, _ = select.select([e.sock for e in open_ends], [], [], 1)
        for end in [e for e in open_ends if e.sock in ready]:
            end.read(1 << 20)
        open_ends = {end for end in open_ends if not end.is_over}
