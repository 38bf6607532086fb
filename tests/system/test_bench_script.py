"""scripts/bench: a short run writes what it promises, and `compare` tells a
change from noise."""
import csv
import json
import os
import statistics
import subprocess
import sys

import pytest

from lab.daemon import BUILD, REPOSITORY

sys.path.insert(0, str(REPOSITORY / "bench"))

from figures import publish, report, sizing, stats  # noqa: E402
from figures.results import Results  # noqa: E402

SCRIPT = REPOSITORY / "scripts/bench"


def bench(*arguments, code=0):
    done = subprocess.run([sys.executable, SCRIPT, *map(str, arguments)],
                          capture_output=True, text=True, timeout=280,
                          check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


@pytest.mark.deadline(300)
def test_short_run_writes_tables_json_csv_and_plots(tmp_path):
    done = subprocess.run(
        [sys.executable, SCRIPT, "--quick", "--rounds", "1", "--build", BUILD,
         "--out", tmp_path, "--only", "session", "--only", "pingpong",
         "--only", "syscalls", "--only", "memory", "--only", "flood",
         "--only", "admin", "--only", "core"],
        capture_output=True, text=True, timeout=280, check=False)
    # 1: a goal is missed, as it may be on a busy machine.
    assert done.returncode in (0, 1), done.stdout + done.stderr
    assert "forwarder CPU per SMTP session (nlbbench)" in done.stdout
    assert "user memory per idle flow, B: at most 600" in done.stdout
    results = Results.load(tmp_path / "results.json")
    assert results.parts() == ["session", "pingpong", "syscalls", "memory",
                               "flood", "admin", "core"]
    assert {"nlbd", "haproxy", "nginx", "bare", "direct", "nft-dnat",
            "socat"} <= set(results.forwarders("session"))
    for name in results.forwarders("session"):
        assert results.median("session", "sessions_per_s", name) > 0
    # Of any forwarder, at least: 7 reads and 7 writes on either side.
    assert results.median("syscalls", "all", "nlbd") > 28
    assert results.median("flood", "dropped_by_kernel", "nlbd") == 1
    assert results.median("flood", "vain_syn_per_s", "nlbd") > 1000
    assert "bare" in results.forwarders("syscalls")
    assert results.median("flood", "flood_cpu_ms_per_s", "nlbd") < 50
    assert results.median("admin", "refused", "nlbd") == 1
    assert results.median("admin", "tries_per_s", "nlbd") > 100
    assert results.median("admin", "grown_kib", "nlbd") < 4096
    with open(tmp_path / "results.csv") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == sum(len(r["values"]) for r in results.records)
    for plot in ("latency", "memory"):
        assert (tmp_path / f"{plot}.svg").read_text().count("<path") > 5
        assert (tmp_path / f"{plot}.png").stat().st_size > 10_000
    assert "64-byte exchange" in bench("show", tmp_path)


def made_up(path, factor, spread=0.02):
    """A run whose nlbd needs so many times the CPU of HAProxy."""
    records = []
    for number in range(7):
        noise = 1 + spread * ((number * 5) % 7 - 3)
        for name, cost in (("nlbd", 80 * factor * noise), ("haproxy", 100)):
            for part, key, value in (
                    ("smtp", "cpu_us_per_session", cost),
                    ("smtp", "sessions_per_s", 5e5 / cost),
                    ("bulk", "cpu_ms_per_gb", cost)):
                records.append({"part": part, "forwarder": name, "at": None,
                                "round": number, "values": {key: value}})
        for at in (1000, 9000):
            records.append({"part": "memory", "forwarder": "nlbd", "at": at,
                            "round": number, "values": {
                                "bytes_per_flow": 300 + 100_000 / at,
                                "kernel_bytes_per_flow": 7000}})
    meta = {"date": "2026-01-01 00:00 UTC", "machine": "none", "cores": 2,
            "kernel": "6", "versions": {}, "workers": 1, "rounds": 7}
    results = Results(meta, records, {})
    results.save(path)
    return results


@pytest.mark.deadline(120)
def test_run_that_fails_keeps_what_it_measured(tmp_path):
    fake = tmp_path / "bin/haproxy"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\necho it does not start\nexit 3\n")
    fake.chmod(0o755)
    out = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, SCRIPT, "--quick", "--rounds", "1", "--build", BUILD,
         "--out", out, "--only", "flood", "--only", "pingpong"],
        capture_output=True, text=True, timeout=110, check=False,
        env=os.environ | {"PATH": f"{fake.parent}:{os.environ['PATH']}"})
    assert done.returncode == 70, done.stdout + done.stderr
    assert "it does not start" in done.stderr
    results = Results.load(out / "results.json")
    assert results.parts() == ["flood"]
    assert "it does not start" in results.meta["failed"]


def test_compare_tells_a_change_from_noise(tmp_path):
    made_up(tmp_path / "a", 1.0)
    made_up(tmp_path / "worse", 1.3)
    made_up(tmp_path / "noise", 1.01)
    same = bench("compare", tmp_path / "a", tmp_path / "noise")
    assert "WORSE" not in same and "better" not in same
    worse = bench("compare", tmp_path / "a", tmp_path / "worse", code=1)
    assert worse.count("WORSE") == 6  # three figures, by itself and beside
    better = bench("compare", tmp_path / "worse", tmp_path / "a")
    assert better.count("better") == 6


