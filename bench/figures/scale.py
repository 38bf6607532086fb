"""nlbd with few and with many targets and rules."""

import json
import socket
import subprocess
import threading
import time

from .processes import (Process, accepts, family, schedstat,
                        settled_cpu_ns, wait_until)

TARGET_PORT = 2526
# Its source is not one of the 127.0.0.0/8 that nlbd's rules are about.
PEER = "127.0.0.1"


class Config:
    """A file with so many targets and rules, in two versions: every reload
    finds one target and one rule exchanged."""

    def __init__(self, targets, rules, port, socket_path, workers):
        self.targets, self.rules, self.port = targets, rules, port
        self.socket_path, self.workers = socket_path, workers

    def target_lines(self, version):
        """All of 127.0.0.0/8 is this machine, where one server listens."""
        for number in range(self.targets):
            if number == self.targets - 1 and self.targets > 1:
                number += version
            yield (f"Target.t{number} = "
                   f"Id=127.1.{number >> 7}.{(number & 127) + 1}")

    def rule_lines(self, version):
        """Every other address of 10.0.0.0/8, so that nothing merges."""
        for number in range(self.rules - 1):
            if number == self.rules - 2:
                number += version
            n = 2 * number
            yield (f"Inbound.r{number} = Protocol=tcp,PortRange={self.port},"
                   f"Source=10.{n >> 16}.{n >> 8 & 255}.{n & 255}/32")
        yield ("Inbound.self = Protocol=tcp,PortRange=1-65535,"
               f"Source={PEER}/32")

    def text(self, version):
        return "\n".join([
            "[load-balancer]", "Name = scale",
            "[listener in]", f"Address = {PEER}", f"Port = {self.port}",
            "SecurityGroups = clients", "DefaultActions = forward:servers",
            "[security-group clients]", *self.rule_lines(version),
            "[target-group servers]", f"Port = {TARGET_PORT}",
            "HealthCheckIntervalSeconds = 300", *self.target_lines(version),
            "[node]", f"Workers = {self.workers}", "MaxFlowsPerSource = 0",
            f"AdminSocket = {self.socket_path}", "DrainTimeoutSeconds = 0",
        ]) + "\n"


class ScaledNlbd:
    def __init__(self, build, directory, port, targets, rules, workers):
        self.name = f"{targets} targets, {rules} rules"
        self.targets, self.rules, self.port = targets, rules, port
        self.directory = directory / f"{port}"
        self.directory.mkdir()
        self.build = build
        self.path = self.directory / "nlbd.ini"
        self.socket_path = self.directory / "nlbd.sock"
        self.config = Config(targets, rules, port, self.socket_path, workers)
        self.version = 0
        self.path.write_text(self.config.text(0))
        self.process = Process([build / "nlbd", "-c", self.path],
                               self.directory / "log")

    def nlbctl(self, *words):
        return subprocess.run(
            [self.build / "nlbctl", "-s", self.socket_path, *words],
            capture_output=True, text=True, check=False)

    def wait_until_healthy(self):
        """New flows go to all targets."""
        def is_healthy():
            done = self.nlbctl("-o", "json", "describe-target-health")
            return done.returncode == 0 and done.stdout.count(
                '"healthy"') >= self.targets

        self.process.wait_for(lambda: accepts(PEER, self.port), 30,
                              f"nlbd with {self.name} listens")
        wait_until(is_healthy, 60, f"{self.name}: all are healthy")

    def reload(self):
        """From the start of nlbctl to its end: all workers serve by then. How
        long, and for how much of it nlbd was ready to run and other programs
        had the CPUs: the workers' part runs side by side."""
        self.version = 1 - self.version
        self.path.write_text(self.config.text(self.version))
        pids = family(self.process.pid)
        before = [schedstat([pid]) for pid in pids]
        began = time.monotonic()
        done = self.nlbctl("reload")
        took_ms = (time.monotonic() - began) * 1e3
        waited_ms = [(schedstat([pid])[1] - was[1]) / 1e6
                     for pid, was in zip(pids, before)]
        if done.returncode != 0 or "accepted" not in done.stdout:
            raise SystemExit(f"scale_figures: {self.name}: reload: "
                             f"{done.stdout}{done.stderr}")
        return took_ms, waited_ms[0] + max(waited_ms[1:])

    def worker_pids(self):
        return family(self.process.pid)[1:]

    def stop(self):
        self.process.stop()


