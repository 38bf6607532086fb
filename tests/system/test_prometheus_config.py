"""config/prometheus: what it asks for exists, and Prometheus takes it."""
import json
import re

import pytest
import yaml

from lab import http, ini
from lab.daemon import REPOSITORY
from lab.load import EchoTargets, sessions
from lab.netns import FRONT4, TARGET4
from lab.prometheus import Prometheus, parse, promtool

FOLDER = REPOSITORY / "config" / "prometheus"
RULES = FOLDER / "nlbd-alerts.yml"
RULE_TESTS = FOLDER / "nlbd-alerts-test.yml"
DASHBOARD = FOLDER / "grafana-nlbd.json"
SAMPLE_LISTEN = "127.0.0.1:9587"
LISTEN = f"{FRONT4}:{http.PORT}"
METRIC = re.compile(r"\bnlbd_\w+")
VARIABLES = {"$__rate_interval": "1m", "$job": ".*", "$instance": ".*"}

pytestmark = pytest.mark.quick


def alerts():
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"]
            for rule in group["rules"]]


def panels():
    return json.loads(DASHBOARD.read_text())["panels"]


def expressions():
    """[(panel's title, expression)] with Grafana's variables filled in."""
    found = []
    for panel in panels():
        for target in panel.get("targets", []):
            expression = target["expr"]
            for name, value in VARIABLES.items():
                expression = expression.replace(name, value)
            assert "$" not in expression, expression
            found.append((panel["title"], expression))
    return found


@pytest.fixture
def nlbd(network, start_nlbd):
    with EchoTargets(network, TARGET4[:2], ini.TARGET_PORT):
        yield start_nlbd(ini.base(TARGET4[:2], health_port="traffic-port",
                                  HttpListen=LISTEN), healthy=2)


def test_promtool_takes_it_and_its_unit_tests_pass():
    promtool("check", "config", FOLDER / "prometheus.yml")
    promtool("test", "rules", RULE_TESTS)


def test_every_alert_fires_in_a_unit_test():
    text = RULE_TESTS.read_text()
    names = [rule["alert"] for rule in alerts()]
    assert len(names) == len(set(names)) > 10
    assert [name for name in names if name not in text] == []
    for rule in alerts():
        assert {"summary", "description"} == set(rule["annotations"])
        assert rule["labels"]["severity"] in ("warning", "critical")


def test_every_metric_asked_for_is_on_the_page(network, nlbd):
    page = http.ask(network.client, FRONT4, "/metrics").text
    there = {series.partition("{")[0] for series in parse(page)}
    for where, expression in [(rule["alert"], rule["expr"])
                              for rule in alerts()] + expressions():
        asked = set(METRIC.findall(expression))
        assert asked <= there, f"{where}: {asked - there}"
        assert asked or expression.startswith("up{"), where


def test_the_dashboard_is_whole():
    ids = [panel["id"] for panel in panels()]
    assert len(ids) == len(set(ids))
    for panel in panels():
        assert panel["title"]
        assert panel["type"] == "row" or panel["description"], panel["title"]
    taken = set()
    for panel in panels():
        spot = panel["gridPos"]
        cells = {(x, y) for x in range(spot["x"], spot["x"] + spot["w"])
                 for y in range(spot["y"], spot["y"] + spot["h"])}
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, f"{panel['title']} lies on another"
        taken |= cells


@pytest.mark.deadline(120)
def test_a_prometheus_with_it_answers_every_panel(network, nlbd, tmp_path):
    config = (FOLDER / "prometheus.yml").read_text()
    assert SAMPLE_LISTEN in config
    config = (config.replace(SAMPLE_LISTEN, "{target}")
              .replace("15s", "1s")
              .replace("nlbd-alerts.yml", str(RULES)))
    with Prometheus(network.nlbd, FRONT4, LISTEN, config) as prometheus:
        prometheus.wait_for("nlbd_new_flows_total", lambda v: v == 0)
        sessions(network, nlbd.address, 100)
        prometheus.wait_for("rate(nlbd_new_flows_total[1m])", lambda v: v > 0)
        may_be_empty = {"Failed health checks"}
        for title, expression in expressions():
            found = prometheus.query(expression)
            assert found or title in may_be_empty or "fail_open" in expression,\
                f"{title}: {expression} gives nothing"
        assert prometheus.query('ALERTS{alertstate="firing"}') == []
