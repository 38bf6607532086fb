"""The forwarders side by side: each with one thread, and a config that a
competent operator would write."""

import pathlib
import shutil

from .peers import BULK_PORT, IDLE_PORT, SMTP_PORT, TARGET
from .processes import Process, accepts, family

PARTS = {"smtp": SMTP_PORT, "bulk": BULK_PORT, "memory": IDLE_PORT}


class Forwarder:
    name = ""
    program = ""
    first_port = 0
    parts = PARTS  # where it takes part

    def __init__(self):
        self.process = None

    def is_available(self):
        return shutil.which(self.program) is not None

    def port(self, part):
        return self.first_port + list(PARTS).index(part)

    def write_config(self, directory):
        """Writes the config; returns the command line."""
        raise NotImplementedError

    def start(self, directory):
        directory = directory / self.name
        directory.mkdir(exist_ok=True)
        self.process = Process(self.write_config(directory),
                               directory / "log")
        self.process.wait_for(self.is_ready, 20, f"{self.name} is ready")

    def is_ready(self):
        return all(accepts("127.0.0.1", self.port(part)) for part in PARTS)

    def stop(self):
        if self.process is not None:
            self.process.stop()
            self.process = None

    def pids(self):
        return family(self.process.pid)

    def data_pid(self):
        """The one process that holds the flows."""
        return self.pids()[-1]


class Nlbd(Forwarder):
    name = "nlbd"
    first_port = 20100

    def __init__(self, build):
        super().__init__()
        self.program = str(build / "nlbd")

    def is_available(self):
        return pathlib.Path(self.program).exists()

    def write_config(self, directory):
        text = ["[load-balancer]", "Name = figures"]
        for part, target_port in PARTS.items():
            text += [
                f"[listener {part}]",
                "Address = 127.0.0.1",
                f"Port = {self.port(part)}",
                "SecurityGroups = loopback",
                f"DefaultActions = forward:{part}",
                f"[target-group {part}]",
                f"Port = {target_port}",
                f"HealthCheckPort = {SMTP_PORT}",
                f"Target.one = Id={TARGET}",
            ]
        text += [
            "[security-group loopback]",
            "Inbound.all = Protocol=tcp,PortRange=1-65535,Source=127.0.0.0/8",
            "[node]",
            "Workers = 1",
            "MaxFlowsPerSource = 0",
            f"AdminSocket = {directory}/nlbd.sock",
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
    nbthread 1
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
        for part, target_port in PARTS.items():
            splice = "option splice-auto"
            if part == "bulk":
                splice = "option splice-request\n    option splice-response"
            text += f"""
listen {part}
    bind 127.0.0.1:{self.port(part)}
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
    parts = {"bulk": BULK_PORT}


class Nginx(Forwarder):
    name = "nginx"
    program = "nginx"
    first_port = 20300

    def write_config(self, directory):
        text = f"""
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off;
user nobody nogroup;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
worker_processes 1;
worker_rlimit_nofile 20000;
events {{
    worker_connections 19900;
}}
stream {{
    proxy_connect_timeout 3s;
    proxy_timeout 350s;
"""
        for part, target_port in PARTS.items():
            text += f"""
    server {{
        listen 127.0.0.1:{self.port(part)} backlog=4096;
        proxy_pass {TARGET}:{target_port};
    }}
"""
        config = directory / "nginx.conf"
        config.write_text(text + "}\n")
        return [self.program, "-p", directory, "-c", config,
                "-e", directory / "error.log"]
