"""CloudFormation templates: read with their short tags, and rendered as
CloudFormation would with given parameters."""

import re

import yaml

PSEUDO = {
    "AWS::AccountId": "123456789012",
    "AWS::Partition": "aws",
    "AWS::Region": "eu-west-1",
    "AWS::StackId": "arn:aws:cloudformation:eu-west-1:123456789012:stack/x/y",
    "AWS::StackName": "nlbd-a",
    "AWS::URLSuffix": "amazonaws.com",
}
NO_VALUE = {"Ref": "AWS::NoValue"}
VARIABLE = re.compile(r"\$\{([^!}][^}]*)\}")


class Loader(yaml.SafeLoader):
    """YAML as CloudFormation takes it: no key twice, no aliases."""

    def compose_node(self, parent, index):
        if self.check_event(yaml.AliasEvent):
            raise ValueError(f"an alias: {self.peek_event().start_mark}")
        return super().compose_node(parent, index)

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key) for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise ValueError(f"twice: {twice}, {node.start_mark}")
        return super().construct_mapping(node, deep)


def _tag(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}":
            value}


Loader.add_multi_constructor("!", _tag)


def load(path):
    with open(path, encoding="utf-8") as file:
        return yaml.load(file, Loader)


def intrinsic(value):
    """(name, argument) of a function call; (None, None) for other values."""
    if isinstance(value, dict) and len(value) == 1:
        (name, argument), = value.items()
        if name == "Ref" or str(name).startswith("Fn::"):
            return name, argument
    return None, None


def references(value):
    """Every (logical name, attribute or None) that a value speaks of."""
    name, argument = intrinsic(value)
    if name == "Ref":
        yield argument, None
    elif name == "Fn::GetAtt":
        yield tuple(argument)
    elif name == "Fn::Sub":
        text, own = ((argument, {}) if isinstance(argument, str)
                     else argument)
        for variable in VARIABLE.findall(text):
            if variable not in own:
                logical, _, attribute = variable.partition(".")
                yield logical, attribute or None
        yield from references(list(own.values()))
    elif isinstance(value, dict):
        for part in value.values():
            yield from references(part)
    elif isinstance(value, list):
        for part in value:
            yield from references(part)


class Rendered:
    """A template's resources and outputs for given parameters. What only AWS
    knows is <Resource> or <Resource.Attribute>."""

    def __init__(self, template, values):
        self.template = template
        self.values = {name: values.get(name, declared.get("Default"))
                       for name, declared in template["Parameters"].items()}
        self.absent = set()  # what was referred to and is not there
        self._present = {
            name for name, declared in template["Resources"].items()
            if self._holds(declared)}
        self.resources = self._section("Resources")
        self.outputs = self._section("Outputs")

    def _section(self, name):
        return {logical: self.resolve(declared)
                for logical, declared in self.template[name].items()
                if self._holds(declared)}

    def _holds(self, declared):
        return ("Condition" not in declared or
                self.condition(declared["Condition"]))

    def condition(self, name):
        return self._test(self.template["Conditions"][name])

    def _test(self, value):
        (name, argument), = value.items()
        if name == "Condition":
            return self.condition(argument)
        if name == "Fn::Equals":
            left, right = map(self.resolve, argument)
            return left == right
        tests = [self._test(part) for part in argument]
        return {"Fn::Not": lambda: not tests[0], "Fn::And": lambda: all(tests),
                "Fn::Or": lambda: any(tests)}[name]()

    def _ref(self, logical, attribute=None):
        if logical in self.values and attribute is None:
            return self.values[logical]
        if logical in PSEUDO:
            return PSEUDO[logical]
        if logical not in self._present:
            self.absent.add(logical)
        return f"<{logical}.{attribute}>" if attribute else f"<{logical}>"

    def _sub(self, argument):
        text, own = ((argument, {}) if isinstance(argument, str)
                     else argument)
        own = {name: self.resolve(value) for name, value in own.items()}

        def put(match):
            if match[1] in own:
                return own[match[1]]
            logical, _, attribute = match[1].partition(".")
            return str(self._ref(logical, attribute or None))
        return VARIABLE.sub(put, text).replace("${!", "${")

    def resolve(self, value):
        name, argument = intrinsic(value)
        if name == "Ref":
            return self._ref(argument)
        if name == "Fn::GetAtt":
            return self._ref(*argument)
        if name == "Fn::If":
            condition, yes, no = argument
            return self.resolve(yes if self.condition(condition) else no)
        if name == "Fn::Sub":
            return self._sub(argument)
        if name == "Fn::Base64":
            return self.resolve(argument)
        if name is not None:
            raise ValueError(f"{name} is not known here")
        if isinstance(value, dict):
            return {key: self.resolve(part) for key, part in value.items()
                    if not self._drops(part)}
        if isinstance(value, list):
            return [self.resolve(part) for part in value
                    if not self._drops(part)]
        return value

    def _drops(self, value):
        """Whether a value is AWS::NoValue, perhaps through Fn::If."""
        name, argument = intrinsic(value)
        if name == "Fn::If":
            condition, yes, no = argument
            return self._drops(yes if self.condition(condition) else no)
        return value == NO_VALUE

    def properties(self, logical):
        return self.resources[logical]["Properties"]
