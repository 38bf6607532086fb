"""Every third system call of one kind fails in the worker: flows may end, the
worker may not, and no stream that was cut looks complete."""
import os

import pytest

from lab import ini
from lab.daemon import Daemon, scaled
from lab.load import EchoTargets, sessions
from lab.netns import FRONT4, TARGET4
from lab.peers import FIN, RST, Target, connect, stream
from lab.wait import wait_until

pytestmark = [
    pytest.mark.deadline(90),
    pytest.mark.skipif(scaled(False, True), reason="strace upsets sanitizers"),
]

BULK_PORT = 5871
BULK = 4 * 1024 * 1024
FAULTS = {
    "accept4": ["ECONNABORTED", "EPROTO", "EPERM", "ENOBUFS", "ENOMEM",
                "EINTR", "EHOSTUNREACH", "EMFILE", "ENFILE", "EOPNOTSUPP"],
    "socket": ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"],
    "connect": ["ECONNREFUSED", "ENETUNREACH", "EHOSTUNREACH", "EACCES",
                "EPERM", "EADDRNOTAVAIL", "ETIMEDOUT", "ENOBUFS"],
    # Not ECONNRESET: the kernel says so of a dead socket alone.
    "sendto": ["EINTR", "ENOBUFS", "ENOMEM"],
    "recvfrom": ["EINTR", "ENOMEM", "ETIMEDOUT"],
    "splice": ["EINVAL", "ENOMEM", "EINTR"],
    "pipe2": ["EMFILE", "ENFILE"],
    "epoll_ctl": ["ENOMEM", "ENOSPC"],
    "setsockopt": ["EINVAL", "ENOMEM"],
    "getsockopt": ["EINVAL", "ENOBUFS"],
    "shutdown": ["ENOTCONN", "EINVAL"],
    "ioctl": ["EINVAL"],
    "sendmsg": ["EAGAIN", "ENOBUFS"],
}
CASES = [(call, error) for call, errors in FAULTS.items() for error in errors]
OUR_OWN = ("EADDRNOTAVAIL", "ENOBUFS")  # connect: no target is to blame
# What a session may come to: never bytes that are not its own, never silence.
BEARABLE = {"ok", "reset", "connect-reset"}


@pytest.fixture(scope="module")
def nlbd(network, health):
    sections = ini.base(TARGET4[:2], workers=1, MaxFlowsPerSource=0)
    sections["listener bulk"] = {"Port": BULK_PORT, "SecurityGroups": "none",
                                 "DefaultActions": "forward:bulk"}
    sections["target-group bulk"] = {
        **{k: v for k, v in sections[ini.GROUP].items()
           if not k.startswith("Target.")},
        "Port": BULK_PORT, **ini.targets(TARGET4[0])}
    with EchoTargets(network, TARGET4[:2], ini.TARGET_PORT), \
            Daemon(network, sections) as daemon:
        yield daemon.start(healthy=2)


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


@pytest.mark.parametrize("call,error", CASES)
def test_small_sessions(call, error, network, nlbd):
    worker = nlbd.worker_pids()[0]
    assert sessions(network, nlbd.address, 20).failed == {}
    nlbd.wait_no_flows()
    before = descriptors(worker)
    with nlbd.injected(worker, call, error):
        result = sessions(network, nlbd.address, 60, concurrency=10,
                          deadline=8)
    assert set(result.outcomes) <= BEARABLE, result
    if error == "EINTR" or call in ("accept4", "pipe2", "splice"):
        assert result.failed == {}, result
    after = sessions(network, nlbd.address, 60)
    assert after.failed == {}, after
    nlbd.wait_no_flows()
    assert nlbd.worker_pids() == {0: worker}
    wait_until(lambda: descriptors(worker) <= before, 10,
               f"{before} descriptors again")
    wait_until(lambda: nlbd.cpu_share(worker, 0.3) < 0.2, 10, "it rests")
    if call != "connect" or error in OUR_OWN:
        assert {s for s, _ in nlbd.health().values()} == {"healthy"}
    nlbd.wait_healthy(2)


@pytest.mark.parametrize("call,error", [
    case for case in CASES if case[0] in (
        "sendto", "recvfrom", "splice", "pipe2", "shutdown", "ioctl")])
def test_bulk(call, error, network, nlbd):
    worker = nlbd.worker_pids()[0]
    data = stream(BULK)
    with Target(network.server, TARGET4[0], BULK_PORT) as target, \
            connect(network.client, (FRONT4, BULK_PORT)) as client, \
            target.accept() as server:
        server.start_reading()
        with nlbd.injected(worker, call, error, "5+7"):
            client.send_in_background(data, client.finish)
            ending = server.read_to_end(30)
        if ending == FIN:
            assert server.has_exactly(data), "a cut stream looks complete"
        else:
            assert ending == RST and server.has_prefix_of(data)
            assert call in ("sendto", "recvfrom") and error != "EINTR", \
                "no reason to give up"
    assert nlbd.worker_pids() == {0: worker}
