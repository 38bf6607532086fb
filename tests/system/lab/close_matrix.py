"""The close matrix: who ends a flow how, in which moment.

A cell is played by an actor (the side that ends) and the other side. What
plain TCP between the two would show is what a faithful forwarder has to show;
tests/system/test_lab.py checks this table against plain TCP itself.

How the pump's mode is provoked: `copy` writes 4 KiB pieces and is never more
than 8 KiB ahead of the reader, so that no read in the forwarder fills its
buffer; `splice` writes 10 MB as fast as the sockets take it. An idle splice
cell has moved 1 MB each way before.
"""
import contextlib
import itertools
from dataclasses import dataclass

from .capture import Capture, acknowledged, ending
from .ini import TARGET_PORT
from .netns import TARGET4
from .peers import FIN, RST, Target, connect, stream
from .wait import wait_until

EVENTS = ("fin", "half-close", "rst", "fin-unread", "rst-unread")
ACTORS = ("client", "target")
STATES = ("idle", "mid-transfer")
MODES = ("copy", "splice")
MIB10 = 10 * 1024 * 1024
UNREAD_SMALL = 1000
UNREAD_COPY = 32 * 1024


@dataclass(frozen=True)
class Outcome:
    # Bytes of the actor that must reach the other side: "all", or at least
    # what the forwarder's kernel acknowledged before the reset ("acked").
    forward: str
    # What ends the stream at the other side: FIN, or RST and no FIN at all.
    other_sees: str
    # Must the other side's bytes all reach the actor, ended by FIN?
    backward: bool


EXPECTED = {
    ("fin", "idle"): Outcome("all", FIN, False),
    ("fin", "mid-transfer"): Outcome("all", FIN, False),
    ("half-close", "idle"): Outcome("all", FIN, True),
    ("half-close", "mid-transfer"): Outcome("all", FIN, True),
    ("rst", "idle"): Outcome("all", RST, False),
    ("rst", "mid-transfer"): Outcome("acked", RST, False),
    ("fin-unread", "idle"): Outcome("all", FIN, True),
    ("fin-unread", "mid-transfer"): Outcome("all", FIN, True),
    ("rst-unread", "idle"): Outcome("all", RST, False),
    ("rst-unread", "mid-transfer"): Outcome("acked", RST, False),
}


@dataclass(frozen=True)
class Cell:
    event: str
    actor: str
    state: str
    mode: str

    def __str__(self):
        return f"{self.event}-by-{self.actor}-{self.state}-{self.mode}"

    @property
    def outcome(self):
        return EXPECTED[self.event, self.state]

    @property
    def reason(self):
        """The flow log's end_reason."""
        return f"{self.actor}-{self.outcome.other_sees}"


CELLS = [Cell(*parts) for parts in
         itertools.product(EVENTS, ACTORS, STATES, MODES)]


@dataclass
class Observation:
    """What peers and captures saw of a played cell."""
    client: tuple  # the client's address: the flow's name in the log
    forward_sent: int
    forward_received: int
    forward_exact: bool
    forward_prefix: bool
    forward_acked: int
    other_ending: str
    other_wire: str  # ending on the wire towards the other side
    actor_ending: str
    actor_wire: str
    backward_exact: bool


def observe(cell, network, forwarder, target_address=TARGET4[0],
            target_port=TARGET_PORT):
    """Plays one cell through a forwarder under two captures."""
    with contextlib.ExitStack() as stack:
        front = stack.enter_context(Capture(network.client, "wire"))
        back = stack.enter_context(Capture(network.server, "wire"))
        listener = stack.enter_context(
            Target(network.server, target_address, target_port))
        client = stack.enter_context(
            connect(network.client, forwarder.address))
        target = stack.enter_context(listener.accept())
        actor, other = client, target
        if cell.actor == "target":
            actor, other = target, client
        wires = {"client": (front, client.address, client.far_address),
                 "target": (back, target.address, target.far_address)}
        name = client.address

        _greet(cell, actor, other)
        _PLAYS[cell.event](cell, actor, other)

        actor_wire = wires.pop(cell.actor)
        other_wire = wires.popitem()[1]
        return Observation(
            client=name,
            forward_sent=len(actor.offered),
            forward_received=other.received,
            forward_exact=other.has_exactly(actor.offered),
            forward_prefix=other.has_prefix_of(actor.offered),
            forward_acked=_acked(*actor_wire),
            other_ending=other.ending,
            other_wire=_wire_ending(*other_wire),
            actor_ending=actor.ending,
            actor_wire=_wire_ending(*actor_wire, wait=cell.outcome.backward),
            backward_exact=actor.has_exactly(other.offered))


def faults(cell, seen):
    """Where an observation breaks the cell's expected outcome."""
    expected, found = cell.outcome, []

    def expect(truth, complaint):
        if not truth:
            found.append(complaint)

    if expected.forward == "all":
        expect(seen.forward_exact, "the other side got "
               f"{seen.forward_received} of {seen.forward_sent} bytes")
    else:
        expect(seen.forward_prefix, "the other side got bytes never sent")
        expect(seen.forward_received >= seen.forward_acked,
               f"{seen.forward_acked} bytes were acknowledged, only "
               f"{seen.forward_received} delivered")
    expect(seen.other_ending == expected.other_sees,
           f"the other side saw {seen.other_ending}, "
           f"not {expected.other_sees}")
    expect(seen.other_wire == expected.other_sees,
           f"on the wire to the other side: {seen.other_wire}, "
           f"not {expected.other_sees}")
    if expected.backward:
        expect(seen.backward_exact, "the actor lost bytes")
        expect(seen.actor_ending == FIN,
               f"the actor saw {seen.actor_ending}, not fin")
        expect(seen.actor_wire == FIN,
               f"on the wire to the actor: {seen.actor_wire}, not fin")
    return found


