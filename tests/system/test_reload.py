"""Reload: atomic, without a refused connect, and a bad file changes nothing."""
import os
import random
import re
import signal

import pytest

from lab import ini
from lab.daemon import scaled
from lab.load import Load, sessions
from lab.netns import FRONT4, TARGET4
from lab.peers import connect
from lab.wait import wait_until

OTHER_PORT = ini.PORT + 7
PER_RELOAD = 60  # flows
POSITION = r"nlbd\.ini:(\d+):(\d+): error: "
ECHO = TARGET4[:3]


def config(targets=TARGET4[:2], listeners=1, **node):
    sections = ini.base(targets, health_port="traffic-port",
                        MaxFlowsPerSource=0, **node)
    for n in range(1, listeners):
        sections[f"listener extra-{n}"] = sections[ini.LISTENER] | {
            "Port": OTHER_PORT}
    return sections


def new_flows(nlbd):
    return nlbd.listener()["new_flows"]


@pytest.mark.deadline(120)
def test_100_reloads_under_load_fail_no_connect_and_break_no_flow(
        network, start_nlbd, echo):
    """Targets, a listener and rules come and go at 1,000 connects/s."""
    variants = [config(), config(TARGET4[:3]), config(listeners=2),
                config(TARGET4[1:3], listeners=2)]
    variants[2][ini.SECURITY_GROUP] = {
        **variants[2][ini.SECURITY_GROUP],
        "Inbound.more": f"Protocol=tcp,PortRange={OTHER_PORT},"
                        "Source=192.0.2.0/24"}
    nlbd = start_nlbd(variants[0], healthy=2)
    first = nlbd.status()["config"]["generation"]
    reloads = scaled(100, 30)
    with Load(network, nlbd.address, rate=scaled(1000, 200), hold=30,
              concurrency=2000) as load:
        for n in range(1, reloads + 1):
            nlbd.reload(variants[n % len(variants)])
            state = nlbd.status()["config"]
            assert state["generation"] == first + n
            assert state["last_reload"]["verdict"] == "accepted"
            seen = new_flows(nlbd) + PER_RELOAD
            wait_until(lambda: new_flows(nlbd) >= seen, 10,
                       f"{PER_RELOAD} flows under each config")
        result = load.stop()
    print(result)
    assert result.failed == {}, result
    assert result.held == {"ok": 30}
    assert result.ok >= reloads * PER_RELOAD
    assert result.rate > scaled(800, 100)


def corrupt_files():
    """50 broken versions of a good file, each broken in one place."""
    good = ini.render(config())
    lines = good.splitlines()
    edits = [
        (r"^Port = 5870", "Port = 05870"),
        (r"^Port = 5870", "Port = 5870x"),
        (r"^Port = 5870", "Port = 4294973166"),
        (r"^Port = 5870", "Port = 0"),
        (r"^Port = 5870", "Port ="),
        (r"^Port = 5870", "Prot = 5870"),
        (r"^Port = 5870", "Port 5870"),
        (r"^Port = 5870", "Port = 5870\nPort = 5870"),
        (r"^Protocol = TCP", "Protocol = UDP"),
        (r"^SecurityGroups = open", "SecurityGroups = closed"),
        (r"^SecurityGroups = open", "; no groups"),
        (r"^DefaultActions = forward:smtp", "DefaultActions = forward:pop"),
        (r"^DefaultActions = forward:smtp", "DefaultActions = redirect:smtp"),
        (r"Source=0.0.0.0/0", "Source=10.0.0.1/8"),
        (r"Source=0.0.0.0/0", "Source=10.0.0.0/33"),
        (r"Source=0.0.0.0/0", "Source=010.0.0.0/8"),
        (r"Source=::/0", "Source=::1/64"),
        (r"PortRange=5870,Source=::", "PortRange=70000,Source=::"),
        (r"Id=10.20.0.10", "Id=mail.example.com"),
        (r"Id=10.20.0.10", "Id=10.20.0"),
        (r"Id=10.20.0.11", "Id=10.20.0.10"),
        (r"^Workers = 2", "Workers = two"),
        (r"^Workers = 2", "Worker = 2"),
        (r"^\[node\]", "[nodes]"),
        (r"^\[node\]", "[node"),
        (r"^\[node\]", "[load-balancer]"),
        (r"^\[target-group smtp\]", "[target-group SMTP_1]"),
        (r"^HealthyThresholdCount = 2", "HealthyThresholdCount = -2"),
        (r"^HealthyThresholdCount = 2", "HealthyThresholdCount = 2.5"),
        (r"^IpAddressType = dualstack", "IpAddressType = both"),
    ]
    for pattern, replacement in edits:
        text, count = re.subn(pattern, replacement, good, count=1,
                              flags=re.MULTILINE)
        assert count == 1, pattern
        yield text
    dice = random.Random(7)
    garbage = ["%%%", "stray text", "\x00", "=", "[", "key\x1b[2J = 1", "]",
               "\udcff\udcfe", "x" * 1100, "Inbound.z = allow"]
    for n in range(20):
        at = dice.randrange(1, len(lines))
        yield "\n".join([*lines[:at], garbage[n % len(garbage)],
                         *lines[at:]]) + "\n"


def write_raw(nlbd, text):
    nlbd.config.write_bytes(text.encode("utf-8", "surrogateescape"))


