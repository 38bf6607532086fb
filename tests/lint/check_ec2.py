"""config/ec2: the template against CloudFormation's schemas, the user data
against cloud-init's, both against the sample configurations, nlbd and
shellcheck; and each of these checks against faults that it has to see."""

import copy
import json
import os
import sys
import tempfile

import yaml

import common

sys.path.insert(0, os.path.join(common.root(), "tests", "support"))

import jsonschema  # noqa: E402

import cloudformation  # noqa: E402
import ec2  # noqa: E402
import ec2_agreement  # noqa: E402
import ec2_schema  # noqa: E402

SPEC = "build-node/node_modules/@aws-cdk/aws-service-spec/db.json.gz"
CLOUD_CONFIG = "build-node/cloud-config-schema.json"
USER_DATA_MAX = 16384  # EC2's
TEMPLATE_MAX = 51200  # CloudFormation's, without a bucket


def set_at(path, value):
    """A fault: what stands at a path of keys becomes value; None removes."""
    def change(tree):
        *way, last = path
        for key in way:
            tree = tree[key]
        if value is None:
            del tree[last]
        else:
            tree[last] = value
    return change


def at(resource, *path):
    return ("Resources", resource, "Properties", *path)


FIRST_IN = at("Group", "SecurityGroupIngress", 0)
CONFIG = at("Config", "Value", "Fn::Sub", 0)
NODE_DATA = at("Node", "UserData", "Fn::Base64", "Fn::Sub")


def in_text(path, old, new):
    """A fault: in the text at a path, old becomes new."""
    def change(tree):
        text = tree
        for key in path:
            text = text[key]
        assert old in text, old
        set_at(path, text.replace(old, new))(tree)
    return change


