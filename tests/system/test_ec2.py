"""The script of config/ec2's user data: first boot, changes of configuration
and package, and what the stack and Route 53 are told meanwhile."""
import os
import signal
import stat

import pytest

from lab.ec2_node import NAME, ZONE, Node
from lab.load import EchoTargets
from lab.netns import CLIENT4, FRONT4, TARGET4
from lab.peers import connect
from lab.wait import wait_until

PORT = 587
GROUP = 4711  # the stand-in package's


@pytest.fixture
def mail_servers(network):
    with EchoTargets(network, TARGET4[:2], PORT) as servers:
        yield servers


@pytest.fixture
def node(network):
    node = Node(network)
    yield node
    node.close()


@pytest.fixture
def booted(node, mail_servers):
    code, text = node.run("bootstrap")
    assert code == 0, text
    node.forget_calls()
    return node


def greets(peer):
    return peer.recv().startswith(b"220 ")


def is_served(network, source):
    with connect(network.client, (FRONT4, PORT), source) as peer:
        return greets(peer)


def is_dropped(network, source):
    with pytest.raises(TimeoutError):
        connect(network.client, (FRONT4, PORT), source, deadline_s=1.0)
    return True


def calling(node, beginning):
    """Until the script is at this call."""
    wait_until(lambda: node.calls() and node.calls()[-1].startswith(beginning),
               20, beginning)


def nothing_left(node, process):
    """Neither a child nor a file."""
    def is_alone():
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return True
        return False
    wait_until(is_alone, 10, "the end of the children")
    assert not list(node.temporary.iterdir())


def index(calls, beginning):
    return next(number for number, call in enumerate(calls)
                if call.startswith(beginning))


def test_first_boot_ends_with_a_signal_and_a_node_that_serves(
        network, node, mail_servers):
    code, text = node.run("bootstrap")
    assert code == 0, text
    calls = node.calls()
    assert calls[-1].startswith("aws cloudformation signal-resource")
    assert "--logical-resource-id Node --unique-id i-0abc" in calls[-1]
    assert node.signals() == ["SUCCESS"] and node.reports() == ["1"]
    assert "systemctl enable --now nlbd-report.timer" in calls
    assert is_served(network, CLIENT4[0])
    assert is_dropped(network, CLIENT4[1])
    status = node.config.stat()
    assert (stat.S_IMODE(status.st_mode), status.st_gid) == (0o640, GROUP)


def test_no_success_before_all_mail_servers_answer(network, node,
                                                   mail_servers):
    mail_servers.refuse(TARGET4[1])
    boot = node.start("bootstrap")
    wait_until(lambda: any(call.startswith("nlbctl wait")
                           for call in node.calls()), 20, "the wait")
    wait_until(lambda: is_served(network, CLIENT4[0]), 10, "one server serves")
    assert node.signals() == [] and boot.running
    mail_servers.serve(TARGET4[1])
    assert boot.wait(30) == 0, boot.text()
    assert node.signals() == ["SUCCESS"]


def other_checksum(node):
    node.deploy(PackageSha256="0" * 64)


def mistake(node):
    node.deploy(MailServer1="10.20.0.300")


def other_zone(node):
    node.world["availability_zone"] = "eu-west-1b"
    node.deploy()


def failing(*words):
    return lambda node: node.fail(*words)


