"""The forwarders side by side: each with as many threads or workers as told,
and a config that a competent operator would write."""

import pathlib
import shutil

from .peers import SERVICES
from .processes import (Process, cpu_ns, family, reaped_cpu_ns, settled)
from .topology import CLIENTS, FRONT, TARGET


class Forwarder:
    name = ""
    program = ""
    first_port = 0
    has_process = True  # else the kernel does it all
    parts = None        # where it takes part; None: everywhere
    slowness = 1        # it is given so much less to do

    def __init__(self, topology, workers=1):
        self.topology = topology
        self.workers = workers
        self.least_processes = 1
        self.process = None
        self.counted = []  # whose CPU time was last counted

    def is_available(self):
        return shutil.which(self.program) is not None

    def takes_part(self, part):
        return self.parts is None or part in self.parts

    def port(self, service):
        return self.first_port + list(SERVICES).index(service)

    def address(self, service):
        return FRONT, self.port(service)

    def write_config(self, directory):
        """Writes the config; returns the command line."""
        raise NotImplementedError

    def start(self, directory):
        directory = directory / self.name
        directory.mkdir(exist_ok=True)
        self.process = Process(
            self.topology.forwarder.command(self.write_config(directory)),
            directory / "log")
        self.process.wait_for(self.is_ready, 30, f"{self.name} is ready")

    def is_ready(self):
        """With all its workers: the first one makes the ports answer."""
        return (len(self.pids()) >= self.least_processes
                and all(self.topology.answers(*self.address(service))
                        for service in SERVICES))

    def stop(self):
        if self.process is not None:
            self.process.stop()
            self.process = None

    def pause(self):
        """Leaves the field to the others of a round."""

    def resume(self):
        """Its turn."""

    def pids(self):
        return family(self.process.pid)

    def cpu_ns(self):
        """Once it is at rest: all its processes, which are in `counted`: two
        figures of different ones have no difference."""
        def total():
            self.counted = self.pids()
            return cpu_ns(self.counted)

        return settled(total)

    def running_cpu_ns(self):
        """At this moment, in the middle of its work."""
        return cpu_ns(self.pids())


class Direct(Forwarder):
    """No forwarder: the kernel routes."""

    name = "direct"
    has_process = False
    parts = ["smtp", "session", "pingpong", "core", "bulk", "sizes"]

    def is_available(self):
        return True

    def address(self, service):
        return TARGET, SERVICES[service]

    def start(self, directory):
        pass

    def stop(self):
        pass

    def cpu_ns(self):
        return 0


class Dnat(Direct):
    """nft DNAT: what an NLB does to packets, by the kernel. Its rules, and with
    them connection tracking for all, are there during its turn only."""

    name = "nft-dnat"
    first_port = 20600

    def is_available(self):
        return shutil.which("nft") is not None

    def address(self, service):
        return FRONT, self.port(service)

    def resume(self):
        rules = "\n".join(
            f"ip daddr {FRONT} tcp dport {self.port(service)} "
            f"dnat to {TARGET}:{port}" for service, port in SERVICES.items())
        self.topology.nft(
            "table ip bench {\nchain forward {\n"
            "type nat hook prerouting priority dstnat\n"
            f"{rules}\n}}\n}}\n")

    def pause(self):
        self.topology.nft("delete table ip bench\n")


class Nlbd(Forwarder):
    name = "nlbd"
    first_port = 20100
    http = FRONT, 20190

    def __init__(self, topology, build, workers=1):
        super().__init__(topology, workers)
        self.least_processes = 1 + workers
        self.program = str(build / "nlbd")

    def is_available(self):
        return pathlib.Path(self.program).exists()

    def write_config(self, directory):
        text = ["[load-balancer]", "Name = bench"]
        for service, target_port in SERVICES.items():
            text += [
                f"[listener {service}]",
                f"Address = {FRONT}",
                f"Port = {self.port(service)}",
                "SecurityGroups = clients",
                f"DefaultActions = forward:{service}",
                f"[target-group {service}]",
                f"Port = {target_port}",
                f"HealthCheckPort = {SERVICES['sink']}",
                f"Target.one = Id={TARGET}",
            ]
        text += [
            "[security-group clients]",
            f"Inbound.all = Protocol=tcp,PortRange=1-65535,Source={CLIENTS}",
            "[node]",
            f"Workers = {self.workers}",
            "MaxFlowsPerSource = 0",
            f"AdminSocket = {directory}/nlbd.sock",
            "HttpListen = {}:{}".format(*self.http),
            "DrainTimeoutSeconds = 0",
        ]
        config = directory / "nlbd.ini"
        config.write_text("\n".join(text) + "\n")
        return [self.program, "-c", config]


