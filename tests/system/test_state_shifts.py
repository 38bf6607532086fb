"""Targets change their state under live SMTP sessions.

Long sessions stay open across each change while new ones come, some hundred a
second. A capture shows what nlbd connected to, its log when it decided, both
on one clock. A worker takes one flow after the other and asks for the state
with each, so that after a decision is public each worker can at most finish
the connect it was about to make: that bound holds on the slowest machine.
bench/shift_delays has the times.
"""
import contextlib
import time

import pytest

from lab import ini
from lab.decisions import NewFlows, decided_at, late
from lab.load import Load
from lab.load import sessions as new_sessions
from lab.netns import TARGET4
from lab.peers import RST, HealthResponder
from lab.smtp import SmtpTargets, mail_sessions
from lab.wait import wait_until

THREE = TARGET4[:3]
ENDED_WELL = {"client-fin", "target-fin"}  # a QUIT, and both sides close
HEALTH_PORT = 2600
WORKERS = 2
RATE = 300
AFTERWARDS = 100  # new flows that have to be seen after a decision


def config(*addresses, **group):
    sections = ini.base(addresses or THREE, health_port=HEALTH_PORT,
                        workers=WORKERS, MaxFlowsPerSource=0)
    sections[ini.GROUP].update({
        "HealthCheckIntervalSeconds": "0.2",
        **{key.replace("__", "."): value for key, value in group.items()}})
    return sections


@pytest.fixture
def smtp(network):
    with SmtpTargets(network, THREE, ini.TARGET_PORT) as targets:
        yield targets


@pytest.fixture
def sick(network):
    """sick(*addresses): their checks are refused from now on, those of all
    others succeed."""
    responder = HealthResponder(network.server, HEALTH_PORT)

    def set_sick(*addresses):
        network.server.filter_input(*(
            f"ip daddr {address} tcp dport {HEALTH_PORT} reject"
            for address in addresses))

    yield set_sick
    network.server.filter_input()
    responder.close()


@contextlib.contextmanager
def under_load(network, nlbd, smtp):
    """New sessions all the time, each with a mail: none may fail, and every
    mail that a client was told is accepted is there, once."""
    mails = smtp.mails()
    with NewFlows(network, ini.TARGET_PORT) as flows, \
            Load(network, nlbd.address, rate=RATE, smtp=True) as load:
        wait_until(lambda: len(flows.to(THREE[0])) > 10, 20, "load", 0.05)
        yield flows
        result = load.stop()
    assert result.failed == {}, result.text
    assert result.rounds == result.ok > 0
    # Those of the open sessions come on top.
    assert smtp.mails() - mails >= result.ok


def leaves(flows, gone, others, decided):
    """After the decision new flows go to the others, and none to `gone` but
    those that a worker was just making."""
    wait_until(lambda: sum(len(flows.to(other, decided)) for other in others)
               >= AFTERWARDS, 30, "new flows after the decision", 0.05)
    for target in gone:
        times = flows.to(target, decided)
        print(f"new flows to {target}: {late(times, decided)}")
        assert len(times) <= WORKERS, late(times, decided)


def all_submit(sessions):
    return all(session.submits() for session in sessions)


def all_reset(sessions):
    return all(session.peer.read_to_end() == RST for session in sessions)


def reasons(nlbd, sessions):
    return {nlbd.flow_record(session.peer.address)["end_reason"]
            for session in sessions}


# ---- deregistration


def by_reload(nlbd, gone, **group):
    nlbd.reload(config(*(a for a in THREE if a != gone), **group))


def by_nlbctl(nlbd, gone, **_):
    nlbd.ctl_done("deregister-targets", "--target-group", "smtp",
                  "--targets", f"Id={gone}")


def deregister(nlbd, gone, how=by_reload, **group):
    """(When it was decided and in force, when nlbctl came back)."""
    mark = len(nlbd.process.lines)
    how(nlbd, gone, **group)
    returned = time.time()
    return decided_at(nlbd, "reload accepted|in force as", mark), returned


BOTH_WAYS = pytest.mark.parametrize("how", [by_reload, by_nlbctl])


@pytest.mark.quick
@BOTH_WAYS
def test_deregistered_target_keeps_its_sessions_and_gets_no_new_one(
        how, network, start_nlbd, smtp, sick):
    """connection_termination off: not even the end of the delay cuts them."""
    sick()
    gone, *others = THREE
    delay = {"deregistration_delay__timeout_seconds": 3}
    nlbd = start_nlbd(config(**delay), healthy=3)
    with mail_sessions(network, nlbd.address, THREE) as sessions:
        with under_load(network, nlbd, smtp) as flows:
            decided, returned = deregister(nlbd, gone, how, **delay)
            assert nlbd.health()[gone] == ("draining",
                                           "Target.DeregistrationInProgress")
            leaves(flows, [gone], others, decided)
            assert flows.to(gone, returned) == []
            for own in sessions.values():
                assert all_submit(own)
            wait_until(lambda: nlbd.health()[gone] == (
                "unused", "Target.NotRegistered"), 10, "the delay is over")
        for own in sessions.values():
            assert all_submit(own)
        assert all(session.quits() for session in sessions[gone])
        assert reasons(nlbd, sessions[gone]) <= ENDED_WELL
        wait_until(lambda: gone not in nlbd.health(), 10, "gone")