class Servers:
    """One SMTP server on all addresses of this machine."""

    def __init__(self, build, directory):
        self.build, self.directory = build, directory
        self.process = Process(
            [build / "bench/nlbd-smtp-target",
             "--listen", f"0.0.0.0:{TARGET_PORT}"], directory / "servers.log")
        self.process.wait_for(lambda: accepts(PEER, TARGET_PORT), 10,
                              "the servers listen")

    def hold(self, port, count):
        holder = Process(
            [self.build / "bench/nlbbench", "idle", "--flows", count,
             "--duration", 3600, f"{PEER}:{port}"], self.directory / f"hold-{port}.log")
        holder.wait_for(lambda: f"holding {count}" in holder.text(), 60,
                        f"{count} flows are held at port {port}")
        return holder

    def stop(self):
        self.process.stop()


class Conversation:
    """One flow that says NOOP and waits for the answer, again and again; keeps
    the longest wait."""

    def __init__(self, port):
        self.socket = socket.create_connection((PEER, port), timeout=20)
        self.file = self.socket.makefile("rwb")
        self.longest_ms = 0
        self.count = 0
        self.failure = None
        self.is_over = False
        self.file.readline()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            while not self.is_over:
                began = time.monotonic()
                self.file.write(b"NOOP\r\n")
                self.file.flush()
                if not self.file.readline().startswith(b"250"):
                    raise OSError("no answer to NOOP")
                took_ms = (time.monotonic() - began) * 1e3
                self.longest_ms = max(self.longest_ms, took_ms)
                self.count += 1
                time.sleep(0.001)
        except OSError as error:
            self.failure = str(error)

    def stop(self):
        self.is_over = True
        self.thread.join()
        self.socket.close()


def measure_reload(make, servers, options):
    """Each size in turns. The largest also holds flows meanwhile."""
    sizes = [(10, 1), (100, 1), (1000, 1), (1000, 10000)]
    nlbds = [make(targets, rules, 2) for targets, rules in sizes]
    values = {nlbd.name: [] for nlbd in nlbds}
    for nlbd in nlbds:
        nlbd.wait_until_healthy()
    holder = servers.hold(nlbds[-1].port, options.held)
    talk = Conversation(nlbds[-1].port)
    for number in range(options.rounds):
        for nlbd in nlbds:
            took_ms, waited_ms = nlbd.reload()
            values[nlbd.name].append({"ms": took_ms, "waited_ms": waited_ms})
            print(f"reload {number + 1:2}  {nlbd.name:26} {took_ms:6.1f} ms, "
                  f"of it waited for a CPU {waited_ms:5.1f} ms", flush=True)
    talk.stop()
    holder.stop()
    # At its end each flow still had to answer.
    is_whole = talk.failure is None and \
        f"{options.held} ended as they should, 0 failed" in holder.text()
    for nlbd in nlbds:
        nlbd.stop()
    return {"rows": values, "flows_undisturbed": is_whole,
            "held": options.held, "longest_answer_ms": talk.longest_ms,
            "answers": talk.count}


def flow_round(nlbd, servers, options):
    """CPU of the worker for each flow: accepted, connected, greeted, ended."""
    pids = nlbd.worker_pids()
    before = settled_cpu_ns(pids)
    servers.hold(nlbd.port, options.flows).stop()
    after = settled_cpu_ns(pids)
    if nlbd.worker_pids() != pids:
        raise SystemExit(f"scale_figures: {nlbd.name}: a worker was replaced")
    return (after - before) / 1e3 / options.flows


def measure_flows(make, servers, options):
    sizes = [(1, 1), (100, 1), (1000, 1), (1, 100), (1, 10000), (1000, 10000)]
    nlbds = [make(targets, rules, 1) for targets, rules in sizes]
    values = {nlbd.name: [] for nlbd in nlbds}
    for nlbd in nlbds:
        nlbd.wait_until_healthy()
        flow_round(nlbd, servers, options)  # warm
    for number in range(options.rounds):
        for nlbd in nlbds:
            cost_us = flow_round(nlbd, servers, options)
            values[nlbd.name].append(cost_us)
            print(f"flows {number + 1:2}  {nlbd.name:26} {cost_us:6.1f} us",
                  flush=True)
    for nlbd in nlbds:
        nlbd.stop()
    return {"us_per_flow": values}


def measure_decisions(build, options):
    """The two decisions alone, as functions."""
    done = subprocess.run(
        [build / "bench/nlbd-pick-cost", str(2 * options.rounds + 1)],
        capture_output=True, text=True, check=True)
    return json.loads(done.stdout)
