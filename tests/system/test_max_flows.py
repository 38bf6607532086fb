"""MaxFlowsPerTarget and a target's MaxFlows, over all workers."""
import os
import signal
import threading

import pytest

from lab import ini
from lab.netns import CLIENT4, TARGET4
from lab.peers import FIN, connect
from lab.wait import wait_until

WORKERS = 4
LIMIT, OWN_LIMIT = 5, 3  # of the group, and of one target
PLACES = LIMIT + OWN_LIMIT
CLIENTS = 60
ECHO = TARGET4[:2]


def config():
    sections = ini.base(TARGET4[:2], health_port="traffic-port",
                        workers=WORKERS)
    sections[ini.GROUP]["MaxFlowsPerTarget"] = LIMIT
    sections[ini.GROUP]["Target.t2"] += f",MaxFlows={OWN_LIMIT}"
    return sections


def held(nlbd):
    """Flows by target."""
    return [nlbd.metric("ActiveFlowCount", "target",
                        Target=f"{a}:{ini.TARGET_PORT}")
            for a in TARGET4[:2]]


class Clients:
    def __init__(self, network, nlbd):
        self.network, self.nlbd, self.peers = network, nlbd, []
        self._lock = threading.Lock()

    def come(self, source):
        """A client that stays if it is greeted; True then."""
        try:
            peer = connect(self.network.client, self.nlbd.address, source)
            if peer.recv().startswith(b"220 "):
                with self._lock:
                    self.peers.append(peer)
                return True
            assert peer.ending != FIN, "refused, and not reset"
        except ConnectionResetError:
            return False
        peer.sock.close()
        return False

    def come_at_once(self, count):
        threads = [threading.Thread(target=self.come,
                                    args=(CLIENT4[n % len(CLIENT4)],))
                   for n in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)

    def fill(self):
        """One after the other, until all places are taken."""
        while len(self.peers) < PLACES:
            assert self.come(CLIENT4[0]), "reset with a place free"

    def go(self):
        while self.peers:
            self.peers.pop().sock.close()


@pytest.mark.quick
def test_workers_together_never_exceed_the_limit(network, start_nlbd, echo):
    nlbd = start_nlbd(config(), healthy=2)
    clients = Clients(network, nlbd)
    clients.come_at_once(CLIENTS)
    # Two that come for the last place at once may both be refused.
    assert PLACES - WORKERS <= len(clients.peers) <= PLACES
    refused = nlbd.status()["flow_ends"]["target-limit"]
    assert refused == CLIENTS - len(clients.peers)
    clients.fill()
    assert held(nlbd) == [LIMIT, OWN_LIMIT]
    assert not clients.come(CLIENT4[0])
    assert nlbd.metric("RejectedFlowCount") == refused + 1
    table = nlbd.ctl_raw("describe-target-health").stdout
    assert f" {LIMIT} of {LIMIT} " in table
    assert f" {OWN_LIMIT} of {OWN_LIMIT} " in table
    clients.go()
    nlbd.wait_no_flows()


def test_places_of_a_killed_worker_are_free_again(network, start_nlbd, echo):
    nlbd = start_nlbd(config(), healthy=2)
    clients = Clients(network, nlbd)
    clients.fill()
    assert held(nlbd) == [LIMIT, OWN_LIMIT]
    victim = nlbd.worker_of(clients.peers[0])
    lost = [p for p in clients.peers if nlbd.worker_of(p) == victim]
    os.kill(victim, signal.SIGKILL)
    for peer in lost:
        clients.peers.remove(peer)
        peer.sock.close()
    wait_until(lambda: sum(held(nlbd)) == PLACES - len(lost), 10,
               "the dead worker's flows are gone")
    wait_until(nlbd.ready, 10, "the worker is replaced")
    clients.fill()
    assert held(nlbd) == [LIMIT, OWN_LIMIT]
    assert not clients.come(CLIENT4[0])
    clients.go()
