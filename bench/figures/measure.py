"""The three parts. Each gives, per forwarder, the values of every round."""

import time

from .processes import cpu_ns, rss_bytes, wait_until

WARM_FLOWS = 100


def settled_cpu_ns(pids):
    """CPU time once it has stopped growing: the last closes are done."""
    seen = [cpu_ns(pids)]

    def is_settled():
        time.sleep(0.1)
        seen.append(cpu_ns(pids))
        return seen[-1] - seen[-2] < 1_000_000

    wait_until(is_settled, 30, "the forwarder came to rest")
    return seen[-1]


def same_pids(forwarder, pids):
    if forwarder.pids() != pids:
        raise SystemExit(f"first_figures: a process of {forwarder.name} was "
                         f"replaced:\n{forwarder.process.text()}")


def smtp_round(forwarder, peers, options):
    pids = forwarder.pids()
    before = settled_cpu_ns(pids)
    began = time.monotonic()
    peers.send_mails(forwarder.port("smtp"), options.sessions)
    seconds = time.monotonic() - began
    after = settled_cpu_ns(pids)
    same_pids(forwarder, pids)
    return {"cpu_us_per_session": (after - before) / 1000 / options.sessions,
            "sessions_per_s": options.sessions / seconds}


def bulk_round(forwarder, peers, options):
    pids = forwarder.pids()
    before = settled_cpu_ns(pids)
    count, bits_per_s = peers.send_bulk(forwarder.port("bulk"), options.bulk_s)
    after = settled_cpu_ns(pids)
    same_pids(forwarder, pids)
    return {"gbit_per_s": bits_per_s / 1e9,
            "cpu_ms_per_gb": (after - before) / 1e6 / (count / 1e9)}


def run_rounds(part, one_round, forwarders, peers, directory, options):
    """A B C, A B C, ...: what the machine does meanwhile meets all alike."""
    values = {forwarder.name: [] for forwarder in forwarders}
    try:
        for forwarder in forwarders:
            forwarder.start(directory)
            one_round(forwarder, peers, options.warm_up)
        for number in range(options.rounds):
            for forwarder in forwarders:
                result = one_round(forwarder, peers, options)
                values[forwarder.name].append(result)
                shown = "  ".join(f"{key} {value:.2f}"
                                  for key, value in result.items())
                print(f"{part} {number + 1:2}  {forwarder.name:9} {shown}",
                      flush=True)
    finally:
        for forwarder in forwarders:
            forwarder.stop()
    return values


class WarmUp:
    sessions = 500
    bulk_s = 1


def measure_smtp(forwarders, peers, directory, options):
    options.warm_up = WarmUp
    return run_rounds("smtp", smtp_round, forwarders, peers, directory, options)


def measure_bulk(forwarders, peers, directory, options):
    options.warm_up = WarmUp
    return run_rounds("bulk", bulk_round, forwarders, peers, directory, options)


def memory_of(forwarder, peers, options):
    pid = forwarder.data_pid()
    port = forwarder.port("memory")
    peers.hold(port, WARM_FLOWS, forwarder.name).stop()
    settled_cpu_ns(forwarder.pids())
    before = rss_bytes(pid)
    holder = peers.hold(port, options.flows, forwarder.name)
    try:
        settled_cpu_ns(forwarder.pids())
        after = rss_bytes(pid)
    finally:
        holder.stop()
    return {"bytes_per_flow": (after - before) / options.flows,
            "rss_before": before, "rss_holding": after,
            "flows": options.flows}


def measure_memory(forwarders, peers, directory, options):
    """A fresh process each: memory that was once used stays with it."""
    values = {}
    for forwarder in forwarders:
        try:
            forwarder.start(directory)
            values[forwarder.name] = [memory_of(forwarder, peers, options)]
        finally:
            forwarder.stop()
    return values


PARTS = {"smtp": measure_smtp, "bulk": measure_bulk, "memory": measure_memory}
