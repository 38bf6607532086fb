"""The flow log's formats, read by a parser that knows their documents alone,
and its rotation."""
import gzip
import re
import subprocess
import time

import pytest

from lab import flow_formats, ini
from lab.daemon import REPOSITORY
from lab.load import EchoTargets, Load
from lab.netns import CLIENT4, FRONT4, FRONT6, TARGET4
from lab.peers import FIN, connect, reset_at_once, stream
from lab.wait import wait_until

pytestmark = pytest.mark.quick

FORMATS = ("json", "vpc-flow-v2", "nlb")
LOGROTATE = REPOSITORY / "config" / "logrotate" / "nlbd"
# Bytes to and from the target of each flow.
AMOUNTS = [(0, 0), (1, 0), (0, 1), (11, 70_000), (300_001, 12),
           (2_000_003, 1_500_007)]


def play(network, target, address, amounts):
    """One whole flow; returns the client's end of it, what it sent and what
    it received, as counted by itself."""
    request, reply = stream(amounts[0], "request"), stream(amounts[1], "reply")
    with connect(network.client, address) as client, \
            target.accept() as peer:
        client.start_reading()
        peer.start_reading()
        client.send(request)
        peer.send(reply)
        client.finish()
        assert peer.read_to_end() == FIN
        peer.finish()
        assert client.read_to_end() == FIN
        assert peer.received == len(request)
        return client.address[:2], len(request), client.received


def read_when(nlbd, log_format, count):
    """The flows of the log, once there are so many."""
    def read():
        text = nlbd.flow_log_path.read_text()
        whole = text[:text.rfind("\n") + 1]
        if log_format == "vpc-flow-v2":
            # A flow's two lines are one write; a reader may see one.
            if len(whole.splitlines()) < 2 * count:
                return None
        flows = flow_formats.parse(log_format, whole, ini.PORT)
        return flows if len(flows) >= count else None
    return wait_until(read, 10, f"{count} flows in the log", poll_s=0.05)


@pytest.mark.parametrize("log_format", FORMATS)
def test_every_format_accounts_for_every_byte(log_format, network, start_nlbd,
                                              target):
    nlbd = start_nlbd(ini.base(FlowLogFormat=log_format))
    began = int(time.time())
    played = {}
    for address in ((FRONT4, ini.PORT), (FRONT6, ini.PORT)):
        for amounts in AMOUNTS:
            client, sent, received = play(network, target, address, amounts)
            played[client] = (address, sent, received)
    flows = read_when(nlbd, log_format, len(played))
    ended = time.time()
    assert {flow.client: (flow.listener, flow.sent, flow.received)
            for flow in flows} == played
    assert len(flows) == len(played)
    for flow in flows:
        assert began <= flow.start <= flow.end <= ended, flow
    # And the log agrees with the counters.
    assert sum(flow.sent for flow in flows) == nlbd.metric(
        "client_to_target_bytes_total")
    assert sum(flow.received for flow in flows) == nlbd.metric(
        "target_to_client_bytes_total")


def test_what_a_security_group_refuses_is_one_reject(network, start_nlbd,
                                                     target):
    sections = ini.base(FlowLogFormat="vpc-flow-v2")
    sections[ini.LISTENER]["SecurityGroupAction"] = "reset"
    sections[ini.SECURITY_GROUP] = {
        "Inbound.v4": f"Protocol=tcp,PortRange={ini.PORT},"
                      f"Source={CLIENT4[0]}/32"}
    nlbd = start_nlbd(sections)
    refused = reset_at_once(network.client, nlbd.address, CLIENT4[1])
    with connect(network.client, nlbd.address, CLIENT4[0]) as client, \
            target.accept() as peer:
        client.send(b"EHLO\r\n")
        client.finish()
        assert peer.read_to_end() == FIN
        peer.finish()
        assert client.read_to_end() == FIN
        served = client.address[:2]
    wait_until(lambda: len(nlbd.flow_log_path.read_text().splitlines()) >= 3,
               10, "three lines", poll_s=0.05)
    text = nlbd.flow_log_path.read_text()
    records = flow_formats.vpc_records(text)
    assert [r["action"] for r in records if refused == (
        r["srcaddr"], r["srcport"])] == ["REJECT"]
    assert [r for r in records if refused == (
        r["dstaddr"], r["dstport"])] == []
    by_client = {flow.client: flow for flow in
                 flow_formats.parse_vpc(text, ini.PORT)}
    assert set(by_client) == {refused, served}
    assert not by_client[refused].accepted
    assert (by_client[refused].sent, by_client[refused].received) == (0, 0)
    assert by_client[served].accepted and by_client[served].sent == 6


