"""A CloudFormation template against the resource schemas, as far as they can
be asked without AWS: types, properties, values, and every name in use."""

import gzip
import json
import re

import cloudformation

SECTIONS = {"AWSTemplateFormatVersion", "Description", "Metadata",
            "Parameters", "Rules", "Conditions", "Resources", "Outputs"}
ATTRIBUTES = {"Type", "Properties", "Condition", "DependsOn", "DeletionPolicy",
              "UpdateReplacePolicy", "CreationPolicy"}
PARAMETER_KEYS = {"Type", "Default", "Description", "AllowedPattern",
                  "AllowedValues", "ConstraintDescription"}
PARAMETER_TYPES = {
    "String", "AWS::EC2::AvailabilityZone::Name", "AWS::EC2::VPC::Id",
    "AWS::EC2::Subnet::Id", "AWS::EC2::Image::Id"}
POLICIES = {"DeletionPolicy":
            {"Delete", "Retain", "RetainExceptOnCreate", "Snapshot"},
            "UpdateReplacePolicy": {"Delete", "Retain", "Snapshot"}}
INTERFACE = "AWS::CloudFormation::Interface"
# What the documentation says and the schemas do not.
VALUES = {
    "AWS::EC2::EIP Domain": {"vpc"},
    "AWS::EC2::Instance BlockDeviceMappings.Ebs.VolumeType":
        {"gp2", "gp3", "io1", "io2"},
    "AWS::EC2::SecurityGroup SecurityGroupIngress.IpProtocol": {"tcp"},
    "AWS::EC2::SecurityGroup SecurityGroupEgress.IpProtocol": {"tcp"},
    "AWS::Route53::RecordSet Type": {"A", "AAAA"},
    "AWS::CloudWatch::Alarm ComparisonOperator": {
        "GreaterThanOrEqualToThreshold", "GreaterThanThreshold",
        "LessThanThreshold", "LessThanOrEqualToThreshold"},
    "AWS::CloudWatch::Alarm Statistic": {
        "Average", "Maximum", "Minimum", "SampleCount", "Sum"},
    "AWS::CloudWatch::Alarm TreatMissingData":
        {"breaching", "notBreaching", "ignore", "missing"},
}
RANGES = {
    "AWS::EC2::NetworkInterface ConnectionTrackingSpecification"
    ".TcpEstablishedTimeout": (60, 432000),
    "AWS::EC2::Instance MetadataOptions.HttpPutResponseHopLimit": (1, 64),
    "AWS::EC2::SecurityGroup SecurityGroupIngress.FromPort": (0, 65535),
    "AWS::EC2::SecurityGroup SecurityGroupIngress.ToPort": (0, 65535),
    "AWS::EC2::SecurityGroup SecurityGroupEgress.FromPort": (0, 65535),
    "AWS::EC2::SecurityGroup SecurityGroupEgress.ToPort": (0, 65535),
}
PLAIN = {"string": str, "integer": int, "number": (int, float),
         "boolean": bool, "date-time": str}


class Schemas:
    """The resource types of the npm package @aws-cdk/aws-service-spec."""

    def __init__(self, path):
        with gzip.open(path) as file:
            schema = json.load(file)["schema"]
        self.resources = {entity["cloudFormationType"]: entity
                          for entity in schema["resource"]["entities"]}
        self.types = {entity["$id"]: entity
                      for entity in schema["typeDefinition"]["entities"]}


