"""PROXY protocol v2 towards real receivers: they learn the client's address,
and nobody waits for anybody."""
import pathlib
import tempfile

import pytest

from lab import ini, mail, proxy_v2
from lab.capture import SYN, Capture
from lab.daemon import Daemon
from lab.netns import BACK4, CLIENT4, CLIENT6, FRONT4, FRONT6, TARGET4
from lab.peers import FIN, connect
from lab.process import Process
from lab.wait import wait_until

SIZE = 100  # of every header
LOCAL = (proxy_v2.SIGNATURE + bytes.fromhex("20110054030004bce5951f04004a")
         + bytes(74))  # of a captured NLB health check
CHECKS = 10  # that a receiver has to bear


def config(address=TARGET4[0], **group):
    sections = ini.base([address])
    sections[ini.GROUP]["proxy_protocol_v2.enabled"] = "true"
    sections[ini.GROUP].update(group)
    return sections


def checked_at_traffic_port(address):
    return config(address, HealthCheckPort="traffic-port",
                  HealthCheckIntervalSeconds="0.2",
                  HealthCheckTimeoutSeconds="0.2")


@pytest.fixture
def nlbd(start_nlbd):
    return start_nlbd(config())


# -- bytes

@pytest.mark.quick
@pytest.mark.parametrize("front,source,family", [
    (FRONT4, CLIENT4[3], 0x11), (FRONT6, CLIENT6[3], 0x21)],
    ids=["ipv4", "ipv6"])
def test_header_comes_before_anybody_speaks_and_in_one_segment(
        front, source, family, network, nlbd, target):
    with Capture(network.server, "wire",
                 f"tcp port {ini.TARGET_PORT}") as capture, \
            connect(network.client, (front, ini.PORT), source) as client, \
            target.accept() as server:
        header = proxy_v2.parse(server.recv_exactly(SIZE))
        server.send(b"220 ready\r\n")
        assert client.recv_exactly(11) == b"220 ready\r\n"
        client.send(b"EHLO me\r\n")
        assert server.recv_exactly(9) == b"EHLO me\r\n"
        data = [s for s in capture.segments(destination=target.address)
                if s.length > 0]
    assert (header.command, header.family) == ("PROXY", family)
    assert header.source == client.address
    assert header.destination == (front, ini.PORT)
    assert header.crc_is_right
    assert [kind for kind, _ in header.tlvs] == [proxy_v2.CRC32C,
                                                 proxy_v2.NOOP]
    assert [s.length for s in data] == [SIZE, 9]
    record = nlbd.flow_record(client.address)
    assert record["client_to_target_bytes"] == 9


@pytest.mark.quick
def test_header_that_a_client_sends_is_payload(network, nlbd, target):
    forged = bytearray(LOCAL)
    with connect(network.client, nlbd.address) as client, \
            target.accept() as server:
        client.send(bytes(forged) + b"PROXY TCP4 10.20.0.9 10.20.0.1 1 25\r\n")
        header = proxy_v2.parse(server.recv_exactly(SIZE))
        assert header.source == client.address
        assert server.recv_exactly(SIZE) == forged
        assert server.recv_exactly(37) == (
            b"PROXY TCP4 10.20.0.9 10.20.0.1 1 25\r\n")


@pytest.mark.quick
def test_reload_turns_it_on_for_new_flows(network, start_nlbd, target):
    nlbd = start_nlbd(ini.base())
    with connect(network.client, nlbd.address) as old, \
            target.accept() as old_server:
        nlbd.reload(config())
        with connect(network.client, nlbd.address) as client, \
                target.accept() as server:
            header = proxy_v2.parse(server.recv_exactly(SIZE))
            assert header.source == client.address
        old.send(b"NOOP\r\n")
        assert old_server.recv_exactly(6) == b"NOOP\r\n"


@pytest.mark.quick
def test_health_checks_carry_a_local_header_in_one_segment(network, target):
    with Capture(network.server, "wire",
                 f"tcp port {ini.TARGET_PORT}") as capture, \
            Daemon(network, checked_at_traffic_port(TARGET4[0])) as nlbd:
        nlbd.start()
        for _ in range(3):
            with target.accept() as server:
                assert server.recv_exactly(SIZE) == LOCAL
                assert server.read_to_end() == FIN
        data = [s.length for s in capture.segments(destination=target.address)
                if s.length > 0]
    assert len(data) >= 3 and set(data) == {SIZE}


# -- receivers

def postfix_at(network, address):
    return mail.Postfix(network, address, ini.TARGET_PORT,
                        smtpd_upstream_proxy_protocol="haproxy")


@pytest.fixture(scope="module")
def postfix(network):
    with postfix_at(network, TARGET4[1]) as postfix:
        yield postfix


@pytest.fixture
def nlbd_of_postfix(start_nlbd, postfix):
    return start_nlbd(checked_at_traffic_port(postfix.address))


