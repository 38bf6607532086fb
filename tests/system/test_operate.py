"""What operators and their scripts do: health, wait, drain-node, explain."""
import json
import re
import shutil
import signal
import subprocess

import pytest

from lab import http, ini
from lab.daemon import NLBCTL, NLBD, Daemon
from lab.load import EchoTargets
from lab.netns import FRONT4, TARGET4
from lab.peers import connect
from lab.wait import wait_until

pytestmark = pytest.mark.quick
GREETING = len("220 10.20.0.10\r\n")
ECHO = TARGET4[:2]


def config(addresses=TARGET4[:2], **group):
    sections = ini.base(addresses, health_port="traffic-port",
                        HttpListen=f"{FRONT4}:{http.PORT}")
    sections[ini.GROUP].update(group)
    return sections


@pytest.fixture
def nlbd(start_nlbd, echo):
    return start_nlbd(config(), healthy=2)


def zone_health(network):
    return http.ask(network.client, FRONT4, "/zone-health").status


def start_wait(nlbd, *args):
    return subprocess.Popen([NLBCTL, "-s", nlbd.socket, "wait", *args],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True, env=nlbd.environment())


def test_a_node_is_drained_without_a_broken_flow(network, nlbd):
    assert zone_health(network) == 200
    assert nlbd.ctl_raw("wait", "drained").stdout == "0 flows left\n"
    with connect(network.client, nlbd.address) as client:
        client.recv_exactly(GREETING)
        assert nlbd.ctl("drain-node") == {"drained": True}
        assert zone_health(network) == 503
        assert nlbd.metric("ZonalHealthStatus") == 0
        client.send(b"still here")
        assert client.recv_exactly(10) == b"still here"
        # A client with an old answer of DNS.
        with connect(network.client, nlbd.address) as late:
            assert late.recv_exactly(GREETING).startswith(b"220 ")
        vain = nlbd.ctl_raw("wait", "drained", "--timeout", "1")
        assert vain.returncode == 75 and "1 flow left" in vain.stderr
        waiting = start_wait(nlbd, "drained")
    assert waiting.communicate(timeout=30) == ("0 flows left\n", "")
    assert waiting.returncode == 0
    assert nlbd.ctl("drain-node", "--undo") == {"drained": False}
    assert zone_health(network) == 200


def test_wait_outlives_the_stop_it_waits_for(network, nlbd):
    with connect(network.client, nlbd.address) as client:
        client.recv_exactly(GREETING)
        nlbd.process.signal(signal.SIGTERM)
        wait_until(lambda: nlbd.status()["stopping"], 10, "the drain")
        waiting = start_wait(nlbd, "drained")
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(timeout=1)
    out, err = waiting.communicate(timeout=30)
    assert (waiting.returncode, err) == (0, "")
    assert out in ("0 flows left\n", "nlbd has stopped\n")


def test_wait_begins_before_the_daemon(network, echo):
    """As cloud-init does: wait, then signal that the node is ready."""
    nlbd = Daemon(network, config())
    waiting = start_wait(nlbd, "target-in-service")
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(timeout=1)
        nlbd.start(healthy=2)
        assert waiting.communicate(timeout=30) == (
            "2 of 2 targets are in service\n", "")
        assert waiting.returncode == 0
        nlbd.stop()
    finally:
        nlbd.close()


def test_wait_sees_targets_come_and_go(network, start_nlbd, echo):
    nlbd = start_nlbd(config(TARGET4[:1]), healthy=1)
    with connect(network.client, nlbd.address) as client:
        client.recv_exactly(GREETING)
        nlbd.reload(config(TARGET4[1:2]))
        done = nlbd.ctl_raw("wait", "target-in-service", "--target",
                            TARGET4[1], "--timeout", "30")
        assert done.returncode == 0, done.stderr
        gone = ["target-deregistered", "--target",
                f"{TARGET4[0]}:{ini.TARGET_PORT}"]
        vain = nlbd.ctl_raw("wait", *gone, "--timeout", "1")
        assert vain.returncode == 75
        assert "1 target is not deregistered yet, with 1 flow" in vain.stderr
        waiting = start_wait(nlbd, *gone, "--timeout", "30")
    assert waiting.communicate(timeout=40)[0] == "deregistered\n"
    assert waiting.returncode == 0


