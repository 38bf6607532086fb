"""The ELBv2 API's shapes, read from the declarations that the AWS SDK for
JavaScript ships, and what differs from them in a piece of JSON."""
import datetime
import re

from .daemon import REPOSITORY

MODELS = (REPOSITORY / "build-node" / "node_modules" / "@aws-sdk"
          / "client-elastic-load-balancing-v2" / "dist-types" / "models")
SCALARS = {"string": str, "number": int, "boolean": bool}


class Model:
    def __init__(self):
        assert MODELS.is_dir(), f"no {MODELS}: run scripts/setup"
        shapes = (MODELS / "models_0.d.ts").read_text()
        enums = (MODELS / "enums.d.ts").read_text()
        self.enums = {
            name: set(re.findall(r'readonly \w+: "([^"]*)";', body))
            for name, body in re.findall(
                r"^export declare const (\w+): \{(.*?)^\};", enums,
                re.M | re.S)}
        self.shapes = {}      # {shape: {member: type}}
        self.required = {}    # {shape: members without which it is none}
        self.documented = {}  # {shape: words in <code> in its members' text}
        for name, body in re.findall(
                r"^export interface (\w+) \{\n(.*?)^\}", shapes, re.M | re.S):
            self.documented[name] = set(
                re.findall(r"<code>([^<]*)</code>", body))
            members = re.findall(r"^    (\w+)(\??): ([^;]*);$",
                                 re.sub(r"/\*\*.*?\*/", "", body, flags=re.S),
                                 re.M)
            self.shapes[name] = {
                member: kind.removesuffix(" | undefined")
                for member, _, kind in members}
            self.required[name] = {
                member for member, optional, _ in members if not optional}
        # A change in how the SDK is generated must not empty the test.
        assert len(self.shapes) > 100 and len(self.enums) > 20
        assert self.shapes["TargetHealth"]["State"] == "TargetHealthStateEnum"
        assert self.required["TargetDescription"] == {"Id"}

    def differences(self, value, kind, path="", expected=()):
        """Sentences: how value is no `kind`. expected: further members that
        have to be there, as "Shape.Member"."""
        if kind.endswith("[]"):
            if not isinstance(value, list):
                return [f"{path}: {value!r} is no list"]
            return [found for n, entry in enumerate(value)
                    for found in self.differences(
                        entry, kind[:-2], f"{path}[{n}]", expected)]
        if kind in self.shapes:
            return self._object(value, kind, path, expected)
        if kind in self.enums:
            return [] if value in self.enums[kind] else [
                f"{path}: {value!r} is no {kind}"]
        if kind == "Date":
            return [] if is_cli_time(value) else [
                f"{path}: {value!r} is no time of the AWS CLI"]
        return [] if type(value) is SCALARS[kind] else [
            f"{path}: {value!r} is no {kind}"]

    def _object(self, value, kind, path, expected):
        if not isinstance(value, dict):
            return [f"{path}: {value!r} is no {kind}"]
        members = self.shapes[kind]
        wanted = self.required[kind] | {
            name.split(".")[1] for name in expected
            if name.split(".")[0] == kind}
        found = [f"{path}: {name} is missing" for name in
                 sorted(wanted - set(value))]
        for name, inner in value.items():
            where = f"{path}.{name}"
            found += (self.differences(inner, members[name], where, expected)
                      if name in members else [f"{where}: {kind} has no such"])
        return found


def is_cli_time(text):
    """2026-08-01T10:02:03.450000+00:00, as Python's isoformat() has it."""
    try:
        return (datetime.datetime.fromisoformat(text).isoformat() == text
                and text.endswith("+00:00"))
    except (TypeError, ValueError):
        return False
