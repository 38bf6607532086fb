"""The bytes that leave are the bytes that came, whatever their shape, and a
peer that vanishes or stalls costs nobody else anything."""
import re
import socket
import time

import pytest

from lab import ini
from lab.capture import SYN, Capture
from lab.daemon import Daemon, scaled
from lab.netns import BACK4, CLIENT4, TARGET4
from lab.peers import FIN, RST, Target, connect, stream
from lab.wait import wait_until

pytestmark = pytest.mark.quick

MIB = 1024 * 1024
SMALL_BUFFER = 2304
TCP_CLOSE = 7  # tcp_info.tcpi_state


@pytest.fixture(scope="module")
def nlbd(network, health):
    with Daemon(network, ini.base()) as daemon:
        yield daemon.start()


@pytest.fixture
def target(network):
    with Target(network.server, TARGET4[0], ini.TARGET_PORT) as target:
        yield target


@pytest.fixture
def flow(network, nlbd, target):
    """(client, target) of one flow through nlbd."""
    with connect(network.client, nlbd.address) as client, \
            target.accept() as peer:
        yield client, peer


def sides(flow, sender):
    client, target = flow
    return (client, target) if sender == "client" else (target, client)


SENDERS = pytest.mark.parametrize("sender", ["client", "target"])


@SENDERS
def test_urgent_byte_stays_in_stream_order(sender, flow):
    source, sink = sides(flow, sender)
    sink.start_reading()
    source.send(b"ABC")
    sink.wait_received(3)
    source.send_urgent(b"X")
    source.send(b"DEF")
    source.finish()
    assert sink.read_to_end() == FIN
    assert sink.has_exactly(b"ABCXDEF")


@SENDERS
def test_urgent_bytes_inside_a_bulk_transfer_stay_in_order(sender, flow):
    source, sink = sides(flow, sender)
    sink.start_reading()
    expected = b""
    for n in range(10):
        piece = stream(100_000, n)
        source.send(piece)
        source.send_urgent(b"!")
        expected += piece + b"!"
    source.finish()
    assert sink.read_to_end() == FIN
    assert sink.has_exactly(expected)


@SENDERS
def test_one_byte_segments_arrive_in_order(sender, flow):
    source, sink = sides(flow, sender)
    sink.start_reading()
    data = stream(scaled(20_000, 5_000))
    source.send_in_pieces(data, 1)
    source.finish()
    assert sink.read_to_end() == FIN
    assert sink.has_exactly(data)


@pytest.mark.parametrize("size", [0, 1, 2, 4095, 4096, 16383, 16384, 16385,
                                  65535, 65536, 65537, 10 * MIB])
def test_every_size_passes_half_closed_both_ways(size, flow, nlbd):
    client, target = flow
    request, reply = stream(size, "request"), stream(size, "reply")
    target.start_reading()
    client.send(request)
    client.finish()
    assert target.read_to_end() == FIN
    assert target.has_exactly(request)
    client.start_reading()
    target.send(reply)
    target.finish()
    assert client.read_to_end() == FIN
    assert client.has_exactly(reply)
    record = nlbd.flow_record(client.address)
    assert record["client_to_target_bytes"] == size
    assert record["target_to_client_bytes"] == size
    assert record["end_reason"] == "client-fin"
    assert record["listener"] == "submission"
    assert record["target_group"] == "smtp"
    assert record["target"] == f"{TARGET4[0]}:{ini.TARGET_PORT}"
    assert record["retries"] == 0
    assert 0 <= record["connect_ms"] < 1000
    assert record["duration_ms"] >= record["connect_ms"]


def test_both_directions_at_once_with_tiny_buffers(network, nlbd):
    """No direction waits for the other."""
    data, reply = stream(MIB, "data"), stream(MIB, "reply")
    with Target(network.server, TARGET4[0], ini.TARGET_PORT,
                receive_buffer=SMALL_BUFFER) as listener, \
            connect(network.client, nlbd.address,
                    receive_buffer=SMALL_BUFFER) as client, \
            listener.accept() as target:
        client.start_reading()
        target.start_reading()
        sending = [client.send_in_background(data, then=client.finish),
                   target.send_in_background(reply, then=target.finish)]
        for thread in sending:
            thread.join(30)
        assert target.read_to_end() == FIN and target.has_exactly(data)
        assert client.read_to_end() == FIN and client.has_exactly(reply)


