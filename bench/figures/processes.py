"""Starting, ending and accounting of processes."""

import os
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
            if condition():
                return True
            if self.child.poll() is not None:
                raise SystemExit(
                    f"{PROGRAM}: {self.argv[0]} ended:\n{self.text()}")
            return False

        wait_until(check, seconds, what)

    def wait(self, seconds):
        """Waits for its own end; returns the exit code."""
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            raise SystemExit(f"{PROGRAM}: {self.argv[0]} still runs after "
                             f"{seconds} s:\n{self.text()}") from None

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


def place(pids, cpus):
    """All their threads on these CPUs; what they start later follows."""
    for pid in pids:
        for task in (PROC / str(pid) / "task").iterdir():
            os.sched_setaffinity(int(task.name), cpus)


def cpu_ns(pids):
    return schedstat(pids)[0]


def reaped_cpu_ns(pid):
    """That of children that have ended, in ticks."""
    fields = (PROC / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()
    ticks = int(fields[13]) + int(fields[14])
    return ticks * 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def settled_cpu_ns(pids):
    """CPU time once it has stopped growing: the last closes are done."""
    return settled(lambda: cpu_ns(pids))


def settled(read_ns):
    seen = [read_ns()]

    def is_settled():
        time.sleep(0.1)
        seen.append(read_ns())
        return seen[-1] - seen[-2] < 1_000_000

    wait_until(is_settled, 30, "the forwarder came to rest")
    return seen[-1]


def machine_busy_ns():
    """CPU time of everything on the machine but idling and waiting."""
    fields = (PROC / "stat").read_text().splitlines()[0].split()[1:9]
    ticks = sum(map(int, fields)) - int(fields[3]) - int(fields[4])
    return ticks * 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def rss_bytes(pid):
    for line in (PROC / str(pid) / "status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def slab_bytes():
    """What the kernel's objects take, sockets among them: those in use, for
    the pages of freed ones are kept for a while."""
    total = 0
    for line in (PROC / "slabinfo").read_text().splitlines()[2:]:
        _, active, _, size = line.split()[:4]
        total += int(active) * int(size)
    return total
