"""Whether config/ec2 is of one piece: security group, nlbd.ini, user data,
sample values and config/nlbd-minimal.ini name the same ports and addresses, in
both directions, and the instance is as closed as it is meant to be."""

import fnmatch
import itertools
import json
import os
import re

import cloudformation
import ec2

HTTPS = 443
SAMPLE = "nlbd-minimal.ini"
README_SECTION = "\n## On EC2, or in a DMZ\n"
# Parameters that a stack may do without, and what they hold in these checks.
OPTIONAL = {"HostedZoneId": "Z0", "DnsName": "a.example", "NodeState": "",
            "SaasCidr2": "203.0.113.11/32", "SaasCidr3": "198.51.100.7/32",
            "SaasCidr4": "198.51.100.8/32", "MailServer2": "10.20.0.26",
            "MailServer3": "10.20.0.27", "PrivateAddress": "10.0.1.10"}
PARAMETERS = "arn:aws:ssm:eu-west-1:123456789012:parameter"
SPARE_S = 60  # by which the connection tracking outlasts an idle flow


def same(what, left, right):
    """Findings for what only one of two sets has."""
    return ([f"{what}: only the first has {item}"
             for item in sorted(left - right, key=str)] +
            [f"{what}: only the second has {item}"
             for item in sorted(right - left, key=str)])


def rules(group, key):
    """{(first port, last port, CIDR)} of a rendered security group."""
    found = set()
    for rule in group[key]:
        if rule["IpProtocol"] != "tcp" or "CidrIp" not in rule:
            found.add(str(rule))
        else:
            found.add((rule["FromPort"], rule["ToPort"], rule["CidrIp"]))
    return found


def group_and_ini(rendered):
    group = rendered.properties("Group")
    ini = ec2.Ini(ec2.config(rendered))
    management = (HTTPS, HTTPS, rendered.values["ManagementCidr"])
    findings = same("inbound rules of group and nlbd.ini",
                    rules(group, "SecurityGroupIngress"), ini.inbound())
    findings += same("outbound rules of group and nlbd.ini",
                     rules(group, "SecurityGroupEgress"),
                     ini.outbound() | {management})
    findings += same("inbound ports and listeners", {
        port for first, last, _ in ini.inbound()
        for port in range(first, last + 1)}, ini.ports("listener"))
    findings += same("outbound ports and targets", {
        port for first, last, _ in ini.outbound()
        for port in range(first, last + 1)},
        {port for _, port in ini.targets()})
    return findings


def with_sample(top, rendered):
    """The sample stack is that of the smallest sample configuration."""
    with open(os.path.join(top, "config", SAMPLE), encoding="utf-8") as file:
        small = ec2.Ini(file.read())
    made = ec2.Ini(ec2.config(rendered))
    return (same(f"inbound rules of {SAMPLE} and stack",
                 small.inbound(), made.inbound()) +
            same(f"targets of {SAMPLE} and stack",
                 small.targets(), made.targets()) +
            same(f"ports of {SAMPLE} and stack",
                 small.ports("listener") | small.ports("target-group"),
                 made.ports("listener") | made.ports("target-group")))


def ports(text):
    """Port numbers as templates, INI files, scripts and URLs write them."""
    return {int(port) for port in re.findall(
        r"(?:Port\"?\s*[:=]\s*|PortRange=|[a-z]:)(\d{2,5})\b(?![-:\d])", text)}


def chapter(top):
    with open(os.path.join(top, "README.md"), encoding="utf-8") as file:
        return file.read().split(README_SECTION)[1].partition("\n## ")[0]


def texts(top, template, rendered):
    """No address or port stands anywhere that the configuration has not."""
    ini = ec2.Ini(ec2.config(rendered))
    known = ini.addresses() | {template["Parameters"]["ManagementCidr"]
                               ["Default"]}
    known_ports = ini.ports("listener") | ini.ports("target-group") | {HTTPS}
    parts = {"the stack": json.dumps(rendered.resources)}
    for name in os.listdir(ec2.path(top, "")):
        with open(ec2.path(top, name), encoding="utf-8") as file:
            parts[name] = file.read()
    findings = []
    for name, text in parts.items():
        odd = ec2.addresses(text) - known | ports(text) - known_ports
        findings += [f"{name} has {item}, the configuration has not"
                     for item in sorted(odd, key=str)]
    hosts = known | {address.removesuffix("/32") for address in known}
    findings += [f"README.md has {item}, the configuration has not"
                 for item in sorted(ec2.addresses(chapter(top)) - hosts)]
    given = {value for value in ec2.sample(top).values()
             if ec2.addresses(value)}
    return findings + same("addresses of parameters.json and nlbd.ini", given,
                           ini.addresses())


