"""Standby targets: a second site that gets mail only while the first is
away."""
import pytest

from lab import ini
from lab.live import live_flows
from lab.load import Load, sessions
from lab.netns import TARGET4

ACTIVE, STANDBY = TARGET4[:2], TARGET4[2]
ECHO = [*ACTIVE, STANDBY]


def config(**group):
    sections = ini.base(ACTIVE, health_port="traffic-port",
                        MaxFlowsPerSource=0)
    sections[ini.GROUP]["Target.far"] = f"Id={STANDBY},Standby=true"
    sections[ini.GROUP].update(group)
    return sections


def group(nlbd):
    entry, = nlbd.status()["target_groups"]
    return entry


@pytest.mark.quick
def test_standby_takes_over_and_gives_back(network, start_nlbd, echo):
    nlbd = start_nlbd(config(), healthy=3)
    result = sessions(network, nlbd.address, 200)
    assert result.failed == {} and set(result.targets) == set(ACTIVE)

    echo.refuse(ACTIVE[0])
    nlbd.wait_state(ACTIVE[0], "unhealthy")
    assert not group(nlbd)["on_standby"], "one active target is left"
    echo.refuse(ACTIVE[1])
    nlbd.wait_state(ACTIVE[1], "unhealthy")
    assert group(nlbd)["on_standby"] and not group(nlbd)["fail_open"]
    assert "standby targets" in nlbd.ctl_raw("status").stdout

    with Load(network, nlbd.address, rate=200) as load, \
            live_flows(network, nlbd.address, 20) as flows:
        assert {flow.target for flow in flows} == {STANDBY}
        echo.serve(ACTIVE[0])
        nlbd.wait_state(ACTIVE[0], "healthy")
        assert not group(nlbd)["on_standby"]
        after = sessions(network, nlbd.address, 100)
        assert after.failed == {} and set(after.targets) == {ACTIVE[0]}
        assert all(flow.echoes() for flow in flows), "they stay"
        result = load.stop()
    assert result.failed == {}, result
    assert set(result.targets) == {ACTIVE[0], STANDBY}


@pytest.mark.quick
def test_failing_open_goes_to_the_active_targets(network, start_nlbd, echo):
    nlbd = start_nlbd(config(HealthCheckPort=ini.TARGET_PORT + 7), healthy=0)
    for address in (*ACTIVE, STANDBY):
        nlbd.wait_state(address, "unhealthy")
    result = sessions(network, nlbd.address, 100)
    assert result.failed == {} and set(result.targets) == set(ACTIVE)


@pytest.mark.quick
def test_no_new_session_fails_while_the_active_targets_go(network, start_nlbd,
                                                          echo):
    """Before any check notices, standby takes what the others refused."""
    nlbd = start_nlbd(config(), healthy=3)
    nlbd.reload(config(HealthCheckIntervalSeconds=300))
    for address in ACTIVE:
        echo.refuse(address)
    result = sessions(network, nlbd.address, 300)
    assert result.failed == {} and set(result.targets) == {STANDBY}
    assert group(nlbd)["on_standby"], "the passive checks have noticed"