@pytest.mark.quick
@BOTH_WAYS
def test_deregistration_with_termination_resets_what_is_left_after_the_delay(
        how, network, start_nlbd, smtp, sick):
    sick()
    gone, *others = THREE
    attributes = {
        "deregistration_delay__timeout_seconds": 4,
        "deregistration_delay__connection_termination__enabled": "true"}
    nlbd = start_nlbd(config(**attributes), healthy=3)
    with mail_sessions(network, nlbd.address, THREE) as sessions:
        with under_load(network, nlbd, smtp) as flows:
            decided, returned = deregister(nlbd, gone, how, **attributes)
            early, *rest = sessions[gone]
            assert all_submit([early]) and early.quits(), "before the delay"
            leaves(flows, [gone], others, decided)
            assert flows.to(gone, returned) == []
            assert all_reset(rest)
            assert reasons(nlbd, rest) == {"deregistered"}
            assert reasons(nlbd, [early]) <= ENDED_WELL
        for other in others:
            assert all_submit(sessions[other])
        wait_until(lambda: gone not in nlbd.health(), 10, "gone")


@pytest.mark.quick
def test_target_registered_again_while_it_drains_keeps_its_sessions(
        network, start_nlbd, smtp, sick):
    sick()
    gone = THREE[0]
    attributes = {
        "deregistration_delay__timeout_seconds": 300,
        "deregistration_delay__connection_termination__enabled": "true"}
    nlbd = start_nlbd(config(**attributes), healthy=3)
    with mail_sessions(network, nlbd.address, THREE) as sessions:
        with under_load(network, nlbd, smtp) as flows:
            deregister(nlbd, gone, **attributes)
            nlbd.reload(config(**attributes))
            nlbd.wait_state(gone, "healthy")
            back = time.time()
            wait_until(lambda: flows.to(gone, back), 20, "it gets new flows")
        assert all_submit(sessions[gone])


# ---- unhealthy targets


@pytest.mark.quick
@pytest.mark.parametrize("terminate", ["true", "false"])
def test_unhealthy_target(terminate, network, start_nlbd, smtp, sick):
    """Its sessions are reset, or kept; it gets no new one either way."""
    sick()
    gone, *others = THREE
    nlbd = start_nlbd(config(
        target_health_state__unhealthy__connection_termination__enabled=
        terminate), healthy=3)
    with mail_sessions(network, nlbd.address, THREE) as sessions:
        # Sessions of the load that are with it now may be reset as well.
        with NewFlows(network, ini.TARGET_PORT) as flows, \
                Load(network, nlbd.address, rate=RATE, smtp=True) as load:
            wait_until(lambda: len(flows.to(gone)) > 10, 20, "load", 0.05)
            sick(gone)
            decided = decided_at(nlbd, f"{gone}:.* is unhealthy")
            if terminate == "true":
                assert all_reset(sessions[gone])
                assert reasons(nlbd, sessions[gone]) == {"target-unhealthy"}
            else:
                assert all_submit(sessions[gone])
            leaves(flows, [gone], others, decided)
            sick()
            nlbd.wait_state(gone, "healthy")
            back = time.time()
            wait_until(lambda: flows.to(gone, back), 20, "it gets new flows")
            result = load.stop()
        allowed = {"reset"} if terminate == "true" else set()
        assert set(result.failed) <= allowed, result.text
        for other in others:
            assert all_submit(sessions[other])
        if terminate == "false":
            assert all_submit(sessions[gone])


DRAINING = {
    "target_health_state__unhealthy__connection_termination__enabled":
        "false",
    "target_health_state__unhealthy__draining_interval_seconds": 4,
}


@pytest.mark.quick
def test_unhealthy_draining_resets_the_sessions_after_its_interval(
        network, start_nlbd, smtp, sick):
    sick()
    gone, *others = THREE
    nlbd = start_nlbd(config(**DRAINING), healthy=3)
    with mail_sessions(network, nlbd.address, THREE) as sessions:
        with under_load(network, nlbd, smtp) as flows:
            sick(gone)
            decided = decided_at(nlbd, rf"{gone}:.* is unhealthy\.draining")
            assert all_submit(sessions[gone])
            assert nlbd.health()[gone] == ("unhealthy.draining",
                                           "Target.FailedHealthChecks")
            leaves(flows, [gone], others, decided)
            assert all_reset(sessions[gone])
            assert reasons(nlbd, sessions[gone]) == {"target-unhealthy"}
            ended = decided_at(nlbd, f"{gone}:.* is unhealthy ")
            assert ended - decided > 3.9
        for other in others:
            assert all_submit(sessions[other])


