"""Packet captures on a veth, read back as TCP segments."""
import ipaddress
import re
import tempfile
from dataclasses import dataclass

import dpkt

from .process import Process
from .wait import wait_until

FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10
MOD32 = 1 << 32


@dataclass(frozen=True)
class Segment:
    time: float
    source: tuple  # (address, port)
    destination: tuple
    seq: int
    ack: int
    flags: int
    length: int  # payload bytes

    def has(self, flags):
        return self.flags & flags == flags

    def __str__(self):
        names = "".join(n for n, f in zip("SFRA", (SYN, FIN, RST, ACK))
                        if self.flags & f)
        return (f"{self.time:.6f} {self.source[0]}.{self.source[1]} > "
                f"{self.destination[0]}.{self.destination[1]} [{names}] "
                f"seq {self.seq} ack {self.ack} len {self.length}")


class Capture:
    """tcpdump on one device of a namespace, for the span of a `with`."""

    def __init__(self, namespace, device, expression="tcp"):
        self._file = tempfile.NamedTemporaryFile(prefix="nlbd-", suffix=".pcap")
        self._tcpdump = Process(namespace.command(
            ["tcpdump", "-i", device, "-n", "-U", "--immediate-mode", "-s",
             "128", "-B", "16384", "-Z", "root", "-w", self._file.name,
             expression]), name="tcpdump")

    def __enter__(self):
        self._tcpdump.start()
        self._tcpdump.wait_line(r"listening on", 10)
        return self

    def __exit__(self, *exc):
        self._tcpdump.terminate()
        dropped = re.findall(r"(\d+) packets? dropped by kernel",
                             self._tcpdump.text())
        self._file.close()
        if exc[0] is None and dropped:
            assert int(dropped[-1]) == 0, "the capture lost packets"

    def signal(self, number):
        self._tcpdump.signal(number)

    def _sleeps(self):
        """tcpdump sleeps only when it has nothing left to write: a packet
        wakes it in the moment it is heard, and --immediate-mode and -U leave
        nothing in a buffer. Its own counts do not tell, as what was heard
        before the filter was in force is in them and never written."""
        with open(f"/proc/{self._tcpdump.pid}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0] == "S"

    def segments(self, source=None, destination=None):
        """All segments until now, filtered by (address, port or None)."""
        wait_until(self._sleeps, 10, "tcpdump has written what it heard", 0.001)
        return self._read(source, destination)

    def _read(self, source, destination):
        with open(self._file.name, "rb") as file:
            found = list(_parse(file))
        return [s for s in found if _matches(s.source, source)
                and _matches(s.destination, destination)]

    def wait_for(self, predicate, deadline_s, what, source=None,
                 destination=None):
        """Until a segment with predicate(segment) is seen; returns it."""
        return wait_until(lambda: next(
            filter(predicate, self._read(source, destination)), None),
            deadline_s, what, poll_s=0.05)


def _matches(end, wanted):
    return wanted is None or (end[0] == wanted[0]
                              and wanted[1] in (None, end[1]))


def _parse(file):
    try:
        for time, frame in dpkt.pcap.Reader(file):
            segment = _segment(time, frame)
            if segment is not None:
                yield segment
    except (dpkt.dpkt.NeedData, ValueError):
        return  # tcpdump is still writing the last record


def _segment(time, frame):
    packet = dpkt.ethernet.Ethernet(frame).data
    if isinstance(packet, dpkt.ip.IP):
        total = packet.len - packet.hl * 4
    elif isinstance(packet, dpkt.ip6.IP6):
        total = packet.plen
    else:
        return None
    tcp = packet.data
    if not isinstance(tcp, dpkt.tcp.TCP):
        return None
    return Segment(time, (str(ipaddress.ip_address(packet.src)), tcp.sport),
                   (str(ipaddress.ip_address(packet.dst)), tcp.dport),
                   tcp.seq, tcp.ack, tcp.flags, total - tcp.off * 4)


def ending(segments):
    """How one direction of one connection ended: "fin", "rst", "fin+rst" or
    None. Segments are those of a single sender."""
    fin = any(s.has(FIN) for s in segments)
    rst = any(s.has(RST) for s in segments)
    return "+".join(["fin"] * fin + ["rst"] * rst) or None


def acknowledged(sent, answers):
    """Payload bytes of `sent` (one sender) that `answers` acknowledged."""
    syn = next(s for s in sent if s.has(SYN))
    start = (syn.seq + 1) % MOD32
    highest = max(((s.ack - start) % MOD32 for s in answers
                   if s.has(ACK) and not s.has(RST)), default=0)
    fins = [(s.seq + s.length - start) % MOD32 for s in sent if s.has(FIN)]
    return min([highest, *fins])
