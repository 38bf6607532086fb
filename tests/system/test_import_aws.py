"""nlbctl import-aws: what the AWS CLI says of an NLB becomes an nlbd.ini that
means the same, or is named; and nothing else gets into it."""
import json
import os
import re
import subprocess
import sys

import pytest

from lab import ini
from lab import nlb_documents as nlb
from lab.daemon import NLBCTL, NLBD, Daemon, scaled
from lab.mutate import changed, places
from lab.netns import TARGET4

EX_USAGE, EX_DATAERR, EX_CANTCREAT = 64, 65, 73
LISTENER_ATTRIBUTES = f"listener-attributes.{nlb.LISTENER.rpartition('/')[2]}"
pytestmark = pytest.mark.quick

NOT_CARRIED = [
    r"2 zones, this file is for a node in ap-northeast-1a",
    r"target group dns .* protocol is UDP",
    r"deletion_protection\.enabled = true",
    r"listener TLS:465",
    r"acl-\w+: rule 95 .* protocol 17",
    r"Inbound rule for the members of sg-0fedcba9876543210",
    r"Inbound rule for protocol icmp",
    r"10\.20\.0\.12 .* deregistered",
]


def run(*args, **kwargs):
    return subprocess.run([NLBCTL, "import-aws", *args], capture_output=True,
                          text=True, timeout=60, **kwargs)


def imported(directory, documents, *args):
    """The text that comes of documents; it has to pass nlbd's check."""
    done = run(nlb.write(directory, documents), *args)
    assert done.returncode == 0, done.stderr
    path = directory / "nlbd.ini"
    path.write_text(done.stdout)
    check = subprocess.run([NLBD, "-c", path, "--check-config"],
                           capture_output=True, text=True)
    assert check.returncode == 0, check.stderr
    return done.stdout


def refused(directory, documents, *args):
    done = run(nlb.write(directory, documents), *args)
    assert (done.returncode, done.stdout) == (EX_DATAERR, ""), done.stderr
    assert "Sanitizer" not in done.stderr
    return done.stderr


# -- the same settings


def renamed(name):
    """An ARN of AWS's, or what it came to be called, as nlbd has it."""
    return "arn:nlbd:elasticloadbalancing:::" + name


ARNS = {nlb.BALANCER: renamed("loadbalancer/net/mail-relay"),
        nlb.LISTENER: renamed(f"listener/net/mail-relay/tcp-{ini.PORT}"),
        nlb.GROUP: renamed("targetgroup/internal-smtp"),
        nlb.SPARE: renamed("targetgroup/spare")}


def as_nlbd(value, without):
    """A description by AWS with nlbd's names, without what nlbd has not."""
    if isinstance(value, dict):
        return {key: as_nlbd(inner, without) for key, inner in value.items()
                if key not in without}
    if isinstance(value, list):
        return [as_nlbd(inner, without) for inner in value]
    return ARNS.get(value, value)


def test_what_is_imported_and_run_describes_itself_as_before(
        network, health, tmp_path):
    documents = nlb.documents()
    text = imported(tmp_path / "aws", documents)
    with Daemon(network) as nlbd:
        nlbd.write(text=text.replace(
            "[node]", f"[node]\nAdminSocket = {nlbd.socket}"))
        nlbd.start(healthy=0)
        balancer, = nlbd.ctl("describe-load-balancers")["LoadBalancers"]
        before, = documents["load-balancers"]["LoadBalancers"]
        assert balancer["LoadBalancerName"] == "mail-relay"
        for key in ("Type", "State", "IpAddressType", "SecurityGroups"):
            assert balancer[key] == before[key]
        assert balancer["AvailabilityZones"][0]["ZoneName"] == nlb.ZONES[0]
        assert {"Key": "load_balancing.cross_zone.enabled",
                "Value": "true"} in nlbd.ctl(
                    "describe-load-balancer-attributes")["Attributes"]

        listener, = nlbd.ctl("describe-listeners")["Listeners"]
        del listener["DefaultActions"][0]["Order"]
        assert listener == as_nlbd(
            documents["listeners"]["Listeners"][0], ())
        attributes = nlbd.ctl("describe-listener-attributes", "--listener-arn",
                              listener["ListenerArn"])["Attributes"]
        assert {"Key": "tcp.idle_timeout.seconds", "Value": "600"} in attributes

        groups = nlbd.ctl("describe-target-groups")["TargetGroups"]
        wanted = as_nlbd(documents["target-groups"]["TargetGroups"][:2],
                         {"VpcId"})
        wanted[1]["TargetGroupName"] = "spare"
        assert groups == wanted
        for arn, group in ((nlb.GROUP, "internal-smtp"), (nlb.SPARE, "spare")):
            name = f"target-group-attributes.{arn.rpartition('/')[2]}"
            # An ARN of AWS's finds the group of that name as well.
            found = nlbd.ctl("describe-target-group-attributes",
                             "--target-group-arn",
                             arn.replace("Spare", "spare"))["Attributes"]
            assert [a for a in found if a["Key"].islower()] == (
                in_order_of(found, documents[name]["Attributes"])), group
        targets = nlbd.ctl("describe-target-health", "--target-group",
                           "internal-smtp")["TargetHealthDescriptions"]
        assert [t["Target"] for t in targets] == [
            t["Target"] for t in documents[
                f"target-health.{nlb.GROUP.rpartition('/')[2]}"][
                    "TargetHealthDescriptions"][:2]]


