"""Start and stop: what is wrong is said, with the exit code of its kind."""
import os
import re
import signal
import subprocess
import time

import pytest

from lab import ini
from lab.daemon import NLBD, Daemon
from lab.netns import CLIENT4, FRONT4, TARGET4
from lab.peers import RST, Target, connect
from lab.wait import wait_until

EX_USAGE, EX_NOINPUT, EX_OSERR, EX_CANTCREAT, EX_CONFIG = 64, 66, 71, 73, 78
ERROR = r"nlbd\.ini:(\d+):(\d+): error: "

pytestmark = pytest.mark.quick


@pytest.fixture
def lab(network, health):
    """A daemon that was not started, for its files and namespaces."""
    daemon = Daemon(network, ini.base())
    yield daemon
    if daemon.process is not None and daemon.process.running:
        daemon.stop()
    daemon.close()


def run(lab, *args, **kwargs):
    """nlbd in its namespace, for runs that end by themselves."""
    return subprocess.run(lab.network.nlbd.command([NLBD, *args]),
                          capture_output=True, timeout=20,
                          env=lab.environment(), text=True,
                          errors="backslashreplace", **kwargs)


def check(lab, text):
    data = text if isinstance(text, bytes) else text.encode()
    lab.config.write_bytes(data)
    return run(lab, "-c", lab.config, "--check-config")


def good():
    return ini.render(ini.base())


def edited(pattern, replacement):
    text, count = re.subn(pattern, replacement, good(), count=1,
                          flags=re.MULTILINE)
    assert count == 1, pattern
    return text


def line_of(text, needle):
    return next(n for n, line in enumerate(text.splitlines(), 1)
                if needle in line)


# -- the config file

BAD = {
    "port with a leading zero": ("Port = 5870", "Port = 0587", "0587"),
    "port with trailing junk": ("Port = 5870", "Port = 587x", "587x"),
    "port beyond 32 bits": ("Port = 5870", "Port = 4294967883", "4294967883"),
    "unknown key": ("Port = 5870", "Port = 5870\nPotr = 1", "Potr"),
    "duplicate key": ("Port = 5870", "Port = 5870\nPort = 5871", "5871"),
    "duplicate key in other case": ("Port = 5870", "Port = 5870\nport = 5870",
                                    "port = 5870"),
    "unknown section": (r"\[node\]", "[nodd]", "[nodd]"),
    "duplicate section": (r"\[node\]", "[load-balancer]\n[node]",
                          None),
    "host bits in a CIDR": ("Source=0.0.0.0/0", "Source=10.1.2.3/8",
                            "10.1.2.3/8"),
    "prefix of 33 bits": ("Source=0.0.0.0/0", "Source=10.0.0.0/33", "/33"),
    "octal address": ("Source=0.0.0.0/0", "Source=010.0.0.1/32", "010.0.0.1"),
    "missing security group": ("SecurityGroups = open",
                               "SecurityGroups = shut", "shut"),
    "no word on security groups": ("SecurityGroups = open\n", "",
                                   "[listener submission]"),
    "stray text": ("Port = 5870", "Port = 5870\nwhatever", "whatever"),
    "line of 1,100 characters": ("Port = 5870",
                                 "Port = 5870\nName = " + "x" * 1093,
                                 "xxxx"),
    "name of a target": ("Id=10.20.0.10", "Id=mail_1.example.com",
                         "mail_1.example.com"),
}


@pytest.mark.parametrize("case", BAD, ids=lambda c: c.replace(" ", "-"))
def test_mistake_is_named_with_line_and_column(case, lab):
    pattern, replacement, needle = BAD[case]
    text = edited(pattern, replacement)
    done = check(lab, text)
    assert done.returncode == EX_CONFIG, done.stderr
    found = re.search(ERROR, done.stderr)
    assert found, done.stderr
    if needle is not None:
        assert int(found[1]) == line_of(text, needle), done.stderr
    assert "^" in done.stderr, "a caret under the place"


def test_all_mistakes_are_told_in_one_run(lab):
    text = edited("Port = 5870", "Potr = 5870\nPort = 5870x")
    text = text.replace("Workers = 2", "Worker = 2")
    done = check(lab, text)
    lines = {int(m[1]) for m in re.finditer(ERROR, done.stderr)}
    assert {line_of(text, n) for n in ("Potr =", "5870x", "Worker =")} <= lines
    assert re.search(r"(?i)did you mean.*Port\b", done.stderr)
    assert re.search(r"(?i)did you mean.*Workers", done.stderr)


