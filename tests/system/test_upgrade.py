"""Another program in the same process: nothing is refused, nothing breaks, and
one that is not fit changes nothing."""
import contextlib
import os
import shutil
import signal
import threading

import pytest

from lab import ini
from lab.bench import Bench, SmtpTarget
from lab.daemon import NLBD, Daemon, scaled
from lab.dns import Dnsmasq
from lab.load import Load, sessions
from lab.netns import FRONT4, TARGET4
from lab.peers import RST, connect
from lab.wait import wait_until

ECHO = TARGET4[:2]
UPGRADES = scaled(20, 4)
RATE = scaled(1000, 200)
NAME = "mail.example.test"
TAKEN = 5999
HELD = 100
GREETING = len("220 10.20.0.10\r\n")
BROKEN = "#!/bin/sh\necho this config has a version that I do not know\nexit 1\n"


class Upgradable(Daemon):
    """From a file of its own, which a test may replace."""

    def __init__(self, network, sections):
        super().__init__(network, sections)
        self.program = self.directory / "nlbd"

    def install(self, text=None):
        """As a package manager does: under another name, then renamed."""
        fresh = self.program.with_suffix(".new")
        if text is None:
            shutil.copy(NLBD, fresh)
        else:
            fresh.write_text(text)
        fresh.chmod(0o755)
        fresh.rename(self.program)

    def argv(self, *extra):
        return self.network.nlbd.command(
            [self.program, "-c", self.config, *extra])

    def upgrade(self):
        """By nlbctl; returns when all workers are the new program's."""
        before = set(self.worker_pids().values())
        self.ctl_done("upgrade")
        self.wait_upgraded(before)


@pytest.fixture
def nlbd(network, health):
    with Upgradable(network, ini.base(ECHO, MaxFlowsPerSource=0)) as nlbd:
        nlbd.install()
        yield nlbd


@pytest.mark.deadline(120)
def test_upgrades_under_load_break_nothing(network, nlbd):
    ended = {}

    def load(name, *options):
        ended[name] = Bench(network, name, nlbd.address, *options)

    with SmtpTarget(network), SmtpTarget(network, address=ECHO[1]):
        nlbd.start(healthy=2)
        seconds = 2 + UPGRADES
        threads = [
            threading.Thread(target=load, args=args) for args in (
                ("smtp", "--rate", str(RATE), "--duration", str(seconds)),
                ("idle", "--flows", str(HELD), "--duration", str(seconds)))]
        for thread in threads:
            thread.start()
        wait_until(lambda: nlbd.listener()["new_flows"] > HELD + RATE / 4, 20,
                   "the load has begun")
        try:
            for _ in range(UPGRADES):
                nlbd.install()
                nlbd.upgrade()
        finally:
            for thread in threads:
                thread.join()
        for bench in ended.values():
            assert bench.failures == {} and bench.code == 0, bench
        assert ended["smtp"].done > RATE * 3
        assert ended["idle"].done == HELD
        wait_until(lambda: len(nlbd.pids()) == 3, 15,
                   "the former workers are gone")
        assert nlbd.process.text().count(" takes over; ") == UPGRADES


@pytest.mark.quick
def test_flow_outlives_the_program_it_began_with(network, nlbd, echo):
    nlbd.start(healthy=2)
    former = nlbd.worker_pids()
    with connect(network.client, nlbd.address) as client:
        client.recv_exactly(GREETING)
        holder = nlbd.worker_of(client)
        nlbd.install()
        os.kill(nlbd.process.pid, signal.SIGUSR2)
        nlbd.wait_upgraded(set(former.values()))
        assert nlbd.process.running
        assert nlbd.worker_of(client) == holder
        wait_until(lambda: set(nlbd.pids()) == {
            nlbd.process.pid, holder, *nlbd.worker_pids().values()}, 10,
            "the former worker without flows has gone")
        assert sessions(network, nlbd.address, 100).failed == {}
        nlbd.upgrade()
        client.send(b"x" * 1000)
        assert client.recv_exactly(1000) == b"x" * 1000
        client.finish()
        client.read_to_end()
    wait_until(lambda: holder not in nlbd.pids(), 10, "it left with its flow")
    record = nlbd.flow_record(client.address)
    assert (record["listener"], record["target_group"]) == (
        "submission", "smtp")
    assert (record["client_to_target_bytes"], record["end_reason"]) == (
        1000, "client-fin")
    assert {s for s, _ in nlbd.health().values()} == {"healthy"}


@pytest.mark.quick
@pytest.mark.parametrize("text", [BROKEN, "no program", None],
                         ids=["refuses", "garbage", "config"])
def test_what_is_not_fit_changes_nothing(network, nlbd, echo, text):
    nlbd.start(healthy=2)
    before = nlbd.pids()
    with connect(network.client, nlbd.address) as client:
        client.recv_exactly(GREETING)
        nlbd.install(text)
        if text is None:
            nlbd.config.write_text("[no-such-section]\n")
        done = nlbd.ctl_raw("upgrade")
        assert done.returncode != 0
        assert str(nlbd.program) in done.stdout + done.stderr
        nlbd.process.wait_line("no upgrade, the program that runs goes on", 5)
        assert nlbd.pids() == before
        client.send(b"still\r\n")
        assert client.recv_exactly(7) == b"still\r\n"
    assert sessions(network, nlbd.address, 50).failed == {}
    # And later it works.
    if text is not None:
        nlbd.install()
        nlbd.upgrade()
        assert sessions(network, nlbd.address, 50).failed == {}


