"""Security groups: what is not allowed gets no answer at all."""
import socket

import pytest

from lab import ini
from lab.capture import ACK, RST, SYN, Capture
from lab.netns import CLIENT4, CLIENT6, FRONT4, FRONT6, TARGET4
from lab.peers import FIN, Target, connect, reset_at_once
from lab.peers import RST as SAW_RST
from lab.wait import stays_so, wait_until

PORT = ini.PORT
LISTED = {4: CLIENT4[0], 6: CLIENT6[0]}
UNLISTED = {4: CLIENT4[2], 6: CLIENT6[2]}
FRONT = {4: (FRONT4, PORT), 6: (FRONT6, PORT)}
FAMILIES = [pytest.param(4, id="ipv4"), pytest.param(6, id="ipv6")]
SYN_RETRANSMITTED_S = 1.6  # the first one comes after 1 s


def rule(source, port=PORT):
    return f"Protocol=tcp,PortRange={port},Source={source}"


def config(*sources, action="drop", **node):
    sections = ini.base(**node)
    sections[ini.SECURITY_GROUP] = {
        f"Inbound.r{n}": rule(s) for n, s in enumerate(sources)}
    sections[ini.LISTENER]["SecurityGroupAction"] = action
    return sections


def both_listed(**kwargs):
    return config(f"{LISTED[4]}/32", f"{LISTED[6]}/128", **kwargs)


def assert_served(network, target, family, source):
    """A flow from the source works both ways; returns its two peers."""
    client = connect(network.client, FRONT[family], source)
    peer = target.accept()
    peer.send(b"220 hello\r\n")
    assert client.recv_exactly(11) == b"220 hello\r\n"
    client.send(b"EHLO\r\n")
    assert peer.recv_exactly(6) == b"EHLO\r\n"
    return client, peer


def assert_dropped(network, family, source):
    """No answer of any kind to a SYN and its retransmission."""
    host = "ip6" if family == 6 else "ip"
    with Capture(network.client, "wire", f"{host} and tcp") as capture:
        with pytest.raises(TimeoutError):
            connect(network.client, FRONT[family], source,
                    deadline_s=SYN_RETRANSMITTED_S)
        asked = [s for s in capture.segments(source=(source, None))
                 if s.has(SYN)]
        # An established flow of the same source may still be acknowledged.
        ports = {s.source[1] for s in asked}
        answers = [s for s in capture.segments(destination=(source, None))
                   if s.destination[1] in ports]
    assert len(asked) >= 2, "the SYN was not repeated: who answered?"
    assert answers == []


def assert_reset(network, nlbd, family, source):
    """A connect from the source is accepted and reset at once; returns the
    flow log's record of it."""
    name = reset_at_once(network.client, FRONT[family], source)
    return nlbd.flow_record(name)


@pytest.mark.quick
@pytest.mark.parametrize("family", FAMILIES)
def test_unlisted_source_gets_no_answer(family, network, start_nlbd, target):
    nlbd = start_nlbd(both_listed())
    assert_dropped(network, family, UNLISTED[family])
    assert nlbd.listener()["new_flows"] == 0
    assert nlbd.listener()["filter_drops"] >= 2
    assert nlbd.flow_log() == []


@pytest.mark.quick
@pytest.mark.parametrize("family", FAMILIES)
def test_listed_source_is_served(family, network, start_nlbd, target):
    start_nlbd(both_listed())
    client, peer = assert_served(network, target, family, LISTED[family])
    with client, peer:
        client.finish()
        assert peer.read_to_end() == FIN


@pytest.mark.quick
@pytest.mark.parametrize("family", FAMILIES)
def test_removed_source_keeps_its_flow_and_loses_its_next_syn(
        family, network, start_nlbd, target):
    nlbd = start_nlbd(both_listed())
    source = LISTED[family]
    client, peer = assert_served(network, target, family, source)
    with client, peer:
        nlbd.reload(config(f"{LISTED[10 - family]}/"
                           f"{32 if family == 6 else 128}"))
        assert_dropped(network, family, source)
        client.send(b"x" * 100_000)
        assert peer.recv_exactly(100_000) == b"x" * 100_000
        peer.send(b"still here")
        assert client.recv_exactly(10) == b"still here"
        client.finish()
        assert peer.read_to_end() == FIN
        peer.finish()
        assert client.read_to_end() == FIN


