"""preserve_client_ip.enabled: the server's getpeername shows the client's
address, and what that needs is checked before it is in force."""
import contextlib
import os
import re
import subprocess

import pytest

from lab import ini, proxy_v2
from lab.daemon import NLBD, Daemon
from lab.netns import (BACK4, BACK6, CLIENT4, CLIENT6, FRONT4, FRONT6,
                       TARGET4, TARGET6)
from lab.peers import (RST, Peer, Target, connect, family_of,
                       reset_at_once)
from lab.process import Process
from lab.wait import wait_until

EX_CONFIG = 78
KEY = "preserve_client_ip.enabled"
TABLE, MARK = "100", "1"
NOBODY = 65534
# As nlbd.ini(5) has it: packets of nlbd's own flows are handed to it.
DIVERT = f"""
table inet nlbd {{
    chain divert {{
        type filter hook prerouting priority mangle
        meta l4proto tcp socket transparent 1 meta mark set {MARK}
    }}
}}
"""

pytestmark = pytest.mark.quick


def way_back(network, verb):
    """The targets' answers to clients come to the node."""
    network.server.ip("route", verb, "192.0.2.0/24", "via", BACK4)
    network.server.ip("route", verb, "2001:db8::/64", "via", BACK6)


def divert(network, verb):
    for family in ("-4", "-6"):
        network.nlbd.ip(family, "rule", verb, "fwmark", MARK, "lookup", TABLE)
        network.nlbd.ip(family, "route", verb, "local", "default", "dev", "lo",
                        "table", TABLE)


@pytest.fixture
def routed(network):
    """Everything that the feature needs outside nlbd."""
    way_back(network, "add")
    divert(network, "add")
    network.nlbd.run("nft", "-f", "-", input=DIVERT)
    yield
    network.nlbd.run("nft", "flush", "ruleset")
    divert(network, "del")
    way_back(network, "del")


def config(targets=TARGET4[:1], enabled="true", **options):
    sections = ini.base(targets, **options)
    sections[ini.GROUP][KEY] = enabled
    return sections


@contextlib.contextmanager
def listening(network, addresses, port=ini.TARGET_PORT):
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Target(network.server, a, port))
               for a in addresses]


def echo_once(client, target):
    client.send(b"ping")
    assert target.recv_exactly(4) == b"ping"
    target.send(b"pong")
    assert client.recv_exactly(4) == b"pong"


def connect_from(network, source, destination):
    """A client with a port of the test's choice, which it does not share."""
    sock = network.client.socket(family_of(destination[0]))
    sock.settimeout(10)
    sock.setsockopt(1, 2, 1)  # SOL_SOCKET, SO_REUSEADDR
    sock.bind(source)
    sock.connect(destination)
    return Peer(sock, "client")


# -- what the server sees

@pytest.mark.parametrize("source, front, target", [
    (CLIENT4[2], FRONT4, TARGET4[0]),
    (CLIENT6[2], FRONT6, TARGET6[0]),
], ids=["ipv4", "ipv6"])
def test_server_sees_the_clients_address_and_port(
        network, start_nlbd, routed, source, front, target):
    nlbd = start_nlbd(config([target]))
    with listening(network, [target]) as [server], \
            connect(network.client, (front, ini.PORT), source) as client, \
            server.accept() as peer:
        assert peer.far_address == client.address
        echo_once(client, peer)
        client.finish()
        assert peer.read_to_end() == "fin"
        peer.finish()
        assert client.read_to_end() == "fin"
    record = nlbd.flow_record(client.address)
    assert record["end_reason"] == "client-fin"
    assert not nlbd.process.find_line("warning.*" + re.escape(KEY))


@pytest.mark.parametrize("source, front, target, own", [
    (CLIENT6[2], FRONT6, TARGET4[0], BACK4),
    (CLIENT4[2], FRONT4, TARGET6[0], BACK6),
], ids=["ipv6-client", "ipv4-client"])
def test_other_family_is_reached_from_the_nodes_address(
        network, start_nlbd, routed, source, front, target, own):
    start_nlbd(config([target]))
    with listening(network, [target]) as [server], \
            connect(network.client, (front, ini.PORT), source) as client, \
            server.accept() as peer:
        assert peer.far_address[0] == own
        echo_once(client, peer)


def test_target_that_is_the_client_is_served(network, start_nlbd, routed):
    """An NLB lets it time out: the target would answer itself."""
    start_nlbd(config())
    with listening(network, TARGET4[:1]) as [server], \
            connect(network.server, (BACK4, ini.PORT), TARGET4[0]) as client, \
            server.accept() as peer:
        assert peer.far_address[0] == BACK4
        echo_once(client, peer)