@pytest.mark.parametrize("break_it, last", [
    (other_zone, "cloud-init query availability_zone"),
    (failing("apt-get", "agent.deb"), "apt-get"),
    (failing("aws", "ssm"), "aws ssm get-parameter"),
    (other_checksum, "aws s3 cp"),
    (failing("apt-get", "nlbd.deb"), "apt-get"),
    (mistake, "nlbd -c"),
    (failing("systemctl", "restart"), "systemctl restart"),
    (failing("nlbctl", "wait"), "nlbctl wait"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_a_failed_boot_is_signalled_as_failed(node, break_it, last):
    break_it(node)
    code, text = node.run("bootstrap")
    assert code != 0
    assert node.signals() == ["FAILURE"], text
    query, step = node.calls()[-2], node.calls()[-3]
    assert query == "cloud-init query instance_id"
    assert step.startswith(last), text


def test_alarm_looks_at_what_the_node_reports(booted):
    assert booted.run("report")[0] == 0
    alarm = booted.rendered.properties("ZoneAlarm")
    dimensions = ",".join(f"{pair['Name']}={pair['Value']}"
                          for pair in alarm["Dimensions"])
    report = booted.calls()[-1]
    assert report.startswith("aws cloudwatch put-metric-data ")
    for part in (f"--namespace {alarm['Namespace']} ",
                 f"--metric-name {alarm['MetricName']} ", dimensions):
        assert part in report
    assert dimensions == f"LoadBalancer={NAME},AvailabilityZone={ZONE}"


def test_report_is_0_without_a_healthy_mail_server(booted, mail_servers):
    for address in TARGET4[:2]:
        mail_servers.refuse(address)

    def told_0():
        assert booted.run("report")[0] == 0
        return booted.reports()[-1] == "0"
    wait_until(told_0, 20, "a report of 0")


def test_new_configuration_comes_into_force_and_flows_go_on(network, booted):
    with connect(network.client, (FRONT4, PORT), CLIENT4[0]) as flow:
        assert greets(flow)
        booted.deploy(SaasCidr1=f"{CLIENT4[1]}/32")
        code, text = booted.run("update-config")
        assert code == 0, text
        assert is_served(network, CLIENT4[1])
        assert is_dropped(network, CLIENT4[0])
        flow.send(b"still")
        assert flow.recv_exactly(5) == b"still"


def test_configuration_with_a_mistake_replaces_nothing(network, booted):
    before = booted.config.read_bytes()
    booted.deploy(MailServer1="10.20.0.300")
    code, text = booted.run("update-config")
    assert code == os.EX_CONFIG and "10.20.0.300" in text
    assert booted.config.read_bytes() == before
    assert "systemctl reload nlbd" not in booted.calls()
    assert is_served(network, CLIENT4[0])


def test_new_package_comes_when_dns_has_left(network, booted):
    code, text = booted.run("update-package")
    assert code == 0, text
    calls = booted.calls()
    order = [index(calls, beginning) for beginning in (
        "aws s3 cp", "nlbctl drain-node", "aws cloudwatch put-metric-data",
        "sleep", "nlbctl wait drained", "apt-get", "systemctl restart nlbd",
        "nlbctl wait target-in-service")]
    assert order == sorted(order)
    assert booted.reports() == ["0", "1"]
    assert is_served(network, CLIENT4[0])


def test_package_with_another_checksum_leaves_the_node_as_it_is(booted):
    booted.deploy(PackageSha256="0" * 64)
    assert booted.run("update-package")[0] != 0
    assert not any(call.startswith(("nlbctl", "apt-get", "systemctl"))
                   for call in booted.calls())


def test_drain_is_taken_back_when_the_package_fails(network, booted):
    booted.fail("apt-get")
    assert booted.run("update-package")[0] != 0
    assert booted.calls()[-1] == "nlbctl drain-node --undo"
    assert booted.run("report")[0] == 0
    assert booted.reports() == ["0", "1"]
    assert is_served(network, CLIENT4[0])


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT,
                                    signal.SIGTERM])
def test_drain_is_taken_back_when_the_session_ends(network, booted, number):
    """A terminal tells the whole foreground."""
    booted.hang("sleep")
    update = booted.start("update-package")
    calling(booted, "sleep")
    assert any(booted.temporary.iterdir())
    os.killpg(update.pid, number)
    assert update.wait(20) == 128 + number, update.text()
    nothing_left(booted, update)
    assert booted.calls()[-1] == "nlbctl drain-node --undo"
    assert booted.run("report")[0] == 0
    assert booted.reports() == ["0", "1"]
    assert is_served(network, CLIENT4[0])


def test_drain_is_taken_back_at_once_while_flows_are_waited_for(network,
                                                                booted):
    with connect(network.client, (FRONT4, PORT), CLIENT4[0]) as flow:
        assert greets(flow)
        update = booted.start("update-package")
        calling(booted, "nlbctl wait drained")
        update.signal(signal.SIGTERM)
        assert update.wait(20) == 128 + signal.SIGTERM, update.text()
        nothing_left(booted, update)
        assert booted.calls()[-1] == "nlbctl drain-node --undo"
        flow.send(b"still")
        assert flow.recv_exactly(5) == b"still"
    assert booted.run("report")[0] == 0
    assert booted.reports()[-1] == "1"


def test_drain_of_a_killed_update_is_taken_back_with_the_next_report(booted):
    booted.hang("sleep")
    update = booted.start("update-package")
    calling(booted, "sleep")
    os.killpg(update.pid, signal.SIGKILL)
    update.wait(20)
    assert "nlbctl drain-node --undo" not in booted.calls()
    assert booted.run("report")[0] == 0
    assert booted.reports() == ["0", "1"]
    booted.forget_calls()
    assert booted.run("report")[0] == 0
    assert "nlbctl drain-node --undo" not in booted.calls()


@pytest.mark.parametrize("verb", ["update-config", "update-package"])
def test_one_change_at_a_time(booted, verb):
    booted.hang("sleep")
    update = booted.start("update-package")
    calling(booted, "sleep")
    booted.forget_calls()
    code, text = booted.run(verb)
    assert code == os.EX_TEMPFAIL and "another nlbd-node" in text
    assert booted.calls() == []
    assert booted.run("report")[0] == 0
    assert booted.reports() == ["0"] and update.running
    assert "nlbctl drain-node --undo" not in booted.calls()
    os.killpg(update.pid, signal.SIGTERM)
    assert update.wait(20) == 128 + signal.SIGTERM, update.text()
    assert booted.run("update-config")[0] == 0
