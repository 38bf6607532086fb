"""A network namespace of its own for a measurement."""

import os
import pathlib
import subprocess
import sys

INSIDE = "NLBD_FIGURES_NAMESPACE"
SYSCTLS = {
    # Above the forwarders' ports: a connect to a port that nobody listens on
    # yet could otherwise meet itself.
    "net/ipv4/ip_local_port_range": "21000 65535",
    # bbr, where it is the default, paces each stream and hides the
    # forwarder behind its timers; reno may be set in any namespace.
    "net/ipv4/tcp_congestion_control": "reno",
    "net/ipv4/tcp_tw_reuse": "1",
    "net/ipv4/tcp_max_syn_backlog": "65535",
    "net/core/somaxconn": "65535",
}


def enter(program):
    """Starts this script again in a namespace where only loopback exists, and
    sets that up."""
    if INSIDE not in os.environ:
        if os.geteuid() != 0:
            sys.exit(f"{program}: makes a network namespace: run it as root")
        os.environ[INSIDE] = "1"
        os.execvp("unshare", ["unshare", "--net", sys.executable, *sys.argv])
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for name, value in SYSCTLS.items():
        path = pathlib.Path("/proc/sys") / name
        if path.exists():
            path.write_text(value)
