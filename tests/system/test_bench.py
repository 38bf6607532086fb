"""nlbbench: each profile through the real nlbd, byte for byte, and through a
forwarder that spoils one byte."""
import json
import os
import pty
import re
import signal
import subprocess

import pytest

from lab import ini
from lab.bench import NLBBENCH, Bare, Bench, SmtpTarget
from lab.capture import SYN, Capture
from lab.daemon import endpoint, scaled
from lab.netns import CLIENT4, CLIENT6, FRONT4, FRONT6, TARGET4
from lab.process import Process
from lab.standin import Careless, Direct, Spoiler
from lab.wait import wait_until

SERVER = (FRONT4, ini.PORT)
MESSAGE = 5000
# profile: options, a byte of the stream to the target, one of that back
PROFILES = {
    "smtp": (["--size", MESSAGE], 2000, 60),
    "smtp-pipelined": (["--size", MESSAGE, "--pipeline"], 150, 200),
    "pingpong": (["--size", 1000], 555, 555),
    "bulk-up": (["--size", 500_000, "--direction", "up"], 300_000, 50),
    "bulk-down": (["--size", 500_000, "--direction", "down"], 15, 300_000),
    "bulk-both": (["--size", 500_000], 300_000, 300_000),
    "idle": (["--flows", 20], 3, 10),
    "churn": ([], None, 20),
}
SPOILED = [(profile, how, towards)
           for profile, (_, *places) in PROFILES.items()
           for towards, at in zip(("target", "client"), places)
           if at is not None
           for how in ("drop", "duplicate", "reorder")]


def bench(network, profile, to, *options):
    name = profile.split("-")[0]
    how_long = ["--duration", 1] if name == "idle" else ["--units", 20]
    return Bench(network, name, to, "--flows", 4, *how_long,
                 *PROFILES[profile][0], *options)


@pytest.fixture
def target(network):
    with SmtpTarget(network) as target:
        yield target


@pytest.mark.quick
@pytest.mark.parametrize("profile", [*PROFILES])
def test_profile_through_nlbd_is_right_to_the_byte(profile, network, target,
                                                   start_nlbd):
    start_nlbd()
    done = bench(network, profile, SERVER)
    assert (done.code, done.failures, done.done) == (0, {}, 20), done


@pytest.mark.quick
@pytest.mark.parametrize("profile", [*PROFILES])
def test_profile_through_the_bare_loop_is_right_to_the_byte(profile, network,
                                                            target):
    with Bare(network) as bare:
        before = bare.open_files()
        done = bench(network, profile, SERVER)
        assert (done.code, done.failures, done.done) == (0, {}, 20), done
        wait_until(lambda: bare.open_files() == before, 10,
                   "all of its flows have ended")


@pytest.mark.quick
def test_mixed_load_through_nlbd(network, target, start_nlbd):
    nlbd = start_nlbd()
    done = Bench(network, "mixed", SERVER, "--units", scaled(2000, 200),
                 "--threads", 2)
    assert (done.code, done.failures) == (0, {}), done
    assert done.done == scaled(2000, 200)
    assert len(done.units) == 6 and all(
        unit["done"] > 0 for unit in done.units.values())
    nlbd.wait_no_flows()
    counts = target.stop()
    mails = done.units["session"]["done"] + done.units["large mail"]["done"]
    assert counts["messages"] == mails
    assert counts["rejected"] == counts["open"] == 0


def test_session_over_ipv6(network, target, start_nlbd):
    start_nlbd()
    done = Bench(network, "smtp", (FRONT6, ini.PORT), "--units", 20,
                 "--source", CLIENT6[3])
    assert (done.code, done.failures, done.done) == (0, {}, 20), done


def test_open_loop_keeps_its_rate(network, target, start_nlbd):
    start_nlbd()
    done = Bench(network, "smtp", SERVER, "--rate", scaled(200, 20),
                 "--duration", 3, "--warm-up", 1, "--threads", 2)
    assert (done.code, done.failures) == (0, {}), done
    assert done.done == scaled(600, 60)
    assert [row["second"] for row in done.result["series"]][:3] == [1, 2, 3]


def test_stall_shows_in_open_loop_latency(network, target, start_nlbd):
    """What is due during a stall of 1 s waits for the rest of it: the times
    count from when it was due, not from when it was begun."""
    nlbd = start_nlbd(ini.base(workers=1))
    pid = nlbd.worker_pids()[0]
    process = Process(network.client.command([
        NLBBENCH, "pingpong", "--json", "--flows", "1", "--rate", "100",
        "--duration", "4", "--warm-up", "0", endpoint(*SERVER)]))
    process.start()
    try:
        process.wait_line(r"pingpong +1 s", 20)
        with nlbd.stopped(pid):
            process.wait_line(r"pingpong +2 s", 20)
        assert process.wait(30) == 0
    finally:
        process.kill()
    text = process.text()
    unit = json.loads(text[text.index("{"):])["units"]["exchange"]
    assert unit["done"] == 400
    # One flow: in a closed loop a single exchange would have seen the stall.
    slow = sum(count for end_us, count in unit["histogram_us"]
               if end_us > 200_000)
    assert slow > 30, unit["latency_us"]


@pytest.mark.parametrize("profile,how,towards", SPOILED)
def test_one_spoiled_byte_fails_the_run(profile, how, towards, network,
                                        target):
    at = PROFILES[profile][1 if towards == "target" else 2]
    with Spoiler(network, how, towards, at) as forwarder:
        done = bench(network, profile, forwarder.address, "--timeout", 1,
                     "--warm-up", 0, "--units" if profile != "idle"
                     else "--duration", 4)
    assert done.code == 1, done
    # Lost at the end, a byte is never missed but waited for.
    assert set(done.failures) <= {"wrong bytes", "timed out", "ended early",
                                  "reset"} and done.failures, done


