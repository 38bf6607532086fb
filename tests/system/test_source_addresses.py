"""Source ports: 20 of them for each source address and target. Flows beyond
are refused cleanly, and no target is unhealthy for them."""
import contextlib
import itertools

import pytest

from lab import ini
from lab.live import live_flows
from lab.netns import BACK4, BACK6, TARGET4, TARGET6
from lab.peers import RST, connect
from lab.wait import wait_until

PORTS = 20
EXTRA4, EXTRA6 = "10.20.0.2", "fd00::2"
ABSENT = "10.20.0.99"
TARGETS4, TARGETS6 = TARGET4[:3], TARGET6[:3]
# Each test has ports of its own, below the lab's range for connections: what
# other tests used is in TIME_WAIT.
FIRST_PORT = itertools.count(2000, 100)

pytestmark = pytest.mark.quick
ECHO = TARGETS4 + TARGETS6


@pytest.fixture
def few_ports(network):
    """Second addresses towards the targets; a function that leaves 20 ports
    to what connects from now on."""
    key = "net.ipv4.ip_local_port_range"
    before = network.nlbd.run("sysctl", "-n", key).stdout
    network.nlbd.ip("address", "add", f"{EXTRA4}/24", "dev", "back")
    network.nlbd.ip("address", "add", f"{EXTRA6}/64", "dev", "back", "nodad")

    def leave():
        first = next(FIRST_PORT)
        network.nlbd.sysctl(key, f"{first} {first + PORTS - 1}")

    yield leave
    network.nlbd.sysctl(key, before)
    network.nlbd.ip("address", "del", f"{EXTRA4}/24", "dev", "back")
    network.nlbd.ip("address", "del", f"{EXTRA6}/64", "dev", "back")


def config(*sources, targets=TARGETS4, **options):
    sections = ini.base(targets, MaxFlowsPerSource=0, **options)
    if sources:
        sections["load-balancer"]["SourceAddresses"] = ", ".join(sources)
    return sections


def port_errors(nlbd):
    return nlbd.listener()["port_allocation_errors"]


def without_port(nlbd):
    return sum(r["end_reason"] == "port-allocation" for r in nlbd.flow_log())


def expect_refused(network, nlbd):
    """One more flow, which finds no port and is reset."""
    before = without_port(nlbd)
    # The reset may be as quick as the handshake.
    with contextlib.suppress(ConnectionResetError):
        with connect(network.client, nlbd.address) as client:
            client.read_to_end()
            assert client.ending == RST
    wait_until(lambda: without_port(nlbd) == before + 1, 10,
               "the flow log names the reason")


def sources_of(nlbd, to=ini.TARGET_PORT):
    """How many connections to the targets come from which address."""
    out = nlbd.network.nlbd.run("ss", "-tnH", "state", "established",
                                "dport", "=", f":{to}").stdout
    found = [line.split()[2].rpartition(":")[0].strip("[]")
             for line in out.splitlines()]
    return {source: found.count(source) for source in found}


def checks_without_port(nlbd):
    table = nlbd.ctl_raw("describe-target-health").stdout
    return table.count("no free source port")


