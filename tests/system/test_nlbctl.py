"""nlbctl: every verb, for people and for programs."""
import os
import re
import signal
import subprocess

import pytest

from lab import ini
from lab.daemon import NLBCTL
from lab.load import EchoTargets, sessions
from lab.netns import TARGET4
from lab.peers import connect
from lab.terminal import Terminal
from lab.wait import wait_until

VERBS = ["status", "describe-target-health", "flows", "reload", "check"]

pytestmark = pytest.mark.quick


@pytest.fixture
def nlbd(network, start_nlbd):
    with EchoTargets(network, TARGET4[:1], ini.TARGET_PORT):
        yield start_nlbd(ini.base(TARGET4[:2], health_port="traffic-port"))


def test_status_shows_the_whole_daemon(network, nlbd):
    sessions(network, nlbd.address, 30)
    nlbd.wait_no_flows()
    status = nlbd.status()
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", status["version"])
    assert status["pid"] == nlbd.process.pid
    assert status["config"]["path"] == str(nlbd.config)
    assert status["config"]["last_reload"]["verdict"] == "none"
    assert sorted(w["index"] for w in status["workers"]) == [0, 1]
    assert {w["pid"] for w in status["workers"]} | {status["pid"]} == set(
        nlbd.pids())
    listener, = status["listeners"]
    assert listener["name"] == "submission"
    assert listener["port"] == ini.PORT
    assert listener["new_flows"] >= 30
    assert listener["active_flows"] == 0
    assert listener["paused"] is False
    for key in ("rejected_flows", "security_group_blocked"):
        assert listener[key] == 0


@pytest.mark.parametrize("env,term,has_colours", [
    ({}, "xterm", True),
    ({"NO_COLOR": "1"}, "xterm", False), ({}, "dumb", False)])
def test_colours_are_for_terminals_that_want_them(env, term, has_colours,
                                                  nlbd):
    nlbd.wait_state(TARGET4[1], "unhealthy")
    screen = Terminal([NLBCTL, "-s", nlbd.socket, "status"],
                      env={"NO_COLOR": "", **env}, term=term)
    try:
        screen.wait_text("unhealthy")
        assert screen.wait_end() == 0
        assert (b"\x1b[" in screen.raw) == has_colours
    finally:
        screen.close()


def test_describe_target_health_has_the_aws_shape(network, nlbd):
    nlbd.wait_state(TARGET4[1], "unhealthy")
    answer = nlbd.ctl("describe-target-health")
    assert list(answer) == ["TargetHealthDescriptions"]
    by_id = {entry["Target"]["Id"]: entry
             for entry in answer["TargetHealthDescriptions"]}
    assert by_id == {
        TARGET4[0]: {
            "Target": {"Id": TARGET4[0], "Port": ini.TARGET_PORT,
                       "AvailabilityZone": "all"},
            "HealthCheckPort": str(ini.TARGET_PORT),
            "TargetHealth": {"State": "healthy"}},
        TARGET4[1]: {
            "Target": {"Id": TARGET4[1], "Port": ini.TARGET_PORT,
                       "AvailabilityZone": "all"},
            "HealthCheckPort": str(ini.TARGET_PORT),
            "TargetHealth": {"State": "unhealthy",
                             "Reason": "Target.FailedHealthChecks",
                             "Description": "Health checks failed"}}}
    same = nlbd.ctl("describe-target-health", "--target-group", "smtp")
    assert same == answer
    done = nlbd.ctl_raw("describe-target-health", "--target-group", "pop")
    assert done.returncode != 0 and "pop" in done.stderr


def test_flows_shows_a_living_flow(network, nlbd):
    assert nlbd.flows() == []
    with connect(network.client, nlbd.address) as client:
        client.recv_exactly(len("220 10.20.0.10\r\n"))
        client.send(b"x" * 1000)
        client.recv_exactly(1000)
        flow = wait_until(lambda: next(
            (f for f in nlbd.flows() if f["client_to_target_bytes"]), None),
            5, "the flow with its bytes")
        assert flow["client"] == "%s:%d" % client.address
        assert flow["listener"] == "submission"
        assert flow["target_group"] == "smtp"
        assert flow["target"] == f"{TARGET4[0]}:{ini.TARGET_PORT}"
        assert flow["state"] == "established"
        assert flow["client_to_target_bytes"] == 1000
        assert flow["target_to_client_bytes"] == 1000 + len(
            "220 10.20.0.10\r\n")
        assert flow["duration_ms"] >= 0 and flow["id"]
        table = nlbd.ctl_raw("flows").stdout
        assert "%s:%d" % client.address in table
    wait_until(lambda: nlbd.flows() == [], 5, "the flow ended")


def test_counters_survive_a_worker(network, nlbd):
    sessions(network, nlbd.address, 40)
    nlbd.wait_no_flows()
    before = nlbd.listener()["new_flows"]
    assert before >= 40
    victims = nlbd.worker_pids()
    for pid in victims.values():
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not set(victims.values())
               & set(nlbd.worker_pids().values()), 10, "new workers")
    assert nlbd.listener()["new_flows"] >= before


@pytest.mark.parametrize("verb", VERBS)
def test_table_is_for_people_and_json_for_programs(verb, nlbd):
    table = nlbd.ctl_raw(verb)
    assert table.returncode == 0, table.stderr
    assert table.stdout.strip() and not table.stdout.startswith("{")
    assert "\x1b" not in table.stdout, "no colours into a pipe"
    assert isinstance(nlbd.ctl(verb), dict)
    assert nlbd.ctl_raw(verb, "--output", "table").returncode == 0


def test_check_reports_a_bad_file_and_changes_nothing(nlbd):
    good = nlbd.config.read_text()
    nlbd.write(text=good.replace("Port = 5870", "Port = 5870x"))
    done = nlbd.ctl_raw("check")
    assert done.returncode not in (0, 64)
    assert re.search(r"nlbd\.ini:\d+:\d+: error", done.stdout + done.stderr)
    assert nlbd.status()["config"]["last_reload"]["verdict"] == "none"
    nlbd.write(text=good)
    assert nlbd.ctl_raw("check").returncode == 0


def test_no_daemon_tells_what_to_do(tmp_path):
    path = tmp_path / "none.sock"
    done = subprocess.run([NLBCTL, "-s", path, "status"],
                          capture_output=True, text=True)
    assert done.returncode not in (0, 64)
    assert str(path) in done.stderr
    assert re.search(r"-s|AdminSocket|running", done.stderr)
    assert done.stdout == ""


@pytest.mark.parametrize("args", [["no-such-verb"], [], ["status", "extra"],
                                  ["status", "--output", "xml"],
                                  ["--no-such-option", "status"]])
def test_wrong_usage_is_64(args):
    done = subprocess.run([NLBCTL, *args], capture_output=True, text=True)
    assert done.returncode == 64
    assert done.stderr


def test_long_socket_option(nlbd):
    done = subprocess.run([NLBCTL, "--socket", nlbd.socket, "status"],
                          capture_output=True, text=True,
                          env=nlbd.environment())
    assert done.returncode == 0
