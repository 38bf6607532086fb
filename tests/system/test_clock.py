"""Clocks that are about to pass a power of two: timers neither fire early nor
stay away."""
import os
import time

import pytest

from lab import ini
from lab.daemon import Daemon
from lab.live import live_flows
from lab.load import EchoTargets, sessions
from lab.netns import TARGET4
from lab.peers import RST

IDLE_S = 5
AHEAD_S = 3  # from nlbd's start to the moment
MOMENTS = {"2^31 ms": 2**31 / 1000, "2^32 ms": 2**32 / 1000,
           "2^32 s": 2**32}


class ShiftedDaemon(Daemon):
    """nlbd in a time namespace whose monotonic clock is set ahead."""

    def argv(self, *extra):
        offset = int(self.moment - time.clock_gettime(time.CLOCK_MONOTONIC)
                     - AHEAD_S)
        inside = super().argv(*extra)
        return ["unshare", "-T", "--monotonic", offset, "--boottime", offset,
                "--", *inside]


def clock_of(pid):
    return os.readlink(f"/proc/{pid}/ns/time")


@pytest.mark.parametrize("moment", MOMENTS)
def test_timers_live_through_it(moment, network, health):
    sections = ini.base(workers=1, MaxFlowsPerSource=0)
    sections[ini.LISTENER]["tcp.idle_timeout.seconds"] = IDLE_S
    ShiftedDaemon.moment = MOMENTS[moment]
    with EchoTargets(network, TARGET4[:1], ini.TARGET_PORT), \
            ShiftedDaemon(network, sections) as nlbd:
        nlbd.start()
        for pid in nlbd.pids():
            assert clock_of(pid) != clock_of("self")
        with live_flows(network, nlbd.address, 2) as (idle, busy):
            idle.peer.start_reading()
            while idle.peer.ending is None:
                assert busy.echoes()
                assert sessions(network, nlbd.address, 20).failed == {}
                time.sleep(0.2)
            assert idle.peer.ending == RST
            record = nlbd.flow_record(idle.peer.address)
            assert record["end_reason"] == "idle-timeout"
            assert record["duration_ms"] > IDLE_S * 1000 - 100
            assert busy.echoes()
        assert nlbd.health()[TARGET4[0]] == ("healthy", None)
        assert nlbd.process.find_line("stall|respond|unhealthy") is None
