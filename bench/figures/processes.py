"""Starting, ending and accounting of processes."""

import pathlib
import socket
import subprocess
import sys
import time

PROC = pathlib.Path("/proc")
PROGRAM = pathlib.Path(sys.argv[0]).name


def wait_until(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"{PROGRAM}: {what}: not within {seconds} s")
        time.sleep(0.02)


def accepts(address, port):
    try:
        with socket.create_connection((address, port), timeout=1):
            return True
    except OSError:
        return False


class Process:
    """A program whose output goes to a file; ended on leaving."""

    def __init__(self, argv, log):
        self.argv = [str(part) for part in argv]
        self.log = log
        with open(log, "wb") as out:
            self.child = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.STDOUT)

    @property
    def pid(self):
        return self.child.pid

    def text(self):
        return self.log.read_text(errors="replace")

    def wait_for(self, condition, seconds, what):
        def check():
            if self.child.poll() is not None:
                raise SystemExit(
                    f"{PROGRAM}: {self.argv[0]} ended:\n{self.text()}")
            return condition()

        wait_until(check, seconds, what)

    def stop(self):
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(5)
            except subprocess.TimeoutExpired:
                self.child.kill()
        self.child.wait()


def family(pid):
    """The process and all that descend from it."""
    parents = {}
    for path in PROC.glob("[0-9]*/stat"):
        try:
            text = path.read_text()
        except OSError:
            continue
        parents[int(path.parent.name)] = int(text.rsplit(")", 1)[1].split()[1])
    members = [pid]
    for member in members:
        members += [child for child, ppid in parents.items() if ppid == member]
    return members


def schedstat(pids):
    """Time on a CPU, user and system, and time of waiting for one, in ns, of
    all threads. The scheduler's own count: /proc/PID/stat has the first in
    ticks of 10 ms."""
    on_cpu = waiting = 0
    for pid in pids:
        for task in (PROC / str(pid) / "task").iterdir():
            fields = (task / "schedstat").read_text().split()
            on_cpu += int(fields[0])
            waiting += int(fields[1])
    return on_cpu, waiting


def cpu_ns(pids):
    return schedstat(pids)[0]


def rss_bytes(pid):
    for line in (PROC / str(pid) / "status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0
