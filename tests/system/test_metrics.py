"""The metrics against what clients, targets and the wire have seen."""
import contextlib
import os
import signal

import pytest

from lab import ini
from lab.capture import Capture
from lab.load import EchoTargets, sessions
from lab.netns import CLIENT4, TARGET4
from lab.peers import RST, connect, reset_at_once, stream
from lab.wait import wait_until

LISTENER = {"Listener": "submission"}
GROUP = {"TargetGroup": "smtp"}
TARGET = {"Target": f"{TARGET4[0]}:{ini.TARGET_PORT}"}
# Where a flow's counters stand: how to ask for each.
PLACES = [("load-balancer", {}), ("zone", {"AvailabilityZone": "zone-a"}),
          ("listener", LISTENER), ("target-group", GROUP), ("target", TARGET)]


@contextlib.contextmanager
def flow(network, nlbd, target):
    with connect(network.client, nlbd.address) as client, \
            target.accept() as server:
        yield client, server


def exchange(client, server, up, down):
    """Bytes both ways, read to the last one."""
    client.start_reading()
    server.start_reading()
    before = client.received, server.received
    client.send_in_background(up)
    server.send_in_background(down)
    server.wait_received(before[1] + len(up))
    client.wait_received(before[0] + len(down))


def everywhere(nlbd, name):
    return [nlbd.metric(name, by, **which) for by, which in PLACES]