@pytest.mark.quick
def test_added_source_is_served_after_reload(network, start_nlbd, target):
    nlbd = start_nlbd(both_listed())
    nlbd.reload(both_listed() | {ini.SECURITY_GROUP: {
        "Inbound.all": rule("192.0.2.0/24")}})
    client, peer = assert_served(network, target, 4, UNLISTED[4])
    client.sock.close()
    peer.sock.close()


@pytest.mark.quick
def test_groups_come_and_go_by_reload(network, start_nlbd, target):
    """An NLB made without a security group never gets one."""
    open_to_all = both_listed()
    open_to_all[ini.LISTENER]["SecurityGroups"] = "none"
    nlbd = start_nlbd(open_to_all)
    pairs = [assert_served(network, target, 4, UNLISTED[4])]
    nlbd.reload(both_listed())
    assert_dropped(network, 4, UNLISTED[4])
    pairs.append(assert_served(network, target, 4, LISTED[4]))
    nlbd.reload(open_to_all)
    pairs.append(assert_served(network, target, 4, UNLISTED[4]))
    for client, peer in pairs:
        client.send(b"NOOP")
        assert peer.recv_exactly(4) == b"NOOP"
        client.sock.close()
        peer.sock.close()


def test_rule_for_another_port_does_not_open_this_one(network, start_nlbd,
                                                      target):
    sections = both_listed()
    sections[ini.SECURITY_GROUP]["Inbound.other"] = rule("0.0.0.0/0",
                                                         port=PORT + 1)
    start_nlbd(sections)
    assert_dropped(network, 4, UNLISTED[4])


def test_many_rules_decide_as_few_do(network, start_nlbd, target):
    """More ranges than one conditional jump reaches over."""
    sources = [f"198.51.{n // 128}.{n % 128 * 2}/32" for n in range(600)]
    start_nlbd(config(*sources, f"{LISTED[4]}/32"))
    client, peer = assert_served(network, target, 4, LISTED[4])
    client.sock.close()
    peer.sock.close()
    assert_dropped(network, 4, UNLISTED[4])


@pytest.mark.quick
@pytest.mark.parametrize("family", FAMILIES)
def test_reset_action_resets_and_says_who_knocked(family, network, start_nlbd,
                                                  target):
    nlbd = start_nlbd(both_listed(action="reset"))
    source = UNLISTED[family]
    with Capture(network.client, "wire") as capture:
        record = assert_reset(network, nlbd, family, source)
        capture.wait_for(lambda s: s.has(RST), 2, "an RST",
                         destination=(source, None))
    assert record["end_reason"] == "security-group"
    assert nlbd.listener()["security_group_blocked"] >= 1
    with pytest.raises(TimeoutError):
        target.accept(deadline_s=0.3)
    client, peer = assert_served(network, target, family, LISTED[family])
    client.sock.close()
    peer.sock.close()


@pytest.mark.quick
def test_outbound_rules_bind_flows(network, start_nlbd):
    """A target that no outbound rule allows never gets a flow."""
    sections = both_listed()
    sections[ini.SECURITY_GROUP]["Outbound.one"] = (
        f"Protocol=tcp,PortRange=1-65535,Destination={TARGET4[1]}/32")
    sections[ini.GROUP] |= ini.targets(*TARGET4[:2])
    start_nlbd(sections)
    with Target(network.server, TARGET4[0], ini.TARGET_PORT) as forbidden, \
            Target(network.server, TARGET4[1], ini.TARGET_PORT) as allowed:
        for _ in range(20):
            client = connect(network.client, FRONT[4], LISTED[4])
            with client, allowed.accept():
                pass
        with pytest.raises(TimeoutError):
            forbidden.accept(deadline_s=0.2)


