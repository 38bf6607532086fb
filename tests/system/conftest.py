"""Fixtures of the system tests."""
import os
import pathlib
import signal
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from lab.daemon import NLBD, Daemon  # noqa: E402
from lab.ini import HEALTH_PORT, TARGET_PORT  # noqa: E402
from lab.load import EchoTargets  # noqa: E402
from lab.netns import TARGET4, Network  # noqa: E402
from lab.peers import HealthResponder, Target  # noqa: E402

DEFAULT_DEADLINE_S = 60


def pytest_configure(config):
    if os.geteuid() != 0:
        raise pytest.UsageError("the system tests make network namespaces: "
                                "run them as root")
    if not NLBD.exists():
        raise pytest.UsageError(f"no {NLBD}: build first, or name the build "
                                "directory in NLBD_BUILD")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    """A test that hangs fails; it does not hold up the suite."""
    marker = item.get_closest_marker("deadline")
    seconds = marker.args[0] if marker else DEFAULT_DEADLINE_S

    def give_up(*_):
        raise AssertionError(f"still running after {seconds} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="session")
def network():
    network = Network()
    yield network
    network.close()


@pytest.fixture(scope="session")
def health(network):
    responder = HealthResponder(network.server, HEALTH_PORT)
    yield responder
    responder.close()


@pytest.fixture
def target(network):
    """The first target's address, listening: the test accepts by hand."""
    with Target(network.server, TARGET4[0], TARGET_PORT) as target:
        yield target


@pytest.fixture
def echo(request, network):
    """Echo servers on the addresses that the module names ECHO."""
    with EchoTargets(network, request.module.ECHO, TARGET_PORT) as targets:
        yield targets


@pytest.fixture
def start_nlbd(network, health):
    """start_nlbd(sections, healthy=1, **kwargs) -> a running Daemon; stopped,
    with all its processes checked to be gone, after the test."""
    running = []

    def start(sections=None, healthy=1, **kwargs):
        daemon = Daemon(network, sections, **kwargs)
        running.append(daemon)
        return daemon.start(healthy)

    yield start
    try:
        for daemon in running:
            daemon.stop()
    finally:
        for daemon in running:
            daemon.close()
