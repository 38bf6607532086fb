"""The lab itself: its expectations hold for plain TCP and go red for a
forwarder that is known to break them."""
import signal
import socket
import threading

import pytest

from lab.capture import Capture, RST, SYN
from lab.close_matrix import CELLS, Cell, faults, observe
from lab.netns import FRONT4
from lab.peers import FIN
from lab.standin import Careless, Direct, HAProxy


@pytest.fixture(scope="module")
def direct(network):
    with Direct(network) as forwarder:
        yield forwarder


@pytest.fixture(scope="module")
def haproxy(network):
    with HAProxy(network) as forwarder:
        yield forwarder


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_plain_tcp_meets_the_close_matrix(cell, network, direct):
    seen = observe(cell, network, direct)
    assert faults(cell, seen) == [], seen


@pytest.mark.parametrize("cell", [
    Cell("rst", "target", "mid-transfer", "splice"),
    Cell("rst", "target", "idle", "copy"),
    Cell("rst-unread", "target", "mid-transfer", "splice"),
], ids=str)
def test_reset_laundered_by_haproxy_is_red(cell, network, haproxy):
    assert faults(cell, observe(cell, network, haproxy)) != []


@pytest.mark.parametrize("actor", ["client", "target"])
def test_half_close_through_haproxy_is_green(actor, network, haproxy):
    cell = Cell("half-close", actor, "mid-transfer", "splice")
    assert faults(cell, observe(cell, network, haproxy)) == []


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_careless_forwarder_is_red(cell, network):
    how = "abort" if cell.outcome.other_sees == FIN else "launder"
    with Careless(network, how) as forwarder:
        try:
            found = faults(cell, observe(cell, network, forwarder))
        except (AssertionError, OSError) as error:
            found = [repr(error)]  # a peer could not even play its part
    assert found != []


def test_capture_has_all_that_was_sent_before_it_is_read(network):
    """However late tcpdump is."""
    with Capture(network.client, "wire", "tcp port 9") as capture, \
            network.client.socket() as client:
        capture.signal(signal.SIGSTOP)
        assert client.connect_ex((FRONT4, 9)) != 0  # refused
        go_on = threading.Timer(0.3, capture.signal, [signal.SIGCONT])
        go_on.start()
        seen = capture.segments()
        go_on.join()
    assert [s.has(SYN) for s in seen] == [True, False]
    assert seen[1].has(RST)


def test_capture_begun_amid_other_traffic_can_be_read(network):
    """What crossed the device before tcpdump's filter was in force is counted
    as heard, and never written."""
    stop = threading.Event()

    def flood():
        with network.client.socket(kind=socket.SOCK_DGRAM) as sender:
            while not stop.is_set():
                sender.sendto(b"other", (FRONT4, 9))

    other = threading.Thread(target=flood)
    other.start()
    try:
        with Capture(network.client, "wire", "tcp port 9") as capture, \
                network.client.socket() as client:
            assert client.connect_ex((FRONT4, 9)) != 0
            seen = capture.segments()
    finally:
        stop.set()
        other.join()
    assert [s.has(SYN) for s in seen] == [True, False]
