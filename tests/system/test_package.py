"""The Debian package, as an operator meets it: built, installed on a clean
system from Debian's archive, used without the source tree, upgraded, removed."""
import os
import re
import signal
import subprocess

import pytest

from lab.daemon import REPOSITORY
from lab.load import EchoTargets
from lab.machine import InstalledDaemon, Machine
from lab.netns import FRONT4, TARGET4
from lab.peers import connect
from lab.wait import wait_until

pytestmark = pytest.mark.deadline(300)

PORT = 587
SUBMISSION = (FRONT4, PORT)
GREETING = len("220 10.20.0.10\r\n")
TARGETS = TARGET4[:2]


def build(out, *options):
    done = subprocess.run(
        [REPOSITORY / "scripts" / "package", "--out", out, *options],
        capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    (package,) = out.glob("nlbd_*.deb")
    assert done.stdout == f"{package}\n"
    return out


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The directory with what scripts/package builds, seen by lintian."""
    return build(tmp_path_factory.mktemp("package"), "--lint")


@pytest.fixture(scope="module")
def package(built):
    (package,) = built.glob("nlbd_*.deb")
    return package


@pytest.fixture(scope="module")
def machine(network, package):
    machine = Machine(network, package)
    yield machine
    machine.close()


@pytest.fixture
def targets(network):
    with EchoTargets(network, TARGETS, PORT):
        yield TARGETS


def write_config(machine):
    """By init, and with changes of an operator who is in a hurry."""
    machine.done("rm", "-f", "/etc/nlbd/nlbd.ini")
    said = machine.done("nlbctl", "init", "--target", *TARGETS, "--source",
                        "192.0.2.0/24")
    path = machine.root / "etc/nlbd/nlbd.ini"
    text, count = re.subn(
        r"(?m)^HealthCheckIntervalSeconds = 10$",
        "HealthCheckIntervalSeconds = 0.5\nHealthyThresholdCount = 2",
        path.read_text())
    assert count == 1
    path.write_text(text)
    return said


@pytest.fixture
def nlbd(machine, targets):
    write_config(machine)
    with InstalledDaemon(machine) as nlbd:
        yield nlbd.start(healthy=0)


def test_lintian_finds_neither_error_nor_warning(built):
    findings = (built / "lintian.log").read_text()
    assert re.findall(r"^[EW]: .*", findings, re.MULTILINE) == []
    assert not list(REPOSITORY.glob("config/debian/*overrides*"))


def test_symbols_are_in_a_package_of_their_own(built, package):
    (symbols,) = built.glob("nlbd-dbgsym_*.deb")
    for path, debug in ((package, False), (symbols, True)):
        listing = subprocess.run(["dpkg-deb", "--contents", path],
                                 capture_output=True, text=True).stdout
        assert ("/usr/lib/debug/" in listing) is debug


def test_two_builds_are_equal_byte_for_byte(built, tmp_path):
    build(tmp_path)
    for package in built.glob("*.deb"):
        assert (tmp_path / package.name).read_bytes() == package.read_bytes()


@pytest.mark.parametrize("path", [
    "usr/sbin/nlbd", "usr/bin/nlbctl", "lib/systemd/system/nlbd.service",
    "lib/systemd/system/nlbd.socket",
    "usr/lib/sysusers.d/nlbd.conf", "usr/lib/tmpfiles.d/nlbd.conf",
    "etc/logrotate.d/nlbd", "usr/share/man/man8/nlbd.8.gz",
    "usr/share/man/man8/nlbctl.8.gz", "usr/share/man/man5/nlbd.ini.5.gz",
    "usr/share/bash-completion/completions/nlbctl.bash",
    "usr/share/doc/nlbd/copyright", "usr/share/doc/nlbd/README.Debian",
    "usr/share/doc/nlbd/examples/nlbd.ini",
    "usr/share/doc/nlbd/examples/nlbd.sysctl",
    "usr/share/doc/nlbd/examples/ec2/nlbd.yaml",
    "usr/share/doc/nlbd/examples/prometheus/nlbd-alerts.yml",
    "usr/share/doc/nlbd/examples/prometheus/grafana-nlbd.json"])
def test_a_file_is_where_it_belongs(machine, path):
    assert (machine.root / path).is_file()


def test_nothing_came_beside_what_the_package_asks_for(machine):
    """No library was missing, and none of the build's machine was there."""
    for program in ("/usr/sbin/nlbd", "/usr/bin/nlbctl"):
        assert "not found" not in machine.done("ldd", program)
    assert machine.run("dpkg", "-s", "libuv1-dev").returncode == 1
    assert machine.done("dpkg", "--audit") == ""
    assert machine.done("dpkg", "--verify", "nlbd") == ""


def test_service_is_enabled_and_waits_for_its_config(machine):
    assert (machine.root / "etc/systemd/system/multi-user.target.wants"
            / "nlbd.service").is_symlink()
    assert "nlbd.socket" not in machine.done("find", "/etc/systemd")
    assert machine.unit("ConditionPathExists") == ["/etc/nlbd/nlbd.ini"]
    assert machine.done("stat", "-c", "%a %U %G", "/etc/nlbd") == (
        "750 root nlbd\n")
    assert "/run/nlbd" in machine.done("getent", "passwd", "nlbd")
    machine.done("systemd-analyze", "verify", "--man=no", "nlbd.service")


def test_examples_are_accepted(machine):
    for name in ("nlbd-minimal.ini", "nlbd.ini"):
        machine.done("nlbctl", "check", "--file",
                     f"/usr/share/doc/nlbd/examples/{name}")


def test_manuals_are_found_by_name(machine):
    for section, name in (("8", "nlbd"), ("8", "nlbctl"), ("5", "nlbd.ini")):
        done = subprocess.run(
            ["man", "-M", machine.root / "usr/share/man", "-w", section, name],
            capture_output=True, text=True)
        assert done.stdout.endswith(f"/{name}.{section}.gz\n"), done.stderr


@pytest.mark.parametrize("keys,screen", [
    ("nlbctl exp\tclient-r\t\n", r"client-rst\S* \(end of a flow\)"),
    ("nlbctl wait target-\t\t", r"target-deregistered +target-in-service"),
    ("nlbctl check --fi\t/etc/os-rel\t\n", r"/etc/os-release:1:"),
    ("nlbctl import-aws /et\tos-rel\t\n", r"/etc/os-release:1:"),
    ("nlbctl explain idle-timeout --output=js\t\n", r'"explanations": \['),
    ("nlbctl help hel\t\n", r"usage: nlbctl \[-s SOCKET\]")])
def test_bash_loads_the_completion_and_tab_completes(machine, keys, screen):
    machine.type(keys, screen)


def test_a_new_operator_gets_through(network, machine):
    """init, check, start, status, doctor; a target breaks; read why, explain
    it, repair; all without the source tree."""
    assert "next: " in write_config(machine)
    assert machine.done("nlbctl", "check") == "accepted: /etc/nlbd/nlbd.ini\n"
    machine.done("nlbd", "--check-config")
    group = TARGETS[:1], TARGETS[1:]
    with InstalledDaemon(machine) as nlbd, EchoTargets(network, group[0],
                                                       PORT):
        with EchoTargets(network, group[1], PORT):
            nlbd.start(healthy=0)
            machine.done("nlbctl", "wait", "target-in-service", "--timeout",
                         "19")
            assert machine.done("nlbctl", "status").startswith("nlbd is OK\n")
            machine.done("nlbctl", "doctor")
            assert machine.done("nlbctl", "check").startswith("accepted: ")
            with connect(network.client, SUBMISSION) as client:
                client.recv_exactly(GREETING)
        broken = group[1][0]
        assert wait_until(
            lambda: nlbd.health("servers")[broken][0] == "unhealthy", 20,
            "the broken target is seen")
        status = machine.done("nlbctl", "status")
        assert "DEGRADED" in status and "connection refused" in status
        assert broken in status
        reason = nlbd.health("servers")[broken][1]
        assert "is down" in machine.done("nlbctl", "explain", reason)
        doctor = machine.run("nlbctl", "doctor")
        assert doctor.returncode == 1
        assert f"{broken}:{PORT}: Connection refused" in doctor.stdout
        with EchoTargets(network, group[1], PORT):
            machine.done("nlbctl", "wait", "target-in-service", "--timeout",
                         "19")
            machine.done("nlbctl", "health", "-q")
            nlbd.stop()


def test_nlbd_is_not_root_and_can_read_its_file(machine, nlbd):
    owner = machine.done("stat", "-c", "%U", f"/proc/{nlbd.process.pid}")
    assert owner == "nlbd\n"
    machine.done("nlbctl", "reload")


def test_upgrade_leaves_flows_alone_and_the_operator_takes_over(
        network, machine, nlbd):
    """As README.Debian says: the old version serves on, then the new one takes
    over and the workers of the old one keep their flows."""
    machine.done("nlbctl", "wait", "target-in-service", "--timeout", "19")
    machine.pretend_systemd()
    old = set(nlbd.pids())
    with connect(network.client, SUBMISSION) as flow:
        flow.recv_exactly(GREETING)
        machine.done("dpkg", "-i", "/root/nlbd.deb")
        told = machine.told()
        assert "--system daemon-reload" in told
        assert not [line for line in told
                    if re.search(r"\b(stop|\w*restart)\b", line)], told
        assert set(nlbd.pids()) == old

        # A worker that dies is replaced, though its file has gone.
        idle = next(pid for pid in nlbd.worker_pids().values()
                    if pid != nlbd.worker_of(flow))
        os.kill(idle, signal.SIGKILL)
        wait_until(lambda: idle not in nlbd.worker_pids().values()
                   and nlbd.ready(), 20, "a new worker serves")
        flow.send(b"as before")
        assert flow.recv_exactly(9) == b"as before"

        old = set(nlbd.worker_pids().values())
        machine.done("nlbctl", "upgrade")
        nlbd.wait_upgraded(old)
        flow.send(b"and after")
        assert flow.recv_exactly(9) == b"and after"
        with connect(network.client, SUBMISSION) as fresh:
            fresh.recv_exactly(GREETING)
    wait_until(lambda: not old & set(nlbd.pids()), 20,
               "the old workers left with their last flow")


def test_remove_stops_and_purge_leaves_nothing(machine):
    """The last test of this machine."""
    log = machine.root / "var/log/nlbd/flows.log.1"
    log.write_text("a rotated log\n")
    machine.told()
    machine.done("dpkg", "--remove", "nlbd")
    assert re.findall(r"\bstop (\S+)", "\n".join(machine.told())) == [
        "nlbd.socket", "nlbd.service"]
    left = machine.traces()
    assert {"etc/logrotate.d/nlbd", "etc/nlbd/nlbd.ini",
            "var/log/nlbd"} <= set(left)
    assert not [path for path in left if path.startswith(("usr/", "lib/"))]
    # systemd's part of the end.
    machine.done("rm", "-r", "/run/nlbd")
    machine.done("dpkg", "--purge", "nlbd")
    assert machine.traces() == []
