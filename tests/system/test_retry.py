"""ConnectTargets and ConnectRetryOn: a target that refuses flows, though its
health checks go well."""
import pytest

from lab import ini
from lab.netns import TARGET4
from lab.peers import RST, connect

FLOWS = 40
# Only the first target listens; the checks go elsewhere.
ECHO = TARGET4[:1]


def outcome(network, nlbd):
    """"served" or "rst"."""
    try:
        with connect(network.client, nlbd.address) as client:
            if client.recv().startswith(b"220 "):
                return "served"
            return client.ending
    except ConnectionResetError:
        return RST


@pytest.mark.quick
@pytest.mark.parametrize("keys", [
    {}, {"ConnectTargets": 1}, {"ConnectRetryOn": "timeout, unreachable"}],
    ids=["default", "one-target", "not-on-refusal"])
def test_one_target_is_asked_or_the_next_one_too(keys, network, start_nlbd,
                                                 echo):
    sections = ini.base(TARGET4[:2])
    sections[ini.GROUP] |= {"PassiveHealthCheckEnabled": "false", **keys}
    nlbd = start_nlbd(sections, healthy=2)
    outcomes = [outcome(network, nlbd) for _ in range(FLOWS)]
    nlbd.wait_no_flows()
    refused = outcomes.count(RST)
    assert refused + outcomes.count("served") == FLOWS
    # Half of the flows meet the closed target first.
    if keys:
        assert 0 < refused < FLOWS
        assert nlbd.metric("connect_retries_total") == 0
    else:
        assert refused == 0
        assert nlbd.metric("connect_retries_total") > 0
    assert nlbd.status()["flow_ends"]["connect-refused"] == refused
    assert nlbd.metric("RejectedFlowCount") == refused
