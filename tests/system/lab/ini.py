"""The daemon's INI as a dict of sections, each a dict of keys."""
from .netns import TARGET4

PORT = 5870
TARGET_PORT = 2525
HEALTH_PORT = 2526

LISTENER = "listener submission"
GROUP = "target-group smtp"
SECURITY_GROUP = "security-group open"


def render(sections):
    lines = []
    for name, keys in sections.items():
        lines.append(f"[{name}]")
        lines += [f"{key} = {value}" for key, value in keys.items()]
        lines.append("")
    return "\n".join(lines)


def target(address, port=None):
    port_part = f"Port={port}," if port is not None else ""
    return f"Id={address},{port_part}AvailabilityZone=all"


def targets(*addresses):
    """Target.t1 ... for the addresses."""
    return {f"Target.t{n}": target(a) for n, a in enumerate(addresses, 1)}


def base(target_addresses=(TARGET4[0],), port=PORT, target_port=TARGET_PORT,
         health_port=HEALTH_PORT, workers=2, **node):
    """A complete configuration: one open listener, one target group with
    quick health checks. Tests change what they are about."""
    v6 = any(":" in a for a in target_addresses)
    return {
        "load-balancer": {
            "Name": "lab",
            "IpAddressType": "dualstack",
            "AvailabilityZone": "zone-a",
            "load_balancing.cross_zone.enabled": "true",
        },
        LISTENER: {
            "Protocol": "TCP",
            "Port": port,
            "SecurityGroups": "open",
            "DefaultActions": "forward:smtp",
        },
        SECURITY_GROUP: {
            "Inbound.v4": f"Protocol=tcp,PortRange={port},Source=0.0.0.0/0",
            "Inbound.v6": f"Protocol=tcp,PortRange={port},Source=::/0",
        },
        GROUP: {
            "Protocol": "TCP",
            "Port": target_port,
            "TargetType": "ip",
            **({"IpAddressType": "ipv6"} if v6 else {}),
            "HealthCheckProtocol": "TCP",
            "HealthCheckPort": health_port,
            "HealthCheckIntervalSeconds": "0.5",
            "HealthCheckTimeoutSeconds": "0.5",
            "HealthyThresholdCount": 2,
            "UnhealthyThresholdCount": 2,
            **targets(*target_addresses),
        },
        "node": {"Workers": workers, **node},
    }