def _wire_ending(capture, address, far, wait=True):
    """How the forwarder ended its direction towards `address`."""
    def look():
        return ending(capture.segments(source=far, destination=address))
    if wait:
        with contextlib.suppress(AssertionError):
            wait_until(look, 2, "an end on the wire", poll_s=0.05)
    return look()


def _acked(capture, address, far):
    """Bytes from `address` that the forwarder's kernel acknowledged."""
    # The sender's own end is the last thing it put on the wire; tcpdump may
    # be a little behind.
    wait_until(lambda: ending(capture.segments(source=address)), 5,
               "the actor's own end in the capture", poll_s=0.05)
    segments = capture.segments()
    return acknowledged(
        [s for s in segments if (s.source, s.destination) == (address, far)],
        [s for s in segments if (s.source, s.destination) == (far, address)])


# -- The plays. Nobody may be reading `actor` when it closes.

def _greet(cell, actor, other):
    size = 1024 * 1024 if (cell.mode, cell.state) == ("splice", "idle") else 99
    for sender, receiver in ((other, actor), (actor, other)):
        thread = sender.send_in_background(stream(size, sender.name))
        receiver.recv_exactly(size)
        thread.join()


def _send(cell, sender, receiver, data):
    """A bulk transfer in the cell's mode, to a receiver that is read."""
    if cell.mode == "copy":
        sender.send_paced(data, receiver)
    else:
        sender.send(data)


def _leave_unread(cell, actor, other):
    """Puts input in front of an actor that does not read; returns a function
    that sends the rest of it."""
    size = UNREAD_SMALL if cell.state == "idle" else MIB10
    data = stream(size, "unread")
    if cell.state == "mid-transfer" and cell.mode == "splice":
        thread = other.send_in_background(data)
        wait_until(lambda: actor.unread() > 0, 5, "unread input")
        return thread.join
    queued = min(size, UNREAD_COPY)
    for at in range(0, queued, 4096):
        other.send(data[at:min(at + 4096, queued)])
        end = min(at + 4096, queued)
        wait_until(lambda: actor.unread() >= end, 5, "unread input", 0.0005)
    return lambda: other.send_paced(data[queued:], actor)


def _play_fin(cell, actor, other):
    other.start_reading()
    if cell.state == "mid-transfer":
        _send(cell, actor, other, stream(MIB10))
    actor.close()
    other.read_to_end()
    other.close()


def _play_half_close(cell, actor, other):
    data, reply = stream(MIB10), stream(MIB10, "reply")
    other.start_reading()
    actor.start_reading()
    if cell.state == "mid-transfer":
        if cell.mode == "splice":
            replying = other.send_in_background(reply[:MIB10 // 2])
            actor.send(data)
            replying.join()
        else:  # both directions advance in turns
            step = 65536
            for at in range(0, MIB10, step):
                actor.send_paced(data[at:at + step], other)
                if at < MIB10 // 2:
                    other.send_paced(reply[at:at + step], actor)
    actor.finish()
    other.read_to_end()
    if cell.state == "mid-transfer":
        _send(cell, other, actor, reply[MIB10 // 2:])
    else:
        _send(cell, other, actor, reply[:65536])
    other.finish()
    actor.read_to_end()


def _play_rst(cell, actor, other):
    if cell.state == "mid-transfer" and cell.mode == "splice":
        # The other side reads only after the reset: what is queued on the
        # way has to survive it.
        actor.send_until_blocked(stream(MIB10))
        actor.reset()
        other.start_reading()
    else:
        other.start_reading()
        if cell.state == "mid-transfer":
            actor.send_paced(stream(MIB10)[:MIB10 // 2], other)
            actor.send(stream(8192, "tail"))
        else:
            wait_until(lambda: actor.unsent() == 0, 5, "all acknowledged")
        actor.reset()
    other.read_to_end()


def _play_fin_unread(cell, actor, other):
    send_rest = _leave_unread(cell, actor, other)
    other.start_reading()
    if cell.state == "mid-transfer":
        _send(cell, actor, other, stream(MIB10))
    else:
        actor.send(b"bye\r\n")
    actor.finish()
    other.read_to_end()
    actor.start_reading()
    send_rest()
    other.finish()
    actor.read_to_end()


def _play_rst_unread(cell, actor, other):
    _leave_unread(cell, actor, other)
    other.start_reading()
    if cell.state == "mid-transfer":
        _send(cell, actor, other, stream(MIB10)[:MIB10 // 2])
    else:
        actor.send(b"bye\r\n")
        wait_until(lambda: actor.unsent() == 0, 5, "all acknowledged")
    actor.close()
    other.read_to_end()


_PLAYS = {
    "fin": _play_fin,
    "half-close": _play_half_close,
    "rst": _play_rst,
    "fin-unread": _play_fin_unread,
    "rst-unread": _play_rst_unread,
}
