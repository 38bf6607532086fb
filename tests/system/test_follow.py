"""nlbctl that follows: what happens shows, over a restart too, and it ends."""
import contextlib
import json
import os
import signal
import subprocess

import pytest

from lab import ini
from lab.daemon import NLBCTL
from lab.netns import TARGET4
from lab.peers import connect
from lab.process import Process
from lab.wait import wait_until

pytestmark = pytest.mark.quick
ECHO = TARGET4[:2]
SOON_S = 20


@pytest.fixture
def nlbd(start_nlbd, echo):
    return start_nlbd(ini.base(TARGET4[:2], health_port="traffic-port"),
                      healthy=2)


@pytest.fixture
def follow():
    """follow(nlbd, verb, ...) -> the running nlbctl."""
    running = []

    def start(nlbd, *args):
        process = Process([NLBCTL, "-s", nlbd.socket, *args, "--follow"],
                          name=f"nlbctl {args[0]}",
                          env=nlbd.environment()).start()
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()


def objects(process):
    """What came as JSON; notes for people stand between."""
    return [json.loads(line) for line in process.lines
            if line.startswith("{")]


def test_an_event_shows_when_it_happens(nlbd, echo, follow):
    process = follow(nlbd, "events")
    process.wait_line("serving 1 listener", SOON_S)
    echo.refuse(TARGET4[1])
    process.wait_line(rf"warning .*{TARGET4[1]}.*unhealthy", SOON_S)
    echo.serve(TARGET4[1])
    process.wait_line(rf"notice .*{TARGET4[1]}.*healthy", SOON_S)
    process.signal(signal.SIGINT)
    assert process.wait(SOON_S) == 0, process.text()


def test_events_are_followed_over_a_restart(nlbd, follow):
    process = follow(nlbd, "events", "--output", "json")
    process.wait_line("serving 1 listener", SOON_S)
    nlbd.stop()
    process.wait_line("^nlbctl: waiting for it to come back", SOON_S)
    nlbd.start()
    process.wait_line("^nlbctl: nlbd was restarted", SOON_S)
    wait_until(lambda: sum("serving" in o.get("message", "")
                           for o in objects(process)) == 2, SOON_S,
               "both have said that they serve")
    ids = [o.get("id", o.get("notice")) for o in objects(process)]
    cut = ids.index("restarted")
    assert ids[cut + 1] == 1, "the new one's first event"
    for part in (ids[:cut], ids[cut + 1:]):
        assert part == list(range(part[0], part[0] + len(part)))
    process.signal(signal.SIGTERM)
    assert process.wait(SOON_S) == 0


def flow(network, nlbd, process, deadline_s=3):
    """What was told of a flow that has just been, in this order; or None."""
    with connect(network.client, nlbd.address) as client:
        client.recv_exactly(len("220 10.20.0.10\r\n"))
        client.send(b"x" * 1000)
        client.recv_exactly(1000)
        name = "%s:%d" % client.address
        client.finish()
        client.read_to_end()

    def told():
        found = [o for o in objects(process) if o.get("client") == name]
        return found if [o["what"] for o in found] == ["began",
                                                       "ended"] else None
    with contextlib.suppress(AssertionError):
        return wait_until(told, deadline_s, "both ends of the flow")
    return None


def test_flows_show_as_they_begin_and_end(network, start_nlbd, echo, follow):
    """Without a flow log, over a worker's death, and of those asked for."""
    nlbd = start_nlbd(ini.base(TARGET4[:1], health_port="traffic-port",
                               FlowLog="off", Workers=1))
    process = follow(nlbd, "flows", "-o", "json")
    others = follow(nlbd, "flows", "--target", "10.9.9.9")
    others.wait_line("CLIENT", SOON_S)
    # The first one may come before nlbctl has asked.
    began, ended = wait_until(lambda: flow(network, nlbd, process), SOON_S,
                              "a flow is followed")
    assert began["target"] == ended["target"] == (
        f"{TARGET4[0]}:{ini.TARGET_PORT}")
    assert "end_reason" not in began
    assert ended["end_reason"] == "client-fin"
    assert ended["client_to_target_bytes"] == 1000
    old, = nlbd.worker_pids().values()
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: old not in nlbd.worker_pids().values()
               and nlbd.ready(), SOON_S, "another worker")
    assert flow(network, nlbd, process, SOON_S), "the new worker was told, too"
    process.signal(signal.SIGINT)
    assert process.wait(SOON_S) == 0
    others.signal(signal.SIGINT)
    assert others.wait(SOON_S) == 0
    assert len(others.lines) == 1, "the title alone"


def test_a_reader_who_leaves_ends_it(nlbd):
    """Even when nothing happens that could not be written."""
    with subprocess.Popen([NLBCTL, "-s", nlbd.socket, "events", "-f"],
                          stdout=subprocess.PIPE) as process:
        assert b" " in process.stdout.readline()
        process.stdout.close()
        assert process.wait(SOON_S) in (0, -signal.SIGPIPE)
