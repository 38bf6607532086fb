"""The admin interface and those who mean it harm: each is refused, takes no
more than a bound, and nobody else notices."""
import os
import time

import pytest

from lab import http, ini
from lab.abuse import REFUSED, Abuse
from lab.daemon import scaled
from lab.load import sessions
from lab.netns import CLIENT4, FRONT4, TARGET4
from lab.wait import wait_until

pytestmark = pytest.mark.quick

ECHO = TARGET4[:2]
OTHER = CLIENT4[1]     # those who abuse it come from the first one
ABUSER_PLACES = 8
REFUSED_KEPT = 16      # strangers who may still read why
LIFETIME_S = 5         # of a connection to HttpListen, in all
ANSWER_S = scaled(5, 20)  # the machine is busy with the abuser as well
SOCKET_BUFFERS = 64 << 20


@pytest.fixture
def nlbd(start_nlbd, echo):
    sections = ini.base(ECHO, health_port="traffic-port",
                        HttpListen=f"{FRONT4}:{http.PORT}")
    sections[ini.GROUP]["HealthCheckIntervalSeconds"] = "0.2"
    nlbd = start_nlbd(sections, healthy=2)
    nlbd.socket.chmod(0o666)  # or no stranger would come as far as nlbd
    return nlbd


class Footprint:
    """What the supervisor takes of the machine."""

    def __init__(self, pid):
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            self.memory_kib = int(next(
                line.split()[1] for line in file
                if line.startswith("VmRSS:")))
        self.fds = len(os.listdir(f"/proc/{pid}/fd"))


def answers(network, nlbd):
    """All others are served in time, over TCP and on the unix socket."""
    begun = time.monotonic()
    assert http.ask(network.client, FRONT4, "/v1/status",
                    source=OTHER).status == 200
    assert time.monotonic() - begun < ANSWER_S
    begun = time.monotonic()
    assert nlbd.status()["pid"] == nlbd.process.pid
    assert time.monotonic() - begun < ANSWER_S


@pytest.mark.parametrize("kind", REFUSED)
def test_abuse_is_refused_and_bounded(kind, network, nlbd, echo):
    pid = nlbd.process.pid
    answers(network, nlbd)
    rest = Footprint(pid)
    with Abuse(network.client, (FRONT4, http.PORT), nlbd.socket,
               kind) as abuse:
        for _ in range(10):
            answers(network, nlbd)
            busy = Footprint(pid)
            # Theirs, those of the checks and of the one who counts.
            assert busy.fds <= rest.fds + max(ABUSER_PLACES, REFUSED_KEPT) + 10
            assert busy.memory_kib < rest.memory_kib + scaled(4096, 65536)
        assert sessions(network, nlbd.address, 200).failed == {}
        # The health checks go on, and are heeded.
        echo.refuse(ECHO[1])
        nlbd.wait_state(ECHO[1], "unhealthy")
        echo.serve(ECHO[1])
        nlbd.wait_healthy(2)
        abuse.wait_ended()
        answers(network, nlbd)
    few = kind == "slow"  # they wait long, and end one by one
    assert abuse.tries > (6 if few else 20)
    heard = sum(abuse.outcomes.get(how, 0) for how in REFUSED[kind])
    assert heard > (0 if few else 10)
    if few:  # there are places for all of them: until their time is over
        assert abuse.longest_s > LIFETIME_S - 1
    assert set(abuse.outcomes) <= REFUSED[kind] | {"cut"}
    assert abuse.longest_s < LIFETIME_S + scaled(5, 10)
    assert abuse.most_bytes < SOCKET_BUFFERS
    assert nlbd.status()["config"]["generation"] == 1
    assert nlbd.status()["config"]["last_reload"]["verdict"] == "none"
    kept = REFUSED_KEPT if kind == "uid" else 0
    wait_until(lambda: Footprint(pid).fds <= rest.fds + 1 + kept, 20,
               "the places are free again")
