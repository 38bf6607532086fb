"""Sockets that the service manager holds: nlbd needs no privilege for them,
and no connection is refused while there is no nlbd."""
import contextlib
import os
import re
import shutil
import signal
import stat

import pytest

from lab import ini
from lab.activation import ActivatedDaemon, listening
from lab.daemon import NLBD, Daemon, scaled
from lab.load import Load, sessions
from lab.netns import CLIENT4, FRONT4, TARGET4
from lab.peers import connect
from lab.wait import wait_until

ECHO = TARGET4[:2]
PORT = 587  # privileged
GREETING = len("220 10.20.0.10\r\n")
EX_CANTCREAT = 73
RESTARTS = 5


def sections(workers=2, port=PORT):
    conf = ini.base(ECHO, port=port, workers=workers)
    conf["load-balancer"]["IpAddressType"] = "ipv4"
    del conf[ini.SECURITY_GROUP]["Inbound.v6"]
    return conf


def listening_pids(nlbd):
    """Who has the port's socket open."""
    owners = nlbd.network.nlbd.run("ss", "-Htlnp", f"sport = :{PORT}").stdout
    return {int(pid) for pid in re.findall(r"pid=(\d+)", owners)}


@pytest.fixture
def activated(network, health, echo):
    """activated(sections, *(address, port)) -> a Daemon, not yet started."""
    with contextlib.ExitStack() as stack:
        def make(conf, *addresses, **options):
            held = [listening(network.nlbd, *address)
                    for address in addresses or [("0.0.0.0", PORT)]]
            return stack.enter_context(
                ActivatedDaemon(network, conf, held, **options))
        yield make


@pytest.mark.quick
def test_connection_from_before_the_start_is_served(network, activated):
    nlbd = activated(sections())
    with connect(network.client, (FRONT4, PORT)) as early:
        early.send(b"early\r\n")
        nlbd.start(healthy=2)
        assert early.recv_exactly(GREETING).startswith(b"220 ")
        assert early.recv_exactly(7) == b"early\r\n"
        early.finish()
        early.read_to_end()
    assert sessions(network, (FRONT4, PORT), 100).failed == {}
    assert "passed a socket" not in nlbd.process.text()


@pytest.mark.quick
def test_a_socket_for_each_worker(network, activated):
    nlbd = activated(sections(), *[("0.0.0.0", PORT)] * 2).start(healthy=2)
    assert sessions(network, (FRONT4, PORT), 200).failed == {}
    ports = nlbd.network.nlbd.run("ss", "-Htlnp", f"sport = :{PORT}").stdout
    assert len(ports.splitlines()) == 2, "nlbd opened none of its own"


@pytest.mark.quick
def test_no_upgrade_to_fewer_workers_than_sockets(network, activated):
    nlbd = activated(sections(), *[("0.0.0.0", PORT)] * 2).start(healthy=2)
    before = nlbd.pids()
    nlbd.write(sections(workers=1))
    done = nlbd.ctl_raw("upgrade")
    assert done.returncode != 0
    assert "raise Workers" in done.stdout + done.stderr
    assert nlbd.pids() == before
    assert sessions(network, (FRONT4, PORT), 50).failed == {}


def test_restarts_refuse_nobody(network, activated):
    nlbd = activated(sections()).start(healthy=2)
    with Load(network, (FRONT4, PORT), rate=scaled(400, 100),
              concurrency=4000, deadline=20) as load:
        for _ in range(RESTARTS):
            nlbd.stop()
            nlbd.start(healthy=2)
        result = load.stop()
    assert result.failed == {}, result
    assert result.ok > scaled(400, 100)


def test_successor_of_a_killed_supervisor_has_the_socket_to_itself(
        network, activated):
    """The orphaned workers hold the very same socket, and might set its
    filter, for which some kernels ask for this capability."""
    nlbd = activated(sections(), capabilities=["net_admin"]).start(healthy=2)
    with connect(network.client, (FRONT4, PORT)) as held:
        held.recv_exactly(GREETING)
        orphan = nlbd.worker_of(held)
        os.kill(nlbd.process.pid, signal.SIGKILL)
        nlbd.process.wait(10)
        nlbd.ended.append(nlbd.process)
        nlbd.start(healthy=2)
        nlbd.ended[-1].wait_line("taking no new flows", 10)
        wait_until(lambda: orphan not in listening_pids(nlbd), 10,
                   "the orphan has closed its end")
        assert sessions(network, (FRONT4, PORT), 200).failed == {}
        held.send(b"still\r\n")
        assert held.recv_exactly(7) == b"still\r\n"
    wait_until(lambda: orphan not in nlbd.pids(), 10, "it left with its flow")