def test_health_follows_the_targets(network, nlbd, echo):
    done = nlbd.ctl_raw("health")
    assert done.returncode == 0
    assert re.fullmatch(r"NLBD OK - 2 of 2 targets healthy \| "
                        r"active_flows=0 healthy=2 unhealthy=0\n", done.stdout)
    nlbd.write(config([TARGET4[0], TARGET4[2]]))
    assert nlbd.ctl_raw("reload").returncode == 0
    nlbd.wait_state(TARGET4[2], "unhealthy")
    done = nlbd.ctl_raw("health")
    assert done.returncode == 1
    assert TARGET4[2] in done.stdout and "refused" in done.stdout
    nlbd.write(config([TARGET4[2]]))
    assert nlbd.ctl_raw("reload").returncode == 0
    wait_until(lambda: nlbd.ctl_raw("health", "-q").returncode == 2, 10,
               "no healthy target is critical")


def test_each_end_of_a_flow_that_status_tells_is_explained(nlbd):
    for code in nlbd.status()["flow_ends"]:
        done = nlbd.ctl_raw("explain", code)
        assert done.returncode == 0 and "It usually comes from:" in done.stdout


def doctor(network, nlbd):
    """{check: [(verdict, finding)]} and the exit code, on nlbd's machine."""
    done = subprocess.run(network.nlbd.command(
        [NLBCTL, "-s", nlbd.socket, "doctor", "--file", nlbd.config,
         "-o", "json"]), capture_output=True, text=True,
        env=nlbd.environment(), timeout=60)
    assert done.stderr == ""
    rows = {}
    for row in json.loads(done.stdout)["checks"]:
        rows.setdefault(row["check"], []).append(
            (row["verdict"], row["finding"]))
        assert bool(row["next_step"]) == (row["verdict"] != "ok")
    return rows, done.returncode


def test_doctor_finds_what_was_broken(network, start_nlbd, echo):
    nlbd = start_nlbd(config(TARGET4[:3]), healthy=2)
    rows, code = doctor(network, nlbd)
    assert code == 1
    assert set(rows) == {
        "configuration", "nlbd", "open files", "source ports", "accept queue",
        "connection tracking", "clock", "idle timeout", "port", "target"}
    assert rows["port"] == [("ok", "5870 of listener submission is open")]
    assert rows["target"] == [
        ("ok", f"{TARGET4[0]}:2525: connected, 220 {TARGET4[0]}"),
        ("ok", f"{TARGET4[1]}:2525: connected, 220 {TARGET4[1]}"),
        ("problem", f"{TARGET4[2]}:2525: Connection refused")]
    nlbd.reload(config())
    rows, code = doctor(network, nlbd)
    assert code == 0
    assert rows["nlbd"] == [("ok", "runs, health ok")]


@pytest.mark.parametrize("arguments", [
    ["--target", "10.20.0.25"],
    ["--target", "10.20.0.25", "10.20.0.26:2525", "--port", "2587",
     "--source", "203.0.113.10/32", "198.51.100.0/24"],
    ["--target", "fd00::25", "[fd00::26]:2525"]])