def in_order_of(model, attributes):
    order = [a["Key"] for a in model]
    return sorted(attributes, key=lambda a: order.index(a["Key"]))


def test_what_is_not_carried_over_is_named_twice(tmp_path):
    """On stderr, and at the head of the file."""
    done = run(nlb.write(tmp_path / "aws", nlb.documents()))
    notes = re.findall(r"^nlbctl: note: (.*)$", done.stderr, re.M)
    assert re.findall(r"^; - (.*)$", done.stdout, re.M) == notes
    assert len(notes) == len(NOT_CARRIED)
    for note, pattern in zip(notes, NOT_CARRIED):
        assert re.search(pattern, note), note
    assert "warning" not in done.stderr
    for line in ["NetworkAcl = acl-0123456789abcdef0",
                 "Inbound.rule-4 = Protocol=tcp,PortRange=5870,"
                 "Source=prefix-list:pl-0123456789abcdef0",
                 "Entry.entry-2 = 198.51.100.128/25",
                 "Inbound.90 = Protocol=tcp,PortRange=5870,"
                 "Source=203.0.113.66/32,RuleAction=deny",
                 "Inbound.rule-1 = 'Protocol=tcp,PortRange=5870,Source="
                 "203.0.113.10/32,Description=\"NAT; gateway #1, office\"'"]:
        assert line in done.stdout.splitlines()


def test_what_only_some_nlbs_have_is_named_too(tmp_path):
    documents = nlb.documents()
    balancer, = documents["load-balancers"]["LoadBalancers"]
    balancer["AvailabilityZones"][0]["LoadBalancerAddresses"] = [
        {"AllocationId": "eipalloc-0123456789abcdef0",
         "IpAddress": "203.0.113.25"}]
    listener = documents["listeners"]["Listeners"][0]
    listener["DefaultActions"][0]["ForwardConfig"][
        "TargetGroupStickinessConfig"] = {"Enabled": True}
    documents["target-groups"]["TargetGroups"][1]["HealthCheckEnabled"] = False
    acl, = documents["network-acls"]["NetworkAcls"]
    acl["Associations"][0]["SubnetId"] = "subnet-1"
    done = run(nlb.write(tmp_path / "aws", documents))
    assert done.returncode == 0
    for note in ("IpAddress 203.0.113.25 is not carried over",
                 "the stickiness of its action",
                 "target group Spare: its targets were not checked",
                 f"have none of the subnet {nlb.SUBNET}"):
        assert note in done.stderr and note in done.stdout
    listener["DefaultActions"][0]["Type"] = "redirect"
    assert "no listener can be carried over" in refused(
        tmp_path / "aws", documents)


def test_a_group_without_outbound_rules_lets_nothing_out(tmp_path):
    """Where nlbd would let everything out."""
    documents = nlb.documents()
    group, = documents["security-groups"]["SecurityGroups"]
    group["IpPermissionsEgress"] = []
    done = run(nlb.write(tmp_path / "aws", documents))
    assert "allows no destination" in done.stderr
    assert ("Outbound.nothing = Protocol=tcp,PortRange=1,"
            "Destination=255.255.255.255/32") in done.stdout.splitlines()
    assert done.returncode == 0