@pytest.mark.quick
def test_processed_bytes_are_what_clients_sent_and_received(
        network, start_nlbd, target):
    nlbd = start_nlbd(ini.base())
    sent = received = 0
    for size in (0, 1, 1000, 70_000, 3_000_000):
        with flow(network, nlbd, target) as (client, server):
            exchange(client, server, stream(size), stream(size // 3))
            client.finish()
            server.finish()
            client.read_to_end()
        sent += size
        received += client.received
    nlbd.wait_no_flows()
    for name, wanted in [("ProcessedBytes", sent + received),
                         ("ProcessedBytes_TCP", sent + received),
                         ("client_to_target_bytes_total", sent),
                         ("target_to_client_bytes_total", received),
                         ("NewFlowCount", 5), ("ActiveFlowCount", 0)]:
        assert everywhere(nlbd, name) == [wanted] * len(PLACES), name


@contextlib.contextmanager
def whole_packets(*ends):
    """No segmentation offload: what a device shows is what is on the wire."""
    def offloads(state):
        for namespace, device in ends:
            namespace.run("ethtool", "-K", device, "tso", state, "gso", state,
                          "gro", state)
    offloads("off")
    try:
        yield
    finally:
        offloads("on")


@pytest.mark.quick
@pytest.mark.parametrize("ending", ["client", "target", "target-reset"])
def test_processed_packets_are_those_on_the_clients_wire(
        ending, network, start_nlbd, target):
    """Every segment of the flow, from the SYN to the last ACK, each once."""
    nlbd = start_nlbd(ini.base())
    with whole_packets((network.client, "wire"), (network.nlbd, "front")), \
            Capture(network.client, "wire",
                    f"tcp port {ini.PORT}") as capture:
        with flow(network, nlbd, target) as (client, server):
            server.send(b"250 hello\r\n")
            client.recv_exactly(11)
            if ending == "target-reset":
                server.reset()
                assert client.read_to_end() == RST
            else:
                exchange(client, server, stream(400_000), stream(100_000))
                first, last = ((client, server) if ending == "client"
                               else (server, client))
                first.finish()
                last.read_to_end()
                last.finish()
                first.read_to_end()
        nlbd.wait_no_flows()
        counted = nlbd.metric("ProcessedPackets")
        # The last ACK may still be on its way into the file.
        wait_until(lambda: len(capture.segments()) >= counted, 10,
                   f"{counted} packets are captured", poll_s=0.05)
        on_wire = capture.segments()
        from_client = capture.segments(source=(CLIENT4[0], None))
    assert counted == len(on_wire)
    assert nlbd.metric("client_to_target_packets_total") == len(from_client)
    assert everywhere(nlbd, "ProcessedPackets") == [counted] * len(PLACES)
    record = nlbd.flow_record(client.address)
    assert record["client_to_target_packets"] == len(from_client)
    assert record["target_to_client_packets"] == counted - len(from_client)


RESETS = ["TCP_Client_Reset_Count", "TCP_Target_Reset_Count",
          "TCP_ELB_Reset_Count"]


@pytest.mark.quick
@pytest.mark.parametrize("origin", ["client", "target", "nlbd"])
def test_resets_are_counted_by_who_sent_them(origin, network, start_nlbd,
                                             target):
    sections = ini.base()
    if origin == "nlbd":
        sections[ini.LISTENER]["tcp.idle_timeout.seconds"] = 1
    nlbd = start_nlbd(sections)
    with flow(network, nlbd, target) as (client, server):
        client.send(b"x")
        server.recv_exactly(1)
        if origin != "nlbd":
            (client if origin == "client" else server).reset()
        nlbd.wait_no_flows()
    wanted = [int(origin == who) for who in ("client", "target", "nlbd")]
    for by, which in PLACES:
        assert [nlbd.metric(name, by, **which) for name in RESETS] == wanted


BLOCKED_INBOUND = "SecurityGroupBlockedFlowCount_Inbound_TCP"
BLOCKED_OUTBOUND = "SecurityGroupBlockedFlowCount_Outbound_TCP"


def only(source, port):
    return {"Inbound.one":
            f"Protocol=tcp,PortRange={port},Source={source}/32"}


def test_what_security_groups_block_is_counted_and_stays(
        network, start_nlbd, target):
    """By the kernel, before nlbd ever sees it; and not again, or never, when
    the listener has another name, or another port."""
    sections = ini.base()
    sections[ini.SECURITY_GROUP] = only(CLIENT4[0], ini.PORT)
    nlbd = start_nlbd(sections)
    with pytest.raises(TimeoutError):
        connect(network.client, nlbd.address, CLIENT4[1], deadline_s=1.5)
    blocked = nlbd.metric(BLOCKED_INBOUND)
    assert blocked >= 2  # a SYN is repeated after a second
    assert nlbd.metric(BLOCKED_INBOUND, "listener", **LISTENER) == blocked
    assert nlbd.metric("RejectedFlowCount") == 0
    sections["listener other"] = sections.pop(ini.LISTENER)
    nlbd.reload(sections)
    assert nlbd.metric(BLOCKED_INBOUND) == blocked
    sections["listener other"]["Port"] = ini.PORT + 1
    sections[ini.SECURITY_GROUP] = only(CLIENT4[0], ini.PORT + 1)
    nlbd.reload(sections)
    assert nlbd.metric(BLOCKED_INBOUND, "listener", Listener="other") == 0
    assert nlbd.metric(BLOCKED_INBOUND) == blocked


@pytest.mark.quick
def test_what_outbound_rules_block_is_no_rejected_flow(network, start_nlbd,
                                                       target):
    sections = ini.base()
    sections[ini.SECURITY_GROUP]["Outbound.elsewhere"] = (
        "Protocol=tcp,PortRange=1-65535,Destination=198.51.100.0/24")
    nlbd = start_nlbd(sections, healthy=0)
    reset_at_once(network.client, nlbd.address, CLIENT4[0])
    wait_until(lambda: nlbd.metric(BLOCKED_OUTBOUND) == 1, 10,
               "the blocked flow is counted")
    wait_until(lambda: nlbd.metric("blocked_health_checks_total", "target",
                                   **TARGET) >= 2, 10,
               "blocked checks are counted")
    assert nlbd.metric("RejectedFlowCount") == 0


COUNTERS = ["NewFlowCount", "ProcessedBytes", "ProcessedPackets",
            "TCP_Client_Reset_Count"]


def counters(nlbd):
    """All of them, of the load balancer and of the group."""
    return [nlbd.metric(name, by, **which) for name in COUNTERS
            for by, which in (("load-balancer", {}), ("target-group", GROUP))]


def expect_no_step_back(nlbd, before):
    after = counters(nlbd)
    assert all(a >= b for a, b in zip(after, before)), (before, after)
    return after


def test_counters_never_go_back(network, start_nlbd):
    """Not when a worker is killed, a target or a listener is removed, or
    their places are used again."""
    sections = ini.base(TARGET4[:2], health_port="traffic-port", workers=2)
    sections[ini.GROUP]["deregistration_delay.timeout_seconds"] = 0
    with EchoTargets(network, TARGET4[:2], ini.TARGET_PORT):
        nlbd = start_nlbd(sections, healthy=2)
        sessions(network, nlbd.address, 40)
        nlbd.wait_no_flows()
        before = counters(nlbd)
        assert before[0] == before[1] == 40
        for pid in nlbd.worker_pids().values():
            os.kill(pid, signal.SIGKILL)
        wait_until(nlbd.ready, 10, "workers are replaced")
        before = expect_no_step_back(nlbd, before)
        line = sections[ini.GROUP].pop("Target.t2")
        nlbd.reload(sections)
        wait_until(lambda: len(nlbd.health()) == 1, 10, "t2 is gone")
        assert counters(nlbd) == before
        sections[ini.GROUP]["Target.t2"] = line
        sections[ini.LISTENER]["Port"] = ini.PORT + 1
        sections[ini.SECURITY_GROUP] = {
            "Inbound.all": f"Protocol=tcp,PortRange={ini.PORT + 1},"
                           "Source=0.0.0.0/0"}
        nlbd.reload(sections)
        nlbd.wait_healthy(2)
        assert counters(nlbd) == before
        sessions(network, (nlbd.address[0], ini.PORT + 1), 40)
        nlbd.wait_no_flows()
        before = expect_no_step_back(nlbd, before)
        assert before[0] == before[1] == 80


def test_peaks_show_a_burst(network, start_nlbd, target):
    nlbd = start_nlbd(ini.base())
    size = 1_000_000
    with flow(network, nlbd, target) as (client, server):
        exchange(client, server, stream(size), b"250 ok\r\n")
    nlbd.wait_no_flows()
    # A rate is an average of ten seconds.
    peak = wait_until(lambda: nlbd.metric("PeakBytesPerSecond"), 30,
                      "the next ten seconds are over")
    assert 0 < peak <= (size + 8) // 10
    assert nlbd.metric("PeakPacketsPerSecond", "listener", **LISTENER) > 0
    assert nlbd.metric("PeakBytesPerSecond", "listener", **LISTENER) == peak


@pytest.mark.quick
def test_hosts_are_counted_by_group(network, start_nlbd, target):
    sections = ini.base(TARGET4[:3], health_port="traffic-port")
    nlbd = start_nlbd(sections)
    nlbd.wait_state(TARGET4[1], "unhealthy")
    nlbd.wait_state(TARGET4[2], "unhealthy")
    for by, which in (("target-group", {}), ("zone", GROUP)):
        assert nlbd.metric("HealthyHostCount", by, **which) == 1
        assert nlbd.metric("UnHealthyHostCount", by, **which) == 2
    assert nlbd.metric("ZonalHealthStatus") == 1


@pytest.mark.quick
def test_table_names_what_cloudwatch_names(network, start_nlbd):
    nlbd = start_nlbd(ini.base(), healthy=0)
    done = nlbd.ctl_raw("metrics")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["METRIC", "TARGET", "GROUP", "VALUE", "UNIT",
                                "KIND"]
    names = [line.split()[0] for line in lines[1:]]
    assert {"ActiveFlowCount", "RejectedFlowCount", "HealthyHostCount",
            "connect_failures_total"} <= set(names)
    wrong = nlbd.ctl_raw("metrics", "--by", "host")
    assert wrong.returncode == 65 and "target-group" in wrong.stderr
