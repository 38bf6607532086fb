"""Hundreds of flows whose peers send, read, finish and reset by chance: no
byte is lost, added or moved, and no end is taken for another."""
import pytest

from lab import ini
from lab.daemon import Daemon, endpoint, scaled
from lab.netns import CLIENT4, TARGET4
from lab.peers import Target, connect
from lab.schedules import Schedule, play
from lab.standin import Careless
from lab.wait import wait_until

AT_ONCE = 50
STEPS = 200


def played(network, forwarder, seeds):
    """The schedules of these seeds, and what was wrong."""
    with Target(network.server, TARGET4[0], ini.TARGET_PORT) as target:
        schedules = []
        try:
            for seed in seeds:
                client = connect(network.client, forwarder.address,
                                 CLIENT4[seed % len(CLIENT4)])
                schedules.append(Schedule(seed, client.sock,
                                          target.accept().sock))
            play(schedules, STEPS)
            return schedules, [f for s in schedules for f in s.check()]
        finally:
            for schedule in schedules:
                for end in schedule.ends:
                    end.close()


@pytest.fixture(scope="module")
def nlbd(network, health):
    with Daemon(network, ini.base(MaxFlowsPerSource=0)) as daemon:
        yield daemon.start()


@pytest.mark.quick
@pytest.mark.deadline(180)
@pytest.mark.parametrize("first", range(0, scaled(500, 100), AT_ONCE))
def test_streams_end_as_their_peers_ended_them(first, network, nlbd):
    before = len(nlbd.flow_log())
    schedules, faults = played(network, nlbd, range(first, first + AT_ONCE))
    assert faults == []
    nlbd.wait_no_flows()
    # The same client port may be in the log of an earlier run.
    told = wait_until(lambda: len(nlbd.flow_log()) == before + AT_ONCE and
                      {r["client"]: r["end_reason"]
                       for r in nlbd.flow_log()[before:]}, 10, "flow log")
    for schedule in schedules:
        reason = told[endpoint(*schedule.address)]
        assert reason in schedule.reasons(), schedule.seed


@pytest.mark.parametrize("how", ["launder", "abort"])
def test_careless_forwarder_is_found_out(how, network):
    with Careless(network, how) as forwarder:
        _, faults = played(network, forwarder, range(AT_ONCE))
    assert faults != []