@pytest.mark.parametrize("sources, targets, by_source", [
    ((), TARGETS4, {BACK4: 60}),
    ((EXTRA4,), TARGETS4, {EXTRA4: 60}),
    ((BACK4, EXTRA4), TARGETS4, {BACK4: 60, EXTRA4: 60}),
    ((BACK6, EXTRA6, EXTRA4), TARGETS6, {BACK6: 60, EXTRA6: 60}),
], ids=["kernel", "one", "two", "ipv6"])
def test_every_address_has_its_ports_once_per_target(
        network, start_nlbd, few_ports, echo, sources, targets, by_source):
    nlbd = start_nlbd(config(*sources, targets=targets), healthy=3)
    few_ports()
    with live_flows(network, nlbd.address, sum(by_source.values())) as flows:
        assert sources_of(nlbd) == by_source
        before = port_errors(nlbd)
        expect_refused(network, nlbd)
        # Every address towards every target was asked.
        assert port_errors(nlbd) - before == 3 * len(by_source)
        assert all(flow.echoes() for flow in flows)
        assert {state for state, _ in nlbd.health().values()} == {"healthy"}
        # A port that comes free is used.
        flows[0].peer.reset()
        wait_until(lambda: sum(sources_of(nlbd).values()) < len(flows), 5,
                   "the port is free")
        with live_flows(network, nlbd.address, 1) as again:
            assert again[0].echoes()
    assert nlbd.process.find_line("no free source port from")
    told = [line for line in nlbd.process.lines if "source port" in line]
    assert len(told) < 10, "one event is not told for every flow"


def test_checks_without_a_port_say_nothing(network, start_nlbd, few_ports,
                                           echo):
    """Flows and checks compete for the ports of the same target."""
    sections = config(EXTRA4, health_port="traffic-port")
    sections[ini.GROUP]["UnhealthyThresholdCount"] = 1
    nlbd = start_nlbd(sections, healthy=3)
    few_ports()
    with contextlib.ExitStack() as stack:
        flows = []
        while True:
            try:
                flows += stack.enter_context(
                    live_flows(network, nlbd.address, 1))
            except (ConnectionError, AssertionError):  # reset early or late
                break
        assert 40 < len(flows) <= 60
        wait_until(lambda: checks_without_port(nlbd) == 3, 10,
                   "no check has a port", poll_s=0.05)
        expect_refused(network, nlbd)
        assert {state for state, _ in nlbd.health().values()} == {"healthy"}
        assert all(flow.echoes() for flow in flows)


def test_checks_come_from_the_source_addresses(network, start_nlbd, few_ports):
    """A firewall that admits these alone has to admit the checks."""
    network.server.filter_input(
        f"tcp dport {ini.HEALTH_PORT} ip saddr != {EXTRA4} drop")
    try:
        nlbd = start_nlbd(config(EXTRA4), healthy=3)
        nlbd.reload(config(BACK4))
        for target in TARGETS4:
            nlbd.wait_state(target, "unhealthy")
        nlbd.reload(config(EXTRA4))
        nlbd.wait_healthy(3)
    finally:
        network.server.filter_input()


def test_a_reload_moves_new_flows(network, start_nlbd, few_ports, echo):
    nlbd = start_nlbd(config(), healthy=3)
    with live_flows(network, nlbd.address, 6) as old:
        nlbd.reload(config(EXTRA4))
        with live_flows(network, nlbd.address, 6):
            assert sources_of(nlbd) == {BACK4: 6, EXTRA4: 6}
        assert all(flow.echoes() for flow in old)


def test_an_absent_address_is_told_and_passed_over(network, start_nlbd,
                                                   few_ports, echo):
    nlbd = start_nlbd(config(ABSENT, EXTRA4), healthy=3)
    assert nlbd.process.find_line(
        f"{ABSENT} is not an address of this machine")
    with live_flows(network, nlbd.address, 10):
        assert sources_of(nlbd) == {EXTRA4: 10}
    assert port_errors(nlbd) == 0, "ports are not what is missing"


def test_without_any_address_no_target_is_to_blame(network, start_nlbd,
                                                   few_ports, echo):
    nlbd = start_nlbd(config(), healthy=3)
    nlbd.reload(config(ABSENT))
    expect_refused(network, nlbd)
    assert {state for state, _ in nlbd.health().values()} == {"healthy"}
    network.nlbd.ip("address", "add", f"{ABSENT}/24", "dev", "back")
    try:
        with live_flows(network, nlbd.address, 3):
            assert sources_of(nlbd) == {ABSENT: 3}
    finally:
        network.nlbd.ip("address", "del", f"{ABSENT}/24", "dev", "back")