# (the fault, a word of what has to be said of it)
SCHEMA_FAULTS = [
    (set_at(("Resources", "Node", "Type"), "AWS::EC2::Instanc"), "no such typ"),
    (set_at(at("Node", "InstanceTyp"), "t3.small"), "no such property"),
    (set_at(at("Group", "GroupDescription"), None), "is required"),
    (set_at(at("ZoneHealth", "HealthCheckConfig", "Type"), None),
     "is required"),
    (set_at(at("ZoneHealth", "HealthCheckConfig", "Type"), "CLOUDWATCH"),
     "is none of"),
    (set_at(at("Node", "MetadataOptions", "HttpTokens"), "require"),
     "is none of"),
    (set_at(at("Node", "BlockDeviceMappings", 0, "Ebs", "VolumeType"), "gp4"),
     "is none of"),
    (set_at(at("ZoneAlarm", "Threshold"), "low"), "is no number"),
    (set_at((*FIRST_IN, "FromPort"), "587"), "is no integer"),
    (set_at((*FIRST_IN, "FromPort"), 70000), "is not within"),
    (set_at(at("Interface", "ConnectionTrackingSpecification",
               "TcpEstablishedTimeout"), 50), "is not within"),
    (set_at(at("Interface", "GroupSet"), "sg"), "is no array"),
    (set_at(("Resources", "Address", "UpdateReplacePolicy"),
            "RetainExceptOnCreate"), "UpdateReplacePolicy"),
    (set_at(at("Node", "ImageId"), {"Ref": "Image"}), "Image is nothing"),
    (set_at(at("AddressOfInterface", "AllocationId"),
            {"Fn::GetAtt": ["Address", "Allocation"]}), "no attribute"),
    (set_at(at("Package", "Value"), {"Fn::Sub": "${Packag}"}), "is nothing"),
    (set_at(("Resources", "Node", "Condition"), "HasNod"), "no such condition"),
    (set_at(("Resources", "Node", "DependsOn"), ["Confi"]), "DependsOn"),
    (set_at(("Resources", "Interface", "DependsOn"), "Node"), "a circle"),
    (set_at(("Conditions", "Odd"), {"Fn::Equals": ["a", "b"]}),
     "nothing asks for"),
    (set_at(("Parameters", "Odd"), {"Type": "String"}), "nothing uses"),
    (set_at(("Parameters", "Name", "Default"), "Upper"), "its pattern"),
    (set_at(("Outputs", "ElasticIp", "Value"), {"Ref": "Eip"}), "is nothing"),
]
AGREEMENT_FAULTS = [
    (set_at((*FIRST_IN, "ToPort"), 588), "inbound rules of group"),
    (set_at((*FIRST_IN, "CidrIp"), "0.0.0.0/0"), "inbound rules of group"),
    (set_at(FIRST_IN, None), "inbound rules of group"),
    (set_at((*FIRST_IN, "IpProtocol"), "udp"), "inbound rules of group"),
    (set_at(at("Group", "SecurityGroupEgress", 0, "CidrIp"),
            {"Ref": "ManagementCidr"}), "outbound rules of group"),
    (set_at(at("Group", "SecurityGroupEgress", 1, "FromPort"), 80),
     "outbound rules of group"),
    (in_text(CONFIG, "Inbound.nat-1", ";"), "inbound rules of group"),
    (in_text(CONFIG, "Source=${SaasCidr1}", "Source=203.0.113.0/24"),
     "inbound rules of group"),
    (in_text(CONFIG, "PortRange=587,Dest", "PortRange=25,Dest"),
     "outbound rules of group"),
    (in_text(CONFIG, "Port                     = 587",
             "Port                     = 465"), "listeners"),
    (in_text(CONFIG, "Port                       = 587",
             "Port                       = 465"), "outbound ports"),
    (in_text(CONFIG, "${MailServer1}", "10.20.0.99"), "targets of"),
    (in_text(CONFIG, "seconds = 350", "seconds = 3600"), "outlasts"),
    (in_text(NODE_DATA, "set -eu", "set -u"), "user-data.yaml:"),
    (in_text(NODE_DATA, "http://localhost/", "http://localhost:9587/"),
     "has 9587"),
    (set_at(at("Group", "Tags", 0, "Value"), "10.9.9.9"), "has 10.9.9.9"),
    (in_text(NODE_DATA, "aws s3 cp", "aws s3 sync"), "role allows"),
    (set_at(at("Role", "Policies", 0, "PolicyDocument", "Statement", 1),
            None), "role allows"),
    (in_text(at("Role", "Policies", 0, "PolicyDocument", "Statement", 0,
                "Resource", "Fn::Sub"), "${Zone}", "zone"), "does not allow"),
    (set_at(at("Package", "Value"), {"Fn::Sub": "s3://${PackageBucket}/x 0"}),
     "does not allow"),
    (set_at(at("Node", "MetadataOptions", "HttpTokens"), "optional"), "IMDSv2"),
    (set_at(at("Node", "BlockDeviceMappings", 0, "Ebs", "Encrypted"), False),
     "encrypted"),
    (set_at(("Resources", "Address", "DeletionPolicy"), None), "address stays"),
    (set_at(at("ZoneHealth", "HealthCheckConfig",
               "InsufficientDataHealthStatus"), "LastKnownStatus"),
     "leaves DNS"),
    (set_at(("Resources", "Node", "CreationPolicy"), None), "signal"),
    (set_at(("Resources", "ZoneAlarm", "Condition"), "HasNode"),
     "is not there"),
    (set_at(("Parameters", "ManagementCidr", "Default"), "10.99.0.0/16"),
     "has 0.0.0.0/0"),
    (set_at(("Metadata", "AWS::CloudFormation::Interface", "ParameterGroups",
             3, "Parameters", 0), "InstanceType"), "InstanceType is missing"),
]
USER_DATA_FAULTS = [
    (set_at(("write_files", 0, "permission"), "0644"), "permission"),
    (set_at(("write_files", 0, "path"), 5), "5"),
    (set_at(("packages",), []), "[]"),
    (set_at(("runcmds",), ["true"]), "runcmds"),
]
REFUSED = {"SaasCidr1": ["0.0.0.0/0", "203.0.113.10", "203.0.113.256/32",
                         "10.0.0.0/8", ""],
           "MailServer1": ["mail", "10.20.0.25/32", ""],
           "PackageSha256": ["0" * 63, "A" * 64],
           "NodeState": ["stopped"], "DnsName": ["a..example", "name"]}


