"""nlbctl that follows: what happens shows, over a restart too, and it ends."""
import json
import signal
import subprocess

import pytest

from lab import ini
from lab.daemon import NLBCTL
from lab.netns import TARGET4
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


def test_a_reader_who_leaves_ends_it(nlbd):
    """Even when nothing happens that could not be written."""
    with subprocess.Popen([NLBCTL, "-s", nlbd.socket, "events", "-f"],
                          stdout=subprocess.PIPE) as process:
        assert b" " in process.stdout.readline()
        process.stdout.close()
        assert process.wait(SOON_S) in (0, -signal.SIGPIPE)