def _wants(key):
    """A file that parses, and cannot be served by."""
    if key == "Port":
        return {**ini.base(ECHO, MaxFlowsPerSource=0), "listener taken": {
            "Port": TAKEN, "SecurityGroups": "none",
            "DefaultActions": "forward:smtp"}}
    value = {"HttpListen": f"{FRONT4}:{TAKEN}",
             "FlowLog": "/proc/no/such/place"}[key]
    return ini.base(ECHO, MaxFlowsPerSource=0, **{key: value})


@pytest.mark.quick
@pytest.mark.parametrize("key, why", [
    ("Port", f":{TAKEN} is in use by "),
    ("HttpListen", f"HttpListen = {FRONT4}:{TAKEN} is in use by "),
    ("FlowLog", "FlowLog = /proc/no/such/place: ")])
def test_file_that_cannot_be_served_changes_nothing(network, nlbd, echo, key,
                                                    why):
    nlbd.start(healthy=2)
    before = nlbd.pids()
    generation = nlbd.status()["config"]["generation"]
    with contextlib.closing(network.nlbd.socket()) as taken, \
            connect(network.client, nlbd.address) as client:
        taken.bind((FRONT4, TAKEN))
        taken.listen()
        client.recv_exactly(GREETING)
        nlbd.write(_wants(key))
        done = nlbd.ctl_raw("upgrade")
        assert done.returncode != 0
        assert why in done.stdout + done.stderr
        nlbd.process.wait_line("no upgrade, the program that runs goes on", 5)
        assert nlbd.pids() == before
        assert nlbd.status()["config"]["generation"] == generation
        assert sessions(network, nlbd.address, 50).failed == {}
        client.send(b"still\r\n")
        assert client.recv_exactly(7) == b"still\r\n"
    if key != "FlowLog":  # the port is free
        nlbd.upgrade()
        assert sessions(network, nlbd.address, 50).failed == {}


@pytest.mark.quick
def test_names_hold_while_no_dns_server_answers(network, nlbd, echo):
    with Dnsmasq(network, {NAME: ECHO}) as dns:
        nlbd.write(ini.base([NAME], MaxFlowsPerSource=0, ResolveMinSeconds=1,
                            Resolvers=dns.resolver))
        nlbd.start(healthy=2)
        dns.stop()
        with Load(network, nlbd.address, rate=200) as load:
            for _ in range(2):
                nlbd.upgrade()
                assert nlbd.health() == {
                    address: ("healthy", None) for address in ECHO}
                assert sessions(network, nlbd.address, 100).failed == {}
            result = load.stop()
    assert result.failed == {} and set(result.targets) == set(ECHO), result
    with Dnsmasq(network, {NAME: ECHO[1:]}):
        wait_until(lambda: nlbd.status()["names"][0]["addresses"] == ECHO[1:],
                   60, "the next answer takes over", poll_s=0.1)
        assert sessions(network, nlbd.address, 50).failed == {}


@pytest.mark.quick
def test_stop_ends_flows_of_both_programs(network, nlbd, echo):
    nlbd.start(healthy=2)
    with connect(network.client, nlbd.address) as client:
        client.recv_exactly(GREETING)
        nlbd.upgrade()
        nlbd.process.signal(signal.SIGTERM)
        nlbd.process.wait_line("draining: no new flows", 10)
        assert nlbd.process.running, "it waits for that flow"
        nlbd.process.signal(signal.SIGTERM)
        assert client.read_to_end() == RST
        assert nlbd.process.wait(15) == 0


def test_user_and_right_to_bind_stay(network, nlbd, echo):
    """Of root's rights the one to bind, which an exec would take away."""
    def conf(*ports):
        sections = ini.base(ECHO, User="nobody", FlowLog="off")
        for port in ports:
            sections[f"listener low-{port}"] = {
                "Port": port, "SecurityGroups": "none",
                "DefaultActions": "forward:smtp"}
        return sections

    nlbd.write(conf(586))
    nlbd.start(healthy=2)
    nlbd.upgrade()
    nlbd.reload(conf(586, 588))
    for port in (586, 588):
        assert sessions(network, (FRONT4, port), 20).failed == {}
    nlbd.upgrade()
    status = open(f"/proc/{nlbd.process.pid}/status", encoding="ascii").read()
    assert "Uid:\t65534\t65534\t65534\t65534" in status
    assert "CapAmb:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status


def test_workers_become_more_and_fewer(network, nlbd, echo):
    nlbd.start(healthy=2)
    for workers in (3, 1, 2):
        nlbd.write(ini.base(ECHO, workers=workers, MaxFlowsPerSource=0))
        nlbd.upgrade()
        assert len(nlbd.worker_pids()) == workers
        assert sessions(network, nlbd.address, 200).failed == {}
        wait_until(lambda: len(nlbd.pids()) == 1 + workers, 10,
                   "the former workers are gone")