@pytest.mark.parametrize("profile", [*PROFILES])
def test_unspoiled_run_through_the_same_relay_passes(profile, network,
                                                     target):
    with Spoiler(network, None, "client", 0) as forwarder:
        done = bench(network, profile, forwarder.address)
    assert (done.code, done.failures, done.done) == (0, {}, 20), done


@pytest.mark.parametrize("how,failure", [("abort", "reset"),
                                         ("swallow", "timed out")])
def test_end_of_a_session_that_is_no_fin_fails_the_run(how, failure, network,
                                                       target):
    with Careless(network, how) as forwarder:
        done = bench(network, "smtp", forwarder.address, "--timeout", 1,
                     "--warm-up", 0)
    assert done.code == 1 and set(done.failures) == {failure}, done


def ports_in_time_wait(namespace, server):
    lines = namespace.run("ss", "-tanH", "state", "time-wait", "dst",
                          f"{server[0]}:{server[1]}").stdout.splitlines()
    return {line.split()[2] for line in lines}


def test_sessions_leave_no_port_of_the_client_behind(network, target):
    with Direct(network) as forwarder:
        before = ports_in_time_wait(network.client, forwarder.address)
        done = Bench(network, "smtp", forwarder.address, "--units", 200)
        after = ports_in_time_wait(network.client, forwarder.address)
    assert (done.code, done.done) == (0, 200)
    assert after <= before


def test_refused_connections_are_failures_and_no_busy_loop(network):
    done = Bench(network, "churn", (TARGET4[0], 1), "--duration", 1,
                 "--warm-up", 0, "--flows", 10)
    assert done.code == 1 and done.done == 0
    assert sum(done.failures.values()) < 300


def test_exhausted_ports_are_named(network, target):
    with Direct(network) as forwarder:
        network.client.sysctl("net.ipv4.ip_local_port_range", "10000 10009")
        try:
            done = Bench(network, "idle", forwarder.address, "--flows", 20,
                         "--duration", 1)
        finally:
            network.client.sysctl("net.ipv4.ip_local_port_range",
                                  "10000 65000")
    assert done.code == 1
    # More than ten when an earlier connection still has its port.
    assert 10 <= done.failures.get("no local port") <= 20, done
    assert re.search("local ports ran out",
                     " ".join(done.result["client"]["limits"]))


def test_sources_take_turns(network, target):
    with Direct(network) as forwarder, \
            Capture(network.server, "wire", "tcp[tcpflags] & tcp-syn != 0"
                    ) as capture:
        done = Bench(network, "churn", forwarder.address, "--units", 40,
                     "--source", CLIENT4[1], "--source", CLIENT4[2])
        assert done.code == 0
        syns = [s.source[0] for s in capture.segments(
            destination=forwarder.address) if s.flags == SYN]
    assert syns.count(CLIENT4[1]) == syns.count(CLIENT4[2]) == 20


def test_progress_on_a_terminal_is_one_line_with_the_time_left(network,
                                                               target):
    with Direct(network) as forwarder:
        ours, theirs = pty.openpty()
        try:
            done = subprocess.run(
                network.client.command([
                    NLBBENCH, "smtp", "--rate", "20", "--warm-up", "0",
                    "--duration", "3", endpoint(*forwarder.address)]),
                stdout=subprocess.PIPE, stderr=theirs, timeout=60, text=True,
                check=True)
            shown = os.read(ours, 65536).decode()
        finally:
            os.close(ours)
            os.close(theirs)
    lines = shown.split("\r\x1b[K")
    assert len(lines) == 1 + 3 and lines[0] == "", shown
    assert re.match(r"smtp +1 s +\d+ /s .* 0 failed  [12] s left$", lines[1])
    assert "sessions: 60 done" in done.stdout


def test_interrupt_prints_what_was_measured(network, target):
    with Direct(network) as forwarder:
        process = Process(network.client.command([
            NLBBENCH, "smtp", "--rate", "50", "--warm-up", "0",
            "--duration", "600", endpoint(*forwarder.address)]))
        process.start()
        try:
            process.wait_line(r"smtp +2 s", 20)
            process.signal(signal.SIGINT)
            assert process.wait(20) == 0
        finally:
            process.kill()
    assert process.find_line("interrupted")
    done = process.find_line(r"^sessions: (\d+) done")
    assert int(done[1]) >= 90


def seen_times(capture, server, size):
    """Of each exchange: from the request's segment to the answer's, as the
    client's own wire had them, in microseconds, sorted."""
    times, asked = [], {}
    for segment in capture.segments():
        if segment.length != size:
            continue
        if segment.destination == server:
            asked[segment.source] = segment.time
        else:
            times.append((segment.time - asked.pop(segment.destination)) * 1e6)
    return sorted(times)


def test_histogram_agrees_with_a_capture(network):
    """Echoes that take 100 ms: beside them the way between program and wire
    is little even on a busy machine, and both have to say the same."""
    size, units = 100, 400
    with SmtpTarget(network, "--delay-ms", "100"), \
            Direct(network) as forwarder, \
            Capture(network.client, "wire") as capture:
        done = Bench(network, "pingpong", forwarder.address, "--size", size,
                     "--flows", 20, "--units", units)
        assert done.code == 0
        times = seen_times(capture, forwarder.address, size)
    assert len(times) == units
    latency = done.units["exchange"]["latency_us"]
    assert latency["mean"] == pytest.approx(sum(times) / units, rel=0.05)
    for name, share in (("p50", 0.5), ("p90", 0.9)):
        assert latency[name] == pytest.approx(
            times[int(share * units) - 1], rel=0.05), (name, latency)