@pytest.mark.quick
def test_postfix_greets_at_once_and_logs_the_client(network, postfix,
                                                    nlbd_of_postfix):
    nlbd = nlbd_of_postfix
    with connect(network.client, nlbd.address, CLIENT4[4]) as client:
        # Not a byte was sent: the NLB's own header would still be held back,
        # and Postfix would wait for it.
        assert client.recv_exactly(4) == b"220 "
        client.send(b"QUIT\r\n")
        assert client.read_to_end() == FIN
    def connections_from(address):
        return sum(f": connect from unknown[{address}]" in line
                   for line in postfix.log())

    wait_until(lambda: connections_from(CLIENT4[4]) == 1, 10,
               "the client's address in Postfix's log")
    wait_until(lambda: connections_from(BACK4) >= CHECKS, 30, "health checks")
    assert postfix.complaints() == []


@pytest.mark.quick
def test_mail_arrives_with_the_clients_address(network, postfix,
                                               nlbd_of_postfix):
    file = mail.compose(postfix.directory, "proxied", b"\0" * 100_000)
    done = mail.swaks(network.client, nlbd_of_postfix.address, file,
                      starttls=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    received = postfix.delivered("proxied")["Received"]
    assert any(f"[{address}]" in received for address in CLIENT4), received
    assert postfix.complaints() == []


def test_postfix_refuses_a_flow_without_header(network, start_nlbd):
    """The receiver is strict: what the tests above see is the header's
    doing."""
    with postfix_at(network, TARGET4[3]) as postfix:
        nlbd = start_nlbd(ini.base([postfix.address]))
        with connect(network.client, nlbd.address) as client:
            client.send(b"EHLO me\r\n")
            assert client.recv_exactly(4) == b"421 "
        wait_until(postfix.complaints, 10, "Postfix's warning")


class Receiver:
    """A daemon in the server namespace that answers each connection with one
    line: the client's address and port, and those the client connected to."""

    def __init__(self, network, address, config, argv):
        self._directory = tempfile.TemporaryDirectory(prefix="nlbd-test-")
        directory = pathlib.Path(self._directory.name)
        file = directory / "config"
        file.write_text(config.format(
            address=f"{address}:{ini.TARGET_PORT}", directory=directory))
        self.network, self.address = network, address
        self.process = Process(network.server.command(
            [*argv, str(file)]), name=argv[0])

    def __enter__(self):
        self.process.start()
        wait_until(lambda: f"{self.address}:{ini.TARGET_PORT} " in
                   self.network.server.run("ss", "-tlnH").stdout, 10,
                   f"{self.process.name} listens")
        return self

    def __exit__(self, *exc):
        self.process.terminate()
        self._directory.cleanup()


HAPROXY = """
global
    log stdout format raw local0
defaults
    mode http
    log global
    timeout connect 3s
    timeout client 10s
    timeout server 10s
    log-format "%ci:%cp done"
frontend front
    bind {address} accept-proxy
    http-request return status 200 content-type text/plain \
        lf-string "%[src]:%[src_port] %[dst]:%[dst_port]\\n"
"""
NGINX = """
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off;
master_process off;
pid {directory}/pid;
error_log stderr info;
events {{ }}
stream {{
    log_format one "$proxy_protocol_addr:$proxy_protocol_port done";
    access_log /dev/stdout one;
    server {{
        listen {address} proxy_protocol;
        return "$proxy_protocol_addr:$proxy_protocol_port \
$proxy_protocol_server_addr:$proxy_protocol_server_port\\n";
    }}
}}
"""
RECEIVERS = {"haproxy": (HAPROXY, ["haproxy", "-db", "-f"]),
             "nginx": (NGINX, ["nginx", "-c"])}


@pytest.fixture(params=list(RECEIVERS))
def receiver(request, network):
    with Receiver(network, TARGET4[2], *RECEIVERS[request.param]) as receiver:
        yield receiver


@pytest.mark.quick
@pytest.mark.parametrize("front,source", [(FRONT4, CLIENT4[5]),
                                          (FRONT6, CLIENT6[5])],
                         ids=["ipv4", "ipv6"])
def test_receiver_learns_both_addresses(front, source, network, receiver,
                                        start_nlbd):
    nlbd = start_nlbd(checked_at_traffic_port(receiver.address))
    with connect(network.client, (front, ini.PORT), source) as client:
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        answer = b""
        while piece := client.recv():
            answer += piece
    line = answer.decode().rstrip("\n").rpartition("\n")[2]
    assert line == f"{source}:{client.address[1]} {front}:{ini.PORT}"
    receiver.process.wait_line(f"{source}:{client.address[1]} done", 10)


@pytest.mark.parametrize("proxied", [True, False],
                         ids=["with", "without"])
def test_checks_of_a_receiver_make_noise_only_without_header(
        proxied, network, receiver, start_nlbd):
    sections = checked_at_traffic_port(receiver.address)
    sections[ini.GROUP]["proxy_protocol_v2.enabled"] = str(proxied).lower()
    with Capture(network.server, "wire",
                 f"tcp port {ini.TARGET_PORT}") as capture:
        nlbd = start_nlbd(sections)
        wait_until(lambda: sum(s.has(SYN) for s in capture.segments(
            source=(BACK4, None))) >= CHECKS, 30, "health checks")
    assert nlbd.health()[receiver.address] == ("healthy", None)
    if not proxied:
        receiver.process.wait_line("header|PROXY", 10)
    assert proxied == (receiver.process.find_line("header|PROXY") is None)
