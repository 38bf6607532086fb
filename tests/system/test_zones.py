"""Zones: a node uses the targets of its own zone, and those of the others with
cross-zone on."""
import pytest

from lab import ini
from lab.capture import Capture
from lab.live import live_flows
from lab.load import sessions
from lab.netns import TARGET4

OWN, ANY, FOREIGN = THREE = TARGET4[:3]
ATTRIBUTE = "load_balancing.cross_zone.enabled"
UNUSED = ("unused", "Target.NotInUse")
ECHO = THREE


def config(cross_zone, group=None):
    sections = ini.base(THREE, health_port="traffic-port",
                        MaxFlowsPerSource=0)
    sections["load-balancer"][ATTRIBUTE] = cross_zone
    sections[ini.GROUP].update({
        "Target.t1": f"Id={OWN},AvailabilityZone=zone-a",
        "Target.t2": f"Id={ANY},AvailabilityZone=all",
        "Target.t3": f"Id={FOREIGN},AvailabilityZone=zone-b"})
    if group is not None:
        sections[ini.GROUP][ATTRIBUTE] = group
    return sections


def description(nlbd, address):
    entry, = (e for e in nlbd.ctl("describe-target-health")
              ["TargetHealthDescriptions"] if e["Target"]["Id"] == address)
    return entry["TargetHealth"].get("Description"), "HealthCheckPort" in entry


@pytest.mark.quick
def test_a_foreign_target_is_unused_and_gets_no_flow(network, start_nlbd,
                                                     echo):
    with Capture(network.server, "wire") as capture:
        nlbd = start_nlbd(config("false"), healthy=2)
        result = sessions(network, nlbd.address, 300)
        assert result.failed == {} and set(result.targets) == {OWN, ANY}
        assert capture.segments(destination=(ANY, None)), "checked"
        assert capture.segments(destination=(FOREIGN, None)) == []
    assert nlbd.health()[FOREIGN] == UNUSED
    assert description(nlbd, FOREIGN) == (
        "Target is in an Availability Zone that is not enabled for the load "
        "balancer", False)
    group, = nlbd.status()["target_groups"]
    assert (group["healthy"], group["unused"]) == (2, 1)


@pytest.mark.quick
def test_cross_zone_comes_and_goes_by_reload(network, start_nlbd, echo):
    nlbd = start_nlbd(config("false"), healthy=2)
    nlbd.reload(config("true"))
    nlbd.wait_healthy(3)
    result = sessions(network, nlbd.address, 300)
    assert result.failed == {} and set(result.targets) == set(THREE)
    with live_flows(network, nlbd.address, 30) as flows:
        nlbd.reload(config("true", group="false"))
        assert nlbd.health()[FOREIGN] == UNUSED
        assert any(flow.target == FOREIGN for flow in flows)
        assert all(flow.echoes() for flow in flows), "flows live on"
        result = sessions(network, nlbd.address, 200)
        assert result.failed == {} and set(result.targets) == {OWN, ANY}
    nlbd.wait_no_flows()
    nlbd.reload(config("false", group="true"))
    nlbd.wait_healthy(3)


@pytest.mark.quick
def test_too_few_healthy_targets_make_the_zone_unhealthy(network, start_nlbd,
                                                         echo):
    sections = config("false")
    sections[ini.GROUP]["target_group_health.dns_failover."
                        "minimum_healthy_targets.count"] = 2
    nlbd = start_nlbd(sections, healthy=2)
    assert nlbd.status()["zone"] == {"name": "zone-a", "healthy": True}
    assert "zone zone-a is healthy for DNS" in nlbd.ctl_raw("status").stdout
    echo.refuse(ANY)
    nlbd.wait_state(ANY, "unhealthy")
    assert nlbd.status()["zone"] == {"name": "zone-a", "healthy": False}
    assert "zone zone-a is unhealthy for DNS" in nlbd.ctl_raw("status").stdout
    result = sessions(network, nlbd.address, 50)
    assert result.failed == {} and set(result.targets) == {OWN}, \
        "flows follow another threshold"
