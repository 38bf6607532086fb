"""A Prometheus beside nlbd, and its text format read by hand."""
import json
import pathlib
import re
import subprocess
import tempfile
import urllib.parse

from . import http
from .process import Process
from .wait import wait_until

PORT = 9090
SAMPLE = re.compile(r'^(\w+)((?:\{.*\})?) (\S+)$')
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

CONFIG = """
global:
  scrape_interval: 1s
scrape_configs:
  - job_name: nlbd
    static_configs:
      - targets: ["{target}"]
"""


def parse(text):
    """{series: value} of a page; a series is its name with labels, sorted."""
    found = {}
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        match = SAMPLE.match(line)
        assert match, f"not a sample: {line}"
        labels = ",".join(f'{k}="{v}"' for k, v in
                          sorted(LABEL.findall(match[2])))
        series = f"{match[1]}{{{labels}}}" if labels else match[1]
        assert series not in found, f"twice: {series}"
        found[series] = float(match[3])
    return found


def types(text):
    """{family: type}"""
    return dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.M))


def counters(text):
    """The series of a page that may never go back."""
    growing = {name for name, kind in types(text).items() if kind == "counter"}
    growing |= {f"{name}{suffix}" for name, kind in types(text).items()
                if kind == "histogram"
                for suffix in ("_bucket", "_count", "_sum")}
    return {series: value for series, value in parse(text).items()
            if series.partition("{")[0] in growing}


def promtool(*args, text=None):
    """Runs promtool, which has to find nothing; returns its output."""
    done = subprocess.run(["promtool", *map(str, args)], input=text,
                          capture_output=True, text=True, timeout=60)
    output = (done.stdout + done.stderr).strip()
    assert done.returncode == 0, output
    return output


class Prometheus:
    """Scrapes one nlbd every second, in nlbd's namespace."""

    def __init__(self, namespace, address, target, config=CONFIG):
        self._directory = tempfile.TemporaryDirectory(prefix="nlbd-test-")
        directory = pathlib.Path(self._directory.name)
        self.namespace, self.address = namespace, address
        path = directory / "prometheus.yml"
        path.write_text(config.replace("{target}", target))
        promtool("check", "config", path)
        self._process = Process(namespace.command(
            ["prometheus", f"--config.file={path}",
             f"--storage.tsdb.path={directory / 'data'}",
             f"--web.listen-address={address}:{PORT}"]), name="prometheus",
            cwd=directory)

    def __enter__(self):
        self._process.start()
        self._process.wait_line("Server is ready", 30)
        return self

    def __exit__(self, *exc):
        self._process.terminate(10)
        self._directory.cleanup()

    def query(self, expression):
        """[(labels, value)] of an instant query."""
        path = "/api/v1/query?" + urllib.parse.urlencode({"query": expression})
        answer = http.ask(self.namespace, self.address, path, port=PORT).body
        found = json.loads(_unchunk(answer))
        assert found["status"] == "success", found
        return [(r["metric"], float(r["value"][1]))
                for r in found["data"]["result"]]

    def wait_for(self, expression, predicate, deadline_s=30):
        """Until predicate(value) holds for the query's only value."""
        def look():
            found = self.query(expression)
            return len(found) == 1 and predicate(found[0][1]) and found
        return wait_until(look, deadline_s, expression, poll_s=0.2)[0][1]


def _unchunk(body):
    """The body, whether it came in chunks or not."""
    if body[:1] in (b"{", b"["):
        return body
    whole = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        whole, body = whole + body[:int(size, 16)], body[int(size, 16) + 2:]
    return whole