def test_ping_pong_meets_no_delayed_ack(flow):
    """One byte there, one back: Nagle and delayed ACKs would cost 40 ms."""
    client, target = flow
    for peer in flow:
        peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    rounds, begin = 100, time.monotonic()
    for _ in range(rounds):
        client.send(b"12")
        target.recv_exactly(2)
        target.send(b"3")
        target.send(b"4")
        client.recv_exactly(2)
    assert time.monotonic() - begin < rounds * 0.02


# -- peers that stall or vanish

def resident_kib(pid):
    with open(f"/proc/{pid}/status") as file:
        return int(re.search(r"VmRSS:\s+(\d+)", file.read())[1])


@SENDERS
def test_peer_that_never_reads_bounds_memory(sender, network, nlbd, target):
    """20 stalled flows: the senders are held back, nlbd does not grow."""
    flows = [(connect(network.client, nlbd.address), target.accept())
             for _ in range(20)]
    workers = list(nlbd.worker_pids().values())
    before = sum(map(resident_kib, workers))
    data = stream(32 * MIB)
    try:
        for pair in flows:
            source, _ = sides(pair, sender)
            taken = source.send_until_blocked(data, quiet_s=0.05)
            assert taken < len(data), "nobody held the sender back"
        grown = sum(map(resident_kib, workers)) - before
        assert grown < scaled(4096, 65536), f"{grown} KiB for 20 flows"
    finally:
        for client, peer in flows:
            client.reset()
            peer.sock.close()
    nlbd.wait_no_flows()


@SENDERS
def test_reset_of_a_peer_that_never_reads_is_noticed_at_once(sender, flow,
                                                             nlbd):
    """Nothing can be written to it and nothing is expected from it: only an
    event that is watched for while stalled can tell."""
    source, sink = sides(flow, sender)
    source.send_until_blocked(stream(32 * MIB))
    sink.reset()
    begin = time.monotonic()
    source.start_reading()
    assert source.read_to_end(5) == RST
    assert source.ended_at - begin < 1
    reason = "target-rst" if sender == "client" else "client-rst"
    record = nlbd.flow_record(flow[0].address)
    assert record["end_reason"] == reason


def tcp_state(peer):
    return peer.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]


@SENDERS
def test_reset_towards_a_peer_that_never_reads_ends_in_time(sender, flow,
                                                            nlbd):
    """What had arrived is offered for the flush deadline, then the reset
    follows whether it was taken or not."""
    source, sink = sides(flow, sender)
    source.send_until_blocked(stream(32 * MIB))
    source.reset()
    wait_until(lambda: tcp_state(sink) == TCP_CLOSE, 8, "the reset arrives")
    record = nlbd.flow_record(flow[0].address)
    assert record["end_reason"] in ("flush-timeout", f"{sender}-rst")


def test_reset_after_half_close_is_noticed_at_once(flow, nlbd):
    client, target = flow
    client.send(b"QUIT\r\n")
    client.finish()
    assert target.read_to_end() == FIN
    begin = time.monotonic()
    client.reset()
    wait_until(lambda: tcp_state(target) == TCP_CLOSE, 1,
               "the target hears of the reset")
    assert time.monotonic() - begin < 1


def test_stalled_flow_does_not_disturb_another_of_the_same_source(
        network, nlbd, target):
    with connect(network.client, nlbd.address) as stalled, \
            target.accept() as sender:
        sender.send_until_blocked(stream(32 * MIB))
        for _ in range(4):
            with connect(network.client, nlbd.address) as client, \
                    target.accept() as peer:
                client.send(b"hello")
                assert peer.recv_exactly(5) == b"hello"
        stalled.reset()


def test_no_socket_is_left_behind(network, nlbd, target):
    """After all that, the workers hold what they held at the start."""
    nlbd.wait_no_flows()
    pids = list(nlbd.worker_pids().values())
    before = nlbd.socket_fds(pids)
    for _ in range(30):
        with connect(network.client, nlbd.address) as client, \
                target.accept() as peer:
            client.send(b"x" * 70_000)
            peer.recv_exactly(70_000)
    nlbd.wait_no_flows()
    wait_until(lambda: nlbd.socket_fds(pids) == before, 5,
               f"{before} sockets again")
    lingering = network.nlbd.run("ss", "-tanH", "state", "close-wait").stdout
    assert lingering == ""


# -- time

def test_idle_flow_is_reset_on_both_sides(network, start_nlbd, target):
    sections = ini.base()
    sections[ini.LISTENER]["tcp.idle_timeout.seconds"] = 2
    nlbd = start_nlbd(sections)
    assert nlbd.process.find_line("warning"), "2 s is not an NLB's value"
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
        with connect(network.client, nlbd.address, CLIENT4[1]) as client:
            assert client.read_to_end(5) == RST
            record = nlbd.flow_record(client.address)
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