def test_a_reload_changes_the_format_of_the_lines_to_come(network, start_nlbd,
                                                          target):
    nlbd = start_nlbd(ini.base(FlowLogFormat="json"))
    beginnings = {"json": "{", "vpc-flow-v2": "2 - lab ", "nlb": "tcp 2.0 "}
    wanted = []
    for log_format in ("json", "nlb", "vpc-flow-v2", "json"):
        nlbd.reload(ini.base(FlowLogFormat=log_format))
        play(network, target, nlbd.address, (5, 5))
        lines = 2 if log_format == "vpc-flow-v2" else 1
        wanted += [beginnings[log_format]] * lines
        wait_until(lambda: len(nlbd.flow_log_path.read_text().splitlines())
                   >= len(wanted), 10, "its lines are written", poll_s=0.05)
    lines = nlbd.flow_log_path.read_text().splitlines()
    assert len(lines) == len(wanted)
    assert all(line.startswith(begin) for line, begin in zip(lines, wanted))


# -- rotation

def logrotate(*options, config, state):
    return subprocess.run(["logrotate", *options, "--state", state, config],
                          capture_output=True, text=True, timeout=30,
                          check=False)


def rotation_for(nlbd):
    """The sample for this nlbd's file; systemctl is not to be had here."""
    text = LOGROTATE.read_text()
    command = re.search(r"\tpostrotate\n(.*?)\tendscript", text, re.S)[1]
    for before, after in [
            ("/var/log/nlbd/flows.log {", f"{nlbd.flow_log_path} {{"),
            ("su nlbd nlbd", "su root root"),
            (command, f"\t\tkill -USR1 {nlbd.process.pid}\n")]:
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    path = nlbd.directory / "logrotate"
    path.write_text(text)
    path.chmod(0o644)
    return path


def test_logrotate_takes_the_sample(tmp_path):
    """As it stands, but for the user, who comes with the package."""
    config = tmp_path / "nlbd"
    text = LOGROTATE.read_text()
    assert "\tsu nlbd nlbd\n" in text
    config.write_text(text.replace("su nlbd nlbd", "su root root"))
    config.chmod(0o644)
    done = logrotate("--debug", config=config, state=tmp_path / "state")
    assert done.returncode == 0, done.stderr
    assert not re.search("error|unknown|bad ", done.stderr), done.stderr
    assert "rotating pattern: /var/log/nlbd/flows.log" in done.stderr


def test_the_sample_names_the_file_of_the_unit_and_the_readme():
    path = re.search(r"^(/\S+) \{$", LOGROTATE.read_text(), re.M)[1]
    assert f"FlowLog = {path}\n" in (REPOSITORY / "README.md").read_text()
    unit = (REPOSITORY / "config" / "systemd" / "nlbd.service").read_text()
    assert f"# FlowLog = {path}\n" in unit
    assert "User=nlbd\nGroup=nlbd\n" in unit


def flows_of(path):
    read = gzip.open if path.suffix == ".gz" else open
    with read(path, "rt") as file:
        return flow_formats.parse("nlb", file.read(), ini.PORT)


def test_rotations_lose_no_flow(network, start_nlbd):
    """Every flow stands in one of the files, the compressed ones too."""
    with EchoTargets(network, TARGET4[:1], ini.TARGET_PORT):
        nlbd = start_nlbd(ini.base(FlowLogFormat="nlb", MaxFlowsPerSource=0))
        config = rotation_for(nlbd)
        for _ in range(3):
            with Load(network, nlbd.address, count=100, rate=200) as load:
                wait_until(lambda: nlbd.flow_log_path.stat().st_size > 0, 10,
                           "a flow is logged")
                done = logrotate("--force", config=config,
                                 state=nlbd.directory / "state")
                assert done.returncode == 0, done.stderr
                wait_until(nlbd.flow_log_path.exists, 10, "a new file")
                assert load.result().failed == {}

        def files():
            return sorted(nlbd.directory.glob("flows.log*"))

        wait_until(lambda: sum(len(flows_of(f)) for f in files()) == 300, 10,
                   "every flow is in one of the files")
    assert [f.name for f in files()] == [
        "flows.log", "flows.log.1", "flows.log.2.gz", "flows.log.3.gz"]
