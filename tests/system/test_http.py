"""HttpListen: what monitoring and DNS ask, and what nobody can do with it."""
import contextlib
import signal

import pytest

from lab import http, ini
from lab.load import sessions
from lab.netns import FRONT4, FRONT6, TARGET4
from lab.peers import connect
from lab.wait import wait_until

LISTEN = f"{FRONT4}:{http.PORT}"

pytestmark = pytest.mark.quick
ECHO = TARGET4[:2]


def config(listen=LISTEN, **group):
    sections = ini.base(TARGET4[:2], health_port="traffic-port",
                        HttpListen=listen)
    sections[ini.GROUP].update(group)
    return sections


@pytest.fixture
def nlbd(start_nlbd, echo):
    return start_nlbd(config(), healthy=2)


def ask(network, path, **options):
    return http.ask(network.client, FRONT4, path, **options)


def refuses(network, address, port):
    try:
        http.open_connection(network.client, address, port).close()
    except ConnectionRefusedError:
        return True
    return False


def test_another_machine_sees_what_nlbctl_shows(network, nlbd):
    sessions(network, nlbd.address, 20)
    nlbd.wait_no_flows()
    status = ask(network, "/v1/status?include=targets").json()
    assert status["pid"] == nlbd.process.pid
    assert status["listeners"][0]["new_flows"] == 20
    assert len(status["targets"]) == 2
    health = ask(network, "/v1/target-health?target-group=smtp").json()
    assert health == nlbd.ctl("describe-target-health", "--target-group",
                              "smtp")
    with connect(network.client, nlbd.address) as client:
        flows = ask(network, "/v1/flows").json()["flows"]
        assert [f["client"] for f in flows] == ["%s:%d" % client.address]


def test_nothing_can_be_changed(network, nlbd):
    generation = nlbd.status()["config"]["generation"]
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        answer = ask(network, "/v1/reload", method=method)
        assert answer.status == 405
        assert answer.headers["allow"] == "GET, HEAD"
    assert ask(network, "/v1/check").status == 403
    assert nlbd.status()["config"]["generation"] == generation


def test_a_page_of_another_origin_gets_nothing(network, nlbd):
    answer = ask(network, "/v1/status", Host="rebound.example")
    assert answer.status == 421
    assert b"pid" not in answer.body
    answer = ask(network, "/v1/status", Origin="http://rebound.example")
    assert not [h for h in answer.headers if h.startswith("access-control")]
    assert answer.headers["content-security-policy"].startswith(
        "default-src 'none'")
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_zone_leaves_dns_with_its_targets_and_comes_back(
        network, start_nlbd, echo):
    key = "target_group_health.dns_failover.minimum_healthy_targets.count"
    nlbd = start_nlbd(config(**{key: 2}), healthy=2)
    assert ask(network, "/zone-health").status == 200
    echo.refuse(TARGET4[1])
    nlbd.wait_state(TARGET4[1], "unhealthy")
    answer = ask(network, "/zone-health")
    assert answer.status == 503
    assert answer.json()["target_groups"] == [
        {"name": "smtp", "healthy": False, "healthy_targets": 1,
         "registered_targets": 2}]
    assert ask(network, "/readyz").status == 200, "it still serves"
    echo.serve(TARGET4[1])
    nlbd.wait_healthy(2)
    assert ask(network, "/zone-health").status == 200


def test_a_draining_node_is_alive_and_not_ready(network, nlbd):
    assert ask(network, "/readyz").status == 200
    with connect(network.client, nlbd.address) as client:
        client.recv_exactly(4)
        nlbd.process.signal(signal.SIGTERM)
        wait_until(lambda: ask(network, "/readyz").status == 503, 10,
                   "no longer ready")
        assert ask(network, "/healthz").status == 200
        assert ask(network, "/zone-health").status == 503
        client.finish()
        client.read_to_end()
    nlbd.process.wait(15)


def test_reload_moves_it_and_turns_it_off(network, nlbd):
    nlbd.reload(config(f"[{FRONT6}]:9588"))
    assert http.ask(network.client, FRONT6, "/healthz", port=9588).status == 200
    assert refuses(network, FRONT4, http.PORT)
    nlbd.reload(config("off"))
    assert refuses(network, FRONT6, 9588)
    nlbd.reload(config())
    assert ask(network, "/healthz").status == 200


def test_a_port_in_use_rejects_the_reload(network, nlbd):
    sock = network.nlbd.socket()
    sock.bind((FRONT4, 9589))
    sock.listen()
    with contextlib.closing(sock):
        nlbd.write(config(f"{FRONT4}:9589"))
        done = nlbd.ctl_raw("reload")
    assert done.returncode != 0
    assert f"HttpListen = {FRONT4}:9589 is in use by" in done.stderr
    assert ask(network, "/healthz").status == 200, "the old one stays"
    nlbd.write(config(f"0.0.0.0:{http.PORT}"))
    done = nlbd.ctl_raw("reload")
    assert "nlbd itself holds this port" in done.stderr
