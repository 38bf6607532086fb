"""What an installation gives systemd: the units verify, the sandbox is as tight
as it is meant to be, and user, directories and sysctl keys are real."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

import common

THRESHOLD = 15  # tenths: a score of 1.5
SAMPLE = "config/systemd/nlbd.sysctl"


def installed(build, root):
    """The build installed below root; the paths under the prefix."""
    subprocess.run(
        ["meson", "install", "-C", build, "--no-rebuild", "--destdir", root],
        check=True, capture_output=True)
    options = subprocess.run(
        ["meson", "introspect", "--buildoptions", build],
        check=True, capture_output=True, text=True).stdout
    prefix = next(o["value"] for o in json.loads(options)
                  if o["name"] == "prefix")
    return os.path.join(root, prefix.strip("/"))


def verify(prefix, root, top):
    """The units as installed, the programs found at the temporary root."""
    unit = os.path.join(prefix, "lib/systemd/system/nlbd.service")
    with open(unit, encoding="utf-8") as file:
        text = file.read()
    programs = re.findall(r"^Exec\w+=(/\S+)", text, re.MULTILINE)
    findings = [f"the unit starts {path}, which is not installed"
                for path in programs if not os.path.exists(root + path)]
    moved = os.path.join(root, "nlbd.service")
    with open(moved, "w", encoding="utf-8") as file:
        file.write(re.sub(r"^(Exec\w+=)/", rf"\g<1>{root}/", text,
                          flags=re.MULTILINE))
    if len(programs) < 3:
        findings.append(f"the unit's programs are {programs}")
    # Beside it, or systemd finds no service of that name.
    sockets = os.path.join(root, "nlbd.socket")
    shutil.copy(os.path.join(prefix, "lib/systemd/system/nlbd.socket"),
                sockets)
    os.environ["MANPATH"] = os.path.join(prefix, "share/man")
    return findings + common.run(
        ["systemd-analyze", "verify", moved, sockets], top)


def score(prefix, top):
    unit = os.path.join(prefix, "lib/systemd/system/nlbd.service")
    found = common.call(["systemd-analyze", "security", "--offline=yes",
                         f"--threshold={THRESHOLD}", "--no-pager", unit], top)
    if found.returncode == 0:
        return []
    return [line for line in found.stdout.splitlines()
            if not line.startswith("\u2713")] + [found.stderr]


def make_user_and_directories(prefix, root, top):
    """As root alone: for others there is nothing to see."""
    config = os.path.join(root, "etc/nlbd")
    os.makedirs(config, exist_ok=True)
    shutil.copy(os.path.join(top, "config/nlbd.ini"), config)
    findings = []
    for tool, folder in (("systemd-sysusers", "sysusers.d"),
                         ("systemd-tmpfiles", "tmpfiles.d")):
        verb = ["--create"] if folder == "tmpfiles.d" else []
        findings += common.run(
            [tool, *verb, f"--root={root}",
             os.path.join(prefix, "lib", folder, "nlbd.conf")], top)
    with open(os.path.join(root, "etc/group"), encoding="utf-8") as file:
        groups = dict(line.split(":")[::2] for line in file)
    for path, mode in ((config, 0o750),
                       (os.path.join(config, "nlbd.ini"), 0o640)):
        st = os.stat(path)
        if st.st_mode & 0o7777 != mode or str(st.st_gid) != groups.get("nlbd"):
            findings.append(f"{path}: mode {st.st_mode:o}, group {st.st_gid}")
    return findings


def sysctl_keys(top):
    """Every key of the sample exists, but for those of a module."""
    keys = [re.match(r"([a-z0-9_.]+) = ", line) for line in
            common.lines(top, SAMPLE)]
    keys = [found[1] for found in keys if found]
    missing = [key for key in keys
               if not os.path.exists("/proc/sys/" + key.replace(".", "/"))]
    if len(keys) < 3:
        missing.append(f"only {keys}")
    return [f"{SAMPLE}: no such key: {key}" for key in missing]


def main():
    top, build = common.root(), sys.argv[2]
    common.call(["systemd-analyze", "--version"], top)
    with tempfile.TemporaryDirectory(prefix="nlbd-install-") as root:
        prefix = installed(build, root)
        findings = verify(prefix, root, top) + score(prefix, top)
        if os.geteuid() == 0:
            findings += make_user_and_directories(prefix, root, top)
    findings += sysctl_keys(top)
    common.finish("systemd", 5, findings)


main()
