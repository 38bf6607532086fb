"""Sick, silent, removed and recovered targets: clients do not notice."""
import pytest

from lab import ini
from lab.daemon import Daemon, scaled
from lab.load import EchoTargets, Load, sessions
from lab.netns import CLIENT4, TARGET4, TARGET6
from lab.peers import RST, HealthResponder, connect
from lab.wait import stays_so, wait_until

THREE = TARGET4[:3]
SEPARATE_HEALTH_PORT = 2600
ECHO = THREE


def config(*addresses, health_port="traffic-port", **group):
    sections = ini.base(addresses or THREE, health_port=health_port,
                        MaxFlowsPerSource=0)
    sections[ini.GROUP].update(
        {key.replace("__", "."): value for key, value in group.items()})
    return sections


@pytest.fixture
def greeted(network):
    """Opens a flow and reads the greeting: greeted() -> (peer, target)."""
    peers = []

    def start(nlbd, source=None):
        peer = connect(network.client, nlbd.address, source)
        line = b""
        while not line.endswith(b"\r\n"):
            line += peer.recv_exactly(1)
        peers.append(peer)
        return peer, line.split()[1].decode()

    yield start
    for peer in peers:
        peer.sock.close()


def echoes(peer):
    peer.send(b"ping\r\n")
    return peer.recv_exactly(6) == b"ping\r\n"


@pytest.mark.deadline(120)
def test_a_closed_and_a_silent_target_cost_no_session(network, start_nlbd,
                                                      echo):
    """10,000 sessions while one target refuses and one swallows everything."""
    closed, silent = THREE[1], THREE[2]
    nlbd = start_nlbd(config(), healthy=3)
    # Both fail before the load begins: a connection that waits in the closed
    # port's queue would be the target's own reset. No health check has seen
    # it yet.
    echo.refuse(closed)
    network.server.filter_input(
        f"ip daddr {silent} tcp dport {ini.TARGET_PORT} drop")
    try:
        with Load(network, nlbd.address, count=scaled(10_000, 2_000),
                  rate=1000, concurrency=4000, deadline=20) as load:
            for address in (closed, silent):
                nlbd.wait_state(address, "unhealthy")
                assert nlbd.health()[address] == (
                    "unhealthy", "Target.FailedHealthChecks")
            assert nlbd.health()[THREE[0]] == ("healthy", None)
            result = load.result(90)
    finally:
        network.server.filter_input()
    assert result.failed == {}, result
    assert result.ok == scaled(10_000, 2_000)
    wait_until(lambda: any(record["retries"] for record in nlbd.flow_log()),
               10, "a line of a flow that was retried")
    for address in (closed, silent):
        nlbd.process.wait_line(f"{address}.*unhealthy", 5)

    echo.serve(closed)
    for address in (closed, silent):
        nlbd.wait_state(address, "healthy")
    after = sessions(network, nlbd.address, 600)
    assert after.failed == {}
    assert set(after.targets) == set(THREE), "traffic returned to all"


@pytest.mark.quick
def test_refused_connect_is_retried_on_the_next_target(network, start_nlbd,
                                                       echo):
    """No health check can have noticed: the next ones are minutes away, and
    the passive ones are off."""
    nlbd = start_nlbd(config(), healthy=3)
    nlbd.reload(config(HealthCheckIntervalSeconds=300,
                       PassiveHealthCheckEnabled="false"))
    echo.refuse(THREE[0])
    echo.refuse(THREE[1])
    result = sessions(network, nlbd.address, 200)
    assert result.failed == {} and result.targets == {THREE[2]: 200}
    assert {state for state, _ in nlbd.health().values()} == {"healthy"}
    wait_until(lambda: any(record["retries"] for record in nlbd.flow_log()),
               10, "a line of a flow that was retried")


