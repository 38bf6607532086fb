"""Timeouts, and flows that meet a silent or stalled party."""
import re
import socket
import time

import pytest

from lab import ini
from lab.capture import ACK, SYN, Capture
from lab.daemon import scaled
from lab.load import EchoTargets
from lab.netns import BACK4, CLIENT4, TARGET4
from lab.peers import RST, Target, connect, reset_at_once, stream
from lab.wait import wait_until

MIB = 1024 * 1024
SCANS = scaled(3000, 500)
TCP_CLOSE = 7  # tcp_info.tcpi_state


def tcp_state(peer):
    return peer.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]


@pytest.mark.parametrize("sender", ["client", "target"])
def test_reset_towards_a_peer_that_never_reads_ends_in_time(
        sender, network, start_nlbd, target):
    """What had arrived is offered for the flush deadline, then the reset
    follows whether it was taken or not."""
    nlbd = start_nlbd(ini.base())
    with connect(network.client, nlbd.address) as client, \
            target.accept() as peer:
        source, sink = ((client, peer) if sender == "client"
                        else (peer, client))
        source.send_until_blocked(stream(32 * MIB))
        source.reset()
        wait_until(lambda: tcp_state(sink) == TCP_CLOSE, 8,
                   "the reset arrives")
        record = nlbd.flow_record(client.address)
    assert record["end_reason"] in ("flush-timeout", f"{sender}-rst")


@pytest.mark.quick
def test_idle_flow_is_reset_on_both_sides(network, start_nlbd, target):
    sections = ini.base()
    sections[ini.LISTENER]["tcp.idle_timeout.seconds"] = 2
    nlbd = start_nlbd(sections)
    nlbd.process.wait_line("warning: tcp.idle_timeout.seconds", 5)
    with connect(network.client, nlbd.address) as idle, \
            target.accept() as idle_target, \
            connect(network.client, nlbd.address) as busy, \
            target.accept() as busy_target:
        idle.send(b"hello")
        idle_target.recv_exactly(5)
        begin = time.monotonic()
        idle.start_reading()
        idle_target.start_reading()
        while idle.ending is None and time.monotonic() - begin < 8:
            busy.send(b"x")
            busy_target.recv_exactly(1)
            time.sleep(0.3)
        assert idle.read_to_end(1) == RST
        assert idle_target.read_to_end(1) == RST
        assert 1.9 <= idle.ended_at - begin < 4
        busy_target.send(b"alive")
        assert busy.recv_exactly(5) == b"alive"
        record = nlbd.flow_record(idle.address)
    assert record["end_reason"] == "idle-timeout"


@pytest.mark.quick
def test_keepalive_probes_are_no_data(network, start_nlbd, target):
    """The kernel answers them: nlbd cannot see one."""
    sections = ini.base()
    sections[ini.LISTENER]["tcp.idle_timeout.seconds"] = 3
    nlbd = start_nlbd(sections)
    with Capture(network.client, "wire") as capture, \
            connect(network.client, nlbd.address) as client, \
            target.accept():
        for option, value in ((socket.TCP_KEEPIDLE, 1),
                              (socket.TCP_KEEPINTVL, 1)):
            client.sock.setsockopt(socket.IPPROTO_TCP, option, value)
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        begin = time.monotonic()
        assert client.read_to_end(8) == RST
        assert 2.9 <= client.ended_at - begin < 5
        # Two at least: a SYN's ACK, and answers to nothing but probes.
        acks = [s for s in capture.segments(source=nlbd.address)
                if s.flags == ACK and s.length == 0]
        assert len(acks) >= 2, "nobody sent keepalive probes"
        record = nlbd.flow_record(client.address)
    assert record["end_reason"] == "idle-timeout"


def test_waiting_data_wins_over_the_idle_timer_after_a_stall(
        network, start_nlbd, target):
    sections = ini.base(workers=1)
    sections[ini.LISTENER]["tcp.idle_timeout.seconds"] = 1
    nlbd = start_nlbd(sections)
    with connect(network.client, nlbd.address) as client, \
            target.accept() as peer:
        client.send(b"before")
        peer.recv_exactly(6)
        worker = nlbd.worker_pids()[0]
        with nlbd.stopped(worker):
            client.send(b"after")
            time.sleep(1.5)  # the stall itself; under the 3 s of a hang
        assert peer.recv_exactly(5) == b"after"


