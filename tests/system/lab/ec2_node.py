"""A node of config/ec2: the script of its user data, run for real in the nlbd
namespace with a file system of its own and stand-ins for AWS and apt."""
import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

from .daemon import NLBCTL, NLBD, REPOSITORY
from .netns import CLIENT4, TARGET4
from .process import Process

sys.path.insert(0, str(REPOSITORY / "tests" / "support"))

import cloudformation  # noqa: E402
import ec2  # noqa: E402

NAME, ZONE = "smtp-submission", "eu-west-1a"
PACKAGE = "s3://example-packages/nlbd_0.1.0_amd64.deb"
# Of /etc: what the C library and the programs' links need.
ETC = ("alternatives", "group", "ld.so.cache", "nsswitch.conf", "passwd")
PROGRAMS = ("apt-get", "aws", "cloud-init", "curl", "dpkg", "nlbctl", "nlbd",
            "sleep", "sysctl", "systemctl")
MAIN = pathlib.Path(__file__).parent / "ec2_main.py"
# Some may be ignored where the tests run, and then are in all children.
SIGNALS = "HUP,INT,TERM"
PLACES = {"etc": "/etc", "run": "/run", "log": "/var/log",
          "doc": "/usr/share/doc"}


class Node:
    """The world around the script, and its runs."""

    def __init__(self, network, **parameters):
        self.network = network
        self._directory = tempfile.TemporaryDirectory(prefix="nlbd-ec2-")
        self.directory = pathlib.Path(self._directory.name)
        for place in PLACES:
            (self.directory / place).mkdir()
        self.temporary.mkdir()
        subprocess.run(["cp", "-a", *[f"/etc/{name}" for name in ETC],
                        self.directory / "etc"], check=True)
        (self.directory / "etc/sysctl.d").mkdir()
        self._make_programs()
        self.template = ec2.template(REPOSITORY)
        self.rendered = None
        self.world = {
            "fail": [], "hang": [], "nlbd": str(NLBD), "nlbctl": str(NLBCTL),
            "curl": shutil.which("curl"), "instance_id": "i-0abc",
            "availability_zone": ZONE, "objects": {PACKAGE: "the package"},
            "sysctl": str(REPOSITORY / "config/systemd/nlbd.sysctl")}
        self.deploy(**parameters)
        script = ec2.files(ec2.user_data(self.rendered))
        self.script = self.directory / "nlbd-node"
        self.script.write_text(script["/usr/local/sbin/nlbd-node"])
        self.script.chmod(0o755)
        (self.directory / "etc/nlbd-node.env").write_text(
            script["/etc/nlbd-node.env"])
        self._runs = []

    def _make_programs(self):
        programs = self.directory / "bin"
        programs.mkdir()
        for name in PROGRAMS:
            program = programs / name
            program.write_text(f'#!/bin/sh\nexec {sys.executable} {MAIN} '
                               f'{self.directory} {name} "$@"\n')
            program.chmod(0o755)

    def deploy(self, **parameters):
        """What a stack with these parameters leaves in the parameter store.
        Only the interval of the health checks is the test's own."""
        values = {**ec2.sample(REPOSITORY),
                  "SaasCidr1": f"{CLIENT4[0]}/32", "SaasCidr2": "",
                  "MailServersCidr": "10.20.0.0/24", "MailServer1": TARGET4[0],
                  "MailServer2": TARGET4[1],
                  "PackageSha256": hashlib.sha256(b"the package").hexdigest(),
                  **parameters}
        self.rendered = cloudformation.Rendered(self.template, values)
        self.world["parameters"] = {
            self.rendered.properties(name)["Name"]:
                self.rendered.properties(name)["Value"].replace(
                    "HealthCheckIntervalSeconds = 10",
                    "HealthCheckIntervalSeconds = 0.2")
            for name in ("Config", "Package")}
        self._tell()

    def fail(self, *words):
        """From now on calls with all these words fail; a path's last part is
        a word."""
        self.world["fail"].append(list(words))
        self._tell()

    def hang(self, *words):
        """From now on calls with all these words last until they are ended."""
        self.world["hang"].append(list(words))
        self._tell()

    def _tell(self):
        fresh = self.directory / "world.new"
        fresh.write_text(json.dumps(self.world))
        fresh.rename(self.directory / "world.json")

    # -- the script

    def start(self, verb):
        mounts = "".join(f"mount --bind {self.directory / place} {path}; "
                         for place, path in PLACES.items())
        process = Process(
            self.network.nlbd.command(
                ["setsid", "env", f"--default-signal={SIGNALS}",
                 "unshare", "-m", "--propagation", "private", "sh", "-ec",
                 f"{mounts} exec {self.script} {verb}"]),
            name=f"nlbd-node {verb}",
            env={**os.environ, "TMPDIR": str(self.temporary), "PATH":
                 f"{self.directory / 'bin'}:/usr/sbin:/usr/bin:/sbin:/bin"})
        self._runs.append(process)
        return process.start()

    def run(self, verb, deadline_s=50):
        """(exit code, what was said)"""
        process = self.start(verb)
        return process.wait(deadline_s), process.text()

    def calls(self):
        """Every call so far, as a line each."""
        path = self.directory / "calls"
        if not path.exists():
            return []
        return [" ".join(json.loads(line))
                for line in path.read_text().splitlines()]

    def forget_calls(self):
        (self.directory / "calls").unlink()

    def signals(self):
        """What the stack was told."""
        return [call.rpartition(" ")[2] for call in self.calls()
                if " signal-resource " in call]

    def reports(self):
        """The values that CloudWatch was told."""
        words = [call.split() for call in self.calls()
                 if " put-metric-data " in call]
        return [call[call.index("--value") + 1] for call in words]

    @property
    def temporary(self):
        """Where the script keeps files while it runs."""
        return self.directory / "tmp"

    @property
    def config(self):
        return self.directory / "etc/nlbd/nlbd.ini"

    def close(self):
        pid = self.directory / "nlbd.pid"
        leaders = [process.pid for process in self._runs if process.running]
        leaders += [int(pid.read_text())] if pid.exists() else []
        for leader in leaders:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(leader, signal.SIGKILL)
        for process in self._runs:
            process.kill()
        self._directory.cleanup()
