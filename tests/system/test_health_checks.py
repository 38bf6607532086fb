"""HTTP, HTTPS and SMTP health checks of real servers."""
import re

import pytest

from lab import ini, mail
from lab.daemon import scaled
from lab.netns import BACK4, TARGET4
from lab.wait import wait_until
from lab.web import HTTP_PORT, HTTPS_PORT, Nginx

MAIL_PORT = 587
CHECKS = scaled(1000, 200)
CHECKERS = 10  # targets at the shortest interval: 100 checks a second


def config(addresses=TARGET4[:1], **group):
    sections = ini.base(addresses, target_port=MAIL_PORT,
                        health_port="traffic-port")
    sections[ini.GROUP].update(
        {key.replace("__", "."): value for key, value in group.items()})
    return sections


def last_check(nlbd, address=TARGET4[0]):
    """What nlbctl shows people of a target's last check."""
    table = nlbd.ctl_raw("describe-target-health").stdout
    line = next(line for line in table.splitlines() if address in line)
    return line


@pytest.fixture
def web(network):
    with Nginx(network, TARGET4[0]) as nginx:
        yield nginx


@pytest.mark.quick
@pytest.mark.parametrize("protocol,port,tls", [
    ("HTTP", HTTP_PORT, "-"), ("HTTPS", HTTPS_PORT, "TLSv1.3")])
def test_http_code_decides(protocol, port, tls, network, start_nlbd, web):
    nlbd = start_nlbd(config(HealthCheckProtocol=protocol,
                             HealthCheckPort=port, HealthCheckPath="/health",
                             HealthCheckTimeoutSeconds=5))
    assert "HTTP 200" in last_check(nlbd)
    web.set_sick(True)
    nlbd.wait_state(TARGET4[0], "unhealthy")
    assert nlbd.health()[TARGET4[0]] == ("unhealthy",
                                         "Target.FailedHealthChecks")
    assert "HTTP 503, wanted 200-399" in last_check(nlbd)
    nlbd.process.wait_line(
        f"{TARGET4[0]}:587 .* unhealthy .*HTTP 503, wanted 200-399", 5)
    web.set_sick(False)
    nlbd.wait_state(TARGET4[0], "healthy")
    seen = web.requests()
    assert {entry[3] for entry in seen} == {"200", "503"}
    for request, host, agent, _, version in seen:
        assert request == "GET /health HTTP/1.1"
        assert host == f"{BACK4}:{ini.PORT}"  # as an NLB's
        assert re.fullmatch(r"ELB-HealthChecker/2\.0 nlbd/[\d.]+", agent)
        assert version == tls
    assert web.errors() == []


@pytest.mark.quick
def test_redirect_is_an_answer_of_its_own(network, start_nlbd, web):
    http = {"HealthCheckProtocol": "HTTP", "HealthCheckPort": HTTP_PORT,
            "HealthCheckPath": "/moved", "HealthCheckTimeoutSeconds": 5}
    nlbd = start_nlbd(config(**http))
    assert "HTTP 302" in last_check(nlbd)
    # A reload that changes the matcher checks anew.
    nlbd.reload(config(**http, Matcher__HttpCode="200,204"))
    nlbd.wait_state(TARGET4[0], "unhealthy")
    assert "HTTP 302, wanted 200,204" in last_check(nlbd)
    assert {entry[0] for entry in web.requests()} == {"GET /moved HTTP/1.1"}


@pytest.mark.quick
@pytest.mark.parametrize("protocol,port", [("HTTP", HTTP_PORT),
                                           ("HTTPS", HTTPS_PORT)])
def test_http_checks_carry_the_proxy_header(protocol, port, network,
                                            start_nlbd):
    with Nginx(network, TARGET4[0], proxy_protocol=True) as nginx:
        keys = {"HealthCheckProtocol": protocol, "HealthCheckPort": port,
                "HealthCheckPath": "/health", "HealthCheckTimeoutSeconds": 5}
        nlbd = start_nlbd(config(**keys, proxy_protocol_v2__enabled="true"))
        wait_until(lambda: len(nginx.requests()) >= 3, 10, "three checks")
        assert {entry[3] for entry in nginx.requests()} == {"200"}
        assert [line for line in nginx.errors()
                if "broken header" in line] == []
        nlbd.reload(config(**keys))  # nginx misses the header now
        nlbd.wait_state(TARGET4[0], "unhealthy")


def test_http_check_of_a_mail_server_fails(network, start_nlbd):
    with mail.Postfix(network, TARGET4[0], MAIL_PORT):
        nlbd = start_nlbd(config(HealthCheckProtocol="HTTP",
                                 HealthCheckTimeoutSeconds=5), healthy=0)
        nlbd.wait_state(TARGET4[0], "unhealthy")
        assert "no HTTP answer" in last_check(nlbd)


@pytest.mark.quick
def test_starttls_can_be_required(network, start_nlbd):
    keys = {"HealthCheckProtocol": "SMTP", "HealthCheckTimeoutSeconds": 5}
    with mail.Postfix(network, TARGET4[0], MAIL_PORT), \
            mail.Postfix(network, TARGET4[1], MAIL_PORT,
                         smtpd_tls_security_level="none"):
        nlbd = start_nlbd(config(TARGET4[:2], **keys), healthy=2)
        assert "STARTTLS offered" in last_check(nlbd)
        nlbd.reload(config(TARGET4[:2], **keys,
                           HealthCheckSmtpStartTls="true"))
        nlbd.wait_state(TARGET4[1], "unhealthy")
        assert "STARTTLS is not offered" in last_check(nlbd, TARGET4[1])
        assert nlbd.health()[TARGET4[0]] == ("healthy", None)


@pytest.mark.deadline(120)
@pytest.mark.parametrize("proxy_v2", [False, True], ids=["plain", "proxy_v2"])
@pytest.mark.parametrize("protocol", ["SMTP", "TCP"])
def test_a_thousand_checks_in_postfix_log(protocol, proxy_v2, network,
                                          start_nlbd):
    """SMTP checks leave no line to complain of; the same number of TCP checks
    is shown beside it."""
    addresses = TARGET4[:CHECKERS]
    options = ({"smtpd_upstream_proxy_protocol": "haproxy"} if proxy_v2
               else {})
    with mail.Postfix(network, ", ".join(addresses), MAIL_PORT,
                      **options) as postfix:
        nlbd = start_nlbd(config(
            addresses, HealthCheckProtocol=protocol,
            HealthCheckIntervalSeconds="0.1", HealthCheckTimeoutSeconds=5,
            proxy_protocol_v2__enabled=str(proxy_v2).lower()),
            healthy=CHECKERS)

        def ended():
            return sum(f"disconnect from unknown[{BACK4}]" in line
                       for line in postfix.log())

        wait_until(lambda: ended() >= CHECKS, 60, f"{CHECKS} checks", 0.2)
        log = postfix.log()
        assert all(state == "healthy" for state, _ in nlbd.health().values())
        lost = [line for line in log if "lost connection" in line]
        warnings = postfix.complaints()
        print(f"{protocol}{' with PROXY v2' if proxy_v2 else ''}: "
              f"{ended()} checks, {len(warnings)} warnings, "
              f"{len(lost)} lost connections in {len(log)} lines")
        assert warnings == []
        if protocol == "SMTP":
            assert lost == []
            assert sum("ehlo=1 quit=1 commands=2" in line
                       for line in log) >= CHECKS
        else:
            assert len(lost) >= CHECKS  # what an NLB's checks look like