@pytest.mark.quick
@pytest.mark.parametrize("then", ["recovers", "is deregistered"])
def test_unhealthy_draining_is_left_before_its_end(then, network, start_nlbd,
                                                   smtp, sick):
    sick()
    gone, *others = THREE
    draining = {**DRAINING, "target_health_state__unhealthy__draining_"
                            "interval_seconds": 600}
    nlbd = start_nlbd(config(**draining), healthy=3)
    with mail_sessions(network, nlbd.address, THREE) as sessions:
        with under_load(network, nlbd, smtp) as flows:
            sick(gone)
            decided = decided_at(nlbd, rf"{gone}:.* is unhealthy\.draining")
            leaves(flows, [gone], others, decided)
            if then == "recovers":
                sick()
                nlbd.wait_state(gone, "healthy")
                back = time.time()
                wait_until(lambda: flows.to(gone, back), 20, "new flows")
            else:
                deregister(nlbd, gone, **draining)
                assert nlbd.health()[gone] == (
                    "draining", "Target.DeregistrationInProgress")
        assert all_submit(sessions[gone])


# ---- fail open, standby, weights


@pytest.mark.quick
def test_failing_open_keeps_the_sessions_and_counts_the_new_ones(
        network, start_nlbd, smtp, sick):
    """Below two healthy targets all three get flows; with two again, two."""
    sick()
    first, *rest = THREE
    nlbd = start_nlbd(config(**{
        "target_group_health.unhealthy_state_routing."
        "minimum_healthy_targets.count": 2}), healthy=3)

    def counted():
        return nlbd.listener()["unhealthy_routing_flows"]

    with mail_sessions(network, nlbd.address, THREE) as sessions:
        sick(first)
        assert all_reset(sessions[first]), "two are enough"
        assert counted() == 0
        sick(*THREE)
        decided_at(nlbd, "group smtp fails open")
        for target in rest:
            nlbd.wait_state(target, "unhealthy")
        result = new_sessions(network, nlbd.address, 150, smtp=True)
        assert result.failed == {} and set(result.targets) == set(THREE)
        assert counted() == 150
        for target in rest:
            assert all_submit(sessions[target]), "resets are suspended"
        with under_load(network, nlbd, smtp) as flows:
            sick(first)
            closed = decided_at(nlbd, "group smtp no longer fails open")
            leaves(flows, [first], rest, closed)
            for target in rest:
                nlbd.wait_state(target, "healthy")
        for target in rest:
            assert all_submit(sessions[target])
        before = counted()
        result = new_sessions(network, nlbd.address, 50, smtp=True)
        assert result.failed == {} and set(result.targets) == set(rest)
        assert counted() == before


@pytest.mark.quick
def test_standby_takes_over_and_gives_back(network, start_nlbd, smtp, sick):
    """The sessions of the active ones are kept here; nobody's is lost."""
    sick()
    *active, standby = THREE
    sections = config(
        *active,
        target_health_state__unhealthy__connection_termination__enabled=
        "false")
    sections[ini.GROUP]["Target.far"] = f"Id={standby},Standby=true"
    nlbd = start_nlbd(sections, healthy=3)
    with mail_sessions(network, nlbd.address, active) as sessions:
        with under_load(network, nlbd, smtp) as flows:
            assert flows.to(standby) == []
            sick(*active)
            taken = decided_at(nlbd, "new flows go to its standby targets")
            leaves(flows, active, [standby], taken)
            with mail_sessions(network, nlbd.address, [standby]) as far:
                sick(active[1])
                given = decided_at(nlbd, "new flows go to its active targets")
                leaves(flows, [standby], active[:1], given)
                assert flows.to(active[1], taken + 1, given) == []
                assert all_submit(far[standby]), "they stay"
        for own in sessions.values():
            assert all_submit(own)


@pytest.mark.quick
def test_weights_shift_new_sessions_only(network, start_nlbd, smtp, sick):
    """90 to 10, then 10 to 90, then weight 0."""
    sick()
    blue, *green = THREE

    def weighted(weights):
        sections = config(blue)
        sections["target-group green"] = {
            **{k: v for k, v in sections[ini.GROUP].items()
               if not k.startswith("Target.")},
            **ini.targets(*green)}
        sections[ini.LISTENER]["DefaultActions"] = (
            f"forward:smtp={weights[0]}, forward:green={weights[1]}")
        return sections

    def blue_share(flows, since):
        wait_until(lambda: sum(len(flows.to(a, since)) for a in THREE) >= 400,
                   30, "400 flows", 0.05)
        counts = [len(flows.to(a, since)) for a in THREE]
        return counts[0] / sum(counts)

    nlbd = start_nlbd(weighted((90, 10)), healthy=1)
    nlbd.wait_healthy(2, group="green")
    with mail_sessions(network, nlbd.address, THREE) as sessions:
        with under_load(network, nlbd, smtp) as flows:
            # Five standard deviations are 7.5 %.
            assert 0.82 < blue_share(flows, time.time()) < 0.98
            nlbd.reload(weighted((10, 90)))
            assert 0.02 < blue_share(flows, time.time()) < 0.18
            nlbd.reload(weighted((0, 1)))
            returned = time.time()
            assert blue_share(flows, returned) == 0
            for own in sessions.values():
                assert all_submit(own)
        assert nlbd.health()[blue] == ("healthy", None)
        for own in sessions.values():
            assert all(session.quits() for session in own)