@pytest.mark.parametrize("text", [
    b"", b"\n\n; nothing\n", b"\x00" * 100,
    good().encode().replace(b"Port = 5870", b"Port = 58\x0070"),
    b"\xff\xfe" + good().encode("utf-16-le"),
], ids=["empty", "comments", "zeros", "nul", "utf-16"])
def test_file_that_is_no_config_is_a_config_error(text, lab):
    done = check(lab, text)
    assert done.returncode == EX_CONFIG
    assert "nlbd.ini" in done.stderr and "error" in done.stderr
    assert "\x00" not in done.stderr


def test_byte_order_mark_is_accepted_or_named(lab):
    done = check(lab, b"\xef\xbb\xbf" + good().encode())
    if done.returncode != 0:
        assert done.returncode == EX_CONFIG
        assert re.search(r"(?i)BOM|byte order mark", done.stderr)


def test_crlf_is_accepted(lab):
    done = check(lab, good().replace("\n", "\r\n"))
    assert done.returncode == 0, done.stderr


def test_hostile_bytes_do_not_reach_the_terminal(lab):
    done = check(lab, edited("Port = 5870", "Port = \x1b[2J\x07"))
    assert done.returncode == EX_CONFIG
    assert "\x1b" not in done.stderr and "\x07" not in done.stderr


def test_file_beyond_1_mib_is_refused(lab):
    done = check(lab, good() + ("; " + "x" * 77 + "\n") * 14_000)
    assert done.returncode in (EX_NOINPUT, EX_CONFIG)
    assert "nlbd.ini" in done.stderr


def test_file_of_almost_1_mib_is_read(lab):
    text = good()
    filler = "; " + "x" * 77 + "\n"
    text += filler * ((1024 * 1024 - len(text)) // len(filler))
    assert check(lab, text).returncode == 0


def test_missing_file_is_no_input(lab):
    done = run(lab, "-c", lab.directory / "none.ini")
    assert done.returncode == EX_NOINPUT
    assert "none.ini" in done.stderr


@pytest.mark.parametrize("kind", ["directory", "fifo", "device"])
def test_what_is_no_file_is_refused_without_hanging(kind, lab):
    path = lab.directory / kind
    if kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path = "/dev/zero"
    done = run(lab, "-c", path)
    assert done.returncode in (EX_NOINPUT, EX_CONFIG)
    assert str(path) in done.stderr


def test_target_equal_to_our_own_listener_is_refused(lab):
    sections = ini.base([FRONT4], target_port=ini.PORT)
    sections[ini.LISTENER]["Address"] = FRONT4
    done = check(lab, ini.render(sections))
    assert done.returncode == EX_CONFIG
    found = re.search(ERROR + r".*listener", done.stderr)
    assert found, done.stderr


def test_value_that_aws_refuses_warns_and_is_an_error_when_strict(lab):
    lab.write(ini.base())
    done = run(lab, "-c", lab.config, "--check-config")
    assert done.returncode == 0
    assert re.search(r"nlbd\.ini:\d+:\d+: warning: ", done.stderr)
    done = run(lab, "-c", lab.config, "--check-config", "--strict-aws")
    assert done.returncode == EX_CONFIG


def test_printed_config_is_complete_and_valid(lab):
    lab.write(ini.base())
    printed = run(lab, "-c", lab.config, "--print-config")
    assert printed.returncode == 0
    for key in ("deregistration_delay.timeout_seconds",
                "tcp.idle_timeout.seconds", "ConnectTimeoutSeconds",
                "MaxFlowsPerSource", "SecurityGroupAction"):
        assert key in printed.stdout
    assert check(lab, printed.stdout).returncode == 0
    again = run(lab, "-c", lab.config, "--print-config")
    assert again.stdout == printed.stdout


def test_check_config_starts_nothing(lab):
    lab.write(ini.base())
    assert run(lab, "-c", lab.config, "--check-config").returncode == 0
    assert not lab.socket.exists()
    assert lab.pids() == []


# -- the command line

@pytest.mark.parametrize("args", [["--no-such-option"], ["-c"], ["surplus"]])
def test_wrong_usage_is_64(args, lab):
    done = run(lab, *args)
    assert done.returncode == EX_USAGE
    assert "usage" in done.stderr.lower()


@pytest.mark.parametrize("option,told", [("-V", r"\d+\.\d+"),
                                         ("-h", "(?i)usage")])
def test_version_and_help_go_to_stdout(option, told, lab):
    done = run(lab, option)
    assert done.returncode == 0 and re.search(told, done.stdout)


# -- ports and sockets

def test_port_in_use_names_the_owner(lab):
    squatter = subprocess.Popen(lab.network.nlbd.command(
        ["/usr/bin/python3", "-c", "import socket, sys, time\n"
         f"s = socket.create_server(('0.0.0.0', {ini.PORT}))\n"
         "print('up', flush=True)\ntime.sleep(60)"]), stdout=subprocess.PIPE)
    try:
        squatter.stdout.readline()
        lab.write(ini.base())
        done = run(lab, "-c", lab.config)
    finally:
        squatter.kill()
        squatter.wait()
        squatter.stdout.close()
    assert done.returncode == EX_CANTCREAT, done.stderr
    assert str(ini.PORT) in done.stderr
    assert "python3" in done.stderr or str(squatter.pid) in done.stderr
    assert lab.pids() == []


def test_no_permission_for_the_port_says_what_to_do(lab):
    lab.write(ini.base(port=587))
    os.chown(lab.directory, 65534, 65534)
    done = subprocess.run(lab.network.nlbd.command(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
         "--inh-caps=-all", "--bounding-set=-all", NLBD, "-c", lab.config]),
        capture_output=True, text=True, timeout=20)
    assert done.returncode == EX_CANTCREAT, done.stderr
    assert "587" in done.stderr
    assert re.search("CAP_NET_BIND_SERVICE|ip_unprivileged_port_start",
                     done.stderr)


