"""Real mail: swaks, msmtp and curl submit to a Postfix that only the machine
with nlbd on it can reach."""
import hashlib
import os

import pytest

from lab import ini, mail
from lab.daemon import Daemon, scaled
from lab.netns import FRONT4, TARGET4

PORT = 587
LARGE = 50 * 1024 * 1024
SERVER = (FRONT4, PORT)


@pytest.fixture(scope="module")
def postfix(network):
    with mail.Postfix(network, TARGET4[0], PORT) as postfix:
        yield postfix


@pytest.fixture(scope="module")
def nlbd(network, postfix):
    # Health checks go to the traffic port: Postfix must not warn of them.
    sections = ini.base(port=PORT, target_port=PORT,
                        health_port="traffic-port")
    with Daemon(network, sections) as daemon:
        yield daemon.start()


def submit(client, network, postfix, nlbd, starttls, size):
    subject = f"{client}-{'starttls' if starttls else 'plain'}-{size}"
    data = os.urandom(size)
    file = mail.compose(postfix.directory, subject, data)
    done = mail.CLIENTS[client](network.client, SERVER, file, starttls)
    file.unlink()
    assert done.returncode == 0, (done.stdout or "")[-2000:] + done.stderr
    delivered = mail.attachment_hash(postfix.delivered(subject))
    assert delivered == hashlib.sha256(data).hexdigest()
    assert postfix.complaints() == []
    nlbd.wait_no_flows()


@pytest.mark.quick
@pytest.mark.parametrize("starttls", [False, True],
                         ids=["plain", "starttls"])
@pytest.mark.parametrize("client", list(mail.CLIENTS))
def test_small_mail_arrives(client, starttls, network, postfix, nlbd):
    submit(client, network, postfix, nlbd, starttls, 20_000)


@pytest.mark.deadline(120)
@pytest.mark.parametrize("client,starttls", [
    ("swaks", True), ("msmtp", True), ("curl", False)])
def test_50_mb_attachment_arrives_unchanged(client, starttls, network, postfix,
                                            nlbd):
    submit(client, network, postfix, nlbd, starttls,
           scaled(LARGE, LARGE // 10))


def test_postfix_used_the_advertised_security(network, postfix, nlbd):
    """STARTTLS and AUTH ran end to end, with nlbd as the only peer."""
    submit("swaks", network, postfix, nlbd, True, 999)
    log = "\n".join(postfix.log())
    assert "TLS connection established" in log
    assert "sasl_method=PLAIN" in log
    assert "client=unknown[10.20.0.1]" in log


def test_client_cannot_reach_postfix_itself(network, postfix):
    done = network.client.run("curl", "-sS", "--max-time", "2",
                              f"telnet://{TARGET4[0]}:{PORT}", check=False)
    assert done.returncode != 0 and "220 " not in done.stdout
