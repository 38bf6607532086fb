"""Changes at run time: in force at once, in the file as by hand, or not at
all."""
import difflib
import json
import os
import random
import re
import signal
import stat
import subprocess
import threading

import pytest

from lab import ini
from lab.daemon import NLBCTL, NLBD, scaled
from lab.netns import TARGET4
from lab.peers import connect
from lab.wait import wait_until

EX_DATAERR, EX_UNAVAILABLE, EX_CONFIG = 65, 69, 78
NOBODY = 65534
THREE = TARGET4[:3]
IN_SERVICE = ("initial", "healthy", "unhealthy", "unhealthy.draining")
ECHO = THREE


def config(addresses=THREE[:2], **node):
    return ini.base(addresses, health_port="traffic-port",
                    MaxFlowsPerSource=0, **node)


def register(nlbd, *targets, group="smtp", more=()):
    return nlbd.ctl_raw("register-targets", "--target-group", group,
                        "--targets", *targets, *more)


def deregister(nlbd, *targets, group="smtp", more=()):
    return nlbd.ctl_raw("deregister-targets", "--target-group", group,
                        "--targets", *targets, *more)


def done(result):
    assert result.returncode == 0, result.stderr
    return result


def greeting(network, nlbd):
    """A new flow and the target that it went to."""
    peer = connect(network.client, nlbd.address)
    line = b""
    while not line.endswith(b"\r\n"):
        line += peer.recv_exactly(1)
    return peer, line.split()[1].decode()


# -- 500 at random

FILE = """\
; The load balancer of the lab. This comment stays.
[load-balancer]
Name                 = lab
AvailabilityZone     = zone-a
IpAddressType        = dualstack

[listener submission]
Port                 = {port}
SecurityGroups       = open     ; everybody
DefaultActions       = forward:smtp=70, forward:spare=30
tcp.idle_timeout.seconds = 350  ; as an NLB's

[security-group open]
Inbound.all = Protocol=tcp,PortRange={port},Source=0.0.0.0/0

# ---------------------------------------------------------------- groups
[target-group smtp]
\tPort = 2525
\tHealthCheckIntervalSeconds = 30.0 ; half a minute
; deregistration_delay.timeout_seconds = 5
\tTarget.first = Id=10.20.0.10,AvailabilityZone=all ; rack 1

; the second rack
\tTarget.second = AvailabilityZone=all, Id=10.20.0.11 , Port=2525

[target-group spare]
Port=2525
# nobody yet, but this one
Target.a=Id=10.20.0.12

[node]
Workers = 2
AdminSocket = {socket}
LogLevel = warning"""

ATTRIBUTES = {
    "deregistration_delay.timeout_seconds": ["0", "60", "300", "3600"],
    "deregistration_delay.connection_termination.enabled": ["true", "false"],
    "proxy_protocol_v2.enabled": ["true", "false"],
    "stickiness.enabled": ["true", "false"],
    "load_balancing.cross_zone.enabled": [
        "true", "false", "use_load_balancer_configuration"],
    "target_group_health.unhealthy_state_routing."
    "minimum_healthy_targets.percentage": ["off", "50", "100"],
    "ConnectTimeoutSeconds": ["1", "0.5", "3"],
}
SETTINGS = {
    "health-check-protocol": ["TCP", "HTTP", "SMTP"],
    "health-check-port": ["traffic-port", "25", "2526"],
    "health-check-path": ["/", "/health;v=1#now", "/ready"],
    "health-check-interval-seconds": ["30", "60", "5"],
    "health-check-timeout-seconds": ["2", "5", "10"],
    "healthy-threshold-count": ["2", "5", "10"],
    "matcher": ["HttpCode=200-399", "HttpCode=200,202"],
}
MISTAKES = [
    ["register-targets", "--target-group", "smtp", "--targets",
     "Id=10.20.0.300"],
    ["register-targets", "--target-group", "smtp", "--targets",
     "Id=10.20.0.19,Port=1", "Id=169.254.169.254"],
    ["register-targets", "--target-group", "nobody", "--targets",
     "Id=10.20.0.13"],
    ["modify-target-group-attributes", "--target-group", "smtp",
     "--attributes", "Key=stickiness.enabled,Value=perhaps"],
    ["modify-target-group-attributes", "--target-group", "smtp",
     "--attributes", "Key=Port,Value=25"],
    ["modify-target-group", "--target-group", "spare",
     "--health-check-interval-seconds", "0"],
]


