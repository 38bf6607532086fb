"""Runs nlbd in its namespace and asks it through nlbctl."""
import contextlib
import glob
import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import time

from . import ini
from .netns import FRONT4
from .process import Process
from .wait import wait_until

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("NLBD_BUILD") or REPOSITORY / "build")
NLBD, NLBCTL = BUILD / "nlbd", BUILD / "nlbctl"
SANITIZED = os.environ.get("NLBD_SANITIZED") == "1"
READY_S = 10
SERVING = "serving"  # a worker's state in nlbctl status
STOP_S = 15
SANITIZER_REPORT = (r"ERROR: AddressSanitizer|ERROR: LeakSanitizer"
                    r"|runtime error:|AddressSanitizer:DEADLYSIGNAL")


def scaled(full, sanitized):
    """A count or bound: sanitized builds are slower and are given less."""
    return sanitized if SANITIZED else full


class Daemon:
    """One nlbd, from its INI to its clean end."""

    def __init__(self, network, sections=None, text=None, nofile=None):
        self.network = network
        self._directory = tempfile.TemporaryDirectory(prefix="nlbd-test-")
        self.directory = pathlib.Path(self._directory.name)
        self.directory.chmod(0o755)
        self.config = self.directory / "nlbd.ini"
        self.socket = self.directory / "nlbd.sock"
        self.flow_log_path = self.directory / "flows.log"
        self.nofile = nofile
        self.program = NLBD.resolve()
        self.process = None
        self.ended = []  # earlier processes, for the sanitizers' reports
        self.write(sections, text)

    def write(self, sections=None, text=None):
        """Writes the INI; AdminSocket and FlowLog are filled in."""
        if text is None:
            sections = dict(sections or ini.base())
            sections["node"] = {"AdminSocket": self.socket,
                                "FlowLog": self.flow_log_path,
                                "DrainTimeoutSeconds": 5,
                                **sections.get("node", {})}
            text = ini.render(sections)
        fresh = self.config.with_suffix(".new")
        fresh.write_text(text)
        fresh.rename(self.config)

    # -- life

    def argv(self, *extra):
        limit = []
        if self.nofile is not None:
            limit = ["prlimit", f"--nofile={self.nofile}", "--"]
        return self.network.nlbd.command(
            [*limit, NLBD, "-c", self.config, *extra])

    def environment(self):
        log = self.directory / "sanitizer"
        return {**os.environ,
                "ASAN_OPTIONS": f"detect_leaks=1:log_path={log}",
                "UBSAN_OPTIONS": f"print_stacktrace=1:log_path={log}"}

    def launch(self):
        """Starts nlbd without waiting for anything."""
        self.process = Process(self.argv(), name="nlbd",
                               env=self.environment()).start()
        return self

    def start(self, healthy=1):
        """Starts nlbd; returns when it answers, all its workers serve, and
        so many targets are healthy."""
        self.launch()
        try:
            wait_until(self.ready, READY_S, "nlbd is ready")
            if healthy > 0:
                self.wait_healthy(healthy)
        except AssertionError as error:
            self.process.kill()
            raise AssertionError(f"{error}\n{self.process.text()}") from None
        return self

    def ready(self):
        assert self.process.running, "nlbd ended at start"
        done = self.ctl_raw("status", "--output", "json")
        if done.returncode != 0:
            return False
        status = json.loads(done.stdout)
        return (status["pid"] == self.process.pid and status["workers"]
                and all(w["state"] == SERVING for w in status["workers"]))

    def stop(self):
        """SIGTERM; nlbd has to leave in peace and take all workers along."""
        if self.process is None:
            return
        code = None
        if self.process.running:
            self.process.signal(signal.SIGTERM)
            code = self.process.wait(STOP_S)
        self.check_clean()
        assert code in (0, None), f"exit {code}:\n{self.process.text()}"

    def check_clean(self):
        """No process is left, and no sanitizer had anything to say."""
        wait_until(lambda: not self.pids(), STOP_S, "all nlbd processes left")
        reports = [pathlib.Path(p).read_text() for p in
                   glob.glob(str(self.directory / "sanitizer.*"))]
        for process in [*self.ended, self.process]:
            if re.search(SANITIZER_REPORT, process.text()):
                reports.append(process.text())
        assert not reports, "\n".join(reports)

    def close(self):
        """Ends everything that is left, whatever state it is in."""
        for pid in self.pids():
            os.kill(pid, signal.SIGKILL)
        for process in [*self.ended, self.process]:
            if process is not None:
                process.kill()
        self._directory.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, kind, *rest):
        try:
            if kind is None:
                self.stop()
            elif self.process is not None:
                print("--- nlbd:", *self.process.lines[-40:], sep="\n")
        finally:
            self.close()

    def replace_dead_supervisor(self):
        """A new supervisor with the same file, after the old one's death."""
        self.process.kill()
        self.ended.append(self.process)
        return self.launch()

    # -- processes

    def pids(self):
        """Every nlbd process of this namespace (workers retitle themselves,
        so the executable is what counts)."""
        return [pid for pid in self.network.nlbd.pids()
                if _executable(pid) == str(self.program)]

    def wait_upgraded(self, before):
        """Returns when all workers are others than these and serve."""
        def serves():
            # Whoever asks at the moment of the exec gets no answer.
            done = self.ctl_raw("status", "--output", "json")
            if done.returncode != 0:
                return False
            workers = json.loads(done.stdout)["workers"]
            return workers and all(
                w["state"] == SERVING and w["pid"] not in before
                for w in workers)

        wait_until(serves, 20, "the new program serves", poll_s=0.05)

    def worker_pids(self):
        return {w["index"]: w["pid"] for w in self.status()["workers"]}

    def owners(self):
        """{(address, port) of a far end: pid that holds the connection}"""
        out = self.network.nlbd.run("ss", "-tnpH").stdout
        return {(address, int(port)): int(pid) for address, port, pid
                in re.findall(r"\s\[?(?:::ffff:)?([0-9a-f:.]+)\]?:(\d+)\s+"
                              r"users:\(\(.*?pid=(\d+)", out)}

    def worker_of(self, peer):
        """The pid that holds the client side of a peer's flow."""
        return self.owners().get(peer.address)

    def socket_fds(self, pids):
        """How many sockets these processes hold."""
        count = 0
        for pid in pids:
            for fd in os.listdir(f"/proc/{pid}/fd"):
                with contextlib.suppress(FileNotFoundError):
                    link = os.readlink(f"/proc/{pid}/fd/{fd}")
                    count += link.startswith("socket:")
        return count

    def cpu_share(self, pid, seconds):
        """The share of one core that a process takes over some seconds."""
        begin, used = time.monotonic(), _cpu_ticks(pid)
        time.sleep(seconds)
        used = _cpu_ticks(pid) - used
        return used / os.sysconf("SC_CLK_TCK") / (time.monotonic() - begin)

    @contextlib.contextmanager
    def stopped(self, pid):
        """SIGSTOP for the span of a `with`."""
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    @contextlib.contextmanager
    def traced(self, pid, calls, output, *options):
        """strace on a process for the span of a `with`."""
        tracer = Process(["strace", "-f", "-p", pid, "-e", f"trace={calls}",
                          *options, "-o", output]).start()
        tracer.wait_line("attached", 5)
        try:
            yield
        finally:
            tracer.terminate()

    def injected(self, pid, call, error, when="2+3"):
        """System calls of a process that fail, for the span of a `with`."""
        return self.traced(pid, call, "/dev/null", "-e",
                           f"inject={call}:error={error}:when={when}")

    # -- asking

    def ctl_raw(self, *args):
        return subprocess.run([str(NLBCTL), "-s", str(self.socket), *args],
                              capture_output=True, text=True, timeout=20,
                              env=self.environment())

    def ctl(self, *args):
        """The JSON answer of a verb that has to succeed."""
        done = self.ctl_raw(*args, "--output", "json")
        assert done.returncode == 0, f"nlbctl {args}: {done.stderr}"
        return json.loads(done.stdout)

    def ctl_done(self, *args):
        """A verb that changes something and has to succeed."""
        done = self.ctl_raw(*args)
        assert done.returncode == 0, f"nlbctl {args}: {done.stderr}"

    def status(self):
        return self.ctl("status")

    def listener(self, name="submission"):
        return next(entry for entry in self.status()["listeners"]
                    if entry["name"] == name)

    def flows(self):
        return self.ctl("flows")["flows"]

    def metric(self, name, by="load-balancer", **dimensions):
        """The one value of a metric; dimensions such as Listener="submission"
        pick it."""
        found = [m["Value"] for m in self.ctl(
            "metrics", "--by", by, "--metric-name", name)["Metrics"]
            if dimensions.items() <= {d["Name"]: d["Value"]
                                      for d in m["Dimensions"]}.items()]
        assert len(found) == 1, f"{name} by {by} {dimensions}: {found}"
        return found[0]

    def health(self, group="smtp"):
        """{address: (state, reason or None)}"""
        answer = self.ctl("describe-target-health", "--target-group", group)
        return {entry["Target"]["Id"]: (entry["TargetHealth"]["State"],
                                        entry["TargetHealth"].get("Reason"))
                for entry in answer["TargetHealthDescriptions"]}

    def wait_healthy(self, count, deadline_s=READY_S, group="smtp"):
        return wait_until(
            lambda: sum(s == "healthy" for s, _ in
                        self.health(group).values()) >= count,
            deadline_s, f"{count} healthy targets", poll_s=0.05)

    def wait_state(self, address, state, deadline_s=READY_S):
        return wait_until(
            lambda: self.health().get(address, (None, None))[0] == state,
            deadline_s, f"{address} {state}", poll_s=0.05)

    def wait_no_flows(self, deadline_s=10):
        return wait_until(lambda: self.listener()["active_flows"] == 0,
                          deadline_s, "no active flow", poll_s=0.05)

    def reload(self, sections=None, text=None):
        """Writes a new file and has it accepted."""
        self.write(sections, text)
        done = self.ctl_raw("reload")
        assert done.returncode == 0, done.stderr

    # -- flow log

    def flow_log(self):
        if not self.flow_log_path.exists():
            return []
        whole, _, _ = self.flow_log_path.read_text().rpartition("\n")
        return [json.loads(line) for line in whole.splitlines()]

    def flow_record(self, client_address, deadline_s=10):
        """The log line of the flow from (address, port), once written."""
        key = endpoint(*client_address)
        return wait_until(
            lambda: next((r for r in self.flow_log() if r["client"] == key),
                         None),
            deadline_s, f"a flow-log line of {key}", poll_s=0.03)

    # -- where clients go

    address = (FRONT4, ini.PORT)


def endpoint(address, port):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _cpu_ticks(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _executable(pid):
    try:
        return os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)")
    except OSError:
        return None
