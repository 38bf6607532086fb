"""The bytes that leave are the bytes that came, whatever their shape, and a
peer that vanishes or stalls costs nobody else anything."""
import re
import socket
import time

import pytest

from lab import ini
from lab.daemon import Daemon, scaled
from lab.netns import TARGET4
from lab.peers import FIN, RST, Target, connect, stream
from lab.wait import wait_until

pytestmark = pytest.mark.quick

MIB = 1024 * 1024
SMALL_BUFFER = 2304
STALLED = 8  # flows
TCP_CLOSE = 7  # tcp_info.tcpi_state


@pytest.fixture(scope="module")
def nlbd(network, health):
    with Daemon(network, ini.base()) as daemon:
        yield daemon.start()


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
def test_peer_that_never_reads_bounds_memory(sender, network, nlbd):
    """The senders are held back, nlbd does not grow."""
    with Target(network.server, TARGET4[0], ini.TARGET_PORT,
                receive_buffer=65536) as target:
        flows = [(connect(network.client, nlbd.address,
                          receive_buffer=65536), target.accept())
                 for _ in range(STALLED)]
    workers = list(nlbd.worker_pids().values())
    before = sum(map(resident_kib, workers))
    data = stream(24 * MIB)
    try:
        for pair in flows:
            source, _ = sides(pair, sender)
            taken = source.send_until_blocked(data, quiet_s=0.05)
            assert taken < len(data), "nobody held the sender back"
        grown = sum(map(resident_kib, workers)) - before
        assert grown < scaled(2048, 32768), f"{grown} KiB for {STALLED} flows"
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
    table = network.nlbd.run("ss", "-tanpH", "state", "close-wait").stdout
    assert [line for line in table.splitlines()
            if any(f"pid={pid}," in line for pid in nlbd.pids())] == []
