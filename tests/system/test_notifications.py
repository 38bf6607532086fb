"""[notify] sections: receivers are told what happens, and hurt nobody."""
import contextlib
import os
import tempfile
import time

import pytest

from lab import http, ini
from lab.live import live_flows
from lab.load import sessions
from lab.netns import FRONT4, TARGET4
from lab.prometheus import parse
from lab.receiver import Certificate, DatagramReceiver, Webhook
from lab.wait import wait_until

pytestmark = pytest.mark.quick

ECHO = TARGET4[:1]
ADDRESS = TARGET4[8]
PORT = 8088
DEADLINE_S = 20
QUEUE_MAX = 64
NOBODY = 65534


@pytest.fixture
def hook(network):
    with contextlib.closing(Webhook(network.server, ADDRESS, PORT)) as hook:
        yield hook


def sections(**receivers):
    """A config whose target is checked at its own port, and receivers:
    NAME={key: value}."""
    conf = ini.base(ECHO, health_port="traffic-port",
                    HttpListen=f"{FRONT4}:{http.PORT}")
    for name, keys in receivers.items():
        conf[f"notify {name}"] = keys
    return conf


def reload(nlbd):
    return nlbd.ctl_raw("reload").returncode


def receiver(nlbd, name):
    return next(r for r in nlbd.status()["receivers"] if r["name"] == name)


def counts(nlbd, name):
    """What became of its notifications."""
    seen = receiver(nlbd, name)
    return {key: seen[key] for key in ("sent", "failed", "dropped")}


def test_receivers_are_told_of_health_fail_open_and_reloads(
        network, start_nlbd, echo, hook, tmp_path):
    local = DatagramReceiver(tmp_path / "events.sock")
    (tmp_path / "headers").write_text("Authorization: Bearer abc\n")
    everything = {
        "alerts": {"Url": hook.url, "HeaderFile": tmp_path / "headers"},
        "local": {"Url": local.url,
                  "Events": "target-health, fail-open, reload, worker"},
    }
    nlbd = start_nlbd(sections(**everything))
    hook.wait_event("target-healthy", old_state="initial")

    echo.refuse(TARGET4[0])
    down = hook.wait_event("target-unhealthy")
    assert down["target"].startswith(f"{TARGET4[0]}:")
    assert down["target_group"] == "smtp"
    assert (down["old_state"], down["state"]) == ("healthy", "unhealthy")
    assert down["reason"] == "Target.FailedHealthChecks"
    assert down["description"] == "Health checks failed"
    assert down["priority"] == "warning"
    assert down["load_balancer"] == "lab"
    assert down["availability_zone"] == "zone-a"
    assert down["node"] == os.uname().nodename
    assert "connection refused" in down["message"]
    hook.wait_event("fail-open-began", target_group="smtp")
    echo.serve(TARGET4[0])
    hook.wait_event("target-healthy", old_state="unhealthy")
    hook.wait_event("fail-open-ended", target_group="smtp")
    assert all(headers["Authorization"] == "Bearer abc"
               for headers in hook.headers)

    # A section goes, another comes: the one that stays goes on.
    nlbd.write(sections(local=everything["local"],
                        later={"Url": hook.url, "Events": "reload"}))
    assert reload(nlbd) == 0
    local.wait_event("reload-accepted")
    hook.wait_event("reload-accepted")
    nlbd.write(text="[nonsense]\n")
    assert reload(nlbd) != 0
    rejected = local.wait_event("reload-rejected")
    assert "nonsense" in rejected["message"]
    hook.wait_event("reload-rejected", id=rejected["id"])
    os.kill(nlbd.worker_pids()[0], 9)
    local.wait_event("worker-killed")
    # Everything once, in its order.
    for events in (hook.events, local.events):
        ids = [int(event["id"].split("-")[1]) for event in events]
        assert ids == sorted(set(ids))
    assert counts(nlbd, "local") == {
        "sent": len(local.events), "failed": 0, "dropped": 0}
    metrics = parse(http.ask(network.client, FRONT4, "/metrics").text)
    assert metrics['nlbd_notifications_total{notify="local",result="sent"}'] \
        == len(local.events)
    assert metrics[
        'nlbd_notifications_total{notify="later",result="dropped"}'] == 0
    local.close()


