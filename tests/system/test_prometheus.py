"""/metrics before Prometheus' own tools, and over kills and reloads."""
import os
import re
import signal
import time

import pytest

from lab import http, ini
from lab.load import Load, sessions
from lab.netns import FRONT4, TARGET4
from lab.prometheus import Prometheus, counters, parse, promtool, types
from lab.wait import wait_until

LISTEN = f"{FRONT4}:{http.PORT}"
OPEN_METRICS = "application/openmetrics-text; version=1.0.0"
GROUP = 'target_group="smtp"'
ECHO = TARGET4[:3]


def config(*addresses):
    sections = ini.base(addresses or TARGET4[:2], health_port="traffic-port",
                        HttpListen=LISTEN, MaxFlowsPerSource=0)
    # A removed target is gone at once, and its counts with it.
    sections[ini.GROUP]["deregistration_delay.timeout_seconds"] = 0
    return sections


@pytest.fixture
def nlbd(start_nlbd, echo):
    return start_nlbd(config(), healthy=2)


def page(network, **headers):
    answer = http.ask(network.client, FRONT4, "/metrics", **headers)
    assert answer.status == 200
    return answer


def value(network, series):
    return parse(page(network).text)[series]


@pytest.mark.quick
def test_promtool_finds_nothing(network, nlbd):
    assert promtool("check", "metrics", text=page(network).text) == ""
    sessions(network, nlbd.address, 20)
    assert promtool("check", "metrics", text=page(network).text) == ""


@pytest.mark.quick
def test_the_page_tells_of_flows_and_checks(network, nlbd, echo):
    sessions(network, nlbd.address, 50)
    nlbd.wait_no_flows()
    seen = parse(page(network).text)
    assert seen["nlbd_new_flows_total"] == 50
    assert seen['nlbd_listener_new_flows_total{listener="submission"}'] == 50
    by_target = [seen[f'nlbd_target_new_flows_total{{target="{a}:'
                      f'{ini.TARGET_PORT}",{GROUP}}}'] for a in TARGET4[:2]]
    assert sum(by_target) == 50 and min(by_target) > 0
    ends = sum(v for s, v in seen.items() if s.startswith("nlbd_flow_ends"))
    assert ends == 50
    connect = "nlbd_listener_connect_duration_seconds"
    assert seen[f'{connect}_count{{listener="submission"}}'] == 50
    assert 0 < seen[f'{connect}_sum{{listener="submission"}}'] < 50
    check = f'target="{TARGET4[0]}:{ini.TARGET_PORT}",{GROUP}}}'
    assert seen["nlbd_target_health_check_duration_seconds_count{"
                + check] >= 1
    assert seen["nlbd_target_health_checks_total{result=\"success\","
                + check] >= 1
    assert seen["nlbd_target_healthy{" + check] == 1
    for worker in (0, 1):
        lag = f'nlbd_worker_loop_lag_seconds_count{{worker="{worker}"}}'
        assert seen[lag] > 0
    echo.refuse(TARGET4[0])
    nlbd.wait_state(TARGET4[0], "unhealthy")
    seen = parse(page(network).text)
    assert seen["nlbd_target_healthy{" + check] == 0
    assert seen[f"nlbd_target_group_unhealthy_hosts{{{GROUP}}}"] == 1


@pytest.mark.quick
def test_open_metrics_on_request(network, nlbd):
    text = page(network)
    assert text.headers["content-type"].startswith("text/plain; version=0.0.4")
    answer = page(network, Accept=f"{OPEN_METRICS},text/plain;q=0.5")
    assert answer.headers["content-type"].startswith(OPEN_METRICS)
    assert answer.text.endswith("\n# EOF\n")
    assert set(parse(answer.text)) == set(parse(text.text))
    strip = {"counter": "_total", "info": "_info"}
    kinds = {f"{name}{strip.get(kind, '')}": kind
             for name, kind in types(answer.text).items()}
    assert set(kinds) == set(types(text.text))


@pytest.mark.quick
def test_a_reload_is_told_with_its_verdict(network, nlbd):
    def config_hash():
        return re.search(r'nlbd_config_info\{hash="(\w+)"\}',
                         page(network).text)[1]
    first = config_hash()
    assert value(network, "nlbd_config_last_reload_successful") == 1
    nlbd.reload(config(TARGET4[0]))
    assert config_hash() != first
    assert value(network, 'nlbd_config_reloads_total{verdict="accepted"}') == 1
    nlbd.write(text="[nonsense]\n")
    assert nlbd.ctl_raw("reload").returncode != 0
    assert value(network, "nlbd_config_last_reload_successful") == 0
    assert value(network, 'nlbd_config_reloads_total{verdict="rejected"}') == 1


def assert_monotone(before, after, gone=()):
    """gone: texts in the series that a reload may take away."""
    for series, old in before.items():
        if any(text in series for text in gone):
            continue
        assert series in after, f"lost: {series}"
        assert after[series] >= old, f"{series}: {old} -> {after[series]}"


@pytest.mark.deadline(120)
def test_counters_never_go_back_over_kills_and_reloads(network, nlbd):
    pages, restarts = [counters(page(network).text)], 0
    with Load(network, nlbd.address, rate=100, concurrency=500) as load:
        for n in range(6):
            victim = nlbd.worker_pids()[n % 2]
            os.kill(victim, signal.SIGKILL)
            restarts += 1
            pages.append(counters(page(network).text))
            wait_until(lambda: victim not in nlbd.worker_pids().values(), 10,
                       "the worker is replaced")
            pages.append(counters(page(network).text))
            nlbd.reload(config(*TARGET4[:2 + n % 2]))
            pages.append(counters(page(network).text))
            time.sleep(0.3)  # some load between two kills
        load.stop()
    nlbd.wait_no_flows()
    pages.append(counters(page(network).text))
    for before, after in zip(pages, pages[1:]):
        assert_monotone(before, after, gone=[TARGET4[2]])
    assert pages[-1]["nlbd_worker_restarts_total"] >= restarts
    assert pages[-1]["nlbd_new_flows_total"] > 100
    assert sum(v for s, v in pages[-1].items()
               if s.startswith("nlbd_worker_loop_lag_seconds_count")) > 100


@pytest.mark.deadline(120)
def test_prometheus_scrapes_and_tells_of_the_flows_just_made(network, nlbd):
    with Prometheus(network.nlbd, FRONT4, LISTEN) as prometheus:
        prometheus.wait_for("up", lambda up: up == 1)
        # The first scrape has every series, so that an increase has a start.
        prometheus.wait_for("nlbd_new_flows_total", lambda v: v == 0)
        sessions(network, nlbd.address, 300)
        nlbd.wait_no_flows()
        prometheus.wait_for("nlbd_new_flows_total", lambda v: v == 300)
        prometheus.wait_for('sum(nlbd_flow_ends_total{reason=~".*-fin"})',
                            lambda v: v == 300)
        prometheus.wait_for("sum(increase(nlbd_new_flows_total[1m]))",
                            lambda v: v > 250)
        p99 = prometheus.wait_for(
            "histogram_quantile(0.99, sum by (le) (rate("
            "nlbd_listener_connect_duration_seconds_bucket[1m])))",
            lambda v: v > 0)
        assert p99 < 10
        assert prometheus.query('scrape_samples_scraped')[0][1] > 100
