"""Signals and limits that are not meant for nlbd: nothing ends of them."""
import os
import signal
import time

import pytest

from lab import http, ini
from lab.live import live_flows
from lab.load import Load, sessions
from lab.netns import FRONT4, TARGET4
from lab.process import Process
from lab.prometheus import parse
from lab.wait import wait_until

pytestmark = pytest.mark.quick

FILE_SIZE = 4096
FLOWS = 200
SESSIONS = 300
# Those that a supervisor and a worker have no use for.
STRAY = ("SIGPIPE", "SIGCHLD", "SIGURG", "SIGWINCH", "SIGUSR1", "SIGCONT",
         "SIGXFSZ")
# To a worker alone: the supervisor decides over its life.
STRAY_WORKER = (*STRAY, "SIGTERM", "SIGINT", "SIGHUP", "SIGUSR2")
ECHO = TARGET4[:1]


def test_stray_signals_end_nothing(network, start_nlbd, echo):
    nlbd = start_nlbd(ini.base(MaxFlowsPerSource=0))
    workers = nlbd.worker_pids()
    with live_flows(network, nlbd.address, 10) as flows:
        for name in STRAY:
            os.kill(nlbd.process.pid, getattr(signal, name))
        for name in STRAY_WORKER:
            for pid in workers.values():
                os.kill(pid, getattr(signal, name))
        assert sessions(network, nlbd.address, 100).failed == {}
        assert all(flow.echoes() for flow in flows)
    assert nlbd.worker_pids() == workers


def test_a_storm_of_sighup_is_a_few_reloads(network, start_nlbd, echo):
    """What comes within 20 ms is one."""
    nlbd = start_nlbd(ini.base(MaxFlowsPerSource=0))
    begin = time.monotonic()
    with live_flows(network, nlbd.address, 10) as flows, \
            Load(network, nlbd.address, count=SESSIONS, rate=300) as load:
        for _ in range(2000):
            os.kill(nlbd.process.pid, signal.SIGHUP)
            time.sleep(0.0005)
        assert load.result().failed == {}
        assert all(flow.echoes() for flow in flows)

    def reloads():
        return sum("reload accepted" in line for line in nlbd.process.lines)

    wait_until(lambda: reloads() == nlbd.status()["config"]["generation"] - 1,
               10, "all reloads are told")
    assert 0 < reloads() <= (time.monotonic() - begin) / 0.02 + 1


def test_a_flow_log_at_the_file_size_limit_costs_lines_alone(
        network, start_nlbd, echo):
    """RLIMIT_FSIZE comes with a signal that kills by default. What is lost is
    counted, to the line."""
    nlbd = start_nlbd(ini.base(MaxFlowsPerSource=0,
                               HttpListen=f"{FRONT4}:{http.PORT}"))
    workers = nlbd.worker_pids()
    limit = Process(["prlimit", f"--pid={nlbd.process.pid}",
                     f"--fsize={FILE_SIZE}"]).start()
    assert limit.wait(10) == 0
    assert sessions(network, nlbd.address, FLOWS).failed == {}

    def lost():
        page = http.ask(network.client, FRONT4, "/metrics").text
        return parse(page)["nlbd_flow_log_lost_records_total"]

    wait_until(lambda: len(nlbd.flow_log()) + lost() == FLOWS, 10,
               "every flow is in the log or counted")
    assert lost() > 0 and len(nlbd.flow_log()) > 0
    assert nlbd.flow_log_path.stat().st_size <= FILE_SIZE
    assert sessions(network, nlbd.address, 50).failed == {}
    assert nlbd.worker_pids() == workers
