"""What nlbctl prints of every verb that the AWS CLI has too, against the
shapes of the AWS SDK, member by member."""
import itertools
import json

import pytest

from lab import ini
from lab.aws_model import Model, is_cli_time
from lab.daemon import Daemon
from lab.mutate import changed, places
from lab.netns import FRONT4, TARGET4

# What an NLB's answers always have. nlbd has no DNS name, VPC, hosted zone,
# scheme and subnets, so these are left out rather than made up.
EXPECTED = {
    "LoadBalancer.LoadBalancerArn", "LoadBalancer.CreatedTime",
    "LoadBalancer.LoadBalancerName", "LoadBalancer.State", "LoadBalancer.Type",
    "LoadBalancer.AvailabilityZones", "LoadBalancer.SecurityGroups",
    "LoadBalancer.IpAddressType", "LoadBalancerState.Code",
    "AvailabilityZone.ZoneName", "AvailabilityZone.LoadBalancerAddresses",
    "Listener.ListenerArn", "Listener.LoadBalancerArn", "Listener.Port",
    "Listener.Protocol", "Listener.DefaultActions", "Action.ForwardConfig",
    "ForwardActionConfig.TargetGroups", "TargetGroupTuple.TargetGroupArn",
    "TargetGroup.TargetGroupArn", "TargetGroup.TargetGroupName",
    "TargetGroup.Protocol", "TargetGroup.Port",
    "TargetGroup.HealthCheckProtocol", "TargetGroup.HealthCheckPort",
    "TargetGroup.HealthCheckEnabled", "TargetGroup.HealthCheckIntervalSeconds",
    "TargetGroup.HealthCheckTimeoutSeconds",
    "TargetGroup.HealthyThresholdCount", "TargetGroup.UnhealthyThresholdCount",
    "TargetGroup.LoadBalancerArns", "TargetGroup.TargetType",
    "TargetGroup.IpAddressType", "TargetHealthDescription.Target",
    "TargetHealthDescription.TargetHealth", "TargetDescription.Port",
    "TargetHealth.State", "TargetGroupAttribute.Key",
    "TargetGroupAttribute.Value", "ListenerAttribute.Key",
    "ListenerAttribute.Value", "LoadBalancerAttribute.Key",
    "LoadBalancerAttribute.Value",
}
ARN = "arn:nlbd:elasticloadbalancing:::"
ATTRIBUTES = {"describe-target-group-attributes": "TargetGroupAttribute",
              "modify-target-group-attributes": "TargetGroupAttribute",
              "describe-listener-attributes": "ListenerAttribute",
              "modify-listener-attributes": "ListenerAttribute",
              "describe-load-balancer-attributes": "LoadBalancerAttribute"}
GROUP = ("--target-group", "smtp")
LISTENER = ("--listener", "submission")
# verb, its options, the output's shape
VERBS = [
    ("describe-load-balancers", (), "DescribeLoadBalancersOutput"),
    ("describe-load-balancer-attributes", (),
     "DescribeLoadBalancerAttributesOutput"),
    ("describe-listeners", (), "DescribeListenersOutput"),
    ("describe-listener-attributes", LISTENER,
     "DescribeListenerAttributesOutput"),
    ("describe-target-groups", (), "DescribeTargetGroupsOutput"),
    ("describe-target-group-attributes", GROUP,
     "DescribeTargetGroupAttributesOutput"),
    ("describe-target-health", (), "DescribeTargetHealthOutput"),
    ("register-targets", (*GROUP, "--targets", f"Id={TARGET4[3]}"),
     "RegisterTargetsOutput"),
    ("deregister-targets", (*GROUP, "--targets", f"Id={TARGET4[3]}"),
     "DeregisterTargetsOutput"),
    ("modify-target-group", (*GROUP, "--health-check-protocol", "HTTP",
                             "--matcher", "HttpCode=200-299"),
     "ModifyTargetGroupOutput"),
    ("modify-target-group-attributes",
     (*GROUP, "--attributes", "Key=stickiness.enabled,Value=true"),
     "ModifyTargetGroupAttributesOutput"),
    ("modify-listener-attributes",
     (*LISTENER, "--attributes", "Key=tcp.idle_timeout.seconds,Value=600"),
     "ModifyListenerAttributesOutput"),
]

pytestmark = pytest.mark.quick


@pytest.fixture(scope="module")
def model():
    return Model()