def user_data(top, rendered):
    """One user data: the file's is the stack's."""
    with open(ec2.path(top, "user-data.yaml"), encoding="utf-8") as file:
        text = file.read()
    made = ec2.user_data(rendered)
    for number, (ours, theirs) in enumerate(itertools.zip_longest(
            text.splitlines(), made.splitlines()), 1):
        if ours != theirs:
            return [f"user-data.yaml:{number}: {ours!r}, and in nlbd.yaml "
                    f"{theirs!r}"]
    return []


def closed(rendered):
    """What must not be lost from the instance in a later change."""
    node = rendered.properties("Node")
    disk, = node["BlockDeviceMappings"]
    interface = rendered.properties("Interface")
    address = rendered.resources["Address"]
    idle = int(ec2.Ini(ec2.config(rendered))
               .values["listener submission", "tcp.idle_timeout.seconds"])
    tracked = (interface["ConnectionTrackingSpecification"]
               ["TcpEstablishedTimeout"])
    wanted = {
        "IMDSv2 is required": node["MetadataOptions"] == {
            "HttpEndpoint": "enabled", "HttpTokens": "required",
            "HttpPutResponseHopLimit": 1},
        "the disk is encrypted": disk["Ebs"].get("Encrypted") is True,
        "no SSH key": "KeyName" not in node,
        "the address stays": (address.get("DeletionPolicy"),
                              address.get("UpdateReplacePolicy")) ==
        ("RetainExceptOnCreate", "Retain"),
        "packets are checked for their source":
            interface["SourceDestCheck"] is True,
        "connection tracking outlasts tcp.idle_timeout.seconds":
            tracked >= idle + SPARE_S,
        "a silent zone leaves DNS": (
            rendered.properties("ZoneAlarm")["TreatMissingData"],
            rendered.properties("ZoneHealth")["HealthCheckConfig"]
            ["InsufficientDataHealthStatus"]) == ("breaching", "Unhealthy"),
        "the stack waits for a signal": "CreationPolicy" in
            rendered.resources["Node"],
    }
    return [f"not so: {what}" for what, so in wanted.items() if not so]


def permissions(rendered):
    """What the node asks AWS for is what its role allows, and no more."""
    statements = (rendered.properties("Role")["Policies"][0]
                  ["PolicyDocument"]["Statement"])
    allowed = {statement["Action"]: statement["Resource"]
               for statement in statements}
    verbs = re.findall(r"\baws ([a-z0-9]+) ([a-z-]+)",
                       ec2.user_data(rendered))
    actions = {"s3 cp": "s3:GetObject"}
    asked = {actions.get(f"{service} {verb}", service + ":" + "".join(
        word.title() for word in verb.split("-")))
             for service, verb in verbs}
    findings = same("what the node does and what its role allows", asked,
                    set(allowed))
    package = rendered.properties("Package")["Value"].split()[0]
    wanted = [("s3:GetObject", package.replace("s3://", "arn:aws:s3:::"))]
    wanted += [("ssm:GetParameter", f"{PARAMETERS}{name}")
               for name in (rendered.properties("Config")["Name"],
                            rendered.properties("Package")["Name"])]
    return findings + [
        f"the role does not allow {action} of {name}"
        for action, name in wanted
        if not fnmatch.fnmatchcase(name, allowed.get(action, ""))]


def every_choice(top, template):
    """With each optional parameter given and not: group and nlbd.ini agree,
    and nothing speaks of a resource that is not there."""
    findings = []
    for choice in itertools.product((True, False), repeat=len(OPTIONAL)):
        values = {name: value for name, value in ec2.sample(top).items()
                  if name not in OPTIONAL}
        for (name, value), given in zip(OPTIONAL.items(), choice):
            if name == "NodeState":
                values[name] = "running" if given else "removed"
            elif given:
                values[name] = value
        rendered = cloudformation.Rendered(template, values)
        findings += [f"{name} is referred to and is not there"
                     for name in rendered.absent]
        findings += group_and_ini(rendered)
        if findings:
            return [*findings, f"  with {values}"]
    return findings


def differing(template):
    """The parameters that each zone has its own of."""
    groups = (template["Metadata"]["AWS::CloudFormation::Interface"]
              ["ParameterGroups"])
    return next(group["Parameters"] for group in groups
                if group["Label"]["default"] == "This zone")


def check(top, template):
    values = ec2.sample(top)
    findings = [f"parameters.json: {name} is no parameter"
                for name in values if name not in template["Parameters"]]
    findings += [f"parameters.json: {name} is missing"
                 for name, declared in template["Parameters"].items()
                 if name not in values and ("Default" not in declared or
                                            name in differing(template))]
    rendered = cloudformation.Rendered(template, values)
    return (findings + group_and_ini(rendered) + with_sample(top, rendered) +
            texts(top, template, rendered) + user_data(top, rendered) +
            closed(rendered) + permissions(rendered) + every_choice(top, template))
