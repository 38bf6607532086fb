"""Weighted target groups: two versions of a mail server side by side, and the
share that the new one gets moves by a reload while sessions run."""
import pytest

from lab import ini
from lab.live import live_flows
from lab.load import sessions
from lab.netns import TARGET4

BLUE, GREEN = TARGET4[:2], TARGET4[2:4]
ECHO = BLUE + GREEN


def config(actions):
    sections = ini.base(BLUE, MaxFlowsPerSource=0)
    sections[ini.LISTENER]["DefaultActions"] = actions
    sections["target-group green"] = {
        **{k: v for k, v in sections[ini.GROUP].items()
           if not k.startswith("Target.")},
        **ini.targets(*GREEN)}
    return sections


@pytest.fixture
def nlbd(start_nlbd, echo):
    daemon = start_nlbd(config("forward:smtp=90, forward:green=10"), healthy=2)
    daemon.wait_healthy(2, group="green")
    return daemon


def share(result, group):
    return sum(n for a, n in result.targets.items() if a in group) / result.ok


@pytest.mark.quick
def test_new_flows_are_shared_by_weight(network, nlbd):
    result = sessions(network, nlbd.address, 2000)
    assert result.failed == {}
    # The standard deviation is 0.7 %.
    assert 0.07 < share(result, GREEN) < 0.13, result.targets
    assert set(result.targets) == set(BLUE + GREEN)


@pytest.mark.quick
def test_a_weight_shift_moves_new_flows_only(network, nlbd):
    with live_flows(network, nlbd.address, 40) as flows:
        before = [flow.target for flow in flows]
        assert sum(target in BLUE for target in before) > 25
        nlbd.reload(config("forward:smtp=0, forward:green=10"))
        result = sessions(network, nlbd.address, 300)
        assert result.failed == {}
        assert share(result, GREEN) == 1, "weight 0 gets no new flow"
        assert all(flow.echoes() for flow in flows), "old flows live on"
        assert nlbd.health("smtp")[BLUE[0]] == ("healthy", None)
    nlbd.wait_no_flows()
    assert {r["end_reason"] for r in nlbd.flow_log()} == {"client-fin"}


@pytest.mark.quick
def test_a_group_that_refuses_leaves_its_flows_to_the_other(network, nlbd,
                                                            echo):
    for address in GREEN:
        echo.refuse(address)
    result = sessions(network, nlbd.address, 400)
    assert result.failed == {}
    assert share(result, BLUE) == 1


@pytest.mark.quick
def test_status_shows_the_weights(nlbd):
    assert nlbd.listener()["forwards"] == [
        {"target_group": "smtp", "weight": 90},
        {"target_group": "green", "weight": 10}]
    assert "smtp=90,green=10" in nlbd.ctl_raw("status").stdout
    nlbd.reload(config("forward:green"))
    row, = (line for line in nlbd.ctl_raw("status").stdout.splitlines()
            if line.startswith("submission "))
    assert row.split()[2] == "green", "a lone weight says nothing"
