"""config/ec2 as a node gets it: user data, configuration, sample values."""

import json
import os
import re

import yaml

import cloudformation

FOLDER = os.path.join("config", "ec2")


def path(top, name):
    return os.path.join(top, FOLDER, name)


def template(top):
    return cloudformation.load(path(top, "nlbd.yaml"))


def sample(top):
    """{parameter: value} of the sample file."""
    with open(path(top, "parameters.json"), encoding="utf-8") as file:
        return {entry["ParameterKey"]: entry["ParameterValue"]
                for entry in json.load(file)}


def user_data(rendered):
    return rendered.properties("Node")["UserData"]


def config(rendered):
    """The nlbd.ini of a rendered stack."""
    return rendered.properties("Config")["Value"]


def files(text):
    """{path: content} of what user data writes."""
    return {entry["path"]: entry["content"]
            for entry in yaml.safe_load(text)["write_files"]}


def fields(value):
    return dict(part.split("=", 1) for part in value.split(","))


class Ini:
    """What an nlbd.ini says of ports and addresses, read without nlbd."""

    def __init__(self, text):
        self.values = {}
        section = None
        for line in text.splitlines():
            line = line.split(";")[0].strip()
            if line.startswith("["):
                section = line.strip("[]")
            elif line:
                key, _, value = line.partition("=")
                self.values[section, key.strip()] = value.strip()

    def _labelled(self, kind, prefix):
        return [fields(value) for (section, key), value in self.values.items()
                if section.startswith(kind) and key.startswith(prefix)]

    def rules(self, prefix, peer):
        """{(first port, last port, CIDR)} of the security groups."""
        found = set()
        for rule in self._labelled("security-group", prefix + "."):
            first, _, last = rule["PortRange"].partition("-")
            found.add((int(first), int(last or first), rule[peer]))
        return found

    def inbound(self):
        return self.rules("Inbound", "Source")

    def outbound(self):
        return self.rules("Outbound", "Destination")

    def ports(self, kind):
        return {int(value) for (section, key), value in self.values.items()
                if section.startswith(kind) and key == "Port"}

    def targets(self):
        """{(address, port)}"""
        group, = self.ports("target-group")
        return {(target["Id"], int(target.get("Port", group)))
                for target in self._labelled("target-group", "Target.")}

    def addresses(self):
        return ({rule[2] for rule in self.inbound() | self.outbound()} |
                {address for address, _ in self.targets()})


def addresses(text):
    """Every IPv4 address or block in a text, patterns left aside."""
    return set(re.findall(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?:/\d{1,2})?"
                          r"(?![\w.]*\d)", text))
