"""Targets by DNS name: records change, servers and records fail."""
import time
from datetime import datetime

import pytest

from lab import ini
from lab.daemon import scaled
from lab.dns import Dnsmasq
from lab.live import live_flows
from lab.load import EchoTargets, Load, sessions
from lab.mail import Postfix, Sessions
from lab.netns import BACK4, BACK6, TARGET4, TARGET6
from lab.wait import wait_until

NAME = "mail.example.test"
A, B, C = TARGET4[:3]
ECHO = [A, B, C]


def config(dns, name=NAME, **changes):
    """One target, by name; changes: keys of the group, with __ for dots."""
    sections = ini.base([name], health_port="traffic-port",
                        MaxFlowsPerSource=0, Resolvers=dns.resolver,
                        ResolveMinSeconds=1)
    sections[ini.GROUP].update(
        {key.replace("__", "."): value for key, value in changes.items()})
    return sections


@pytest.fixture
def dns(network):
    with Dnsmasq(network, {NAME: [A]}) as server:
        yield server


def name(nlbd):
    entry, = nlbd.status()["names"]
    return entry


def wait_addresses(nlbd, *addresses, deadline_s=20):
    return wait_until(lambda: sorted(name(nlbd)["addresses"]) ==
                      sorted(addresses), deadline_s,
                      f"{NAME} is {addresses}", poll_s=0.05)


@pytest.mark.quick
def test_a_name_is_resolved_and_shown(network, start_nlbd, echo, dns):
    dns.change({NAME: [A, B]})
    nlbd = start_nlbd(config(dns), healthy=2)
    result = sessions(network, nlbd.address, 100)
    assert result.failed == {} and set(result.targets) == {A, B}
    described = nlbd.ctl("describe-target-health")["TargetHealthDescriptions"]
    assert [d["Target"] for d in described] == [
        {"Id": address, "Port": ini.TARGET_PORT, "AvailabilityZone": "all",
         "DNSName": NAME} for address in (A, B)]
    assert f"{A}:{ini.TARGET_PORT} ({NAME})" in nlbd.ctl_raw(
        "describe-target-health").stdout
    assert NAME in nlbd.ctl_raw("status").stdout
    assert name(nlbd)["error"] is None


@pytest.mark.deadline(120)
def test_record_changes_under_load_fail_no_session(network, start_nlbd, echo,
                                                   dns):
    nlbd = start_nlbd(config(dns, deregistration_delay__timeout_seconds=60))
    with Load(network, nlbd.address, rate=200) as load, \
            live_flows(network, nlbd.address, 20) as flows:
        for addresses in ([B], [B, C], [A, C], [A]):
            dns.change({NAME: addresses})
            wait_addresses(nlbd, *addresses)
            for address in addresses:
                nlbd.wait_state(address, "healthy")
            wait_until(lambda: name(nlbd)["kept_addresses"] == [], 10,
                       "former addresses are let go")
            after = sessions(network, nlbd.address, 50)
            assert after.failed == {}, after
            assert set(after.targets) <= set(addresses), after
            assert all(flow.echoes() for flow in flows), "flows live on"
        result = load.stop()
    assert result.failed == {}, result
    assert set(result.targets) == {A, B, C}, result


@pytest.mark.deadline(180)
def test_record_changes_under_smtp_load_lose_no_mail(network, start_nlbd, dns):
    """Real sessions with a real server: none fails, all mail arrives, and
    from the shift on every flow goes to the new address."""
    with Postfix(network, f"{A}, {B}", ini.TARGET_PORT) as postfix:
        nlbd = start_nlbd(config(dns, HealthCheckProtocol="SMTP",
                                 HealthCheckTimeoutSeconds=5,
                                 HealthCheckIntervalSeconds=1))
        with Sessions(network, nlbd.address) as load:
            for old, new in ((A, B), (B, A), (A, B)):
                wait_until(lambda: _flows_since(nlbd, 0, old) >= 20, 60,
                           f"mail goes to {old}", poll_s=0.1)
                dns.change({NAME: [new]})
                wait_until(lambda: old not in nlbd.health() or
                           nlbd.health()[old][0] != "healthy", 30,
                           f"{old} is let go", poll_s=0.05)
                shifted_at, shifted = time.time(), len(nlbd.flow_log())
                wait_until(lambda: _flows_since(nlbd, shifted, new) >= 20, 60,
                           f"mail goes to {new}", poll_s=0.1)
                late = [r for r in nlbd.flow_log()[shifted:]
                        if r["target"].startswith(f"{old}:")
                        and _began_at(r) > shifted_at]
                assert late == [], "only what was under way"
            result = load.stop()
        assert result["failures"] == []
        wait_until(lambda: postfix.count_delivered() == result["accepted"], 60,
                   "all mail is delivered", poll_s=0.2)
        assert postfix.complaints() == []


def _began_at(record):
    return datetime.fromisoformat(record["time"]).timestamp()


def _flows_since(nlbd, start, address):
    return sum(r["target"].startswith(f"{address}:")
               for r in nlbd.flow_log()[start:])


@pytest.mark.quick
def test_a_new_record_takes_over_only_when_it_works(network, start_nlbd, echo,
                                                    dns):
    nlbd = start_nlbd(config(dns))
    echo.refuse(B)
    dns.change({NAME: [B]})
    nlbd.wait_state(B, "unhealthy", 20)
    assert name(nlbd)["kept_addresses"] == [A]
    result = sessions(network, nlbd.address, 100)
    assert result.failed == {} and set(result.targets) == {A}
    echo.serve(B)
    nlbd.wait_state(B, "healthy", 20)
    wait_until(lambda: name(nlbd)["kept_addresses"] == [], 10, "A is let go")
    result = sessions(network, nlbd.address, 100)
    assert result.failed == {} and set(result.targets) == {B}