class Model:
    """What the targets and attributes should be, and how to change them."""

    def __init__(self, seed):
        self.dice = random.Random(seed)
        self.targets = {"smtp": {("10.20.0.10", 2525): {"all", "active"},
                                 ("10.20.0.11", 2525): {"all", "active"}},
                        "spare": {("10.20.0.12", 2525): {"active"}}}
        self.wanted = {}  # {(section, key): value}
        self.shown = {}   # the last answers of the modify verbs

    def pick_targets(self):
        count = self.dice.choice([1, 1, 1, 2, 3])
        return self.dice.sample(
            [(f"10.20.0.{n}", port) for n in range(10, 20)
             for port in (2525, 25)], count)

    def shorthand(self, address, port):
        shown = "" if port == 2525 and self.dice.random() < 0.5 else (
            f",Port={port}")
        return f"Id={address}{shown}"

    def register(self, nlbd):
        group = self.dice.choice(list(self.targets))
        words = []
        for key in self.pick_targets():
            fields = set(self.targets[group].get(key, {"active"}))
            word = self.shorthand(*key)
            if self.dice.random() < 0.4:
                fields.add("all")
                word += ",AvailabilityZone=all"
            if self.dice.random() < 0.3:
                role = self.dice.choice(["active", "standby"])
                fields = fields - {"active", "standby"} | {role}
                word += f",Standby={'true' if role == 'standby' else 'false'}"
            self.targets[group][key] = fields
            words.append(word)
        result = done(register(nlbd, *words, group=group))
        assert result.stdout == ""
        return len(words)

    def deregister(self, nlbd):
        group = self.dice.choice(list(self.targets))
        keys = self.pick_targets()
        for key in list(self.targets[group])[:1]:
            if key not in keys:
                keys.append(key)
        done(deregister(nlbd, *[self.shorthand(*k) for k in keys],
                        group=group))
        for key in keys:
            self.targets[group].pop(key, None)
        return len(keys)

    def modify_attributes(self, nlbd):
        group = self.dice.choice(list(self.targets))
        chosen = self.dice.sample(list(ATTRIBUTES), self.dice.choice([1, 2]))
        words = []
        for key in chosen:
            value = self.dice.choice(ATTRIBUTES[key])
            self.wanted[group, key] = value
            words.append(f"Key={key},Value={value}")
        answer = nlbd.ctl("modify-target-group-attributes", "--target-group",
                          group, "--attributes", *words)
        self.shown[group] = {a["Key"]: a["Value"]
                             for a in answer["Attributes"]}
        return len(chosen)

    def modify_listener(self, nlbd):
        value = self.dice.choice(["60", "350", "6000"])
        self.wanted["submission", "tcp.idle_timeout.seconds"] = value
        answer = nlbd.ctl("modify-listener-attributes", "--listener",
                          "submission", "--attributes",
                          f"Key=tcp.idle_timeout.seconds,Value={value}")
        self.shown["submission"] = {a["Key"]: a["Value"]
                                    for a in answer["Attributes"]}
        return 1

    def modify_group(self, nlbd):
        group = self.dice.choice(list(self.targets))
        option = self.dice.choice(list(SETTINGS))
        value = self.dice.choice(SETTINGS[option])
        nlbd.ctl("modify-target-group", "--target-group", group,
                 f"--{option}", value)
        key = "Matcher.HttpCode" if option == "matcher" else "".join(
            part.capitalize() for part in option.split("-"))
        self.wanted[group, key] = value.removeprefix("HttpCode=")
        return 1

    def mistake(self, nlbd):
        result = nlbd.ctl_raw(*self.dice.choice(MISTAKES))
        assert result.returncode == EX_DATAERR
        assert result.stderr and result.stdout == ""
        return 0

    def step(self, nlbd):
        return self.dice.choices(
            [self.register, self.deregister, self.modify_attributes,
             self.modify_listener, self.modify_group, self.mistake],
            [6, 5, 3, 1, 3, 1])[0](nlbd)


def changed_lines(before, after):
    """(lines removed, lines added); a changed line is both."""
    removed, added = [], []
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    for op, a, b, c, d in matcher.get_opcodes():
        if op != "equal":
            removed += before[a:b]
            added += after[c:d]
    return removed, added


def key_of(line):
    return re.match(r"\s*([\w.-]+)\s*=", line)[1]


