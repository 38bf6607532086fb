"""Network ACLs: numbered rules in front of clients and targets."""
import pytest

from lab import ini
from lab.netns import CLIENT4, CLIENT6, TARGET4
from lab.peers import Target
from test_security_group import (assert_dropped, assert_reset, assert_served,
                                 both_listed, config)

ACL = "network-acl edge"
LISTED, DENIED = CLIENT4[0], CLIENT4[1]


def acl_rule(peer, action, direction="Source", ports=ini.PORT):
    return (f"Protocol=tcp,PortRange={ports},{direction}={peer},"
            f"RuleAction={action}")


def with_acl(sections, **rules):
    """The rules' names are like in_90 and out_100."""
    sections[ini.LISTENER]["NetworkAcl"] = "edge"
    names = {"in": "Inbound", "out": "Outbound"}
    sections[ACL] = {"Outbound.32766": acl_rule(
        "0.0.0.0/0", "allow", "Destination", "1-65535")}
    for name, rule in rules.items():
        direction, _, number = name.partition("_")
        sections[ACL][f"{names[direction]}.{number}"] = rule
    return sections


def edge(sections):
    """One address is denied, its network is allowed, IPv6 has no rule."""
    return with_acl(sections, in_90=acl_rule(f"{DENIED}/32", "deny"),
                    in_100=acl_rule("192.0.2.0/24", "allow"))


@pytest.mark.quick
def test_the_kernel_drops_what_the_acl_denies(network, start_nlbd, target):
    nlbd = start_nlbd(edge(config("192.0.2.0/24", "2001:db8::/64")))
    assert_dropped(network, 4, DENIED)
    assert_dropped(network, 6, CLIENT6[0])
    client, peer = assert_served(network, target, 4, LISTED)
    with client, peer:
        pass
    assert nlbd.listener()["kernel_filter"] is True
    assert nlbd.listener()["filter_drops"] >= 4


@pytest.mark.quick
def test_the_acl_stands_in_front_of_an_open_listener(network, start_nlbd,
                                                     target):
    sections = edge(ini.base())
    sections[ini.LISTENER]["SecurityGroups"] = "none"
    start_nlbd(sections)
    assert_dropped(network, 4, DENIED)
    client, peer = assert_served(network, target, 4, LISTED)
    with client, peer:
        pass


@pytest.mark.quick
def test_what_the_acl_allows_still_needs_a_security_group(network, start_nlbd,
                                                          target):
    start_nlbd(edge(both_listed()))
    assert_dropped(network, 4, CLIENT4[2])


@pytest.mark.quick
def test_with_reset_the_log_tells_who_refused(network, start_nlbd, target):
    nlbd = start_nlbd(edge(both_listed(action="reset")))
    record = assert_reset(network, nlbd, 4, DENIED)
    assert record["end_reason"] == "network-acl"
    record = assert_reset(network, nlbd, 4, CLIENT4[2])
    assert record["end_reason"] == "security-group"
    listener = nlbd.listener()
    assert listener["network_acl_blocked"] == 1
    assert listener["security_group_blocked"] == 1
    assert listener["rejected_flows"] == 0  # an NLB never sees these
    assert nlbd.status()["flow_ends"]["network-acl"] == 1


@pytest.mark.quick
def test_a_changed_acl_spares_established_flows(network, start_nlbd, target):
    nlbd = start_nlbd(edge(config("0.0.0.0/0")))
    client, peer = assert_served(network, target, 4, LISTED)
    with client, peer:
        nlbd.reload(with_acl(config("0.0.0.0/0"),
                             in_50=acl_rule(f"{LISTED}/32", "deny"),
                             in_100=acl_rule("0.0.0.0/0", "allow")))
        assert_dropped(network, 4, LISTED)
        client.send(b"still here")
        assert peer.recv_exactly(10) == b"still here"


@pytest.mark.quick
def test_denied_targets_get_no_flow_and_no_check(network, start_nlbd, target):
    sections = edge(ini.base(TARGET4[:2], health_port="traffic-port"))
    sections[ACL]["Outbound.10"] = acl_rule(
        f"{TARGET4[0]}/32", "deny", "Destination", "1-65535")
    with Target(network.server, TARGET4[1], ini.TARGET_PORT):
        nlbd = start_nlbd(sections, healthy=1)
        nlbd.wait_state(TARGET4[0], "unhealthy")
        assert nlbd.health()[TARGET4[1]] == ("healthy", None)


@pytest.mark.quick
def test_no_allowed_target_resets_the_client(network, start_nlbd, target):
    sections = edge(ini.base())
    sections[ACL]["Outbound.10"] = acl_rule(
        "10.0.0.0/8", "deny", "Destination", "1-65535")
    nlbd = start_nlbd(sections, healthy=0)
    nlbd.wait_state(TARGET4[0], "unhealthy")
    record = assert_reset(network, nlbd, 4, LISTED)
    assert record["end_reason"] == "network-acl"
    assert nlbd.listener()["network_acl_blocked"] == 1