def blind(what, healthy, faults, check):
    """The faults that a check does not see."""
    findings = []
    for number, (fault, word) in enumerate(faults, 1):
        broken = copy.deepcopy(healthy)
        fault(broken)
        said = check(broken)
        if not any(word in line for line in said):
            findings.append(f"{what}: fault {number} ({word!r}) is not seen, "
                            f"but {said}")
    return findings


def cloud_config(schema, data):
    """cloud-init's schema, and what cloud-init would pass over in silence."""
    known = {key for module in schema["$defs"].values()
             for key in module.get("properties", {})}
    return ([f"user-data.yaml: {error.message}" for error in
             jsonschema.Draft4Validator(schema).iter_errors(data)] +
            [f"user-data.yaml: no module has {key}"
             for key in data if key not in known])


def patterns(template):
    return [f"parameter {name} takes {value!r}"
            for name, values in REFUSED.items() for value in values
            if not ec2_schema.refused(name, template["Parameters"][name],
                                      value)]


def tools(top, build, rendered):
    """nlbd on the configuration, shellcheck on the scripts, systemd on the
    units."""
    findings, kinds = [], {"sh": 0, "service": 0, "timer": 0}
    with tempfile.TemporaryDirectory(prefix="nlbd-ec2-") as folder:
        def write(name, text):
            path = os.path.join(folder, os.path.basename(name))
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            return path

        ini = write("nlbd.ini", ec2.config(rendered))
        done = common.call([os.path.join(build, "nlbd"), "-c", ini,
                            "--check-config", "--strict-aws"], top)
        if done.returncode != 0:
            findings.append(done.stdout + done.stderr)
        for name, text in ec2.files(ec2.user_data(rendered)).items():
            kind = ("sh" if text.startswith("#!/bin/sh\n")
                    else name.rpartition(".")[2])
            if kind not in kinds:
                continue
            kinds[kind] += 1
            path = write(name, text.replace("=/usr/local/sbin", f"={folder}"))
            os.chmod(path, 0o755 if kind == "sh" else 0o644)
            findings += common.run(["shellcheck", path] if kind == "sh" else
                                   ["systemd-analyze", "verify", path], top)
    return findings + [f"user-data.yaml: no {kind}"
                       for kind, count in kinds.items() if count == 0]


def main():
    top, build = common.root(), sys.argv[2]
    for path in (SPEC, CLOUD_CONFIG):
        if not os.path.exists(os.path.join(top, path)):
            print(f"no {path}: scripts/setup --test brings it")
            sys.exit(common.SKIP)
    schemas = ec2_schema.Schemas(os.path.join(top, SPEC))
    with open(os.path.join(top, CLOUD_CONFIG), encoding="utf-8") as file:
        schema = json.load(file)
    template = ec2.template(top)
    rendered = cloudformation.Rendered(template, ec2.sample(top))
    text = ec2.user_data(rendered)
    data = yaml.safe_load(text)

    def of_template(tree):
        return ec2_schema.Check(tree, schemas).run()

    def of_agreement(tree):
        return ec2_agreement.check(top, tree)

    def of_user_data(tree):
        return cloud_config(schema, tree)

    findings = [finding for name, value in ec2.sample(top).items()
                for finding in ec2_schema.refused(
                    name, template["Parameters"].get(name, {}), value)]
    if not text.startswith("#cloud-config\n") or len(text) > USER_DATA_MAX:
        findings.append(f"user data of {len(text)} bytes: {text[:20]!r}")
    if os.path.getsize(ec2.path(top, "nlbd.yaml")) > TEMPLATE_MAX:
        findings.append(f"nlbd.yaml: more than {TEMPLATE_MAX} bytes")
    findings += patterns(template) + tools(top, build, rendered)
    for what, healthy, faults, check in (
            ("schema", template, SCHEMA_FAULTS, of_template),
            ("agreement", template, AGREEMENT_FAULTS, of_agreement),
            ("user data", data, USER_DATA_FAULTS, of_user_data)):
        findings += check(healthy) + blind(what, healthy, faults, check)
    faults = SCHEMA_FAULTS + AGREEMENT_FAULTS + USER_DATA_FAULTS
    common.finish("ec2", len(template["Resources"]) + len(faults), findings)


main()