@pytest.mark.quick
def test_failed_connects_take_a_target_out_between_checks(network, start_nlbd,
                                                          echo):
    """The next checks are minutes away: flows notice, at once."""
    slow = config(HealthCheckIntervalSeconds=300)
    nlbd = start_nlbd(config(), healthy=3)
    nlbd.reload(slow)
    echo.refuse(THREE[0])
    result = sessions(network, nlbd.address, 300)
    assert result.failed == {} and THREE[0] not in result.targets
    assert nlbd.health()[THREE[0]] == ("unhealthy",
                                       "Target.FailedHealthChecks")
    nlbd.process.wait_line(f"{THREE[0]}.*unhealthy.*flows could not connect",
                           5)
    wait_until(lambda: len(nlbd.flow_log()) >= 300, 10, "a line of each flow")
    retried = [r for r in nlbd.flow_log() if r["retries"]]
    assert 3 <= len(retried) < 60, "a few met the refusal, then none"

    echo.serve(THREE[0])
    nlbd.reload(config())
    nlbd.wait_healthy(3)


@pytest.mark.quick
def test_stickiness_switches_passive_checks_off(network, start_nlbd, echo):
    nlbd = start_nlbd(config(), healthy=3)
    nlbd.reload(config(HealthCheckIntervalSeconds=300,
                       stickiness__enabled="true"))
    for address in THREE[:2]:
        echo.refuse(address)
    result = sessions(network, nlbd.address, 100)
    assert result.failed == {} and set(result.targets) == {THREE[2]}
    assert {state for state, _ in nlbd.health().values()} == {"healthy"}


@pytest.mark.quick
def test_new_flows_spread_over_healthy_targets(network, start_nlbd, echo):
    nlbd = start_nlbd(config(), healthy=3)
    result = sessions(network, nlbd.address, 600)
    assert result.failed == {}
    assert set(result.targets) == set(THREE)
    assert min(result.targets.values()) > 100, result.targets


@pytest.mark.quick
def test_stickiness_keeps_a_source_with_one_target(network, start_nlbd, echo):
    nlbd = start_nlbd(config(stickiness__enabled="true"), healthy=3)
    result = sessions(network, nlbd.address, 400)
    assert result.failed == {}
    assert set(result.by_source) == set(CLIENT4)
    assert all(len(t) == 1 for t in result.by_source.values())
    assert len(result.targets) > 1, "ten sources do not all share a target"
    again = sessions(network, nlbd.address, 100)
    assert again.by_source == result.by_source


@pytest.mark.quick
def test_two_nodes_agree_on_the_target_of_every_source(network, start_nlbd,
                                                       echo):
    """The other node's file names the same targets in another order; one of
    them is lost on both, and its sources alone go elsewhere."""
    with Daemon(network, config(stickiness__enabled="true")) as here:
        here.start(healthy=3)
        picks = sessions(network, here.address, 200).by_source
    there = start_nlbd(config(*reversed(THREE), stickiness__enabled="true"),
                       healthy=3)
    assert sessions(network, there.address, 200).by_source == picks
    lost = picks[CLIENT4[0]][0]
    echo.refuse(lost)
    there.wait_state(lost, "unhealthy")
    now = sessions(network, there.address, 200).by_source
    for source, (target,) in picks.items():
        assert (now[source] == [target]) == (target != lost)
    echo.serve(lost)
    there.wait_state(lost, "healthy")
    assert sessions(network, there.address, 200).by_source == picks


@pytest.mark.quick
def test_all_unhealthy_fails_open(network, start_nlbd, echo, greeted):
    responder = HealthResponder(network.server, SEPARATE_HEALTH_PORT)
    nlbd = start_nlbd(config(health_port=SEPARATE_HEALTH_PORT), healthy=3)
    held, _ = greeted(nlbd)
    responder.close()
    for address in THREE:
        nlbd.wait_state(address, "unhealthy")
    group, = nlbd.status()["target_groups"]
    assert group["fail_open"]
    result = sessions(network, nlbd.address, 200)
    assert result.failed == {} and set(result.targets) == set(THREE)
    # Failing open suspends the reset of established flows of the last target
    # to turn; those of the first ones may have been reset before.
    late, _ = greeted(nlbd)
    stays_so(lambda: echoes(late), 1, "a flow begun while failing open",
             poll_s=0.1)
    held.sock.close()