@pytest.mark.quick
def test_failures_keep_what_is_known(network, start_nlbd, echo, dns):
    nlbd = start_nlbd(config(dns))
    dns.change({})
    wait_until(lambda: name(nlbd)["failures"] >= 2, 20, "an empty answer")
    assert name(nlbd)["addresses"] == [A]
    assert sessions(network, nlbd.address, 50).failed == {}
    status = nlbd.status()
    assert status["health"] == "degraded"
    assert any(NAME in problem for problem in status["problems"])
    logged = [line for line in nlbd.process.lines if "cannot be resolved"
              in line]
    assert len(logged) == 1, "a row of failures is one line"
    dns.change({NAME: [B]})
    wait_addresses(nlbd, B)
    nlbd.process.wait_line("is resolved again", 5)
    wait_until(lambda: nlbd.status()["health"] == "ok", 10, "all is well")


@pytest.mark.quick
@pytest.mark.deadline(120)
def test_nlbd_starts_without_a_dns_server(network, start_nlbd, echo, dns):
    dns.stop()
    nlbd = start_nlbd(config(dns), healthy=0)
    assert nlbd.health() == {}
    assert nlbd.status()["health"] == "failing"
    wait_until(lambda: name(nlbd)["failures"] >= 1, 40, "no answer",
               poll_s=0.2)
    with Dnsmasq(network, {NAME: [A]}):
        nlbd.wait_healthy(1, 60)
        assert sessions(network, nlbd.address, 50).failed == {}


@pytest.mark.quick
def test_forbidden_addresses_are_left_out(network, start_nlbd, echo, dns):
    bad = ["127.0.0.1", "0.0.0.0", "169.254.169.254", "224.0.0.1",
           "255.255.255.255", "192.0.2.77"]
    sections = config(dns)
    sections[ini.SECURITY_GROUP]["Outbound.targets"] = (
        f"Protocol=tcp,PortRange={ini.TARGET_PORT},Destination=10.20.0.0/24")
    dns.change({NAME: [*bad, A]})
    nlbd = start_nlbd(sections)
    assert set(nlbd.health()) == {A}
    for address in bad:
        assert address in name(nlbd)["refused"]
    nlbd.process.wait_line("left out: .*127.0.0.1:2525 is this machine", 5)
    dns.change({NAME: bad})
    wait_until(lambda: name(nlbd)["failures"] >= 1, 20, "all are refused")
    assert set(nlbd.health()) == {A}
    assert sessions(network, nlbd.address, 50).failed == {}


@pytest.mark.quick
@pytest.mark.parametrize("address, shown, family", [
    (BACK4, BACK4, "ipv4"), (BACK6, f"[{BACK6}]", "ipv6")])
def test_the_own_listener_is_no_target(network, start_nlbd, dns, address,
                                       shown, family):
    dns.change({NAME: [address]})
    nlbd = start_nlbd(config(dns, Port=ini.PORT, IpAddressType=family),
                      healthy=0)
    wait_until(lambda: name(nlbd)["refused"], 20, "it is refused")
    assert f"{shown}:{ini.PORT} is nlbd's own listener" in (
        name(nlbd)["refused"])
    assert nlbd.health() == {}


@pytest.mark.quick
def test_reload_keeps_what_names_resolve_to(network, start_nlbd, echo, dns):
    nlbd = start_nlbd(config(dns))
    dns.stop()
    with Load(network, nlbd.address, rate=200) as load:
        nlbd.reload(config(dns, HealthyThresholdCount=3))
        assert nlbd.health() == {A: ("healthy", None)}
        # Rules are looked at again by every reload.
        sections = config(dns)
        sections[ini.SECURITY_GROUP]["Outbound.some"] = (
            f"Protocol=tcp,PortRange={ini.TARGET_PORT},"
            f"Destination=10.20.0.0/24")
        nlbd.reload(sections)
        assert nlbd.health() == {A: ("healthy", None)}
        result = load.stop()
    assert result.failed == {}, result
    sections[ini.SECURITY_GROUP]["Outbound.some"] = (
        f"Protocol=tcp,PortRange={ini.TARGET_PORT},Destination=10.9.0.0/24")
    nlbd.reload(sections)
    assert "healthy" not in dict(nlbd.health().values())


@pytest.mark.quick
def test_an_ipv6_group_takes_ipv6_addresses(network, start_nlbd, dns):
    dns.change({NAME: [A, TARGET6[0]]})
    with EchoTargets(network, [A, TARGET6[0]], ini.TARGET_PORT):
        nlbd = start_nlbd(config(dns, IpAddressType="ipv6"))
        assert set(nlbd.health()) == {TARGET6[0]}
        assert sessions(network, nlbd.address, 50).failed == {}


def test_a_flow_never_waits_for_dns(network, start_nlbd, echo, dns):
    """Questions that nobody answers, and sessions meanwhile."""
    nlbd = start_nlbd(config(dns))
    network.server.filter_input("udp dport 5353 drop")
    try:
        wait_until(lambda: name(nlbd)["next_seconds"] == 0, 20, "it asks")
        result = sessions(network, nlbd.address, 500, rate=500)
    finally:
        network.server.filter_input()
    assert result.failed == {} and result.slowest_connect < scaled(0.5, 3)