def test_no_security_groups_are_said_to_be_open(tmp_path):
    documents = nlb.documents()
    balancer, = documents["load-balancers"]["LoadBalancers"]
    del balancer["SecurityGroups"], documents["security-groups"]
    text = imported(tmp_path / "aws", documents)
    assert "SecurityGroups = none" in text
    assert "everybody may connect" in text


def test_instances_are_looked_up(tmp_path):
    documents = nlb.documents()
    documents["target-groups"]["TargetGroups"][1]["TargetType"] = "instance"
    name = f"target-health.{nlb.SPARE.rpartition('/')[2]}"
    documents[name]["TargetHealthDescriptions"][0]["Target"]["Id"] = (
        nlb.INSTANCE)
    error = refused(tmp_path / "aws", documents)
    assert f"instances.json with {nlb.INSTANCE} is missing" in error
    documents["instances"] = nlb.instances(**{nlb.INSTANCE: TARGET4[3]})
    line = f"; {nlb.INSTANCE}\nTarget.target-1 = Id={TARGET4[3]},Port=2525"
    text = imported(tmp_path / "aws", documents)
    assert f"{line},AvailabilityZone=all\n" in text
    # The API leaves a target's zone out where the instance has one.
    del documents[name]["TargetHealthDescriptions"][0]["Target"][
        "AvailabilityZone"]
    text = imported(tmp_path / "aws", documents)
    assert f"{line},AvailabilityZone={nlb.ZONES[1]}\n" in text
    del documents["instances"]["Reservations"][0]["Instances"][0]["Placement"]
    assert f"{line}\n" in imported(tmp_path / "aws", documents)


def test_zone_and_load_balancer_are_chosen(tmp_path):
    documents = nlb.documents()
    balancers = documents["load-balancers"]["LoadBalancers"]
    balancers.append({**balancers[0], "LoadBalancerName": "other",
                      "LoadBalancerArn": "arn:other"})
    balancers.append({**balancers[0], "Type": "application"})
    assert "name one with --load-balancer" in refused(
        tmp_path / "aws", documents)
    text = imported(tmp_path / "aws", documents, "--load-balancer-arn",
                    nlb.BALANCER, "--availability-zone", nlb.ZONES[1])
    assert f"AvailabilityZone = {nlb.ZONES[1]}" in text.splitlines()
    assert "not in the zone x" in refused(
        tmp_path / "aws", documents, "--load-balancer", "Mail-Relay",
        "--availability-zone", "x")
    assert "no Network Load Balancer y" in refused(
        tmp_path / "aws", documents, "--load-balancer", "y")


@pytest.mark.parametrize("missing", sorted(
    set(nlb.documents()) - {"network-acls", LISTENER_ATTRIBUTES}))
def test_a_missing_document_is_named_with_its_command(tmp_path, missing):
    documents = nlb.documents()
    del documents[missing]
    error = refused(tmp_path / "aws", documents)
    assert f"{missing}.json " in error and "is missing: aws " in error


# -- where documents come from

