"""Scripted TCP peers for both ends of a flow.

A Peer counts and hashes what it receives and remembers how its connection
ended, by the first error of either direction: once send() has met a reset,
recv() may return data and then a clean 0, and a peer that trusted that 0 would
hide the very fault that the tests look for.
"""
import contextlib
import fcntl
import hashlib
import random
import socket
import struct
import termios
import threading
import time

FIN, RST, TIMEOUT = "fin", "rst", "timeout"
SIOCOUTQ = termios.TIOCOUTQ
LINGER_0 = struct.pack("ii", 1, 0)
RECV_SIZE = 65536
IO_DEADLINE_S = 30.0


def stream(size, seed=0):
    """Reproducible bytes without period: a lost or doubled piece shows."""
    return random.Random(f"{size}/{seed}").randbytes(size)


class Peer:
    def __init__(self, sock, name="peer"):
        self.sock, self.name = sock, name
        self.address = sock.getsockname()[:2]
        self.far_address = None
        with contextlib.suppress(OSError):  # reset already
            self.far_address = sock.getpeername()[:2]
        self.error = None  # name of the first reset seen
        self.offered = bytearray()  # everything given to send()
        self.received = 0
        self.ending = None  # of the reading side: FIN, RST or TIMEOUT
        self.ended_at = None
        self._hash = hashlib.sha256()
        self._changed = threading.Condition()
        self._reader = None
        sock.settimeout(IO_DEADLINE_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    # -- sending

    def send(self, data):
        """Sends everything or raises; a reset is remembered."""
        self.offered += data
        try:
            self.sock.sendall(data)
        except (ConnectionResetError, BrokenPipeError) as error:
            self.error = self.error or type(error).__name__
            raise

    def send_in_pieces(self, data, size):
        for start in range(0, len(data), size):
            self.send(data[start:start + size])

    def send_paced(self, data, other, size=4096, window=8192):
        """Small writes, held to `window` bytes ahead of what the other end
        has read: the forwarder never sees a full buffer."""
        start = other.received
        for at in range(0, len(data), size):
            self.send(data[at:at + size])
            other.wait_received(start + min(at + size, len(data)) - window)

    def send_in_background(self, data, then=None):
        """Sends from a thread; a reset there is remembered, not raised."""
        def run():
            with contextlib.suppress(ConnectionError, OSError):
                self.send(data)
                if then is not None:
                    then()
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread

    def send_until_blocked(self, data, quiet_s=0.3):
        """Sends as much as is taken; returns the bytes taken once nothing
        moved for quiet_s (everybody in between is full)."""
        self.sock.setblocking(False)
        view, sent, moved = memoryview(data), 0, time.monotonic()
        try:
            while sent < len(data) and time.monotonic() - moved < quiet_s:
                try:
                    sent += self.sock.send(view[sent:sent + RECV_SIZE])
                    moved = time.monotonic()
                except BlockingIOError:
                    time.sleep(0.005)
        finally:
            self.offered += view[:sent]
            self.sock.settimeout(IO_DEADLINE_S)
        return sent

    def send_urgent(self, data):
        self.sock.send(data, socket.MSG_OOB)

    def unsent(self):
        """Bytes that the next kernel has not acknowledged."""
        return self._ioctl(SIOCOUTQ)

    def unread(self):
        """Bytes that have arrived here and were not read."""
        return self._ioctl(termios.FIONREAD)

    def _ioctl(self, request):
        value = fcntl.ioctl(self.sock, request, struct.pack("i", 0))
        return struct.unpack("i", value)[0]

    # -- receiving

    def recv(self, size=RECV_SIZE):
        """One recv; b"" at any end, which `ending` names."""
        try:
            data = self.sock.recv(size)
        except (ConnectionResetError, BrokenPipeError) as error:
            self.error = self.error or type(error).__name__
            self._end(RST)
            return b""
        except TimeoutError:
            self._end(TIMEOUT)
            return b""
        with self._changed:
            self.received += len(data)
            self._hash.update(data)
            self._changed.notify_all()
        if not data:
            self._end(RST if self.error else FIN)
        return data

    def _end(self, how):
        with self._changed:
            self.ending = self.ending or how
            self.ended_at = self.ended_at or time.monotonic()
            self._changed.notify_all()

    def recv_exactly(self, size):
        data = b""
        while len(data) < size:
            piece = self.recv(size - len(data))
            assert piece, (f"{self.name}: {self.ending} after {len(data)} of "
                           f"{size} bytes")
            data += piece
        return data

    def start_reading(self):
        """Reads in a thread until the connection ends."""
        def run():
            while self.ending is None:
                self.recv()
        self._reader = threading.Thread(target=run, daemon=True)
        self._reader.start()
        return self

    def read_to_end(self, deadline_s=IO_DEADLINE_S):
        """How the connection ended, after reading all of it."""
        if self._reader is None:
            self.start_reading()
        self._reader.join(deadline_s)
        return self.ending or TIMEOUT

    def wait_received(self, size, deadline_s=IO_DEADLINE_S):
        with self._changed:
            reached = self._changed.wait_for(
                lambda: self.received >= size or self.ending, deadline_s)
        assert reached and self.received >= size, (
            f"{self.name}: {self.received} of {size} bytes, "
            f"ending {self.ending}")

    def has_exactly(self, data):
        """Is what arrived these bytes, no more and no less?"""
        return (self.received == len(data)
                and self._hash.digest() == hashlib.sha256(data).digest())

    def has_prefix_of(self, data):
        return (self.received <= len(data) and self._hash.digest()
                == hashlib.sha256(data[:self.received]).digest())

    # -- ending

    def finish(self):
        """FIN; reading goes on."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        """RST, whatever is queued."""
        self._nobody_reads()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_0)
        self.close()

    def close(self):
        """FIN, or RST by the kernel when input is unread."""
        self._nobody_reads()
        self.sock.close()

    def _nobody_reads(self):
        # A thread inside recv() keeps the socket open past close().
        assert self._reader is None or not self._reader.is_alive(), (
            f"{self.name} is still being read")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)  # wakes a reading thread
        if self._reader is not None:
            self._reader.join(5)
        self.sock.close()


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def connect(namespace, destination, source=None, deadline_s=10.0,
            receive_buffer=None, name="client"):
    """A client Peer in the namespace, connected to (address, port)."""
    sock = namespace.socket(family_of(destination[0]))
    try:
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF,
                            receive_buffer)
        if source is not None:
            sock.bind((source, 0))
        sock.settimeout(deadline_s)
        sock.connect(destination)
    except BaseException:
        sock.close()
        raise
    return Peer(sock, name)


def reset_at_once(namespace, destination, source):
    """Connects and asserts that the connection is reset; returns the client's
    address. The RST may be quicker than connect()."""
    sock = namespace.socket(family_of(destination[0]))
    sock.settimeout(10)
    sock.bind((source, 0))
    address = sock.getsockname()[:2]
    try:
        sock.connect(destination)
        ending = Peer(sock, "client").read_to_end()
        assert ending == RST, f"{ending}, not rst"
    except ConnectionResetError:
        pass
    finally:
        sock.close()
    return address


class Target:
    """A listening socket in the server namespace."""

    def __init__(self, namespace, address, port=0, receive_buffer=None,
                 backlog=1024):
        self.sock = namespace.socket(family_of(address))
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if receive_buffer is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF,
                                 receive_buffer)
        self.sock.bind((address, port))
        self.sock.listen(backlog)
        self.address = self.sock.getsockname()[:2]

    def accept(self, deadline_s=10.0):
        self.sock.settimeout(deadline_s)
        sock, _ = self.sock.accept()
        return Peer(sock, "target")

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


class HealthResponder:
    """Takes TCP health checks on a port of their own, on every address of the
    server namespace, so that a scripted target sees nothing but flows."""

    def __init__(self, namespace, port):
        self.sock = namespace.socket(socket.AF_INET6)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self.sock.bind(("::", port))
        self.sock.listen(128)
        self.port = port
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        with contextlib.suppress(OSError):
            while True:
                self.sock.accept()[0].close()

    def close(self):
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()
