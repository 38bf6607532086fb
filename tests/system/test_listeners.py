"""Several listeners of one nlbd: the ports of mail side by side, one port on
several addresses, and both families on either side."""
import contextlib
import itertools

import pytest

from lab import ini
from lab.netns import (BACK4, BACK6, CLIENT4, CLIENT6, FRONT4, FRONT6, TARGET4,
                       TARGET6)
from lab.peers import FIN, Target, connect
from lab.wait import wait_until

SERVICES = {"smtp": 25, "submissions": 465, "submission": 587,
            "submission-alt": 2587, "pop3": 110, "imap": 143, "imaps": 993}
SECOND = "192.0.2.2"  # another address of nlbd's

pytestmark = pytest.mark.quick


def listener(port, group, **keys):
    return {"Protocol": "TCP", "Port": port, "SecurityGroups": "none",
            "DefaultActions": f"forward:{group}", **keys}


def group(address, port):
    return {"Protocol": "TCP", "Port": port, "TargetType": "ip",
            "IpAddressType": "ipv6" if ":" in address else "ipv4",
            "HealthCheckPort": ini.HEALTH_PORT,
            "HealthCheckIntervalSeconds": "0.5",
            "HealthCheckTimeoutSeconds": "0.5", "Target.one": f"Id={address}"}


def config(listeners, groups, family="dualstack"):
    return {"load-balancer": {"Name": "lab", "IpAddressType": family},
            **{f"listener {name}": keys for name, keys in listeners.items()},
            **{f"target-group {name}": keys for name, keys in groups.items()},
            "node": {"Workers": 2}}


def services(*names):
    return config({name: listener(SERVICES[name], name) for name in names},
                  {name: group(TARGET4[0], SERVICES[name]) for name in names})


@pytest.fixture
def targets(network):
    """targets(address, port): a listening socket, one for each."""
    with contextlib.ExitStack() as stack:
        made = {}

        def get(address, port):
            if (address, port) not in made:
                made[address, port] = stack.enter_context(
                    Target(network.server, address, port))
            return made[address, port]

        yield get


@contextlib.contextmanager
def greeted(network, front, source, target):
    """A flow whose target has spoken first; (client, server)."""
    with connect(network.client, front, source) as client, \
            target.accept() as server:
        greeting = f"220 {target.address}\r\n".encode()
        server.send(greeting)
        assert client.recv_exactly(len(greeting)) == greeting
        client.send(b"QUIT\r\n")
        assert server.recv_exactly(6) == b"QUIT\r\n"
        yield client, server


def wait_all_healthy(nlbd, count):
    wait_until(lambda: sum(g["healthy"] for g in nlbd.status()
                           ["target_groups"]) == count, 20, "all healthy")


def flows_by_listener(nlbd, key):
    return {entry["name"]: entry[key] for entry in nlbd.status()["listeners"]}


def test_the_ports_of_mail_stand_side_by_side(network, start_nlbd, targets):
    for port in SERVICES.values():
        targets(TARGET4[0], port)
    nlbd = start_nlbd(services(*SERVICES), healthy=0)
    wait_all_healthy(nlbd, len(SERVICES))
    with contextlib.ExitStack() as stack:
        clients = {}
        for n, (name, port) in enumerate(SERVICES.items(), 1):
            for front, source in itertools.islice(itertools.cycle(
                    [(FRONT4, CLIENT4[2]), (FRONT6, CLIENT6[2])]), n):
                client, _ = stack.enter_context(greeted(
                    network, (front, port), source, targets(TARGET4[0], port)))
                clients[client.address] = name
        expected = {name: n for n, name in enumerate(SERVICES, 1)}
        assert flows_by_listener(nlbd, "active_flows") == expected
        assert flows_by_listener(nlbd, "new_flows") == expected
    nlbd.wait_no_flows()
    for address, name in clients.items():
        record = nlbd.flow_record(address)
        assert (record["listener"], record["target_group"]) == (name, name)


def test_a_listener_comes_and_goes_and_the_others_do_not_notice(
        network, start_nlbd, targets):
    for port in SERVICES.values():
        targets(TARGET4[0], port)
    most = [name for name in SERVICES if name != "pop3"]
    nlbd = start_nlbd(services(*SERVICES), healthy=0)
    wait_all_healthy(nlbd, len(SERVICES))
    with contextlib.ExitStack() as stack:
        pairs = [stack.enter_context(greeted(
            network, (FRONT4, port), CLIENT4[0], targets(TARGET4[0], port)))
            for port in SERVICES.values()]
        nlbd.reload(services(*most))
        with pytest.raises(ConnectionRefusedError):
            connect(network.client, (FRONT4, SERVICES["pop3"]))
        assert set(flows_by_listener(nlbd, "new_flows")) == set(most)
        for name in most:
            with greeted(network, (FRONT4, SERVICES[name]), CLIENT4[1],
                         targets(TARGET4[0], SERVICES[name])):
                pass
        for client, server in pairs:  # that of pop3 as well
            client.send(b"NOOP\r\n")
            assert server.recv_exactly(6) == b"NOOP\r\n"
        nlbd.reload(services(*SERVICES))
        with greeted(network, (FRONT4, SERVICES["pop3"]), CLIENT4[1],
                     targets(TARGET4[0], SERVICES["pop3"])):
            pass
        for client, server in pairs:
            client.finish()
            assert server.read_to_end() == FIN