def test_client_on_two_listeners_with_one_port(network, start_nlbd, routed):
    """The second flow cannot have the port too, and is served from another
    one of the same address."""
    sections = config()
    sections["listener second"] = {**sections[ini.LISTENER],
                                   "Port": ini.PORT + 1}
    sections[ini.SECURITY_GROUP]["Inbound.second"] = (
        f"Protocol=tcp,PortRange={ini.PORT + 1},Source=0.0.0.0/0")
    start_nlbd(sections)
    source = (CLIENT4[3], 20001)
    with listening(network, TARGET4[:1]) as [server], \
            connect_from(network, source, (FRONT4, ini.PORT)) as first, \
            server.accept() as one, \
            connect_from(network, source, (FRONT4, ini.PORT + 1)) as second, \
            server.accept() as two:
        assert one.far_address == source
        assert two.far_address[0] == source[0]
        assert two.far_address[1] != source[1]
        echo_once(first, one)
        echo_once(second, two)


def test_privileged_port_of_a_client_is_not_kept(network, start_nlbd, routed):
    """Neither would nlbd's own listeners share theirs."""
    start_nlbd(config())
    with listening(network, TARGET4[:1]) as [server], \
            connect_from(network, (CLIENT4[3], ini.PORT),
                         (FRONT4, ini.PORT)) as client, \
            server.accept() as peer:
        assert peer.far_address[0] == CLIENT4[3]
        assert peer.far_address[1] != ini.PORT
        echo_once(client, peer)


def test_next_target_is_tried_from_the_clients_address(
        network, start_nlbd, routed):
    nlbd = start_nlbd(config(TARGET4[:3]), healthy=3)
    with listening(network, TARGET4[2:3]) as [server]:
        for _ in range(8):
            with connect(network.client, nlbd.address, CLIENT4[2]) as client, \
                    server.accept() as peer:
                assert peer.far_address == client.address
                echo_once(client, peer)
    # What one client could not reach says nothing of the target.
    assert nlbd.listener()["connect_retries"] > 0
    assert {state for state, _ in nlbd.health().values()} == {"healthy"}


def test_proxy_header_names_the_same_client(network, start_nlbd, routed):
    sections = config()
    sections[ini.GROUP]["proxy_protocol_v2.enabled"] = "true"
    nlbd = start_nlbd(sections)
    with listening(network, TARGET4[:1]) as [server], \
            connect(network.client, nlbd.address, CLIENT4[2]) as client, \
            server.accept() as peer:
        header = proxy_v2.parse(peer.recv_exactly(100))
        assert header.source == client.address == peer.far_address


def test_checks_and_outbound_rules_are_as_ever(network, start_nlbd, routed):
    """Checks come from the node; outbound rules judge the target."""
    sections = config()
    sections["load-balancer"]["SourceAddresses"] = BACK4
    network.server.filter_input(
        f"tcp dport {ini.HEALTH_PORT} ip saddr != {BACK4} drop")
    try:
        nlbd = start_nlbd(sections)
        assert nlbd.process.find_line("SourceAddresses counts for its health")
    finally:
        network.server.filter_input()
    sections[ini.SECURITY_GROUP]["Outbound.none"] = (
        f"Protocol=tcp,PortRange={ini.HEALTH_PORT},Destination=10.0.0.0/8")
    nlbd.reload(sections)
    client = reset_at_once(network.client, nlbd.address, CLIENT4[2])
    assert nlbd.flow_record(client)["end_reason"] == "security-group-outbound"


def test_reload_switches_new_flows_only(network, start_nlbd, routed):
    nlbd = start_nlbd(config(enabled="false"))
    with listening(network, TARGET4[:1]) as [server], \
            connect(network.client, nlbd.address, CLIENT4[2]) as old, \
            server.accept() as old_peer:
        assert old_peer.far_address[0] == BACK4
        nlbd.reload(config())
        with connect(network.client, nlbd.address, CLIENT4[2]) as new, \
                server.accept() as new_peer:
            assert new_peer.far_address == new.address
            echo_once(old, old_peer)
            nlbd.reload(config(enabled="false"))
            echo_once(new, new_peer)


# -- what it needs

def test_missing_rules_are_a_warning_and_silence_is_explained(
        network, start_nlbd):
    """Checks notice nothing: the target stays in service."""
    way_back(network, "add")
    try:
        sections = config()
        sections[ini.GROUP].update(ConnectTimeoutSeconds=1,
                                   ConnectTotalSeconds=1)
        nlbd = start_nlbd(sections)
        line = nlbd.process.wait_line(
            r"nlbd\.ini:(\d+):\d+: warning: answers to clients will not", 5)
        assert KEY in nlbd.config.read_text().splitlines()[int(line[1]) - 1]
        with listening(network, TARGET4[:1]), \
                connect(network.client, nlbd.address, CLIENT4[2]) as client:
            assert client.read_to_end() == RST
        assert (nlbd.flow_record(client.address)["end_reason"]
                == "connect-timeout")
        nlbd.process.wait_line(f"does not answer the client address "
                               f"{CLIENT4[2]}.*nlbd.ini", 5)
        # Both families; with the rules in place a reload has nothing to say.
        nlbd.reload(config([TARGET6[0]]))
        assert nlbd.process.find_line("`local default dev lo' for IPv6")
        divert(network, "add")
        before = len(nlbd.process.lines)
        nlbd.reload(config())
        divert(network, "del")
        assert not nlbd.process.find_line("answers to clients", before)
    finally:
        way_back(network, "del")