def test_what_init_writes_is_accepted_as_it_is(tmp_path, arguments):
    path = tmp_path / "nlbd.ini"
    done = subprocess.run([NLBCTL, "init", *arguments, "--file", path],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    done = subprocess.run([NLBD, "-c", path, "--check-config"],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "error" not in done.stderr and "warning" not in done.stderr


def test_a_new_operator_gets_through(network, tmp_path):
    """init, check, start, status, doctor; a target breaks; read why, explain
    it, repair."""
    nlbd = Daemon(network)
    path = tmp_path / "nlbd.ini"
    targets = [f"{a}:{ini.TARGET_PORT}" for a in TARGET4[:2]]
    subprocess.run([NLBCTL, "init", "--target", *targets, "--source",
                    "192.0.2.0/24", "--port", "2587", "--file", path],
                   check=True)
    nlbd.write(text=path.read_text() + f"AdminSocket = {nlbd.socket}\n")
    with nlbd, EchoTargets(network, TARGET4[:1], ini.TARGET_PORT):
        with EchoTargets(network, TARGET4[1:2], ini.TARGET_PORT):
            nlbd.start(healthy=0)
            done = nlbd.ctl_raw("wait", "target-in-service", "--timeout", "19")
            assert done.returncode == 0, done.stderr
            assert doctor(network, nlbd)[1] == 0
            assert nlbd.ctl_raw("status").stdout.startswith("nlbd is OK\n")
            with connect(network.client, (FRONT4, 2587)) as client:
                client.recv_exactly(GREETING)
            nlbd.ctl("modify-target-group", "--target-group", "servers",
                     "--health-check-interval-seconds", "0.5",
                     "--healthy-threshold-count", "2")
        assert wait_until(
            lambda: nlbd.health("servers")[TARGET4[1]][0] == "unhealthy", 20,
            "the broken target is seen")
        reason = nlbd.health("servers")[TARGET4[1]][1]
        status = nlbd.ctl_raw("status").stdout
        assert "DEGRADED" in status and "connection refused" in status
        assert "is down" in nlbd.ctl_raw("explain", reason).stdout
        rows, code = doctor(network, nlbd)
        assert code == 1
        assert ("problem", f"{targets[1]}: Connection refused") in (
            rows["target"])
        with EchoTargets(network, TARGET4[1:2], ini.TARGET_PORT):
            done = nlbd.ctl_raw("wait", "target-in-service", "--timeout", "19")
            assert done.returncode == 0, done.stderr
            assert nlbd.ctl_raw("health", "-q").returncode == 0
            nlbd.stop()


def complete(words):
    """What bash offers for the last of the words."""
    script = subprocess.run([NLBCTL, "completion"], capture_output=True,
                            text=True, check=True).stdout
    quoted = " ".join(f"'{word}'" for word in words)
    script += (f"COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}\n"
               "_nlbctl; printf '%s\\n' \"${COMPREPLY[@]}\"\n")
    done = subprocess.run(["bash", "-eu", "-c", script], capture_output=True,
                          text=True)
    assert done.returncode == 0 and done.stderr == ""
    return set(done.stdout.split())


@pytest.mark.skipif(shutil.which("shellcheck") is None,
                    reason="shellcheck is not installed")
def test_the_completion_is_clean(tmp_path):
    path = tmp_path / "nlbctl.bash"
    with path.open("w") as file:
        subprocess.run([NLBCTL, "completion"], stdout=file, check=True)
    done = subprocess.run(["shellcheck", "-s", "bash", path],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_bash_completes_what_the_help_names():
    text = subprocess.run([NLBCTL, "help"], capture_output=True, text=True,
                          check=True).stdout
    verbs = set(re.findall(r"^  ([a-z-]+) ", text, re.M))
    assert {"status", "wait", "help"} <= verbs
    offered = complete(["nlbctl", ""])
    assert verbs <= offered
    assert offered - verbs == {"--socket", "--output", "--help", "--version"}
    for verb in verbs - {"help"}:
        text = subprocess.run([NLBCTL, "help", verb], capture_output=True,
                              text=True, check=True).stdout
        options = set(re.findall(r"^  (--[a-z-]+)", text, re.M))
        assert options <= complete(["nlbctl", verb, ""]), verb
        assert verb in complete(["nlbctl", "help", verb])


@pytest.mark.parametrize("words,offered", [
    (["nlbctl", "descr"], {"describe-target-health", "describe-target-groups",
                           "describe-target-group-attributes",
                           "describe-listeners", "describe-load-balancers",
                           "describe-listener-attributes",
                           "describe-load-balancer-attributes"}),
    (["nlbctl", "-s", "/x", "wait", "target-"],
     {"target-in-service", "target-deregistered"}),
    (["nlbctl", "explain", "client-r"], {"client-rst"}),
    (["nlbctl", "explain", "Target.N"],
     {"Target.NotRegistered", "Target.NotInUse"}),
    (["nlbctl", "-o", ""], {"table", "json"}),
    (["nlbctl", "status", "--output", "=", "j"], {"json"}),
    (["nlbctl", "--output", "="], {"table", "json"}),
    (["nlbctl", "modify-target-group", "--health-check-protocol", "HT"],
     {"HTTP", "HTTPS"}),
    (["nlbctl", "init", "--file", "/etc/passw"],
     {"/etc/passwd"}),
    (["nlbctl", "import-aws", "/etc/passw"], {"/etc/passwd"}),
    (["nlbctl", "import-aws", "--file", "x", "/usr/shar"], {"/usr/share"}),
    (["nlbctl", "import-aws", "--print"], {"--print-script"}),
    (["nlbctl", "status", "/etc/passw"], set()),
    (["nlbctl", "metrics", "--by", "t"], {"target-group", "target"}),
    (["nlbctl", "metrics", "--by", "a"], {"all"}),
    (["nlbctl", "events", "--event", "=", "target-unh"],
     {"target-unhealthy", "target-unhealthy-draining"}),
    (["nlbctl", "flows", "--limit", ""], set()),
    (["nlbctl", "nothing"], set())])
def test_bash_completes(words, offered):
    # Copies of a file may lie beside it.
    assert offered == {word for word in complete(words)
                       if not word.startswith("/etc/passwd-")}