class HAProxy(Forwarder):
    name = "haproxy"
    program = "haproxy"
    first_port = 20200
    pipe_size = ""

    def write_config(self, directory):
        # 9,850 connections and the pipes fit 20,000 descriptors. splice-auto
        # was seen to splice nothing of one fast stream, so the bulk listener
        # asks for it outright.
        text = f"""
global
    nbthread {self.workers}
    maxconn 9850
    maxpipes 50
    {self.pipe_size}
defaults
    mode tcp
    backlog 4096
    timeout connect 3s
    timeout client 350s
    timeout server 350s
"""
        for service, target_port in SERVICES.items():
            splice = "option splice-auto"
            if service == "bulk":
                splice = "option splice-request\n    option splice-response"
            text += f"""
listen {service}
    bind {FRONT}:{self.port(service)}
    {splice}
    server one {TARGET}:{target_port}
"""
        config = directory / "haproxy.cfg"
        config.write_text(text)
        return [self.program, "-db", "-f", config]


class HAProxyLargePipes(HAProxy):
    """With pipes as large as nlbd's, which few configs have."""

    name = "haproxy1m"
    first_port = 20400
    pipe_size = "tune.pipesize 1048576"
    parts = ["bulk"]


class Nginx(Forwarder):
    name = "nginx"
    program = "nginx"
    first_port = 20300

    def __init__(self, topology, workers=1):
        super().__init__(topology, workers)
        self.least_processes = 1 + workers

    def write_config(self, directory):
        # One worker has nobody to share a port with.
        share = "reuseport" if self.workers > 1 else ""
        text = f"""
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off;
user nobody nogroup;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
worker_processes {self.workers};
worker_rlimit_nofile 20000;
events {{
    worker_connections 19900;
}}
stream {{
    proxy_connect_timeout 3s;
    proxy_timeout 350s;
"""
        for service, target_port in SERVICES.items():
            text += f"""
    server {{
        listen {FRONT}:{self.port(service)} backlog=4096 {share};
        proxy_pass {TARGET}:{target_port};
    }}
"""
        config = directory / "nginx.conf"
        config.write_text(text + "}\n")
        return [self.program, "-p", directory, "-c", config,
                "-e", directory / "error.log"]


class Bare(Forwarder):
    """A loop that forwards and does nothing else, to compare with."""

    name = "bare"
    first_port = 20700
    parts = ["smtp", "session", "pingpong", "bulk", "core", "syscalls",
             "flows"]

    def __init__(self, topology, build):
        super().__init__(topology)
        self.program = str(build / "bench/nlbd-bare")

    def is_available(self):
        return pathlib.Path(self.program).exists()

    def write_config(self, directory):
        return [self.program, *(
            f"{FRONT}:{self.port(service)}={TARGET}:{target_port}"
            for service, target_port in SERVICES.items())]


class Socat(Forwarder):
    """The slow end: a process for each connection."""

    name = "socat"
    program = "socat"
    first_port = 20500
    parts = ["smtp", "session", "bulk"]
    slowness = 20

    def write_config(self, directory):
        lines = [f"socat TCP-LISTEN:{self.port(service)},bind={FRONT},fork,"
                 f"reuseaddr,backlog=4096 TCP:{TARGET}:{target_port} &"
                 for service, target_port in SERVICES.items()]
        script = directory / "socat.sh"
        script.write_text("\n".join(
            ["trap 'kill $(jobs -p)' EXIT", "trap exit TERM",
             *lines, "wait"]) + "\n")
        return ["bash", script]

    def cpu_ns(self):
        """Its children come and go: what they used shows when they ended."""
        def total():
            listeners = self.pids()[1:1 + len(SERVICES)]
            return cpu_ns(listeners) + sum(map(reaped_cpu_ns, listeners))

        return settled(total)


def all_forwarders(topology, build, workers):
    """Those that are installed, nlbd first."""
    found, missing = [], []
    alone = [Bare(topology, build)] if workers == 1 else []
    for forwarder in (Nlbd(topology, build, workers),
                      HAProxy(topology, workers),
                      HAProxyLargePipes(topology, workers),
                      Nginx(topology, workers), *alone,
                      Direct(topology), Dnat(topology), Socat(topology)):
        (found if forwarder.is_available() else missing).append(forwarder)
    return found, missing