AWS = '''#!{python}
import json, os, sys
sys.path.insert(0, {tests!r})
from lab import nlb_documents as nlb
argv = sys.argv[1:]
def option(name):
    return argv[argv.index(name) + 1] if name in argv else None
verb, found = argv[1], nlb.documents()
if verb in os.environ.get("AWS_LACKS", ""):
    print("aws: error: argument operation: Invalid choice, valid choices are:",
          file=sys.stderr)
    sys.exit(252)
def health(arn):
    return found["target-health." + arn.rpartition("/")[2]]
arns = [a for a in argv if a.startswith("arn:")]
groups = found["target-groups"]["TargetGroups"]
groups[1]["TargetType"] = "instance"
groups.pop()
health(nlb.SPARE)["TargetHealthDescriptions"][0]["Target"]["Id"] = nlb.INSTANCE
ids = {{
    "LoadBalancers[].LoadBalancerArn": [nlb.BALANCER],
    "Listeners[].ListenerArn": [nlb.LISTENER],
    "TargetGroups[].TargetGroupArn": [nlb.GROUP, nlb.SPARE],
    "TargetGroups[?TargetType=='instance'].TargetGroupArn": [nlb.SPARE],
    "TargetHealthDescriptions[].Target.Id": [nlb.INSTANCE],
    "LoadBalancers[].SecurityGroups[]": [nlb.SECURITY_GROUP],
    "LoadBalancers[].AvailabilityZones[].SubnetId": [nlb.SUBNET, "subnet-1"],
    "SecurityGroups[].IpPermissions[].PrefixListIds[].PrefixListId":
        [nlb.PREFIX_LIST],
    "SecurityGroups[].IpPermissionsEgress[].PrefixListIds[].PrefixListId":
        ["None"]}}
if option("--query"):
    assert option("--output") == "text"
    print("\\t".join(ids[option("--query")]))
    sys.exit()
assert option("--output") == "json"
id = (arns or [option("--prefix-list-id") or ""])[0].rpartition("/")[2]
found["listeners"]["Listeners"].pop()
found["instances"] = nlb.instances(**{{nlb.INSTANCE: "10.20.0.13"}})
name = verb.removeprefix("describe-").removeprefix("get-managed-")
if name.endswith("-attributes") or name in ("target-health",
                                            "prefix-list-entries"):
    name += "." + id
elif name == "network-acls":
    assert option("--filters") == (
        "Name=association.subnet-id,Values=" + nlb.SUBNET + ",subnet-1")
print(json.dumps(found[name]))
'''


def collect(tmp_path, **environment):
    """The files that the script makes, and what it says."""
    aws = tmp_path / "bin" / "aws"
    aws.parent.mkdir()
    aws.write_text(AWS.format(python=sys.executable,
                              tests=os.path.dirname(__file__)))
    aws.chmod(0o755)
    script = tmp_path / "collect.sh"
    script.write_text(run("--print-script").stdout)
    subprocess.run(["shellcheck", script], check=True)
    environment = {**os.environ,
                   "PATH": f"{aws.parent}:{os.environ['PATH']}",
                   **environment}
    done = subprocess.run(["sh", script, "Mail-Relay", tmp_path / "aws"],
                          capture_output=True, text=True, timeout=60,
                          env=environment)
    assert done.returncode == 0, done.stderr
    return {p.name for p in (tmp_path / "aws").iterdir()}, done.stderr


COLLECTED = {f"{name}.json" for name in nlb.documents()} | {"instances.json"}


def test_the_script_collects_what_is_read(tmp_path):
    assert collect(tmp_path) == (COLLECTED, "")
    done = run(tmp_path / "aws")
    assert done.returncode == 0, done.stderr
    assert "Id=10.20.0.13,Port=2525" in done.stdout
    assert "tcp.idle_timeout.seconds = 600" in done.stdout
    assert "idle timeout unknown" not in done.stderr


def test_an_old_aws_cli_leaves_the_attributes_of_listeners_out(tmp_path):
    found, said = collect(tmp_path, AWS_LACKS="describe-listener-attributes")
    assert found == COLLECTED - {f"{LISTENER_ATTRIBUTES}.json"}
    assert f"warning: no {LISTENER_ATTRIBUTES}.json: aws elbv2 " in said
    text = imported(tmp_path / "aws", {})
    note = f"listener TCP:{ini.PORT}: idle timeout unknown: 350 s taken"
    assert re.search(f"^; - {note}; aws elbv2 describe-listener-attributes "
                     f"--listener-arn {nlb.LISTENER} ", text, re.M)
    assert f"nlbctl: note: {note}" in run(tmp_path / "aws").stderr
    assert "tcp.idle_timeout" not in text


def test_documents_come_in_one_stream_with_their_owners(tmp_path):
    documents = nlb.documents()
    plain = imported(tmp_path / "aws", documents)
    owners = {"load-balancer-attributes": "LoadBalancerArn",
              "listener-attributes": "ListenerArn",
              "target-group-attributes": "TargetGroupArn",
              "target-health": "TargetGroupArn",
              "prefix-list-entries": "PrefixListId"}
    stream = ""
    for name, document in documents.items():
        kind, _, owner = name.partition(".")
        if owner:
            document = {**document, owners[kind]: owner}
        stream += json.dumps(document) + "\n"
    assert run("-", input=stream).stdout == plain
    path = tmp_path / "all.json"
    path.write_text(stream)
    assert run(path).stdout == plain
    done = run("-", input=json.dumps({"Attributes": []}))
    assert done.returncode == EX_DATAERR
    assert "nothing tells whose Attributes" in done.stderr