def comments(lines):
    """All of a line from its comment on; that of a target goes with it."""
    return [line for line in lines
            if re.match(r"\s*([;#\[].*)?$", line)]


def parsed(nlbd):
    """{section: {key: value}} of --print-config: every key with its value."""
    out = subprocess.run([NLBD, "-c", nlbd.config, "--print-config"],
                         check=True, capture_output=True, text=True).stdout
    sections = {}
    for line in out.splitlines():
        if line.startswith("["):
            section = sections.setdefault(line.strip("[]"), {})
        elif line:
            key, _, value = line.partition("=")
            section[key.strip()] = value.strip().strip("'")
    return sections


def targets_of(section):
    found = {}
    for key, value in section.items():
        if not key.startswith("Target."):
            continue
        fields = dict(part.split("=") for part in value.split(","))
        role = "standby" if fields.get("Standby") == "true" else "active"
        zone = {fields["AvailabilityZone"]} if (
            "AvailabilityZone" in fields) else set()
        found[fields["Id"], int(fields["Port"])] = {role} | zone
    return found


def described(nlbd, group):
    answer = nlbd.ctl("describe-target-health", "--target-group", group)
    return {(e["Target"]["Id"], e["Target"]["Port"]):
            e["Target"].get("AvailabilityZone")
            for e in answer["TargetHealthDescriptions"]
            if e["TargetHealth"]["State"] in IN_SERVICE}


@pytest.mark.deadline(600)
def test_500_random_changes_leave_a_file_that_is_the_running_state(
        network, start_nlbd):
    nlbd = start_nlbd(config(), healthy=0)
    nlbd.reload(text=FILE.format(port=ini.PORT, socket=nlbd.socket))
    model = Model(seed=10)
    before = nlbd.config.read_text().splitlines()
    original = before
    for n in range(scaled(500, 100)):
        most = model.step(nlbd)
        after = nlbd.config.read_text().splitlines()
        removed, added = changed_lines(before, after)
        assert len(removed) <= most and len(added) <= most, (n, removed, added)
        keys = [key_of(line) for line in removed + added]
        assert len(set(keys)) <= most, (n, removed, added)
        before = after
    # What no change was about is as it was, comments and blanks with it.
    assert comments(before) == comments(original)
    assert "Port                 = 5870" in before
    assert not nlbd.config.read_text().endswith("\n")
    subprocess.run([NLBD, "-c", nlbd.config, "--check-config"], check=True,
                   capture_output=True)
    sections = parsed(nlbd)
    for group, targets in model.targets.items():
        section = sections[f"target-group {group}"]
        assert targets_of(section) == targets
        assert described(nlbd, group) == {
            key: "all" if "all" in fields else None
            for key, fields in targets.items()}
    for (name, key), value in model.wanted.items():
        kind = "listener" if name == "submission" else "target-group"
        assert sections[f"{kind} {name}"][key] == value, (name, key)
    for name in ("smtp", "spare", "submission"):
        kind = "listener" if name == "submission" else "target-group"
        answer = nlbd.ctl(f"describe-{kind}-attributes", f"--{kind}", name)
        shown = {a["Key"]: a["Value"] for a in answer["Attributes"]}
        assert model.shown.get(name, shown) == shown
        for key, value in shown.items():
            assert sections[f"{kind} {name}"][key] == value, (name, key)
    for group in nlbd.ctl("describe-target-groups")["TargetGroups"]:
        section = sections[f"target-group {group['TargetGroupName']}"]
        for key in ("HealthCheckProtocol", "HealthCheckPort",
                    "HealthCheckIntervalSeconds", "HealthCheckTimeoutSeconds",
                    "HealthyThresholdCount", "UnhealthyThresholdCount"):
            assert str(group[key]) == section[key]
    assert nlbd.status()["config"]["runtime_changes"] is None
    assert "nothing changed" in done(nlbd.ctl_raw("check")).stdout
    assert "nothing changed" in done(nlbd.ctl_raw("reload")).stdout


# -- what it means for flows

