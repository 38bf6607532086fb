"""ec2_main.py WORLD PROGRAM [ARGUMENT...]

Stands in for a program of an EC2 node. Each call goes to the log; what a call
gives lies in world.json, and a call with all words of an entry of "fail" there
fails; one with all words of an entry of "hang" does not end.
"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(sys.argv[1])
WORLD = json.loads((HERE / "world.json").read_text())
PID = HERE / "nlbd.pid"
STOP_S = 10
AGENT = "the agent"


def option(args, name):
    return args[args.index(name) + 1]


def alive(pid):
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return text.rpartition(")")[2].split()[0] != "Z"


def stop_nlbd():
    """A second SIGTERM ends the flows."""
    if not PID.exists():
        return
    pid = int(PID.read_text())
    end = time.monotonic() + STOP_S
    while alive(pid):
        if time.monotonic() > end:
            sys.exit(f"nlbd {pid} does not end")
        os.kill(pid, signal.SIGTERM)
        time.sleep(0.1)
    PID.unlink()


def systemctl(args):
    if args == ["restart", "nlbd"]:
        stop_nlbd()
        with open(HERE / "nlbd.log", "ab") as log:
            child = subprocess.Popen(
                [WORLD["nlbd"], "-c", "/etc/nlbd/nlbd.ini"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True)
        PID.write_text(str(child.pid))
    elif args == ["reload", "nlbd"]:
        for verb in ("check", "reload"):
            code = subprocess.call([WORLD["nlbctl"], verb])
            if code != 0:
                sys.exit(code)


def aws(args):
    call = args[:2]
    if call == ["ssm", "get-parameter"]:
        name = option(args, "--name")
        if name not in WORLD["parameters"]:
            sys.exit(f"ParameterNotFound: {name}")
        print(WORLD["parameters"][name])
    elif call == ["s3", "cp"]:
        source, goal = args[-2:]
        if source not in WORLD["objects"]:
            sys.exit(f"404: {source}")
        pathlib.Path(goal).write_text(WORLD["objects"][source])


def apt_get(args):
    """The package's user, directories and examples."""
    content = pathlib.Path(args[-1]).read_text()
    if content == AGENT:
        return
    assert content in WORLD["objects"].values()
    with open("/etc/group", "r+", encoding="ascii") as file:
        if "nlbd:" not in file.read():
            file.write("nlbd:x:4711:\n")
    for folder in ("/etc/nlbd", "/run/nlbd", "/var/log/nlbd"):
        os.makedirs(folder, exist_ok=True)
    examples = pathlib.Path("/usr/share/doc/nlbd/examples")
    examples.mkdir(parents=True, exist_ok=True)
    shutil.copy(WORLD["sysctl"], examples / "nlbd.sysctl")


def curl(args):
    if "--unix-socket" in args:
        sys.exit(subprocess.call([WORLD["curl"], *args]))
    pathlib.Path(option(args, "-o")).write_text(AGENT)


def cloud_init(args):
    print(WORLD[args[-1]])


def dpkg(args):
    assert args == ["--print-architecture"]
    print("amd64")


def real(name):
    def run(args):
        os.execv(WORLD[name], [name, *args])
    return run


def nothing(_args):
    """Only the call itself matters."""


PROGRAMS = {"apt-get": apt_get, "aws": aws, "cloud-init": cloud_init,
            "curl": curl, "dpkg": dpkg, "nlbctl": real("nlbctl"),
            "nlbd": real("nlbd"), "sleep": nothing, "sysctl": nothing,
            "systemctl": systemctl}


def main():
    name, *args = sys.argv[2:]
    with open(HERE / "calls", "a", encoding="utf-8") as log:
        log.write(json.dumps([name, *args]) + "\n")
    call = {name, *(arg.rpartition("/")[2] for arg in args)}
    if any(call.issuperset(words) for words in WORLD["fail"]):
        sys.exit(1)
    if any(call.issuperset(words) for words in WORLD["hang"]):
        signal.pause()
    PROGRAMS[name](args)


main()