def test_goals_are_judged_by_the_rounds_ratios(tmp_path):
    goals = {goal["text"]: goal for goal in
             report.check_goals(made_up(tmp_path, 0.7))}
    cpu = next(goal for text, goal in goals.items()
               if "smtp-source): at most 0.65 x haproxy" in text)
    assert cpu["reached"] and cpu["figure"] == pytest.approx(0.56)
    low, high = cpu["interval"]
    assert 0.5 < low <= cpu["figure"] <= high < 0.65
    nginx = next(goal for text, goal in goals.items() if "nginx" in text)
    assert nginx["reached"] is None  # it was not there


def test_growth_is_judged_beside_the_bare_loops(tmp_path):
    results = made_up(tmp_path, 1.0)
    for name, costs in (("nlbd", (20, 30)), ("bare", (10, 12))):
        for at, cost in zip((10, 9800), costs):
            results.records.append({
                "part": "flows", "forwarder": name, "at": at, "round": 0,
                "values": {"cpu_us_per_exchange": cost}})
    figures = {goal["text"]: goal["figure"] for goal in
               report.check_goals(results)}
    assert figures["cost of an exchange, most flows beside fewest: at most "
                   "1.15"] == pytest.approx(1.5)
    assert figures["growth of an exchange's cost from fewest flows to most: "
                   "at most 1.05 x bare"] == pytest.approx(1.5 / 1.2)


def exchanges(tmp_path, **added_us):
    """The goals of a run in which a forwarder adds so many us, and the machine
    up to 60 more, to each in another order."""
    records = []
    for number in range(61):
        for order, (name, us) in enumerate({"direct": 0, **added_us}.items(), 2):
            records.append({
                "part": "pingpong", "forwarder": name, "at": None,
                "round": number, "values": {
                    "p99_us": 100 + us + number * order**3 % 61}})
    results = Results(made_up(tmp_path, 1.0).meta, records, {})
    return results, next(
        goal for goal in report.check_goals(results)
        if "p99: at most 0.9 x haproxy" in goal["text"])


def test_what_is_added_is_one_ratio_in_whatever_noise(tmp_path):
    results, same = exchanges(tmp_path, nlbd=30, haproxy=30)
    assert same["figure"] == pytest.approx(1) and not same["reached"]
    assert same["interval"][0] < 1 < same["interval"][1]
    # What a ratio for each round would have made of the same program twice.
    a, b, none = (results.values("pingpong", "p99_us", name)
                  for name in ("nlbd", "haproxy", "direct"))
    assert statistics.median(
        (x - z) / (y - z) for x, y, z in zip(a, b, none) if y != z) < 0.9
    _, half = exchanges(tmp_path, nlbd=20, haproxy=40)
    assert half["figure"] == pytest.approx(0.5) and half["reached"]


def test_what_does_not_stand_out_has_no_ratio(tmp_path):
    _, nothing = exchanges(tmp_path, nlbd=30, haproxy=1)
    assert nothing["figure"] is None and nothing["reached"] is None


def test_sizing_is_reckoned_from_the_slopes(tmp_path):
    lines = []
    assert sizing.sizing(made_up(tmp_path, 1.0), lines.append)
    text = "\n".join(lines)
    # The 100,000 bytes that every run has are no flow's.
    assert "  300 B of nlbd's own memory per idle flow" in text
    # 2,000 sessions of 80 us, and 0.625 GB/s at 80 ms.
    row = next(line for line in lines if line.strip().startswith("100,000"))
    assert row.split()[:5] == ["100,000", "2,000", "5,000", "0.21", "1"]


def test_publish_replaces_what_is_between_the_markers(tmp_path):
    results = made_up(tmp_path / "run", 1.3)
    report.check_goals(results)
    readme = tmp_path / "README.md"
    (tmp_path / "bench").mkdir()
    readme.write_text("before\n" + publish.BEGIN + "what was\n" + publish.END
                      + "after\n")
    assert publish.publish(results, tmp_path, lambda _: None)
    once = readme.read_text()
    assert once.startswith("before\n") and once.endswith("after\n")
    assert "what was" not in once
    assert "| 104 | 100 (1.04 ×) | – |" in once
    assert "at most 0.65 × haproxy | 1.04 (" in once and "**missed**" in once
    assert "![SMTP sessions per second](bench/plots/sessions.svg)" in once
    assert (tmp_path / "bench/plots/sessions.svg").exists()
    assert publish.publish(results, tmp_path, lambda _: None)
    assert readme.read_text() == once
    readme.write_text("no markers\n")
    assert not publish.publish(results, tmp_path, lambda _: None)


def test_readme_has_the_markers():
    text = (REPOSITORY / "README.md").read_text()
    assert text.count(publish.BEGIN) == text.count(publish.END) == 1


def test_intervals_hold_what_they_should():
    assert stats.interval([5.0]) is None
    assert stats.interval([3.0] * 9) == (3.0, 3.0)
    low, high = stats.ratio_interval([2.0, 2.1, 1.9, 2.0, 2.05],
                                     [1.0, 1.05, 0.95, 1.0, 1.02])
    assert 1.8 < low <= 2.0 <= high < 2.2
    rise, start = stats.slope([(1, 5), (2, 7), (4, 11)])
    assert (rise, start) == (pytest.approx(2), pytest.approx(3))


def test_what_is_no_run_is_refused(tmp_path):
    (tmp_path / "results.json").write_text(json.dumps({"meta": 1}))
    for arguments in (["compare", tmp_path, tmp_path], ["plot", tmp_path],
                      ["sizing", tmp_path / "nowhere"]):
        bench(*arguments, code=1)
    bench("compare", tmp_path, code=2)
    bench("nonsense", code=2)