def test_second_daemon_on_the_same_admin_socket_is_refused(lab):
    lab.start()
    done = run(lab, "-c", lab.config)
    assert done.returncode != 0
    assert f"pid {lab.process.pid}" in done.stderr
    assert "AdminSocket" in done.stderr
    assert lab.status()["pid"] == lab.process.pid, "the first one goes on"
    assert lab.process.running
    with Target(lab.network.server, TARGET4[0], ini.TARGET_PORT) as target, \
            connect(lab.network.client, lab.address) as client, \
            target.accept() as peer:
        peer.send(b"hello")
        assert client.recv_exactly(5) == b"hello"


def test_stale_admin_socket_is_replaced(lab):
    lab.start()
    for pid in lab.pids():
        os.kill(pid, signal.SIGKILL)
    lab.process.wait(5)
    assert lab.socket.exists()
    lab.replace_dead_supervisor()
    wait_until(lab.ready, 10, "ready on the same path")


def test_admin_socket_is_for_its_owner_alone(lab):
    lab.start()
    assert lab.socket.stat().st_mode & 0o077 == 0


# -- the end

def test_sigterm_lets_flows_finish_and_exits_0(lab):
    lab.start()
    with Target(lab.network.server, TARGET4[0], ini.TARGET_PORT) as target, \
            connect(lab.network.client, lab.address) as client, \
            target.accept() as peer:
        lab.process.signal(signal.SIGTERM)

        def closed():
            try:
                connect(lab.network.client, lab.address, CLIENT4[1], 0.5
                        ).reset()
                return False
            except OSError:
                return True
        wait_until(closed, 5, "no new connect is taken")
        client.send(b"x" * 50_000)
        assert peer.recv_exactly(50_000) == b"x" * 50_000
        assert lab.process.running
        client.finish()
        peer.read_to_end()
        peer.finish()
        client.read_to_end()
        assert lab.process.wait(2) == 0, "it waits for flows, not for time"
    assert not lab.socket.exists()


def test_drain_timeout_ends_the_flows_left(lab):
    lab.write(ini.base(DrainTimeoutSeconds=1))
    lab.start()
    with Target(lab.network.server, TARGET4[0], ini.TARGET_PORT) as target, \
            connect(lab.network.client, lab.address) as client, \
            target.accept() as peer:
        begin = time.monotonic()
        lab.process.signal(signal.SIGTERM)
        client.start_reading()
        assert lab.process.wait(6) == 0
        assert time.monotonic() - begin >= 0.9
        assert client.read_to_end(2) == RST
        assert peer.read_to_end(2) == RST
        assert lab.flow_record(client.address)["end_reason"] == "shutdown"


def test_second_sigterm_ends_at_once(lab):
    lab.write(ini.base(DrainTimeoutSeconds=300))
    lab.start()
    with Target(lab.network.server, TARGET4[0], ini.TARGET_PORT) as target, \
            connect(lab.network.client, lab.address) as client, \
            target.accept() as peer:
        lab.process.signal(signal.SIGTERM)
        wait_until(lambda: lab.status()["stopping"], 5, "it drains")
        lab.process.signal(signal.SIGTERM)
        assert lab.process.wait(3) == 0
        assert client.read_to_end(2) == RST
        assert peer.read_to_end(2) == RST
