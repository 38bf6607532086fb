"""When nlbd decided, and what it connected to after that.

Both on one clock: nlbd's log and a capture of the SYNs towards the targets,
to the microsecond.
"""
import collections
import datetime

from .capture import Capture

SYN_ONLY = "tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn"


def decided_at(nlbd, text, start=0, deadline_s=20):
    """The time of the first log line from line `start` on with text in it."""
    match = nlbd.process.wait_line(
        rf"^(\S+Z) nlbd: \w+: .*(?:{text})", deadline_s, start)
    return datetime.datetime.fromisoformat(match[1]).timestamp()


class NewFlows(Capture):
    """The SYNs of flows towards the targets, as nlbd sends them."""

    def __init__(self, network, port):
        super().__init__(network.nlbd, "back",
                         f"{SYN_ONLY} and dst port {port}")

    def by_target(self):
        """{address: times of the new flows to it}; a SYN sent again is the
        same flow."""
        first = {}
        for syn in self.segments():
            first.setdefault((syn.destination[0], syn.source, syn.seq),
                             syn.time)
        times = collections.defaultdict(list)
        for (address, *_), when in first.items():
            times[address].append(when)
        return times

    def to(self, address, since=0.0, until=float("inf")):
        """Times of the new flows to one target."""
        return [t for t in self.by_target()[address] if since < t < until]


def late(times, decided):
    """For people: how late the last of these flows was."""
    after = [t - decided for t in times if t > decided]
    return f"{len(after)} later, {max(after, default=0) * 1000:.3f} ms at most"