def config(**group):
    """Targets in every state that comes without waiting, two groups behind
    one listener, one group that nobody uses."""
    sections = ini.base(TARGET4[:2])
    sections[ini.LISTENER].update({
        "DefaultActions": "forward:smtp=70,forward:spare=30",
        "Address": FRONT4})
    sections[ini.GROUP].update({
        "HealthCheckIntervalSeconds": 1, "HealthCheckTimeoutSeconds": 1,
        "Target.far": f"Id={TARGET4[2]},AvailabilityZone=zone-b", **group})
    sections["load-balancer"]["load_balancing.cross_zone.enabled"] = "false"
    spare = {"Port": 25, "HealthCheckProtocol": "HTTPS",
             "HealthCheckPath": "/health", "Matcher.HttpCode": "200,202"}
    sections["target-group spare"] = spare
    sections["target-group unused"] = {**spare, "Target.a": f"Id={TARGET4[2]}"}
    return sections


@pytest.fixture(scope="module")
def answers(network, health, model):
    """{verb: (shape, what nlbctl printed)} of a running nlbd."""
    with Daemon(network, config()) as nlbd:
        nlbd.start(healthy=2)
        found = {}
        for verb, options, shape in VERBS:
            done = nlbd.ctl_raw(verb, *options, "--output", "json")
            assert done.returncode == 0, f"{verb}: {done.stderr}"
            found[verb] = (shape, json.loads(done.stdout or "{}"))
        found["after a change"] = ("DescribeTargetHealthOutput",
                                   nlbd.ctl("describe-target-health"))
    return found


def test_every_answer_has_the_sdk_s_shape(model, answers):
    for verb, (shape, answer) in answers.items():
        assert model.differences(answer, shape, verb, EXPECTED) == []
        # Beside the one list there is nothing, an empty answer apart.
        assert set(answer) == set(model.shapes[shape]) - {"NextMarker"}, verb
        for name, entries in answer.items():
            assert entries, f"{verb}: nothing in {name}"


def test_answers_have_every_kind_of_target_and_check(answers):
    """So that the test above has something to look at."""
    states = {d["TargetHealth"].get("Reason") for verb in
              ("describe-target-health", "after a change")
              for d in answers[verb][1]["TargetHealthDescriptions"]}
    assert {None, "Target.NotInUse"} <= states
    groups = answers["describe-target-groups"][1]["TargetGroups"]
    assert {g["HealthCheckProtocol"] for g in groups} == {"TCP", "HTTPS"}
    assert [g["LoadBalancerArns"] for g in groups] == [
        [f"{ARN}loadbalancer/net/lab"], [f"{ARN}loadbalancer/net/lab"], []]
    changed, = answers["modify-target-group"][1]["TargetGroups"]
    assert changed["Matcher"] == {"HttpCode": "200-299"}
    assert not {"Matcher", "HealthCheckPath"} & set(groups[0])


@pytest.mark.parametrize("verb", ATTRIBUTES)
def test_attributes_are_those_of_the_api_or_in_nlbd_s_spelling(
        verb, model, answers):
    """nlbd's own have capitals, as SecurityGroupAction; no others may be
    unknown to the API."""
    shape = ATTRIBUTES[verb]
    keys = [entry["Key"] for entry in answers[verb][1]["Attributes"]]
    assert len(keys) == len(set(keys))
    of_api = [key for key in keys if key.islower()]
    assert of_api
    assert set(of_api) <= model.documented[shape]


def test_the_load_balancer_and_its_listener(answers):
    balancer, = answers["describe-load-balancers"][1]["LoadBalancers"]
    listener, = answers["describe-listeners"][1]["Listeners"]
    assert is_cli_time(balancer.pop("CreatedTime"))
    arn = f"{ARN}loadbalancer/net/lab"
    assert balancer == {
        "LoadBalancerArn": arn, "LoadBalancerName": "lab",
        "State": {"Code": "active"}, "Type": "network",
        "AvailabilityZones": [{
            "ZoneName": "zone-a",
            "LoadBalancerAddresses": [{"IpAddress": FRONT4}]}],
        "SecurityGroups": ["open"], "IpAddressType": "dualstack"}
    assert listener == {
        "ListenerArn": f"{ARN}listener/net/lab/submission",
        "LoadBalancerArn": arn, "Port": ini.PORT, "Protocol": "TCP",
        "DefaultActions": [{
            "Type": "forward", "Order": 1, "ForwardConfig": {"TargetGroups": [
                {"TargetGroupArn": f"{ARN}targetgroup/smtp", "Weight": 70},
                {"TargetGroupArn": f"{ARN}targetgroup/spare",
                 "Weight": 30}]}}]}


