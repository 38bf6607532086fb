"""At the descriptor limit the listener pauses; nobody is turned away."""
import os
import socket

import pytest

from lab import ini
from lab.daemon import scaled
from lab.live import live_flows
from lab.load import sessions
from lab.netns import CLIENT4, FRONT4, TARGET4
from lab.peers import connect
from lab.wait import wait_until

NOFILE = 128
CLIENTS = 120
GREETING = len("220 10.20.0.10\r\n")

pytestmark = pytest.mark.quick
ECHO = TARGET4[:1]


@pytest.fixture
def nlbd(network, start_nlbd, echo):
    """One worker under a limit of 128 descriptors."""
    return start_nlbd(ini.base(health_port="traffic-port", workers=1,
                               MaxFlowsPerSource=0), nofile=NOFILE)


@pytest.fixture
def crowd(network, nlbd):
    """More clients than the limit lets in."""
    clients = [connect(network.client, nlbd.address,
                       CLIENT4[n % len(CLIENT4)]) for n in range(CLIENTS)]
    wait_until(lambda: nlbd.listener()["paused"], 5, "the listener pauses")
    yield clients
    for client in clients:
        client.sock.close()


def peeked(client):
    """What has arrived: True for bytes, False for nothing, None for an end."""
    client.sock.setblocking(False)
    try:
        return bool(client.sock.recv(1, socket.MSG_PEEK)) or None
    except BlockingIOError:
        return False
    except OSError:
        return None
    finally:
        client.sock.settimeout(10)


def served(clients):
    states = [peeked(c) for c in clients]
    assert None not in states, "a client was closed silently"
    return [c for c, state in zip(clients, states) if state]


def test_full_listener_pauses_says_so_and_rests(network, nlbd, crowd):
    wait_until(lambda: len(served(crowd)) >= 20, 5, "many are served")
    assert len(served(crowd)) < CLIENTS * 3 // 4
    assert nlbd.process.wait_line("(?i)paus", 5)
    worker = nlbd.worker_pids()[0]
    share = nlbd.cpu_share(worker, 3)
    assert share < scaled(0.01, 0.05), f"{share:.1%} CPU while paused"
    assert len(served(crowd)) < CLIENTS * 3 // 4
    assert nlbd.listener()["paused"]
    # Health checks and the admin socket have descriptors of their own.
    assert nlbd.health()[TARGET4[0]] == ("healthy", None)
    told = [line for line in nlbd.process.lines if "paus" in line.lower()]
    assert len(told) <= 10, "one event is not told hundreds of times"


def test_paused_listener_serves_the_waiting_as_room_comes(network, nlbd,
                                                          crowd):
    waiting = list(crowd)
    rounds = 0
    while waiting:
        wait_until(lambda: served(waiting), 5, "somebody is served")
        for client in served(waiting):
            client.recv_exactly(GREETING)
            client.finish()
            client.read_to_end()
            waiting.remove(client)
        rounds += 1
    assert rounds > 1, "all fitted at once: nothing was tried"
    wait_until(lambda: not nlbd.listener()["paused"], 5, "resumed")
    assert sessions(network, nlbd.address, 200,
                    concurrency=200).failed == {}


def test_limit_is_never_reached(network, nlbd, crowd):
    """EMFILE would mean a connection accepted and thrown away."""

    worker = nlbd.worker_pids()[0]
    assert len(os.listdir(f"/proc/{worker}/fd")) < NOFILE
    assert nlbd.process.find_line("(?i)EMFILE|too many open files") is None


def test_more_sessions_than_descriptors_all_succeed(network, nlbd):
    result = sessions(network, nlbd.address, scaled(2000, 500),
                      concurrency=300, deadline=20)
    assert result.failed == {}, result


def test_new_listeners_do_not_need_what_flows_hold(network, start_nlbd, echo):
    """A worker that holds all flows its descriptors allow still takes the
    sockets of a reload, all new names included; its flows live on."""
    sections = ini.base(workers=1, MaxFlowsPerSource=0)

    def listeners(names):
        return {**sections, **{f"listener {name}": {
            "Port": 7000 + n, "SecurityGroups": "none",
            "DefaultActions": "forward:smtp"} for n, name in enumerate(names)}}

    nlbd = start_nlbd(sections, nofile=1024)
    full = nlbd.status()["workers"][0]["max_flows"]
    with live_flows(network, nlbd.address, full) as flows:
        pids = nlbd.worker_pids()
        for letter in "ab":
            nlbd.reload(listeners(f"{letter}{n}" for n in range(49)))
            assert len(nlbd.status()["listeners"]) == 50
            assert all(flow.echoes() for flow in flows)
        assert nlbd.worker_pids() == pids
    nlbd.wait_no_flows()
    with live_flows(network, (FRONT4, 7048), 1) as flows:
        assert flows[0].echoes()