class Check:
    """The findings about one template."""

    def __init__(self, template, schemas):
        self.template = template
        self.schemas = schemas
        self.findings = []
        self.parameters = template.get("Parameters", {})
        self.resources = template.get("Resources", {})
        self.conditions = template.get("Conditions", {})

    def say(self, text):
        self.findings.append(text)

    def run(self):
        unknown = set(self.template) - SECTIONS
        if unknown:
            self.say(f"no sections of a template: {sorted(unknown)}")
        for name, declared in self.parameters.items():
            self._parameter(name, declared)
        self._interface()
        for name, declared in self.resources.items():
            self._resource(name, declared)
        for name, declared in self.template.get("Outputs", {}).items():
            if set(declared) - {"Description", "Value", "Condition", "Export"}:
                self.say(f"output {name}: {sorted(declared)}")
            self._value(f"output {name}", declared["Value"],
                        {"type": "string"})
        self._names()
        self._order()
        return self.findings

    # -- parameters

    def _parameter(self, name, declared):
        if set(declared) - PARAMETER_KEYS:
            self.say(f"parameter {name}: {sorted(declared)}")
        if declared.get("Type") not in PARAMETER_TYPES:
            self.say(f"parameter {name}: type {declared.get('Type')}")
        if ("AllowedPattern" in declared) != (
                "ConstraintDescription" in declared):
            self.say(f"parameter {name}: a pattern and what it means belong "
                     "together")
        if "Default" in declared:
            self.findings += refused(name, declared, declared["Default"])

    def _interface(self):
        groups = (self.template.get("Metadata", {}).get(INTERFACE, {})
                  .get("ParameterGroups", []))
        shown = [name for group in groups for name in group["Parameters"]]
        if sorted(shown) != sorted(self.parameters):
            odd = set(shown) ^ set(self.parameters)
            self.say(f"ParameterGroups and Parameters differ: {sorted(odd)}")

    # -- resources

    def _resource(self, name, declared):
        unknown = set(declared) - ATTRIBUTES
        if unknown:
            self.say(f"{name}: no attributes of a resource: {sorted(unknown)}")
        for key, allowed in POLICIES.items():
            if declared.get(key, "Delete") not in allowed:
                self.say(f"{name}: {key} {declared[key]}")
        signal = declared.get("CreationPolicy", {}).get("ResourceSignal", {})
        if not re.fullmatch(r"PT\d+[MH]|", signal.get("Timeout", "")):
            self.say(f"{name}: Timeout {signal['Timeout']}")
        schema = self.schemas.resources.get(declared.get("Type"))
        if schema is None:
            self.say(f"{name}: no such type: {declared.get('Type')}")
            return
        self._object(name, declared.get("Properties", {}), schema,
                     declared["Type"] + " ")

    def _object(self, where, value, schema, kind):
        known = schema["properties"]
        for key in sorted(set(value) - set(known)):
            self.say(f"{where}: no such property: {key}")
        for key, about in known.items():
            if key in value:
                self._value(f"{where}.{key}", value[key], about["type"],
                            kind + key)
            elif about.get("required"):
                self.say(f"{where}: {key} is required")

    def _value(self, where, value, wanted, kind=""):
        """Whether a value, or what its functions give, is of a type."""
        function, argument = cloudformation.intrinsic(value)
        if function == "Fn::If":
            for part in argument[1:]:
                if part != cloudformation.NO_VALUE:
                    self._value(where, part, wanted, kind)
        elif function in ("Ref", "Fn::Sub", "Fn::Join", "Fn::Base64",
                          "Fn::GetAtt"):
            if wanted["type"] not in ("string", "json", "union"):
                self.say(f"{where}: {function} gives a string, wanted "
                         f"{wanted['type']}")
        elif function is not None:
            self.say(f"{where}: {function} is not known to this check")
        else:
            self._literal(where, value, wanted, kind)

    def _literal(self, where, value, wanted, kind):
        shape = wanted["type"]
        if shape in PLAIN:
            self._plain(where, value, wanted, kind)
        elif shape == "array" and isinstance(value, list):
            for index, part in enumerate(value):
                self._value(f"{where}[{index}]", part, wanted["element"], kind)
        elif shape == "map" and isinstance(value, dict):
            for key, part in value.items():
                self._value(f"{where}.{key}", part, wanted["element"], kind)
        elif shape == "ref" and isinstance(value, dict):
            self._object(where, value,
                         self.schemas.types[wanted["reference"]["$ref"]],
                         kind + ".")
        elif shape == "tag" and isinstance(value, dict):
            if set(value) != {"Key", "Value"}:
                self.say(f"{where}: no tag: {sorted(value)}")
        elif shape not in ("json", "union"):
            self.say(f"{where}: {value!r} is no {shape}")

    def _plain(self, where, value, wanted, kind):
        shape = wanted["type"]
        if (not isinstance(value, PLAIN[shape]) or
                isinstance(value, bool) != (shape == "boolean")):
            self.say(f"{where}: {value!r} is no {shape}")
            return
        allowed = wanted.get("allowedValues") or VALUES.get(kind)
        if allowed and value not in allowed:
            self.say(f"{where}: {value!r} is none of {sorted(allowed)}")
        low, high = RANGES.get(kind, (None, None))
        if low is not None and not low <= value <= high:
            self.say(f"{where}: {value!r} is not within {low} to {high}")

    # -- names

    def _names(self):
        used = set()
        for name, declared in [*self.resources.items(),
                               *self.template.get("Outputs", {}).items()]:
            for logical, attribute in cloudformation.references(declared):
                used.add(logical)
                self._reference(name, logical, attribute)
            for logical in depends(declared):
                if logical not in self.resources:
                    self.say(f"{name}: DependsOn {logical}, which is nothing")
        conditions = set(_conditions([self.resources, self.template.get(
            "Outputs", {})]))
        for condition in self.conditions.values():
            conditions |= set(_conditions(condition))
            used |= {name for name, _ in cloudformation.references(condition)}
        for name in sorted(conditions - set(self.conditions)):
            self.say(f"no such condition: {name}")
        for name in sorted(set(self.conditions) - conditions):
            self.say(f"a condition that nothing asks for: {name}")
        used |= {name for name, declared in self.parameters.items()
                 if declared.get("Type") in _all_of(self.template.get(
                     "Rules", {}))}
        for name in sorted(set(self.parameters) - used):
            self.say(f"a parameter that nothing uses: {name}")

    def _reference(self, where, logical, attribute):
        if logical in self.resources:
            schema = self.schemas.resources.get(
                self.resources[logical].get("Type"), {})
            if attribute and attribute not in schema.get("attributes", {}):
                self.say(f"{where}: {logical} has no attribute {attribute}")
        elif attribute or logical not in {
                *self.parameters, *cloudformation.PSEUDO, "AWS::NoValue"}:
            self.say(f"{where}: {logical} is nothing")

    def _order(self):
        """Whether there is an order to make the resources in."""
        needs = {name: {logical for logical, _ in
                        cloudformation.references(declared)
                        if logical in self.resources} |
                 set(depends(declared)) & set(self.resources)
                 for name, declared in self.resources.items()}
        while needs:
            ready = {name for name, wanted in needs.items() if not wanted}
            if not ready:
                self.say(f"a circle: {sorted(needs)}")
                return
            needs = {name: wanted - ready for name, wanted in needs.items()
                     if name not in ready}


def depends(declared):
    value = declared.get("DependsOn", [])
    return [value] if isinstance(value, str) else value


def _conditions(value):
    """Names of conditions in a part of a template."""
    if isinstance(value, dict):
        name, argument = cloudformation.intrinsic(value)
        if name == "Fn::If":
            yield argument[0]
        if isinstance(value.get("Condition"), str):
            yield value["Condition"]
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _conditions(part)


def _all_of(value):
    """Parameter types that rules ask for as a whole."""
    if isinstance(value, dict):
        if "Fn::RefAll" in value:
            return {value["Fn::RefAll"]}
        value = list(value.values())
    if isinstance(value, list):
        return set().union(*map(_all_of, value))
    return set()


def refused(name, declared, value):
    """Why a parameter does not take a value."""
    pattern = declared.get("AllowedPattern")
    if pattern and not re.fullmatch(pattern, value):
        return [f"parameter {name}: {value!r} does not match its pattern"]
    allowed = declared.get("AllowedValues")
    if allowed and value not in allowed:
        return [f"parameter {name}: {value!r} is not allowed"]
    return []