@pytest.mark.quick
def test_no_allowed_target_resets_the_client(network, start_nlbd, target):
    sections = both_listed()
    sections[ini.SECURITY_GROUP]["Outbound.none"] = (
        "Protocol=tcp,PortRange=1-65535,Destination=198.51.100.0/24")
    nlbd = start_nlbd(sections, healthy=0)
    record = assert_reset(network, nlbd, 4, LISTED[4])
    assert record["end_reason"] == "security-group-outbound"


# -- limits

def is_silent(peer):
    """Connected, but nothing has come and nothing has ended."""
    peer.sock.setblocking(False)
    try:
        peer.sock.recv(1, socket.MSG_PEEK)
        return False
    except BlockingIOError:
        return True
    finally:
        peer.sock.settimeout(10)


@pytest.mark.quick
@pytest.mark.parametrize("workers", [1, 4])
def test_source_over_its_limit_is_reset_and_others_are_served(
        network, start_nlbd, target, workers):
    """The limit is the node's, however many workers share its flows."""
    nlbd = start_nlbd(both_listed(workers=workers, MaxFlowsPerSource=2)
                      | {ini.SECURITY_GROUP: {
                          "Inbound.v4": rule("192.0.2.0/24"),
                          "Inbound.v6": rule("2001:db8::/64")}})
    greedy, other = CLIENT4[0], CLIENT4[1]
    pairs = [assert_served(network, target, 4, greedy) for _ in range(2)]
    record = assert_reset(network, nlbd, 4, greedy)
    assert record["end_reason"] == "source-limit"
    pairs.append(assert_served(network, target, 4, other))

    client, peer = pairs.pop(0)
    client.reset()
    assert peer.read_to_end() == SAW_RST
    peer.close()
    wait_until(lambda: nlbd.listener()["active_flows"] == 2, 5, "one less")
    pairs.append(assert_served(network, target, 4, greedy))

    # IPv6 sources count by /64: two addresses of one are one source.
    pairs += [assert_served(network, target, 6, a) for a in CLIENT6[:2]]
    record = assert_reset(network, nlbd, 6, CLIENT6[2])
    assert record["end_reason"] == "source-limit"
    for client, peer in pairs:
        client.sock.close()
        peer.sock.close()


@pytest.mark.quick
def test_listener_at_max_flows_pauses_and_resumes(network, start_nlbd,
                                                  target):
    sections = both_listed(workers=1, MaxFlowsPerSource=0)
    sections[ini.LISTENER]["MaxFlows"] = 3
    nlbd = start_nlbd(sections)
    pairs = [assert_served(network, target, 4, LISTED[4]) for _ in range(3)]
    with connect(network.client, FRONT[4], LISTED[4]) as waiting:
        wait_until(lambda: nlbd.listener()["paused"], 5, "paused")
        nlbd.process.wait_line("(?i)paus", 5)
        stays_so(lambda: is_silent(waiting), 0.5, "the fourth client waits")
        assert nlbd.listener()["active_flows"] == 3
        client, peer = pairs.pop()
        client.finish()
        peer.read_to_end()
        peer.close()
        client.read_to_end()
        client.close()
        with target.accept() as peer:
            peer.send(b"220 at last")
            assert waiting.recv_exactly(11) == b"220 at last"
        waiting.reset()
        wait_until(lambda: not nlbd.listener()["paused"], 5, "resumed")
    for client, peer in pairs:
        client.sock.close()
        peer.sock.close()


def test_established_flow_survives_its_sources_syn_filter(
        network, start_nlbd, target):
    """The filter drops SYNs only: a long flow crosses ten reloads."""
    nlbd = start_nlbd(both_listed())
    client, peer = assert_served(network, target, 4, LISTED[4])
    with client, peer, Capture(network.client, "wire") as capture:
        for n in range(10):
            nlbd.reload(config(f"198.51.100.{n}/32"))
            client.send(bytes([n]) * 5000)
            assert peer.recv_exactly(5000) == bytes([n]) * 5000
        resets = [s for s in capture.segments() if s.has(RST)]
        assert resets == []
        assert [s for s in capture.segments() if s.has(ACK)] != []