def test_a_file_is_made_once(tmp_path):
    directory = nlb.write(tmp_path / "aws", nlb.documents())
    path = tmp_path / "nlbd.ini"
    done = run(directory, "--file", path)
    assert done.returncode == 0 and f"created: {path}" in done.stdout
    text = path.read_text()
    assert text == run(directory).stdout
    assert run(directory, "--file", path).returncode == EX_CANTCREAT
    assert path.read_text() == text
    as_json = json.loads(run(directory, "--output", "json").stdout)
    assert as_json == {"Configuration": text}
    assert run().returncode == EX_USAGE


# -- documents that are none


@pytest.mark.parametrize("text, error", [
    ("", r"x\.json is empty"),
    ("{", r"x\.json:1:1: .* expected near end of file"),
    ('{\n  "Listeners": [}\n', r"x\.json:2:17: unexpected token near '}'"),
    ('{"Listeners": []}\n\n{"Listeners": [1,,2]}', r"x\.json:3:18: "),
    ("[]", "no document that is read here"),
    ("{}", "no document that is read here"),
    ('{"Listeners": 5}', "Listeners is no list"),
    ('{"Listeners": [5]}', r"Listeners\[0\] is no object"),
    ('{"Listeners": [], "Listeners": []}', "duplicate object key"),
    ('{"Listeners": [], "NextToken": "x"}', "only a part of the whole"),
    ('{"Attributes": []}', "nothing tells whose Attributes"),
    ("[" * 100000, "maximum parsing depth"),
    ('{"a":' * 100000, "maximum parsing depth"),
    ('{"Listeners": [99999999999999999999]}', "too big integer"),
    ('{"Listeners": ["\\u0000"]}', "NUL byte|u0000"),
    ('{"Listeners": ["\x00"]}', "control character"),
    (b'{"Listeners": ["\xff"]}'.decode("latin-1"), "no object"),
    ("x" * (16 * 1024 * 1024 + 1), "more than 16777216 bytes")],
    ids=range(18))
def test_what_is_no_document_is_refused(tmp_path, text, error):
    found = refused(tmp_path / "aws", {**nlb.documents(), "x": text})
    assert re.search(error, found), found


def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "fifo.json")
    step = ("; nlbctl import-aws --print-script prints what collects the "
            "documents\n")
    for path, error in [(tmp_path / "none", "No such file or directory"),
                        (tmp_path / "fifo.json", "is no file"),
                        (tmp_path, "is no file"), ("/dev/null", "is no file")]:
        done = run(path)
        assert done.returncode == EX_DATAERR
        assert done.stderr.endswith(error + step)
    (tmp_path / "fifo.json").unlink()
    assert run(tmp_path).stderr.endswith("has no file NAME.json" + step)


HOSTILE = [
    "x\n[node]\nUser = evil\n;", "\r[node]\rUser = evil",
    "a'b\"c;d#e,Source=0.0.0.0/0", "'\n\"\\", "x\\", "\u2028User = evil",
    "\x1b[2J", "%s%n", "", "none", "A" * 5000]


# Lines whose number changes with what is refused; nothing is behind them.
RULE = re.compile(
    r"(Inbound|Outbound)\.[a-z0-9-]+ = '?Protocol=tcp,PortRange=[\d-]+,"
    r"(Source|Destination)=[\w:.-]+(/\d+)?"
    r"(,RuleAction=\w+|,Description=\"[^'\"\\]*\")?'?$"
    r"|Target\.target-\d+ = Id=[\d.]+,Port=\d+(,AvailabilityZone=[\w-]+)?$")


def first_word(line):
    """The kind of a section, or a key."""
    return re.match(r"\[[a-z-]+|[\w.-]*", line).group()