@pytest.mark.quick
def test_a_deregistered_target_gets_no_flow_and_keeps_those_it_has(
        network, start_nlbd, echo):
    nlbd = start_nlbd(config(), healthy=2)
    held, victim = greeting(network, nlbd)
    other = next(a for a in THREE[:2] if a != victim)
    with held:
        done(deregister(nlbd, f"Id={victim}"))
        assert nlbd.health()[victim] == (
            "draining", "Target.DeregistrationInProgress")
        for _ in range(40):
            peer, target = greeting(network, nlbd)
            peer.close()
            assert target == other
        held.send(b"still\r\n")
        assert held.recv_exactly(7) == b"still\r\n"
        # Registered again it is taken back with its flow.
        done(register(nlbd, f"Id={victim},AvailabilityZone=all"))
        nlbd.wait_state(victim, "healthy")
        held.send(b"again\r\n")
        assert held.recv_exactly(7) == b"again\r\n"

        def chosen():
            peer, target = greeting(network, nlbd)
            peer.close()
            return target == victim
        wait_until(chosen, 10, "a new flow to it")


@pytest.mark.quick
def test_a_registered_target_comes_into_service(network, start_nlbd, echo):
    nlbd = start_nlbd(config(THREE[:1]), healthy=1)
    done(register(nlbd, f"Id={THREE[1]},AvailabilityZone=all",
                  f"Id={THREE[2]},AvailabilityZone=all"))
    nlbd.wait_healthy(3)
    nlbd.reload(text=nlbd.config.read_text())
    assert set(nlbd.health()) == set(THREE)


# -- what is refused

def as_nobody(nlbd, *args):
    return subprocess.run(
        ["setpriv", f"--reuid={NOBODY}", "--clear-groups", NLBCTL, "-s",
         nlbd.socket, *args], capture_output=True, text=True, timeout=20)


@pytest.mark.quick
def test_another_user_may_change_nothing(network, start_nlbd, echo):
    nlbd = start_nlbd(config(), healthy=2)
    before = nlbd.config.read_bytes()
    verb = ["register-targets", "--target-group", "smtp", "--targets",
            f"Id={THREE[2]}"]
    assert stat.S_IMODE(nlbd.socket.stat().st_mode) == 0o600
    result = as_nobody(nlbd, *verb)
    assert result.returncode == EX_UNAVAILABLE
    assert "Run nlbctl as root or as the user of nlbd" in result.stderr
    nlbd.socket.chmod(0o666)  # then the credentials of the peer decide
    result = as_nobody(nlbd, *verb)
    assert result.returncode == EX_UNAVAILABLE
    assert "only root and the user of nlbd" in result.stderr
    assert nlbd.config.read_bytes() == before
    assert set(nlbd.health()) == set(THREE[:2])


@pytest.mark.quick
def test_a_file_edited_meanwhile_is_left_alone(network, start_nlbd, echo):
    nlbd = start_nlbd(config(), healthy=2)
    mine = nlbd.config.read_text() + "; my own line\n"
    nlbd.config.write_text(mine)
    result = register(nlbd, f"Id={THREE[2]}")
    assert result.returncode == EX_CONFIG
    assert "nlbctl reload" in result.stderr and "--runtime" in result.stderr
    assert nlbd.config.read_text() == mine
    assert set(nlbd.health()) == set(THREE[:2])
    done(nlbd.ctl_raw("reload"))
    done(register(nlbd, f"Id={THREE[2]}"))
    assert nlbd.config.read_text() == mine.replace(
        f"Id={THREE[1]},AvailabilityZone=all\n",
        f"Id={THREE[1]},AvailabilityZone=all\n"
        f"Target.{THREE[2].replace('.', '-')} = Id={THREE[2]}\n")


@pytest.mark.quick
def test_a_file_that_nlbd_may_not_write_can_be_left_out(network, start_nlbd,
                                                        echo):
    """As User = nobody, in a directory of root's."""
    nlbd = start_nlbd(config(User="nobody", FlowLog="off"), healthy=2)
    before = nlbd.config.read_bytes()
    result = register(nlbd, f"Id={THREE[2]}")
    assert result.returncode == EX_CONFIG
    assert "Permission denied" in result.stderr
    assert "--runtime" in result.stderr
    assert set(nlbd.health()) == set(THREE[:2])
    done(register(nlbd, f"Id={THREE[2]},AvailabilityZone=all",
                  more=["--runtime"]))
    nlbd.wait_healthy(3)
    assert nlbd.config.read_bytes() == before
    assert nlbd.status()["config"]["runtime_changes"] == "1 target added"
    assert "not as in the file: 1 target added" in nlbd.ctl_raw(
        "status").stdout
    done(nlbd.ctl_raw("reload"))
    # It has no flow to wait for.
    wait_until(lambda: THREE[2] not in nlbd.health(), 20,
               "the added target is gone")
    assert nlbd.status()["config"]["runtime_changes"] is None


