"""nlbctl top: the screen as a person sees it, and frames for programs."""
import json
import re
import signal
import subprocess

import pytest

from lab import ini
from lab.daemon import NLBCTL
from lab.load import sessions
from lab.netns import TARGET4
from lab.process import Process
from lab.terminal import Terminal
from lab.wait import wait_until

pytestmark = pytest.mark.quick
ECHO = TARGET4[:3]
SOON_S = 20
SIZES = ((5, 20), (1, 1), (2, 10), (10, 40), (14, 60), (24, 80), (50, 200))


@pytest.fixture
def nlbd(start_nlbd, echo):
    return start_nlbd(ini.base(ECHO, health_port="traffic-port"), healthy=3)


@pytest.fixture
def top(nlbd):
    """top(*options, **environment) -> the Terminal it runs on."""
    running = []

    def start(*options, **environment):
        terminal = Terminal([NLBCTL, "-s", nlbd.socket, "top", *options],
                            env={**nlbd.environment(), **environment})
        running.append(terminal)
        terminal.wait_text("q quit")
        return terminal

    yield start
    for terminal in running:
        terminal.close()


def test_the_screen_shows_what_happens(network, nlbd, echo, top):
    screen = top("-i", "1")
    for part in ("is OK", "zone zone-a healthy", "10.20.0.11:2525  healthy",
                 "last reload none", "serving", "notice serving: "):
        screen.wait_text(part)
    sessions(network, nlbd.address, 100)
    wait_until(lambda: re.search(r"connect p50 \d", screen.text()), 20,
               "the connects are timed")
    echo.refuse(TARGET4[1])
    screen.wait_text("10.20.0.11:2525  unhealthy")
    screen.wait_text("is DEGRADED")
    screen.wait_text("! 1 of 3 targets")
    screen.wait_text("warning target-unhealthy: target 10.20.0.11:2525")
    assert "\x1b[1;31munhealthy\x1b[0m".encode() in screen.raw
    screen.press("s")
    screen.wait_text("sort: state")
    first = next(line for line in screen.lines() if line.startswith("10."))
    assert first.startswith("10.20.0.11:2525"), "what is bad comes first"
    screen.press("sr")
    screen.wait_text("sort: flows reversed")
    screen.press("h")
    screen.wait_text("any key leaves it")
    screen.press("xp")
    screen.wait_text("PAUSED")
    screen.press("p+\x1b[A")
    screen.wait_text("every 2s")
    assert "PAUSED" not in screen.text()
    screen.press("q")
    assert screen.wait() == 0


def test_every_size_is_good_enough(top):
    screen = top()
    for rows, columns in SIZES:
        screen.resize(rows, columns)
        screen.wait_text("lab is OK"[:columns])
        if rows >= 14:
            screen.wait_text("q quit  h help")
            screen.wait_text("10.20.0.12:2525  healthy"[:columns])
    screen.press("q")
    assert screen.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM,
                                    signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_gives_the_terminal_back(number, top):
    screen = top()
    screen.signal(number)
    assert screen.wait() == 0


def test_ctrl_c_gives_the_terminal_back(top):
    screen = top(NO_COLOR="1")
    assert b"\x1b[1m" not in screen.raw and b"\x1b[32m" not in screen.raw
    screen.press("\x03")
    assert screen.wait() == 0


def test_it_waits_for_an_nlbd_that_is_away(nlbd, top):
    screen = top("--interval", "1")
    nlbd.stop()
    screen.wait_text("no answer: cannot reach nlbd")
    nlbd.start()
    screen.wait_text("q quit")
    screen.press("q")
    assert screen.wait() == 0


def run(nlbd, *args):
    return subprocess.run([NLBCTL, "-s", nlbd.socket, "top", *args],
                          capture_output=True, text=True, timeout=SOON_S,
                          env=nlbd.environment())


def test_without_a_terminal_there_are_plain_frames(nlbd):
    done = run(nlbd, "-n", "2", "-i", "1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("lab is OK, zone zone-a healthy") == 2
    assert "\x1b" not in done.stdout
    assert "q quit" not in done.stdout
    assert "-/s new" not in done.stdout, "rates from the first frame on"


def test_frames_for_programs_have_rates(network, nlbd):
    process = Process([NLBCTL, "-s", nlbd.socket, "top", "-o", "json", "-i",
                       "1", "-n", "5"], env=nlbd.environment()).start()
    process.wait_line('"interval_seconds"', SOON_S)
    sessions(network, nlbd.address, 100)
    assert process.wait(SOON_S) == 0
    frames = [json.loads(line) for line in process.lines]
    assert len(frames) == 5
    assert frames[0]["rates_per_second"]["new_flows"] == 0

    def total(rate):
        return round(sum(rate(f) * f["interval_seconds"] for f in frames))
    assert total(lambda f: f["rates_per_second"]["new_flows"]) == 100
    assert total(lambda f: sum(t["new_flows_per_second"]
                               for t in f["targets"])) == 100
    busy = max(frames, key=lambda f: f["connect"]["count"])
    assert sum(f["connect"]["count"] for f in frames) == 100
    assert 0 < busy["connect"]["p50_ms"] <= busy["connect"]["p99_ms"]
    assert len(busy["targets"]) == 3
    assert len(busy["workers"]) == len(nlbd.worker_pids())
    for worker in busy["workers"]:
        assert worker["cpu_percent"] >= 0
        assert worker["loop_lag_p99_ms"] > 0
    assert busy["events"][-1]["message"]


def test_no_nlbd_at_first_is_an_error(tmp_path):
    done = subprocess.run([NLBCTL, "-s", tmp_path / "none", "top", "-n", "1"],
                          capture_output=True, text=True, timeout=SOON_S)
    assert done.returncode == 69
    assert "Is nlbd running?" in done.stderr
