"""nlbd under the restrictions of config/systemd/nlbd.service: a mail, a
reload by ExecReload, a reopened log, the watchdog."""
import os
import re
import shutil
import signal
import socket
import subprocess

import pytest

from lab import ini, mail
from lab.netns import CLIENT4, FRONT4, TARGET4
from lab.peers import connect
from lab.unit import NOBODY, UNIT, UnitDaemon
from lab.wait import wait_until

pytestmark = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None,
    reason="systemd-analyze is not installed: what is in @system-service?")

PORT = 587
EX_CANTCREAT = 73
BIND = 1 << 10  # CAP_NET_BIND_SERVICE


def sections(**listener):
    # Health checks go to the traffic port: Postfix must not warn of them.
    conf = ini.base(port=PORT, target_port=PORT, health_port="traffic-port")
    conf[ini.LISTENER].update(listener)
    return conf


@pytest.fixture(scope="module")
def postfix(network):
    with mail.Postfix(network, TARGET4[0], PORT) as postfix:
        yield postfix


@pytest.fixture
def nlbd(network, postfix):
    with UnitDaemon(network, sections()) as daemon:
        yield daemon.start()


def submit(network, postfix, nlbd, subject):
    file = mail.compose(postfix.directory, subject, os.urandom(20_000))
    done = mail.CLIENTS["swaks"](network.client, (FRONT4, PORT), file, True)
    assert done.returncode == 0, (done.stdout or "")[-2000:] + done.stderr
    assert postfix.delivered(subject)
    nlbd.wait_no_flows()


def process_status(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return dict(re.findall(r"^(\w+):\t(.*)$", file.read(), re.MULTILINE))


def test_mail_passes_and_every_process_is_confined(network, postfix, nlbd):
    submit(network, postfix, nlbd, "confined")
    workers = nlbd.worker_pids().values()
    for pid in (nlbd.process.pid, *workers):
        status = process_status(pid)
        assert set(status["Uid"].split()) == {str(NOBODY)}
        assert status["NoNewPrivs"] == "1"
        assert status["Seccomp"] == "2"
        assert int(status["CapBnd"], 16) == BIND
        held = 0 if pid in workers else BIND
        assert int(status["CapPrm"], 16) == held
    assert all(int(process_status(pid)["CapEff"], 16) == 0 for pid in workers)


def test_confined_is_what_the_unit_says(nlbd):
    """The launcher's own word: what a process may not do in there."""
    script = (
        "import os, socket\n"
        "def tried(f, *a):\n"
        "    try: f(*a)\n"
        "    except OSError as e: return e.errno\n"
        f"print([tried(open, p, 'w') for p in ('/etc/x', '{nlbd.config}',"
        f" '{nlbd.run_directory}/x')],\n"
        "  tried(socket.socket, socket.AF_NETLINK, socket.SOCK_RAW),\n"
        "  tried(os.setuid, 1), tried(os.listdir, '/proc/sys'),\n"
        "  tried(os.nice, 1), os.listdir('/proc/self/net') != [],\n"
        "  [p for p in os.listdir('/proc') if p == '1'])\n")
    done = subprocess.run(
        list(map(str, nlbd.confined(["/usr/bin/python3", "-c", script]))),
        capture_output=True, text=True, timeout=20, check=False)
    # EROFS twice, EAFNOSUPPORT, EPERM, ENOENT, and nice(2) is setpriority.
    assert done.stdout == "[30, 30, None] 97 1 2 1 True []\n", done.stderr


def test_reload_by_exec_reload_waits_for_its_verdict(network, postfix, nlbd):
    with connect(network.client, (FRONT4, PORT), CLIENT4[0]) as flow:
        assert flow.recv(1)
        nlbd.write(sections(**{"tcp.idle_timeout.seconds": 400}))
        code, text = nlbd.exec_reload()
        assert code == 0, text
        assert nlbd.status()["config"]["generation"] == 2
        assert nlbd.heard("RELOADING=1", 10)

        nlbd.write(sections(**{"tcp.idle_timeout.seconds": "40O"}))
        code, text = nlbd.exec_reload()
        assert code != 0 and "40O" in text
        assert nlbd.status()["config"]["generation"] == 2
        assert nlbd.listener()["active_flows"] == 1
    submit(network, postfix, nlbd, "after-the-reloads")


def test_log_is_reopened_after_a_rotation(network, postfix, nlbd):
    submit(network, postfix, nlbd, "before-the-rotation")
    wait_until(nlbd.flow_log, 10, "a line in the flow log")
    nlbd.flow_log_path.rename(nlbd.flow_log_path.with_suffix(".1"))
    os.kill(nlbd.process.pid, signal.SIGUSR1)
    wait_until(nlbd.flow_log_path.exists, 10, "a new flow log")
    assert nlbd.flow_log_path.stat().st_mode & 0o077 == 0
    submit(network, postfix, nlbd, "after-the-rotation")
    wait_until(nlbd.flow_log, 10, "a line in the new flow log")


def test_upgrade_within_the_sandbox(network, postfix, nlbd):
    former = set(nlbd.worker_pids().values())
    nlbd.ctl_done("upgrade")
    nlbd.wait_upgraded(former)
    status = process_status(nlbd.process.pid)
    assert int(status["CapPrm"], 16) == BIND
    assert status["Seccomp"] == "2"
    submit(network, postfix, nlbd, "after-the-upgrade")


def test_service_manager_hears_ready_watchdog_and_stopping(nlbd):
    assert nlbd.heard("READY=1", 10)
    assert nlbd.heard("WATCHDOG=1", 20)
    nlbd.stop()
    assert nlbd.heard("STOPPING=1", 10)


def test_port_in_use_is_told_with_its_user(network):
    """Of /proc nlbd sees its own part alone."""
    nlbd = UnitDaemon(network, sections())
    with network.nlbd.socket(socket.AF_INET) as other:
        other.bind((FRONT4, PORT))
        other.listen()
        nlbd.launch()
        code = nlbd.process.wait(20)
        said = nlbd.process.text()
    nlbd.close()
    assert code == EX_CANTCREAT
    assert "a process of user id 0" in said


def test_unit_asks_for_what_nlbd_needs_and_no_more():
    text = UNIT.read_text()
    assert re.findall(r"^\w+=.*CAP_.*$", text, re.MULTILINE) == [
        "AmbientCapabilities=CAP_NET_BIND_SERVICE",
        "CapabilityBoundingSet=CAP_NET_BIND_SERVICE"]
