"""Client, forwarder and server in network namespaces of their own, joined by
veth pairs: those of the system tests, with the sysctls of a measurement."""

import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]
                       / "tests/system"))

from lab.netns import FRONT4, TARGET4, Network  # noqa: E402

FRONT = FRONT4  # where forwarders listen
TARGET = TARGET4[0]
CLIENTS = "192.0.2.0/24"
SYSCTLS = {
    "net.ipv4.ip_local_port_range": "10000 65535",
    # bbr, where it is the default, paces each stream and hides the
    # forwarder behind its timers; reno may be set in any namespace.
    "net.ipv4.tcp_congestion_control": "reno",
    "net.ipv4.tcp_tw_reuse": "1",
    "net.ipv4.tcp_max_syn_backlog": "65535",
    "net.core.somaxconn": "65535",
    "net.ipv4.tcp_rmem": "4096 131072 33554432",
    "net.ipv4.tcp_wmem": "4096 16384 4194304",
}


class Topology:
    """Left with close(), or at the end of the program whatever happens."""

    def __init__(self):
        self.network = Network()
        self.client = self.network.client
        self.forwarder = self.network.nlbd
        self.server = self.network.server
        # For `direct` and nft DNAT; it is no way around a forwarder, because
        # nobody but they is told the target's address.
        self.network.route_directly(True)
        for namespace in (self.client, self.forwarder, self.server):
            for key, value in SYSCTLS.items():
                namespace.sysctl(key, value)
        # A SYN flood's sources are nowhere.
        for device in ("all", "front"):
            self.forwarder.sysctl(f"net.ipv4.conf.{device}.rp_filter", 0)

    def nft(self, text):
        """Rules for the forwarder's namespace."""
        subprocess.run(self.forwarder.command(["nft", "-f", "-"]),
                       input=text, text=True, check=True)

    def close(self):
        self.network.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def answers(self, address, port):
        """Whether a connect from the client side is taken."""
        sock = self.client.socket()
        sock.settimeout(1)
        try:
            sock.connect((address, port))
        except OSError:
            return False
        finally:
            sock.close()
        return True
