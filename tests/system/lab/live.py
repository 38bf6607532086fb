"""Flows that stay open: opened, kept talking and looked at again."""
import contextlib

from .peers import connect


class LiveFlow:
    """A client that has read its greeting."""

    def __init__(self, network, address, source=None):
        self.peer = connect(network.client, address, source)
        line = b""
        while not line.endswith(b"\r\n"):
            line += self.peer.recv_exactly(1)
        self.target = line.split()[1].decode()

    def echoes(self):
        self.peer.send(b"ping\r\n")
        return self.peer.recv_exactly(6) == b"ping\r\n"

    def close(self):
        self.peer.sock.close()


@contextlib.contextmanager
def live_flows(network, address, count, source=None):
    """So many flows at once, for the span of a `with`."""
    flows = []
    try:
        for _ in range(count):
            flows.append(LiveFlow(network, address, source))
        yield flows
    finally:
        for flow in flows:
            flow.close()