@pytest.mark.quick
@pytest.mark.deadline(120)
def test_50_corrupt_files_leave_the_old_config_running(network, start_nlbd,
                                                       echo):
    nlbd = start_nlbd(config(), healthy=2)
    before = nlbd.status()
    held = connect(network.client, nlbd.address)
    with held:
        held.recv_exactly(len("220 10.20.0.10\r\n"))
        for n, text in enumerate(corrupt_files()):
            write_raw(nlbd, text)
            done = nlbd.ctl_raw("reload")
            assert done.returncode != 0, f"accepted:\n{text}"
            told = done.stdout + done.stderr
            assert re.search(POSITION, told), told
            assert "\x1b" not in told and "\x00" not in told
            state = nlbd.status()
            assert (state["config"]["generation"]
                    == before["config"]["generation"])
            assert state["config"]["last_reload"]["verdict"] == "rejected"
            assert re.search(r"\d+:\d+", state["config"]["last_reload"]
                             ["message"])
            assert ([w["pid"] for w in state["workers"]]
                    == [w["pid"] for w in before["workers"]])
            if n % 10 == 0:
                assert sessions(network, nlbd.address, 20).failed == {}
        assert n + 1 == 50
        held.send(b"still\r\n")
        assert held.recv_exactly(7) == b"still\r\n"
    assert set(nlbd.health()) == set(TARGET4[:2])
    nlbd.reload(config(TARGET4[:3]))
    assert nlbd.status()["config"]["last_reload"]["verdict"] == "accepted"


@pytest.mark.quick
def test_sighup_reloads_and_says_what_it_did(network, start_nlbd, echo):
    nlbd = start_nlbd(config(), healthy=2)
    generation = nlbd.status()["config"]["generation"]

    def verdict():
        return nlbd.status()["config"]["last_reload"]["verdict"]
    assert verdict() == "none"
    nlbd.write(config(TARGET4[:3]))
    nlbd.process.signal(signal.SIGHUP)
    wait_until(lambda: verdict() == "accepted", 5, "accepted")
    assert nlbd.status()["config"]["generation"] == generation + 1
    nlbd.wait_healthy(3)

    mark = len(nlbd.process.lines)
    write_raw(nlbd, nlbd.config.read_text().replace("Port = 5870",
                                                    "Port = 5870x"))
    nlbd.process.signal(signal.SIGHUP)
    nlbd.process.wait_line(r"nlbd\.ini:\d+:\d+", 5, start=mark)
    wait_until(lambda: verdict() == "rejected", 5, "rejected")
    assert nlbd.status()["config"]["generation"] == generation + 1


@pytest.mark.quick
@pytest.mark.parametrize("damage", ["missing", "directory", "fifo", "empty",
                                    "large"])
def test_unreadable_file_on_reload_changes_nothing(damage, network,
                                                   start_nlbd, echo):

    nlbd = start_nlbd(config(), healthy=2)
    nlbd.config.unlink()
    if damage == "directory":
        nlbd.config.mkdir()
    elif damage == "fifo":
        os.mkfifo(nlbd.config)
    elif damage == "empty":
        nlbd.config.touch()
    elif damage == "large":
        nlbd.config.write_text("; " + "x" * 70 + "\n")
        with open(nlbd.config, "a") as file:
            file.write(("; " + "x" * 70 + "\n") * 20_000)
    done = nlbd.ctl_raw("reload")
    assert done.returncode != 0
    assert "nlbd.ini" in done.stdout + done.stderr
    assert (nlbd.status()["config"]["last_reload"]["verdict"] == "rejected")
    assert sessions(network, nlbd.address, 20).failed == {}


@pytest.mark.quick
def test_listener_added_and_removed_by_reload(network, start_nlbd, echo):
    nlbd = start_nlbd(config(), healthy=2)
    extra = (FRONT4, OTHER_PORT)
    with_extra = config(listeners=2)
    with_extra[ini.SECURITY_GROUP] = {
        "Inbound.all": f"Protocol=tcp,PortRange={ini.PORT}-{OTHER_PORT},"
                       "Source=192.0.2.0/24"}
    with pytest.raises(ConnectionRefusedError):
        connect(network.client, extra)
    nlbd.reload(with_extra)
    assert sessions(network, extra, 50).failed == {}
    assert nlbd.listener("extra-1")["new_flows"] >= 50
    with connect(network.client, extra) as held:
        held.recv_exactly(len("220 10.20.0.10\r\n"))
        nlbd.reload(config())

        def refused():
            try:
                connect(network.client, extra).close()
                return False
            except OSError:
                return True
        wait_until(refused, 5, "the removed listener refuses")
        held.send(b"alive\r\n")
        assert held.recv_exactly(7) == b"alive\r\n"
    assert sessions(network, nlbd.address, 20).failed == {}


@pytest.mark.quick
def test_untouched_target_keeps_its_health_over_a_reload(network, start_nlbd,
                                                         echo):
    nlbd = start_nlbd(config(), healthy=2)
    changed = config(TARGET4[:3])
    changed[ini.GROUP]["HealthCheckIntervalSeconds"] = "0.4"
    nlbd.reload(changed)
    health = nlbd.health()
    assert [health[a][0] for a in TARGET4[:2]] == ["healthy", "healthy"]
    assert sessions(network, nlbd.address, 50).failed == {}


@pytest.mark.quick
def test_busy_port_of_a_new_listener_rejects_the_whole_reload(
        network, start_nlbd, echo):
    nlbd = start_nlbd(config(), healthy=2)
    squatter = network.nlbd.socket()
    with squatter:
        squatter.bind(("0.0.0.0", OTHER_PORT))
        squatter.listen()
        nlbd.write(config(TARGET4[:3], listeners=2))
        done = nlbd.ctl_raw("reload")
    assert done.returncode != 0
    assert str(OTHER_PORT) in done.stdout + done.stderr
    state = nlbd.status()
    assert state["config"]["last_reload"]["verdict"] == "rejected"
    assert len(state["listeners"]) == 1
    assert set(nlbd.health()) == set(TARGET4[:2]), "nothing was applied"
    assert sessions(network, nlbd.address, 50).failed == {}