# -- the file

@pytest.mark.quick
def test_link_mode_owner_and_line_ends_stay(network, start_nlbd, echo):
    nlbd = start_nlbd(config(), healthy=2)
    real = nlbd.directory / "real.ini"
    real.write_bytes(nlbd.config.read_bytes().replace(b"\n", b"\r\n"))
    real.chmod(0o640)
    os.chown(real, 0, NOBODY)
    nlbd.config.unlink()
    nlbd.config.symlink_to("real.ini")
    done(nlbd.ctl_raw("reload"))
    done(register(nlbd, f"Id={THREE[2]}"))
    assert nlbd.config.is_symlink()
    there = real.stat()
    assert stat.S_IMODE(there.st_mode) == 0o640
    assert (there.st_uid, there.st_gid) == (0, NOBODY)
    data = real.read_bytes()
    assert data.count(b"\n") == data.count(b"\r\n")
    assert f"Id={THREE[2]}\r\n".encode() in data


@pytest.mark.deadline(120)
def test_at_any_moment_the_file_is_whole(network, start_nlbd, echo):
    """Read all the time while it changes; and nlbd is killed in between."""
    nlbd = start_nlbd(config(), healthy=2)
    end = "; the last line"
    nlbd.reload(text=nlbd.config.read_text() + end)
    leftover = nlbd.directory / ".nlbd.ini.nlbd-new"
    stop = threading.Event()
    wrong = []

    def read():
        while not stop.is_set():
            text = nlbd.config.read_text()
            if not text.endswith(end) or not text.startswith("[load-bal"):
                wrong.append(text)

    reader = threading.Thread(target=read)
    reader.start()
    dice = random.Random(3)
    try:
        for _ in range(scaled(5, 2)):
            # What a crash in the middle of writing leaves behind.
            leftover.write_text("[load-balan")
            process = subprocess.Popen(
                ["sh", "-c", "while :; do for verb in register deregister; "
                 "do \"$0\" -s \"$1\" $verb-targets --target-group smtp "
                 f"--targets Id={THREE[2]} || exit 0; done; done",
                 str(NLBCTL), str(nlbd.socket)],
                stderr=subprocess.DEVNULL)
            generation = nlbd.status()["config"]["generation"]
            wait_until(lambda: nlbd.status()["config"]["generation"]
                       > generation + dice.randrange(5, 15),
                       20, "changes under way")
            os.kill(nlbd.process.pid, signal.SIGKILL)
            process.wait(30)
            nlbd.replace_dead_supervisor()
            wait_until(nlbd.ready, 20, "nlbd serves again")
            wait_until(lambda: len(nlbd.pids()) == 3, 20,
                       "the old workers made way")
            in_file = f"Id={THREE[2]}" in nlbd.config.read_text()
            assert (THREE[2] in nlbd.health()) == in_file
    finally:
        stop.set()
        reader.join()
    assert wrong == []
    done(register(nlbd, f"Id={THREE[2]}"))
    done(deregister(nlbd, f"Id={THREE[2]}"))
    assert not leftover.exists()


@pytest.mark.quick
def test_json_for_programs(network, start_nlbd, echo):
    """The API itself, as a program speaks it: one JSON object in a POST."""
    nlbd = start_nlbd(config(), healthy=2)

    def post(path, body):
        out = subprocess.run(
            ["curl", "-s", "--unix-socket", nlbd.socket, "-d",
             json.dumps(body), f"http://nlbd/v1/{path}"],
            check=True, capture_output=True, text=True).stdout
        return json.loads(out)

    assert post("register-targets", {
        "TargetGroup": "smtp",
        "Targets": [{"Id": THREE[2], "Port": 2525}]}) == {}
    assert THREE[2] in nlbd.health()
    answer = post("modify-target-group", {
        "TargetGroup": "smtp", "HealthCheckIntervalSeconds": 10})
    group, = answer["TargetGroups"]
    assert group["HealthCheckIntervalSeconds"] == 10
    error = post("register-targets", {"TargetGroup": "pop",
                                      "Targets": [{"Id": THREE[2]}]})["error"]
    assert error["code"] == "TargetGroupNotFound"