def as_nobody(network, capabilities, *argv):
    caps = ",".join(["-all", *(f"+{c}" for c in capabilities)])
    return network.nlbd.command(
        ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}",
         "--clear-groups", f"--inh-caps={caps}", f"--ambient-caps={caps}",
         f"--bounding-set={caps}", *argv])


class Unprivileged(Daemon):
    """nlbd as a service manager starts it: no root, some capabilities."""

    def __init__(self, network, sections, capabilities=()):
        super().__init__(network, sections)
        self.capabilities = capabilities
        os.chown(self.directory, NOBODY, NOBODY)
        os.chown(self.config, NOBODY, NOBODY)

    def argv(self, *extra):
        return as_nobody(self.network, self.capabilities, NLBD, "-c",
                         self.config, *extra)


def capabilities_of(pid):
    """{"CapPrm": 0x..., ...}"""
    with open(f"/proc/{pid}/status") as file:
        return {name: int(value, 16) for name, value
                in re.findall(r"^(Cap\w+):\s+(\w+)$", file.read(), re.M)}


NET_RAW = 1 << 13


def test_without_the_capability_start_is_refused(network, health):
    with Unprivileged(network, config()) as nlbd:
        done = subprocess.run(nlbd.argv(), capture_output=True, text=True,
                              timeout=20)
        assert done.returncode == EX_CONFIG, done.stderr
        found = re.search(r"nlbd\.ini:(\d+):(\d+): error: .*CAP_NET_RAW",
                          done.stderr)
        assert found, done.stderr
        assert KEY in nlbd.config.read_text().splitlines()[int(found[1]) - 1]
        assert "^" in done.stderr and "AmbientCapabilities" in done.stderr
        # The file itself is sound: it may be for another machine.
        checked = subprocess.run(nlbd.argv("--check-config"), text=True,
                                 capture_output=True, timeout=20)
        assert checked.returncode == 0, checked.stderr


def test_without_the_capability_reload_is_refused(network, health):
    with Unprivileged(network, config(enabled="false")) as nlbd:
        nlbd.start()
        with listening(network, TARGET4[:1]) as [server]:
            nlbd.write(config())
            for verb in ("check", "reload"):
                done = nlbd.ctl_raw(verb)
                assert done.returncode != 0
                assert "CAP_NET_RAW" in done.stderr + done.stdout
            with connect(network.client, nlbd.address) as client, \
                    server.accept() as peer:
                assert peer.far_address[0] == BACK4, "the old config is on"
                echo_once(client, peer)


@pytest.mark.parametrize("capability", ["net_raw", "net_admin"])
def test_workers_have_the_capability_and_no_other(
        network, health, routed, capability):
    granted = ["net_bind_service", capability]
    with Unprivileged(network, config(), granted) as nlbd:
        nlbd.start()
        for pid in nlbd.worker_pids().values():
            caps = capabilities_of(pid)
            assert bin(caps["CapPrm"]).count("1") == 1
            assert caps["CapPrm"] == caps["CapEff"] != 1 << 10
        with listening(network, TARGET4[:1]) as [server], \
                connect(network.client, nlbd.address, CLIENT4[2]) as client, \
                server.accept() as peer:
            assert peer.far_address == client.address
            echo_once(client, peer)


def test_capabilities_of_the_binary_do_not_reach_workers(network, health):
    """setcap instead of a service manager."""
    with Unprivileged(network, ini.base()) as nlbd:
        binary = nlbd.directory / "nlbd"
        binary.write_bytes(NLBD.read_bytes())
        binary.chmod(0o755)
        subprocess.run(["setcap", "cap_net_bind_service,cap_net_raw=ep",
                        binary], check=True)
        process = Process(network.nlbd.command(
            ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}",
             "--clear-groups", binary, "-c", nlbd.config])).start()
        nlbd.process = process
        try:
            wait_until(nlbd.ready, 20, "nlbd is ready")
            workers = nlbd.worker_pids().values()
            assert {capabilities_of(pid)["CapPrm"]
                    for pid in workers} == {NET_RAW}
        finally:
            process.terminate(15)


@pytest.mark.parametrize("asked", ["true", "false"])
def test_root_keeps_it_for_the_user_only_if_asked(
        network, start_nlbd, routed, asked):
    sections = config(enabled=asked)
    sections["node"]["User"] = "nobody"
    nlbd = Daemon(network, sections)
    os.chown(nlbd.directory, NOBODY, NOBODY)
    with nlbd:
        nlbd.start()
        expected = NET_RAW if asked == "true" else 0
        assert {capabilities_of(pid)["CapPrm"]
                for pid in nlbd.worker_pids().values()} == {expected}
        nlbd.write({**sections, ini.GROUP: config()[ini.GROUP]})
        assert (nlbd.ctl_raw("reload").returncode == 0) == (asked == "true")