def test_security_group_is_the_kernels_from_the_first_start_on(
        network, activated):
    conf = sections()
    conf[ini.SECURITY_GROUP]["Inbound.v4"] = (
        f"Protocol=tcp,PortRange={PORT},Source={CLIENT4[0]}/32")
    # Some kernels ask for this capability (nlbd says so where it lacks).
    nlbd = activated(conf, capabilities=["net_admin"]).start(healthy=2)

    def is_silent():
        with pytest.raises(TimeoutError):
            connect(network.client, (FRONT4, PORT), CLIENT4[1], 0.5)
        return True

    assert sessions(network, (FRONT4, PORT), 20,
                    sources=CLIENT4[:1]).failed == {}
    assert is_silent()
    assert nlbd.listener()["filter_drops"] > 0
    nlbd.stop()
    assert is_silent(), "the filter stays with the socket"
    nlbd.start(healthy=2)
    assert nlbd.listener()["filter_drops"] == 0, "not the former nlbd's"


@pytest.mark.quick
def test_admin_socket_is_passed_as_well(network, activated):
    nlbd = activated(sections())
    nlbd.hold_admin_socket()
    nlbd.start(healthy=2)
    nlbd.stop()
    assert stat.S_ISSOCK(nlbd.socket.stat().st_mode), "its holder's to remove"
    nlbd.start(healthy=2)


@pytest.mark.quick
def test_what_no_listener_wants_is_said_and_closed(network, activated):
    nlbd = activated(sections(), ("0.0.0.0", PORT), (FRONT4, 2500),
                     names=["nlbd.socket", "stray.socket"])
    nlbd.start(healthy=2)
    match = nlbd.process.find_line(r"passed a socket \(stray.socket\).*: "
                                   rf"{FRONT4}:2500;")
    assert match and nlbd.process.text().count("passed a socket") == 1
    held = nlbd.network.nlbd.run("ss", "-Htlnp", "sport = :2500").stdout
    assert '"nlbd"' not in held


@pytest.mark.quick
def test_more_sockets_than_workers_are_refused(network, activated):
    nlbd = activated(sections(workers=1), *[("0.0.0.0", PORT)] * 2)
    nlbd.launch()
    assert nlbd.process.wait(15) == EX_CANTCREAT
    assert "raise Workers" in nlbd.process.text()


def test_listener_that_a_reload_removes_refuses(network, activated):
    nlbd = activated(sections()).start(healthy=2)
    nlbd.reload(sections(port=5870))
    assert sessions(network, (FRONT4, 5870), 50).failed == {}
    with pytest.raises(ConnectionRefusedError):
        connect(network.client, (FRONT4, PORT))
    nlbd.stop()
    nlbd.write(sections())
    nlbd.start(healthy=2)
    wait_until(lambda: sessions(network, (FRONT4, PORT), 50).failed == {}, 10,
               "it listens again")


class BySystemd(Daemon):
    """Behind systemd's own tool, which becomes nlbd at the first client."""

    def argv(self, *extra):
        return self.network.nlbd.command(
            ["systemd-socket-activate", "-l", f"0.0.0.0:{PORT}", "--", NLBD,
             "-c", self.config, *extra])


@pytest.mark.skipif(shutil.which("systemd-socket-activate") is None,
                    reason="systemd-socket-activate is not installed")
def test_systemd_says_it_as_we_read_it(network, health, echo):
    with BySystemd(network, sections()).launch() as nlbd:
        nlbd.process.wait_line("Listening on 0.0.0.0:587", 10)
        with connect(network.client, (FRONT4, PORT)) as early:
            assert early.recv_exactly(GREETING).startswith(b"220 ")
        nlbd.wait_healthy(2)
        assert sessions(network, (FRONT4, PORT), 50).failed == {}
        nlbd.process.wait_line("serving 1 listener with 2 workers", 10)
