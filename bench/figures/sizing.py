"""What a machine needs, out of the measured slopes of one run. Every step of
the reckoning is printed with the table."""

from .report import number
from .stats import slope

CASES = [  # flows held, sessions per second, Mbit/s of payload
    (1_000, 10, 10),
    (10_000, 100, 100),
    (50_000, 500, 1_000),
    (100_000, 2_000, 5_000),
]
FDS_PER_FLOW = 2   # the client's side and the target's
LIMIT = 1_048_576  # LimitNOFILE of the shipped unit
HEADROOM = 0.6     # a core is planned to be so busy at most


def slopes(results):
    """None for what the run has not measured."""
    memory = [(at, value * at) for at in results.places("memory")
              for value in results.values("memory", "bytes_per_flow", "nlbd",
                                          at)]
    per_flow = slope(memory)[0] if memory else None
    kernel = [value for at in results.places("memory") if (
        value := results.median("memory", "kernel_bytes_per_flow", "nlbd",
                                at)) is not None]
    cpu = (results.median("smtp", "cpu_us_per_session", "nlbd")
           or results.median("session", "cpu_us_per_session", "nlbd"))
    return {"user_bytes_per_flow": per_flow, "kernel_bytes_per_flow": max(kernel, default=None),
            "cpu_us_per_session": cpu,
            "cpu_ms_per_gb": results.median("bulk", "cpu_ms_per_gb", "nlbd")}


def cores(per, sessions, mbit):
    return (sessions * per["cpu_us_per_session"] / 1e6
            + mbit / 8 / 1e3 * per["cpu_ms_per_gb"] / 1e3)


def megabytes(value):
    return number(value / 1e6) + " MB"


def sizing(results, show=print):
    """Returns whether all that it needs was measured."""
    per = slopes(results)
    missing = [key for key, value in per.items() if value is None]
    if missing:
        show(f"sizing: not measured: {', '.join(missing)}; run the parts "
             "smtp, bulk and memory")
        return False
    show(f"\nMeasured slopes ({results.meta['date']}, "
         f"{results.meta['machine']}):")
    show(f"  {number(per['user_bytes_per_flow'])} B of nlbd's own memory per "
         "idle flow (least squares over "
         f"{', '.join(f'{at:,}' for at in results.places('memory'))} flows)")
    show(f"  {number(per['kernel_bytes_per_flow'])} B of kernel memory for its "
         "two sockets (half of what a flow's four took, the\n  most of these "
         "sizes)")
    show(f"  {number(per['cpu_us_per_session'])} us of a core per SMTP session "
         "of one 2 KiB mail")
    show(f"  {number(per['cpu_ms_per_gb'])} ms of a core per GB of payload")
    show("Reckoned from them: cores = sessions/s x us per session + GB/s x ms "
         "per GB; a worker is one core\nthat is planned to be "
         f"{HEADROOM:.0%} busy, and holds {LIMIT // FDS_PER_FLOW:,} flows by "
         "descriptors. Socket buffers of flows that\nmove data come on top: "
         "up to net.ipv4.tcp_rmem and tcp_wmem for each; so do the "
         "interrupts of a network\ncard, which the veth pairs of the "
         "measurement have not.")
    show(f"  {'flows':>8} {'sessions/s':>11} {'Mbit/s':>7} {'cores busy':>11} "
         f"{'workers':>8} {'nlbd':>9} {'kernel':>9}")
    for flows, sessions, mbit in CASES:
        busy = cores(per, sessions, mbit)
        by_flows = -(-flows * FDS_PER_FLOW // LIMIT)
        workers = max(1, by_flows, -(-int(busy * 1000) // int(HEADROOM * 1000)))
        show(f"  {flows:8,} {sessions:11,} {mbit:7,} {busy:11.2f} "
             f"{workers:8} "
             f"{megabytes(flows * per['user_bytes_per_flow']):>9} "
             f"{megabytes(flows * per['kernel_bytes_per_flow']):>9}")
    return True