def test_receivers_in_trouble_hurt_nobody(network, start_nlbd, echo, hook):
    hook.hang()
    nlbd = start_nlbd(sections(
        hangs={"Url": hook.url, "TimeoutSeconds": 60, "Events": "reload"},
        refuses={"Url": f"http://{ADDRESS}:9/"},
        nowhere={"Url": "unix:/nonexistent/socket"},
        unnamed={"Url": "http://no-such-name.invalid/"},
        blackhole={"Url": "http://203.0.113.1/", "TimeoutSeconds": 0.5}))
    with live_flows(network, nlbd.address, 5) as flows:
        # More events than anybody's queue holds.
        for _ in range(QUEUE_MAX + 6):
            assert reload(nlbd) == 0
        begin = time.monotonic()
        assert sessions(network, nlbd.address, 100).failed == {}
        assert nlbd.status()["target_groups"][0]["healthy"] == 1
        assert time.monotonic() - begin < DEADLINE_S
        assert all(flow.echoes() for flow in flows)
    problems = " ".join(nlbd.status()["problems"])
    for name, error in (("refuses", "connection refused"),
                        ("nowhere", "No such file or directory"),
                        ("blackhole", "")):
        assert f"Notify {name} cannot be told of events: {error}" in problems
    assert "Notify hangs" not in problems
    # One is in hand, and the rest wait.
    assert receiver(nlbd, "hangs")["waiting"] == QUEUE_MAX + 1
    assert counts(nlbd, "hangs")["dropped"] == 5
    hook.release()
    wait_until(lambda: receiver(nlbd, "hangs")["waiting"] == 0, DEADLINE_S,
               "what waited was told")
    assert len(hook.events) == QUEUE_MAX + 1
    assert counts(nlbd, "hangs")["sent"] == QUEUE_MAX + 1


def test_an_error_of_the_receiver_is_tried_again(start_nlbd, echo, hook):
    hook.status = 500
    nlbd = start_nlbd(sections(alerts={"Url": hook.url, "Events": "reload"}))
    assert reload(nlbd) == 0
    wait_until(lambda: receiver(nlbd, "alerts")["error"] == "HTTP 500",
               DEADLINE_S, "the receiver's error in nlbctl status")
    hook.status = 200
    hook.wait_event("reload-accepted")
    wait_until(lambda: receiver(nlbd, "alerts")["error"] is None,
               DEADLINE_S, "no error any more")
    assert counts(nlbd, "alerts") == {"sent": 1, "failed": 0, "dropped": 0}


def test_the_operator_tries_the_receivers(start_nlbd, echo, hook):
    nlbd = start_nlbd(sections(alerts={"Url": hook.url, "Events": "worker"}))
    done = nlbd.ctl_raw("notify-test")
    assert (done.returncode, done.stdout) == (0, "alerts: told\n")
    hook.wait_event("notify-test")
    hook.status = 404
    done = nlbd.ctl_raw("notify-test")
    assert (done.returncode, done.stdout) == (75, "alerts: HTTP 404\n")
    nlbd.write(sections())
    assert reload(nlbd) == 0
    done = nlbd.ctl_raw("notify-test")
    assert done.returncode == 65 and "[notify NAME]" in done.stderr


def test_the_receivers_certificate_is_verified(network, start_nlbd, echo,
                                               tmp_path):
    own = Certificate(tmp_path, "own", ADDRESS)
    other = Certificate(tmp_path, "other", ADDRESS)
    elsewhere = Certificate(tmp_path, "elsewhere", TARGET4[7])
    with contextlib.closing(Webhook(network.server, ADDRESS, PORT, own)) as \
            hook, contextlib.closing(Webhook(
                network.server, ADDRESS, PORT + 1, elsewhere)) as impostor:
        def told(url, **keys):
            return {"Url": url, "Events": "reload", **keys}
        nlbd = start_nlbd(sections(
            good=told(hook.url, CaFile=own.ca),
            wrong=told(hook.url, CaFile=other.ca),
            system=told(hook.url),
            gone=told(hook.url, CaFile=tmp_path / "none.pem"),
            name=told(impostor.url, CaFile=elsewhere.ca)))
        assert reload(nlbd) == 0
        hook.wait_event("reload-accepted")
        for name in ("wrong", "system", "gone", "name"):
            wait_until(lambda: receiver(nlbd, name)["error"], DEADLINE_S,
                       f"{name} is refused")
        wait_until(lambda: receiver(nlbd, "good")["sent"] == 1, DEADLINE_S,
                   "good was told")
        assert len(hook.events) == 1 and impostor.events == []
        assert "certificate" in receiver(nlbd, "wrong")["error"]
        assert "name" in receiver(nlbd, "name")["error"]


def test_the_socket_is_opened_as_user(start_nlbd, echo):
    """After root's rights are gone: a socket that User may not write to."""
    with tempfile.TemporaryDirectory(prefix="nlbd-test-") as directory:
        os.chmod(directory, 0o755)
        path = f"{directory}/events.sock"
        local = DatagramReceiver(path)
        os.chmod(path, 0o600)
        conf = sections(local={"Url": local.url, "Events": "reload"})
        conf["node"].update(User="nobody", FlowLog="off")
        nlbd = start_nlbd(conf)
        assert reload(nlbd) == 0
        wait_until(lambda: receiver(nlbd, "local")["error"]
                   == "Permission denied", DEADLINE_S, "it is refused")
        os.chown(path, NOBODY, NOBODY)
        local.wait_event("reload-accepted")
        local.close()