# Members that decide what comes out: with another type they are mistakes.
USED = set("""
    LoadBalancerArn LoadBalancerName LoadBalancerArns Type SecurityGroups
    AvailabilityZones ZoneName SubnetId IpAddressType ListenerArn Protocol Port
    DefaultActions ForwardConfig TargetGroups TargetGroupArn Weight
    TargetGroupName TargetType HealthCheckProtocol HealthCheckPort
    HealthCheckIntervalSeconds HealthyThresholdCount Matcher HttpCode Key Value
    Target TargetHealth Id AvailabilityZone GroupId IpPermissions
    IpPermissionsEgress IpProtocol FromPort ToPort IpRanges CidrIp CidrIpv6
    PrefixListIds PrefixListId UserIdGroupPairs Description Cidr Associations
    Entries RuleNumber RuleAction Egress CidrBlock PortRange From To
""".split())


UDP, TLS, ICMP, UDP_RULE = 2, 1, 1, 1
IGNORED = {
    ("load-balancers", 0, "AvailabilityZones", 1, "SubnetId"),
    ("listeners", TLS, "ListenerArn"),
    *(("listeners", TLS, "DefaultActions", 0, key)
      for key in ("Type", "TargetGroupArn")),
    *(("target-groups", UDP, key) for key in (
        "Port", "HealthCheckProtocol", "HealthCheckPort",
        "HealthCheckIntervalSeconds", "HealthyThresholdCount")),
    *(("target-health", n, "HealthCheckPort") for n in range(3)),
    *(("security-groups", 0, "IpPermissions", ICMP, *rest) for rest in (
        ("IpRanges",), ("IpRanges", 0, "CidrIp"), ("PrefixListIds",))),
    ("prefix-list-entries", 0, "Description"),
    *(("network-acls", 0, "Entries", UDP_RULE, "PortRange", key)
      for key in ("From", "To")),
}


def retype(parent, key):
    parent[key] = [17] if isinstance(parent[key], (str, bool, int)) else "x"


def test_a_member_of_another_type_is_a_mistake(tmp_path):
    """Each of those that decide what comes out, but for what belongs to
    something that is not carried over, or of which nothing is."""
    documents = nlb.documents()
    directory = nlb.write(tmp_path / "aws", documents)
    accepted, n = set(), 0
    for path, _ in places(documents):
        if len(path) == 1 or path[-1] not in USED:
            continue
        bad = changed(documents, path, retype)
        done = run(nlb.write(directory, {path[0]: bad[path[0]]}))
        nlb.write(directory, {path[0]: documents[path[0]]})
        n += 1
        if done.returncode == 0:
            accepted.add((path[0].partition(".")[0], *path[2:]))
        else:
            assert done.returncode == EX_DATAERR, (path, done.stderr)
            assert done.stderr.startswith("nlbctl: "), (path, done.stderr)
    assert accepted == IGNORED and n > 150


def test_no_text_of_a_document_becomes_a_line_of_its_own(tmp_path):
    """Every place of all documents, replaced by a hostile text; what is made
    of it has the sections and keys that are known, or there is an error."""
    documents = nlb.documents()
    plain = imported(tmp_path / "aws", documents)
    known = {first_word(line) for line in plain.splitlines()
             if line[:1] != ";"}
    everything = [path for path, _ in places(documents) if len(path) > 1]
    accepted = refusals = 0
    for number, path in enumerate(everything[::scaled(1, 6)]):
        def replace(parent, key):
            parent[key] = HOSTILE[number % len(HOSTILE)]
        name = path[0]
        bad = changed(documents, path, replace)
        done = run(nlb.write(tmp_path / "aws", {name: bad[name]}))
        nlb.write(tmp_path / "aws", {name: documents[name]})
        assert "\x1b" not in done.stdout + done.stderr
        assert "Sanitizer" not in done.stderr
        if done.returncode != 0:
            refusals += 1
            assert done.returncode == EX_DATAERR, (path, done.stderr)
            assert done.stderr.startswith(("nlbctl: ", "the result:")), path
            continue
        accepted += 1
        for line in done.stdout.splitlines():
            assert line[:1] == ";" or first_word(line) in known or (
                RULE.match(line)), (path, line)
    least = scaled(50, 5)
    assert accepted > least and refusals > least, (accepted, refusals)