def test_scripts_go_from_arn_to_arn(start_nlbd):
    """As with the AWS CLI: the load balancer, its listeners, their groups."""
    nlbd = start_nlbd(ini.base(TARGET4[:1]))
    balancer, = nlbd.ctl("describe-load-balancers")["LoadBalancers"]
    arn = balancer["LoadBalancerArn"]
    listener, = nlbd.ctl("describe-listeners", "--load-balancer-arn",
                         arn)["Listeners"]
    assert listener["DefaultActions"][0]["TargetGroupArn"] == (
        f"{ARN}targetgroup/smtp")
    again, = nlbd.ctl("describe-listeners", "--listener-arns",
                      listener["ListenerArn"])["Listeners"]
    assert again == listener
    nlbd.ctl("describe-listener-attributes", "--listener-arn",
             listener["ListenerArn"])
    group, = nlbd.ctl("describe-target-groups", "--load-balancer-arn",
                      arn)["TargetGroups"]
    for verb in ("describe-target-group-attributes", "describe-target-health"):
        nlbd.ctl(verb, "--target-group-arn", group["TargetGroupArn"])
    changed = nlbd.ctl("modify-listener-attributes", "--listener-arn",
                       listener["ListenerArn"], "--attributes",
                       "Key=tcp.idle_timeout.seconds,Value=61")
    assert {"Key": "tcp.idle_timeout.seconds", "Value": "61"} in (
        changed["Attributes"])
    nlbd.ctl_done("deregister-targets", "--target-group-arn",
                  group["TargetGroupArn"], "--targets", f"Id={TARGET4[0]}")
    for wrong in (["describe-listeners", "--load-balancer-arn",
                   arn.replace("net/lab", "net/other")],
                  ["describe-target-groups", "--target-group-arns", arn],
                  ["describe-load-balancers", "--load-balancer", "other"]):
        done = nlbd.ctl_raw(*wrong)
        assert done.returncode == 65 and "there is no" in done.stderr


def test_what_nlbd_adds_is_all_that_differs(model, start_nlbd):
    """Fractions of seconds, SMTP checks and DNS names are not the API's."""
    nlbd = start_nlbd(ini.base(TARGET4[:1]) | {
        "target-group other": {
            "Port": 25, "HealthCheckProtocol": "SMTP",
            "HealthCheckIntervalSeconds": "0.5"}})
    answer = nlbd.ctl("describe-target-groups", "--target-group", "other")
    assert model.differences(answer, "DescribeTargetGroupsOutput", "", EXPECTED
                             ) == [
        ".TargetGroups[0].HealthCheckProtocol: 'SMTP' is no ProtocolEnum",
        ".TargetGroups[0].HealthCheckIntervalSeconds: 0.5 is no number",
        ".TargetGroups[0].HealthCheckSmtpStartTls: TargetGroup has no such"]


# -- the check itself


def rename(parent, key):
    parent[key[0].lower() + key[1:]] = parent.pop(key)


def retype(parent, key):
    value = parent[key]
    parent[key] = (str(value) if isinstance(value, (bool, int)) else
                   {"x": 1} if isinstance(value, list) else 17)


def test_no_renamed_missing_or_retyped_member_passes(model, answers):
    """Every single member of every answer, changed in every way."""
    counts = dict.fromkeys(("renamed", "retyped", "missing"), 0)
    optional = {"TargetGroupArn", "Matcher", "HealthCheckPath", "Order",
                "Weight", "HttpCode", "Reason", "Description", "IpAddress",
                "AvailabilityZone", "HealthCheckPort"}
    for verb, (shape, answer) in answers.items():
        def bad(path, change):
            return model.differences(changed(answer, path, change), shape,
                                     verb, EXPECTED)
        for path, _ in places(answer):
            assert bad(path, retype), f"{verb}: {path} retyped"
            counts["retyped"] += 1
            if isinstance(path[-1], int):
                continue
            assert bad(path, rename), f"{verb}: {path} renamed"
            counts["renamed"] += 1
            if path[-1] not in optional and len(path) > 1:
                assert bad(path, dict.pop), f"{verb}: {path} missing"
                counts["missing"] += 1
    assert min(counts.values()) > 150, counts


@pytest.mark.parametrize("text, good", [
    ("2026-08-01T10:02:03.450000+00:00", True),
    ("2026-08-01T10:02:03+00:00", True),
    ("2026-08-01T10:02:03Z", False), ("2026-08-01 10:02:03+00:00", False),
    ("2026-08-01T10:02:03", False), ("2026-13-01T10:02:03+00:00", False),
    (1790000000, False), (None, False)])
def test_times_are_those_of_the_aws_cli(text, good):
    assert is_cli_time(text) is good


def test_enums_are_compared_by_value(model):
    for kind, value in itertools.product(
            ("ProtocolEnum", "TargetHealthStateEnum"), ("tcp", "Healthy", "")):
        assert model.differences(value, kind)