def test_each_listener_has_its_own_rules(network, start_nlbd, targets):
    """Port 25 for one client, 587 for the other; the kernel drops the rest."""
    sections = services("smtp", "submission")
    for name, client in (("smtp", CLIENT4[0]), ("submission", CLIENT4[1])):
        sections[f"listener {name}"]["SecurityGroups"] = name
        sections[f"security-group {name}"] = {
            "Inbound.one": f"Protocol=tcp,PortRange={SERVICES[name]},"
                           f"Source={client}/32"}
    for name in ("smtp", "submission"):
        targets(TARGET4[0], SERVICES[name])
    nlbd = start_nlbd(sections, healthy=0)
    wait_all_healthy(nlbd, 2)
    for name, client, other in (("smtp", CLIENT4[0], CLIENT4[1]),
                                ("submission", CLIENT4[1], CLIENT4[0])):
        front = (FRONT4, SERVICES[name])
        with greeted(network, front, client, targets(TARGET4[0], front[1])):
            pass
        with pytest.raises(TimeoutError):
            connect(network.client, front, other, deadline_s=1.5)


@pytest.fixture
def second_address(network):
    network.nlbd.ip("address", "add", f"{SECOND}/24", "dev", "front")
    yield SECOND
    network.nlbd.ip("address", "del", f"{SECOND}/24", "dev", "front")


def test_one_port_on_several_addresses(network, start_nlbd, targets,
                                       second_address):
    """Address tells listeners of the same port apart."""
    fronts = {"first": (FRONT4, TARGET4[0]), "second": (second_address,
                                                        TARGET4[1]),
              "sixth": (FRONT6, TARGET6[0])}
    sections = config(
        {name: listener(ini.PORT, name, Address=front)
         for name, (front, _) in fronts.items()},
        {name: group(target, ini.TARGET_PORT)
         for name, (_, target) in fronts.items()})
    for _, target in fronts.values():
        targets(target, ini.TARGET_PORT)
    nlbd = start_nlbd(sections, healthy=0)
    wait_all_healthy(nlbd, len(fronts))
    for name, (front, target) in fronts.items():
        source = CLIENT6[0] if ":" in front else CLIENT4[0]
        with greeted(network, (front, ini.PORT), source,
                     targets(target, ini.TARGET_PORT)) as (client, _):
            pass
        assert nlbd.flow_record(client.address)["listener"] == name
    del sections["listener second"], sections["target-group second"]
    nlbd.reload(sections)
    with pytest.raises(ConnectionRefusedError):
        connect(network.client, (second_address, ini.PORT), CLIENT4[0])


def test_an_address_that_goes_and_comes_back_is_served_again(
        network, start_nlbd, targets, second_address):
    """Reloads included, while it is away."""
    sections = config(
        {"one": listener(ini.PORT, "one", Address=second_address)},
        {"one": group(TARGET4[0], ini.TARGET_PORT)})
    target = targets(TARGET4[0], ini.TARGET_PORT)
    nlbd = start_nlbd(sections, healthy=0)
    wait_all_healthy(nlbd, 1)
    front = (second_address, ini.PORT)
    with greeted(network, front, CLIENT4[0], target) as (client, server):
        network.nlbd.ip("address", "del", f"{second_address}/24", "dev",
                        "front")
        try:
            sections["listener one"]["tcp.idle_timeout.seconds"] = 300
            nlbd.reload(sections)
        finally:
            network.nlbd.ip("address", "add", f"{second_address}/24", "dev",
                            "front")
        client.send(b"NOOP\r\n")
        assert server.recv_exactly(6) == b"NOOP\r\n"
        with greeted(network, front, CLIENT4[1], target):
            pass


@pytest.mark.parametrize("target,back", [(TARGET4[0], BACK4),
                                         (TARGET6[0], BACK6)],
                         ids=["ipv4-target", "ipv6-target"])
@pytest.mark.parametrize("front,source", [(FRONT4, CLIENT4[6]),
                                          (FRONT6, CLIENT6[6])],
                         ids=["ipv4-client", "ipv6-client"])
def test_either_family_of_clients_reaches_either_of_targets(
        front, source, target, back, network, start_nlbd, targets):
    port = ini.TARGET_PORT
    targets(target, port)
    nlbd = start_nlbd(config({"one": listener(ini.PORT, "one")},
                             {"one": group(target, port)}), healthy=0)
    wait_all_healthy(nlbd, 1)
    with greeted(network, (front, ini.PORT), source,
                 targets(target, port)) as (client, server):
        assert server.sock.getpeername()[0] == back
    record = nlbd.flow_record(client.address)
    assert record["client"].startswith(f"[{source}]:" if ":" in source
                                       else f"{source}:")


def test_an_ipv4_load_balancer_has_no_ipv6_socket(network, start_nlbd,
                                                  targets):
    targets(TARGET4[0], ini.TARGET_PORT)
    nlbd = start_nlbd(config({"one": listener(ini.PORT, "one")},
                             {"one": group(TARGET4[0], ini.TARGET_PORT)},
                             family="ipv4"), healthy=0)
    wait_all_healthy(nlbd, 1)
    with pytest.raises(ConnectionRefusedError):
        connect(network.client, (FRONT6, ini.PORT), CLIENT6[0])
    with greeted(network, nlbd.address, CLIENT4[0],
                 targets(TARGET4[0], ini.TARGET_PORT)):
        pass
