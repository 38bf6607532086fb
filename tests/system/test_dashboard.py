"""The dashboard in Chromium while flows come and go."""
import os
import pathlib

import pytest

from lab import http, ini
from lab.browser import Browser
from lab.load import Load
from lab.netns import FRONT4, TARGET4
from lab.wait import wait_until

LISTEN = f"{FRONT4}:{http.PORT}"
URL = f"http://{LISTEN}/"
CHARTS = ("flows", "bytes", "ends", "connect")
LOOKS = [(width, scheme) for width in (1280, 360)
         for scheme in ("light", "dark")]
# Where a person finds what the page looked like.
PICTURES = os.environ.get("NLBD_PICTURES")
ECHO = TARGET4[:3]


@pytest.fixture
def nlbd(start_nlbd, echo):
    return start_nlbd(ini.base(TARGET4[:3], health_port="traffic-port",
                               HttpListen=LISTEN, MaxFlowsPerSource=0),
                      healthy=3)


@pytest.fixture
def browser(network, nlbd):
    with Browser(network.client, URL) as browser:
        yield browser


def states(browser):
    return dict(zip(browser.texts("#target-rows td:nth-child(2)"),
                    browser.texts("#target-rows td:nth-child(5)")))


def wait_for_state(browser, address, state):
    wait_until(lambda: state in states(browser).get(address, ""), 20,
               f"{address} is {state} on the page", poll_s=0.2)


@pytest.mark.deadline(180)
def test_the_page_tells_what_happens(network, nlbd, echo, browser):
    wait_until(lambda: states(browser) == dict.fromkeys(
        TARGET4[:3], "✓ healthy"), 20, "three targets on the page", 0.2)
    assert browser.texts("#verdict") == ["✓ All is well"]
    assert "lab" in browser.texts("#name")[0]
    with Load(network, nlbd.address, rate=100, concurrency=500) as load:
        blank = {chart: browser.do("drawn", id=chart) for chart in CHARTS}
        wait_until(lambda: all(
            browser.do("drawn", id=chart) > blank[chart]
            for chart in CHARTS), 60, "every chart moves", poll_s=0.5)
        echo.refuse(TARGET4[1])
        wait_for_state(browser, TARGET4[1], "✗ unhealthy")
        rows = browser.texts("#target-rows tr")
        row = next(r for r in rows if TARGET4[1] in r)
        assert "Target.FailedHealthChecks" in row and "last check" in row
        wait_until(lambda: browser.texts("#verdict") == ["▲ Degraded"], 10,
                   "the verdict follows", poll_s=0.2)
        assert TARGET4[1] in browser.texts("#problem-list")[0]
        assert any(TARGET4[1] in event and "unhealthy" in event
                   for event in browser.texts("#event-list li"))
        for width, scheme in LOOKS:
            path = PICTURES and str(
                pathlib.Path(PICTURES) / f"dashboard-{width}-{scheme}.png")
            seen = browser.do("look", width=width, scheme=scheme, path=path)
            assert seen["width"] <= width, f"scrolls sideways at {width}"
            assert seen["ground"] == ("rgb(15, 20, 26)" if scheme == "dark"
                                      else "rgb(244, 246, 248)")
            assert browser.do("axe", width=width, scheme=scheme) == []
        echo.serve(TARGET4[1])
        wait_for_state(browser, TARGET4[1], "✓ healthy")
        load.stop()
    assert "skip" in browser.do("tabs", n=1)
    assert {"targets-title", "events-title"} <= set(browser.do("tabs", n=4))
    report = browser.do("report")
    assert report["console"] == [] and report["csp"] == []
    assert report["foreign"] == [] and len(report["requests"]) > 20


@pytest.mark.deadline(120)
def test_the_page_says_when_nlbd_is_gone(nlbd, browser):
    wait_until(lambda: browser.texts("#verdict") == ["✓ All is well"], 20,
               "the first answer", poll_s=0.2)
    nlbd.stop()
    wait_until(lambda: "No answer from nlbd" in browser.texts("#verdict")[0],
               20, "the page notices", poll_s=0.2)