@pytest.mark.quick
def test_client_gone_while_connecting_leaves_no_orphan(network, start_nlbd):
    """The target is silent; the client resets before it was reached."""
    nlbd = start_nlbd(ini.base())
    network.server.filter_input(f"tcp dport {ini.TARGET_PORT} drop")
    try:
        with Capture(network.server, "wire",
                     f"tcp port {ini.TARGET_PORT}") as capture, \
                Target(network.server, TARGET4[0], ini.TARGET_PORT) as target:
            client = connect(network.client, nlbd.address)
            name = client.address
            capture.wait_for(lambda s: s.has(SYN), 5, "the target's SYN",
                             source=(BACK4, None))
            client.reset()
            begin = time.monotonic()
            nlbd.wait_no_flows(deadline_s=2)
            assert time.monotonic() - begin < 2
            assert nlbd.flow_record(name)["end_reason"] == "client-rst"
            network.server.filter_input()
            with pytest.raises(TimeoutError):
                target.accept(deadline_s=1.5)
    finally:
        network.server.filter_input()


@pytest.mark.quick
def test_clients_that_reset_at_once_leave_nothing(network, start_nlbd):
    """A scan: thousands of handshakes, each with a reset behind it."""
    nlbd = start_nlbd(ini.base(health_port="traffic-port",
                               MaxFlowsPerSource=0), healthy=0)
    with EchoTargets(network, TARGET4[:1], ini.TARGET_PORT) as echo:
        nlbd.wait_healthy(1)
        workers = nlbd.worker_pids()
        before = nlbd.socket_fds(workers.values())
        for _ in range(SCANS):
            with connect(network.client, nlbd.address) as client:
                client.reset()
        nlbd.wait_no_flows()
        wait_until(lambda: nlbd.socket_fds(workers.values()) == before, 10,
                   "the sockets are closed")
        wait_until(lambda: echo.connections() == 0, 10, "the target's too")
        wait_until(lambda: len(nlbd.flow_log()) >= SCANS, 10,
                   "a line of each flow")
        ends = {r["end_reason"] for r in nlbd.flow_log()}
        assert ends == {"client-rst"}
        assert nlbd.health()[TARGET4[0]] == ("healthy", None)
        assert nlbd.worker_pids() == workers


@pytest.mark.quick
@pytest.mark.parametrize("blocked,reason", [
    (False, "connect-refused"), (True, "connect-timeout")])
def test_unreachable_target_resets_the_client(blocked, reason, network,
                                              start_nlbd):
    sections = ini.base()
    sections[ini.GROUP] |= {"ConnectTimeoutSeconds": "0.5",
                            "ConnectTotalSeconds": "1"}
    nlbd = start_nlbd(sections)
    if blocked:
        network.server.filter_input(f"tcp dport {ini.TARGET_PORT} drop")
    try:
        name = reset_at_once(network.client, nlbd.address, CLIENT4[1])
        record = nlbd.flow_record(name)
    finally:
        network.server.filter_input()
    assert record["end_reason"] == reason
    assert record["target_to_client_bytes"] == 0


# -- how bulk travels

def splices(nlbd, pid, action):
    """Successful splice calls of a worker while action() runs."""
    trace = nlbd.directory / "strace"
    with nlbd.traced(pid, "splice", trace):
        action()
    return len(re.findall(r"splice\(.*= [1-9]", trace.read_text()))


@pytest.mark.skipif(scaled(False, True), reason="strace upsets sanitizers")
def test_bulk_is_spliced_and_small_writes_are_copied(network, start_nlbd,
                                                     target):
    """The close matrix depends on it: its modes are provoked like this."""
    nlbd = start_nlbd(ini.base(workers=1))
    worker = nlbd.worker_pids()[0]
    with connect(network.client, nlbd.address) as client, \
            target.accept() as peer:
        peer.start_reading()
        assert splices(nlbd, worker, lambda: client.send_paced(
            stream(MIB), peer)) == 0

        def bulk():
            client.send(stream(10 * MIB))
            peer.wait_received(11 * MIB)
        assert splices(nlbd, worker, bulk) > 10