@pytest.mark.quick
@pytest.mark.parametrize("terminate", [True, False])
def test_flow_of_a_target_that_turns_unhealthy(terminate, network, start_nlbd,
                                               echo, greeted):
    """Reset by default; kept when the group says so."""
    responder = HealthResponder(network.server, SEPARATE_HEALTH_PORT)
    try:
        nlbd = start_nlbd(config(
            health_port=SEPARATE_HEALTH_PORT,
            target_health_state__unhealthy__connection_termination__enabled=
            str(terminate).lower()), healthy=3)
        peer, target = greeted(nlbd)
        network.server.filter_input(f"ip daddr {target} tcp dport "
                                    f"{SEPARATE_HEALTH_PORT} reject")
        try:
            nlbd.wait_state(target, "unhealthy")
            if terminate:
                assert peer.read_to_end(5) == RST
                record = nlbd.flow_record(peer.address)
                assert record["end_reason"] == "target-unhealthy"
            else:
                assert echoes(peer)
            result = sessions(network, nlbd.address, 150)
            assert result.failed == {} and target not in result.targets
        finally:
            network.server.filter_input()
        nlbd.wait_state(target, "healthy")
    finally:
        responder.close()


@pytest.mark.quick
def test_deregistered_target_drains(network, start_nlbd, echo, greeted):
    nlbd = start_nlbd(config(), healthy=3)
    peer, target = greeted(nlbd)
    others = [a for a in THREE if a != target]
    nlbd.reload(config(*others))
    assert nlbd.health()[target] == ("draining",
                                     "Target.DeregistrationInProgress")
    result = sessions(network, nlbd.address, 200)
    assert result.failed == {} and set(result.targets) == set(others)
    assert echoes(peer), "its established flow goes on"
    peer.finish()
    peer.read_to_end()
    wait_until(lambda: nlbd.health().get(target, ("gone",))[0]
               in ("gone", "unused"), 10, "drained with its last flow")


@pytest.mark.quick
def test_deregistration_with_termination_resets_after_the_delay(
        network, start_nlbd, echo, greeted):
    attributes = {
        "deregistration_delay__timeout_seconds": 1,
        "deregistration_delay__connection_termination__enabled": "true"}
    nlbd = start_nlbd(config(**attributes), healthy=3)
    peer, target = greeted(nlbd)
    nlbd.reload(config(*[a for a in THREE if a != target], **attributes))
    assert echoes(peer)
    assert peer.read_to_end(6) == RST
    assert nlbd.flow_record(peer.address)["end_reason"] == "deregistered"


@pytest.mark.quick
def test_registered_target_enters_after_its_first_success(network, start_nlbd,
                                                          echo):
    nlbd = start_nlbd(config(*THREE[:2]), healthy=2)
    nlbd.reload(config(HealthyThresholdCount=10))
    nlbd.wait_state(THREE[2], "healthy", deadline_s=3)
    assert THREE[2] in sessions(network, nlbd.address, 200).targets


@pytest.mark.quick
def test_ipv6_targets_serve_ipv4_clients(network, start_nlbd):
    addresses = TARGET6[:2]
    with EchoTargets(network, addresses, ini.TARGET_PORT):
        nlbd = start_nlbd(config(*addresses), healthy=2)
        result = sessions(network, nlbd.address, 100)
    assert result.failed == {} and set(result.targets) == set(addresses)


def test_health_checks_survive_a_stall_of_the_supervisor(network, start_nlbd,
                                                         echo):
    """What timed out while nlbd itself stood still is no failure."""
    nlbd = start_nlbd(config(), healthy=3)
    with nlbd.stopped(nlbd.process.pid):
        stays_so(lambda: True, 3, "the stall")
    seen = set()

    def all_healthy():
        seen.update(state for state, _ in nlbd.health().values())
        return seen == {"healthy"}
    stays_so(all_healthy, 2, "every target is healthy", poll_s=0.05)
